//! What a core knows of each process.

use super::queue::Queue;
use crate::ids::ProcessId;
use crate::policy::Policy;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::parked::Parked;
use std::collections::VecDeque;
use std::sync::Arc;

/// A process: its fiber, what it waits for, its messages. It can be lent to another core.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) id: ProcessId,
    /// Who spawned it, or looks after it since that one ended.
    pub(crate) parent: ProcessId,
    pub(crate) parked: Parked,
    pub(crate) state: State,
    /// Counts waits, so that an answer to an earlier one is known.
    pub(crate) token: u32,
    pub(crate) mailbox: Mailbox,
    pub(crate) policy: Arc<Policy>,
    /// Cores at which it has spawned, as bits (of their numbers modulo 64).
    pub(crate) spawned_at: u64,
    /// It was lent here: what this core knows of messages that it sent to its home before.
    pub(crate) settled: Settled,
    /// Messages it sent to processes at other cores, modulo a power of two.
    pub(crate) sent_far: u8,
    /// It has asked the world for something: it may hold or wait for something there.
    pub(crate) holds: bool,
    /// Whether someone keeps it from running.
    pub(crate) suspended: Suspended,
    /// It was lent, and has asked whether it may go home.
    pub(crate) returns: bool,
}

/// Whether messages to a process that was lent are still on their way through its home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Settled {
    /// Perhaps.
    Unknown,
    /// The home was asked.
    Asked,
    /// The home answered, so they are all here.
    Yes,
}

/// Whether someone keeps a process from running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Suspended {
    /// Nobody does.
    No,
    /// It will not run.
    Yes,
    /// It was ready, and was passed over; it is to be put back into the queue.
    Skipped,
}

impl State {
    /// Whether it waits for a time, or for something until then.
    pub(crate) fn is_timed(&self) -> bool {
        matches!(self, Self::Waiting(Wait::Timer | Wait::Message { timed: true, .. }))
    }
}

/// What a process does.
#[derive(Debug)]
pub(crate) enum State {
    /// Runs now.
    Running,
    /// Will run, and is told this first.
    Ready(Reply),
    /// Waits for something.
    Waiting(Wait),
}

/// What a process waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// A message, and perhaps not for ever.
    Message { at: u32, take: bool, timed: bool },
    /// Time.
    Timer,
    /// Something that is told by [`What::Reply`](super::signal::What::Reply): the end of another process, room, an answer of the world.
    Reply,
    /// The ends of the members of a group.
    Group(Box<Group>),
    /// The next input of a session; its fiber is elsewhere.
    Input,
}

/// Members of a group by their places.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) results: Vec<Option<Arc<Ended>>>,
    pub(crate) left: usize,
}

/// What a waiting process is told.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Nothing: it was not waiting.
    GoOn,
    /// `()`
    Unit,
    /// A truth value.
    Bool(bool),
    /// A message.
    Message(Parcel),
    /// A message, or none in time.
    MaybeMessage(Option<Parcel>),
    /// How a process ended.
    Joined(Arc<Ended>),
    /// How the members of a group ended.
    Group(Vec<Arc<Ended>>),
    /// Processes.
    Processes(Vec<ProcessId>),
    /// A process, or none.
    MaybeProcess(Option<ProcessId>),
    /// What the world said.
    World(Box<crate::system::Answer>),
    /// An error: a label and a message.
    Error(qualm_vm::statics::Known, Box<str>),
}

/// How a process ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It gave a value.
    Value(Parcel),
    /// It raised.
    Error(Parcel),
    /// It was cancelled; a reason.
    Cancelled(Parcel),
    /// It used more than it may: of `memory`, `fuel`, `fibers` or `mailbox`.
    Quota(&'static str),
    /// Nothing is known of it any more.
    Forgotten,
}

impl Ended {
    /// Whether it gave `()`.
    pub(crate) fn is_unit(&self) -> bool {
        matches!(self, Self::Value(value) if value.is(qualm_vm::value::Value::UNIT))
    }

    /// Whether it gave a value.
    pub(crate) fn is_normal(&self) -> bool {
        matches!(self, Self::Value(_))
    }
}

/// The messages that wait for a process. Most processes have none at any time, so it is one word then.
#[derive(Default, Debug)]
pub(crate) struct Mailbox(Option<Box<Messages>>);

#[derive(Default, Debug)]
pub(crate) struct Messages {
    pub(crate) queue: Queue,
    /// Messages it wants to have at most; those who send more wait.
    pub(crate) bound: Option<usize>,
    /// Who waits for room, with the token of that wait.
    pub(crate) senders: VecDeque<(ProcessId, u32)>,
    /// Whether ends of linked processes are messages.
    pub(crate) traps: bool,
}

impl Mailbox {
    pub(crate) fn get(&mut self) -> &mut Messages {
        self.0.get_or_insert_default()
    }

    pub(crate) fn look(&self) -> Option<&Messages> {
        self.0.as_deref()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |messages| messages.queue.len())
    }

    pub(crate) fn push(&mut self, message: Parcel) {
        self.get().queue.push(message);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.as_ref().is_some_and(|messages| messages.bound.is_some_and(|bound| messages.queue.len() > bound))
    }

    /// Takes the message at a place.
    pub(crate) fn take(&mut self, at: usize) -> Option<Parcel> {
        let messages = self.0.as_mut()?;
        let message = messages.queue.take(at);
        if messages.queue.len() == 0 {
            // Room that a burst of messages needed is not kept by a process that may be idle from now on.
            if messages.queue.is_roomy() {
                messages.queue = Queue::default();
            }
            if messages.bound.is_none() && messages.senders.is_empty() && !messages.traps {
                self.0 = None;
            }
        }
        message
    }

    /// Who may go on now that there is room.
    pub(crate) fn released(&mut self) -> Vec<(ProcessId, u32)> {
        let Some(messages) = self.0.as_mut() else { return Vec::new() };
        let room = messages.queue.len() <= messages.bound.unwrap_or(super::MAILBOX_SOFT) / 2;
        if room { messages.senders.drain(..).collect() } else { Vec::new() }
    }
}
