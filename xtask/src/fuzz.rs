//! Runs fuzz targets; an input that breaks a law is written to `target/fuzz/`.

use crate::root;
use qualm_check::fuzz::{Seeds, TARGETS, Target};
use qualm_check::golden;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Inputs of each target in a smoke run.
const SMOKE_INPUTS: u64 = 2_000;
/// An input that takes longer than this hangs.
const HANG: Duration = Duration::from_secs(5);
/// Native stack of the fuzzing thread: that of the compiler thread.
const STACK_BYTES: usize = 256 << 20;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let seeds = seeds();
    if args.first().is_some_and(|arg| arg == "--smoke") {
        for target in TARGETS {
            on_thread(*target, &seeds, 1, Until::Inputs(SMOKE_INPUTS))?;
        }
        return Ok(());
    }
    let number = |flag: &str, default: u64| match args.iter().position(|arg| arg == flag) {
        Some(at) => args.get(at + 1).and_then(|value| value.parse().ok()).ok_or(format!("{flag} needs a number")),
        None => Ok(default),
    };
    let name = args.first().map_or("", String::as_str);
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    let target = TARGETS.iter().find(|target| target.name == name).ok_or(format!("targets: {}", names.join(", ")))?;
    if let Some(at) = args.iter().position(|arg| arg == "--input") {
        // What a run wrote down, once more.
        let path = args.get(at + 1).ok_or("--input needs a file")?;
        let input = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || (target.run)(&input));
        return thread.map_err(|error| error.to_string())?.join().map_err(|_| "it still breaks a law".to_owned());
    }
    let until = Until::Time(Instant::now() + Duration::from_secs(number("--seconds", 60)?));
    on_thread(*target, &seeds, number("--seed", 1)?, until)
}

#[derive(Clone, Copy)]
enum Until {
    Inputs(u64),
    Time(Instant),
}

fn seeds() -> Seeds {
    let read = |folder: &str, extension: &str| {
        golden::files(&root().join("corpus").join(folder), extension)
            .iter()
            .filter_map(|path| std::fs::read(path).ok())
            .collect()
    };
    Seeds { passerine: read("passerine", "pn"), assembly: read("asm", "qualm"), nix: read("nix", "nix") }
}

fn on_thread(target: Target, seeds: &Seeds, seed: u64, until: Until) -> Result<(), String> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread =
            builder.spawn_scoped(scope, || fuzz(target, seeds, seed, until)).map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "the fuzzer itself failed".to_owned())?
    })
}

fn fuzz(target: Target, seeds: &Seeds, seed: u64, until: Until) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut count = 0_u64;
    let (start, mut reported) = (Instant::now(), Instant::now());
    let mut slowest = Duration::ZERO;
    // For inputs that take the whole process down.
    let keep = std::env::var_os("FUZZ_KEEP");
    loop {
        let over = match until {
            Until::Inputs(inputs) => count >= inputs,
            Until::Time(end) => Instant::now() >= end,
        };
        if over {
            break;
        }
        let input = (target.input)(&mut rng, seeds);
        if let Some(path) = &keep {
            std::fs::write(path, &input).map_err(|error| error.to_string())?;
        }
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        let took = began.elapsed();
        slowest = slowest.max(took);
        if outcome.is_err() || took > HANG {
            let path = root().join(format!("target/fuzz-{}-{count}", target.name));
            std::fs::write(&path, &input).map_err(|error| error.to_string())?;
            let what = if outcome.is_err() { "broke a law" } else { "took too long" };
            return Err(format!("{}: input {count} of seed {seed} {what}: {}", target.name, path.display()));
        }
        count += 1;
        if reported.elapsed() > Duration::from_secs(30) {
            eprintln!("{}: {count} inputs, slowest {slowest:?}", target.name);
            reported = Instant::now();
        }
    }
    eprintln!("{}: {count} inputs in {:.0?}, slowest {slowest:?}", target.name, start.elapsed());
    Ok(())
}
