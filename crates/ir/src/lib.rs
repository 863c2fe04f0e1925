//! What a Qualm program is, with no opinion on how it runs.
//!
//! The life of a module: a front end describes functions to [`builder::ModuleBuilder`]; the builder groups them
//! ([`groups`]) and gives a [`module::Module`]; [`verify::verify`] turns that into [`verify::Verified`], the only form
//! an executor accepts. [`binary`] and [`text`] write and read modules, [`hash`] names functions by content.
//!
//! This crate has no I/O, no threads, no unsafe code, and knows nothing about values at run time.
#![forbid(unsafe_code)]

pub mod binary;
pub mod builder;
pub mod diagnostic;
pub mod docs;
pub mod groups;
pub mod hash;
pub mod limits;
pub mod link;
pub mod liveness;
pub mod module;
pub mod natives;
pub mod op;
pub mod ops;
pub mod source;
pub mod text;
pub mod types;
pub mod verify;
pub mod wire;
