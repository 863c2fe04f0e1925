//! `type` and `effect` (reference, sections 11 and 15).

use super::scope::Declared;
use super::{Parser, Result};
use crate::lexer::TokenKind;
use crate::tree::{EffectDeclaration, Expr, ExprKind, Literal, Shape, Type, TypeDeclaration, Variant};
use std::sync::Arc;

impl Parser<'_> {
    fn declared_name(&mut self, what: &str) -> Result<crate::tree::Name> {
        let span = self.span();
        let Some(TokenKind::Label(text)) = self.kind() else { return self.expected(what) };
        self.at += 1;
        Ok(self.name(text, span))
    }

    pub(super) fn type_statement(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let name = self.declared_name("the name of a type (a label)")?;
        let id = self.shared.function();
        // Known from here on, its own shape included.
        self.declare_label(&name.text, Declared::Type { parameters: 0 });
        let mut parameters = Vec::new();
        let shape = if self.take_op("=") {
            parameters = self.type_parameters();
            self.declare_label(&name.text, Declared::Type { parameters: parameters.len() });
            if self.has_bar() { self.union()? } else { Shape::Payload(self.type_(false)?) }
        } else if self.kind().is_none() || self.is_separator() || self.is_close() {
            Shape::Payload(Type::Literal(Literal::Unit))
        } else {
            Shape::Payload(self.bound_type()?)
        };
        let declaration = TypeDeclaration { name, parameters, shape, id };
        Ok(Expr { kind: ExprKind::Type(Box::new(declaration)), span: self.since(start) })
    }

    /// `A B =>`, if that is what follows.
    fn type_parameters(&mut self) -> Vec<Arc<str>> {
        let mut ahead = 0;
        let mut parameters = Vec::new();
        while let Some(TokenKind::Label(name)) = self.kind_at(ahead) {
            parameters.push(name.clone());
            ahead += 1;
        }
        if matches!(self.kind_at(ahead), Some(TokenKind::Op("=>"))) {
            self.at += ahead + 1;
            return parameters;
        }
        Vec::new()
    }

    /// Whether a `|` stands before the end of the statement, outside brackets.
    fn has_bar(&self) -> bool {
        let mut depth = 0;
        for token in &self.tokens[self.at..] {
            match &token.kind {
                TokenKind::Open(_) => depth += 1,
                TokenKind::Close(_) if depth == 0 => return false,
                TokenKind::Close(_) => depth -= 1,
                TokenKind::Separator if depth == 0 => return false,
                TokenKind::Op("|") if depth == 0 => return true,
                _ => {}
            }
        }
        false
    }

    fn union(&mut self) -> Result<Shape> {
        self.take_op("|");
        let mut variants = vec![self.variant()?];
        while self.take_op("|") {
            variants.push(self.variant()?);
        }
        for variant in &variants {
            self.declare_label(&variant.name.text, Declared::Variant { nullary: variant.payload.is_none() });
        }
        Ok(Shape::Union(variants))
    }

    fn variant(&mut self) -> Result<Variant> {
        let name = self.declared_name("a variant (a label)")?;
        let payload = if self.starts_type() { Some(self.type_atom()?) } else { None };
        Ok(Variant { name, payload })
    }

    pub(super) fn effect_statement(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let name = self.declared_name("the name of an effect (a label)")?;
        self.declare_label(&name.text, Declared::Effect);
        let ty = if self.take_op(":") { Some(self.type_(true)?) } else { None };
        let kind = ExprKind::Effect(Box::new(EffectDeclaration { name, ty }));
        Ok(Expr { kind, span: self.since(start) })
    }
}
