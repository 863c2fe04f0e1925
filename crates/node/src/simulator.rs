//! Drives several cores on one thread, with a clock of its own and a schedule drawn from a seed: the same seed gives the same run, whatever the machine
//! does. What a program may not depend on (which core runs what, how slices fall, when signals arrive) is drawn anew for each seed.

use crate::core::{Actions, Core, Event, Now, Settings};
use crate::ids::ProcessId;
use crate::image::{self, Around};
use crate::policy::Policy;
use crate::scheduler::{End, Stats};
use crate::system::{Answer, Ask, Trouble};
use fastrand::Rng;
use qualm_ir::wire::WireError;
use qualm_vm::code::Program;
use qualm_vm::heap::Stress;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// How a simulated program ended.
#[derive(Debug)]
pub enum Simulated {
    /// As a real one does.
    Ended(End),
    /// The steps it was given are used up.
    OutOfSteps,
    /// Nothing can happen any more, and the main process cannot be told.
    Stuck,
}

/// Cores, and what is on the way between them.
#[derive(Debug)]
pub struct Simulator {
    cores: Vec<Core>,
    inboxes: Vec<VecDeque<Event>>,
    rng: Rng,
    now: Now,
    told_deadlock: bool,
    end: Option<End>,
    around: Around,
    /// What was written.
    pub output: Vec<u8>,
}

impl Simulator {
    /// A program on some cores, about to start.
    ///
    /// # Panics
    /// If it has no entry.
    pub fn start(program: &Arc<Program>, policy: Policy, cores: u8, seed: u64) -> Self {
        let mut simulator = Self::new(program, cores, seed, Rng::with_seed(seed));
        simulator.cores[0].start(Arc::new(policy), None);
        simulator
    }

    /// A program that was saved, about to go on.
    ///
    /// # Errors
    /// If the state is none of this program.
    pub fn resume(
        program: &Arc<Program>,
        state: &[u8],
        policy: Policy,
        cores: u8,
        seed: u64,
    ) -> Result<Self, WireError> {
        let mut simulator = Self::new(program, cores, seed, Rng::with_seed(seed));
        let settings = simulator.cores[0].settings.clone();
        (simulator.cores[0], simulator.around) = image::restore(state, program, settings, policy, simulator.now)?;
        let references = simulator.cores[0].references_from;
        simulator.cores.iter_mut().for_each(|core| core.references_from = references);
        Ok(simulator)
    }

    fn new(program: &Arc<Program>, count: u8, seed: u64, mut rng: Rng) -> Self {
        let count = count.max(1);
        let mut core = |number| {
            let settings = Settings {
                number,
                cores: count,
                slice: rng.u64(1..2_000),
                stress: Stress::None,
                seed,
                args: Arc::new([]),
                state_cells: None,
                keeps: true,
                session: false,
            };
            Core::new(program.clone(), settings)
        };
        Self {
            cores: (0..count).map(&mut core).collect(),
            inboxes: (0..count).map(|_| VecDeque::new()).collect(),
            rng,
            now: Now { nanos: 0, wall_ms: 1_000_000_000_000 },
            told_deadlock: false,
            end: None,
            around: Around::default(),
            output: Vec::new(),
        }
    }

    /// Runs until the program ends, or so many things have happened.
    pub fn run(&mut self, steps: u64) -> Simulated {
        for _ in 0..steps {
            if !self.step() {
                return Simulated::Stuck;
            }
            if let Some(end) = self.end.take() {
                return Simulated::Ended(end);
            }
        }
        Simulated::OutOfSteps
    }

    /// The state of the program, from which [`Simulator::resume`] goes on; what is on the way arrives first.
    pub fn save(&mut self) -> Vec<u8> {
        while let Some(core) = self.inboxes.iter().position(|inbox| !inbox.is_empty()) {
            self.arrive(core);
        }
        for core in &mut self.cores {
            core.rest(self.now);
        }
        image::save(&self.cores, self.now, &self.around, &HashSet::new())
    }

    /// What the processes did so far.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.cores.iter().for_each(|core| stats.add(&core.stats()));
        stats
    }

    /// Lets one thing happen; whether anything could.
    fn step(&mut self) -> bool {
        let ready: Vec<usize> = (0..self.cores.len()).filter(|core| self.cores[*core].is_ready()).collect();
        let arriving: Vec<usize> = (0..self.cores.len()).filter(|core| !self.inboxes[*core].is_empty()).collect();
        let choices = ready.len() + arriving.len();
        if choices == 0 {
            return self.pass_time();
        }
        self.told_deadlock = false;
        // Time goes on a little with everything that happens.
        self.now.nanos += self.rng.u64(0..20_000);
        self.now.wall_ms = 1_000_000_000_000 + (self.now.nanos / 1_000_000) as i64;
        let choice = self.rng.usize(0..choices);
        match ready.get(choice) {
            Some(core) if self.cores[*core].ready() > 1 && self.cores.len() > 1 && self.rng.u8(..) < 32 => {
                let other = (core + self.rng.usize(1..self.cores.len())) % self.cores.len();
                self.tell(*core, Event::Share(other as u8));
            }
            Some(core) => self.tell(*core, Event::Run),
            None => self.arrive(arriving[choice - ready.len()]),
        }
        true
    }

    fn arrive(&mut self, core: usize) {
        if let Some(event) = self.inboxes[core].pop_front() {
            self.tell(core, event);
        }
    }

    /// Nothing is ready: the next timer is due, or nothing can happen any more.
    fn pass_time(&mut self) -> bool {
        if let Some(at) = self.cores.iter().filter_map(Core::next_timer).min() {
            self.now.nanos = self.now.nanos.max(at);
            for core in 0..self.cores.len() {
                self.tell(core, Event::Run);
            }
            return true;
        }
        let first = !std::mem::replace(&mut self.told_deadlock, true);
        if first {
            self.tell(usize::from(ProcessId::MAIN.home()), Event::Deadlock);
        }
        first
    }

    fn tell(&mut self, core: usize, event: Event) {
        let mut actions = Actions::default();
        self.cores[core].step(self.now, event, &mut actions);
        self.output.append(&mut actions.output);
        for (to, signal) in actions.signals {
            self.inboxes[usize::from(to)].push_back(Event::Signal(signal));
        }
        for (id, token, ask) in actions.asks {
            self.inboxes[usize::from(id.home())].push_back(Event::Answer(id, token, world(ask)));
        }
        if let Some((end, _)) = actions.end {
            self.end.get_or_insert(end);
        }
    }
}

/// A world in which there is nothing.
fn world(ask: Ask) -> Answer {
    match ask {
        Ask::ReadLine(_) | Ask::Env(_) => Answer::MaybeText(None),
        Ask::WriteError(_) => Answer::Unit,
        Ask::Store(bytes) => Answer::Text(blake3::hash(&bytes).to_hex().to_string()),
        Ask::Load(_) => Answer::Stored(None),
        Ask::File(_, path, _) => Answer::Result(Err(Trouble::NotFound(path))),
        _ => Answer::Result(Err(Trouble::Failed("there is no network".to_owned()))),
    }
}
