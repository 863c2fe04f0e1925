//! Every program of the corpus does what its header says: as users run it, with garbage collected whenever that is possible, and with nothing
//! updated in place. Programs in a folder `later` use what is not built yet, and must still fail.

use qualm_check::golden::{self, Expectation, Shown};
use std::path::Path;
use std::process::Command;

fn show(path: &Path, expected: &Expectation, stress: Option<&str>) -> Shown {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    match &*expected.action {
        "check" => command.arg("check").args(expected.ty.as_ref().map(|_| "--type")),
        _ => command.args(["run", "--value", "--allow", "all", "--workers", "1"]).args(&expected.flags),
    };
    if let (Some(stress), "run") = (stress, &*expected.action) {
        command.args(["--stress", stress]);
    }
    let folder = path.parent().expect("a corpus file is in a folder");
    let output = command.arg(path).current_dir(folder).output().expect("the program starts");
    Shown {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs all files below a folder; gives how many there were and those that differ.
fn differing(folder: &str, extension: &str, stress: Option<&str>, later: bool) -> (usize, Vec<String>) {
    let mut count = 0;
    let mut problems = Vec::new();
    for path in golden::files(&golden::corpus().join(folder), extension) {
        if path.components().any(|part| part.as_os_str() == "later") != later {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a corpus file is text");
        let Some(expected) = golden::expectation(&text) else { continue };
        if stress.is_some() && expected.no_stress {
            continue;
        }
        count += 1;
        if let Some(difference) = golden::difference(&expected, &show(&path, &expected, stress)) {
            problems.push(format!("{}: {difference}", path.display()));
        }
    }
    (count, problems)
}

fn all_pass(folder: &str, extension: &str, least: usize, stress: Option<&str>) {
    let (count, problems) = differing(folder, extension, stress, false);
    assert!(count >= least, "only {count} programs were found below {folder}");
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn assembly() {
    all_pass("asm", "qualm", 45, None);
}

#[test]
fn assembly_with_constant_collections() {
    all_pass("asm", "qualm", 45, Some("collect"));
}

#[test]
fn passerine() {
    all_pass("passerine", "pn", 55, None);
}

#[test]
fn passerine_with_constant_collections() {
    all_pass("passerine", "pn", 55, Some("collect"));
}

#[test]
fn assembly_without_updates_in_place() {
    all_pass("asm", "qualm", 45, Some("copy"));
}

#[test]
fn passerine_without_updates_in_place() {
    all_pass("passerine", "pn", 55, Some("copy"));
}

#[test]
fn examples() {
    all_pass("../examples/short", "pn", 10, None);
    all_pass("../examples/short", "pn", 10, Some("collect"));
}

#[test]
fn checks() {
    all_pass("check", "pn", 20, None);
}

#[test]
fn regressions() {
    all_pass("regression", "pn", 2, None);
    all_pass("regression", "qualm", 0, None);
}

#[test]
fn what_is_listed_for_later_still_fails() {
    let (count, problems) = differing("passerine", "pn", None, true);
    assert_eq!(count, problems.len(), "a program in corpus/passerine/later passes now: move it up");
}
