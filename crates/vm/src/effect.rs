//! Effects: finding a handler, running its clause, continuations.
//!
//! `perform` walks the frames from the top. A handler that takes the effect is asked by its guard, which runs on top of the frames that
//! perform and may perform nothing itself; then, by its mode,
//! - 0: the frames above the handler and the handler are dropped and the clause runs in their place (exceptions);
//! - 1: the clause runs on top, its value is the value of `perform`, nothing is captured (state, readers, most system calls);
//! - 2: the frames from the handler up become a continuation, and the clause runs in their place with it (deep handlers as in
//!   Plotkin and Pretnar 2013; resuming puts the handler back too);
//! - 3: the boundary of a [coroutine](crate::coroutine).
//!
//! While a guard or a clause of mode 1 runs, its handler and what lies above it do not handle: an `Await` frame remembers how far down
//! the handler is, and the walk jumps over it.
//!
//! A continuation is used once; `continuation.clone` makes another of the same point. Cloning shares everything the frames hold; it is refused
//! where the boundary of a coroutine is among them, for a coroutine runs once.

use crate::code::Program;
use crate::failure::{Failure, Outcome};
use crate::fiber::{Exit, Fiber, Next, THUNK_FAILED};
use crate::heap::Heap;
use crate::stack::{self, FrameKind, HEADER, distance_of, kind_of, link, place_of};
use crate::statics::Known;
use crate::value::{Immediate, Kind, Value};

/// `Await` step: apply the value to the arguments in the frame.
pub(crate) const APPLY_REST: u32 = 0;
/// `Await` step: a guard's answer; the frame holds the distance to the handler, the effect and its payload.
pub(crate) const GUARD: u32 = 1;
/// `Await` step: the value of a clause of mode 1; the frame holds the distance to the handler.
pub(crate) const CLAUSE: u32 = 2;

// Values of a handler frame.
const GUARD_VALUE: usize = 0;
pub(crate) const CLAUSE_VALUE: usize = 1;
const DONE_VALUE: usize = 2;
pub(crate) const MODE_VALUE: usize = 3;
pub(crate) const EFFECTS_VALUE: usize = 4;
/// The mode of a coroutine's boundary.
pub(crate) const BOUNDARY_MODE: usize = 3;

// Flags of a continuation.
pub(crate) const USED: i64 = 1;
/// The boundary of a coroutine is among its frames.
pub(crate) const CROSSES: i64 = 2;

impl Fiber {
    /// Runs `body` under a handler; the handled value goes to the top frame.
    pub(crate) fn handle(&mut self, program: &Program, parts: [Value; 4], effects: &[u32], mode: u8) -> Next {
        let [body, guard, clause, done] = parts;
        let mut values = vec![guard, clause, done, Value::index(usize::from(mode))];
        values.extend(effects.iter().map(|effect| Value::symbol(*effect)));
        self.push_values(program, FrameKind::Handler, 0, &values);
        self.apply(program, body, &[Value::UNIT])
    }

    /// The handled computation is done.
    pub(crate) fn finish_handler(&mut self, value: Value) -> Next {
        if let Some(coroutine) = self.boundary(self.top) {
            self.heap.set_coroutine_status(coroutine, Known::Done);
        }
        let done = self.frame_value(self.top, DONE_VALUE);
        self.pop();
        if done == Value::UNIT { Next::Deliver(value) } else { Next::Apply(done, vec![value]) }
    }

    fn frame_value(&self, at: usize, index: usize) -> Value {
        Value(self.stack[at + HEADER + index])
    }

    /// Performs an effect at the top frame.
    pub(crate) fn perform(&mut self, program: &Program, effect: u32, payload: Value) -> Next {
        self.find_handler(program, self.top, effect, payload)
    }

    /// Looks for a handler from the frame `at` down.
    fn find_handler(&mut self, program: &Program, mut at: usize, effect: u32, payload: Value) -> Next {
        loop {
            match kind_of(self.stack[at]) {
                FrameKind::Handler if self.takes(at, effect) => {
                    let distance = self.top - at;
                    if self.frame_value(at, MODE_VALUE) == Value::index(BOUNDARY_MODE) {
                        return self.leave_coroutine(program, distance, effect, payload);
                    }
                    let guard = self.frame_value(at, GUARD_VALUE);
                    if guard == Value::UNIT {
                        return self.select(program, distance, effect, payload);
                    }
                    let payload = payload.shared();
                    let values = [Value::index(distance), Value::symbol(effect), payload];
                    self.share_frame_value(at, GUARD_VALUE);
                    self.push_values(program, FrameKind::Await, GUARD, &values);
                    return self.apply(program, guard.shared(), &[payload, Value::symbol(effect)]);
                }
                FrameKind::Await => {
                    let (step, _) = place_of(self.stack[at + 1]);
                    if step == GUARD && effect != Known::Raise.number() {
                        return self.performed_in_guard(effect);
                    }
                    if step != APPLY_REST {
                        // The distance counts from the frame that performed, which lies just below this one.
                        let below = at - distance_of(self.stack[at]);
                        at = below - self.frame_value(at, 0).as_small_int().unwrap_or(0) as usize;
                    }
                }
                FrameKind::Bottom | FrameKind::Code | FrameKind::Force | FrameKind::Native | FrameKind::Handler => {}
            }
            let distance = distance_of(self.stack[at]);
            if distance == 0 {
                break;
            }
            at -= distance;
        }
        if effect == Known::Raise.number() {
            return Next::Exit(Exit::Failed(Box::new(self.uncaught(program, payload))));
        }
        if effect == Known::System.number() {
            return Next::Exit(Exit::Request(payload));
        }
        if is_internal(effect) {
            return self.leave_main(program, effect, payload);
        }
        let message = format!("no handler for {}", self.heap.repr(payload));
        self.fail(Failure::new(Known::Effect, message))
    }

    fn performed_in_guard(&mut self, effect: u32) -> Next {
        let name = self.heap.statics().symbol(effect).to_owned();
        self.fail(Failure::new(Known::Effect, format!("{name} performed in a guard")))
    }

    fn share_frame_value(&mut self, at: usize, index: usize) {
        let word = &mut self.stack[at + HEADER + index];
        *word = Value(*word).shared().0;
    }

    pub(crate) fn fail(&mut self, failure: Failure) -> Next {
        Next::Raise(failure.into_value(&mut self.heap))
    }

    fn takes(&self, at: usize, effect: u32) -> bool {
        let (_, count) = place_of(self.stack[at + 1]);
        (count == EFFECTS_VALUE && !is_internal(effect))
            || (EFFECTS_VALUE..count)
                .any(|index| self.frame_value(at, index).as_immediate(Immediate::Symbol) == Some(effect))
    }

    /// Runs the clause of the handler so far below the top frame.
    fn select(&mut self, program: &Program, distance: usize, effect: u32, value: Value) -> Next {
        let handler = self.top - distance;
        let clause = self.frame_value(handler, CLAUSE_VALUE);
        match self.frame_value(handler, MODE_VALUE).as_small_int() {
            Some(0) => {
                let value = value.shared();
                self.fail_thunks(handler, value);
                self.mark_coroutines(handler, failed_by(effect));
                self.top = handler;
                self.pop();
                self.apply(program, clause, &[value])
            }
            Some(1) => {
                self.share_frame_value(handler, CLAUSE_VALUE);
                self.push_values(program, FrameKind::Await, CLAUSE, &[Value::index(distance)]);
                self.apply(program, clause.shared(), &[value])
            }
            _ => {
                self.share_frame_value(handler, CLAUSE_VALUE);
                let continuation = self.capture(program, handler, effect);
                self.apply(program, clause.shared(), &[value, continuation])
            }
        }
    }

    /// Thunks that were being forced above a handler that drops them will never have a value: asking again raises the same error.
    fn fail_thunks(&mut self, handler: usize, error: Value) {
        let mut at = self.top;
        while at > handler {
            if kind_of(self.stack[at]) == FrameKind::Force
                && let Some(offset) = self.frame_value(at, 0).as_object(Kind::Thunk)
            {
                self.heap.write(offset, 0, Value::index(THUNK_FAILED as usize));
                self.heap.write(offset, 1, error.shared());
            }
            at -= distance_of(self.stack[at]);
        }
    }

    /// An `Await` frame has its value.
    pub(crate) fn finish_await(&mut self, program: &Program, value: Value) -> Next {
        let (step, _) = place_of(self.stack[self.top + 1]);
        let values = stack::values(&self.stack, self.top);
        self.pop();
        match step {
            APPLY_REST => self.apply(program, value, &values),
            GUARD => {
                let distance = values[0].as_small_int().unwrap_or(0) as usize;
                let effect = values[1].as_immediate(Immediate::Symbol).unwrap_or(0);
                if value != Value::UNIT {
                    return self.select(program, distance, effect, value);
                }
                let handler = self.top - distance;
                let below = handler - distance_of(self.stack[handler]);
                self.find_handler(program, below, effect, values[2])
            }
            _ => Next::Deliver(value),
        }
    }

    /// Takes the frames from `bottom` up off the stack and makes them a continuation.
    pub(crate) fn capture(&mut self, program: &Program, bottom: usize, effect: u32) -> Value {
        let flags = if self.mark_coroutines(bottom, failed_by(effect)) { CROSSES } else { 0 };
        let end = self.frame_end(program, self.top);
        let mut words = vec![Value::index(flags as usize), Value::index(self.top - bottom)];
        words.extend(self.stack[bottom..end].iter().map(|word| Value(*word)));
        let continuation = self.heap.make(Kind::Continuation, &words);
        self.top = bottom;
        self.pop();
        continuation
    }

    /// Puts the frames of a continuation back and gives a value to their top.
    pub(crate) fn resume_continuation(&mut self, program: &Program, continuation: Value, value: Value) -> Next {
        let Some(offset) = continuation.as_object(Kind::Continuation) else { return Next::Deliver(value) };
        let flags = self.heap.peek(offset, 0).as_small_int().unwrap_or(USED);
        if flags & USED != 0 {
            return self.fail(Failure::new(Known::Resume, "continuation already resumed"));
        }
        self.heap.write(offset, 0, Value::index(USED as usize));
        let count = self.heap.payload(offset).len() - 2;
        let at = self.frame_end(program, self.top);
        self.reserve(at + count);
        let below = kind_of(self.stack[self.top]);
        let top = self.heap.peek(offset, 1).as_small_int().unwrap_or(0) as usize;
        let frames = &mut self.heap.payload_mut(offset)[2..];
        self.stack[at..at + count].copy_from_slice(frames);
        // The frames are used up: what they held has one holder again, the stack.
        frames.fill(0);
        self.heap.write(offset, 1, Value::index(0));
        self.stack[at] = link(at - self.top, kind_of(self.stack[at]), below);
        self.top = at + top;
        if flags & CROSSES != 0 {
            self.mark_coroutines(at, Some(Known::Running));
        }
        Next::Deliver(value)
    }
}

/// Effects of the machine itself, which only boundaries take.
fn is_internal(effect: u32) -> bool {
    effect == Known::YieldEffect.number() || effect == Known::SwitchEffect.number()
}

/// What coroutines become that an effect leaves: an error ends them.
fn failed_by(effect: u32) -> Option<Known> {
    (effect == Known::Raise.number()).then_some(Known::Failed)
}

impl Heap {
    /// A second continuation of the same point; what the frames hold is shared by both.
    pub(crate) fn clone_continuation(&mut self, program: &Program, continuation: Value) -> Outcome {
        let Some(offset) = continuation.as_object(Kind::Continuation) else {
            let message = format!("expected a continuation, found {}", self.repr(continuation));
            return Err(Failure::new(Known::Type, message));
        };
        let flags = self.peek(offset, 0).as_small_int().unwrap_or(USED);
        if flags & USED != 0 {
            return Err(Failure::new(Known::Resume, "continuation already resumed"));
        }
        if flags & CROSSES != 0 {
            return Err(Failure::new(Known::Resume, "cannot clone across a fiber"));
        }
        let top = self.peek(offset, 1).as_small_int().unwrap_or(0) as usize;
        let payload = self.payload_mut(offset);
        stack::for_each_value(&mut payload[2..], top, program, &mut |word| *word = Value(*word).shared().0);
        let words: Vec<Value> = payload.iter().map(|word| Value(*word)).collect();
        Ok(self.make(Kind::Continuation, &words))
    }
}
