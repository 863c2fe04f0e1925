//! Exit status, as `corpus/README.md` promises it.

pub use qualm_node::ending::{OK, STOPPED, UNCAUGHT};

/// The input does not compile, parse, decode or verify, or cannot be read.
pub const INVALID: u8 = 2;
/// Wrong usage.
pub const USAGE: u8 = 64;
