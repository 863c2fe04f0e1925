//! `qualm run`, and the running half of `aspen run`.

use super::client::NodeArgs;
use super::{complain, print};
use crate::project::{MANIFEST, Project};
use crate::{input, status};
use clap::Args;
use qualm_ir::module::Module;
use qualm_ir::verify::verify;
use qualm_node::capability::Capabilities;
use qualm_node::ending::{Ending, error_text};
use qualm_node::image::Image;
use qualm_node::protocol::Run;
use qualm_node::scheduler::{self, Report, Stats};
use qualm_passerine::is_standard;
use qualm_vm::fiber::{Limits, TraceEntry};
use qualm_vm::heap::Stress;
use qualm_vm::load::{load, load_with};
use qualm_vm::snapshot::Decoder;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `qualm run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The program: Passerine (.pn), text assembly (.qualm) or a binary module (.qb)
    file: PathBuf,
    #[command(flatten)]
    options: RunOptions,
    /// What the program sees as its arguments; put `--` before arguments that start with a dash
    args: Vec<String>,
}

/// Ways to make the machine's life hard.
#[derive(Clone, Copy, clap::ValueEnum, Debug)]
enum StressMode {
    Collect,
    Copy,
}

/// How a program runs.
#[derive(Args, Debug, Default)]
pub struct RunOptions {
    /// Print the program's value at the end, as `= VALUE`
    #[arg(long)]
    value: bool,
    /// Say on stderr what the run cost
    #[arg(long)]
    stats: bool,
    /// Stop after this many function entries (exit status 3)
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Memory each process may use, in MiB [default: 4096]
    #[arg(long, value_name = "MIB")]
    memory: Option<usize>,
    /// Threads that run processes [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Stop the whole program after this many function entries and save it (needs --save); `qualm resume` goes on with it
    #[arg(long, value_name = "FUEL", requires = "save", conflicts_with = "fuel")]
    stop_after: Option<u64>,
    /// The file to save it to
    #[arg(long, value_name = "FILE", requires = "stop_after")]
    save: Option<PathBuf>,
    /// Seed of the program's random numbers [default: a new one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run it at a node (a socket file or HOST:PORT), which `qualm node start` starts
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["stop_after", "save", "stats", "seed"])]
    node: Option<String>,
    /// At a node: do not wait for the program, which goes on
    #[arg(long, requires = "node")]
    detach: bool,
    /// What executes the program
    #[arg(long, default_value = "interp", value_parser = ["interp"])]
    tier: String,
    /// Capabilities to grant, separated by commas, or `all`; a script has write, read, clock, random, args and spawn
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    allow: Vec<String>,
    /// Collect garbage whenever that is possible, or update nothing in place (slow; finds bugs in the machine)
    #[arg(long, hide = true, value_enum)]
    stress: Option<StressMode>,
}

/// `qualm run`
pub fn run(args: RunArgs) -> u8 {
    run_file(&args.file, &args.options, args.args)
}

/// Arguments of `qualm resume`.
#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// A program that was saved with `qualm run --save`
    file: PathBuf,
    #[command(flatten)]
    options: RunOptions,
}

/// `qualm resume`
pub fn resume(args: ResumeArgs) -> u8 {
    let (file, options) = (&args.file, &args.options);
    let refuse = |problem: String| {
        complain(&format!("{}: {problem}\n", file.display()));
        status::INVALID
    };
    let capabilities = match granted(options) {
        Ok(capabilities) => capabilities,
        Err(code) => return code,
    };
    let image = match std::fs::read(file) {
        Ok(bytes) => Image::from_bytes(&bytes),
        Err(error) => return refuse(error.to_string()),
    };
    let (module, state) = match image {
        Ok(image) => (image.module, image.state),
        Err(error) => return refuse(error.to_string()),
    };
    let symbols = match Decoder::symbols(&state) {
        Ok(symbols) => symbols,
        Err(error) => return refuse(format!("in the state, {error}")),
    };
    let program = match verify(module) {
        Ok(module) => Arc::new(load_with(module, &symbols)),
        Err(errors) => {
            let first = errors.first().map_or_else(String::new, ToString::to_string);
            return refuse(format!("in the code, {first}"));
        }
    };
    match scheduler::resume(program.clone(), &state, run_settings(options, capabilities, Vec::new())) {
        Ok(report) => conclude(program.module(), options, report),
        Err(error) => refuse(format!("in the state, {error}")),
    }
}

/// Runs a project. What it asks for in its manifest must have been granted; at a terminal the user is asked.
pub fn run_project(project: &Project, options: &RunOptions, args: Vec<String>) -> u8 {
    let mut capabilities = match granted(options) {
        Ok(capabilities) => capabilities,
        Err(code) => return code,
    };
    let mut missing = Vec::new();
    for name in &project.manifest.allow {
        match capabilities.has(name) {
            Some(true) => {}
            Some(false) => missing.push(name.as_str()),
            None => {
                complain(&format!("{MANIFEST} asks for `{name}`, which is no capability\n"));
                return status::INVALID;
            }
        }
    }
    if !missing.is_empty() {
        let names = missing.join(",");
        let name = &project.manifest.name;
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            complain(&format!("{name} asks for {names}; grant it with `aspen run --allow {names}`\n"));
            return status::STOPPED;
        }
        complain(&format!("{name} asks for {names}. Allow this? [y/N] "));
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        if read.is_err() || !matches!(answer.trim(), "y" | "Y" | "yes") {
            return status::STOPPED;
        }
        for name in missing {
            let _ = capabilities.grant(name);
        }
    }
    super::warn(&project.main());
    run_with(&project.main(), options, capabilities, args)
}

/// Runs a file.
pub fn run_file(file: &Path, options: &RunOptions, args: Vec<String>) -> u8 {
    match granted(options) {
        Ok(capabilities) => run_with(file, options, capabilities, args),
        Err(code) => code,
    }
}

/// What a script has, and what the command line grants.
fn granted(options: &RunOptions) -> Result<Capabilities, u8> {
    with_script(&options.allow)
}

/// The names of what a script has and of these.
pub(crate) fn grants(allow: &[String]) -> Result<Vec<String>, u8> {
    with_script(allow).map(|capabilities| capabilities.granted())
}

fn with_script(allow: &[String]) -> Result<Capabilities, u8> {
    let mut capabilities = Capabilities::script();
    for name in allow {
        if let Err(problem) = capabilities.grant(name) {
            complain(&format!("{problem}\n"));
            return Err(status::USAGE);
        }
    }
    Ok(capabilities)
}

fn run_with(file: &Path, options: &RunOptions, capabilities: Capabilities, args: Vec<String>) -> u8 {
    let module = match input::verified(file) {
        Ok(module) => module,
        Err(problem) => {
            complain(&problem);
            return status::INVALID;
        }
    };
    if module.get().entry.is_none() {
        complain(&format!("{}: the module has no entry to run (`entry @main`)\n", file.display()));
        return status::INVALID;
    }
    if let Some(node) = &options.node {
        let name = file.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let run = Run {
            name,
            module: qualm_ir::binary::encode(module.get()),
            args,
            allow: capabilities.granted(),
            memory_words: options.memory.map(|memory| memory as u64 * ((1 << 20) / size_of::<u64>() as u64)),
            fuel: options.fuel,
            detach: options.detach,
        };
        return super::client::run_at(&NodeArgs::of(node), run, options.value);
    }
    let program = Arc::new(load(module));
    let report = scheduler::run(program.clone(), run_settings(options, capabilities, args));
    conclude(program.module(), options, report)
}

fn run_settings(options: &RunOptions, capabilities: Capabilities, args: Vec<String>) -> scheduler::Options {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let words_per_mib = (1 << 20) / size_of::<u64>();
    let mut limits = Limits::default();
    if let Some(memory) = options.memory {
        limits.memory_words = memory.saturating_mul(words_per_mib);
    }
    scheduler::Options {
        workers: options.workers.map_or_else(cores, usize::from),
        fuel: options.stop_after.or(options.fuel),
        limits,
        capabilities,
        args,
        stress: match options.stress {
            None => Stress::None,
            Some(StressMode::Collect) => Stress::Collect,
            Some(StressMode::Copy) => Stress::Copy,
        },
        seed: options.seed,
        save: options.save.is_some(),
        ..scheduler::Options::default()
    }
}

fn conclude(module: &Module, options: &RunOptions, mut report: Report) -> u8 {
    let saved = report.saved.take();
    let code = match (&options.save, saved) {
        (Some(file), Some(state)) => save(module, options, file, state),
        (save, _) => {
            let ending = Ending::of(module, report.end, &is_standard);
            if let Some(value) = ending.value.filter(|_| options.value) {
                print(&format!("= {value}\n"));
            }
            complain(&ending.message);
            if save.is_some() {
                complain("the program ended before it was to be stopped: nothing is saved\n");
            }
            ending.status
        }
    };
    if options.stats {
        complain(&stats_text(&report.stats));
    }
    code
}

/// Writes a program that was stopped to its file: first beside it, so that there is never half a file.
fn save(module: &Module, options: &RunOptions, file: &Path, state: Vec<u8>) -> u8 {
    let fuel = options.stop_after.unwrap_or(0);
    let image = Image { module: module.clone(), state };
    let hash = image.hash();
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    let written = std::fs::write(&beside, image.to_bytes()).and_then(|()| std::fs::rename(&beside, file));
    match written {
        Ok(()) => {
            complain(&format!("stopped after {fuel} function entries, saved to {} (state {hash})\n", file.display()));
            status::OK
        }
        Err(error) => {
            complain(&format!("{}: {error}\n", file.display()));
            status::STOPPED
        }
    }
}

/// The calls that led to an error and its message; calls inside the prelude and standard modules are left out.
pub(crate) fn trace_text(module: &Module, trace: &[TraceEntry], left_out: usize, message: &str) -> String {
    error_text(module, trace, left_out, message, &is_standard)
}

fn stats_text(stats: &Stats) -> String {
    let heap = &stats.heap;
    format!(
        "function entries    {}\nprocesses           {}\nobjects made        {}\nupdates in place    {}\nupdates by copy     {}\nwords copied        {}\ncollections         {}\nwords moved         {}\nlargest heap, KiB   {}\n",
        stats.fuel,
        stats.processes,
        heap.objects,
        heap.in_place,
        heap.copied,
        heap.copied_words,
        heap.collections,
        heap.moved_words,
        heap.peak_words * 8 / 1024,
    )
}
