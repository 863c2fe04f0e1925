//! Coroutines: computations that run when they are applied and hand out values on the way (Passerine's `fiber`).
//!
//! A coroutine that runs lies on the stack of whoever applied it, above a handler frame of its own: the **boundary**, which takes the machine's
//! effects `yield` and `switch`. To yield is to make the frames from the boundary up a continuation and keep it in the coroutine. So
//! handlers around the call are handlers around the coroutine, and a snapshot needs nothing special.
//!
//! ```text
//!  New ──► Running ◄──► Suspended
//!             │ └─────► Done
//!             └───────► Failed     an error went through the boundary
//! ```

use crate::code::Program;
use crate::effect::{BOUNDARY_MODE, CLAUSE_VALUE, EFFECTS_VALUE};
use crate::failure::{Failure, Outcome};
use crate::fiber::{Fiber, Next};
use crate::heap::Heap;
use crate::heap::parcel::Parcel;
use crate::stack::{FrameKind, HEADER, distance_of, kind_of, place_of};
use crate::statics::Known;
use crate::value::{Immediate, Kind, Value};

// Fields of a coroutine.
const STATUS: usize = 0;
/// New: the function. Suspended: the continuation. Else unit.
const SLOT: usize = 1;

impl Heap {
    /// A coroutine that will apply a function to unit.
    pub(crate) fn coroutine(&mut self, function: Value) -> Value {
        self.make(Kind::Coroutine, &[Value::symbol(Known::New.number()), function]).shared()
    }

    /// The label of a coroutine's status.
    pub(crate) fn coroutine_status(&mut self, coroutine: Value) -> Outcome {
        let message = || Failure::new(Known::Type, format!("expected a fiber, found {}", self.repr(coroutine)));
        let offset = coroutine.as_object(Kind::Coroutine).ok_or_else(message)?;
        Ok(self.peek(offset, STATUS))
    }

    fn status(&self, offset: usize) -> u32 {
        self.peek(offset, STATUS).as_immediate(Immediate::Symbol).unwrap_or(0)
    }

    pub(crate) fn set_coroutine_status(&mut self, coroutine: Value, status: Known) {
        if let Some(offset) = coroutine.as_object(Kind::Coroutine) {
            self.write(offset, STATUS, Value::symbol(status.number()));
            if matches!(status, Known::Done | Known::Failed) {
                self.write(offset, SLOT, Value::UNIT);
            }
        }
    }

    /// A copy of a coroutine that waits, with all it reaches.
    ///
    /// # Errors
    /// `Fiber` for one that runs or has ended, `Type` for anything else.
    pub fn snapshot(&mut self, program: &Program, coroutine: Value) -> Outcome {
        let status = self.coroutine_status(coroutine)?;
        if ![Known::New, Known::Suspended].iter().any(|known| status == Value::symbol(known.number())) {
            return Err(Failure::new(Known::Fiber, "only new or suspended fibers can be snapshotted"));
        }
        let parcel = self.pack(program, coroutine);
        let copy = self.unpack(program, &parcel);
        Ok(self.make(Kind::Snapshot, &[copy]))
    }

    /// A new coroutine that goes on where a snapshot was taken.
    ///
    /// # Errors
    /// `Fiber` for anything but a snapshot.
    pub fn restore(&mut self, program: &Program, snapshot: Value) -> Outcome {
        let Some(offset) = snapshot.as_object(Kind::Snapshot) else {
            return Err(Failure::new(Known::Fiber, format!("expected a snapshot, found {}", self.repr(snapshot))));
        };
        let held = self.read(offset, 0);
        let parcel: Parcel = self.pack(program, held);
        Ok(self.unpack(program, &parcel))
    }
}

impl Fiber {
    /// Goes on with a coroutine; what it hands out goes to the top frame.
    pub(crate) fn call_coroutine(&mut self, program: &Program, coroutine: Value, value: Value) -> Next {
        let Some(offset) = coroutine.as_object(Kind::Coroutine) else { return Next::Deliver(value) };
        let status = self.heap.status(offset);
        if let Some(message) = refusal(status) {
            return self.fail(Failure::new(Known::Fiber, message));
        }
        let slot = self.heap.peek(offset, SLOT);
        self.heap.write(offset, SLOT, Value::UNIT);
        self.heap.write(offset, STATUS, Value::symbol(Known::Running.number()));
        if status == Known::Suspended.number() {
            return self.resume_continuation(program, slot, value);
        }
        let boundary = [
            Value::UNIT,
            coroutine.shared(),
            Value::UNIT,
            Value::index(BOUNDARY_MODE),
            Value::symbol(Known::YieldEffect.number()),
            Value::symbol(Known::SwitchEffect.number()),
        ];
        self.push_values(program, FrameKind::Handler, 0, &boundary);
        self.apply(program, slot, &[Value::UNIT])
    }

    /// `yield` or `switch` reached the boundary so far below the top frame.
    pub(crate) fn leave_coroutine(&mut self, program: &Program, distance: usize, effect: u32, payload: Value) -> Next {
        if effect == Known::SwitchEffect.number()
            && let Some(failure) = self.switch_refusal(payload)
        {
            return self.fail(failure);
        }
        let boundary = self.top - distance;
        let coroutine = Value(self.stack[boundary + HEADER + CLAUSE_VALUE]);
        let payload = payload.shared();
        let continuation = self.capture(program, boundary, effect);
        if let Some(offset) = coroutine.as_object(Kind::Coroutine) {
            self.heap.write(offset, STATUS, Value::symbol(Known::Suspended.number()));
            self.heap.write(offset, SLOT, continuation);
        }
        match effect == Known::SwitchEffect.number() {
            true => self.call_coroutine(program, payload, Value::UNIT),
            false => Next::Deliver(payload),
        }
    }

    /// `yield` or `switch` where no coroutine runs. A switch leaves everything behind.
    pub(crate) fn leave_main(&mut self, program: &Program, effect: u32, payload: Value) -> Next {
        if effect == Known::YieldEffect.number() {
            return self.fail(Failure::new(Known::Fiber, "yield outside a fiber"));
        }
        if let Some(failure) = self.switch_refusal(payload) {
            return self.fail(failure);
        }
        self.top = 0;
        self.call_coroutine(program, payload.shared(), Value::UNIT)
    }

    fn switch_refusal(&self, coroutine: Value) -> Option<Failure> {
        match coroutine.as_object(Kind::Coroutine) {
            Some(offset) => refusal(self.heap.status(offset)).map(|message| Failure::new(Known::Fiber, message)),
            None => {
                let message = format!("switch needs a fiber, found {}", self.heap.repr(coroutine));
                Some(Failure::new(Known::Type, message))
            }
        }
    }

    /// The coroutine whose boundary a frame is.
    pub(crate) fn boundary(&self, at: usize) -> Option<Value> {
        if kind_of(self.stack[at]) != FrameKind::Handler || place_of(self.stack[at + 1]).1 != EFFECTS_VALUE + 2 {
            return None;
        }
        let coroutine = Value(self.stack[at + HEADER + CLAUSE_VALUE]);
        coroutine.as_object(Kind::Coroutine).map(|_| coroutine)
    }

    /// Sets the status of every coroutine whose boundary lies above a frame; says whether there is one.
    pub(crate) fn mark_coroutines(&mut self, above: usize, status: Option<Known>) -> bool {
        let mut at = self.top;
        let mut any = false;
        while at > above {
            if let Some(coroutine) = self.boundary(at) {
                any = true;
                if let Some(status) = status {
                    self.heap.set_coroutine_status(coroutine, status);
                }
            }
            at -= distance_of(self.stack[at]);
        }
        any
    }
}

/// Why a coroutine of this status cannot go on.
fn refusal(status: u32) -> Option<&'static str> {
    if status == Known::Running.number() {
        Some("fiber is already running")
    } else if status == Known::Done.number() {
        Some("fiber is done")
    } else if status == Known::Failed.number() {
        Some("fiber has failed")
    } else {
        None
    }
}
