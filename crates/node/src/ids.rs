//! Handles of processes.

use qualm_vm::value::Value;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

const INDEX_BITS: u32 = 26;
const HOME_BITS: u32 = 8;
const GENERATION_BITS: u32 = 22;

/// Cores a program can have.
pub const CORES_MAX: usize = 1 << HOME_BITS;
/// Processes that can be at home at one core.
pub(crate) const INDEXES_MAX: usize = 1 << INDEX_BITS;
/// How often a place is given to a new process before numbers repeat.
pub(crate) const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// A process: the core at which it is at home, its place there, and which of the processes that had this place it is.
///
/// ```text
/// | generation 22 | home 8 | index 26 |
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(u64);

impl ProcessId {
    /// The main process.
    pub const MAIN: Self = Self(0);

    pub(crate) fn new(home: u8, index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << (INDEX_BITS + HOME_BITS) | u64::from(home) << INDEX_BITS | u64::from(index))
    }

    /// The process that a value is a handle of, if it is one.
    pub fn of(value: Value) -> Option<Self> {
        value.as_fiber().map(Self)
    }

    /// The handle as a value.
    pub fn value(self) -> Value {
        Value::fiber(self.0)
    }

    /// The handle that [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (home, index, generation) = (parts.next()?, parts.next()?, parts.next()?);
        let id = Self::new(home.parse().ok()?, index.parse().ok()?, generation.parse().ok()?);
        (parts.next().is_none() && id.index() < INDEXES_MAX && id.to_string() == text).then_some(id)
    }

    pub(crate) fn home(self) -> u8 {
        (self.0 >> INDEX_BITS) as u8
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize & (INDEXES_MAX - 1)
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> (INDEX_BITS + HOME_BITS)) as u32
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.home(), self.index(), self.generation())
    }
}

impl fmt::Debug for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes process ids, which the runtime makes itself: one multiplication spreads them well enough.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

pub(crate) type IdMap<T> = std::collections::HashMap<ProcessId, T, BuildHasherDefault<IdHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_parts() {
        let id = ProcessId::new(255, INDEXES_MAX as u32 - 1, GENERATION_MASK);
        assert_eq!((id.home(), id.index(), id.generation()), (255, INDEXES_MAX - 1, GENERATION_MASK));
        assert_eq!(ProcessId::of(id.value()), Some(id));
    }
}
