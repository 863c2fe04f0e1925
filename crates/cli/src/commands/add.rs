//! `aspen add`: makes another package known to the project.

use super::complain;
use crate::project::{Dependency, MANIFEST, Manifest, Project, packages};
use crate::status;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `aspen add`.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// The folder of the package
    folder: PathBuf,
    /// What the files of this project call it [default: its own name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Copy it into the package store and depend on exactly that content, by its hash
    #[arg(long)]
    pin: bool,
}

/// `aspen add`
pub fn add(project: &Project, args: &AddArgs) -> u8 {
    match try_add(project, args) {
        Ok(said) => {
            complain(&said);
            status::OK
        }
        Err(problem) => {
            complain(&format!("{problem}\n"));
            status::INVALID
        }
    }
}

fn try_add(project: &Project, args: &AddArgs) -> Result<String, String> {
    let package = Manifest::read(&args.folder)?;
    let name = args.name.clone().unwrap_or_else(|| package.name.replace('-', "_"));
    if project.manifest.dependencies.contains_key(&name) {
        return Err(format!("the project has a dependency `{name}` already; `--name` gives this one another name"));
    }
    let (line, dependency) = if args.pin {
        let hash = packages::keep(&args.folder)?;
        (format!("{name} = {{ hash = \"{hash}\" }}"), Dependency::Hash(hash))
    } else {
        let path = relative(&project.folder, &args.folder);
        // A Rust string literal without special characters is also one of TOML.
        (format!("{name} = {{ path = {:?} }}", path.display().to_string()), Dependency::Path(path))
    };
    packages::locate(&project.folder, &name, &dependency)?;
    let manifest = project.folder.join(MANIFEST);
    let text =
        std::fs::read_to_string(&manifest).map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
    let text = with_dependency(&text, &line);
    // Only a manifest that reads back is written.
    Manifest::parse(&text)?;
    std::fs::write(&manifest, &text).map_err(|error| format!("cannot write {}: {error}", manifest.display()))?;
    Ok(format!("added {line}\nuse it with `use {name}`\n"))
}

/// The manifest's text with one more dependency; everything else stays as it is.
fn with_dependency(text: &str, line: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().position(|line| line.trim() == "[dependencies]") {
        Some(at) => lines.insert(at + 1, line),
        None => lines.extend(["", "[dependencies]", line]),
    }
    lines.join("\n") + "\n"
}

/// How to reach one folder from another.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let from = if from.as_os_str().is_empty() { whole(Path::new(".")) } else { whole(from) };
    let to = whole(to);
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| "..".as_ref());
    up.chain(to.components().skip(common).map(|part| part.as_os_str())).collect()
}
