//! The runtime without the world: processes, messages, time, quotas. A [`Core`] does no I/O, reads no clock and starts no thread.
//!
//! Whoever drives it calls [`Core::step`] with the time and one [`Event`], and carries out the [`Actions`] it asks for. The driver of a real
//! node is [`scheduler`](crate::scheduler), with a core per thread; the simulator in the tests drives several cores on one
//! thread, with a clock and an order of events drawn from a seed.
//!
//! A process is *at home* at the core that made it. A core with nothing to do is *lent* processes that are ready; what is for them goes to their
//! home, which sends it on. So each core changes its own data only, without locks.
//!
//! ```text
//!            spawn             run                 Receive, Sleep, Join, Parallel, ...
//!  Fresh ───────────► Ready ─────────► Running ───────────────────────────────────────► Waiting
//!                      ▲  ▲  slice over   │                                               │
//!                      │  └───────────────┘                                               │
//!                      └──────────────────── message, time, reply ────────────────────────┘
//! ```

mod asks;
mod delivery;
mod ends;
mod forks;
pub mod inspect;
pub(crate) mod process;
mod queue;
pub(crate) mod registry;
mod requests;
mod returns;
pub(crate) mod session;
pub(crate) mod signal;

pub(crate) mod table;
pub(crate) mod timers;

use crate::capability::{Capabilities, RequestTable};
use crate::ids::{IdMap, ProcessId};
use crate::policy::Policy;
use crate::scheduler::{Begin, End, Stats};
use crate::system::{Answer, Ask};
use inspect::{Info, Inspect};
use process::{Body, Ended, Mailbox, Reply, Settled, State, Suspended, Wait};
use qualm_vm::code::Program;
use qualm_vm::fiber::{Exit, Fiber};
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::heap::{Heap, Stress};
use qualm_vm::parked::Parked;
use qualm_vm::statics::Known;
use qualm_vm::value::Value;
use registry::Registry;
use signal::{Signal, What};
use std::collections::VecDeque;
use std::sync::Arc;
use table::{Place, Table};
use timers::Timers;

/// Processes that run in one step, at most.
const BATCH: usize = 64;
/// Messages in a mailbox after which a sender lets others run first.
pub(crate) const MAILBOX_SOFT: usize = 4096;
/// Processes lent at once, at most.
const LEND_MAX: usize = 512;

/// A point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Nanoseconds of a clock that only goes forward.
    pub nanos: u64,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

/// What a core is told.
#[derive(Debug)]
pub enum Event {
    /// Run some of what is ready.
    Run,
    /// A signal arrived.
    Signal(Signal),
    /// The world answered.
    Answer(ProcessId, u32, crate::system::Answer),
    /// Another core has nothing to do.
    Share(u8),
    /// Someone looks at the processes, or steers one; the number comes back with what is found.
    Inspect(u64, Inspect),
    /// No core has anything to do and nothing can happen any more.
    Deadlock,
}

/// What a core wants done, in this order: output first, then the rest.
#[derive(Default, Debug)]
pub struct Actions {
    /// Text for standard output.
    pub output: Vec<u8>,
    /// Signals for other cores.
    pub signals: Vec<(u8, Signal)>,
    /// Requests of the world, each with who asks and which of its waits it is.
    pub asks: Vec<(ProcessId, u32, Ask)>,
    /// What was found by those who look.
    pub found: Vec<(u64, Vec<Info>)>,
    /// Processes that ended and may have held something of the world.
    pub gone: Vec<ProcessId>,
    /// The program is over.
    pub end: Option<(End, Option<Parcel>)>,
    /// An input of a session is over, and whether it left something to the next one.
    pub answered: Option<(End, bool)>,
}

/// How a core runs its processes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of this core.
    pub number: u8,
    /// How many cores the program has.
    pub cores: u8,
    /// Function entries a process makes before others have their turn.
    pub slice: u64,
    /// Makes the machine's life hard, to find its bugs.
    pub stress: Stress,
    /// The seed of `Random`.
    pub seed: u64,
    /// What the program sees as its arguments.
    pub args: Arc<[String]>,
    /// How many cells the main process gives beside its value, if it does.
    pub state_cells: Option<usize>,
    /// Whether the program is to be kept when its fuel is used up.
    pub keeps: bool,
    /// Whether the main process runs one input after another, so that the program can always go on.
    pub session: bool,
}

/// The processes that one thread runs.
#[derive(Debug)]
pub struct Core {
    pub(crate) program: Arc<Program>,
    requests: RequestTable,
    pub(crate) settings: Settings,
    pub(crate) table: Table,
    pub(crate) guests: IdMap<Box<Body>>,
    pub(crate) ready: VecDeque<ProcessId>,
    pub(crate) timers: Timers,
    /// Kept by core 0.
    pub(crate) registry: Registry,
    /// Signals of this core to itself.
    pending: VecDeque<Signal>,
    /// The room in which processes run.
    fiber: Fiber,
    /// Where values are put together that no process made.
    desk: Heap,
    /// A process that asked for the time; the fiber is still loaded.
    asked_time: Option<(ProcessId, Clock)>,
    /// How most processes end: with `()`.
    unit: Arc<Ended>,
    /// The policy of the process that is loaded, or was.
    policy: Arc<Policy>,
    pub(crate) rng: fastrand::Rng,
    /// The last number it gave to a monitor; each core has its own, apart by the number of cores.
    references: i64,
    /// Numbers below this were given before the program was saved.
    pub(crate) references_from: i64,
    now: Now,
    fuel: u64,
    ended: u64,
    /// Processes that are suspended here.
    pub(crate) suspended: usize,
    /// What an input of a session left to the next one.
    kept: Option<Parcel>,
    /// Whether the process that is loaded has sent to a very full mailbox in this turn.
    has_sent: bool,
}

/// How a request was answered.
pub(crate) enum Flow {
    /// With a value.
    Answer(Value),
    /// With an error.
    Raise(Value),
    /// Later: the process waits.
    Wait(Wait),
    /// After others had their turn.
    After(Reply),
    /// With the time, which has to be looked up.
    Time(Clock),
}

/// A clock to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// Milliseconds since 1970.
    Wall,
    /// Nanoseconds of one that only goes forward.
    Ticks,
}

impl Core {
    /// A core without processes.
    pub fn new(program: Arc<Program>, settings: Settings) -> Self {
        let limits = qualm_vm::fiber::Limits::default();
        Self {
            requests: RequestTable::of(program.statics()),
            table: Table::new(settings.number),
            guests: IdMap::default(),
            ready: VecDeque::new(),
            timers: Timers::default(),
            registry: Registry::default(),
            pending: VecDeque::new(),
            fiber: Fiber::new(&program, limits, settings.stress),
            desk: Heap::new(program.statics().clone(), Stress::None),
            asked_time: None,
            unit: Arc::new(Ended::Value(Parcel::of(Value::UNIT))),
            policy: Arc::new(Policy::root(Capabilities::none(), limits, None)),
            rng: fastrand::Rng::with_seed(settings.seed.wrapping_add(u64::from(settings.number))),
            references: i64::from(settings.number) - i64::from(settings.cores),
            references_from: 0,
            now: Now { nanos: 0, wall_ms: 0 },
            fuel: 0,
            ended: 0,
            suspended: 0,
            kept: None,
            has_sent: false,
            program,
            settings,
        }
    }

    /// Makes the main process, which runs the entry or what it is to begin with. To be called on core 0, first of all.
    pub fn start(&mut self, policy: Arc<Policy>, begin: Option<&Begin>) {
        let mut fiber = Fiber::new(&self.program, policy.limits, self.settings.stress);
        match begin {
            None => fiber.start(&self.program),
            Some(begin) => {
                session::start_with(&mut fiber, &self.program, begin.function, begin.state.as_ref())
                    .expect("the function goes on with the state");
            }
        }
        let parked = fiber.park(&self.program);
        self.add_process(ProcessId::MAIN, None, parked, policy);
    }

    /// A number that no monitor had.
    pub(crate) fn next_reference(&mut self) -> i64 {
        let (cores, own) = (i64::from(self.settings.cores), i64::from(self.settings.number));
        let from = self.references_from.div_euclid(cores) * cores + own;
        let from = if from < self.references_from { from + cores } else { from };
        self.references = from.max(self.references + cores);
        self.references
    }

    /// No monitor here had this number or a higher one.
    pub(crate) fn references_end(&self) -> i64 {
        self.references_from.max(self.references + 1)
    }

    /// Whether a process is ready to run.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty() || self.asked_time.is_some()
    }

    /// Whether something can be done from outside that lets the program go on: a process is suspended, or waits for an input.
    pub fn may_go_on(&self) -> bool {
        self.suspended > 0 || self.settings.session
    }

    /// How many processes are ready to run.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// When, in nanoseconds, the next timer is due.
    pub fn next_timer(&self) -> Option<u64> {
        self.timers.next()
    }

    /// What its processes did so far.
    pub fn stats(&self) -> Stats {
        Stats { fuel: self.fuel, heap: self.fiber.heap.stats, processes: self.ended }
    }

    /// Takes an event, and says what is to be done.
    pub fn step(&mut self, now: Now, event: Event, actions: &mut Actions) {
        self.rest(now);
        match event {
            Event::Run => self.run(actions),
            Event::Signal(signal) => self.signal(signal, actions),
            Event::Answer(id, token, answer) => {
                let what = What::Reply(token, Reply::World(Box::new(answer)));
                self.signal(Signal { to: id, what }, actions);
            }
            Event::Share(core) => self.share(core, actions),
            Event::Inspect(number, inspect) => {
                let found = self.inspect(inspect, actions);
                actions.found.push((number, found));
            }
            Event::Deadlock => self.tell_deadlock(),
        }
        self.settle(actions);
    }

    /// Puts the process that asked for the time back, if there is one: then none is loaded.
    pub(crate) fn rest(&mut self, now: Now) {
        self.now = now;
        if let Some((id, clock)) = self.asked_time.take() {
            let time = self.fiber.heap.int(match clock {
                Clock::Wall => now.wall_ms,
                Clock::Ticks => now.nanos as i64,
            });
            self.fiber.resume(time);
            self.put_back(id);
        }
    }

    /// Takes the signals of this core to itself.
    fn settle(&mut self, actions: &mut Actions) {
        while let Some(signal) = self.pending.pop_front() {
            self.signal(signal, actions);
        }
    }

    // ---- processes

    /// The process, if it is looked after here.
    pub(crate) fn body(&mut self, id: ProcessId) -> Option<&mut Body> {
        if id.home() == self.settings.number {
            self.table.body(id)
        } else {
            self.guests.get_mut(&id).map(|body| &mut **body)
        }
    }

    /// Makes a process that is ready to run; nothing if there are too many.
    pub(crate) fn add_process(
        &mut self,
        parent: ProcessId,
        listener: Option<table::Listener>,
        parked: Parked,
        policy: Arc<Policy>,
    ) -> Option<ProcessId> {
        let state = State::Ready(Reply::GoOn);
        let body = Body {
            id: parent,
            parent,
            parked,
            state,
            token: 0,
            mailbox: Mailbox::default(),
            policy,
            spawned_at: 0,
            settled: Settled::Unknown,
            holds: false,
            sent_far: 0,
            suspended: Suspended::No,
            returns: false,
        };
        let id = self.table.add(parent, listener, Box::new(body))?;
        self.ready.push_back(id);
        Some(id)
    }

    /// Readies a process that waits.
    fn wake(&mut self, id: ProcessId, reply: Reply) {
        if let Some(body) = self.body(id) {
            body.state = State::Ready(reply);
            self.ready.push_back(id);
        }
    }

    /// Puts the process that is loaded back, to go on before others.
    fn put_back(&mut self, id: ProcessId) {
        let parked = self.fiber.park(&self.program);
        if let Some(body) = self.body(id) {
            (body.parked, body.state) = (parked, State::Ready(Reply::GoOn));
            self.ready.push_front(id);
        }
    }

    /// Lends half of what is ready to a core that has nothing to do.
    fn share(&mut self, core: u8, actions: &mut Actions) {
        let most = (self.ready.len() / 2).min(LEND_MAX);
        let mut kept = Vec::new();
        let mut lent = 0;
        while lent < most {
            let Some(id) = self.ready.pop_back() else { break };
            let at_home = id.home() == self.settings.number && id != ProcessId::MAIN;
            match self.table.slot(id).filter(|_| at_home).map(|slot| &mut slot.place) {
                Some(place) if matches!(&*place, Place::Here(body) if body.suspended == Suspended::No) => {
                    if let Place::Here(body) = std::mem::replace(place, Place::Lent(core)) {
                        actions.signals.push((core, Signal { to: id, what: What::Lend(body) }));
                    }
                    lent += 1;
                }
                _ => {
                    kept.push(id);
                    if kept.len() > 2 * LEND_MAX {
                        break;
                    }
                }
            }
        }
        self.ready.extend(kept.into_iter().rev());
    }

    fn tell_deadlock(&mut self) {
        let main = self.body(ProcessId::MAIN).map(|body| &body.state);
        if main.is_some_and(|state| matches!(state, State::Waiting(wait) if !matches!(wait, Wait::Input))) {
            self.wake(ProcessId::MAIN, Reply::Error(Known::Deadlock, "all processes are waiting".into()));
        }
    }

    // ---- running

    fn run(&mut self, actions: &mut Actions) {
        if self.timers.is_long() {
            let mut timers = std::mem::take(&mut self.timers);
            timers.purge(|id, token| self.body(id).is_some_and(|body| body.token == token && body.state.is_timed()));
            self.timers = timers;
        }
        while let Some((id, token)) = self.timers.due(self.now.nanos) {
            self.time_over(id, token);
        }
        let mut left = self.settings.slice;
        for _ in 0..BATCH {
            let Some(id) = self.ready.pop_front() else { return };
            let own = id.home() == self.settings.number;
            let body = if own { self.table.body(id) } else { self.guests.get_mut(&id).map(|body| &mut **body) };
            let Some(body) = body else { continue };
            if body.suspended != Suspended::No {
                body.suspended = Suspended::Skipped;
                continue;
            }
            if !matches!(body.state, State::Ready(_)) {
                debug_assert!(false, "what is in the queue is ready");
                continue;
            }
            let State::Ready(reply) = std::mem::replace(&mut body.state, State::Running) else { continue };
            let parked = std::mem::replace(&mut body.parked, Parked::elsewhere());
            if !Arc::ptr_eq(&self.policy, &body.policy) {
                self.policy = body.policy.clone();
            }
            self.fiber.unpark(parked, self.policy.limits);
            self.give(id, reply);
            self.run_loaded(id, &mut left, actions);
            self.settle(actions);
            // Where there is one core, asking the world is not a turn: whoever asks goes on before others.
            let waits_for_world = self.settings.cores == 1 && !actions.asks.is_empty();
            if left == 0
                || actions.end.is_some()
                || actions.answered.is_some()
                || self.asked_time.is_some()
                || waits_for_world
            {
                return;
            }
        }
    }

    /// Runs the process that is loaded until it waits, ends or has used its slice.
    fn run_loaded(&mut self, id: ProcessId, batch: &mut u64, actions: &mut Actions) {
        let mut slice = self.settings.slice;
        self.has_sent = false;
        let limited = self.policy.limits_fuel();
        loop {
            let (left, of_program) =
                if limited { self.policy.fuel_left().unwrap_or((u64::MAX, false)) } else { (u64::MAX, false) };
            let before = self.fiber.fuel_used();
            let exit = self.fiber.run(&self.program, slice.min(left));
            let used = self.fiber.fuel_used() - before;
            self.fuel += used;
            slice -= used;
            *batch = batch.saturating_sub(used);
            if limited {
                self.policy.use_fuel(used);
            }
            let flow = match exit {
                Exit::Request(request) => self.request(id, request, actions),
                Exit::Done(value) if id == ProcessId::MAIN => return self.main_done(value, actions),
                Exit::Done(value) => {
                    let value = self.fiber.heap.pack(&self.program, value);
                    return self.end(id, Ended::Value(value), actions);
                }
                Exit::Failed(uncaught) if id == ProcessId::MAIN => return self.main_failed(*uncaught, actions),
                Exit::Failed(uncaught) => {
                    let raised = self.fiber.heap.pack(&self.program, uncaught.value);
                    return self.end(id, Ended::Error(raised), actions);
                }
                Exit::OutOfFuel if left == used && of_program => {
                    if self.settings.keeps {
                        self.put_back(id);
                    }
                    actions.end = Some((End::OutOfFuel, None));
                    return;
                }
                Exit::OutOfFuel if left == used => return self.over_quota(id, "fuel", actions),
                Exit::OutOfFuel => Flow::After(Reply::GoOn),
                Exit::OutOfMemory => return self.over_quota(id, "memory", actions),
            };
            match flow {
                Flow::Answer(value) => self.fiber.resume(value),
                Flow::Raise(error) => self.fiber.raise(error),
                Flow::Wait(wait) => {
                    if self.leave(id, State::Waiting(wait)) {
                        self.release_senders(id, actions);
                    }
                    if id.home() != self.settings.number {
                        self.offer_return(id, actions);
                    }
                    return;
                }
                Flow::After(reply) => {
                    self.leave(id, State::Ready(reply));
                    self.ready.push_back(id);
                    return;
                }
                Flow::Time(clock) => {
                    self.asked_time = Some((id, clock));
                    return;
                }
            }
            if slice == 0 {
                self.leave(id, State::Ready(Reply::GoOn));
                self.ready.push_back(id);
                return;
            }
        }
    }

    /// Takes the process that is loaded out; whether someone waits to send to it.
    fn leave(&mut self, id: ProcessId, state: State) -> bool {
        let parked = self.fiber.park(&self.program);
        let Some(body) = self.body(id) else { return false };
        (body.parked, body.state) = (parked, state);
        body.mailbox.look().is_some_and(|messages| messages.bound.is_none() && !messages.senders.is_empty())
    }

    /// A process that waits takes no messages for a while: who sends to it need not wait for that, unless it wants them to.
    fn release_senders(&mut self, id: ProcessId, actions: &mut Actions) {
        let Some(body) = self.body(id) else { return };
        for (sender, token) in body.mailbox.get().senders.drain(..).collect::<Vec<_>>() {
            self.send(sender, What::Reply(token, Reply::Unit), actions);
        }
    }

    fn time_over(&mut self, id: ProcessId, token: u32) {
        let Some(body) = self.body(id).filter(|body| body.token == token) else { return };
        let reply = match &body.state {
            State::Waiting(Wait::Timer) => Reply::Unit,
            State::Waiting(Wait::Message { timed: true, .. }) => Reply::MaybeMessage(None),
            _ => return,
        };
        self.wake(id, reply);
    }

    /// Tells the process that is loaded what it waited for.
    fn give(&mut self, id: ProcessId, reply: Reply) {
        let reply = match reply {
            Reply::World(answer) => match *answer {
                Answer::Stored(bytes) => return self.give_stored(bytes.as_deref()),
                Answer::Process(bytes) => return self.respawn(id, bytes.as_deref()),
                other => Reply::World(Box::new(other)),
            },
            other => other,
        };
        let (heap, program) = (&mut self.fiber.heap, &self.program);
        let answer = match reply {
            Reply::GoOn => return,
            Reply::Unit => Value::UNIT,
            Reply::Bool(value) => Value::bool(value),
            Reply::Message(message) => heap.unpack(program, &message),
            Reply::MaybeMessage(message) => {
                let message = message.map(|message| heap.unpack(program, &message));
                crate::system::option(heap, message)
            }
            Reply::Joined(ended) => ended.value(program, heap),
            Reply::Group(members) => {
                let results: Vec<Value> = members.iter().map(|ended| ended.value(program, heap)).collect();
                heap.list(&results)
            }
            Reply::Processes(ids) => {
                let items: Vec<Value> = ids.into_iter().map(ProcessId::value).collect();
                heap.list(&items)
            }
            Reply::MaybeProcess(id) => crate::system::option(heap, id.map(ProcessId::value)),
            Reply::World(answer) => answer.value(heap),
            Reply::Error(kind, message) => {
                let raised = crate::system::error(heap, kind, &message);
                return self.fiber.raise(raised);
            }
        };
        self.fiber.resume(answer);
    }

    fn give_stored(&mut self, bytes: Option<&[u8]>) {
        let value = bytes.map(|bytes| self.stored_value(bytes)).transpose();
        match value {
            Ok(value) => {
                let value = crate::system::option(&mut self.fiber.heap, value);
                self.fiber.resume(value);
            }
            Err(error) => {
                let message = format!("what was stored is no value of this program: {error}");
                let raised = crate::system::error(&mut self.fiber.heap, Known::System, &message);
                self.fiber.raise(raised);
            }
        }
    }
}
