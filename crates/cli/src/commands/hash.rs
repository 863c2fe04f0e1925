//! `qualm hash`: the identity of every function of a program.

use super::{complain, print};
use crate::{input, status};
use clap::Args;
use qualm_ir::hash::function_hashes;
use std::fmt::Write;
use std::path::PathBuf;

/// Arguments of `qualm hash`.
#[derive(Args, Debug)]
pub struct HashArgs {
    /// The program
    file: PathBuf,
}

/// `qualm hash`
pub fn hash(args: &HashArgs) -> u8 {
    let module = match input::verified(&args.file) {
        Ok(module) => module,
        Err(problem) => {
            complain(&problem);
            return status::INVALID;
        }
    };
    let mut out = String::new();
    for (hash, function) in function_hashes(module.get()).iter().zip(&module.get().functions) {
        let _ = writeln!(out, "{hash} {}", function.debug.name);
    }
    print(&out);
    status::OK
}
