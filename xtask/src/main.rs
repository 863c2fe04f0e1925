//! Project tasks: `tidy`, `docs`, `fuzz`. Run with `cargo xtask NAME`.

mod docs;
mod fuzz;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("tidy") => tidy::run(),
        Some("docs") => docs::run(),
        Some("fuzz") => fuzz::run(&args[1..]),
        _ => Err("usage: cargo xtask tidy | docs | fuzz TARGET [--seconds N] [--seed N] | fuzz --smoke".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
