//! `aspen.toml`.
//!
//! ```toml
//! [package]
//! name = "birds"
//! allow = ["read_file"]                 # what the program asks for
//!
//! [dependencies]
//! songs = { path = "../songs" }         # another folder
//! maps = { hash = "5d41…" }             # exactly that content, from the package store
//! ```

use super::MANIFEST;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a manifest says.
#[derive(Clone, Default, Debug)]
pub struct Manifest {
    /// The name of the package.
    pub name: String,
    /// Capabilities it asks for.
    pub allow: Vec<String>,
    /// Packages that its files can `use`, by name.
    pub dependencies: BTreeMap<String, Dependency>,
}

/// Where a package comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dependency {
    /// A folder; relative to the manifest's.
    Path(PathBuf),
    /// The content with this hash, from the package store.
    Hash(String),
}

/// Refuses what cannot be the name of a project.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') {
        return Ok(());
    }
    Err(format!("`{name}` cannot be the name of a project: letters, digits, `-` and `_` only"))
}

impl Manifest {
    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(MANIFEST);
        let text =
            std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|problem| format!("{}: {problem}", path.display()))
    }

    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        if let Some(other) = table.keys().find(|key| !matches!(key.as_str(), "package" | "dependencies")) {
            return Err(format!("there is no table [{other}]; known are [package] and [dependencies]"));
        }
        let package = table.get("package").and_then(toml::Value::as_table).ok_or("a table [package] is missing")?;
        if let Some(other) = package.keys().find(|key| !matches!(key.as_str(), "name" | "allow")) {
            return Err(format!("[package] has no key `{other}`; known are `name` and `allow`"));
        }
        let name = package.get("name").and_then(toml::Value::as_str).ok_or("[package] needs a `name`, a string")?;
        check_name(name)?;
        let mut manifest = Self { name: name.to_owned(), ..Self::default() };
        if let Some(value) = package.get("allow") {
            const WRONG: &str = "`allow` is a list of names of capabilities";
            for name in value.as_array().ok_or(WRONG)? {
                manifest.allow.push(name.as_str().ok_or(WRONG)?.to_owned());
            }
        }
        if let Some(value) = table.get("dependencies") {
            for (name, value) in value.as_table().ok_or("`dependencies` is a table")? {
                manifest.dependencies.insert(name.clone(), dependency(name, value)?);
            }
        }
        Ok(manifest)
    }
}

fn dependency(name: &str, value: &toml::Value) -> Result<Dependency, String> {
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name || name.starts_with(|c: char| c.is_numeric() || c.is_uppercase()) {
        return Err(format!("`{name}` cannot be used as a module: dependencies have names like variables"));
    }
    let wrong = || format!("the dependency `{name}` is `{{ path = \"FOLDER\" }}` or `{{ hash = \"HASH\" }}`");
    let table = value.as_table().filter(|table| table.len() == 1).ok_or_else(wrong)?;
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str);
    match (text("path"), text("hash")) {
        (Some(path), None) => Ok(Dependency::Path(path.into())),
        (None, Some(hash)) if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Dependency::Hash(hash.to_owned()))
        }
        (None, Some(_)) => Err(format!("the hash of the dependency `{name}` is not one: 64 hexadecimal digits")),
        _ => Err(wrong()),
    }
}
