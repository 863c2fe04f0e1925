//! Runs a program on threads: a [`Core`] on each, signals between them, and the world.

use crate::capability::Capabilities;
use crate::core::{Actions, Core, Event, Now, Settings};
use crate::host::Streams;
use crate::ids::{CORES_MAX, ProcessId};
use crate::image;
use crate::policy::Policy;
use crate::system::{Answer, Ask};
use crate::world::World;
use qualm_ir::wire::WireError;
use qualm_vm::code::Program;
use qualm_vm::fiber::{Limits, TraceEntry};
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::heap::{HeapStats, Stress};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Function entries a process makes before others have their turn, where there is one core and order matters.
const LONG_SLICE: u64 = 1_000_000;
/// The same where there are more.
const SHORT_SLICE: u64 = 20_000;

/// How long a program that waits may take to see that it should stop.
const STOP_LATENCY: Duration = Duration::from_millis(50);

/// How long a program that is saved waits for answers of the world.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// How often a core that has nothing to do looks for signals before it sleeps.
const SPINS: u32 = 200;

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
    /// The seed of its random numbers; nothing for a new one each time.
    pub seed: Option<u64>,
    /// Where its streams lead.
    pub streams: Streams,
    /// Stops the program soon after it becomes true.
    pub stop: Option<Arc<AtomicBool>>,
    /// What to run instead of the entry.
    pub begin: Option<Begin>,
    /// Whether the program is to be saved when its fuel is used up.
    pub save: bool,
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
            seed: None,
            streams: Streams::Process,
            stop: None,
            begin: None,
            save: false,
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
    /// The state of a program that was to be saved when its fuel was used up: what [`resume`] goes on with.
    pub saved: Option<Vec<u8>>,
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
    pub(crate) fn add(&mut self, other: &Self) {
        let (sum, heap) = (&mut self.heap, &other.heap);
        self.fuel += other.fuel;
        self.processes += other.processes;
        sum.in_place += heap.in_place;
        sum.copied += heap.copied;
        sum.copied_words += heap.copied_words;
        sum.objects += heap.objects;
        sum.collections += heap.collections;
        sum.moved_words += heap.moved_words;
        sum.peak_words = sum.peak_words.max(heap.peak_words);
    }
}

/// Signals for a core.
#[derive(Default)]
struct Inbox {
    events: Mutex<VecDeque<Event>>,
    count: AtomicUsize,
    arrived: Condvar,
}

impl Inbox {
    fn push(&self, event: Event) {
        let mut events = lock(&self.events);
        events.push_back(event);
        let count = self.count.fetch_add(1, Ordering::AcqRel);
        drop(events);
        if count == 0 {
            self.arrived.notify_one();
        }
    }
}

/// Whether nothing else could happen at a core while a process waits for the world.
fn is_alone(core: &Core) -> bool {
    core.ready() == 0 && core.next_timer().is_none()
}

/// What the threads share.
struct Shared {
    world: World,
    inboxes: Arc<Vec<Inbox>>,
    /// Cores that have nothing to do, as bits of their numbers modulo 64.
    hungry: AtomicU64,
    idle: Mutex<Idle>,
    done: AtomicBool,
    stop: Option<Arc<AtomicBool>>,
    started: Instant,
    ended: Mutex<Option<(End, Option<Parcel>)>>,
}

/// Who has nothing to do.
#[derive(Default)]
struct Idle {
    cores: usize,
    /// Of these, those that wait for a time.
    timers: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program to its end.
///
/// # Panics
/// If the program has no entry.
pub fn run(program: Arc<Program>, options: Options) -> Report {
    let policy = Policy::root(options.capabilities.clone(), options.limits, options.fuel);
    let mut cores = make_cores(&program, &options);
    cores[0].start(Arc::new(policy), options.begin.as_ref());
    drive(cores, options)
}

/// Goes on with a program that was saved ([`Report::saved`]).
///
/// # Errors
/// If the state is none of this program.
pub fn resume(program: Arc<Program>, state: &[u8], mut options: Options) -> Result<Report, WireError> {
    let policy = Policy::root(options.capabilities.clone(), options.limits, options.fuel);
    let mut cores = make_cores(&program, &options);
    let now = Now { nanos: 0, wall_ms: 0 };
    let (first, args) = image::restore(state, &program, cores[0].settings.clone(), policy, now)?;
    let references = first.references_from;
    cores[0] = first;
    options.args = args;
    for core in &mut cores {
        core.settings.args = options.args.clone().into();
        core.references_from = references;
    }
    Ok(drive(cores, options))
}

fn make_cores(program: &Arc<Program>, options: &Options) -> Vec<Core> {
    let workers = options.workers.clamp(1, CORES_MAX);
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let args: Arc<[String]> = options.args.clone().into();
    let make = |number| {
        let settings = Settings {
            number: number as u8,
            cores: workers as u8,
            slice: if workers == 1 { LONG_SLICE } else { SHORT_SLICE },
            stress: options.stress,
            seed,
            args: args.clone(),
            state_cells: options.begin.as_ref().map(|begin| begin.cells),
            keeps: options.save,
        };
        Core::new(program.clone(), settings)
    };
    (0..workers).map(make).collect()
}

fn drive(mut cores: Vec<Core>, options: Options) -> Report {
    let inboxes: Arc<Vec<Inbox>> = Arc::new(cores.iter().map(|_| Inbox::default()).collect());
    let answers = inboxes.clone();
    let deliver = move |answer: Option<(ProcessId, u32, Answer)>| match answer {
        Some((id, token, answer)) => answers[usize::from(id.home())].push(Event::Answer(id, token, answer)),
        None => answers[0].push(Event::Run),
    };
    let shared = Shared {
        world: World::new(options.streams, Arc::new(deliver)),
        inboxes,
        hungry: AtomicU64::new(0),
        idle: Mutex::default(),
        done: AtomicBool::new(false),
        stop: options.stop,
        started: Instant::now(),
        ended: Mutex::new(None),
    };
    let (first, others) = cores.split_first_mut().expect("there is a worker");
    std::thread::scope(|scope| {
        // The calling thread runs a core too, so a program on one core starts no thread.
        for core in others {
            scope.spawn(|| shared.work(core));
        }
        shared.work(first);
    });
    let (end, state) = lock(&shared.ended).take().unwrap_or((End::Stopped, None));
    let saved = (options.save && matches!(end, End::OutOfFuel)).then(|| shared.save(&mut cores, &options.args));
    shared.world.host.flush();
    let mut stats = Stats::default();
    cores.iter().for_each(|core| stats.add(&core.stats()));
    Report { end, stats, output: shared.world.host.kept(), state, saved }
}

/// A thread that panics (an error of the machine itself) stops the others, which would wait for it for ever.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.finish();
        }
    }
}

impl Shared {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Now { nanos: self.started.elapsed().as_nanos() as u64, wall_ms: wall as i64 }
    }

    fn finish(&self) {
        self.done.store(true, Ordering::Release);
        for inbox in self.inboxes.iter() {
            drop(lock(&inbox.events));
            inbox.arrived.notify_all();
        }
    }

    /// Runs a core until the program is over.
    fn work(&self, core: &mut Core) {
        let _stop = StopOnPanic(self);
        let number = usize::from(core.settings.number);
        let mut actions = Actions::default();
        let mut events = VecDeque::new();
        while !self.done.load(Ordering::Acquire) {
            if self.inboxes[number].count.load(Ordering::Acquire) > 0 {
                let mut inbox = lock(&self.inboxes[number].events);
                std::mem::swap(&mut *inbox, &mut events);
                self.inboxes[number].count.store(0, Ordering::Release);
            }
            let now = self.now();
            for event in events.drain(..) {
                core.step(now, event, &mut actions);
                self.carry_out(core, &mut actions);
            }
            core.step(now, Event::Run, &mut actions);
            self.carry_out(core, &mut actions);
            if core.ready() > 1 {
                self.feed(core, &mut actions);
            } else if !core.is_ready() {
                self.rest(core);
            }
            if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                lock(&self.ended).get_or_insert((End::Stopped, None));
                self.finish();
            }
        }
    }

    /// The state of a program whose threads have stopped.
    fn save(&self, cores: &mut [Core], args: &[String]) -> Vec<u8> {
        let mut actions = Actions::default();
        self.world.interrupt(LAST_ANSWERS);
        // What is on the way arrives first.
        loop {
            let mut any = false;
            for core in cores.iter_mut() {
                core.rest(self.now());
                let events = std::mem::take(&mut *lock(&self.inboxes[usize::from(core.settings.number)].events));
                for event in events {
                    any = true;
                    core.step(self.now(), event, &mut actions);
                    self.carry_out(core, &mut actions);
                }
            }
            if !any {
                return image::save(cores, self.now(), args);
            }
        }
    }

    fn push(&self, core: usize, event: Event) {
        self.inboxes[core].push(event);
    }

    fn carry_out(&self, core: &mut Core, actions: &mut Actions) {
        if !actions.output.is_empty() {
            self.world.host.write(&actions.output);
            actions.output.clear();
        }
        for (to, signal) in actions.signals.drain(..) {
            self.push(usize::from(to), Event::Signal(signal));
        }
        for id in actions.gone.drain(..) {
            self.world.gone(id);
        }
        while let Some((id, token, ask)) = actions.asks.pop() {
            let alone = self.inboxes.len() == 1 && (matches!(ask, Ask::File(..)) || is_alone(core));
            if let Some(answer) = self.world.ask(id, token, ask, alone) {
                core.step(self.now(), Event::Answer(id, token, answer), actions);
            }
        }
        if let Some(end) = actions.end.take() {
            lock(&self.ended).get_or_insert(end);
            self.finish();
        }
    }

    /// Gives some of what is ready to a core that has nothing to do.
    fn feed(&self, core: &mut Core, actions: &mut Actions) {
        let own = core.settings.number;
        let hungry = self.hungry.load(Ordering::Relaxed);
        if hungry == 0 {
            return;
        }
        for other in (0..core.settings.cores).filter(|other| *other != own && hungry >> (other % 64) & 1 == 1) {
            if core.ready() < 2 {
                return;
            }
            self.hungry.fetch_and(!(1 << (other % 64)), Ordering::Relaxed);
            core.step(self.now(), Event::Share(other), actions);
            self.carry_out(core, actions);
        }
    }

    /// Waits until there is something to do.
    fn rest(&self, core: &mut Core) {
        let number = usize::from(core.settings.number);
        let inbox = &self.inboxes[number];
        let bit = 1 << (number % 64);
        self.hungry.fetch_or(bit, Ordering::Relaxed);
        if self.inboxes.len() > 1 {
            for _ in 0..SPINS {
                if inbox.count.load(Ordering::Relaxed) > 0 || self.done.load(Ordering::Relaxed) {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        self.world.host.flush();
        let timer = core.next_timer();
        {
            let mut idle = lock(&self.idle);
            if inbox.count.load(Ordering::Acquire) > 0 {
                return;
            }
            idle.cores += 1;
            idle.timers += usize::from(timer.is_some());
            let nothing_else = || self.inboxes.iter().all(|inbox| inbox.count.load(Ordering::Acquire) == 0);
            if idle.cores == self.inboxes.len() && idle.timers == 0 && self.world.waiting() == 0 && nothing_else() {
                self.push(usize::from(ProcessId::MAIN.home()), Event::Deadlock);
            }
        }
        let mut events = lock(&inbox.events);
        while events.is_empty() && !self.done.load(Ordering::Acquire) {
            let left = timer.map(|at| Duration::from_nanos(at).saturating_sub(self.started.elapsed()));
            let limit = self.stop.as_ref().map(|_| STOP_LATENCY);
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let Some(wait) = left.into_iter().chain(limit).min() else {
                events = inbox.arrived.wait(events).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            events = inbox.arrived.wait_timeout(events, wait).unwrap_or_else(PoisonError::into_inner).0;
            if limit.is_some() {
                break;
            }
        }
        drop(events);
        let mut idle = lock(&self.idle);
        idle.cores -= 1;
        idle.timers -= usize::from(timer.is_some());
        drop(idle);
        self.hungry.fetch_and(!bit, Ordering::Relaxed);
    }
}
