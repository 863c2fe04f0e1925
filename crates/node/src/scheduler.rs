//! Runs programs: to their end, or beside others in a node.

use crate::capability::Capabilities;
use crate::core::inspect::{Info, Inspect};
use crate::core::session::Input;
use crate::core::{Core, Now, Settings};
use crate::driver::{Driver, lock};
use crate::host::Streams;
use crate::ids::CORES_MAX;
use crate::image;
use crate::policy::Policy;
use qualm_ir::wire::WireError;
use qualm_store::Store;
use qualm_vm::code::Program;
use qualm_vm::fiber::{Limits, TraceEntry};
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::heap::{HeapStats, Stress};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Function entries a process makes before others have their turn, where there is one core and order matters.
const LONG_SLICE: u64 = 1_000_000;
/// The same where there are more.
const SHORT_SLICE: u64 = 20_000;

/// How long a program that is saved waits for answers of the world.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

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
    /// Where values are kept by hash; nothing to keep them as long as the program runs.
    pub store: Option<Arc<Store>>,
    /// Values that it has there from before.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Stops the program soon after it becomes true.
    pub stop: Option<Arc<AtomicBool>>,
    /// What to run instead of the entry.
    pub begin: Option<Begin>,
    /// Whether the program is to be saved when its fuel is used up.
    pub save: bool,
    /// Whether the main process runs inputs ([`Running::input`]) instead of the entry.
    pub session: bool,
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
            store: None,
            values: BTreeMap::new(),
            stop: None,
            begin: None,
            save: false,
            session: false,
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

/// Runs a program to its end.
///
/// # Panics
/// If the program has no entry.
pub fn run(program: Arc<Program>, options: Options) -> Report {
    drive(start_cores(&program, &options), options)
}

/// Goes on with a program that was saved ([`Report::saved`]).
///
/// # Errors
/// If the state is none of this program.
pub fn resume(program: Arc<Program>, state: &[u8], mut options: Options) -> Result<Report, WireError> {
    let cores = resume_cores(&program, state, &mut options)?;
    if cores[0].settings.session {
        let message = "this was a session, whose main process waits for inputs: only a node goes on with it".into();
        return Err(WireError { offset: 0, message });
    }
    Ok(drive(cores, options))
}

fn start_cores(program: &Arc<Program>, options: &Options) -> Vec<Core> {
    let policy = Policy::root(options.capabilities.clone(), options.limits, options.fuel);
    let mut cores = make_cores(program, options);
    match options.session {
        true => cores[0].start_session(Arc::new(policy)),
        false => cores[0].start(Arc::new(policy), options.begin.as_ref()),
    }
    cores
}

fn resume_cores(program: &Arc<Program>, state: &[u8], options: &mut Options) -> Result<Vec<Core>, WireError> {
    let policy = Policy::root(options.capabilities.clone(), options.limits, options.fuel);
    let mut cores = make_cores(program, options);
    let now = Now { nanos: 0, wall_ms: 0 };
    let (first, around) = image::restore(state, program, cores[0].settings.clone(), policy, now)?;
    let references = first.references_from;
    cores[0] = first;
    (options.args, options.values) = (around.args, around.values);
    for core in &mut cores {
        core.settings.args = options.args.clone().into();
        core.references_from = references;
    }
    Ok(cores)
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
            session: options.session,
        };
        Core::new(program.clone(), settings)
    };
    (0..workers).map(make).collect()
}

fn drive(mut cores: Vec<Core>, options: Options) -> Report {
    let driver = Driver::new(cores.len(), &options);
    conclude(&driver, &mut cores, &options)
}

/// Runs cores to the end of their program.
fn conclude(driver: &Driver, cores: &mut [Core], options: &Options) -> Report {
    driver.drive(cores, &options.args);
    let (end, state) = lock(&driver.ended).take().unwrap_or((End::Stopped, None));
    let stopped = options.save && matches!(end, End::OutOfFuel);
    let saved = stopped.then(|| driver.save(cores, &options.args, LAST_ANSWERS));
    driver.world.host.flush();
    let mut stats = Stats::default();
    cores.iter().for_each(|core| stats.add(&core.stats()));
    Report { end, stats, output: driver.world.host.kept(), state, saved }
}

/// A program that runs beside others.
pub struct Running {
    driver: Arc<Driver>,
    thread: Mutex<Option<JoinHandle<Report>>>,
}

impl Running {
    /// Starts a program, or goes on with a state of it.
    ///
    /// # Errors
    /// If the state is none of this program.
    ///
    /// # Panics
    /// If the program has no entry.
    pub fn start(program: &Arc<Program>, state: Option<&[u8]>, mut options: Options) -> Result<Self, WireError> {
        let mut cores = match state {
            None => start_cores(program, &options),
            Some(state) => resume_cores(program, state, &mut options)?,
        };
        let driver = Arc::new(Driver::new(cores.len(), &options));
        let inner = driver.clone();
        let thread = std::thread::spawn(move || conclude(&inner, &mut cores, &options));
        Ok(Self { driver, thread: Mutex::new(Some(thread)) })
    }

    /// Looks at its processes or steers one.
    pub fn inspect(&self, what: Inspect) -> Vec<Info> {
        self.driver.inspect(what)
    }

    /// Gives a session its next input, after the last one has ended. The program is the one it ran so far with more functions
    /// ([`load_more`](qualm_vm::load::load_more)). Whoever is told how it ended is dropped if the session ends.
    pub fn input(&self, program: Arc<Program>, input: Input, answered: Box<dyn FnOnce(End, bool) + Send>) {
        self.driver.input(program, input, answered);
    }

    /// Its state as it is now, while it goes on or as the last thing it does; nothing if it is over.
    pub fn save(&self, then_stop: bool) -> Option<Vec<u8>> {
        self.driver.save_now(then_stop)
    }

    /// Waits until it is over; nothing if someone has waited for it already.
    ///
    /// # Panics
    /// If the machine itself failed.
    pub fn wait(&self) -> Option<Report> {
        let thread = lock(&self.thread).take()?;
        Some(thread.join().expect("the machine does not fail"))
    }

    /// Ends it.
    pub fn stop(&self) {
        lock(&self.driver.ended).get_or_insert((End::Stopped, None));
        self.driver.finish();
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Running")
    }
}
