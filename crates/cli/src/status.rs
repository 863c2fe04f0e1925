//! Exit status, as `corpus/README.md` promises it.

/// Success.
pub const OK: u8 = 0;
/// The program ended in an uncaught error.
pub const UNCAUGHT: u8 = 1;
/// The input does not compile, parse, decode or verify, or cannot be read.
pub const INVALID: u8 = 2;
/// A quota or capability stopped the program.
pub const STOPPED: u8 = 3;
/// Wrong usage.
pub const USAGE: u8 = 64;
