//! Images: a whole program, with all its processes, as canonical bytes (`docs/snapshot.md`).
//!
//! Processes are numbered in the order of their handles, so that a map with handles as keys stays in order when they become other handles.
//! Times are written as what is left of them. Randomness is not part of an image: a program that goes on gets a new seed.

mod read;
mod write;

pub use read::restore;
pub use write::save;

use qualm_ir::binary;
use qualm_ir::module::Module;
use qualm_ir::wire::{Reader, WireError, Writer};
use std::collections::BTreeMap;

/// The first bytes of a file.
pub const MAGIC: &[u8; 6] = b"\x7fqimag";
/// The version of the format.
pub const VERSION: u64 = 1;

/// Arguments and names are at most so long.
const TEXT_MAX: usize = 1 << 26;

/// Tags of what a process waits for or is told.
mod waits {
    pub(super) const GO_ON: u8 = 0;
    pub(super) const UNIT: u8 = 1;
    pub(super) const BOOL: u8 = 2;
    pub(super) const MESSAGE: u8 = 3;
    pub(super) const MAYBE_MESSAGE: u8 = 4;
    pub(super) const NO_MESSAGE: u8 = 5;
    pub(super) const JOINED: u8 = 6;
    pub(super) const GROUP: u8 = 7;
    pub(super) const PROCESSES: u8 = 8;
    pub(super) const MAYBE_PROCESS: u8 = 9;
    pub(super) const NO_PROCESS: u8 = 10;
    pub(super) const ERROR: u8 = 11;
    pub(super) const INTERRUPTED: u8 = 12;
    pub(super) const FOR_MESSAGE: u8 = 16;
    pub(super) const FOR_TIME: u8 = 17;
    pub(super) const FOR_REPLY: u8 = 18;
    pub(super) const FOR_GROUP: u8 = 19;
}

/// What belongs to a program besides its processes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Around {
    /// What it sees as its arguments.
    pub args: Vec<String>,
    /// Values that it keeps by hash, if it keeps them itself.
    pub values: BTreeMap<String, Vec<u8>>,
}

/// A program that was stopped: its code and its state.
#[derive(Debug)]
pub struct Image {
    /// The code.
    pub module: Module,
    /// The state, whose hash names it.
    pub state: Vec<u8>,
}

impl Image {
    /// The bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(MAGIC);
        out.unsigned(VERSION);
        out.bytes(&binary::encode(&self.module));
        out.bytes(&self.state);
        out.into_bytes()
    }

    /// Reads a file. The state is read by [`restore`].
    ///
    /// # Errors
    /// If the bytes are not those of an image.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut input = Reader::new(bytes);
        if input.raw(MAGIC.len().min(bytes.len()))? != MAGIC {
            return Err(WireError {
                offset: 0,
                message: "this is not an image of a program (`\\x7fqimag` expected)".into(),
            });
        }
        let version = input.unsigned()?;
        if version != VERSION {
            return input.error(format!("image version {version}; this program reads version {VERSION}"));
        }
        let module = input.bytes(usize::MAX >> 1, "the code")?;
        let start = input.offset() - module.len();
        let module = binary::decode(module)
            .map_err(|error| WireError { offset: start + error.offset, message: error.message })?;
        let state = input.bytes(usize::MAX >> 1, "the state")?.to_vec();
        if input.remaining() > 0 {
            return input.error("the image should end here");
        }
        Ok(Self { module, state })
    }

    /// The hash that names the state.
    pub fn hash(&self) -> String {
        blake3::hash(&self.state).to_hex().to_string()
    }
}
