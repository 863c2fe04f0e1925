//! A program that grows: its main process runs one input after another, each with functions of its own, while the processes that earlier inputs
//! spawned go on.
//!
//! Between two inputs the main process waits for the next one; its mailbox, its name and its children stay. What an input leaves to the next one is
//! kept here.

use super::process::{Body, Reply, State, Suspended, Wait};
use super::{Actions, Core, RequestTable};
use crate::ids::ProcessId;
use crate::policy::Policy;
use crate::scheduler::End;
use qualm_vm::code::Program;
use qualm_vm::fiber::Fiber;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::heap::{Heap, Stress};
use qualm_vm::parked::Parked;
use std::sync::Arc;

/// An input of a session.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The function that runs it.
    pub function: u32,
    /// How many cells it gives (see [`Begin`](crate::scheduler::Begin)).
    pub cells: usize,
    /// Whether it takes what the last input left as arguments.
    pub goes_on: bool,
}

/// Makes a fiber run a function whose arguments are the items of a state after its first.
pub(super) fn start_with(
    fiber: &mut Fiber,
    program: &Program,
    function: u32,
    state: Option<&Parcel>,
) -> Result<(), String> {
    let state = state.map(|state| fiber.heap.unpack(program, state));
    let items = state.and_then(|state| fiber.heap.fields_of_tuple(state)).unwrap_or_default();
    let args = items.get(1..).unwrap_or(&[]);
    let known = program.module().functions.get(function as usize);
    if known.is_none_or(|known| known.signature.params.len() != args.len()) {
        return Err(format!("function {function} does not take {} arguments", args.len()));
    }
    fiber.start_at(program, function, args);
    Ok(())
}

impl Core {
    /// Makes the main process, which waits for its first input. To be called on core 0, first of all.
    pub fn start_session(&mut self, policy: Arc<Policy>) {
        self.add_process(ProcessId::MAIN, None, Parked::elsewhere(), policy);
        self.ready.clear();
        self.wait_for_input();
    }

    /// Goes on with a program whose functions are those of the one it runs, and more behind them.
    ///
    /// No process may be loaded: see [`rest`](Core::rest).
    pub(crate) fn extend(&mut self, program: &Arc<Program>) {
        self.requests = RequestTable::of(program.statics());
        self.desk = Heap::new(program.statics().clone(), Stress::None);
        let stats = self.fiber.heap.stats;
        self.fiber = Fiber::new(program, self.policy.limits, self.settings.stress);
        self.fiber.heap.stats = stats;
        self.program = program.clone();
    }

    /// Lets the main process run an input. Its arguments are what the last input that left something left.
    ///
    /// # Errors
    /// If there is no such function, or it takes other arguments.
    pub(crate) fn begin_input(&mut self, begin: &Input) -> Result<(), String> {
        let limits = self.table.body(ProcessId::MAIN).map(|body| body.policy.limits).unwrap_or_default();
        let mut fiber = Fiber::new(&self.program, limits, self.settings.stress);
        let kept = self.kept.as_ref().filter(|_| begin.goes_on);
        start_with(&mut fiber, &self.program, begin.function, kept)?;
        let parked = fiber.park(&self.program);
        self.settings.state_cells = Some(begin.cells);
        if let Some(body) = self.table.body(ProcessId::MAIN) {
            body.parked = parked;
        }
        self.wake(ProcessId::MAIN, Reply::GoOn);
        Ok(())
    }

    /// The input is over.
    pub(super) fn end_input(&mut self, end: End, kept: Option<Parcel>, actions: &mut Actions) {
        actions.answered = Some((end, kept.is_some()));
        self.kept = kept.or(self.kept.take());
        self.wait_for_input();
    }

    /// Gives up the input that runs, if one does.
    pub(super) fn interrupt(&mut self, why: End, actions: &mut Actions) {
        let Some(Body { state, .. }) = self.table.body(ProcessId::MAIN) else { return };
        if matches!(state, State::Waiting(Wait::Input)) {
            return;
        }
        self.ready.retain(|id| *id != ProcessId::MAIN);
        self.end_input(why, None, actions);
    }

    fn wait_for_input(&mut self) {
        // What it waited for is no concern of the next input.
        self.token(ProcessId::MAIN);
        if let Some(body) = self.table.body(ProcessId::MAIN) {
            body.parked = Parked::elsewhere();
            body.state = State::Waiting(Wait::Input);
            // One that is suspended is not ready any more.
            if body.suspended == Suspended::Skipped {
                body.suspended = Suspended::Yes;
            }
        }
    }
}
