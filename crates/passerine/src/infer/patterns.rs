//! Patterns: the type they take, the variables they bind; types as they are written.

use super::exprs::literal_type;
use super::ty::{Con, Node, Ty, Types};
use super::{Inference, Scheme};
use crate::names::{LabelMeaning, VarId};
use crate::tree::{Branch, Pattern, PatternKind, Shape, Type};
use qualm_ir::source::Span;
use std::collections::HashMap;
use std::sync::Arc;

/// What lowercase names and single capitals in an annotation stand for.
pub(super) type TypeNames = HashMap<Arc<str>, Ty>;

impl<'a> Inference<'a> {
    /// The type a pattern takes.
    pub(super) fn pattern(&mut self, pattern: &'a Pattern, bound: &mut Vec<(VarId, Ty)>) -> Ty {
        match &pattern.kind {
            PatternKind::Variable(name) => {
                let ty = self.types.fresh();
                if let Some(var) = self.names.meaning(name.id) {
                    bound.push((var, ty));
                }
                ty
            }
            PatternKind::Discard | PatternKind::MacroVariable(_) => self.types.fresh(),
            PatternKind::Literal(literal) => literal_type(literal),
            PatternKind::Label { name, payload } => {
                let payload = match payload {
                    Some(payload) => self.pattern(payload, bound),
                    None => Types::UNIT,
                };
                self.label_pattern(name, payload)
            }
            PatternKind::Tuple(items) => {
                let items = items.iter().map(|item| self.pattern(item, bound)).collect();
                self.types.add(Node::Tuple(items))
            }
            PatternKind::List { before, rest, after } => {
                let mut item_type = self.types.fresh();
                for item in before.iter().chain(after) {
                    let found = self.pattern(item, bound);
                    item_type = self.join(item_type, found);
                }
                let list = self.types.list(item_type);
                if let Some(Some(rest)) = rest {
                    let found = self.pattern(rest, bound);
                    self.agree(list, found);
                }
                list
            }
            PatternKind::Record { fields, rest } => {
                let mut row = self.types.fresh();
                if let Some(rest) = rest {
                    let found = self.pattern(rest, bound);
                    let record = self.types.add(Node::Record(row));
                    self.agree(found, record);
                }
                for (name, field) in fields {
                    let ty = self.pattern(field, bound);
                    row = self.types.add(Node::Extend(name.clone(), ty, row));
                }
                self.types.add(Node::Record(row))
            }
            PatternKind::Or(alternatives) => {
                let mut ty = self.types.fresh();
                let mut all: Vec<(VarId, Ty)> = Vec::new();
                for alternative in alternatives {
                    let mut own = Vec::new();
                    let found = self.pattern(alternative, &mut own);
                    ty = self.join(ty, found);
                    for (var, found) in own {
                        match all.iter().find(|(other, _)| *other == var).copied() {
                            Some((_, known)) => {
                                self.join(known, found);
                            }
                            None => all.push((var, found)),
                        }
                    }
                }
                bound.extend(all);
                ty
            }
            PatternKind::Is { pattern, ty } => {
                let inner = self.pattern(pattern, bound);
                let wanted = self.annotation(ty, &mut HashMap::new());
                self.agree(inner, wanted);
                if let Node::Dynamic = self.types.node(wanted) { inner } else { wanted }
            }
            PatternKind::Where { pattern, .. } => self.pattern(pattern, bound),
        }
    }

    /// The guards in a pattern whose variables are bound.
    pub(super) fn guards(&mut self, pattern: &'a Pattern) {
        let mut guards = Vec::new();
        crate::lower::guards(pattern, &mut guards);
        for (guard, _) in guards {
            let ty = self.expr(guard);
            if self.types.unify(Types::BOOLEAN, ty).is_err() {
                let found = self.types.show(ty);
                self.report("T0002", guard.span, format!("guard must be Boolean, found {found}"), &[]);
            }
        }
    }

    fn label_pattern(&mut self, name: &Arc<str>, payload: Ty) -> Ty {
        let known = match &**name {
            "Some" => {
                let item = self.types.fresh();
                Some((self.types.option(item), item))
            }
            "None" => {
                let item = self.types.fresh();
                Some((self.types.option(item), Types::UNIT))
            }
            "Ok" | "Error" => {
                let (ok, error) = (self.types.fresh(), self.types.fresh());
                let result = self.types.con(Con::Result, vec![ok, error]);
                Some((result, if &**name == "Ok" { ok } else { error }))
            }
            _ => self.variant_of(name),
        };
        match known {
            Some((ty, wanted)) => {
                self.agree(wanted, payload);
                ty
            }
            None => {
                let rest = self.types.fresh();
                let row = self.types.add(Node::Extend(name.clone(), payload, rest));
                self.types.add(Node::Variant(row))
            }
        }
    }

    /// What is matched takes the type of the patterns. Without a branch for everything the labels are those of the branches.
    pub(super) fn subject(&mut self, subject: Ty, wanted: Ty, catches_all: bool, span: Span) {
        let found = self.types.node(subject);
        if let (Node::Variant(row), false) = (self.types.node(wanted), catches_all) {
            let (labels, end) = self.types.row(row);
            if self.types.is_free(end) {
                self.agree(end, Types::EMPTY);
            }
            if let Node::Variant(given) = &found {
                let (given, _) = self.types.row(*given);
                let missing: Vec<String> = given
                    .iter()
                    .filter(|(name, _)| labels.iter().all(|(other, _)| other != name))
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                if !missing.is_empty() {
                    let verb = if missing.len() == 1 { "has" } else { "have" };
                    self.report("T0006", span, format!("{} {verb} no branch", missing.join(", ")), &[]);
                    return;
                }
            }
        }
        // Values of other kinds than the patterns never fit; that is no error of the program's text.
        self.agree(subject, wanted);
    }

    /// Reports variants of a declared union that no branch takes at all. Whether those that are taken are taken whatever they hold is not looked at.
    pub(super) fn variants_covered(&mut self, wanted: Ty, branches: &'a [Branch], span: Span) {
        let Node::Con(Con::Declared(var, _), _) = self.types.node(wanted) else { return };
        let Some(Shape::Union(variants)) = self.declarations.get(&var).map(|declaration| &declaration.shape) else {
            return;
        };
        let mut taken: Vec<&Arc<str>> = Vec::new();
        let mut open: Vec<&Pattern> = branches.iter().map(|branch| &branch.pattern).collect();
        while let Some(pattern) = open.pop() {
            match &pattern.kind {
                PatternKind::Label { name, .. } => taken.push(name),
                PatternKind::Or(alternatives) => open.extend(alternatives),
                PatternKind::Where { pattern, .. } => open.push(pattern),
                _ => return,
            }
        }
        let missing: Vec<String> = variants
            .iter()
            .filter(|variant| !taken.contains(&&variant.name.text))
            .map(|variant| format!("`{}`", variant.name.text))
            .collect();
        if !missing.is_empty() {
            let verb = if missing.len() == 1 { "has" } else { "have" };
            self.report("T0006", span, format!("{} {verb} no branch", missing.join(", ")), &[]);
        }
    }

    // ---- types as they are written

    pub(super) fn annotation(&mut self, ty: &'a Type, names: &mut TypeNames) -> Ty {
        match ty {
            Type::Any(None) => self.types.fresh(),
            Type::Any(Some(name)) => self.named(name, names),
            Type::Literal(literal) => literal_type(literal),
            Type::Tuple(items) => {
                let items = items.iter().map(|item| self.annotation(item, names)).collect();
                self.types.add(Node::Tuple(items))
            }
            Type::List(item) => {
                let item = match item {
                    Some(item) => self.annotation(item, names),
                    None => self.types.fresh(),
                };
                self.types.list(item)
            }
            Type::Record(fields) => {
                let mut row = self.types.fresh();
                for (name, field) in fields {
                    let ty = self.annotation(field, names);
                    row = self.types.add(Node::Extend(name.clone(), ty, row));
                }
                self.types.add(Node::Record(row))
            }
            Type::Function { from, to, effects } => {
                let (from, to) = (self.annotation(from, names), self.annotation(to, names));
                let mut row = self.types.fresh();
                for effect in effects {
                    row = self.types.add(Node::Extend(effect.clone(), Types::UNIT, row));
                }
                self.types.function(from, to, row)
            }
            Type::Where { ty, .. } => self.annotation(ty, names),
            Type::Labelled { name, payload } => {
                let payload = self.annotation(payload, names);
                let rest = self.types.fresh();
                let row = self.types.add(Node::Extend(name.text.clone(), payload, rest));
                self.types.add(Node::Variant(row))
            }
            Type::Named { name, arguments } => {
                let arguments: Vec<Ty> = arguments.iter().map(|ty| self.annotation(ty, names)).collect();
                self.named_type(name, arguments, names)
            }
        }
    }

    fn named(&mut self, name: &Arc<str>, names: &mut TypeNames) -> Ty {
        if let Some(ty) = names.get(name) {
            return *ty;
        }
        let ty = self.types.fresh();
        names.insert(name.clone(), ty);
        ty
    }

    fn named_type(&mut self, name: &'a crate::tree::Name, mut arguments: Vec<Ty>, names: &mut TypeNames) -> Ty {
        if let Some(ty) = names.get(&name.text) {
            return *ty;
        }
        if let Some(LabelMeaning::Declared(var, _)) = self.names.label(name.id) {
            return self.declared_type(var, arguments);
        }
        let mut filled = |inference: &mut Self, con, count| {
            while arguments.len() < count {
                arguments.push(Types::DYNAMIC);
            }
            inference.types.con(con, std::mem::take(&mut arguments))
        };
        match &*name.text {
            "Integer" | "Int" | "Nat" | "Natural" => Types::INTEGER,
            "Float" | "Real" => Types::FLOAT,
            "String" => Types::STRING,
            "Boolean" | "Bool" => Types::BOOLEAN,
            "Unit" => Types::UNIT,
            "List" => filled(self, Con::List, 1),
            "Option" => filled(self, Con::Option, 1),
            "Result" => filled(self, Con::Result, 2),
            "Map" => filled(self, Con::Map, 2),
            "Range" => filled(self, Con::Range, 0),
            "Fiber" => filled(self, Con::Fiber, 2),
            text if text.chars().count() == 1 => self.named(&name.text, names),
            // `Any`, `Tuple`, `Record`, `Function`, and labels with any payload.
            _ => Types::DYNAMIC,
        }
    }

    pub(super) fn bind_one(&mut self, bound: Vec<(VarId, Ty)>) {
        for (var, ty) in bound {
            self.schemes.insert(var, Scheme { ty, constraints: Vec::new() });
        }
    }
}
