//! The processes at home at a core, and who belongs to whom.

use super::process::{Body, Ended};
use super::signal::What;
use crate::ids::{GENERATION_MASK, INDEXES_MAX, IdMap, ProcessId};
use std::collections::VecDeque;
use std::sync::Arc;
use thin_vec::ThinVec;

/// Free places that wait before they are used again, so that a place is not used again soon.
const FREE_MIN: usize = 1 << 12;
/// Places in one piece; a table that grows is never copied.
const CHUNK: usize = 1 << 12;
/// No place.
const NONE: u32 = u32::MAX;

/// What is known of a process at its home.
#[derive(Debug)]
pub(crate) struct Slot {
    generation: u32,
    /// Siblings at home here.
    next: u32,
    previous: u32,
    pub(crate) parent: ProcessId,
    pub(crate) place: Place,
    pub(crate) listeners: ThinVec<Listener>,
}

/// Where a process is.
#[derive(Debug)]
pub(crate) enum Place {
    /// Nowhere.
    Free,
    /// At home.
    Here(Box<Body>),
    /// At another core.
    Lent(u8),
    /// On its way home from another core; what came for it meanwhile.
    Returning(Box<(u8, Vec<What>)>),
    /// It ended.
    Ended(Arc<Ended>),
}

/// Who is told when a process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listener {
    /// A process that waits, by the token of that wait.
    Join(ProcessId, u32),
    /// A process whose group it is in, by its place there.
    Group(ProcessId, u32, u32),
    /// A process that gets a message with this number.
    Monitor(ProcessId, i64),
    /// A process that ends with it.
    Link(ProcessId),
    /// The registry: it has a name.
    Registry,
    /// Nobody will ask how it ended.
    Nobody,
}

/// The processes at home at one core.
#[derive(Debug)]
pub(crate) struct Table {
    home: u8,
    slots: Slots,
    free: VecDeque<u32>,
    /// The first child, at home here, of processes that have any.
    families: IdMap<u32>,
}

impl Table {
    pub(crate) fn new(home: u8) -> Self {
        Self { home, slots: Slots::default(), free: VecDeque::new(), families: IdMap::default() }
    }

    /// A place for a new process; nothing if there are too many.
    pub(crate) fn add(
        &mut self,
        parent: ProcessId,
        listener: Option<Listener>,
        mut body: Box<Body>,
    ) -> Option<ProcessId> {
        let index = if self.free.len() >= FREE_MIN || self.slots.len() >= INDEXES_MAX {
            self.free.pop_front()?
        } else {
            let place = Place::Free;
            self.slots.push(Slot {
                generation: 0,
                next: NONE,
                previous: NONE,
                parent,
                place,
                listeners: ThinVec::new(),
            });
            self.slots.len() as u32 - 1
        };
        let id = ProcessId::new(self.home, index, self.slots[index].generation);
        let next = if id == ProcessId::MAIN { NONE } else { self.families.insert(parent, index).unwrap_or(NONE) };
        if next != NONE {
            self.slots[next].previous = index;
        }
        let slot = &mut self.slots[index];
        (slot.parent, slot.next, slot.previous) = (parent, next, NONE);
        slot.listeners.extend(listener);
        (body.id, body.parent) = (id, parent);
        slot.place = Place::Here(body);
        Some(id)
    }

    pub(crate) fn slot(&mut self, id: ProcessId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation() && !slot.is_free())
    }

    pub(crate) fn body(&mut self, id: ProcessId) -> Option<&mut Body> {
        match self.slot(id) {
            Some(Slot { place: Place::Here(body), .. }) => Some(body),
            _ => None,
        }
    }

    /// Takes a process out of its parent's family.
    fn leave_family(&mut self, index: u32) {
        let Slot { next, previous, parent, .. } = self.slots[index];
        if previous != NONE {
            self.slots[previous].next = next;
        } else if next == NONE {
            self.families.remove(&parent);
        } else {
            self.families.insert(parent, next);
        }
        if next != NONE {
            self.slots[next].previous = previous;
        }
    }

    /// Nothing about this process is needed any more.
    pub(crate) fn forget(&mut self, id: ProcessId) {
        if self.slot(id).is_none() {
            return;
        }
        self.leave_family(id.index() as u32);
        let slot = &mut self.slots[id.index() as u32];
        slot.place = Place::Free;
        slot.listeners = ThinVec::new();
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        self.free.push_back(id.index() as u32);
    }

    /// The children of a process that are at home here, youngest first.
    pub(crate) fn children(&self, parent: ProcessId) -> Vec<ProcessId> {
        let mut found = Vec::new();
        let mut at = self.families.get(&parent).copied().unwrap_or(NONE);
        while at != NONE {
            let slot = &self.slots[at];
            found.push(ProcessId::new(self.home, at, slot.generation));
            at = slot.next;
        }
        found
    }

    /// Gives a process another parent.
    pub(crate) fn adopt(&mut self, id: ProcessId, parent: ProcessId) {
        if self.slot(id).is_none() {
            return;
        }
        let index = id.index() as u32;
        self.leave_family(index);
        let next = self.families.insert(parent, index).unwrap_or(NONE);
        if next != NONE {
            self.slots[next].previous = index;
        }
        let slot = &mut self.slots[id.index() as u32];
        (slot.parent, slot.next, slot.previous) = (parent, next, NONE);
    }

    /// Puts a process at the place of its handle, which is the next free one.
    pub(crate) fn restore(&mut self, id: ProcessId, parent: ProcessId, place: Place) {
        let index = self.slots.len() as u32;
        debug_assert_eq!(index as usize, id.index(), "processes come back in the order of their places");
        let next = if id == ProcessId::MAIN { NONE } else { self.families.insert(parent, index).unwrap_or(NONE) };
        if next != NONE {
            self.slots[next].previous = index;
        }
        self.slots.push(Slot { generation: 0, next, previous: NONE, parent, place, listeners: ThinVec::new() });
    }

    /// All places that are taken.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (ProcessId, &Slot)> {
        let home = self.home;
        let taken = (0..).zip(self.slots.iter()).filter(|(_, slot)| !slot.is_free());
        taken.map(move |(at, slot)| (ProcessId::new(home, at, slot.generation), slot))
    }
}

/// A vector in pieces.
#[derive(Default, Debug)]
struct Slots(Vec<Vec<Slot>>);

impl Slots {
    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    fn push(&mut self, slot: Slot) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(slot),
            // Small programs have one short piece.
            None => self.0.push(vec![slot]),
            Some(_) => {
                let mut next = Vec::with_capacity(CHUNK);
                next.push(slot);
                self.0.push(next);
            }
        }
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.0.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().flatten()
    }
}

impl std::ops::Index<u32> for Slots {
    type Output = Slot;

    fn index(&self, index: u32) -> &Slot {
        &self.0[index as usize / CHUNK][index as usize % CHUNK]
    }
}

impl std::ops::IndexMut<u32> for Slots {
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.0[index as usize / CHUNK][index as usize % CHUNK]
    }
}

impl Slot {
    /// Whether a link or the registry is among those who are told already; there is one of each join and monitor.
    pub(crate) fn is_told(&self, listener: Listener) -> bool {
        matches!(listener, Listener::Link(_) | Listener::Registry) && self.listeners.contains(&listener)
    }

    fn is_free(&self) -> bool {
        matches!(self.place, Place::Free)
    }
}
