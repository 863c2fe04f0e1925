//! What cores tell each other, and what a core tells itself later.

use super::process::{Body, Ended, Reply};
use super::table::Listener;
use crate::ids::ProcessId;
use qualm_vm::heap::parcel::Parcel;
use std::sync::Arc;

/// Something for a process, or for the core that looks after it. Signals go to the home of the process, which sends on what is for a process it has
/// lent. Each core takes signals in the order in which they were sent to it, so those of one sender for one receiver keep their order.
#[derive(Debug)]
pub struct Signal {
    pub(crate) to: ProcessId,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    // ---- for the process, wherever it is
    /// A message, and perhaps who waits to hear that there is room for more.
    Message(Parcel, Option<(ProcessId, u32)>),
    /// The answer to the wait of this number.
    Reply(u32, Reply),
    /// A member of the group it waits for ended: token, place.
    Member(u32, u32, Arc<Ended>),
    /// It must end.
    Cancel(Box<Ended>),
    /// A process it is linked with ended.
    Linked(ProcessId, Arc<Ended>),
    /// It was given something of the world.
    Holds,
    /// The home answers [`What::Fence`].
    Settled,
    /// It has children at these cores now, from a child that ended.
    Heir(u64),
    /// It has another parent.
    Adopted(ProcessId),
    /// A process it watches ended.
    Down(i64, ProcessId, Arc<Ended>),

    // ---- for its home
    Listen(Listener),
    Unlisten(Listener),
    /// It arrived where it was lent to.
    Fence,
    /// It waits where it was lent to, and may come home.
    Returning,
    /// It comes home.
    Return(Box<Body>),
    /// It became ready before it could.
    Stay,
    /// It ended where it was lent to; the cores at which it spawned.
    Ended(Arc<Ended>, u64),

    // ---- for the core that is addressed
    /// A process to look after.
    Lend(Box<Body>),
    /// The home answers [`What::Returning`].
    GoHome,
    /// The parent of these children ended: they get another parent, or are cancelled.
    Orphans(Option<ProcessId>),
    /// For the registry; the process that asks, and its token.
    Registry(Entry, ProcessId, u32),
}

/// What the registry is asked.
#[derive(Debug)]
pub(crate) enum Entry {
    Name(String, ProcessId),
    Find(String),
    Join(String, ProcessId),
    Leave(String, ProcessId),
    Members(String),
    /// A process with entries ended.
    Gone,
}
