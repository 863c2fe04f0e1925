//! The Passerine project tool.

use clap::{Parser, Subcommand};
use qualm_cli::{commands, project, status};
use std::path::PathBuf;
use std::process::ExitCode;

/// The tool for Passerine projects.
#[derive(Parser)]
#[command(name = "aspen", version)]
struct Aspen {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new project
    New {
        /// The folder to make; its last part is the project's name
        path: PathBuf,
    },
    /// Report what is wrong with the project without running it
    Check,
    /// Run the project of this folder or of one above it, on all cores
    Run {
        #[command(flatten)]
        options: commands::RunOptions,
        /// What the program sees as its arguments; put `--` before arguments that start with a dash
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let parsed = match Aspen::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            let asked = !error.use_stderr();
            let _ = error.print();
            return ExitCode::from(if asked { status::OK } else { status::USAGE });
        }
    };
    ExitCode::from(match parsed.command {
        Command::New { path } => report(project::create(&path)),
        Command::Check => match project::find() {
            Ok(found) => commands::check_file(&found.main, false),
            Err(problem) => report(Err(problem)),
        },
        Command::Run { options, args } => match project::find() {
            Ok(found) => {
                commands::warn(&found.main);
                commands::run_file(&found.main, &options, &found.allow, args)
            }
            Err(problem) => report(Err(problem)),
        },
    })
}

fn report(outcome: Result<(), String>) -> u8 {
    match outcome {
        Ok(()) => status::OK,
        Err(problem) => {
            commands::complain(&format!("{problem}\n"));
            status::INVALID
        }
    }
}
