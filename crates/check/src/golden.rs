//! The corpus: programs with their expectations in comments at the top.
//!
//! ```text
//! # action: run          run or check
//! # outcome: success     success, trace (uncaught error), syntax (does not compile), stopped (quota or capability)
//! # expect: 42           value form of the program's value
//! # stdout:              its output, a line each
//! #| first line
//! # error: text          what the message must contain
//! # type: Integer        with `check`: the type of the last expression
//! # flags: --fuel 10     further flags of `qualm run`
//! # stress: no           is not run with constant collections
//! ```
//!
//! Assembly programs use `;` in place of `#`.

use std::path::{Path, PathBuf};

/// What a program promises.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Expectation {
    /// `run` or `check`.
    pub action: String,
    /// How it ends.
    pub outcome: String,
    /// Its value.
    pub expect: Option<String>,
    /// Its output.
    pub stdout: Option<Vec<String>>,
    /// What the message contains.
    pub error: Option<String>,
    /// The type of the last expression.
    pub ty: Option<String>,
    /// Flags for the run.
    pub flags: Vec<String>,
    /// Too slow to run with constant collections.
    pub no_stress: bool,
}

/// The expectation at the top of a program; nothing if it has none (a helper module).
pub fn expectation(text: &str) -> Option<Expectation> {
    let mut found = Expectation::default();
    for line in text.lines() {
        let Some(comment) =
            line.strip_prefix('#').or_else(|| line.strip_prefix("--")).or_else(|| line.strip_prefix(';'))
        else {
            break;
        };
        if let Some(output) = comment.strip_prefix('|') {
            found.stdout.get_or_insert_default().push(output.strip_prefix(' ').unwrap_or(output).to_owned());
            continue;
        }
        let Some((key, value)) = comment.trim_start().split_once(':') else { continue };
        let value = value.trim().to_owned();
        match key {
            "action" => found.action = value,
            "outcome" => found.outcome = value,
            "expect" => found.expect = Some(value),
            "stdout" => found.stdout = Some(Vec::new()),
            "error" => found.error = Some(value),
            "type" => found.ty = Some(value),
            "stress" => found.no_stress = value == "no",
            "flags" => found.flags = value.split_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
    }
    (!found.action.is_empty()).then_some(found)
}

/// What a run showed.
#[derive(Debug)]
pub struct Shown {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// How a run differs from what was expected; nothing if it does not.
pub fn difference(expected: &Expectation, shown: &Shown) -> Option<String> {
    let status = match &*expected.outcome {
        "success" => 0,
        "trace" => 1,
        "syntax" => 2,
        "stopped" => 3,
        other => return Some(format!("unknown outcome `{other}`")),
    };
    let tail = format!("\n--- stdout\n{}--- stderr\n{}", shown.stdout, shown.stderr);
    if shown.status != status {
        return Some(format!("exit status {status} expected, {} found{tail}", shown.status));
    }
    let mut lines: Vec<&str> = shown.stdout.lines().collect();
    let value = match lines.last().and_then(|line| line.strip_prefix("= ")) {
        Some(value) if status == 0 && expected.action == "run" => {
            lines.pop();
            Some(value)
        }
        _ => None,
    };
    if let Some(expect) = &expected.expect
        && value != Some(expect)
    {
        return Some(format!("value `{expect}` expected, `{}` found{tail}", value.unwrap_or("none")));
    }
    if expected.stdout.as_ref().is_some_and(|stdout| *stdout != lines) {
        return Some(format!("other output expected{tail}"));
    }
    if let Some(ty) = &expected.ty
        && lines.last() != Some(&&**ty)
    {
        return Some(format!("type `{ty}` expected{tail}"));
    }
    if expected.error.as_ref().is_some_and(|error| !shown.stderr.contains(error)) {
        return Some(format!("a message with `{}` expected{tail}", expected.error.as_deref().unwrap_or("")));
    }
    None
}

/// The root of the corpus.
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus")
}

/// The files with an extension below a folder, sorted.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut open = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for path in entries {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
