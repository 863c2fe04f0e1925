//! Runs the cores of one program on threads, carries signals between them and requests to the world.

use crate::core::inspect::{Info, Inspect};
use crate::core::session::Input;
use crate::core::{Actions, Core, Event, Now};
use crate::ids::ProcessId;
use crate::image::{self, Around};
use crate::scheduler::{End, Options};
use crate::system::{Answer, Ask};
use crate::world::World;
use qualm_vm::code::Program;
use qualm_vm::heap::parcel::Parcel;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a program that waits may take to see that it should stop.
const STOP_LATENCY: Duration = Duration::from_millis(50);

/// How long a program that is saved while it goes on waits for answers of the world.
const LIVE_ANSWERS: Duration = Duration::from_millis(20);

/// How long whoever looks at processes waits for each core.
const LOOK_LONGEST: Duration = Duration::from_secs(5);

/// How often a core that has nothing to do looks for signals before it sleeps.
const SPINS: u32 = 200;

/// Signals for a core.
#[derive(Default)]
struct Inbox {
    events: Mutex<VecDeque<Event>>,
    count: AtomicUsize,
    arrived: Condvar,
}

impl Inbox {
    fn push(&self, event: Event) {
        self.extend(std::iter::once(event));
    }

    fn extend(&self, more: impl Iterator<Item = Event>) {
        let mut events = lock(&self.events);
        let before = events.len();
        events.extend(more);
        self.count.store(events.len(), Ordering::Release);
        drop(events);
        if before == 0 {
            self.arrived.notify_one();
        }
    }
}

/// Whether nothing else could happen at a core while a process waits for the world.
fn is_alone(core: &Core) -> bool {
    core.ready() == 0 && core.next_timer().is_none()
}

/// What the threads share.
pub(crate) struct Driver {
    pub(crate) world: World,
    inboxes: Arc<Vec<Inbox>>,
    /// Cores that have nothing to do, as bits of their numbers modulo 64.
    hungry: AtomicU64,
    idle: Mutex<Idle>,
    done: AtomicBool,
    stop: Option<Arc<AtomicBool>>,
    started: Instant,
    pub(crate) ended: Mutex<Option<(End, Option<Parcel>)>>,
    /// Those who look at processes, and how many have.
    looks: Mutex<Looks>,
    wishes: Mutex<Wishes>,
    /// Who gave the input of a session that runs.
    answered: Mutex<Option<Answered>>,
}

/// Those who look at processes by number, and how many there were.
#[derive(Default)]
struct Looks {
    count: u64,
    open: HashMap<u64, mpsc::Sender<Vec<Info>>>,
}

/// Those who want something for which all cores have to stop for a moment.
#[derive(Default)]
struct Wishes {
    open: Vec<Wish>,
    /// The program is over: there is no state any more.
    over: bool,
}

/// Something for which all cores have to stop for a moment.
enum Wish {
    /// The state.
    State { sender: mpsc::Sender<Vec<u8>>, then_stop: bool },
    /// An input of a session, with the program that has its functions; whoever gave it is told how it ended.
    Input(Arc<Program>, Input, Answered),
}

/// Is told how an input ended, and whether it left something to the next one.
pub(crate) type Answered = Box<dyn FnOnce(End, bool) + Send>;

/// Who has nothing to do.
#[derive(Default)]
struct Idle {
    cores: usize,
    /// Of these, those at which something can happen without a signal: a time comes, a suspended process is let go on.
    open: usize,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that panics (an error of the machine itself) stops the others, which would wait for it for ever.
struct StopOnPanic<'a>(&'a Driver);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.finish();
        }
    }
}

impl Driver {
    pub(crate) fn new(cores: usize, options: &Options) -> Self {
        let inboxes: Arc<Vec<Inbox>> = Arc::new((0..cores).map(|_| Inbox::default()).collect());
        let answers = inboxes.clone();
        let deliver = move |answer: Option<(ProcessId, u32, Answer)>| match answer {
            Some((id, token, answer)) => answers[usize::from(id.home())].push(Event::Answer(id, token, answer)),
            None => answers[0].push(Event::Run),
        };
        Self {
            world: World::new(options, Arc::new(deliver)),
            inboxes,
            hungry: AtomicU64::new(0),
            idle: Mutex::default(),
            done: AtomicBool::new(false),
            stop: options.stop.clone(),
            started: Instant::now(),
            ended: Mutex::new(None),
            looks: Mutex::default(),
            wishes: Mutex::default(),
            answered: Mutex::default(),
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Now { nanos: self.started.elapsed().as_nanos() as u64, wall_ms: wall as i64 }
    }

    pub(crate) fn finish(&self) {
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

    /// The state of a program whose threads have stopped. Answers of the world get a moment to arrive, and what is on the way does.
    pub(crate) fn save(&self, cores: &mut [Core], args: &[String], moment: Duration) -> Vec<u8> {
        let mut actions = Actions::default();
        self.world.wait(moment);
        let mut any = true;
        while std::mem::take(&mut any) {
            for core in cores.iter_mut() {
                core.rest(self.now());
                let inbox = &self.inboxes[usize::from(core.settings.number)];
                let events = {
                    let mut events = lock(&inbox.events);
                    inbox.count.store(0, Ordering::Release);
                    std::mem::take(&mut *events)
                };
                for event in events {
                    any = true;
                    core.step(self.now(), event, &mut actions);
                    self.carry_out(core, &mut actions);
                }
            }
        }
        let around = Around { args: args.to_vec(), values: self.world.values() };
        image::save(cores, self.now(), &around, &self.world.pending())
    }

    /// Looks at processes or steers one.
    pub(crate) fn inspect(&self, what: Inspect) -> Vec<Info> {
        let (sender, receiver) = mpsc::channel();
        let number = {
            let mut looks = lock(&self.looks);
            looks.count += 1;
            let number = looks.count;
            looks.open.insert(number, sender);
            number
        };
        let mut found = Vec::new();
        if !lock(&self.wishes).over {
            self.inboxes.iter().for_each(|inbox| inbox.push(Event::Inspect(number, what.clone())));
            for _ in 0..self.inboxes.len() {
                // A program that ends meanwhile closes the channel.
                found.extend(receiver.recv_timeout(LOOK_LONGEST).unwrap_or_default());
            }
        }
        lock(&self.looks).open.remove(&number);
        found
    }

    /// The state of the program as it is now, while it goes on; nothing if it is over.
    pub(crate) fn save_now(&self, then_stop: bool) -> Option<Vec<u8>> {
        let (sender, receiver) = mpsc::channel();
        self.wish(Wish::State { sender, then_stop });
        receiver.recv().ok()
    }

    /// Gives a session an input.
    pub(crate) fn input(&self, program: Arc<Program>, input: Input, answered: Answered) {
        self.wish(Wish::Input(program, input, answered));
    }

    /// Stops the cores until a wish is fulfilled; if the program is over it is dropped.
    fn wish(&self, wish: Wish) {
        {
            let mut wishes = lock(&self.wishes);
            if wishes.over {
                return;
            }
            wishes.open.push(wish);
        }
        self.finish();
    }

    fn fulfil(&self, wishes: Vec<Wish>, cores: &mut [Core], args: &[String]) -> bool {
        let mut stops = false;
        let mut state = None;
        for wish in wishes {
            match wish {
                Wish::State { sender, then_stop } => {
                    let state = state.get_or_insert_with(|| self.save(cores, args, LIVE_ANSWERS));
                    let _ = sender.send(state.clone());
                    stops |= then_stop;
                }
                Wish::Input(program, input, answered) => {
                    for core in cores.iter_mut() {
                        core.rest(self.now());
                        core.extend(&program);
                    }
                    match cores[0].begin_input(&input) {
                        Ok(()) => *lock(&self.answered) = Some(answered),
                        Err(message) => {
                            answered(End::Error { message, raised: None, trace: Vec::new(), left_out: 0 }, false);
                        }
                    }
                    state = None;
                }
            }
        }
        stops
    }

    /// Runs the cores on threads until the program is over. The calling thread runs one of them, so a program on one core starts no thread.
    pub(crate) fn drive(&self, cores: &mut [Core], args: &[String]) {
        let mut stops = false;
        while !stops && lock(&self.ended).is_none() {
            // Whoever wants an end or a state says what first and sets `done` then; so what was said before this is seen below.
            self.done.store(false, Ordering::Release);
            *lock(&self.idle) = Idle::default();
            self.hungry.store(0, Ordering::Relaxed);
            if lock(&self.ended).is_none() && lock(&self.wishes).open.is_empty() {
                let (first, others) = cores.split_first_mut().expect("there is a core");
                std::thread::scope(|scope| {
                    for core in others {
                        scope.spawn(|| self.work(core));
                    }
                    self.work(first);
                });
            }
            let wishes = std::mem::take(&mut lock(&self.wishes).open);
            if !wishes.is_empty() && lock(&self.ended).is_none() {
                stops = self.fulfil(wishes, cores, args);
            }
        }
        // Those who still wait learn that there is nothing to wait for.
        let mut wishes = lock(&self.wishes);
        wishes.over = true;
        wishes.open.clear();
        drop(wishes);
        lock(&self.looks).open.clear();
        drop(lock(&self.answered).take());
    }

    fn push(&self, core: usize, event: Event) {
        self.inboxes[core].push(event);
    }

    fn carry_out(&self, core: &mut Core, actions: &mut Actions) {
        if !actions.output.is_empty() {
            self.world.host.write(&actions.output);
            actions.output.clear();
        }
        let mut signals = actions.signals.drain(..).peekable();
        while let Some((to, first)) = signals.next() {
            // Signals for one core go in together.
            let rest = std::iter::from_fn(|| signals.next_if(|(other, _)| *other == to).map(|(_, signal)| signal));
            self.inboxes[usize::from(to)].extend(std::iter::once(first).chain(rest).map(Event::Signal));
        }
        drop(signals);
        for id in actions.gone.drain(..) {
            self.world.gone(id);
        }
        for (id, token, ask) in std::mem::take(&mut actions.asks) {
            let alone = self.inboxes.len() == 1 && (matches!(ask, Ask::File(..)) || is_alone(core));
            if let Some(answer) = self.world.ask(id, token, ask, alone) {
                core.step(self.now(), Event::Answer(id, token, answer), actions);
            }
        }
        for (number, infos) in actions.found.drain(..) {
            if let Some(sender) = lock(&self.looks).open.get(&number) {
                let _ = sender.send(infos);
            }
        }
        if let Some((end, left)) = actions.answered.take()
            && let Some(answered) = lock(&self.answered).take()
        {
            self.world.host.flush();
            answered(end, left);
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
        let may_go_on = timer.is_some() || core.may_go_on();
        {
            let mut idle = lock(&self.idle);
            if inbox.count.load(Ordering::Acquire) > 0 {
                return;
            }
            idle.cores += 1;
            idle.open += usize::from(may_go_on);
            let nothing_else = || self.inboxes.iter().all(|inbox| inbox.count.load(Ordering::Acquire) == 0);
            if idle.cores == self.inboxes.len() && idle.open == 0 && self.world.waiting() == 0 && nothing_else() {
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
        idle.open -= usize::from(may_go_on);
        drop(idle);
        self.hungry.fetch_and(!bit, Ordering::Relaxed);
    }
}
