//! What is known of an object besides its content.

use crate::Hash;
use qualm_ir::wire::{Reader, WireError, Writer};
use std::fmt;

/// What a content is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A binary module.
    Code,
    /// The state of a program or process; it needs its code.
    State,
    /// A value that a program stored.
    Value,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Code => "code",
            Self::State => "state",
            Self::Value => "value",
        })
    }
}

/// What is known of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// The chunks of its content, in order.
    pub chunks: Vec<Hash>,
    /// Objects it cannot be used without.
    pub needs: Vec<Hash>,
}

impl Entry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.byte(match self.kind {
            Kind::Code => 1,
            Kind::State => 2,
            Kind::Value => 3,
        });
        out.unsigned(self.size);
        for list in [&self.chunks, &self.needs] {
            out.length(list.len());
            list.iter().for_each(|hash| out.raw(&hash.0));
        }
        out.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let kind = match input.byte().ok()? {
            1 => Kind::Code,
            2 => Kind::State,
            3 => Kind::Value,
            _ => return None,
        };
        let size = input.unsigned().ok()?;
        let hashes = |input: &mut Reader<'_>| -> Result<Vec<Hash>, WireError> {
            let count = input.count(usize::MAX, "the number of hashes")?;
            (0..count).map(|_| input.raw(32).map(|raw| Hash(raw.try_into().expect("32 bytes were read")))).collect()
        };
        let chunks = hashes(&mut input).ok()?;
        let needs = hashes(&mut input).ok()?;
        (input.remaining() == 0).then_some(Self { kind, size, chunks, needs })
    }
}
