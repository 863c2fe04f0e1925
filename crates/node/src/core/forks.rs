//! Copies of processes: made at once, or from what was kept under a hash.
//!
//! A copy has the frames and objects of the process as they were when it asked; its mailbox is empty, nobody is linked with it, and what the process
//! holds of the world stays with the process.

use super::process::{Reply, State};
use super::{Actions, Core, Flow};
use crate::ids::ProcessId;
use crate::system::Ask;
use qualm_ir::wire::WireError;
use qualm_vm::parked::Parked;
use qualm_vm::snapshot::{Decoder, Encoder};
use qualm_vm::statics::Known;
use qualm_vm::value::Value;
use std::collections::HashMap;

impl Core {
    /// `Fork ()`: `Some` copy; in the copy `None`.
    pub(super) fn fork(&mut self, id: ProcessId) -> Flow {
        let copy = self.resting(Parked::clone);
        match self.add_copy(id, copy) {
            Some(copy) => Flow::Answer(crate::system::option(&mut self.fiber.heap, Some(copy.value()))),
            None => self.raise(Known::Quota, "fibers"),
        }
    }

    /// `Checkpoint ()`: `Some` hash, under which the process as it is now is kept; `None` in what is made from it.
    pub(super) fn checkpoint(&mut self, id: ProcessId, actions: &mut Actions) -> Flow {
        let program = self.program.clone();
        let bytes = self.resting(|parked| {
            let nobody = HashMap::new();
            let mut out = Encoder::new(&program, &nobody);
            out.fiber(parked);
            out.finish()
        });
        self.ask(id, Ask::Checkpoint(bytes), actions)
    }

    /// `Respawn hash`: the bytes are there.
    pub(super) fn respawn(&mut self, id: ProcessId, bytes: Option<&[u8]>) {
        let copy = bytes.map(|bytes| self.kept_fiber(bytes)).transpose();
        let answer = match copy {
            Ok(None) => Ok(None),
            Ok(Some(copy)) => self.add_copy(id, copy).map(Some).ok_or((Known::Quota, "fibers".to_owned())),
            Err(error) => Err((Known::System, format!("what was kept is no process of this program: {error}"))),
        };
        let heap = &mut self.fiber.heap;
        match answer {
            Ok(copy) => {
                let value = crate::system::option(heap, copy.map(ProcessId::value));
                self.fiber.resume(value);
            }
            Err((kind, message)) => {
                let raised: Value = crate::system::error(heap, kind, &message);
                self.fiber.raise(raised);
            }
        }
    }

    fn kept_fiber(&self, bytes: &[u8]) -> Result<Parked, WireError> {
        let mut input = Decoder::new(bytes, &self.program, |_| Some(u64::MAX >> 8))?;
        let fiber = input.fiber(self.policy.limits.memory_words)?;
        input.finish()?;
        if !fiber.waits() {
            return Err(WireError { offset: 0, message: "it does not wait for an answer".into() });
        }
        Ok(fiber)
    }

    /// Looks at the process that is loaded as it is at rest.
    fn resting<T>(&mut self, look: impl FnOnce(&Parked) -> T) -> T {
        let parked = self.fiber.park(&self.program);
        let seen = look(&parked);
        self.fiber.unpark(parked, self.policy.limits);
        seen
    }

    /// Makes a process of a copy, which is told that it is one; nothing if there are too many.
    fn add_copy(&mut self, parent: ProcessId, copy: Parked) -> Option<ProcessId> {
        let policy = self.policy.clone();
        if !policy.begin_fiber() {
            return None;
        }
        let Some(id) = self.add_process(parent, None, copy, policy.clone()) else {
            policy.end_fiber();
            return None;
        };
        if let Some(body) = self.table.body(id) {
            body.state = State::Ready(Reply::MaybeProcess(None));
        }
        self.note_spawned(parent);
        Some(id)
    }
}
