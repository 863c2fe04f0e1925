//! Workers, one per core, that run the processes of one program until its main process ends.

use crate::capability::Capabilities;
use crate::host::{Host, error, option, wrong};
use crate::processes::{Ended, Listener, Process, ProcessId, Reply, Table, Wait};
use qualm_vm::code::Program;
use qualm_vm::fiber::{Exit, Fiber, Limits, TraceEntry};
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::heap::{HeapStats, Stress};
use qualm_vm::statics::Known;
use qualm_vm::value::{Immediate, Value};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Function entries a process makes before others have their turn.
const SLICE: u64 = 1_000_000;

/// How to run a program.
#[derive(Debug)]
pub struct Options {
    /// Threads that run fibers.
    pub workers: usize,
    /// Function entries all processes together may make; nothing for no limit.
    pub fuel: Option<u64>,
    /// What each process may use.
    pub limits: Limits,
    /// What the program may ask for.
    pub capabilities: Capabilities,
    /// What the program sees as its arguments.
    pub args: Vec<String>,
    /// Makes the machine's life hard, to find its bugs.
    pub stress: Stress,
}

/// How a program ended.
#[derive(Debug)]
pub struct Report {
    /// What its main process came to.
    pub end: End,
    /// What all processes did.
    pub stats: Stats,
}

/// What the main process came to.
#[derive(Debug)]
pub enum End {
    /// A value, in value form.
    Value(String),
    /// An error nobody handled.
    Error {
        /// `KIND error: message` or `Uncaught error: value`.
        message: String,
        /// The active calls, outermost first.
        trace: Vec<TraceEntry>,
        /// How many calls in the middle are not listed.
        left_out: usize,
    },
    /// The fuel is used up.
    OutOfFuel,
    /// A process needed more memory than it may have.
    OutOfMemory,
}

/// What processes did, summed up.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    /// Function entries.
    pub fuel: u64,
    /// What their heaps did.
    pub heap: HeapStats,
    /// Processes that ended.
    pub processes: u64,
}

impl Stats {
    fn add(&mut self, fiber: &mut Fiber) {
        let peak = fiber.peak_heap_words();
        let (sum, heap) = (&mut self.heap, &fiber.heap.stats);
        self.fuel += fiber.fuel_used();
        self.processes += 1;
        sum.in_place += heap.in_place;
        sum.copied += heap.copied;
        sum.copied_words += heap.copied_words;
        sum.objects += heap.objects;
        sum.collections += heap.collections;
        sum.moved_words += heap.moved_words;
        sum.peak_words = sum.peak_words.max(peak);
    }
}

struct Shared {
    program: Arc<Program>,
    options: Options,
    host: Host,
    table: Mutex<Table>,
    changed: Condvar,
    done: AtomicBool,
    fuel_left: AtomicI64,
    report: Mutex<(Option<End>, Stats)>,
}

/// Runs a program to its end.
///
/// # Panics
/// If the program has no entry.
pub fn run(program: Arc<Program>, options: Options) -> Report {
    let fuel = options.fuel.map_or(i64::MAX, |fuel| i64::try_from(fuel).unwrap_or(i64::MAX));
    let workers = options.workers.max(1);
    let host = Host::new(options.args.clone());
    let shared = Shared {
        program,
        options,
        host,
        table: Mutex::new(Table::default()),
        changed: Condvar::new(),
        done: AtomicBool::new(false),
        fuel_left: AtomicI64::new(fuel),
        report: Mutex::new((None, Stats::default())),
    };
    let mut fiber = shared.new_fiber();
    fiber.start(&shared.program);
    {
        let mut table = shared.lock();
        let id = table.new_id();
        table.ready.push_back(Box::new(Process { id, fiber, answer: None }));
    }
    std::thread::scope(|scope| {
        // The calling thread is a worker too: a program of one process starts no thread before it spawns another.
        for _ in 1..workers {
            scope.spawn(|| shared.work());
        }
        shared.work();
    });
    shared.host.flush();
    let (end, stats) = std::mem::take(&mut *shared.report.lock().unwrap_or_else(PoisonError::into_inner));
    Report { end: end.unwrap_or(End::OutOfFuel), stats }
}

/// A worker that panics (an error of the machine itself) stops the others, which would wait for it for ever.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.done.store(true, Ordering::Release);
            drop(self.0.lock());
            self.0.changed.notify_all();
        }
    }
}

/// The main process.
const MAIN: ProcessId = 0;

/// What a worker does with a process after it ran.
enum After {
    /// It goes on at once.
    GoOn,
    /// It is somewhere in the table, or gone.
    Away,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_fiber(&self) -> Fiber {
        Fiber::new(&self.program, self.options.limits, self.options.stress)
    }

    fn work(&self) {
        let _stop = StopOnPanic(self);
        while let Some(process) = self.next() {
            self.run_process(process);
        }
    }

    /// The next process that is ready; nothing when the program is over.
    fn next(&self) -> Option<Box<Process>> {
        let mut table = self.lock();
        loop {
            if self.done.load(Ordering::Acquire) {
                return None;
            }
            if table.next_timer().is_some() {
                table.fire_timers(Instant::now());
            }
            if let Some(process) = table.ready.pop_front() {
                table.running += 1;
                return Some(process);
            }
            if table.break_deadlock(MAIN) {
                continue;
            }
            self.host.flush();
            table = match table.next_timer() {
                Some(at) => {
                    let wait = at.saturating_duration_since(Instant::now());
                    self.changed.wait_timeout(table, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(table).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Changes the table and wakes workers that may have something to do now.
    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        let before = table.ready.len();
        let result = change(&mut table);
        let more = table.ready.len().saturating_sub(before);
        let idle = table.running == 0;
        drop(table);
        if more > 1 || idle {
            self.changed.notify_all();
        } else if more == 1 {
            self.changed.notify_one();
        }
        result
    }

    fn run_process(&self, mut process: Box<Process>) {
        if let Some(reply) = process.answer.take() {
            self.give(&mut process.fiber, reply);
        }
        let mut process = Some(process);
        while let Some(current) = process.take() {
            let (after, current) = self.step(current);
            match (after, current) {
                (After::GoOn, Some(current)) if !self.done.load(Ordering::Acquire) => process = Some(current),
                _ => return,
            }
        }
    }

    /// Gives a reply to a fiber that waits for it.
    fn give(&self, fiber: &mut Fiber, reply: Reply) {
        let program = &self.program;
        let answer = match reply {
            Reply::Unit => Value::UNIT,
            Reply::Message(message) => fiber.heap.unpack(program, &message),
            Reply::MaybeMessage(message) => {
                let message = message.map(|message| fiber.heap.unpack(program, &message));
                option(&mut fiber.heap, message)
            }
            Reply::Joined(ended) => self.result(fiber, &ended),
            Reply::Group(members) => {
                let results: Vec<Value> = members.iter().map(|ended| self.result(fiber, ended)).collect();
                fiber.heap.list(&results)
            }
            Reply::Deadlock => {
                let raised = error(&mut fiber.heap, Known::Deadlock, "all processes are waiting");
                return fiber.raise(raised);
            }
        };
        fiber.resume(answer);
    }

    /// `Ok` value or `Error` raised.
    fn result(&self, fiber: &mut Fiber, ended: &Ended) -> Value {
        match ended {
            Ended::Value(value) => {
                let value = fiber.heap.unpack(&self.program, value);
                fiber.heap.label(Known::Ok.number(), value)
            }
            Ended::Error(raised) => {
                let raised = fiber.heap.unpack(&self.program, raised);
                fiber.heap.label(Known::Error.number(), raised)
            }
            Ended::Quota => {
                let raised = error(&mut fiber.heap, Known::System, "the process used more than it may");
                fiber.heap.label(Known::Error.number(), raised)
            }
        }
    }

    /// Runs a process for a slice and acts on how it stopped.
    fn step(&self, mut process: Box<Process>) -> (After, Option<Box<Process>>) {
        let left = self.fuel_left.load(Ordering::Relaxed).max(0) as u64;
        let slice = SLICE.min(left);
        let before = process.fiber.fuel_used();
        let exit = process.fiber.run(&self.program, slice);
        let used = process.fiber.fuel_used() - before;
        if self.options.fuel.is_some() {
            self.fuel_left.fetch_sub(used as i64, Ordering::Relaxed);
        }
        match exit {
            Exit::Done(value) => {
                let ended = if process.id == MAIN {
                    let text = process.fiber.heap.whole_repr(value).unwrap_or_else(|_| process.fiber.heap.repr(value));
                    self.finish(&mut process.fiber, End::Value(text));
                    return (After::Away, None);
                } else {
                    Ended::Value(process.fiber.heap.pack(&self.program, value))
                };
                self.end(process, ended);
                (After::Away, None)
            }
            Exit::Failed(uncaught) => {
                if process.id == MAIN {
                    let message = self.describe(&process.fiber, uncaught.value);
                    let end = End::Error { message, trace: uncaught.trace, left_out: uncaught.left_out };
                    self.finish(&mut process.fiber, end);
                } else {
                    let raised = process.fiber.heap.pack(&self.program, uncaught.value);
                    self.end(process, Ended::Error(raised));
                }
                (After::Away, None)
            }
            Exit::OutOfFuel if slice == left => {
                self.finish(&mut process.fiber, End::OutOfFuel);
                (After::Away, None)
            }
            Exit::OutOfFuel => {
                let go_on = self.change(|table| {
                    if table.ready.is_empty() {
                        return Some(process);
                    }
                    table.running -= 1;
                    table.ready.push_back(process);
                    None
                });
                if go_on.is_some() { (After::GoOn, go_on) } else { (After::Away, None) }
            }
            Exit::OutOfMemory if process.id == MAIN => {
                self.finish(&mut process.fiber, End::OutOfMemory);
                (After::Away, None)
            }
            Exit::OutOfMemory => {
                self.end(process, Ended::Quota);
                (After::Away, None)
            }
            Exit::Request(request) => self.request(process, request),
        }
    }

    /// The message of an error nobody handled.
    fn describe(&self, fiber: &Fiber, value: Value) -> String {
        const LANGUAGE: std::ops::RangeInclusive<u32> = Known::Match as u32..=Known::Loop as u32;
        if let Some((symbol, payload)) = fiber.heap.as_label(value) {
            let name = fiber.heap.statics().symbol(symbol);
            let is_kind = LANGUAGE.contains(&symbol) || symbol == Known::System.number();
            if let (true, Some(text)) = (is_kind, fiber.heap.as_text(payload)) {
                return format!("{name} error: {text}");
            }
        }
        format!("Uncaught error: {}", fiber.heap.repr(value))
    }

    fn note_stats(&self, fiber: &mut Fiber) {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).1.add(fiber);
    }

    /// The main process is over, and so is the program.
    fn finish(&self, fiber: &mut Fiber, end: End) {
        self.note_stats(fiber);
        self.report.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(end);
        self.done.store(true, Ordering::Release);
        drop(self.lock());
        self.changed.notify_all();
    }

    fn end(&self, mut process: Box<Process>, ended: Ended) {
        self.note_stats(&mut process.fiber);
        self.change(|table| {
            table.running -= 1;
            let in_group =
                table.slot(process.id).is_some_and(|slot| matches!(slot.listeners[..], [Listener::Group(..)]));
            table.end(process.id, ended);
            if in_group {
                table.forget(process.id);
            }
        });
    }

    // ---- requests

    fn request(&self, mut process: Box<Process>, request: Value) -> (After, Option<Box<Process>>) {
        let heap = &mut process.fiber.heap;
        let Some((symbol, payload)) = heap.as_label(request) else {
            let raised = wrong(heap, "a request is a label", request);
            process.fiber.raise(raised);
            return (After::GoOn, Some(process));
        };
        let statics = heap.statics().clone();
        let name = statics.symbol(symbol);
        match self.options.capabilities.allows(name) {
            Some(true) => {}
            Some(false) => {
                let raised = error(heap, Known::Denied, name);
                process.fiber.raise(raised);
                return (After::GoOn, Some(process));
            }
            None => {
                let raised = error(heap, Known::System, &format!("unknown request {name}"));
                process.fiber.raise(raised);
                return (After::GoOn, Some(process));
            }
        }
        if let Some(answer) = self.host.answer(heap, name, payload) {
            match answer {
                Ok(value) => process.fiber.resume(value),
                Err(raised) => process.fiber.raise(raised),
            }
            return (After::GoOn, Some(process));
        }
        match name {
            "Spawn" => self.spawn(process, payload),
            "Self" => {
                let id = process.id;
                process.fiber.resume(Value::immediate(Immediate::Fiber, id));
                (After::GoOn, Some(process))
            }
            "Send" => self.send(process, payload),
            "Receive" => self.receive(process, None),
            "ReceiveWithin" => self.timed(process, payload, true),
            "Sleep" => self.timed(process, payload, false),
            "Pause" => {
                process.answer = Some(Reply::Unit);
                self.change(|table| {
                    table.running -= 1;
                    table.ready.push_back(process);
                });
                (After::Away, None)
            }
            "Join" => self.join(process, payload),
            "Snapshot" | "Restore" => {
                let answer = match name {
                    "Snapshot" => heap.snapshot(&self.program, payload),
                    _ => heap.restore(&self.program, payload),
                };
                match answer {
                    Ok(value) => process.fiber.resume(value),
                    Err(failure) => {
                        let raised = failure.into_value(heap);
                        process.fiber.raise(raised);
                    }
                }
                (After::GoOn, Some(process))
            }
            _ => self.parallel(process, payload),
        }
    }

    fn child(&self, function: &Parcel) -> Fiber {
        let mut fiber = self.new_fiber();
        let function = fiber.heap.unpack(&self.program, function);
        fiber.start_apply(function);
        fiber
    }

    fn spawn(&self, mut process: Box<Process>, function: Value) -> (After, Option<Box<Process>>) {
        let parcel = process.fiber.heap.pack(&self.program, function);
        let fiber = self.child(&parcel);
        let id = self.change(|table| {
            let id = table.new_id();
            table.ready.push_back(Box::new(Process { id, fiber, answer: None }));
            id
        });
        process.fiber.resume(Value::immediate(Immediate::Fiber, id));
        (After::GoOn, Some(process))
    }

    fn raise(&self, mut process: Box<Process>, what: &str, value: Value) -> (After, Option<Box<Process>>) {
        let raised = wrong(&mut process.fiber.heap, what, value);
        process.fiber.raise(raised);
        (After::GoOn, Some(process))
    }

    fn send(&self, mut process: Box<Process>, payload: Value) -> (After, Option<Box<Process>>) {
        let fields = process.fiber.heap.fields_of_tuple(payload);
        let Some([to, message]) = fields.as_deref() else {
            return self.raise(process, "Send needs a process and a message", payload);
        };
        let Some(to) = to.as_immediate(Immediate::Fiber) else {
            let to = *to;
            return self.raise(process, "Send needs a Process", to);
        };
        let parcel = process.fiber.heap.pack(&self.program, *message);
        self.change(|table| table.send(to, parcel));
        process.fiber.resume(Value::UNIT);
        (After::GoOn, Some(process))
    }

    fn receive(&self, mut process: Box<Process>, deadline: Option<Instant>) -> (After, Option<Box<Process>>) {
        let found = self.change(|table| {
            let message = table.slot(process.id).and_then(|slot| slot.mailbox.pop_front());
            match message {
                Some(message) => Some((process, message)),
                None => {
                    table.running -= 1;
                    let wait = match deadline {
                        Some(at) => Wait::MessageOrTimer(table.timer(at, process.id)),
                        None => Wait::Message,
                    };
                    table.park(process, wait);
                    None
                }
            }
        });
        let Some((found, message)) = found else { return (After::Away, None) };
        process = found;
        let reply = if deadline.is_some() { Reply::MaybeMessage(Some(message)) } else { Reply::Message(message) };
        self.give(&mut process.fiber, reply);
        (After::GoOn, Some(process))
    }

    fn timed(&self, process: Box<Process>, payload: Value, for_message: bool) -> (After, Option<Box<Process>>) {
        /// A longer wait is as good as for ever, and does not overflow the clock.
        const YEAR_MS: u64 = 365 * 24 * 3_600_000;
        let Some(wait) = process.fiber.heap.as_int(payload) else {
            return self.raise(process, "a time is an Integer of milliseconds", payload);
        };
        let deadline = Instant::now() + Duration::from_millis((wait.max(0) as u64).min(YEAR_MS));
        if for_message {
            return self.receive(process, Some(deadline));
        }
        self.change(|table| {
            table.running -= 1;
            let timer = table.timer(deadline, process.id);
            table.park(process, Wait::Timer(timer));
        });
        (After::Away, None)
    }

    fn join(&self, process: Box<Process>, payload: Value) -> (After, Option<Box<Process>>) {
        let Some(id) = payload.as_immediate(Immediate::Fiber) else {
            return self.raise(process, "Join needs a Process", payload);
        };
        let found = self.change(|table| {
            let ended = match table.slot(id) {
                Some(slot) => slot.ended.clone(),
                None => Some(Ended::Quota),
            };
            match ended {
                Some(ended) => Some((process, ended)),
                None => {
                    let waiter = process.id;
                    if let Some(slot) = table.slot(id) {
                        slot.listeners.push(Listener::Join(waiter));
                    }
                    table.running -= 1;
                    table.park(process, Wait::Join);
                    None
                }
            }
        });
        match found {
            Some((mut process, ended)) => {
                self.give(&mut process.fiber, Reply::Joined(ended));
                (After::GoOn, Some(process))
            }
            None => (After::Away, None),
        }
    }

    fn parallel(&self, mut process: Box<Process>, payload: Value) -> (After, Option<Box<Process>>) {
        if process.fiber.heap.list_items(payload).is_none() {
            return self.raise(process, "Parallel needs a List of functions", payload);
        }
        let functions = process.fiber.heap.list_values(payload);
        if functions.is_empty() {
            self.give(&mut process.fiber, Reply::Group(Vec::new()));
            return (After::GoOn, Some(process));
        }
        let fibers: Vec<Fiber> = functions
            .into_iter()
            .map(|function| {
                let parcel = process.fiber.heap.pack(&self.program, function);
                self.child(&parcel)
            })
            .collect();
        self.change(|table| {
            let waiter = process.id;
            let left = fibers.len();
            for (place, fiber) in fibers.into_iter().enumerate() {
                let id = table.new_id();
                if let Some(slot) = table.slot(id) {
                    slot.listeners.push(Listener::Group(waiter, place));
                }
                table.ready.push_back(Box::new(Process { id, fiber, answer: None }));
            }
            table.running -= 1;
            table.park(process, Wait::Group { results: vec![None; left], left });
        });
        (After::Away, None)
    }
}
