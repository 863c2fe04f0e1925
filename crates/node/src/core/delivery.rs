//! What a core does with the signals it gets: each is for one of its processes, or for the core itself.

use super::process::{Reply, Settled, State, Wait};
use super::signal::{Signal, What};
use super::table::{Place, Slot};
use super::{Actions, Core, MAILBOX_SOFT};
use crate::ids::ProcessId;
use qualm_vm::code::Program;
use qualm_vm::heap::Heap;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;

impl Core {
    /// Sends a signal to the home of its process.
    pub(crate) fn send(&mut self, to: ProcessId, what: What, actions: &mut Actions) {
        // Nobody, as a process in a stored value is, is not known here as well as anywhere.
        let home = if to.home() < self.settings.cores { to.home() } else { self.settings.number };
        self.send_to(home, to, what, actions);
    }

    pub(crate) fn send_to(&mut self, core: u8, to: ProcessId, what: What, actions: &mut Actions) {
        let signal = Signal { to, what };
        if core == self.settings.number {
            self.pending.push_back(signal);
        } else {
            actions.signals.push((core, signal));
        }
    }

    pub(super) fn signal(&mut self, signal: Signal, actions: &mut Actions) {
        let Signal { to, what } = signal;
        match what {
            What::Lend(body) => {
                self.ready.push_back(to);
                self.guests.insert(to, body);
            }
            What::Fence => self.for_process(to, What::Settled, actions),
            What::Returning => self.returning(to, actions),
            What::GoHome => self.go_home(to, actions),
            What::Return(_) | What::Stay => self.returned(to, what, actions),
            What::Orphans(heir) => self.orphans(to, heir, actions),
            What::Registry(entry, asker, token) => self.registry_asked(entry, to, asker, token, actions),
            What::Listen(listener) => self.listen(to, listener, actions),
            What::Unlisten(listener) => {
                if let Some(slot) = self.table.slot(to) {
                    slot.listeners.retain(|other| *other != listener);
                }
            }
            What::Ended(ended, spawned_at) => self.ended_at_home(to, ended, spawned_at, actions),
            What::Message(..)
            | What::Reply(..)
            | What::Member(..)
            | What::Cancel(_)
            | What::Linked(..)
            | What::Holds
            | What::Settled
            | What::Heir(_)
            | What::Adopted(_)
            | What::Down(..) => self.for_process(to, what, actions),
        }
    }

    pub(super) fn for_process(&mut self, to: ProcessId, what: What, actions: &mut Actions) {
        if to.home() == self.settings.number {
            match self.table.slot(to) {
                Some(Slot { place: Place::Lent(core), .. }) => {
                    return actions.signals.push((*core, Signal { to, what }));
                }
                Some(Slot { place: Place::Returning(kept), .. }) => return kept.1.push(what),
                _ => {}
            }
        }
        let Some(body) = self.body(to) else {
            if matches!(what, What::Holds | What::Reply(_, Reply::World(_))) {
                actions.gone.push(to);
            }
            if let What::Message(_, Some((sender, token))) = what {
                self.send(sender, What::Reply(token, Reply::Unit), actions);
            }
            return;
        };
        match what {
            What::Holds => body.holds = true,
            What::Message(message, from) => {
                // Beyond its quota nothing more is taken, and a sender learns of it when it next waits for room.
                let over = body.mailbox.len() >= body.policy.mailbox;
                if !over {
                    self.deliver(to, message);
                }
                match from {
                    Some((sender, token)) if over => {
                        let refused = Reply::Error(Known::Quota, "mailbox".into());
                        self.send(sender, What::Reply(token, refused), actions);
                    }
                    Some(from) => self.acknowledge(to, from, actions),
                    None => {}
                }
            }
            What::Reply(token, reply) => {
                if body.token == token && matches!(body.state, State::Waiting(Wait::Reply)) {
                    // Who asked the world goes on before others: where there is one core, asking is not a turn.
                    let at_once = matches!(reply, Reply::World(_));
                    body.state = State::Ready(reply);
                    if at_once { self.ready.push_front(to) } else { self.ready.push_back(to) }
                }
            }
            What::Member(token, place, ended) => {
                if body.token == token
                    && let State::Waiting(Wait::Group(group)) = &mut body.state
                {
                    group.results[place as usize] = Some(ended);
                    group.left -= 1;
                    if group.left == 0 {
                        let results = std::mem::take(&mut group.results).into_iter().flatten().collect();
                        self.wake(to, Reply::Group(results));
                    }
                }
            }
            What::Cancel(ended) => self.cancel(to, *ended, actions),
            What::Settled => body.settled = Settled::Yes,
            What::Heir(cores) => body.spawned_at |= cores,
            What::Adopted(parent) => body.parent = parent,
            What::Linked(from, ended) => self.linked_ended(to, from, &ended, actions),
            _ => {
                if let What::Down(reference, from, ended) = what {
                    let notice = self.notice(Known::Down, |heap, program| {
                        let reference = heap.int(reference);
                        let result = ended.value(program, heap);
                        heap.tuple(&[reference, from.value(), result])
                    });
                    self.deliver(to, notice);
                }
            }
        }
    }

    /// Tells the sender of a message from another core that it may send more: at once, unless the receiver has very many messages to take first.
    fn acknowledge(&mut self, to: ProcessId, (sender, token): (ProcessId, u32), actions: &mut Actions) {
        if let Some(body) = self.body(to)
            && (body.mailbox.is_full() || body.mailbox.len() > MAILBOX_SOFT && !matches!(body.state, State::Waiting(_)))
        {
            return body.mailbox.get().senders.push_back((sender, token));
        }
        self.send(sender, What::Reply(token, Reply::Unit), actions);
    }

    /// Puts a message into a mailbox, or hands it over at once.
    pub(crate) fn deliver(&mut self, to: ProcessId, message: Parcel) {
        let own = to.home() == self.settings.number;
        let body = if own { self.table.body(to) } else { self.guests.get_mut(&to).map(|body| &mut **body) };
        let Some(body) = body else { return };
        let State::Waiting(Wait::Message { at, take, timed }) = body.state else { return body.mailbox.push(message) };
        if body.mailbox.len() != at as usize {
            return body.mailbox.push(message);
        }
        if !(take && at == 0) {
            body.mailbox.push(message.clone());
        }
        body.state = State::Ready(if timed { Reply::MaybeMessage(Some(message)) } else { Reply::Message(message) });
        self.ready.push_back(to);
    }

    /// A message that the runtime makes: a label with a payload.
    pub(crate) fn notice(&mut self, label: Known, payload: impl FnOnce(&mut Heap, &Program) -> Value) -> Parcel {
        let payload = payload(&mut self.desk, &self.program);
        let value = self.desk.label(label.number(), payload);
        let parcel = self.desk.pack(&self.program, value);
        self.desk.clear();
        parcel
    }
}
