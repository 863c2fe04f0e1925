//! Runs the fibers of a program on all cores, and answers what they ask of the world.
//!
//! [`scheduler::run`] is the embedded node behind `qualm run` and `aspen run`: workers take ready processes from one queue, run each for a
//! slice of fuel, and act on how it stops. Requests that only concern processes (spawn, send, join, ...) are answered by
//! [`processes`]; those that reach the outside go through [`host`], which is the one place where capabilities are checked.
#![forbid(unsafe_code)]

pub mod capability;
pub mod host;
pub mod processes;
mod requests;
pub mod scheduler;
