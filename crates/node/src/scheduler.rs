//! Workers, one per core, that run the processes of one program until its main process ends.

use crate::capability::Capabilities;
use crate::host::{Host, Streams, error, option};
use crate::processes::{Ended, Listener, Process, ProcessId, Reply, Table};
use qualm_vm::code::Program;
use qualm_vm::fiber::{Exit, Fiber, Limits, TraceEntry};
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::heap::{Heap, HeapStats, Stress};
use qualm_vm::statics::Known;
use qualm_vm::value::Value;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Function entries a process makes before others have their turn.
const SLICE: u64 = 1_000_000;

/// How long a program that waits may take to see that it should stop.
const STOP_LATENCY: Duration = Duration::from_millis(50);

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
    /// Where its streams lead.
    pub streams: Streams,
    /// Stops the program soon after it becomes true.
    pub stop: Option<Arc<AtomicBool>>,
    /// What to run instead of the entry.
    pub begin: Option<Begin>,
}

/// A start in a state that an earlier program left. The function gives a pair: a value to show, and a list of cells, the state to keep.
#[derive(Debug)]
pub struct Begin {
    /// The function.
    pub function: u32,
    /// [`Report::state`] of the earlier program, whose numbering of functions this program goes on: its items after the first are the
    /// arguments.
    pub state: Option<Parcel>,
    /// How many cells the function gives. A program that ends in another way (a `switch` at its top level) leaves no state.
    pub cells: usize,
}

impl Default for Options {
    /// One worker, no limits but those of memory, and what a script may ask for.
    fn default() -> Self {
        Self {
            workers: 1,
            fuel: None,
            limits: Limits::default(),
            capabilities: Capabilities::script(),
            args: Vec::new(),
            stress: Stress::None,
            streams: Streams::Process,
            stop: None,
            begin: None,
        }
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Report {
    /// What its main process came to.
    pub end: End,
    /// What all processes did.
    pub stats: Stats,
    /// What was written, if that was to be kept.
    pub output: String,
    /// What the main process came to, for a program that [begins](Begin) with it.
    pub state: Option<Parcel>,
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
        /// The label that was raised and its payload as it is displayed, if it was one.
        raised: Option<(String, String)>,
        /// The active calls, outermost first.
        trace: Vec<TraceEntry>,
        /// How many calls in the middle are not listed.
        left_out: usize,
    },
    /// The fuel is used up.
    OutOfFuel,
    /// A process needed more memory than it may have.
    OutOfMemory,
    /// It was told to stop.
    Stopped,
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

pub(crate) struct Shared {
    pub(crate) program: Arc<Program>,
    options: Options,
    pub(crate) host: Host,
    table: Mutex<Table>,
    changed: Condvar,
    done: AtomicBool,
    fuel_left: AtomicI64,
    report: Mutex<(Option<End>, Stats)>,
    state: Mutex<Option<Parcel>>,
}

/// Runs a program to its end.
///
/// # Panics
/// If the program has no entry.
pub fn run(program: Arc<Program>, options: Options) -> Report {
    let fuel = options.fuel.map_or(i64::MAX, |fuel| i64::try_from(fuel).unwrap_or(i64::MAX));
    let workers = options.workers.max(1);
    let host = Host::new(options.args.clone(), options.streams);
    let capabilities = Arc::new(options.capabilities.clone());
    let shared = Shared {
        program,
        options,
        host,
        table: Mutex::new(Table::default()),
        changed: Condvar::new(),
        done: AtomicBool::new(false),
        fuel_left: AtomicI64::new(fuel),
        report: Mutex::new((None, Stats::default())),
        state: Mutex::new(None),
    };
    let mut fiber = shared.new_fiber();
    match &shared.options.begin {
        None => fiber.start(&shared.program),
        Some(begin) => {
            let state = begin.state.as_ref().map(|state| fiber.heap.unpack(&shared.program, state));
            let items = state.and_then(|state| fiber.heap.fields_of_tuple(state)).unwrap_or_default();
            fiber.start_at(&shared.program, begin.function, items.get(1..).unwrap_or(&[]));
        }
    }
    {
        let mut table = shared.lock();
        let id = table.new_id();
        table.ready.push_back(Box::new(Process { id, fiber, capabilities, answer: None }));
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
    let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner).take();
    Report { end: end.unwrap_or(End::OutOfFuel), stats, output: shared.host.kept(), state }
}

/// Whether a value is a pair of some value and a list of so many cells.
fn is_state(heap: &Heap, value: Value, cells: usize) -> bool {
    let Some(pair) = heap.fields_of_tuple(value) else { return false };
    let [_, list] = pair[..] else { return false };
    let items = heap.list_values(list);
    heap.list_items(list).is_some() && items.len() == cells && items.into_iter().all(|item| heap.is_cell(item))
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
pub(crate) enum After {
    /// It goes on at once.
    GoOn,
    /// It is somewhere in the table, or gone.
    Away,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new_fiber(&self) -> Fiber {
        Fiber::new(&self.program, self.options.limits, self.options.stress)
    }

    fn is_stopped(&self) -> bool {
        self.options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
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
            if self.is_stopped() {
                self.report.lock().unwrap_or_else(PoisonError::into_inner).0.get_or_insert(End::Stopped);
                self.done.store(true, Ordering::Release);
                self.changed.notify_all();
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
                    let wait = if self.options.stop.is_some() { wait.min(STOP_LATENCY) } else { wait };
                    self.changed.wait_timeout(table, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None if self.options.stop.is_none() => self.changed.wait(table).unwrap_or_else(PoisonError::into_inner),
                None => self.changed.wait_timeout(table, STOP_LATENCY).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Changes the table and wakes workers that may have something to do now.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
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
    pub(crate) fn give(&self, fiber: &mut Fiber, reply: Reply) {
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
                    let heap = &mut process.fiber.heap;
                    let mut shown = value;
                    if self.options.begin.as_ref().is_some_and(|begin| is_state(heap, value, begin.cells)) {
                        *self.state.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(heap.pack(&self.program, value));
                        shown = heap.fields_of_tuple(value).and_then(|items| items.first().copied()).unwrap_or(value);
                    }
                    let text = heap.whole_repr(shown).unwrap_or_else(|_| heap.repr(shown));
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
                    let heap = &process.fiber.heap;
                    let raised = heap.as_label(uncaught.value).map(|(symbol, payload)| {
                        let text = heap.as_text(payload).map_or_else(|| heap.repr(payload), str::to_owned);
                        (heap.statics().symbol(symbol).to_owned(), text)
                    });
                    let end = End::Error { message, raised, trace: uncaught.trace, left_out: uncaught.left_out };
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
                let stopped = self.is_stopped();
                let go_on = self.change(|table| {
                    if table.ready.is_empty() && !stopped {
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
}
