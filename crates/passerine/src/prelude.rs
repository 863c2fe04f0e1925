//! The prelude: what a program can use without declaring it, and which built-ins `magic` may name.

use crate::names::VarId;
use qualm_ir::natives::Native;
use std::collections::HashMap;
use std::sync::Arc;

/// The prelude's text. A name `list__get` is `List.get`.
pub(crate) const SOURCE: &str = include_str!("prelude/prelude.pn");

/// Built-ins any program may name.
const MAGIC: &[&str] = &[
    "add",
    "sub",
    "mul",
    "div",
    "rem",
    "pow",
    "equal",
    "less",
    "greater",
    "less_equal",
    "greater_equal",
    "neg",
    "if",
    "println",
    "print",
    "to_string",
];

/// Instructions only the prelude may name.
const INSTRUCTIONS: &[&str] = &[
    "list.push",
    "list.set",
    "list.get",
    "list.slice",
    "list.len",
    "map.new",
    "map.has",
    "map.get",
    "map.insert",
    "map.remove",
    "map.len",
    "system",
    "kind",
    "predicate",
    "compare.less",
    "continuation.clone",
];

/// Whether `magic` may name this; the prelude may name everything.
pub(crate) fn is_magic(name: &str, trusted: bool) -> bool {
    MAGIC.contains(&name) || (trusted && (INSTRUCTIONS.contains(&name) || Native::from_name(name).is_some()))
}

/// Names of the prelude that can also be reached through a label.
const ALSO: &[(&str, &[&str])] = &[
    (
        "List",
        &[
            "map",
            "each",
            "filter",
            "find",
            "any",
            "all",
            "fold",
            "reduce",
            "len",
            "length",
            "is_empty",
            "head",
            "last",
            "tail",
            "push",
            "append",
            "take",
            "drop",
            "reverse",
            "zip",
            "enumerate",
            "sort",
            "sort_by",
            "sum",
            "product",
            "minimum",
            "maximum",
        ],
    ),
    ("String", &["len", "reverse", "join"]),
    ("Map", &["len"]),
    ("Math", &["sqrt", "abs", "gcd", "floor", "ceil", "round", "truncate"]),
    ("Option", &["unwrap_or", "unwrap"]),
    ("Result", &["unwrap_or", "unwrap"]),
    (
        "System",
        &[
            "read_line",
            "clock",
            "sleep",
            "pause",
            "random",
            "read_file",
            "write_file",
            "spawn",
            "self",
            "send",
            "receive",
            "await",
            "parallel",
            "try_parallel",
            "snapshot",
            "restore",
            "http",
        ],
    ),
];

/// What `Label.member` means in the prelude.
pub(crate) fn qualified(prelude: &HashMap<Arc<str>, VarId>, label: &str, member: &str) -> Option<VarId> {
    let own = format!("{}__{member}", label.to_lowercase());
    if let Some(var) = prelude.get(own.as_str()) {
        return Some(*var);
    }
    let (_, members) = ALSO.iter().find(|(name, _)| *name == label)?;
    if members.contains(&member) { prelude.get(member).copied() } else { None }
}
