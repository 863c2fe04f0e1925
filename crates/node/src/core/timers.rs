//! What is to happen when.

use crate::ids::ProcessId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Times at which waits of processes are over. A wait that was over earlier leaves its entry behind; its token tells.
#[derive(Default, Debug)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(u64, u64, ProcessId, u32)>>,
    count: u64,
}

impl Timers {
    /// A time, in nanoseconds of the core's clock, for a wait.
    pub(crate) fn add(&mut self, at: u64, id: ProcessId, token: u32) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, id, token)));
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
