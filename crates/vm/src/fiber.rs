//! A fiber: stack, heap and what it does next.
//!
//! ```text
//!            start                    run
//!  Idle ───────────► Ready ─────────────────────► Done      value or failure was given out
//!                    ▲  │ ▲ out of fuel
//!                    │  │ └──────┘
//!     resume, raise  │  ▼ Exit::Request
//!                    Waiting
//! ```
//!
//! The outer loop is [`Fiber::run`]: it matches on the kind of the top frame. All communication between frames is one value. The inner loop,
//! [`interp`](crate::interp), runs `Code` frames and comes back here for everything that is not a plain call or return.

use crate::code::Program;
use crate::failure::Failure;
use crate::heap::{Heap, Stress};
use crate::interp;
use crate::parked::Scratch;
use crate::stack::{FrameKind, HEADER, WINDOW, distance_of, kind_of, link, place, place_of};
use crate::statics::Known;
use crate::value::{Immediate, Kind, Tag, Value};
use qualm_ir::source::Span;

/// What a fiber does when it goes on.
#[derive(Debug)]
pub(crate) enum Next {
    /// Runs the `Code` frame at the top.
    Run,
    /// Gives a value to the top frame.
    Deliver(Value),
    /// Raises an error value at the top frame.
    Raise(Value),
    /// Performs an effect at the top frame.
    Perform(u32, Value),
    /// Applies a value to arguments; the result goes to the top frame.
    Apply(Value, Vec<Value>),
    /// Forces a value; the result goes to the top frame.
    Force(Value),
    /// Leaves the loop.
    Exit(Exit),
}

/// Why [`Fiber::run`] came back.
#[derive(Debug)]
pub enum Exit {
    /// The fiber is done; this is its value.
    Done(Value),
    /// The fiber ended in an error nobody handled.
    Failed(Box<Uncaught>),
    /// The fiber asks its system for something; go on with [`Fiber::resume`] or [`Fiber::raise`].
    Request(Value),
    /// The fuel is used up; `run` goes on.
    OutOfFuel,
    /// The fiber needs more memory than it may have.
    OutOfMemory,
}

/// An error nobody handled.
#[derive(Debug)]
pub struct Uncaught {
    /// What was raised.
    pub value: Value,
    /// The calls that were active, outermost first.
    pub trace: Vec<TraceEntry>,
    /// How many calls between the outer and the inner half of the trace were left out.
    pub left_out: usize,
}

/// An active call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEntry {
    /// The function.
    pub function: u32,
    /// The instruction it was at.
    pub pc: usize,
    /// Where that comes from.
    pub span: Option<Span>,
}

/// Calls shown of each end of a trace.
const TRACE_HALF: usize = 20;

/// What a fiber may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Words of stack and heap together.
    pub memory_words: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_words: 1 << 29 }
    }
}

/// What a fiber that does not run does when it runs again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Then {
    /// It was never started.
    Idle,
    /// Runs the `Code` frame at the top.
    Run,
    /// The same, at its function's entry, which is still to be paid for.
    Enter,
    /// Gives a value to the top frame.
    Deliver(Value),
    /// Raises an error value at the top frame.
    Raise(Value),
    /// Performs an effect at the top frame.
    Perform(u32, Value),
    /// Applies a function to `()`.
    Apply(Value),
    /// It waits for the answer to a request.
    Wait,
    /// It is over.
    Done,
}

/// A fiber. Aligned so that two fibers on two cores never write to one cache line (two on some machines).
#[derive(Debug)]
#[repr(align(128))]
pub struct Fiber {
    /// Its objects.
    pub heap: Heap,
    pub(crate) stack: Vec<u64>,
    /// The top frame.
    pub(crate) top: usize,
    pub(crate) fuel: i64,
    pub(crate) fuel_used: u64,
    limits: Limits,
    pub(crate) then: Then,
    /// Words the heap had when it was last compacted to rest.
    pub(crate) live: usize,
    /// The block that the fiber came in.
    pub(crate) block: Vec<u64>,
    /// Whether it has waited before, and may do so again and again.
    pub(crate) has_waited: bool,
    /// Room of its own, while it runs a fiber that brought some.
    pub(crate) scratch: Option<Box<Scratch>>,
}

/// Words a fresh stack has room for.
pub(crate) const FIRST_STACK: usize = 4096;

impl Fiber {
    /// A fiber with nothing to do yet.
    pub fn new(program: &Program, limits: Limits, stress: Stress) -> Self {
        let mut heap = Heap::new(program.statics.clone(), stress);
        heap.set_most_words(limits.memory_words);
        Self {
            heap,
            stack: vec![0; FIRST_STACK],
            top: 0,
            fuel: 0,
            fuel_used: 0,
            limits,
            then: Then::Idle,
            live: 0,
            block: Vec::new(),
            has_waited: false,
            scratch: None,
        }
    }

    /// What it may use from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.heap.set_most_words(limits.memory_words);
    }

    /// Makes it run the entry of the program.
    ///
    /// # Panics
    /// If the program has no entry or the fiber was started.
    pub fn start(&mut self, program: &Program) {
        self.start_at(program, program.entry.expect("the program has an entry"), &[]);
    }

    /// Makes it run a function with arguments of its own heap.
    ///
    /// # Panics
    /// If the function takes another number of arguments or the fiber was started.
    pub fn start_at(&mut self, program: &Program, function: u32, args: &[Value]) {
        assert!(self.then == Then::Idle, "a fiber is started once");
        assert_eq!(program.code(function).params, args.len(), "the function takes other arguments");
        self.push_code(program, function, args);
        self.then = Then::Run;
    }

    /// Makes it apply a function of its own heap to `()`.
    ///
    /// # Panics
    /// If the fiber was started.
    pub fn start_apply(&mut self, function: Value) {
        assert!(self.then == Then::Idle, "a fiber is started once");
        self.then = Then::Apply(function);
    }

    /// Answers a request.
    ///
    /// # Panics
    /// If the fiber made none.
    pub fn resume(&mut self, answer: Value) {
        assert!(self.then == Then::Wait, "only a waiting fiber is resumed");
        self.then = Then::Deliver(answer);
    }

    /// Answers a request with an error.
    ///
    /// # Panics
    /// If the fiber made none.
    pub fn raise(&mut self, error: Value) {
        assert!(self.then == Then::Wait, "only a waiting fiber is resumed");
        self.then = Then::Raise(error);
    }

    /// Function entries it has made.
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// The most words its heap had.
    pub fn peak_heap_words(&mut self) -> u64 {
        self.heap.note_peak();
        self.heap.stats.peak_words
    }

    /// Runs until it ends, asks for something or has made `fuel` function entries.
    ///
    /// # Panics
    /// If the fiber is done, waits for an answer or was never started.
    pub fn run(&mut self, program: &Program, fuel: u64) -> Exit {
        let granted = i64::try_from(fuel).unwrap_or(i64::MAX);
        self.fuel = granted;
        let mut next = match self.then {
            Then::Run => Next::Run,
            Then::Enter => {
                self.fuel -= 1;
                if self.fuel < 0 { Next::Exit(Exit::OutOfFuel) } else { Next::Run }
            }
            Then::Deliver(value) => Next::Deliver(value),
            Then::Raise(error) => Next::Raise(error),
            Then::Perform(effect, payload) => Next::Perform(effect, payload),
            Then::Apply(function) => self.apply(program, function, &[Value::UNIT]),
            Then::Idle | Then::Wait | Then::Done => panic!("only a fiber that is ready runs"),
        };
        // What it goes on with after a pause for fuel.
        let mut paused = Then::Enter;
        let exit = loop {
            next = match next {
                Next::Run => interp::run(self, program),
                // An effect costs what an entry does: a handler can answer a failing instruction for ever without entering a function.
                Next::Raise(error) if self.fuel <= 0 => {
                    paused = Then::Raise(error);
                    break Exit::OutOfFuel;
                }
                Next::Perform(effect, payload) if self.fuel <= 0 => {
                    paused = Then::Perform(effect, payload);
                    break Exit::OutOfFuel;
                }
                Next::Deliver(value) => self.deliver(program, value),
                Next::Raise(error) => self.charged(program, Known::Raise.number(), error),
                Next::Perform(effect, payload) => self.charged(program, effect, payload),
                Next::Apply(function, args) => self.apply(program, function, &args),
                Next::Force(value) => self.force(program, value),
                Next::Exit(exit) => break exit,
            };
        };
        self.fuel_used += (granted - self.fuel.max(0)) as u64;
        self.then = match exit {
            Exit::OutOfFuel => paused,
            Exit::Request(_) => Then::Wait,
            Exit::Done(_) | Exit::Failed(_) | Exit::OutOfMemory => Then::Done,
        };
        exit
    }

    /// Performs an effect, with the checks of a function's entry.
    fn charged(&mut self, program: &Program, effect: u32, payload: Value) -> Next {
        self.fuel -= 1;
        let mut payload = [payload];
        if self.heap.words.len() > self.heap.collect_at {
            let end = self.frame_end(program, self.top);
            self.heap.reclaim(program, &mut self.stack[..end], self.top, &mut payload);
        }
        if self.heap.words.len() + self.frame_end(program, self.top) > self.limits.memory_words {
            return Next::Exit(Exit::OutOfMemory);
        }
        self.perform(program, effect, payload[0])
    }

    // ---- frames

    /// One past the last word of a frame.
    pub(crate) fn frame_end(&self, program: &Program, at: usize) -> usize {
        let (number, count) = place_of(self.stack[at + 1]);
        match kind_of(self.stack[at]) {
            FrameKind::Code => at + program.code(number).frame,
            FrameKind::Bottom => at + HEADER,
            FrameKind::Force | FrameKind::Await | FrameKind::Native | FrameKind::Handler => at + HEADER + count,
        }
    }

    /// Makes room for words up to `end` and a window above them.
    pub(crate) fn reserve(&mut self, end: usize) {
        let needed = end + WINDOW;
        if needed > self.stack.len() {
            self.stack.resize(needed.max(self.stack.len() * 2), 0);
            // The next entry looks at the limits.
            self.heap.limit = 0;
        }
    }

    fn top_kind(&self) -> FrameKind {
        kind_of(self.stack[self.top])
    }

    /// Removes the top frame.
    pub(crate) fn pop(&mut self) {
        self.top -= distance_of(self.stack[self.top]);
    }

    /// Puts a frame of values on top.
    pub(crate) fn push_values(&mut self, program: &Program, kind: FrameKind, step: u32, values: &[Value]) {
        let at = self.frame_end(program, self.top);
        let end = at + HEADER + values.len();
        self.reserve(end);
        self.stack[at] = link(at - self.top, kind, self.top_kind());
        self.stack[at + 1] = place(step, values.len());
        for (slot, value) in self.stack[at + HEADER..end].iter_mut().zip(values) {
            *slot = value.0;
        }
        self.top = at;
    }

    /// Puts a frame of a function on top, with its arguments.
    fn push_code(&mut self, program: &Program, function: u32, args: &[Value]) {
        let first = self.push_frame(program, function);
        for (slot, value) in self.stack[first..].iter_mut().zip(args) {
            *slot = value.0;
        }
    }

    /// Puts a frame of a function on top; gives the place of its first argument.
    fn push_frame(&mut self, program: &Program, function: u32) -> usize {
        let at = self.frame_end(program, self.top);
        let code = program.code(function);
        self.reserve(at + code.frame.max(HEADER + code.params));
        self.stack[at] = link(at - self.top, FrameKind::Code, self.top_kind());
        self.stack[at + 1] = place(function, 0);
        self.top = at;
        at + HEADER
    }

    /// The check at a function's entry: fuel, memory, garbage. The top frame is at pc 0.
    pub(crate) fn at_entry(&mut self, program: &Program) -> Option<Exit> {
        if self.heap.words.len() > self.heap.collect_at {
            let end = self.frame_end(program, self.top);
            self.heap.reclaim(program, &mut self.stack[..end], self.top, &mut []);
        }
        self.heap.limit = self.heap.collect_at;
        if self.heap.words.len() + self.frame_end(program, self.top) > self.limits.memory_words {
            return Some(Exit::OutOfMemory);
        }
        if self.fuel < 0 {
            return Some(Exit::OutOfFuel);
        }
        None
    }

    /// Enters a function whose frame was put on top.
    fn entered(&mut self, program: &Program) -> Next {
        self.fuel -= 1;
        match self.at_entry(program) {
            Some(exit) => Next::Exit(exit),
            None => Next::Run,
        }
    }

    // ---- values going to frames

    fn deliver(&mut self, program: &Program, value: Value) -> Next {
        match self.top_kind() {
            FrameKind::Bottom => Next::Exit(Exit::Done(value)),
            FrameKind::Code => interp::accept(self, program, value),
            FrameKind::Force => self.finish_force(value),
            FrameKind::Await => self.finish_await(program, value),
            FrameKind::Native => crate::natives::frames::step(self, program, value),
            FrameKind::Handler => self.finish_handler(value),
        }
    }

    // ---- application

    /// Applies a value; the result goes to the frame that is on top now.
    pub(crate) fn apply(&mut self, program: &Program, function: Value, args: &[Value]) -> Next {
        let (number, held) = match function.tag() {
            Tag::Immediate(Immediate::Function, number) => (number, 0),
            Tag::Reference(Kind::Closure, offset) => {
                let number = self.heap.peek(offset, 0).as_immediate(Immediate::Function).unwrap_or(0);
                (number, self.heap.payload(offset).len() - 1)
            }
            Tag::Immediate(Immediate::Symbol, symbol) => {
                let label = self.heap.label(symbol, args[0]);
                return self.apply_rest(program, label, &args[1..]);
            }
            Tag::Reference(Kind::Continuation, _) => {
                if args.len() > 1 {
                    self.push_values(program, FrameKind::Await, crate::effect::APPLY_REST, &args[1..]);
                }
                return self.resume_continuation(program, function, args[0]);
            }
            Tag::Reference(Kind::Coroutine, _) => {
                if args.len() > 1 {
                    self.push_values(program, FrameKind::Await, crate::effect::APPLY_REST, &args[1..]);
                }
                return self.call_coroutine(program, function, args[0]);
            }
            Tag::Reference(Kind::Thunk, _) => {
                self.push_values(program, FrameKind::Await, crate::effect::APPLY_REST, args);
                return Next::Force(function);
            }
            _ => {
                let message = format!("{} cannot be called", self.heap.repr(function));
                return Next::Raise(Failure::new(Known::Call, message).into_value(&mut self.heap));
            }
        };
        let open = program.code(number).params - held;
        if args.len() < open {
            let mut words = vec![Value::immediate(Immediate::Function, number)];
            words.extend((0..held).filter_map(|at| self.take_held(function, at)));
            words.extend_from_slice(args);
            return Next::Deliver(self.heap.make(Kind::Closure, &words));
        }
        if args.len() > open {
            self.push_values(program, FrameKind::Await, crate::effect::APPLY_REST, &args[open..]);
        }
        let first = self.push_frame(program, number);
        for at in 0..held {
            if let Some(value) = self.take_held(function, at) {
                self.stack[first + at] = value.0;
            }
        }
        for (slot, value) in self.stack[first + held..].iter_mut().zip(&args[..open]) {
            *slot = value.0;
        }
        self.entered(program)
    }

    /// An argument that a closure holds; taken out if nobody else needs it.
    fn take_held(&mut self, function: Value, at: usize) -> Option<Value> {
        let offset = function.as_object(Kind::Closure)?;
        Some(self.heap.take(function, offset, at + 1))
    }

    fn apply_rest(&mut self, program: &Program, value: Value, rest: &[Value]) -> Next {
        if rest.is_empty() { Next::Deliver(value) } else { self.apply(program, value, rest) }
    }

    // ---- thunks

    /// Gives the value of a thunk to the top frame.
    fn force(&mut self, program: &Program, value: Value) -> Next {
        let Some(offset) = value.as_object(Kind::Thunk) else { return Next::Deliver(value) };
        match self.heap.peek(offset, 0).as_small_int() {
            Some(THUNK_DONE) => {
                let inner = self.heap.read(offset, 1);
                Next::Force(inner)
            }
            Some(THUNK_SUSPENDED) => {
                let function = self.heap.peek(offset, 1).as_immediate(Immediate::Function).unwrap_or(0);
                let count = self.heap.payload(offset).len();
                let args: Vec<Value> = (2..count).map(|field| self.heap.peek(offset, field)).collect();
                // The thunk lets go of its arguments: whoever holds them now may own them.
                self.heap.write(offset, 0, Value::index(THUNK_FORCED as usize));
                for field in 1..count {
                    self.heap.write(offset, field, Value::UNIT);
                }
                self.push_values(program, FrameKind::Force, 0, &[value.shared()]);
                self.push_code(program, function, &args);
                self.entered(program)
            }
            Some(THUNK_FAILED) => Next::Raise(self.heap.read(offset, 1)),
            _ => {
                let message = "a value is needed to compute itself (infinite recursion)";
                Next::Raise(Failure::new(Known::Loop, message).into_value(&mut self.heap))
            }
        }
    }

    /// Writes the value of a thunk into it; a thunk that gave a thunk is chased.
    fn finish_force(&mut self, value: Value) -> Next {
        if value.as_object(Kind::Thunk).is_some() {
            return Next::Force(value);
        }
        let thunk = Value(self.stack[self.top + HEADER]);
        self.pop();
        let value = value.shared();
        if let Some(offset) = thunk.as_object(Kind::Thunk) {
            self.heap.write(offset, 0, Value::index(THUNK_DONE as usize));
            self.heap.write(offset, 1, value);
        }
        Next::Deliver(value)
    }

    // ---- the end

    /// The error of a fiber that nobody handles, with the calls that led to it.
    pub(crate) fn uncaught(&self, program: &Program, value: Value) -> Uncaught {
        let (trace, left_out) = trace(program, &self.stack, self.top);
        Uncaught { value, trace, left_out }
    }
}

/// The active calls of some frames, outermost first, and how many in the middle are left out.
pub(crate) fn trace(program: &Program, stack: &[u64], top: usize) -> (Vec<TraceEntry>, usize) {
    let mut inner = Vec::new();
    let mut outer = std::collections::VecDeque::new();
    let mut left_out = 0;
    let mut at = top;
    loop {
        if kind_of(stack[at]) == FrameKind::Code {
            let (function, pc) = place_of(stack[at + 1]);
            let entry = TraceEntry { function, pc, span: program.span(function, pc) };
            if inner.len() < TRACE_HALF {
                inner.push(entry);
            } else {
                outer.push_back(entry);
                if outer.len() > TRACE_HALF {
                    outer.pop_front();
                    left_out += 1;
                }
            }
        }
        let distance = distance_of(stack[at]);
        if distance == 0 {
            break;
        }
        at -= distance;
    }
    (outer.into_iter().rev().chain(inner.into_iter().rev()).collect(), left_out)
}

/// State of a thunk nobody asked for yet.
pub(crate) const THUNK_SUSPENDED: i64 = 0;
/// State of a thunk whose value is being made.
pub(crate) const THUNK_FORCED: i64 = 1;
/// State of a thunk that has its value.
pub(crate) const THUNK_DONE: i64 = 2;
/// State of a thunk whose computation raised; it holds the error.
pub(crate) const THUNK_FAILED: i64 = 3;
