//! `qualm check` and `aspen check`: everything that can be known without running.

use super::{complain, print};
use crate::{input, status};
use clap::Args;
use qualm_ir::diagnostic::{Diagnostic, Severity};
use std::path::{Path, PathBuf};

/// Arguments of `qualm check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The program
    file: PathBuf,
    /// Print the inferred type of the last expression
    #[arg(long = "type")]
    show_type: bool,
}

/// `qualm check`
pub fn check(args: &CheckArgs) -> u8 {
    if args.file.extension().is_some_and(|extension| extension == "pn") {
        return check_file(&args.file, args.show_type);
    }
    match input::verified(&args.file) {
        Ok(_) => status::OK,
        Err(problem) => {
            complain(&problem);
            status::INVALID
        }
    }
}

/// Shows what static checks say about a program that is going to run whatever they say.
pub fn warn(path: &Path) {
    if let Ok(checked) = input::checked(path)
        && let Ok(inferred) = checked.inferred
    {
        let warnings: Vec<Diagnostic> = inferred
            .problems
            .into_iter()
            .map(|problem| Diagnostic { severity: Severity::Warning, ..problem })
            .collect();
        complain(&input::render(&warnings, &checked.sources));
    }
}

/// Checks a Passerine file and what it uses.
pub fn check_file(path: &Path, show_type: bool) -> u8 {
    let checked = match input::checked(path) {
        Ok(checked) => checked,
        Err(problem) => {
            complain(&problem);
            return status::INVALID;
        }
    };
    match checked.inferred {
        Err(errors) => {
            complain(&input::render(&errors, &checked.sources));
            status::INVALID
        }
        Ok(inferred) => {
            if show_type {
                print(&format!("{}\n", inferred.last));
            }
            complain(&input::render(&inferred.problems, &checked.sources));
            if inferred.problems.is_empty() { status::OK } else { status::INVALID }
        }
    }
}
