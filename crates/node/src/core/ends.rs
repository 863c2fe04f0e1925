//! How processes end, and who learns of it.

use super::process::{Ended, Reply, Suspended};
use super::signal::{Entry, What};
use super::table::{Listener, Place};
use super::{Actions, Core};
use crate::ids::ProcessId;
use crate::scheduler::End;
use crate::system::error;
use qualm_vm::code::Program;
use qualm_vm::fiber::Uncaught;
use qualm_vm::heap::Heap;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;
use std::sync::Arc;

impl Ended {
    /// `Ok` value or `Error` raised.
    pub(crate) fn value(&self, program: &Program, heap: &mut Heap) -> Value {
        let inner = match self {
            Self::Value(value) => {
                let value = heap.unpack(program, value);
                return heap.label(Known::Ok.number(), value);
            }
            Self::Error(raised) => heap.unpack(program, raised),
            Self::Cancelled(reason) => {
                let reason = heap.unpack(program, reason);
                heap.label(Known::Cancelled.number(), reason)
            }
            Self::Quota(what) => error(heap, Known::Quota, what),
            Self::Forgotten => error(heap, Known::System, "nothing is known of this process any more"),
        };
        heap.label(Known::Error.number(), inner)
    }
}

impl Core {
    // ---- the main process

    pub(super) fn main_done(&mut self, value: Value, actions: &mut Actions) {
        let heap = &mut self.fiber.heap;
        let (mut shown, mut state) = (value, None);
        if self.settings.state_cells.is_some_and(|cells| is_state(heap, value, cells)) {
            state = Some(heap.pack(&self.program, value));
            shown = heap.fields_of_tuple(value).and_then(|items| items.first().copied()).unwrap_or(value);
        }
        let text = heap.whole_repr(shown).unwrap_or_else(|_| heap.repr(shown));
        self.count_end();
        self.end_main(End::Value(text), state, actions);
    }

    pub(super) fn main_failed(&mut self, uncaught: Uncaught, actions: &mut Actions) {
        let heap = &self.fiber.heap;
        let raised = heap.as_label(uncaught.value).map(|(symbol, payload)| {
            let text = heap.as_text(payload).map_or_else(|| heap.repr(payload), str::to_owned);
            (heap.statics().symbol(symbol).to_owned(), text)
        });
        let message = describe(heap, uncaught.value);
        let end = End::Error { message, raised, trace: uncaught.trace, left_out: uncaught.left_out };
        self.count_end();
        self.end_main(end, None, actions);
    }

    /// The main process is over, and the program with it; in a session an input is.
    fn end_main(&mut self, end: End, state: Option<Parcel>, actions: &mut Actions) {
        if self.settings.session {
            self.end_input(end, state, actions);
        } else {
            actions.end = Some((end, state));
        }
    }

    /// A process used more than it may.
    pub(super) fn over_quota(&mut self, id: ProcessId, what: &'static str, actions: &mut Actions) {
        if id == ProcessId::MAIN {
            let end = if what == "memory" { End::OutOfMemory } else { End::OutOfFuel };
            self.count_end();
            self.end_main(end, None, actions);
        } else {
            self.end(id, Ended::Quota(what), actions);
        }
    }

    fn count_end(&mut self) {
        self.ended += 1;
        self.fiber.peak_heap_words();
    }

    // ---- other processes

    /// A process that is looked after here is over.
    pub(super) fn end(&mut self, id: ProcessId, ended: Ended, actions: &mut Actions) {
        self.count_end();
        let ended = if ended.is_unit() { self.unit.clone() } else { Arc::new(ended) };
        let at_home = id.home() == self.settings.number;
        let body = if at_home {
            match self.table.slot(id).map(|slot| std::mem::replace(&mut slot.place, Place::Ended(ended.clone()))) {
                Some(Place::Here(body)) => Some(body),
                _ => None,
            }
        } else {
            self.guests.remove(&id)
        };
        let Some(mut body) = body else { return };
        body.policy.end_fiber();
        self.suspended -= usize::from(body.suspended != Suspended::No);
        if body.holds {
            actions.gone.push(id);
        }
        if body.mailbox.look().is_some() {
            for (sender, token) in body.mailbox.get().senders.drain(..).collect::<Vec<_>>() {
                self.send(sender, What::Reply(token, Reply::Unit), actions);
            }
        }
        if at_home {
            self.ended_at_home(id, ended, body.spawned_at, actions);
        } else {
            self.send(id, What::Ended(ended, body.spawned_at), actions);
        }
    }

    /// Tells everybody who wants to know.
    pub(super) fn ended_at_home(&mut self, id: ProcessId, ended: Arc<Ended>, spawned_at: u64, actions: &mut Actions) {
        let Some(slot) = self.table.slot(id) else { return };
        if let Place::Returning(kept) = std::mem::replace(&mut slot.place, Place::Ended(ended.clone())) {
            for what in kept.1 {
                self.for_process(id, what, actions);
            }
            return self.ended_at_home(id, ended, spawned_at, actions);
        }
        let (listeners, parent) = (std::mem::take(&mut slot.listeners), slot.parent);
        let mut needed = true;
        for listener in listeners {
            needed &= !matches!(listener, Listener::Group(..) | Listener::Nobody);
            self.tell(id, listener, &ended, actions);
        }
        // The children of a process that ended well go to its parent; those of one that failed are no use to anybody.
        if spawned_at != 0 {
            let heir = ended.is_normal().then_some(parent);
            for core in (0..self.settings.cores).filter(|core| spawned_at >> (core % 64) & 1 == 1) {
                self.send_to(core, id, What::Orphans(heir), actions);
            }
        }
        if !needed {
            self.table.forget(id);
        }
    }

    fn tell(&mut self, id: ProcessId, listener: Listener, ended: &Arc<Ended>, actions: &mut Actions) {
        match listener {
            Listener::Join(waiter, token) => {
                self.send(waiter, What::Reply(token, Reply::Joined(ended.clone())), actions);
            }
            Listener::Group(waiter, token, place) => {
                self.send(waiter, What::Member(token, place, ended.clone()), actions);
            }
            Listener::Monitor(watcher, reference) => {
                self.send(watcher, What::Down(reference, id, ended.clone()), actions);
            }
            Listener::Link(peer) => self.send(peer, What::Linked(id, ended.clone()), actions),
            Listener::Registry => self.send_to(0, id, What::Registry(Entry::Gone, id, 0), actions),
            Listener::Nobody => {}
        }
    }

    /// Someone wants to know how a process ends, or has ended.
    pub(super) fn listen(&mut self, id: ProcessId, listener: Listener, actions: &mut Actions) {
        let ended = match self.table.slot(id) {
            Some(slot) => match &slot.place {
                Place::Ended(ended) => ended.clone(),
                // Who is linked twice, or has two names, is told once.
                _ if slot.is_told(listener) => return,
                Place::Free | Place::Here(_) | Place::Lent(_) | Place::Returning(_) => {
                    return slot.listeners.push(listener);
                }
            },
            None => Arc::new(Ended::Forgotten),
        };
        self.tell(id, listener, &ended, actions);
    }

    /// The parent of children that are at home here ended.
    pub(super) fn orphans(&mut self, parent: ProcessId, heir: Option<ProcessId>, actions: &mut Actions) {
        for child in self.table.children(parent).into_iter().rev() {
            let over = matches!(self.table.slot(child).map(|slot| &slot.place), Some(Place::Ended(_)));
            match heir {
                Some(heir) => {
                    self.table.adopt(child, heir);
                    self.send(child, What::Adopted(heir), actions);
                }
                None if over => self.table.forget(child),
                None => {
                    let reason = Parcel::of(Value::symbol(Known::Parent.number()));
                    self.send(child, What::Cancel(Box::new(Ended::Cancelled(reason))), actions);
                }
            }
        }
        if let Some(heir) = heir {
            let bit = 1 << (self.settings.number % 64);
            self.send(heir, What::Heir(bit), actions);
        }
    }

    /// Ends a process from outside.
    pub(super) fn cancel(&mut self, id: ProcessId, ended: Ended, actions: &mut Actions) {
        if id == ProcessId::MAIN {
            let is_killed =
                matches!(&ended, Ended::Cancelled(reason) if reason.is(Value::symbol(Known::Killed.number())));
            let message = match &ended {
                Ended::Cancelled(reason) => {
                    let reason = self.desk.unpack(&self.program, reason);
                    let text = format!("Cancelled error: {}", self.desk.repr(reason));
                    self.desk.clear();
                    text
                }
                _ => "Cancelled error".to_owned(),
            };
            let end = End::Error { message, raised: None, trace: Vec::new(), left_out: 0 };
            if self.settings.session && !is_killed {
                return self.interrupt(end, actions);
            }
            self.ended += 1;
            actions.end = Some((end, None));
            return;
        }
        self.end(id, ended, actions);
    }

    /// A process that this one is linked with ended: if it failed, this one ends too, unless it wants a message.
    pub(super) fn linked_ended(&mut self, id: ProcessId, from: ProcessId, ended: &Arc<Ended>, actions: &mut Actions) {
        let Some(body) = self.body(id) else { return };
        if body.mailbox.look().is_some_and(|messages| messages.traps) {
            let notice = self.notice(Known::Exit, |heap, program| {
                let result = ended.value(program, heap);
                heap.tuple(&[from.value(), result])
            });
            self.deliver(id, notice);
        } else if !ended.is_normal() {
            let reason = self.notice(Known::Linked, |heap, program| ended.value(program, heap));
            self.cancel(id, Ended::Cancelled(reason), actions);
        }
    }
}

/// Whether a value is a pair of some value and a list of so many cells.
fn is_state(heap: &Heap, value: Value, cells: usize) -> bool {
    let Some(pair) = heap.fields_of_tuple(value) else { return false };
    let [_, list] = pair[..] else { return false };
    let items = heap.list_values(list);
    heap.list_items(list).is_some() && items.len() == cells && items.into_iter().all(|item| heap.is_cell(item))
}

/// The message of an error nobody handled.
fn describe(heap: &Heap, value: Value) -> String {
    const LANGUAGE: std::ops::RangeInclusive<u32> = Known::Match as u32..=Known::Loop as u32;
    if let Some((symbol, payload)) = heap.as_label(value) {
        let name = heap.statics().symbol(symbol);
        let is_kind = LANGUAGE.contains(&symbol) || symbol == Known::System.number() || symbol == Known::Quota.number();
        if let (true, Some(text)) = (is_kind, heap.as_text(payload)) {
            return format!("{name} error: {text}");
        }
    }
    format!("Uncaught error: {}", heap.repr(value))
}
