//! Names that mean nothing: one error for all of a file, with what was probably meant.

use super::{Resolver, Var};
use qualm_ir::diagnostic::{Diagnostic, Label};
use std::collections::HashSet;
use std::sync::Arc;

impl Resolver<'_> {
    /// One error for all names of the file that mean nothing, each place marked.
    pub(super) fn report_unbound(&mut self) {
        let mut unbound = std::mem::take(&mut self.unbound);
        unbound.sort_by_key(|name| name.span);
        let Some(first) = unbound.first() else { return };
        let mut names: Vec<String> = Vec::new();
        for name in &unbound {
            let quoted = format!("`{}`", name.text);
            if !names.contains(&quoted) {
                names.push(quoted);
            }
        }
        let verb = if names.len() == 1 { "is" } else { "are" };
        let message = format!("{} {verb} not bound here", names.join(", "));
        let mut found = Diagnostic::syntax("P0050", first.span, message);
        found.labels = unbound
            .iter()
            .map(|name| Label { span: name.span, note: self.nearest(&name.text).map(|near| format!("`{near}` is")) })
            .collect();
        for name in &unbound {
            if let Some(span) = name.body {
                found.labels.push(Label { span, note: Some("in the body of this macro".to_owned()) });
            }
        }
        let mut told: HashSet<&str> = HashSet::new();
        for name in unbound.iter().filter(|name| told.insert(&name.text)) {
            let elsewhere =
                |var: &&Var| var.name == name.text && var.span.is_some_and(|span| span.source == name.span.source);
            if let Some(span) = self.names.vars.iter().find(elsewhere).and_then(|var| var.span) {
                let later = span.start > name.span.start;
                let note = if later { "is bound only here" } else { "is known only in its own scope" };
                let note = format!("this `{}` {note}", name.text);
                found.labels.push(Label { span, note: Some(note) });
            }
        }
        self.errors.push(found);
    }

    /// A name of the prelude or the program one edit away.
    fn nearest(&self, name: &str) -> Option<Arc<str>> {
        let mut near: Vec<Arc<str>> =
            self.names.vars.iter().map(|var| var.name.clone()).filter(|other| one_edit(name, other)).collect();
        near.sort();
        near.into_iter().next()
    }
}

/// Whether two names differ by one inserted, removed, changed or swapped letter.
fn one_edit(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a == b || a.len().abs_diff(b.len()) > 1 || a.len() < 3 {
        return false;
    }
    let prefix = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let suffix = a[prefix..].iter().rev().zip(b[prefix..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (left_a, left_b) = (a.len() - prefix - suffix, b.len() - prefix - suffix);
    (left_a <= 1 && left_b <= 1)
        || (left_a == 2 && left_b == 2 && a[prefix] == b[prefix + 1] && a[prefix + 1] == b[prefix])
}
