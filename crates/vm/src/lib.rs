//! Runs verified modules: values, heaps, frames, the interpreter, effects.
//!
//! [`load`](load::load) makes a [`Program`](code::Program) of a module; a [`Fiber`](fiber::Fiber) runs some of it until it ends, asks the
//! outside for something, or is out of fuel. This crate does no I/O, reads no clock and starts no thread: what a program wants of the world
//! leaves through [`Exit::Request`](fiber::Exit::Request).
//!
//! No operation uses native stack in proportion to data or depth of the program, and there is no unsafe code.
#![forbid(unsafe_code)]

pub mod code;
mod coroutine;
mod data;
mod effect;
pub mod failure;
pub mod fiber;
pub mod heap;
mod interp;
pub mod load;
mod natives;
pub mod parked;
pub mod snapshot;
mod stack;
pub mod statics;
pub mod value;
