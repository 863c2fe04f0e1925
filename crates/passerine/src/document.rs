//! What documentation says: comments above definitions, with inferred types.

use crate::modules::{NoFiles, check};
use crate::standard;

/// A documented name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The name as a program writes it.
    pub name: String,
    /// Its type.
    pub ty: String,
    /// What its comment says; may be empty.
    pub text: String,
}

/// A documented module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// What the comment at its top says; may be empty.
    pub intro: String,
    /// What it defines, in order.
    pub entries: Vec<Entry>,
}

/// The documentation of a module's text, given the types of its top-level variables in order.
///
/// The comment lines directly above a definition belong to it, and to the definitions that follow on the next lines. A comment at the top with an empty
/// line after it is about the module.
pub fn page<'a>(text: &str, bindings: impl Iterator<Item = (&'a str, &'a str)>) -> Page {
    let lines: Vec<&str> = text.lines().collect();
    let comment = |line: &str| line.strip_prefix('#').map(|rest| rest.strip_prefix(' ').unwrap_or(rest).to_owned());
    let top: Vec<String> = lines.iter().map_while(|line| comment(line)).collect();
    let is_intro = lines.get(top.len()).is_none_or(|line| line.is_empty());
    let intro = if is_intro { top.join("\n") } else { String::new() };
    let mut entries: Vec<Entry> = Vec::new();
    for (name, ty) in bindings {
        let at = lines.iter().position(|line| defines(line, name));
        let text = at.map_or(String::new(), |at| {
            let above: Vec<&str> = lines[..at].iter().rev().copied().collect();
            let skipped = above.iter().take_while(|line| !line.is_empty() && comment(line).is_none()).count();
            let direct = above[..skipped].iter().all(|line| !line.starts_with(' ') && !line.starts_with('}'));
            let mut found: Vec<String> =
                above[if direct { skipped } else { 0 }..].iter().map_while(|line| comment(line)).collect();
            found.reverse();
            found.join("\n")
        });
        let text = if text == intro { String::new() } else { text };
        entries.push(Entry { name: name.to_owned(), ty: ty.to_owned(), text });
    }
    Page { intro, entries }
}

/// Whether a line at the top level starts to define a name.
fn defines(line: &str, name: &str) -> bool {
    line.strip_prefix(name)
        .is_some_and(|rest| rest.trim_start().starts_with('=') && !rest.trim_start().starts_with("=="))
}

/// What every program can use without declaring it.
pub fn prelude_entries() -> Vec<Entry> {
    let mut docs = std::collections::HashMap::new();
    for line in include_str!("prelude/docs.txt").lines() {
        if let Some((names, text)) = line.split_once(": ") {
            names.split(' ').for_each(|name| {
                docs.insert(name, text);
            });
        }
    }
    let mut entries = Vec::new();
    for line in include_str!("prelude/types.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((names, ty)) = line.split_once(" : ") else { continue };
        for name in names.split(' ') {
            let text = docs.get(name).copied().unwrap_or_default().to_owned();
            entries.push(Entry { name: name.to_owned(), ty: ty.to_owned(), text });
        }
    }
    for (name, text) in &docs {
        if entries.iter().all(|entry| entry.name != *name) {
            entries.push(Entry { name: (*name).to_owned(), ty: "?".to_owned(), text: (*text).to_owned() });
        }
    }
    entries.sort_by(|a, b| (a.name.contains('.'), &a.name).cmp(&(b.name.contains('.'), &b.name)));
    entries
}

/// The documentation of a standard module.
pub fn standard_page(name: &str) -> Option<Page> {
    let text = standard::text(name)?;
    let checked = check(&standard::path(name), text, &mut NoFiles);
    let inferred = checked.inferred.ok()?;
    Some(page(text, inferred.bindings.iter().map(|(name, ty)| (&**name, ty.as_str()))))
}
