//! Every code that the compiler can give is explained, its example gives it, and what the example prints is kept in `corpus/diagnostics`.
//!
//! `BLESS=1 cargo test -p qualm-check --test diagnostics` writes the files anew; look at the difference before you commit it.

use qualm_passerine::explain::{Explanation, explanations};
use qualm_passerine::{NoFiles, check};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What static checks print about a program, and the codes of that.
fn problems(text: &'static str) -> (String, Vec<&'static str>) {
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let work = move || {
        let checked = check("example.pn", text, &mut NoFiles);
        let found = match checked.inferred {
            Ok(inferred) => inferred.problems,
            Err(errors) => errors,
        };
        let shown = found.iter().map(|problem| problem.render(&checked.sources)).collect::<Vec<_>>().join("\n");
        (shown, found.iter().map(|problem| problem.code).collect())
    };
    thread.spawn(work).expect("threads can be made").join().expect("the compiler does not panic")
}

/// The codes in the source text of the compiler.
fn used_codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let mut open = vec![root().join("crates/passerine/src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("source text");
            for part in text.split('"') {
                let is_code = part.len() == 5
                    && part.starts_with(['P', 'T'])
                    && part.bytes().skip(1).all(|byte| byte.is_ascii_digit());
                if is_code {
                    codes.insert(part.to_owned());
                }
            }
        }
    }
    codes
}

#[test]
fn every_code_is_explained_once() {
    let explained: Vec<String> = explanations().map(|explanation| explanation.code.to_owned()).collect();
    let distinct: BTreeSet<String> = explained.iter().cloned().collect();
    assert_eq!(explained.len(), distinct.len(), "a code is explained twice");
    assert_eq!(distinct, used_codes());
}

#[test]
fn examples_have_the_error_and_its_cure() {
    let mut wrong = String::new();
    for explanation in explanations() {
        if let Err(problem) = try_example(&explanation) {
            let _ = writeln!(wrong, "{}: {problem}", explanation.code);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn try_example(explanation: &Explanation) -> Result<(), String> {
    let programs: Vec<&'static str> = explanation.programs().collect();
    let [bad, good] = programs[..] else {
        return if programs.is_empty() { Ok(()) } else { Err("one program, not two".into()) };
    };
    let (shown, codes) = problems(bad);
    if codes != [explanation.code] {
        return Err(format!("the first program gives {codes:?}\n{shown}"));
    }
    let (after, codes) = problems(good);
    if !codes.is_empty() {
        return Err(format!("the second program gives {codes:?}\n{after}"));
    }
    let kept = root().join(format!("corpus/diagnostics/{}.txt", explanation.code));
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(&kept, shown).map_err(|error| error.to_string());
    }
    let expected = std::fs::read_to_string(&kept).unwrap_or_default();
    if shown == expected { Ok(()) } else { Err(format!("printed\n{shown}\ninstead of\n{expected}")) }
}
