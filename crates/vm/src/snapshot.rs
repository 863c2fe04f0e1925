//! Snapshots: the state of fibers as canonical bytes (`docs/snapshot.md` has them byte by byte).
//!
//! The same state gives the same bytes on every executor: functions are named by hash, symbols and string constants by text, frames by
//! `(function, resume point, live registers)`; objects are numbered in the order in which a trace from the roots meets them. Which references are
//! owned is not written: it follows from how often an object is referred to. Nor is anything that depends on how an executor lays out a frame.
//!
//! A reader trusts nothing: every count is compared with the bytes left before anything is allocated, every function, resume point and register
//! must fit the code, and data that no program could have made (cycles without a variable, maps out of order) is refused.

mod check;
mod read;
mod write;

pub use read::Decoder;
pub use write::Encoder;

/// Tags of values.
pub(crate) mod tag {
    pub(crate) const UNIT: u8 = 0;
    pub(crate) const FALSE: u8 = 1;
    pub(crate) const TRUE: u8 = 2;
    pub(crate) const EMPTY: u8 = 3;
    pub(crate) const INT: u8 = 4;
    pub(crate) const FLOAT: u8 = 5;
    pub(crate) const SYMBOL: u8 = 6;
    pub(crate) const FUNCTION: u8 = 7;
    pub(crate) const TEXT: u8 = 8;
    pub(crate) const PROCESS: u8 = 9;
    /// The next object that was not met before.
    pub(crate) const NEW: u8 = 10;
    /// An object by its number.
    pub(crate) const OBJECT: u8 = 11;
    /// An object by how many were met since.
    pub(crate) const RECENT: u8 = 12;
    /// The content of an `int` register.
    pub(crate) const RAW_INT: u8 = 13;
    /// The content of a `float` register.
    pub(crate) const RAW_FLOAT: u8 = 14;
}

/// Tags of frames.
pub(crate) mod frame {
    pub(crate) const CODE: u8 = 1;
    pub(crate) const FORCE: u8 = 2;
    pub(crate) const APPLY: u8 = 3;
    pub(crate) const GUARD: u8 = 4;
    pub(crate) const CLAUSE: u8 = 5;
    pub(crate) const NATIVE: u8 = 6;
    pub(crate) const HANDLER: u8 = 7;
}

/// Tags of what a fiber does next.
pub(crate) mod then {
    pub(crate) const RUN: u8 = 0;
    pub(crate) const ENTER: u8 = 1;
    pub(crate) const DELIVER: u8 = 2;
    pub(crate) const RAISE: u8 = 3;
    pub(crate) const PERFORM: u8 = 4;
    pub(crate) const APPLY: u8 = 5;
    pub(crate) const WAIT: u8 = 6;
}
