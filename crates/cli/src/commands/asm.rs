//! `qualm asm`: a program as a binary module.

use super::complain;
use crate::{input, status};
use clap::Args;
use qualm_ir::binary;
use std::path::PathBuf;

/// Arguments of `qualm asm`.
#[derive(Args, Debug)]
pub struct AsmArgs {
    /// The program: text assembly (.qualm) or Passerine (.pn)
    file: PathBuf,
    /// Where to write the module [default: FILE with the extension .qb]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// `qualm asm`
pub fn asm(args: &AsmArgs) -> u8 {
    let module = match input::verified(&args.file) {
        Ok(module) => module,
        Err(problem) => {
            complain(&problem);
            return status::INVALID;
        }
    };
    let output = args.output.clone().unwrap_or_else(|| args.file.with_extension("qb"));
    match std::fs::write(&output, binary::encode(module.get())) {
        Ok(()) => status::OK,
        Err(error) => {
            complain(&format!("cannot write {}: {error}\n", output.display()));
            status::INVALID
        }
    }
}
