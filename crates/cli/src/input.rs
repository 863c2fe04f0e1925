//! Reads programs of every kind from files.

use crate::project::packages::Packages;
use qualm_ir::binary;
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::module::Module;
use qualm_ir::source::SourceMap;
use qualm_ir::text;
use qualm_ir::verify::{Verified, verify};
use qualm_passerine::{Checked, Files, Lowering, check, compile, compile_with};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Native stack for the compiler: what the deepest nesting the parser allows may need. Only touched pages cost memory.
const COMPILER_STACK_BYTES: usize = 256 << 20;

/// What is wrong with an input, ready to print.
pub type Problem = String;

/// Reads a file with a limit, so that no special file keeps us for ever.
///
/// # Errors
/// What could not be read, and why.
pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot read {}: {error}\n", path.display()))?;
    if metadata.is_dir() {
        return Err(format!("cannot read {}: it is a directory\n", path.display()));
    }
    if metadata.len() > qualm_ir::limits::MODULE_BYTES_MAX as u64 {
        return Err(format!("cannot read {}: it is larger than 1 GiB\n", path.display()));
    }
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}\n", path.display()))
}

pub(crate) fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("{}: byte {at} is not UTF-8; a source file is text\n", path.display())
    })
}

/// The module a file holds: Passerine source (`.pn`), text assembly (`.qualm`) or a binary module (`.qb`).
///
/// # Errors
/// Everything that is wrong with it.
pub fn module(path: &Path) -> Result<Module, Problem> {
    let bytes = read(path)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if extension == "qb" || bytes.starts_with(binary::MAGIC) {
        return binary::decode(&bytes).map_err(|error| format!("{}: {error}\n", path.display()));
    }
    let text = text_of(path, bytes)?;
    let name = path.display().to_string();
    if extension == "qualm" {
        let mut sources = SourceMap::default();
        let id = sources.add(name.as_str(), text.as_str());
        let mut module = text::parse(id, &text).map_err(|error| error.render(&sources))?;
        module.sources = sources
            .iter()
            .map(|source| qualm_ir::module::SourceName { path: source.path.clone(), text: source.text.clone() })
            .collect();
        return Ok(module);
    }
    passerine(&name, &text)
}

/// Compiles Passerine source.
///
/// # Errors
/// The diagnostics.
pub fn passerine(path: &str, text: &str) -> Result<Module, Problem> {
    let mut disk = Disk::of(Path::new(path))?;
    let compiled = on_compiler_thread(|| compile(path, text, &mut disk))?;
    compiled.module.map_err(|errors| render(&errors, &compiled.sources))
}

/// Compiles a file of tests.
///
/// # Errors
/// The diagnostics.
pub fn passerine_tests(path: &str, text: &str) -> Result<Module, Problem> {
    let mut disk = Disk::of(Path::new(path))?;
    let compiled = on_compiler_thread(|| {
        compile_with(path, text, &mut disk, Lowering { test_frames: true, ..Lowering::default() })
    })?;
    compiled.module.map_err(|errors| render(&errors, &compiled.sources))
}

/// Static checks of a Passerine file.
///
/// # Errors
/// What could not be read.
pub fn checked(path: &Path) -> Result<Checked, Problem> {
    let text = text_of(path, read(path)?)?;
    let name = path.display().to_string();
    checked_text(&name, &text)
}

/// Static checks of Passerine source.
///
/// # Errors
/// What is wrong with the project.
pub fn checked_text(path: &str, text: &str) -> Result<Checked, Problem> {
    let mut disk = Disk::of(Path::new(path))?;
    on_compiler_thread(|| check(path, text, &mut disk))
}

/// Diagnostics as text, a line between them.
pub fn render(errors: &[Diagnostic], sources: &SourceMap) -> String {
    errors.iter().map(|error| error.render(sources)).collect::<Vec<_>>().join("\n")
}

pub(crate) fn on_compiler_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Problem> {
    std::thread::scope(|scope| {
        let compiler = std::thread::Builder::new().name("compiler".into()).stack_size(COMPILER_STACK_BYTES);
        let thread = compiler.spawn_scoped(scope, work);
        thread
            .map_err(|error| format!("cannot start the compiler: {error}\n"))?
            .join()
            .map_err(|_| "the compiler failed\n".to_owned())
    })
}

/// The module a file holds, verified.
///
/// # Errors
/// Everything that is wrong with it.
pub fn verified(path: &Path) -> Result<Verified<Module>, Problem> {
    verify(module(path)?)
        .map_err(|errors| errors.iter().map(|error| format!("{}: {error}\n", path.display())).collect::<String>())
}

/// Module files: beside the file that uses them, in the sources of its project, in its packages.
pub(crate) struct Disk {
    packages: Packages,
}

impl Disk {
    pub(crate) fn of(file: &Path) -> Result<Self, Problem> {
        Packages::of(file).map(|packages| Self { packages }).map_err(|problem| format!("{problem}\n"))
    }

    /// The file in a folder that names lead to, and how many of them.
    fn below(folder: &Path, names: &[Arc<str>]) -> Option<(PathBuf, usize)> {
        let mut folder = folder.to_path_buf();
        let mut found = None;
        for (at, name) in names.iter().enumerate() {
            for candidate in [folder.join(format!("{name}.pn")), folder.join(&**name).join("mod.pn")] {
                if candidate.is_file() {
                    found = Some((candidate, at + 1));
                    break;
                }
            }
            folder.push(&**name);
        }
        found
    }

    fn in_package(&self, from: &Path, names: &[Arc<str>]) -> Option<(PathBuf, usize)> {
        let sources = self.packages.package(from, &names[0])?.join("src");
        if let Some((found, used)) = Self::below(&sources, &names[1..]) {
            return Some((found, used + 1));
        }
        let library = sources.join("lib.pn");
        library.is_file().then_some((library, 1))
    }
}

impl Files for Disk {
    fn find(&mut self, from: &str, names: &[Arc<str>]) -> Option<(String, String, usize)> {
        let from = Path::new(from);
        let beside = Self::below(from.parent().unwrap_or(Path::new("")), names);
        let in_sources = || Self::below(&self.packages.sources(from)?, names);
        let (path, used) = beside.or_else(in_sources).or_else(|| self.in_package(from, names))?;
        let text = text_of(&path, read(&path).ok()?).ok()?;
        Some((path.display().to_string(), text, used))
    }
}
