//! The identity of functions: BLAKE3-256 of what they mean.
//!
//! Hashed are signature, body, constants and the hashes of what is referred to; names, comments and spans are not. A group of mutually
//! recursive functions has one hash and its members are numbered (the idea is Unison's: unison-lang.org, "the big idea").

use crate::binary::write_function;
use crate::module::Module;
use crate::wire::Writer;
use std::fmt;

/// Starts every hashed text, so that these hashes are of no other use.
const CONTEXT: &[u8] = b"qualm function group 1";

/// The identity of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionHash {
    /// The hash of its group.
    pub group: [u8; 32],
    /// Its place in the group.
    pub member: u32,
}

impl fmt::Display for FunctionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.group {
            write!(f, "{byte:02x}")?;
        }
        if self.member > 0 { write!(f, ".{}", self.member) } else { Ok(()) }
    }
}

impl fmt::Debug for FunctionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of every function of a module, by position.
pub fn function_hashes(module: &Module) -> Vec<FunctionHash> {
    let mut hashes: Vec<FunctionHash> = Vec::with_capacity(module.functions.len());
    for group in &module.groups {
        let mut out = Writer::default();
        out.raw(CONTEXT);
        out.length(group.len());
        for index in group.clone() {
            write_function(&mut out, &module.functions[index as usize], &mut |out, index| {
                if group.contains(&index.0) {
                    out.byte(0);
                    out.unsigned(u64::from(index.0 - group.start));
                } else {
                    let known = hashes[index.index()];
                    out.byte(1);
                    out.raw(&known.group);
                    out.unsigned(u64::from(known.member));
                }
            });
        }
        let hash = *blake3::hash(&out.into_bytes()).as_bytes();
        hashes.extend(group.clone().map(|index| FunctionHash { group: hash, member: index - group.start }));
    }
    hashes
}
