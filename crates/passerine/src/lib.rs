//! The Passerine front end: source text in, verified-to-be functions or diagnostics out.
//!
//! ```text
//! text ──lexer──► tokens ──layout──► tokens with separators ──parser──► tree ──names──► tree + variables ──lower──► module
//!                                                                                    └──infer──► types
//! ```
//!
//! It does no I/O: files come through [`Files`]. It never recurses in proportion to the length of a program, only to how deeply the text
//! nests, and that is limited ([`parser::NESTING_MAX`]). The language is described in `docs/passerine.md`.
#![forbid(unsafe_code)]

pub mod document;
pub mod explain;
mod infer;
pub mod layout;
pub mod lexer;
mod lower;
mod modules;
mod names;
mod numeric;
pub mod parser;
mod patterns;
mod prelude;
pub mod session;
mod standard;
pub mod tree;

pub use infer::Inferred;
pub use modules::{Checked, Compiled, Files, Lowering, NoFiles, check, compile, compile_with};
pub use standard::{is_standard, standard_modules};
