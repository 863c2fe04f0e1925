//! `qualm verify`: the machine's rules.

use super::{complain, print};
use crate::{input, status};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `qualm verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The program
    file: PathBuf,
}

/// `qualm verify`
pub fn verify(args: &VerifyArgs) -> u8 {
    match input::verified(&args.file) {
        Ok(module) => {
            let module = module.get();
            let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let (functions, groups) = (count(module.functions.len(), "function"), count(module.groups.len(), "group"));
            print(&format!("{}: {functions} in {groups}, all rules kept\n", args.file.display()));
            status::OK
        }
        Err(problem) => {
            complain(&problem);
            status::INVALID
        }
    }
}
