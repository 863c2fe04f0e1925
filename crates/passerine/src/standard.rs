//! The standard modules: what `use` finds when no file and no package has the name. They are written in Passerine, in `crates/passerine/std`.

macro_rules! modules {
    ($( $name:literal ),* $(,)?) => {
        /// Names and texts, in order.
        const MODULES: &[(&str, &str)] = &[ $( ($name, include_str!(concat!("../std/src/", $name, ".pn"))) ),* ];
    };
}

modules![
    "fibers",
    "files",
    "format",
    "http",
    "iter",
    "json",
    "lists",
    "maps",
    "math",
    "processes",
    "set",
    "strings",
    "supervisor",
    "system",
    "tcp",
    "testing",
];

/// What the paths of standard modules start with; no file has such a path.
const SCHEME: &str = "std:";

/// The text of a standard module.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    MODULES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The path that stands for a standard module in messages.
pub(crate) fn path(name: &str) -> String {
    format!("{SCHEME}{name}")
}

/// Whether a path is that of a standard module or of the prelude: code that is not the user's.
pub fn is_standard(path: &str) -> bool {
    path == "prelude" || path.starts_with(SCHEME)
}

/// The standard modules, in order: names and texts.
pub fn standard_modules() -> impl Iterator<Item = (&'static str, &'static str)> {
    MODULES.iter().copied()
}
