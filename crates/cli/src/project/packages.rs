//! Packages: which folder a dependency is, and the store of packages by content hash.
//!
//! The hash of a package is that of its manifest and source files with their paths, so a pinned dependency is the same text on every machine; it is
//! checked whenever the package is used. The store is the folder `packages` in `$ASPEN_HOME`, or in `~/.aspen`.

use super::{Dependency, MANIFEST, Manifest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files of a package, at most.
const FILES_MAX: usize = 10_000;

/// The content hash of the package in a folder, as hexadecimal digits.
///
/// # Errors
/// What cannot be read.
pub fn hash(folder: &Path) -> Result<String, String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"passerine package 1\0");
    for (name, text) in files(folder)? {
        for part in [name.as_bytes(), &text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What belongs to a package, in order: its manifest and the Passerine files in `src`.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let mut found = BTreeMap::new();
    found.insert(MANIFEST.to_owned(), read(&folder.join(MANIFEST))?);
    let mut open = vec![(folder.join("src"), "src".to_owned())];
    while let Some((path, name)) = open.pop() {
        let entries = std::fs::read_dir(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let file_name = entry.file_name();
            let file_name = file_name.to_str().ok_or_else(|| format!("{}: a name is not UTF-8", path.display()))?;
            let kind = entry.file_type().map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let name = format!("{name}/{file_name}");
            if kind.is_dir() {
                open.push((entry.path(), name));
            } else if file_name.ends_with(".pn") {
                found.insert(name, read(&entry.path())?);
            }
            if found.len() + open.len() > FILES_MAX {
                return Err(format!("{}: more than {FILES_MAX} files", folder.display()));
            }
        }
    }
    Ok(found)
}

/// Where pinned packages are kept.
///
/// # Errors
/// If there is no home folder.
fn store() -> Result<PathBuf, String> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("ASPEN_HOME").or_else(|| variable("HOME").map(|home| home.join(".aspen")));
    home.map(|home| home.join("packages")).ok_or_else(|| "neither ASPEN_HOME nor HOME is set".into())
}

/// Puts a package into the store; gives its hash.
///
/// # Errors
/// What cannot be read or written.
pub fn keep(folder: &Path) -> Result<String, String> {
    let hash = hash(folder)?;
    let target = store()?.join(&hash);
    if self::hash(&target).is_ok_and(|kept| kept == hash) {
        return Ok(hash);
    }
    // What is there otherwise is no longer what it was.
    let _ = std::fs::remove_dir_all(&target);
    // Made beside its place and then renamed, so that half a package is never found there.
    let draft = target.with_extension(format!("draft-{}", std::process::id()));
    for (name, text) in files(folder)? {
        let path = draft.join(name);
        let parent = path.parent().unwrap_or(&draft);
        std::fs::create_dir_all(parent).map_err(|error| format!("cannot make {}: {error}", parent.display()))?;
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    match std::fs::rename(&draft, &target) {
        Ok(()) => Ok(hash),
        Err(_) if target.exists() => {
            let _ = std::fs::remove_dir_all(&draft);
            Ok(hash)
        }
        Err(error) => Err(format!("cannot make {}: {error}", target.display())),
    }
}

/// The folder of a dependency of the project in `folder`.
///
/// # Errors
/// If it is not there or is not what its hash says.
pub fn locate(folder: &Path, name: &str, dependency: &Dependency) -> Result<PathBuf, String> {
    match dependency {
        Dependency::Path(path) => {
            let found = folder.join(path);
            if found.join(MANIFEST).is_file() {
                Ok(found)
            } else {
                Err(format!("the dependency `{name}` is no package: {} has no {MANIFEST}", found.display()))
            }
        }
        Dependency::Hash(expected) => {
            let found = store()?.join(expected);
            if !found.exists() {
                return Err(format!(
                    "the dependency `{name}` is not in the package store; `aspen add --pin FOLDER` puts a package there\n  {}",
                    found.display()
                ));
            }
            let actual = hash(&found)?;
            if actual == *expected {
                Ok(found)
            } else {
                Err(format!("the dependency `{name}` was changed in the package store: its hash is now {actual}"))
            }
        }
    }
}

/// The packages that a project and its packages use: for each folder, names to folders.
#[derive(Default, Debug)]
pub struct Packages {
    uses: Vec<(PathBuf, BTreeMap<String, PathBuf>)>,
}

impl Packages {
    /// The packages of the project that a source file is in; none if it is in none.
    ///
    /// # Errors
    /// What is wrong with a manifest or dependency.
    pub fn of(file: &Path) -> Result<Self, String> {
        let mut packages = Self::default();
        let folder = file.parent().unwrap_or(Path::new(""));
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        let Some(root) = super::folder_of(&absolute) else { return Ok(packages) };
        // In terms of the path that was given, so that files are shown as the user writes them.
        let above = absolute.strip_prefix(&root).map_or(0, |below| below.components().count());
        let mut shown = folder.to_path_buf();
        for _ in 0..above {
            if !shown.pop() {
                shown = root.clone();
                break;
            }
        }
        // Several ways may lead to one folder, and round in a circle: the first name of a folder is the one its files have.
        let real = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let mut names: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        names.insert(real(if shown.as_os_str().is_empty() { Path::new(".") } else { &shown }), shown.clone());
        let mut open = vec![shown];
        while let Some(folder) = open.pop() {
            let manifest = Manifest::read(&folder)?;
            let mut uses = BTreeMap::new();
            for (name, dependency) in &manifest.dependencies {
                let found = locate(&folder, name, dependency)?;
                let known = names.entry(real(&found)).or_insert_with(|| {
                    open.push(found.clone());
                    found
                });
                uses.insert(name.clone(), known.clone());
            }
            packages.uses.push((folder, uses));
        }
        Ok(packages)
    }

    /// The project or package that a file is in.
    fn holder(&self, file: &Path) -> Option<&(PathBuf, BTreeMap<String, PathBuf>)> {
        self.uses
            .iter()
            .filter(|(folder, _)| file.starts_with(folder))
            .max_by_key(|(folder, _)| folder.components().count())
    }

    /// The source folder of the project a file is in.
    pub fn sources(&self, file: &Path) -> Option<PathBuf> {
        self.holder(file).map(|(folder, _)| folder.join("src"))
    }

    /// The folder of the package that a file knows by a name.
    pub fn package(&self, file: &Path, name: &str) -> Option<&Path> {
        self.holder(file)?.1.get(name).map(PathBuf::as_path)
    }
}
