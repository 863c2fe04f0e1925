//! What names mean to the parser, which must know while it reads: soft words that a variable hides, labels that take no payload, words and
//! variables of macros.

use super::macros::Macro;
use super::{Parser, Result};
use crate::tree::{Expr, ExprKind};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What an identifier is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// A variable: soft words of that name are hidden.
    Variable,
    /// A pseudokeyword of a macro.
    Word,
    /// What a macro takes, in its body.
    MacroVariable,
}

/// What a label was declared to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Declared {
    /// A type with so many parameters; also a label.
    Type { parameters: usize },
    /// A variant of a union.
    Variant { nullary: bool },
    /// An effect.
    Effect,
}

/// A scope of the text, as far as it has been read.
#[derive(Default)]
pub(crate) struct Scope {
    pub(crate) names: HashMap<Arc<str>, Meaning>,
    pub(crate) labels: HashMap<Arc<str>, Declared>,
    pub(crate) macros: Vec<Rc<Macro>>,
}

impl Parser<'_> {
    pub(super) fn declare_as(&mut self, name: &Arc<str>, meaning: Meaning) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.names.insert(name.clone(), meaning);
        }
    }

    /// A variable is bound here; what a macro takes stays that.
    pub(super) fn declare(&mut self, name: &Arc<str>) {
        if self.meaning(name) != Some(Meaning::MacroVariable) {
            self.declare_as(name, Meaning::Variable);
        }
    }

    pub(super) fn meaning(&self, name: &str) -> Option<Meaning> {
        self.scopes.iter().rev().find_map(|scope| scope.names.get(name).copied())
    }

    /// Whether a soft word of that name is hidden.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.meaning(name).is_some()
    }

    pub(super) fn declare_label(&mut self, name: &Arc<str>, declared: Declared) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.labels.insert(name.clone(), declared);
        }
    }

    pub(super) fn declared_label(&self, name: &str) -> Option<Declared> {
        let local = self.scopes.iter().rev().find_map(|scope| scope.labels.get(name).copied());
        local.or_else(|| self.loader.label(name))
    }

    /// Labels that take no payload.
    pub(super) fn is_nullary(&self, name: &str) -> bool {
        match self.declared_label(name) {
            Some(declared) => declared == Declared::Variant { nullary: true },
            None => matches!(name, "None" | "Less" | "Equal" | "Greater"),
        }
    }

    pub(super) fn scoped<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.scopes.push(Scope::default());
        let parsed = parse(self);
        self.scopes.pop();
        parsed
    }

    /// Variables that a statement without a scope of its own binds.
    pub(super) fn declare_bound(&mut self, statement: &Expr) {
        match &statement.kind {
            ExprKind::Assign { pattern, .. } => {
                let mut names = Vec::new();
                pattern.for_each_binder(&mut |name| names.push((name.text.clone(), name.mark)));
                names.iter().filter(|(_, mark)| *mark == 0).for_each(|(name, _)| self.declare(name));
            }
            ExprKind::Splice(statements) => statements.iter().for_each(|statement| self.declare_bound(statement)),
            _ => {}
        }
    }
}
