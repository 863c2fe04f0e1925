//! Runs inputs one after another, each as a program that goes on with the numbering and the state of those before.

use super::remote::Remote;
use crate::commands::trace_text;
use crate::input::{Disk, on_compiler_thread, render};
use qualm_ir::diagnostic::{Diagnostic, Severity};
use qualm_ir::module::Module;
use qualm_ir::source::SourceMap;
use qualm_ir::verify::verify;
use qualm_node::capability::Capabilities;
use qualm_node::scheduler::{self, Begin, End, Options, Stats};
use qualm_passerine::Inferred;
use qualm_passerine::session::Session;
use qualm_vm::heap::parcel::Parcel;
use qualm_vm::load::load;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What an input came to.
pub(super) enum Evaluated {
    /// A value.
    Value {
        /// Its value form.
        shown: String,
        /// How long it ran, not counting the compiler.
        took: Duration,
        /// What it cost; a node does not say.
        stats: Option<Stats>,
    },
    /// Why not, ready to print.
    Failed(String),
}

/// A session and its state.
pub(super) struct Evaluator {
    pub(super) session: Session,
    place: Place,
    stop: Arc<AtomicBool>,
    count: usize,
}

/// Where inputs run.
enum Place {
    /// In this process, each as a program of its own: the functions of all inputs so far, and what the last one left.
    Here { module: Module, state: Option<Parcel> },
    /// On a node, in a program that goes on.
    Node(Remote),
}

impl Place {
    /// Here, with nothing defined.
    fn here() -> Self {
        Self::Here { module: Module::default(), state: None }
    }
}

impl Evaluator {
    /// Runs inputs here, or at a node.
    pub(super) fn new(stop: Arc<AtomicBool>, remote: Option<Remote>) -> Self {
        let place = remote.map_or_else(Place::here, Place::Node);
        Self { session: Session::default(), place, stop, count: 0 }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.session = Session::default();
        match &mut self.place {
            Place::Node(remote) => remote.reset(),
            here @ Place::Here { .. } => *here = Place::here(),
        }
    }

    /// The session at a node, if inputs run there.
    pub(super) fn remote(&mut self) -> Option<&mut Remote> {
        match &mut self.place {
            Place::Node(remote) => Some(remote),
            Place::Here { .. } => None,
        }
    }

    /// Runs an input.
    pub(super) fn evaluate(&mut self, input: &str) -> Evaluated {
        self.count += 1;
        let name = format!("input {}", self.count);
        match self.try_evaluate(&name, input) {
            Ok(evaluated) => evaluated,
            Err(problem) => Evaluated::Failed(problem),
        }
    }

    fn try_evaluate(&mut self, name: &str, input: &str) -> Result<Evaluated, String> {
        let mut disk = Disk::of(Path::new(""))?;
        let step = on_compiler_thread(|| self.session.step(name, input, &mut disk))?;
        let (module, main) = match &step.code {
            Ok((module, main)) => (module.clone(), *main),
            Err(problems) => return Err(render(problems, &step.sources)),
        };
        self.warn(name, input);
        self.stop.store(false, Ordering::Relaxed);
        // A session without variables has no cells to hand over.
        let goes_on = !self.session.variables().is_empty();
        let began = Instant::now();
        let (kept, shown, stats) = match &mut self.place {
            Place::Node(remote) => {
                let answer = remote.evaluate(&module, main.0, step.cells(), goes_on)?;
                let shown = answer.value.ok_or(answer.problem)?;
                (answer.kept, shown, None)
            }
            Place::Here { module: before, state } => {
                let mut merged = before.clone();
                let base = merged.append(module);
                let begin =
                    Begin { function: base.0 + main.0, state: state.clone().filter(|_| goes_on), cells: step.cells() };
                let (left, shown, stats) = run_here(&merged, begin, &self.stop)?;
                // A `switch` gives up the input: its value is that of another fiber, and what it defined is gone.
                let kept = left.is_some();
                if kept {
                    (*before, *state) = (merged, left);
                }
                (kept, shown, Some(stats))
            }
        };
        let took = began.elapsed();
        if kept {
            self.session.accept(step);
        }
        Ok(Evaluated::Value { shown, took, stats })
    }

    /// Shows what inference finds wrong with an input that runs all the same.
    fn warn(&self, name: &str, input: &str) {
        if let (sources, Ok(inferred)) = self.infer(name, input) {
            let warnings: Vec<Diagnostic> = inferred
                .problems
                .into_iter()
                .map(|problem| Diagnostic { severity: Severity::Warning, ..problem })
                .collect();
            crate::commands::complain(&render(&warnings, &sources));
        }
    }

    /// What inference says of an input after all before it.
    pub(super) fn infer(&self, name: &str, input: &str) -> (SourceMap, Result<Inferred, Vec<Diagnostic>>) {
        let Ok(mut disk) = Disk::of(Path::new("")) else { return (SourceMap::default(), Err(Vec::new())) };
        on_compiler_thread(|| self.session.infer(name, input, &mut disk))
            .unwrap_or_else(|_| (SourceMap::default(), Err(Vec::new())))
    }

    /// The type of the input that was evaluated last.
    pub(super) fn last_type(&self, input: &str) -> String {
        match self.before_last(input).infer("input", input) {
            (_, Ok(inferred)) => inferred.last,
            (_, Err(_)) => String::new(),
        }
    }

    /// The types of the variables that the input that was evaluated last bound.
    pub(super) fn new_bindings(&self, input: &str) -> Vec<(String, String)> {
        let (_, Ok(all)) = self.infer("input", "") else { return Vec::new() };
        let bound = |name: &str| {
            input.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('=')))
        };
        all.bindings.iter().filter(|(name, _)| bound(name)).map(|(name, ty)| (name.to_string(), ty.clone())).collect()
    }

    /// This as it was before its last input.
    fn before_last(&self, input: &str) -> Self {
        let mut session = self.session.clone();
        session.forget_last(input);
        Self { session, place: Place::here(), stop: self.stop.clone(), count: 0 }
    }
}

/// Runs an input as a program of its own: what it leaves to the next one, its value, what it cost.
fn run_here(module: &Module, begin: Begin, stop: &Arc<AtomicBool>) -> Result<(Option<Parcel>, String, Stats), String> {
    let verified = verify(module.clone()).map_err(|errors| format!("{errors:?}\n"))?;
    let program = Arc::new(load(verified));
    let report = scheduler::run(
        program.clone(),
        Options {
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            capabilities: Capabilities::all(),
            stop: Some(stop.clone()),
            begin: Some(begin),
            ..Options::default()
        },
    );
    match report.end {
        End::Value(shown) => Ok((report.state, shown, report.stats)),
        End::Error { message, trace, left_out, .. } => Err(trace_text(program.module(), &trace, left_out, &message)),
        End::OutOfFuel | End::Stopped => Err("stopped\n".into()),
        End::OutOfMemory => Err("stopped: it needs more memory than it may use\n".into()),
    }
}
