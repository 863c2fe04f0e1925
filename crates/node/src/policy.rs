//! What a process may use and ask for. Processes share the policy of the one that spawned them, unless they were given a narrower one.

use crate::capability::Capabilities;
use qualm_vm::fiber::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Messages that may wait in one mailbox, unless a policy says otherwise.
pub const MAILBOX_MAX: usize = 1 << 24;

/// Policies within policies; every one is looked at when fuel is counted.
pub const DEPTH_MAX: u32 = 256;

/// What a process may use.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Quotas {
    /// Words of frames and objects of each process; nothing for what the parent may.
    pub memory_words: Option<usize>,
    /// Function entries of the process and all it spawns, together.
    pub fuel: Option<u64>,
    /// Processes it may have below it at any time.
    pub fibers: Option<u64>,
    /// Messages that may wait for it.
    pub mailbox: Option<usize>,
}

/// Capabilities and quotas.
#[derive(Debug)]
pub struct Policy {
    /// What may be asked of the world.
    pub capabilities: Capabilities,
    /// The memory of each process.
    pub limits: Limits,
    /// Messages that may wait in one mailbox.
    pub mailbox: usize,
    fuel: Option<AtomicI64>,
    fibers: Option<AtomicI64>,
    parent: Option<Arc<Policy>>,
    depth: u32,
}

impl Policy {
    /// The policy of a program.
    pub fn root(capabilities: Capabilities, limits: Limits, fuel: Option<u64>) -> Self {
        let fuel = fuel.map(|fuel| AtomicI64::new(i64::try_from(fuel).unwrap_or(i64::MAX)));
        Self { capabilities, limits, mailbox: MAILBOX_MAX, fuel, fibers: None, parent: None, depth: 0 }
    }

    /// The same with at most so many processes.
    pub fn with_fibers(self, most: u64) -> Self {
        Self { fibers: Some(AtomicI64::new(i64::try_from(most).unwrap_or(i64::MAX))), ..self }
    }

    /// A policy that allows less; nothing if it is within too many already.
    pub fn narrowed(self: &Arc<Self>, capabilities: Capabilities, quotas: Quotas) -> Option<Self> {
        if self.depth == DEPTH_MAX {
            return None;
        }
        let counter = |most: Option<u64>| most.map(|most| AtomicI64::new(i64::try_from(most).unwrap_or(i64::MAX)));
        let memory = quotas.memory_words.unwrap_or(usize::MAX).min(self.limits.memory_words);
        Some(Self {
            capabilities,
            limits: Limits { memory_words: memory },
            mailbox: quotas.mailbox.unwrap_or(usize::MAX).min(self.mailbox),
            fuel: counter(quotas.fuel),
            fibers: counter(quotas.fibers),
            parent: Some(self.clone()),
            depth: self.depth + 1,
        })
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |policy| policy.parent.as_deref())
    }

    /// Whether any policy around limits fuel.
    pub(crate) fn limits_fuel(&self) -> bool {
        self.chain().any(|policy| policy.fuel.is_some())
    }

    /// The least fuel that any policy around has left, and whether that is the program's.
    pub(crate) fn fuel_left(&self) -> Option<(u64, bool)> {
        let mut least = None;
        for policy in self.chain() {
            if let Some(fuel) = &policy.fuel {
                let left = fuel.load(Ordering::Relaxed).max(0) as u64;
                if least.is_none_or(|(least, _)| left <= least) {
                    least = Some((left, policy.parent.is_none()));
                }
            }
        }
        least
    }

    pub(crate) fn use_fuel(&self, used: u64) {
        for policy in self.chain() {
            if let Some(fuel) = &policy.fuel {
                fuel.fetch_sub(used as i64, Ordering::Relaxed);
            }
        }
    }

    /// Counts a process that begins, if it may.
    pub(crate) fn begin_fiber(&self) -> bool {
        for (at, policy) in self.chain().enumerate() {
            if let Some(fibers) = &policy.fibers
                && fibers.fetch_sub(1, Ordering::Relaxed) <= 0
            {
                self.chain().take(at + 1).for_each(Self::give_fiber);
                return false;
            }
        }
        true
    }

    pub(crate) fn end_fiber(&self) {
        self.chain().for_each(Self::give_fiber);
    }

    fn give_fiber(&self) {
        if let Some(fibers) = &self.fibers {
            fibers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The quotas that bind here, for snapshots: fuel and fibers that are left.
    pub(crate) fn quotas(&self) -> Quotas {
        let left =
            |counter: &Option<AtomicI64>| counter.as_ref().map(|left| left.load(Ordering::Relaxed).max(0) as u64);
        Quotas {
            memory_words: Some(self.limits.memory_words),
            fuel: left(&self.fuel),
            fibers: left(&self.fibers),
            mailbox: Some(self.mailbox),
        }
    }

    pub(crate) fn parent(&self) -> Option<&Arc<Policy>> {
        self.parent.as_ref()
    }
}
