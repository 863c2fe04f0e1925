//! The programs `qualm` and `aspen`: arguments, files, terminal, wiring. No logic lives here.
#![forbid(unsafe_code)]

/// Fibers are many small blocks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod commands;
pub mod input;
pub mod project;
pub mod repl;
pub mod status;
pub mod style;
