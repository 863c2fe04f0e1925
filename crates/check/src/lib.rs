//! Tests that need several crates: the corpus, generated programs, fuzzing. Nothing here is product code.
#![forbid(unsafe_code)]

pub mod fuzz;
pub mod generate;
pub mod golden;
pub mod outcome;
