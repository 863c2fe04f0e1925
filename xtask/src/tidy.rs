//! Checks what no compiler does: who imports whom, how files begin, where unsafe code is, whether generated pages are fresh.

use crate::root;
use std::path::Path;

/// The workspace crates each crate may depend on; tests may use more.
const LAYERS: &[(&str, &[&str])] = &[
    ("ir", &[]),
    ("vm", &["ir"]),
    ("passerine", &["ir"]),
    ("nix", &["ir"]),
    ("store", &["ir"]),
    ("node", &["ir", "vm", "store"]),
    ("cli", &["ir", "vm", "store", "node", "passerine", "nix"]),
    ("check", &["ir", "vm", "node", "passerine", "nix"]),
];

/// A file with more lines than this has two subjects, unless it is one list.
const LINES_MAX: usize = 700;
/// Files that are one list.
const LONG: &[&str] = &["crates/vm/src/interp.rs"];

pub(crate) fn run() -> Result<(), String> {
    let mut problems = Vec::new();
    layers(&mut problems)?;
    files(&mut problems)?;
    fresh(&mut problems)?;
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn layers(problems: &mut Vec<String>) -> Result<(), String> {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).map_err(|error| error.to_string())?.flatten() {
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    for name in names {
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            problems.push(format!("crates/{name} has no place in the layers (xtask/src/tidy.rs)"));
            continue;
        };
        let manifest = read(&root().join("crates").join(&name).join("Cargo.toml"))?;
        let section = manifest.split("[dependencies]").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
        for line in section.lines() {
            if let Some(dependency) = line.strip_prefix("qualm-").and_then(|line| line.split(['.', ' ']).next())
                && !allowed.contains(&dependency)
            {
                problems.push(format!("crates/{name} must not import {dependency}"));
            }
        }
        let root_file = read(&root().join("crates").join(&name).join("src/lib.rs"))?;
        if !root_file.contains("#![forbid(unsafe_code)]") {
            problems.push(format!("crates/{name}/src/lib.rs does not forbid unsafe code"));
        }
    }
    Ok(())
}

fn files(problems: &mut Vec<String>) -> Result<(), String> {
    let folders = [root().join("crates"), root().join("xtask/src")];
    for path in folders.iter().flat_map(|folder| qualm_check::golden::files(folder, "rs")) {
        let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let text = read(&path)?;
        if !text.starts_with("//!") {
            problems.push(format!("{shown} does not begin with `//!`: what it is for"));
        }
        if text.lines().count() > LINES_MAX && !LONG.contains(&shown.as_str()) {
            problems.push(format!("{shown} has more than {LINES_MAX} lines: which two subjects share it?"));
        }
        for (at, line) in text.lines().enumerate() {
            if line.ends_with(' ') {
                problems.push(format!("{shown}:{}: white space at the end of the line", at + 1));
            }
        }
    }
    Ok(())
}

fn fresh(problems: &mut Vec<String>) -> Result<(), String> {
    if read(&root().join("docs/instruction-set.md"))? != qualm_ir::docs::instruction_set() {
        problems.push("docs/instruction-set.md is stale: run `cargo xtask docs`".into());
    }
    Ok(())
}
