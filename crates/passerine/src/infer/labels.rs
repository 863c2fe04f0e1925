//! Labels, declared types, effects and handlers.

use super::ty::{Con, Node, Ty, Types};
use super::{Inference, patterns::TypeNames};
use crate::names::{LabelMeaning, VarId};
use crate::tree::{Expr, Handler, HandlerBranch, Name, PatternKind, Shape, Type, TypeDeclaration};
use qualm_ir::source::Span;
use std::collections::HashMap;
use std::sync::Arc;

impl<'a> Inference<'a> {
    /// A label in an expression.
    pub(super) fn label(&mut self, name: &'a Name, payload: Option<&'a Expr>, span: Span) -> Ty {
        match self.names.label(name.id) {
            Some(LabelMeaning::Effect) => return self.perform_effect(name, payload, span),
            Some(LabelMeaning::Declared(var, variant)) => return self.build(var, variant, name, payload),
            None => {}
        }
        if self.names.meaning(name.id).is_some() {
            let constant = self.name(name.id, name.span);
            let Some(payload) = payload else { return constant };
            let argument = self.expr(payload);
            return self.apply(constant, argument, payload.span, span);
        }
        let payload_type = payload.map(|payload| self.expr(payload));
        match (&*name.text, payload_type) {
            ("Some", Some(item)) => self.types.option(item),
            ("Some", None) => {
                let item = self.types.fresh();
                let option = self.types.option(item);
                self.pure(item, option)
            }
            ("None", None) => {
                let item = self.types.fresh();
                self.types.option(item)
            }
            ("Ok" | "Error", item) => {
                let (ok, error) = (self.types.fresh(), self.types.fresh());
                let result = self.types.con(Con::Result, vec![ok, error]);
                let place = if &*name.text == "Ok" { ok } else { error };
                match item {
                    Some(item) => {
                        self.agree(place, item);
                        result
                    }
                    None => self.pure(place, result),
                }
            }
            (_, payload) => {
                let rest = self.types.fresh();
                let row = self.types.add(Node::Extend(name.text.clone(), payload.unwrap_or(Types::UNIT), rest));
                self.types.add(Node::Variant(row))
            }
        }
    }

    /// A function without effects.
    fn pure(&mut self, from: Ty, to: Ty) -> Ty {
        let effects = self.types.fresh();
        self.types.function(from, to, effects)
    }

    fn apply(&mut self, function: Ty, argument: Ty, argument_span: Span, span: Span) -> Ty {
        match self.types.node(function) {
            Node::Function(from, to, effects) => {
                self.need(from, argument, argument_span, &[]);
                self.perform(effects, span);
                to
            }
            _ => Types::DYNAMIC,
        }
    }

    // ---- declared types

    /// A declared type with its arguments; what is left out is not known.
    pub(super) fn declared_type(&mut self, var: VarId, mut arguments: Vec<Ty>) -> Ty {
        let Some(declaration) = self.declarations.get(&var).copied() else { return Types::DYNAMIC };
        // A value that has the shape is one too, labelled or not.
        if let Shape::Payload(_) = declaration.shape {
            return Types::DYNAMIC;
        }
        while arguments.len() < declaration.parameters.len() {
            arguments.push(Types::DYNAMIC);
        }
        self.types.con(Con::Declared(var, declaration.name.text.clone()), arguments)
    }

    fn fresh_declared(&mut self, var: VarId, declaration: &'a TypeDeclaration) -> (Ty, TypeNames) {
        let arguments: Vec<Ty> = declaration.parameters.iter().map(|_| self.types.fresh()).collect();
        let names = declaration.parameters.iter().cloned().zip(arguments.iter().copied()).collect();
        let ty = self.types.con(Con::Declared(var, declaration.name.text.clone()), arguments);
        (ty, names)
    }

    fn payload_type(&mut self, declaration: &'a TypeDeclaration, variant: Option<usize>, names: &mut TypeNames) -> Ty {
        let ty: Option<&'a Type> = match (&declaration.shape, variant) {
            (Shape::Payload(ty), _) => Some(ty),
            (Shape::Union(variants), Some(at)) => variants[at].payload.as_ref(),
            (Shape::Union(_), None) => None,
        };
        match ty {
            Some(ty) => self.annotation(ty, names),
            None => Types::UNIT,
        }
    }

    /// Builds a label of a declared type.
    fn build(&mut self, var: VarId, variant: Option<usize>, name: &'a Name, payload: Option<&'a Expr>) -> Ty {
        let Some(declaration) = self.declarations.get(&var).copied() else { return Types::DYNAMIC };
        let (ty, mut names) = self.fresh_declared(var, declaration);
        let wanted = self.payload_type(declaration, variant, &mut names);
        match payload {
            Some(payload) => {
                let found = self.expr(payload);
                let because = [(declaration.name.span, format!("`{}` is declared here", name.text))];
                self.need(wanted, found, payload.span, &because);
                ty
            }
            None if self.types.node(wanted) == Node::Tuple(Vec::new()) => ty,
            None => self.pure(wanted, ty),
        }
    }

    /// The declared type that a label in a pattern belongs to, and the type of its payload.
    pub(super) fn variant_of(&mut self, label: &Arc<str>) -> Option<(Ty, Ty)> {
        let found = self.declarations.iter().find_map(|(var, declaration)| match &declaration.shape {
            Shape::Payload(_) if declaration.name.text == *label => Some((*var, *declaration, None)),
            Shape::Union(variants) => {
                let at = variants.iter().position(|variant| variant.name.text == *label)?;
                Some((*var, *declaration, Some(at)))
            }
            Shape::Payload(_) => None,
        });
        let (var, declaration, variant) = found?;
        let (ty, mut names) = self.fresh_declared(var, declaration);
        let payload = self.payload_type(declaration, variant, &mut names);
        Some((ty, payload))
    }

    /// A field behind the label of a declared type.
    pub(super) fn declared_field(&mut self, var: VarId, arguments: &[Ty], field: &Arc<str>) -> Ty {
        let Some(declaration) = self.declarations.get(&var).copied() else { return Types::DYNAMIC };
        let Shape::Payload(Type::Record(fields)) = &declaration.shape else { return Types::DYNAMIC };
        let mut names = declaration.parameters.iter().cloned().zip(arguments.iter().copied()).collect();
        match fields.iter().find(|(name, _)| name == field) {
            Some((_, ty)) => self.annotation(ty, &mut names),
            None => Types::DYNAMIC,
        }
    }

    // ---- effects

    /// The payload and answer of an effect.
    fn effect_type(&mut self, label: &Arc<str>) -> (Ty, Ty) {
        if let Some(declaration) = self.effect_types.get(label).copied()
            && let Some(ty) = &declaration.ty
        {
            let mut names = HashMap::new();
            let ty = self.annotation(ty, &mut names);
            if let Node::Function(from, to, _) = self.types.node(ty) {
                // Names in it stand for anything, differently each time.
                for var in names.into_values() {
                    if self.types.is_free(var) {
                        self.agree(var, Types::DYNAMIC);
                    }
                }
                return (from, to);
            }
        }
        (Types::DYNAMIC, Types::DYNAMIC)
    }

    fn perform_effect(&mut self, name: &'a Name, payload: Option<&'a Expr>, span: Span) -> Ty {
        let (wanted, answer) = self.effect_type(&name.text);
        let answer = if &*name.text == "Raise" { self.types.fresh() } else { answer };
        match payload {
            Some(payload) => {
                let found = self.expr(payload);
                self.need(wanted, found, payload.span, &[]);
                if &*name.text != "Raise" {
                    self.perform_label(&name.text, span);
                }
                answer
            }
            None => {
                let rest = self.types.fresh();
                let row = self.types.add(Node::Extend(name.text.clone(), Types::UNIT, rest));
                self.types.function(wanted, answer, row)
            }
        }
    }

    pub(super) fn handle(&mut self, handler: &'a Handler) -> Ty {
        let effects = self.types.fresh();
        let body = self.inside(effects, |inference| inference.expr(&handler.body));
        let mut result = match &handler.done {
            None => body,
            Some(done) => {
                let mut bound = Vec::new();
                let wanted = self.pattern(&done.pattern, &mut bound);
                self.agree(wanted, body);
                self.bind_one(bound);
                self.expr(&done.body)
            }
        };
        let everything =
            handler.branches.iter().any(|branch| branch.operation.is_irrefutable() && branch.guards.is_empty());
        // What is not handled here goes on outwards.
        let mut rest = effects;
        for branch in &handler.branches {
            if let PatternKind::Label { name, payload } = &branch.operation.kind
                && branch.guards.is_empty()
                && payload.as_ref().is_none_or(|payload| self.takes_all(payload))
                && let Ok((_, left)) = self.types.take_out(name, rest)
            {
                rest = left;
            }
        }
        if !everything {
            self.perform(rest, handler.body.span);
        }
        for branch in &handler.branches {
            let found = self.handler_branch(branch, result);
            result = self.join(result, found);
        }
        result
    }

    /// Whether a pattern takes every payload: variables, and tuples of them.
    fn takes_all(&self, pattern: &crate::tree::Pattern) -> bool {
        match &pattern.kind {
            PatternKind::Tuple(items) => items.iter().all(|item| self.takes_all(item)),
            PatternKind::Is { pattern, .. } => self.takes_all(pattern),
            _ => pattern.is_irrefutable(),
        }
    }

    fn handler_branch(&mut self, branch: &'a HandlerBranch, result: Ty) -> Ty {
        let mut bound = Vec::new();
        let mut answer = Types::DYNAMIC;
        match &branch.operation.kind {
            PatternKind::Label { name, payload } => {
                let (given, gives) = self.effect_type(name);
                answer = gives;
                if let Some(payload) = payload {
                    let wanted = self.pattern(payload, &mut bound);
                    self.agree(wanted, given);
                }
            }
            _ => {
                let wanted = self.pattern(&branch.operation, &mut bound);
                self.agree(wanted, Types::DYNAMIC);
            }
        }
        let continuation = self.pattern(&branch.continuation, &mut bound);
        let effects = self.types.fresh();
        let resume = self.types.function(answer, result, effects);
        self.agree(continuation, resume);
        self.bind_one(bound);
        for guard in &branch.guards {
            self.expr(guard);
        }
        self.expr(&branch.body)
    }
}
