//! The Passerine project tool.

use clap::{Parser, Subcommand};
use qualm_cli::{commands, project, repl, status};
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
    /// Report what is wrong with the project, or with one file, without running it
    Check {
        /// A file to check instead of the project
        file: Option<PathBuf>,
    },
    /// Run the project of this folder or of one above it, on all cores
    Run {
        #[command(flatten)]
        options: commands::RunOptions,
        /// What the program sees as its arguments; put `--` before arguments that start with a dash. If the first ends in `.pn`, that file is
        /// run instead of the project
        args: Vec<String>,
    },
    /// Run the tests of the project: functions `test_…` in files of the folder `tests`
    Test(commands::TestArgs),
    /// Type programs and see what they come to
    Repl(repl::ReplArgs),
    /// Write pages about the modules of the project and the standard library to `build/doc`
    Doc,
    /// Write the project as one binary module to `build/NAME.qb`
    Build,
    /// Make another package known to the project
    Add(commands::AddArgs),
    /// Explain the code of an error message
    Explain(commands::ExplainArgs),
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
        Command::Check { file: Some(file) } => commands::check_file(&file, false),
        Command::Check { file: None } => in_project(|project| commands::check_file(&project.main(), false)),
        Command::Run { options, mut args } => {
            if args.first().is_some_and(|first| first.ends_with(".pn")) {
                let file = PathBuf::from(args.remove(0));
                commands::warn(&file);
                commands::run_file(&file, &options, args)
            } else {
                in_project(|project| commands::run_project(&project, &options, args))
            }
        }
        Command::Test(args) => in_project(|project| commands::test(&project, &args)),
        Command::Repl(args) => repl::repl(&args),
        Command::Doc => in_project(|project| commands::doc(&project)),
        Command::Build => in_project(|project| commands::build(&project)),
        Command::Add(args) => in_project(|project| commands::add(&project, &args)),
        Command::Explain(args) => commands::explain(&args),
    })
}

fn in_project(command: impl FnOnce(project::Project) -> u8) -> u8 {
    match project::find() {
        Ok(project) => command(project),
        Err(problem) => report(Err(problem)),
    }
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
