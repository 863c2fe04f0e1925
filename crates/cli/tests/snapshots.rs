//! Every program of the corpus, stopped anywhere, saved and gone on with in another process, does what it does in one go; and a state has one
//! spelling. `QUALM_POINTS` is how many points of each program are tried.

use qualm_check::golden::{self, Expectation};
use qualm_ir::verify::verify;
use qualm_node::capability::Capabilities;
use qualm_node::core::{Now, Settings};
use qualm_node::image::{self, Image};
use qualm_node::policy::Policy;
use qualm_vm::fiber::Limits;
use qualm_vm::heap::Stress;
use qualm_vm::load::load_with;
use qualm_vm::snapshot::Decoder;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

struct Shown {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn qualm(folder: &Path, args: &[&str]) -> Shown {
    let output = Command::new(env!("CARGO_BIN_EXE_qualm")).args(args).current_dir(folder).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Shown { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

const FLAGS: &[&str] = &["--allow", "all", "--workers", "1", "--seed", "1", "--value"];

fn entries(stderr: &str) -> u64 {
    let line = stderr.lines().find_map(|line| line.strip_prefix("function entries"));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

/// The message, without what the run cost.
fn message(stderr: &str) -> &str {
    stderr.find("function entries").map_or(stderr, |end| &stderr[..end])
}

/// Said of a program that ended earlier.
const NOT_SAVED: &str = "the program ended before it was to be stopped: nothing is saved\n";

/// Reading a state and writing it again gives the same bytes.
fn has_one_spelling(file: &Path) -> Result<(), String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let image = Image::from_bytes(&bytes).map_err(|error| error.to_string())?;
    if image.to_bytes() != bytes {
        return Err("the file is spelled in another way".into());
    }
    let symbols = Decoder::symbols(&image.state).map_err(|error| error.to_string())?;
    let module = verify(image.module.clone()).map_err(|errors| errors[0].to_string())?;
    let program = Arc::new(load_with(module, &symbols));
    let now = Now { nanos: 0, wall_ms: 0 };
    let settings = Settings {
        number: 0,
        cores: 1,
        slice: 1,
        stress: Stress::None,
        seed: 0,
        args: Arc::new([]),
        state_cells: None,
        keeps: false,
        session: false,
    };
    let root = Policy::root(Capabilities::all(), Limits::default(), None);
    let restored = image::restore(&image.state, &program, settings, root, now).map_err(|error| error.to_string())?;
    if image::save(&[restored.0], now, &restored.1, &HashSet::new()) != image.state {
        return Err("the state is spelled in another way".into());
    }
    Ok(())
}

fn stopped_anywhere(path: &Path, expected: &Expectation, points: u64, images: &Path) -> Result<(), String> {
    let folder = path.parent().expect("a corpus file is in a folder");
    let program = path.to_string_lossy();
    let flags: Vec<&str> = FLAGS.iter().copied().chain(expected.flags.iter().map(|flag| &**flag)).collect();
    let whole = qualm(folder, &[&["run", "--stats"], &flags[..], &[&program]].concat());
    let fuel = entries(&whole.stderr);
    let mut random = fastrand::Rng::with_seed(fuel);
    for _ in 0..points {
        let stop = random.u64(0..=fuel).to_string();
        let problem = |what: &str| Err(format!("{program} stopped after {stop}: {what}"));
        let file = images.join(format!("{}.image", path.file_stem().unwrap_or_default().to_string_lossy()));
        let name = file.to_string_lossy();
        let _ = std::fs::remove_file(&file);
        let save = ["run", "--stats", "--stop-after", &stop, "--save", &name];
        let first = qualm(folder, &[&save[..], &flags, &[&program]].concat());
        let (stdout, stderr, status, used) = if file.exists() {
            if let Err(what) = has_one_spelling(&file) {
                return problem(&what);
            }
            let rest = qualm(folder, &[&["resume", "--stats"], FLAGS, &[&name]].concat());
            let used = entries(&first.stderr) + entries(&rest.stderr);
            (first.stdout + &rest.stdout, rest.stderr, rest.status, used)
        } else {
            let used = entries(&first.stderr);
            let Some((before, after)) = first.stderr.split_once(NOT_SAVED) else {
                return problem("it does not say that nothing is saved");
            };
            (first.stdout, format!("{before}{after}"), first.status, used)
        };
        if stdout != whole.stdout {
            return problem(&format!("output\n{stdout}instead of\n{}and\n{stderr}", whole.stdout));
        }
        if status != whole.status || message(&stderr) != message(&whole.stderr) {
            return problem(&format!("{status:?}\n{stderr}instead of {:?}\n{}", whole.status, whole.stderr));
        }
        // When a process has used its memory depends on when garbage was collected.
        if used != fuel && !expected.no_stress {
            return problem(&format!("{used} function entries in two parts, {fuel} in one"));
        }
    }
    Ok(())
}

fn corpus(folder: &str, extension: &str) -> Vec<PathBuf> {
    let all = golden::files(&golden::corpus().join(folder), extension);
    all.into_iter().filter(|path| path.components().all(|part| part.as_os_str() != "later")).collect()
}

#[test]
fn programs_go_on_where_they_were_stopped() {
    let points = std::env::var("QUALM_POINTS").ok().and_then(|points| points.parse().ok()).unwrap_or(3);
    let images = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    std::fs::create_dir_all(&images).expect("a folder for images");
    let mut problems = Vec::new();
    let mut count = 0;
    for path in corpus("asm", "qualm").into_iter().chain(corpus("passerine", "pn")) {
        let text = std::fs::read_to_string(&path).expect("a corpus file is text");
        let Some(expected) = golden::expectation(&text) else { continue };
        // A program that is stopped by its fuel anyway cannot be stopped by another amount.
        let fuel = expected.flags.iter().any(|flag| flag.contains("fuel"));
        if expected.action != "run" || !matches!(&*expected.outcome, "success" | "trace") || fuel {
            continue;
        }
        count += 1;
        problems.extend(stopped_anywhere(&path, &expected, points, &images).err());
    }
    assert!(count > 130, "only {count} programs were found");
    assert!(problems.is_empty(), "{} of {count}:\n{}", problems.len(), problems.join("\n\n"));
}

/// Files that released versions wrote: each must go on for ever, and says what it must then print.
#[test]
fn images_of_all_versions_go_on() {
    let folder = golden::corpus().join("images");
    let files = golden::files(&folder, "image");
    assert!(files.len() >= 6, "only {} images were found", files.len());
    for path in files {
        let expected = std::fs::read_to_string(path.with_extension("expected")).expect("it says what is expected");
        let rest = qualm(&folder, &[&["resume"], FLAGS, &[&path.to_string_lossy()]].concat());
        assert_eq!(rest.stdout, expected, "{}: {}", path.display(), rest.stderr);
        if let Err(what) = has_one_spelling(&path) {
            panic!("{}: {what}", path.display());
        }
    }
}
