//! What is to happen when.

use crate::ids::ProcessId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Entries before it is worth a look which of them are still waited for.
const PURGE_MIN: usize = 1 << 12;

/// Times at which waits of processes are over. A wait that was over earlier leaves its entry behind; its token tells.
#[derive(Default, Debug)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, u64, ProcessId, u32)>>,
    count: u64,
    /// Entries after the last purge, or what makes the next one worth it.
    kept: usize,
}

impl Timers {
    /// A time, in nanoseconds of the core's clock, for a wait.
    pub(crate) fn add(&mut self, at: u64, id: ProcessId, token: u32) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, id, token)));
    }

    /// Whether most entries may belong to waits that are over.
    pub(crate) fn is_long(&self) -> bool {
        self.heap.len() >= PURGE_MIN.max(2 * self.kept)
    }

    /// Forgets entries of waits that are over.
    pub(crate) fn purge(&mut self, mut waits: impl FnMut(ProcessId, u32) -> bool) {
        self.heap.retain(|Reverse((_, _, id, token))| waits(*id, *token));
        self.kept = self.heap.len();
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes out a wait whose time has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<(ProcessId, u32)> {
        let Reverse((at, _, id, token)) = self.heap.peek().copied()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        Some((id, token))
    }

    /// All that is left: when, and which wait.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, ProcessId, u32)> + '_ {
        self.heap.iter().map(|Reverse((at, _, id, token))| (*at, *id, *token))
    }
}
