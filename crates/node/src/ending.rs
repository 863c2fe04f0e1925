//! What the end of a program means to whoever started it: an exit status and a message.

use crate::scheduler::End;
use crate::trace::trace_text;
use qualm_ir::module::Module;
use qualm_vm::fiber::TraceEntry;
use std::fmt::Write;

/// Exit status: success.
pub const OK: u8 = 0;
/// Exit status: the program ended in an uncaught error.
pub const UNCAUGHT: u8 = 1;
/// Exit status: a quota or capability stopped the program.
pub const STOPPED: u8 = 3;

/// Messages with large values in them are cut after so many characters.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What to tell of the end of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// The exit status.
    pub status: u8,
    /// What to say on standard error; lines, or nothing.
    pub message: String,
    /// The value, if it ended well.
    pub value: Option<String>,
}

impl Ending {
    /// What to tell of this end; calls whose source `hide` names are left out of traces.
    pub fn of(module: &Module, end: End, hide: &dyn Fn(&str) -> bool) -> Self {
        let stopped = |why: &str| Self { status: STOPPED, message: format!("stopped{why}\n"), value: None };
        match end {
            End::Value(value) => Self { status: OK, message: String::new(), value: Some(value) },
            End::Error { message, trace, left_out, .. } => Self {
                status: if message.starts_with("Denied error") { STOPPED } else { UNCAUGHT },
                message: error_text(module, &trace, left_out, &message, hide),
                value: None,
            },
            End::OutOfFuel => stopped(": the fuel is used up (--fuel)"),
            End::OutOfMemory => stopped(": the program needs more memory than it may use (--memory)"),
            End::Stopped => stopped(""),
        }
    }
}

/// The calls that led to an error, each with its place in the source, and its message.
pub fn error_text(
    module: &Module,
    trace: &[TraceEntry],
    left_out: usize,
    message: &str,
    hide: &dyn Fn(&str) -> bool,
) -> String {
    let mut out = String::from("Trace, latest call last:\n");
    out.push_str(&trace_text(module, trace, left_out, hide));
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => out.push_str(message),
        Some((end, _)) => {
            let _ = write!(out, "{}… ({} more bytes)", &message[..end], message.len() - end);
        }
    }
    out.push('\n');
    out
}
