//! Runs the fibers of a program on all cores, and answers what they ask of the world.
//!
//! [`core::Core`] is the runtime without the world: `step(now, event, &mut actions)`. [`scheduler::run`] drives one on each thread; it is the
//! embedded node behind `qualm run` and `aspen run`. What a process asks for is checked in one place, `core::requests`; what reaches the
//! outside goes through `world`.
#![forbid(unsafe_code)]

pub mod address;
pub mod capability;
pub mod core;
mod driver;
pub mod ending;
mod files;
pub mod host;
pub mod ids;
pub mod image;
mod net;
pub mod node;
pub mod policy;
pub mod protocol;
pub mod scheduler;
pub mod simulator;
pub mod system;
pub mod trace;
mod world;
