//! The runtime: run, check, assemble, disassemble, verify, hash.

use clap::{Parser, Subcommand};
use qualm_cli::{commands, repl, status};
use std::process::ExitCode;

/// A distributed runtime for content-addressed functions.
#[derive(Parser)]
#[command(
    name = "qualm",
    version,
    after_help = "Exit status: 0 success, 1 uncaught error, 2 invalid program, 3 stopped by a quota or capability, 64 wrong usage."
)]
struct Qualm {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program on all cores
    Run(commands::RunArgs),
    /// Go on with a program that `run --stop-after` saved
    Resume(commands::ResumeArgs),
    /// Type Passerine and see what it comes to, here or on a node
    Repl(repl::ReplArgs),
    /// The Nix expression language
    #[command(subcommand)]
    Nix(commands::NixCommand),
    /// A node that hosts programs of several clients
    #[command(subcommand)]
    Node(commands::NodeCommand),
    /// The fibers of a node
    #[command(subcommand)]
    Fibers(commands::FibersCommand),
    /// The busiest fibers of a node, live
    Top(commands::TopArgs),
    /// Save a program of a node while it goes on
    Snapshot(commands::OneFiber),
    /// Go on at a node with what was saved there
    Restore(commands::RestoreArgs),
    /// What is in a store
    #[command(subcommand)]
    Store(commands::StoreCommand),
    /// Report what is wrong with a program without running it
    Check(commands::CheckArgs),
    /// Translate a program to a binary module
    Asm(commands::AsmArgs),
    /// Print a program as text assembly
    Dis(commands::DisArgs),
    /// Check a module against the machine's rules
    Verify(commands::VerifyArgs),
    /// Print the content hash of every function
    Hash(commands::HashArgs),
}

fn main() -> ExitCode {
    let parsed = match Qualm::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            let asked = !error.use_stderr();
            let _ = error.print();
            return ExitCode::from(if asked { status::OK } else { status::USAGE });
        }
    };
    ExitCode::from(match parsed.command {
        Command::Run(args) => commands::run(args),
        Command::Resume(args) => commands::resume(args),
        Command::Repl(args) => repl::repl(&args),
        Command::Nix(command) => commands::nix(command),
        Command::Node(command) => commands::node(command),
        Command::Fibers(command) => commands::fibers(command),
        Command::Top(args) => commands::top(&args),
        Command::Snapshot(args) => commands::snapshot(args),
        Command::Restore(args) => commands::restore(args),
        Command::Store(command) => commands::store(command),
        Command::Check(args) => commands::check(&args),
        Command::Asm(args) => commands::asm(&args),
        Command::Dis(args) => commands::dis(&args),
        Command::Verify(args) => commands::verify(&args),
        Command::Hash(args) => commands::hash(&args),
    })
}
