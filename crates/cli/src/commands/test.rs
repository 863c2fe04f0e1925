//! `aspen test`: finds the tests of a project and runs them on all cores.
//!
//! A test is a function of `()` whose name starts with `test_`, in a file of the folder `tests`. Each runs as a program of its own: the statements of its file,
//! then the test. It passes if it raises nothing.

use super::run::trace_text;
use super::{complain, print};
use crate::project::{Project, source_files};
use crate::style::Style;
use crate::{input, status};
use clap::Args;
use qualm_ir::verify::verify;
use qualm_node::capability::Capabilities;
use qualm_node::host::Streams;
use qualm_node::scheduler::{self, End, Options};
use qualm_vm::code::Program;
use qualm_vm::load::load;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// A test that takes longer than this hangs.
const TEST_SECONDS_MAX: u64 = 60;

/// Arguments of `aspen test`.
#[derive(Args, Debug)]
pub struct TestArgs {
    /// Run only the tests with this in their name or in that of their file
    filter: Option<String>,
    /// List the tests without running them
    #[arg(long)]
    list: bool,
    /// Stop a test after this many function entries
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000)]
    fuel: u64,
    /// Capabilities to grant to the tests, separated by commas, or `all`
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    allow: Vec<String>,
}

/// A file of tests.
struct Suite {
    path: PathBuf,
    tests: Vec<String>,
    program: Result<Arc<Program>, String>,
    /// Where the text of the file ends and the choice of a test begins.
    end: u32,
}

/// What a test came to: nothing if it passed, else what to show.
type Outcome = Option<String>;

/// `aspen test`
pub fn test(project: &Project, args: &TestArgs) -> u8 {
    let began = Instant::now();
    let mut capabilities = Capabilities::script();
    for name in &args.allow {
        if let Err(problem) = capabilities.grant(name) {
            complain(&format!("{problem}\n"));
            return status::USAGE;
        }
    }
    let suites: Vec<Suite> = match source_files(&project.folder.join("tests")) {
        Ok(files) => files.iter().map(|path| suite(path, args.filter.as_deref())).collect(),
        Err(problem) => {
            complain(&format!("no tests: {problem}\n"));
            return status::INVALID;
        }
    };
    if args.list {
        for suite in &suites {
            suite.tests.iter().for_each(|test| print(&format!("{} {test}\n", suite.path.display())));
        }
        return status::OK;
    }
    let outcomes = run_all(&suites, args.fuel, &capabilities);
    report(&suites, &outcomes, began)
}

/// The tests of a file and the program that runs the one its argument names.
fn suite(path: &Path, filter: Option<&str>) -> Suite {
    let shown = path.display().to_string();
    let read = || -> Result<(Vec<String>, Arc<Program>, u32), String> {
        let text = input::text_of(path, input::read(path)?)?;
        let checked = input::checked_text(&shown, &text)?;
        let inferred = checked.inferred.map_err(|errors| input::render(&errors, &checked.sources))?;
        let names: Vec<String> = inferred
            .bindings
            .iter()
            .map(|(name, _)| name.to_string())
            .filter(|name| name.starts_with("test_"))
            .collect();
        let end = text.len() as u32;
        let mut driver = text + "\nmatch head (System.args ()) {\n";
        for name in &names {
            let _ = writeln!(driver, "    \"{name}\" -> {name} ()");
        }
        driver.push_str("    _ -> ()\n}\n");
        let module = verify(input::passerine_tests(&shown, &driver)?).map_err(|errors| format!("{errors:?}\n"))?;
        Ok((names, Arc::new(load(module)), end))
    };
    let wanted = |name: &String| filter.is_none_or(|filter| name.contains(filter) || shown.contains(filter));
    match read() {
        Ok((names, program, end)) => {
            let tests = names.into_iter().filter(wanted).collect();
            Suite { path: path.to_path_buf(), tests, program: Ok(program), end }
        }
        Err(problem) => Suite { path: path.to_path_buf(), tests: Vec::new(), program: Err(problem), end: 0 },
    }
}

/// Runs all tests, each core one at a time.
fn run_all(suites: &[Suite], fuel: u64, capabilities: &Capabilities) -> Vec<Vec<Outcome>> {
    let jobs: Vec<(usize, usize)> =
        suites.iter().enumerate().flat_map(|(at, suite)| (0..suite.tests.len()).map(move |test| (at, test))).collect();
    let outcomes: Mutex<Vec<Vec<Outcome>>> =
        Mutex::new(suites.iter().map(|suite| vec![None; suite.tests.len()]).collect());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((at, test)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Ok(program) = &suites[*at].program else { continue };
            let outcome = run_one(&suites[*at], program, *test, fuel, capabilities);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner)[*at][*test] = outcome;
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(jobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program for so many seconds at most.
fn within(seconds: u64, program: &Arc<Program>, mut options: Options) -> scheduler::Report {
    let stop = Arc::new(AtomicBool::new(false));
    options.stop = Some(stop.clone());
    let (running, over) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if over.recv_timeout(Duration::from_secs(seconds)) == Err(mpsc::RecvTimeoutError::Timeout) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        let report = scheduler::run(program.clone(), options);
        drop(running);
        report
    })
}

fn run_one(suite: &Suite, program: &Arc<Program>, test: usize, fuel: u64, capabilities: &Capabilities) -> Outcome {
    let options = Options {
        fuel: Some(fuel),
        capabilities: capabilities.clone(),
        args: vec![suite.tests[test].clone()],
        streams: Streams::Kept,
        ..Options::default()
    };
    let report = within(TEST_SECONDS_MAX, program, options);
    let mut shown = match report.end {
        End::Value(_) => return None,
        End::Error { message, raised, mut trace, left_out } => {
            let shown = suite.path.display().to_string();
            trace.retain(|entry| {
                let Some(span) = entry.span else { return false };
                let source = program.module().sources.get(span.source.0 as usize);
                span.start < suite.end || source.is_none_or(|source| *source.path != *shown)
            });
            let unmet = raised.filter(|(label, _)| label == "Unmet").map(|(_, text)| text);
            let text = trace_text(program.module(), &trace, left_out, unmet.as_deref().unwrap_or(&message));
            text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
        }
        End::OutOfFuel => format!("stopped after {fuel} function entries (--fuel)\n"),
        End::OutOfMemory => "stopped: it needs more memory than it may use\n".into(),
        End::Stopped => format!("stopped after {TEST_SECONDS_MAX} seconds\n"),
    };
    if !report.output.is_empty() {
        shown.push_str("it wrote:\n");
        report.output.lines().take(50).for_each(|line| {
            let _ = writeln!(shown, "  {line}");
        });
    }
    Some(shown)
}

fn report(suites: &[Suite], outcomes: &[Vec<Outcome>], began: Instant) -> u8 {
    let style = Style::stdout();
    let (mut passed, mut failed, mut broken) = (0, 0, 0);
    for (suite, outcomes) in suites.iter().zip(outcomes) {
        if suite.tests.is_empty() && suite.program.is_ok() {
            continue;
        }
        print(&format!("{}\n", style.strong(&suite.path.display().to_string())));
        if let Err(problem) = &suite.program {
            broken += 1;
            print(&format!("  {} does not compile\n{}", style.bad("x"), indented(problem)));
        }
        for (test, outcome) in suite.tests.iter().zip(outcomes) {
            let title = test.trim_start_matches("test_").replace('_', " ");
            match outcome {
                None => {
                    passed += 1;
                    print(&format!("  {} {title}\n", style.good("ok")));
                }
                Some(shown) => {
                    failed += 1;
                    print(&format!("  {} {title}\n{}", style.bad("FAILED"), indented(&coloured(shown, style))));
                }
            }
        }
    }
    let mut line = format!("{passed} passed");
    if failed > 0 {
        let _ = write!(line, ", {failed} failed");
    }
    if broken > 0 {
        let _ = write!(line, ", {broken} did not compile");
    }
    let well = failed == 0 && broken == 0;
    let line = if well { style.good(&line) } else { style.bad(&line) };
    print(&format!("{line} in {:.2} s\n", began.elapsed().as_secs_f64()));
    if well { status::OK } else { status::UNCAUGHT }
}

/// What was expected in green, what was found in red.
fn coloured(shown: &str, style: Style) -> String {
    shown
        .split_inclusive('\n')
        .map(|line| {
            let bare = line.trim_end_matches('\n');
            let painted = if bare.starts_with("expected ") {
                style.good(bare)
            } else if bare.starts_with("   found ") {
                style.bad(bare)
            } else {
                bare.to_owned()
            };
            painted + "\n"
        })
        .collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("    {line}\n") }).collect()
}
