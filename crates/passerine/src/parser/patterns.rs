//! Patterns are read as expressions and then converted (reference, section 10).

use super::{Parser, Result};
use crate::tree::{Expr, ExprKind, Field, Item, Literal, Pattern, PatternKind};
use qualm_ir::diagnostic::Diagnostic;

impl Parser<'_> {
    /// What stands left of `=`: a bare label binds a constant.
    pub(super) fn assigned(&mut self, left: Expr) -> Result<Pattern> {
        let span = left.span;
        match left.kind {
            ExprKind::Group(inner) => self.assigned(*inner),
            ExprKind::Label { name, qualifier: None, payload: None }
                if self.declared_label(&name.text).is_none() && !self.is_nullary(&name.text) =>
            {
                Ok(Pattern { kind: PatternKind::Variable(name), span })
            }
            kind => self.pattern(Expr { kind, span }),
        }
    }

    pub(super) fn pattern(&mut self, expr: Expr) -> Result<Pattern> {
        let span = expr.span;
        let kind = match expr.kind {
            ExprKind::Name(name) if &*name.text == "_" => PatternKind::Discard,
            ExprKind::Name(name) => PatternKind::Variable(name),
            ExprKind::MacroVariable(name) => PatternKind::MacroVariable(name),
            ExprKind::Literal(Literal::Unit) => PatternKind::Tuple(Vec::new()),
            ExprKind::Literal(literal) => PatternKind::Literal(literal),
            ExprKind::Group(inner) => return self.pattern(*inner),
            ExprKind::Label { name, payload, .. } => {
                let payload = payload.map(|payload| self.pattern(*payload)).transpose()?.map(Box::new);
                PatternKind::Label { name: name.text, payload }
            }
            ExprKind::Tuple(items) => PatternKind::Tuple(self.all(items)?),
            ExprKind::List(items) => self.list_pattern(items)?,
            ExprKind::Record(fields) => self.record_pattern(fields)?,
            ExprKind::Block(statements) => return self.block_pattern(statements, span),
            ExprKind::Annotated { value, ty } => PatternKind::Is { pattern: Box::new(self.pattern(*value)?), ty },
            ExprKind::Guarded { value, guard } => {
                PatternKind::Where { pattern: Box::new(self.pattern(*value)?), guard }
            }
            _ => return Err(Diagnostic::syntax("P0040", span, "this cannot be a pattern")),
        };
        Ok(Pattern { kind, span })
    }

    fn all(&mut self, items: Vec<Expr>) -> Result<Vec<Pattern>> {
        items.into_iter().map(|item| self.pattern(item)).collect()
    }

    fn list_pattern(&mut self, items: Vec<Item>) -> Result<PatternKind> {
        let (mut before, mut rest, mut after) = (Vec::new(), None, Vec::new());
        for item in items {
            match item {
                Item::One(item) => {
                    let item = self.pattern(item)?;
                    if rest.is_none() { before.push(item) } else { after.push(item) }
                }
                Item::Spread(_, span) if rest.is_some() => {
                    return Err(Diagnostic::syntax("P0041", span, "a list pattern has at most one rest (`..`)"));
                }
                Item::Spread(name, _) => rest = Some(name.map(|name| self.pattern(name)).transpose()?.map(Box::new)),
            }
        }
        Ok(PatternKind::List { before, rest, after })
    }

    fn record_pattern(&mut self, items: Vec<Field>) -> Result<PatternKind> {
        let (mut fields, mut rest) = (Vec::new(), None);
        for item in items {
            match item {
                Field::Named(name, value) => fields.push((name, self.pattern(value)?)),
                Field::Spread(_, span) if rest.is_some() => {
                    return Err(Diagnostic::syntax("P0041", span, "a record pattern has at most one rest (`..`)"));
                }
                Field::Spread(Some(value), _) => rest = Some(Box::new(self.pattern(value)?)),
                Field::Spread(None, _) => {}
            }
        }
        Ok(PatternKind::Record { fields, rest })
    }

    /// `{ x }` is a record pattern, `{ p; q }` gives alternatives.
    fn block_pattern(&mut self, statements: Vec<Expr>, span: qualm_ir::source::Span) -> Result<Pattern> {
        if let [Expr { kind: ExprKind::Name(name), .. }] = &statements[..]
            && &*name.text != "_"
        {
            let (text, name_span) = (name.text.clone(), name.span);
            let field = Pattern { kind: PatternKind::Variable(name.clone()), span: name_span };
            return Ok(Pattern { kind: PatternKind::Record { fields: vec![(text, field)], rest: None }, span });
        }
        if statements.len() < 2 {
            return Err(Diagnostic::syntax("P0040", span, "this cannot be a pattern"));
        }
        let alternatives = self.all(statements)?;
        let names = |pattern: &Pattern| {
            let mut names = Vec::new();
            pattern.for_each_binder(&mut |name| names.push(name.text.clone()));
            names.sort();
            names.dedup();
            names
        };
        let first = names(&alternatives[0]);
        if alternatives.iter().any(|alternative| names(alternative) != first) {
            return Err(Diagnostic::syntax("P0042", span, "alternatives bind different names"));
        }
        Ok(Pattern { kind: PatternKind::Or(alternatives), span })
    }
}
