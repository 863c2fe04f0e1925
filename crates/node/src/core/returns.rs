//! How a process that was lent comes home.
//!
//! A process that waits for a message is of no use where it was lent to, and every message would have to be sent on to it. So it goes home: the core
//! that has it asks (`Returning`), the home answers (`GoHome`) and keeps from then on what is for the process; what it sent on before arrives before
//! its answer. Then the process goes (`Return`), unless it has become ready in the meantime (`Stay`), and what was kept follows.

use super::process::{Settled, State, Suspended, Wait};
use super::signal::{Signal, What};
use super::table::Place;
use super::{Actions, Core};
use crate::ids::ProcessId;

impl Core {
    /// A process that was lent here has begun to wait.
    pub(super) fn offer_return(&mut self, id: ProcessId, actions: &mut Actions) {
        if let Some(body) = self.guests.get_mut(&id)
            && waits_long(&body.state)
            && !body.returns
        {
            body.returns = true;
            self.send(id, What::Returning, actions);
        }
    }

    /// The home of the process is asked whether it may come.
    pub(super) fn returning(&mut self, id: ProcessId, actions: &mut Actions) {
        if let Some(slot) = self.table.slot(id)
            && let Place::Lent(core) = slot.place
        {
            slot.place = Place::Returning(Box::new((core, Vec::new())));
            actions.signals.push((core, Signal { to: id, what: What::GoHome }));
        }
    }

    /// It may.
    pub(super) fn go_home(&mut self, id: ProcessId, actions: &mut Actions) {
        let Some(body) = self.guests.get_mut(&id) else { return };
        body.returns = false;
        if !waits_long(&body.state) || body.suspended != Suspended::No {
            return self.send(id, What::Stay, actions);
        }
        if let Some(mut body) = self.guests.remove(&id) {
            body.settled = Settled::Unknown;
            self.send(id, What::Return(body), actions);
        }
    }

    /// It came, or it stays where it is.
    pub(super) fn returned(&mut self, id: ProcessId, what: What, actions: &mut Actions) {
        let Some(slot) = self.table.slot(id) else { return };
        let Place::Returning(kept) = &mut slot.place else { return };
        let (core, kept) = (kept.0, std::mem::take(&mut kept.1));
        slot.place = if let What::Return(body) = what { Place::Here(body) } else { Place::Lent(core) };
        for what in kept {
            self.for_process(id, what, actions);
        }
    }
}

fn waits_long(state: &State) -> bool {
    matches!(state, State::Waiting(Wait::Message { timed: false, .. }))
}
