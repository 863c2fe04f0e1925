//! The processes of a program: mailboxes, who waits for what, timers, the queue of those that are ready.
//!
//! Everything that workers share is one [`Table`] behind one lock; the lock is never held while a fiber runs.
//!
//! ```text
//!          take                 Receive, Sleep, Join, Parallel
//!  Ready ────────► Running ───────────────────────────────────► Waiting
//!    ▲                │ slice over, Pause, answered at once          │ message, time, end of another
//!    └────────────────┴──────────────────────────────────────────────┘
//!                     └── end ──► Ended
//! ```

use crate::capability::Capabilities;
use qualm_vm::fiber::Fiber;
use qualm_vm::heap::parcel::Parcel;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// A process of the program; 0 is the main one.
pub type ProcessId = u32;

/// A process that can run.
#[derive(Debug)]
pub struct Process {
    pub(crate) id: ProcessId,
    pub(crate) fiber: Fiber,
    /// What it may ask of the world.
    pub(crate) capabilities: Arc<Capabilities>,
    /// What it is told when it runs again.
    pub(crate) answer: Option<Reply>,
}

/// What a waiting process is told.
#[derive(Debug)]
pub enum Reply {
    /// `()`
    Unit,
    /// A message.
    Message(Parcel),
    /// A message, or none in time.
    MaybeMessage(Option<Parcel>),
    /// How a process ended.
    Joined(Ended),
    /// How the members of a group ended.
    Group(Vec<Ended>),
    /// All processes wait for each other.
    Deadlock,
}

/// How a process ended: its value or the error it raised.
#[derive(Clone, Debug)]
pub enum Ended {
    /// It gave a value.
    Value(Parcel),
    /// It raised.
    Error(Parcel),
    /// It used more than it may.
    Quota,
}

/// What a process waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    Message,
    /// A message, or the timer with this number.
    MessageOrTimer(u64),
    Timer(u64),
    Join,
    /// Members of a group by their places, still to end.
    Group {
        results: Vec<Option<Ended>>,
        left: usize,
    },
}

/// Who is told when a process ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listener {
    Join(ProcessId),
    Group(ProcessId, usize),
}

/// What is known of a process besides its fiber.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) mailbox: VecDeque<Parcel>,
    pub(crate) waiting: Option<(Box<Process>, Wait)>,
    pub(crate) ended: Option<Ended>,
    pub(crate) listeners: Vec<Listener>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Timer {
    /// Reversed, so that the heap gives the earliest first.
    at: std::cmp::Reverse<(Instant, u64)>,
    process: ProcessId,
}

/// All processes of a program.
#[derive(Debug, Default)]
pub struct Table {
    slots: HashMap<ProcessId, Slot>,
    pub(crate) ready: VecDeque<Box<Process>>,
    pub(crate) running: usize,
    timers: BinaryHeap<Timer>,
    next_timer: u64,
    next_id: ProcessId,
}

impl Table {
    /// A number for a new process.
    pub(crate) fn new_id(&mut self) -> ProcessId {
        let id = self.next_id;
        self.next_id += 1;
        self.slots.insert(id, Slot::default());
        id
    }

    pub(crate) fn slot(&mut self, id: ProcessId) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    /// Lets a process wait.
    pub(crate) fn park(&mut self, process: Box<Process>, wait: Wait) {
        if let Some(slot) = self.slots.get_mut(&process.id) {
            slot.waiting = Some((process, wait));
        }
    }

    /// A timer for a process.
    pub(crate) fn timer(&mut self, at: Instant, process: ProcessId) -> u64 {
        self.next_timer += 1;
        self.timers.push(Timer { at: std::cmp::Reverse((at, self.next_timer)), process });
        self.next_timer
    }

    /// When the next timer is due.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|timer| timer.at.0.0)
    }

    /// Readies a waiting process.
    fn wake(&mut self, id: ProcessId, reply: Reply) {
        if let Some((mut process, _)) = self.slots.get_mut(&id).and_then(|slot| slot.waiting.take()) {
            process.answer = Some(reply);
            self.ready.push_back(process);
        }
    }

    /// Readies what waited for timers that are due.
    pub(crate) fn fire_timers(&mut self, now: Instant) {
        while self.timers.peek().is_some_and(|timer| timer.at.0.0 <= now) {
            let Some(Timer { at, process }) = self.timers.pop() else { return };
            let number = at.0.1;
            let reply = match self.slots.get(&process).and_then(|slot| slot.waiting.as_ref()) {
                Some((_, Wait::Timer(waits))) if *waits == number => Reply::Unit,
                Some((_, Wait::MessageOrTimer(waits))) if *waits == number => Reply::MaybeMessage(None),
                _ => continue,
            };
            self.wake(process, reply);
        }
    }

    /// Puts a message into a mailbox, or hands it over at once. A message to an ended process is dropped.
    pub(crate) fn send(&mut self, to: ProcessId, message: Parcel) {
        let Some(slot) = self.slots.get_mut(&to) else { return };
        match &slot.waiting {
            Some((_, Wait::Message)) => self.wake(to, Reply::Message(message)),
            Some((_, Wait::MessageOrTimer(_))) => self.wake(to, Reply::MaybeMessage(Some(message))),
            _ if slot.ended.is_none() => slot.mailbox.push_back(message),
            _ => {}
        }
    }

    /// Notes how a process ended and tells those who wait for it.
    pub(crate) fn end(&mut self, id: ProcessId, ended: Ended) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.ended = Some(ended.clone());
        slot.mailbox.clear();
        for listener in std::mem::take(&mut slot.listeners) {
            match listener {
                Listener::Join(waiter) => self.wake(waiter, Reply::Joined(ended.clone())),
                Listener::Group(waiter, place) => self.end_member(waiter, place, ended.clone()),
            }
        }
    }

    fn end_member(&mut self, waiter: ProcessId, place: usize, ended: Ended) {
        let Some((_, Wait::Group { results, left })) =
            self.slots.get_mut(&waiter).and_then(|slot| slot.waiting.as_mut())
        else {
            return;
        };
        results[place] = Some(ended);
        *left -= 1;
        if *left == 0 {
            let results = std::mem::take(results).into_iter().flatten().collect();
            self.wake(waiter, Reply::Group(results));
        }
    }

    /// Forgets a process whose end only its group needed.
    pub(crate) fn forget(&mut self, id: ProcessId) {
        self.slots.remove(&id);
    }

    /// Whether nothing can happen any more; then the main process is told.
    pub(crate) fn break_deadlock(&mut self, main: ProcessId) -> bool {
        if self.running > 0 || !self.ready.is_empty() || !self.timers.is_empty() {
            return false;
        }
        self.wake(main, Reply::Deadlock);
        true
    }
}
