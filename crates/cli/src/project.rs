//! Passerine projects: a folder with `aspen.toml` and `src/main.pn`.

use std::path::{Path, PathBuf};

/// The manifest of a project.
const MANIFEST: &str = "aspen.toml";

/// A project that was found.
#[derive(Debug)]
pub struct Project {
    /// The program to run.
    pub main: PathBuf,
    /// Capabilities it asks for.
    pub allow: Vec<String>,
}

/// Makes the folder of a new project.
///
/// # Errors
/// What could not be made.
pub fn create(path: &Path) -> Result<(), String> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("a project needs a name")?;
    let valid = name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') && !name.is_empty();
    if !valid {
        return Err(format!("`{name}` cannot be the name of a project: letters, digits, `-` and `_` only"));
    }
    if path.exists() {
        return Err(format!("{} is there already", path.display()));
    }
    let write = |file: PathBuf, text: String| {
        std::fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
    };
    let source = path.join("src");
    std::fs::create_dir_all(&source).map_err(|error| format!("cannot make {}: {error}", source.display()))?;
    write(
        path.join(MANIFEST),
        format!(
            "[package]\nname = \"{name}\"\n\n# What the program may ask for beyond its streams, clock, arguments and processes:\n# env, read_file, write_file\nallow = []\n"
        ),
    )?;
    write(source.join("main.pn"), "use greeting\n\nprintln (greeting.greet \"world\")\n".into())?;
    write(source.join("greeting.pn"), "greet = name -> \"Hello, {name}!\"\n".into())?;
    super::commands::complain(&format!("made {}; run it with `cd {} && aspen run`\n", path.display(), path.display()));
    Ok(())
}

/// The project of the present folder or the nearest one above it.
///
/// # Errors
/// If there is none, or its manifest is wrong.
pub fn find() -> Result<Project, String> {
    let start = std::env::current_dir().map_err(|error| format!("the present folder is unknown: {error}"))?;
    let mut folder = start.as_path();
    loop {
        let manifest = folder.join(MANIFEST);
        if manifest.is_file() {
            return read(&manifest, folder);
        }
        folder = folder.parent().ok_or(format!("no {MANIFEST} here or above; `aspen new NAME` makes a project"))?;
    }
}

fn read(manifest: &Path, folder: &Path) -> Result<Project, String> {
    let text =
        std::fs::read_to_string(manifest).map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
    let table: toml::Table = text.parse().map_err(|error| format!("{}: {error}", manifest.display()))?;
    let package = table.get("package").and_then(toml::Value::as_table);
    let Some(package) = package else { return Err(format!("{}: a table [package] is missing", manifest.display())) };
    let mut allow = Vec::new();
    if let Some(value) = package.get("allow") {
        let wrong = || format!("{}: `allow` is a list of capability names", manifest.display());
        for name in value.as_array().ok_or_else(wrong)? {
            allow.push(name.as_str().ok_or_else(wrong)?.to_owned());
        }
    }
    // Paths are shown as the user would write them.
    let main = folder.join("src").join("main.pn");
    let shown = std::env::current_dir().ok().and_then(|here| main.strip_prefix(&here).map(Path::to_path_buf).ok());
    Ok(Project { main: shown.unwrap_or(main), allow })
}
