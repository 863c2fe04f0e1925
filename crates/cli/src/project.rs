//! Passerine projects: a folder with `aspen.toml` and `src/main.pn` (a program) or `src/lib.pn` (a package for others).

mod manifest;
pub mod packages;

pub use manifest::{Dependency, Manifest};

use std::path::{Path, PathBuf};

/// The manifest of a project.
pub const MANIFEST: &str = "aspen.toml";

/// A project that was found.
#[derive(Debug)]
pub struct Project {
    /// Its folder, as the user would write it.
    pub folder: PathBuf,
    /// What its manifest says.
    pub manifest: Manifest,
}

impl Project {
    /// The program to run.
    pub fn main(&self) -> PathBuf {
        self.folder.join("src").join("main.pn")
    }

    /// The folder of what is made of it.
    pub fn build(&self) -> PathBuf {
        self.folder.join("build")
    }
}

/// Makes the folder of a new project.
///
/// # Errors
/// What could not be made.
pub fn create(path: &Path) -> Result<(), String> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("a project needs a name")?;
    manifest::check_name(name)?;
    if path.exists() {
        return Err(format!("{} is there already", path.display()));
    }
    let write = |file: PathBuf, text: String| {
        std::fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
    };
    let (source, tests) = (path.join("src"), path.join("tests"));
    for folder in [&source, &tests] {
        std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    write(
        path.join(MANIFEST),
        format!(
            "[package]\nname = \"{name}\"\n\n# What the program asks for beyond its streams, clock, arguments and processes; `aspen run --allow` grants it:\n# env, read_file, write_file\nallow = []\n"
        ),
    )?;
    write(path.join(".gitignore"), "build/\n".into())?;
    write(source.join("main.pn"), "use greeting\n\nprintln (greeting.greet \"world\")\n".into())?;
    write(source.join("greeting.pn"), "# What to say to someone.\ngreet = name -> \"Hello, {name}!\"\n".into())?;
    write(
        tests.join("greeting_test.pn"),
        "use greeting\nuse testing\n\ntest_greets_by_name = () -> testing::equal \"Hello, Ada!\" (greeting::greet \"Ada\")\n"
            .into(),
    )?;
    super::commands::complain(&format!("made {}; run it with `cd {} && aspen run`\n", path.display(), path.display()));
    Ok(())
}

/// The project of the present folder or the nearest one above it.
///
/// # Errors
/// If there is none, or its manifest is wrong.
pub fn find() -> Result<Project, String> {
    let here = std::env::current_dir().map_err(|error| format!("the present folder is unknown: {error}"))?;
    let Some(folder) = folder_of(&here) else {
        return Err(format!("no {MANIFEST} here or above; `aspen new NAME` makes a project"));
    };
    let manifest = Manifest::read(&folder)?;
    // Paths are shown as the user would write them.
    let shown = folder.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(folder);
    Ok(Project { folder: shown, manifest })
}

/// The folder of the project that a folder is in.
pub fn folder_of(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(MANIFEST).is_file()).map(Path::to_path_buf)
}

/// The Passerine files of a folder and those below it, in order.
///
/// # Errors
/// What cannot be read.
pub fn source_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        let wrong = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        for entry in std::fs::read_dir(&path).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let path = entry.path();
            // A link to a folder is not followed: it may lead back here.
            if entry.file_type().map_err(wrong)?.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pn") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
