//! Looking at processes, and steering them from outside.

use super::process::{Body, Ended, State, Suspended, Wait};
use super::signal::What;
use super::{Actions, Core};
use crate::ids::ProcessId;
use crate::scheduler::End;
use qualm_vm::fiber::TraceEntry;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;

/// What to look at or do.
#[derive(Clone, Debug)]
pub enum Inspect {
    /// All processes.
    List,
    /// One process.
    Show(ProcessId),
    /// It does not run until it may go on.
    Suspend(ProcessId),
    /// It may go on.
    Resume(ProcessId),
    /// It ends.
    Kill(ProcessId),
    /// It gets a message.
    Send(ProcessId, Parcel),
    /// The input of a session that runs is given up.
    Interrupt,
}

/// What there is to know of a process.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its handle.
    pub id: ProcessId,
    /// Who spawned it, or looks after it.
    pub parent: ProcessId,
    /// What it does: `ready`, `waits for a message`, ...
    pub state: String,
    /// Messages that wait for it.
    pub messages: usize,
    /// Words of its frames and objects.
    pub words: usize,
    /// Function entries it has made.
    pub fuel: u64,
    /// Its active calls, outermost first, and how many in the middle are left out.
    pub trace: (Vec<TraceEntry>, usize),
}

impl Core {
    pub(super) fn inspect(&mut self, inspect: Inspect, actions: &mut Actions) -> Vec<Info> {
        match inspect {
            Inspect::List => {
                let guests = self.guests.keys().copied();
                let own = self.table.slots().map(|(id, _)| id);
                let ids: Vec<ProcessId> = own.chain(guests).collect();
                ids.into_iter().filter_map(|id| self.info(id)).collect()
            }
            Inspect::Show(id) => self.info(id).into_iter().collect(),
            Inspect::Suspend(id) => {
                if let Some(body) = self.body(id)
                    && body.suspended == Suspended::No
                {
                    body.suspended = Suspended::Yes;
                    self.suspended += 1;
                }
                self.info(id).into_iter().collect()
            }
            Inspect::Resume(id) => {
                let was = self.body(id).map(|body| std::mem::replace(&mut body.suspended, Suspended::No));
                if was == Some(Suspended::Skipped) {
                    self.ready.push_back(id);
                }
                self.suspended -= usize::from(was.is_some_and(|was| was != Suspended::No));
                self.info(id).into_iter().collect()
            }
            Inspect::Kill(id) => {
                let found = self.info(id).into_iter().collect::<Vec<_>>();
                if !found.is_empty() {
                    let reason = Parcel::of(Value::symbol(Known::Killed.number()));
                    self.cancel(id, Ended::Cancelled(reason), actions);
                }
                found
            }
            Inspect::Send(id, message) => {
                let found = self.info(id).into_iter().collect::<Vec<_>>();
                if !found.is_empty() {
                    self.send(id, What::Message(message, None), actions);
                }
                found
            }
            Inspect::Interrupt => {
                if self.settings.session && self.settings.number == 0 {
                    self.interrupt(End::Stopped, actions);
                }
                Vec::new()
            }
        }
    }

    fn info(&mut self, id: ProcessId) -> Option<Info> {
        let program = self.program.clone();
        let body = self.body(id)?;
        Some(Info {
            id,
            parent: body.parent,
            state: describe(body),
            messages: body.mailbox.len(),
            words: body.parked.size_words(),
            fuel: body.parked.fuel_used(),
            trace: body.parked.trace(&program),
        })
    }
}

fn describe(body: &Body) -> String {
    let state = match &body.state {
        State::Running => "running",
        State::Ready(_) => "ready",
        State::Waiting(Wait::Message { timed: false, .. }) => "waits for a message",
        State::Waiting(Wait::Message { .. }) => "waits for a message or a time",
        State::Waiting(Wait::Timer) => "sleeps",
        State::Waiting(Wait::Reply) => "waits for an answer",
        State::Waiting(Wait::Input) => "waits for an input",
        State::Waiting(Wait::Group(group)) => return format!("waits for {} of {}", group.left, group.results.len()),
    };
    if body.suspended == Suspended::No { state.to_owned() } else { format!("suspended, {state}") }
}
