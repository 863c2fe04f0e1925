//! The commands, one file each; what they print on which stream and how they exit is the promise of `corpus/README.md`.

mod add;
mod asm;
mod build;
mod check;
pub(crate) mod client;
mod dis;
mod doc;
mod explain;
mod hash;
mod nix;
mod node;
mod run;
mod store;
mod test;
mod verify;

pub use add::{AddArgs, add};
pub use asm::{AsmArgs, asm};
pub use build::build;
pub use check::{CheckArgs, check, check_file, warn};
pub use client::{FibersCommand, OneFiber, RestoreArgs, TopArgs, fibers, restore, snapshot, top};
pub(crate) use client::{NodeArgs, show};
pub use dis::{DisArgs, dis};
pub use doc::doc;
pub use explain::{ExplainArgs, explain};
pub use hash::{HashArgs, hash};
pub use nix::{NixCommand, nix};
pub use node::{NodeCommand, node};
pub(crate) use run::trace_text;
pub use run::{ResumeArgs, RunArgs, RunOptions, resume, run, run_file, run_project};
pub use store::{StoreCommand, store};
pub use test::{TestArgs, test};
pub use verify::{VerifyArgs, verify};

/// Writes to stdout; a reader that went away is no error.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes to stderr.
pub fn complain(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
