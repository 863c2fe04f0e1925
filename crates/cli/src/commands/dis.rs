//! `qualm dis`: a program as text assembly.

use super::{complain, print};
use crate::{input, status};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `qualm dis`.
#[derive(Args, Debug)]
pub struct DisArgs {
    /// The program: a binary module (.qb), text assembly (.qualm) or Passerine (.pn)
    file: PathBuf,
}

/// `qualm dis`
pub fn dis(args: &DisArgs) -> u8 {
    match input::module(&args.file) {
        Ok(module) => {
            print(&qualm_ir::text::print(&module));
            status::OK
        }
        Err(problem) => {
            complain(&problem);
            status::INVALID
        }
    }
}
