//! What labels mean: those that `type` and `effect` declare, where they stand in expressions and types.

use super::{LabelMeaning, Resolver};
use crate::tree::{Expr, ExprKind, Name, Shape, Type, TypeDeclaration};
use qualm_ir::diagnostic::Diagnostic;
use std::sync::Arc;

impl Resolver<'_> {
    /// Labels that statements of a scope declare are known throughout it.
    pub(super) fn declare_labels(&mut self, statements: &[Expr]) {
        for statement in statements {
            match &statement.kind {
                ExprKind::Splice(inner) => self.declare_labels(inner),
                ExprKind::Effect(declaration) => self.declare_label(&declaration.name, LabelMeaning::Effect),
                ExprKind::Type(declaration) => {
                    let name = &declaration.name;
                    let var = self.names.new_var(&name.text, self.function, name.id);
                    let info = &mut self.names.vars[var.0 as usize];
                    info.assigned = 1;
                    info.lambda = Some(declaration.id);
                    self.names.tests.insert(declaration.id, var);
                    self.declare_label(name, LabelMeaning::Declared(var, None));
                    if let Shape::Union(variants) = &declaration.shape {
                        let texts = variants.iter().map(|variant| variant.name.text.clone()).collect();
                        self.names.unions.insert(var, texts);
                        for (at, variant) in variants.iter().enumerate() {
                            self.declare_label(&variant.name, LabelMeaning::Declared(var, Some(at)));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn declare_label(&mut self, name: &Name, meaning: LabelMeaning) {
        let scope = self.scopes.last_mut().expect("a scope is open");
        scope.labels.insert(name.text.clone(), meaning);
    }

    fn find_label(&self, name: &Name) -> Option<LabelMeaning> {
        let local = self.scopes_of(name).find_map(|scope| scope.labels.get(&name.text).copied());
        local.or_else(|| self.names.shared_labels.get(&name.text).copied())
    }

    fn mean(&mut self, name: &Name, meaning: LabelMeaning) {
        self.names.labels.insert(name.id, meaning);
        if let LabelMeaning::Declared(var, _) = meaning {
            self.names.note_use(var, self.function);
        }
    }

    /// A label in an expression: of a declared type or effect, else a constant, else just a label.
    pub(super) fn label(&mut self, name: &Name, qualifier: Option<&Name>) {
        if let Some(qualifier) = qualifier {
            let Some(LabelMeaning::Declared(var, None)) = self.find_label(qualifier) else { return };
            let Some(variants) = self.names.unions.get(&var) else { return };
            match variants.iter().position(|variant| *variant == name.text) {
                Some(at) => self.mean(name, LabelMeaning::Declared(var, Some(at))),
                None => {
                    let message = format!("type `{}` has no variant `{}`", qualifier.text, name.text);
                    let known = variants.iter().map(|variant| format!("`{variant}`")).collect::<Vec<_>>().join(", ");
                    self.errors.push(Diagnostic::syntax("P0054", name.span, message).note(format!("it has {known}")));
                }
            }
            return;
        }
        match self.find_label(name) {
            Some(meaning) => self.mean(name, meaning),
            None => {
                if matches!(&*name.text, "Raise" | "System") {
                    self.names.labels.insert(name.id, LabelMeaning::Effect);
                }
                self.use_name(name, true);
            }
        }
    }

    pub(super) fn type_declaration(&mut self, declaration: &TypeDeclaration) {
        let parameters = &declaration.parameters;
        self.inside(declaration.id, true, |resolver| match &declaration.shape {
            Shape::Payload(ty) => resolver.type_(ty, parameters),
            Shape::Union(variants) => {
                variants
                    .iter()
                    .filter_map(|variant| variant.payload.as_ref())
                    .for_each(|ty| resolver.type_(ty, parameters));
            }
        });
    }

    /// The declared types that a type names, and its guards.
    pub(super) fn type_(&mut self, ty: &Type, parameters: &[Arc<str>]) {
        match ty {
            Type::Any(_) | Type::Literal(_) | Type::List(None) => {}
            Type::Named { name, arguments } => {
                self.type_name(name, parameters);
                arguments.iter().for_each(|argument| self.type_(argument, parameters));
            }
            Type::Labelled { name, payload } => {
                self.type_name(name, parameters);
                self.type_(payload, parameters);
            }
            Type::Tuple(items) => items.iter().for_each(|item| self.type_(item, parameters)),
            Type::List(Some(item)) => self.type_(item, parameters),
            Type::Record(fields) => fields.iter().for_each(|(_, field)| self.type_(field, parameters)),
            Type::Function { from, to, .. } => {
                self.type_(from, parameters);
                self.type_(to, parameters);
            }
            Type::Where { binder, ty, guard } => {
                self.type_(ty, parameters);
                self.open(true, false);
                if let Some(binder) = binder {
                    self.declare(binder);
                }
                self.expr(guard);
                self.close();
            }
        }
    }

    fn type_name(&mut self, name: &Name, parameters: &[Arc<str>]) {
        if parameters.contains(&name.text) {
            return;
        }
        if let Some(meaning @ LabelMeaning::Declared(_, None)) = self.find_label(name) {
            self.mean(name, meaning);
        }
    }
}
