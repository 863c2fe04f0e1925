//! `use`: module files, local modules, built-ins, macros of other files (reference, section 18).

use super::{Parser, Result};
use crate::lexer::TokenKind;
use crate::tree::{Expr, ExprKind, Pattern, PatternKind, Use};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::source::Span;
use std::sync::Arc;

impl Parser<'_> {
    pub(super) fn use_statement(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let mut with_macros = false;
        if self.is_ident("native") && matches!(self.kind_at(1), Some(TokenKind::Ident(_))) {
            self.at += 1;
            return self.use_native(start);
        }
        if self.is_ident("syntax") && matches!(self.kind_at(1), Some(TokenKind::Ident(_))) {
            self.at += 1;
            with_macros = true;
        }
        if let Some(TokenKind::Label(_)) = self.kind() {
            return self.use_variants(start);
        }
        let mut path: Vec<Arc<str>> = Vec::new();
        let mut selection = None;
        let path_start = self.span();
        loop {
            match self.kind() {
                Some(TokenKind::Ident(name)) => {
                    path.push(name.clone());
                    self.at += 1;
                }
                Some(TokenKind::Open('{')) if !path.is_empty() => {
                    self.at += 1;
                    selection = Some(self.selection()?);
                    break;
                }
                _ => return self.expected("a module name"),
            }
            if !self.take_op("::") && !self.take_op(".") {
                break;
            }
        }
        let span = self.since(path_start);
        let all = matches!(selection, Some(None));
        let mut names = selection.flatten();
        let value;
        if self.is_declared(&path[0]) && !all && !with_macros {
            let name = self.name(&path[0], span);
            let variable = Expr { kind: ExprKind::Name(name), span };
            value = self.fields_of(variable, &path[1..], span);
        } else {
            let (number, used) = match self.loader.load(&path, span, self.shared) {
                Err(problem) if problem.code == "P0060" && self.is_declared(&path[0]) => {
                    let message = "`use m::{..}` needs a module file";
                    return Err(Diagnostic::syntax("P0039", span, message).note("name what you need of it"));
                }
                loaded => loaded?,
            };
            if with_macros {
                self.import_macros(number);
            }
            if all {
                names = Some(self.loader.exports(number));
            }
            value = self.fields_of(Expr { kind: ExprKind::File(number), span }, &path[used..], span);
        }
        let bind = |parser: &mut Self, text: &Arc<str>| {
            parser.declare(text);
            let name = parser.name(text, span);
            Pattern { kind: PatternKind::Variable(name), span }
        };
        let (fields, whole) = match names {
            Some(names) => (Some(names.iter().map(|name| (name.clone(), bind(self, name))).collect()), None),
            None => (None, path.last().map(|name| bind(self, name))),
        };
        let kind = ExprKind::Use(Use { value: Box::new(value), fields, whole });
        Ok(Expr { kind, span: self.since(start) })
    }

    fn fields_of(&mut self, mut value: Expr, names: &[Arc<str>], span: Span) -> Expr {
        for name in names {
            let field = self.name(name, span);
            value = Expr { kind: ExprKind::Field { value: Box::new(value), field, or_call: false }, span };
        }
        value
    }

    /// `{ a, b }`, or nothing inside for `{ .. }`.
    fn selection(&mut self) -> Result<Option<Vec<Arc<str>>>> {
        let mut names = Vec::new();
        let mut all = false;
        loop {
            match self.kind() {
                Some(TokenKind::Close('}')) => {
                    self.at += 1;
                    return Ok(if all { None } else { Some(names) });
                }
                Some(TokenKind::Op(",") | TokenKind::Separator) => self.at += 1,
                Some(TokenKind::Op("..")) => {
                    all = true;
                    self.at += 1;
                }
                Some(TokenKind::Ident(name) | TokenKind::Label(name)) => {
                    names.push(name.clone());
                    self.at += 1;
                }
                _ => return self.expected("a name"),
            }
        }
    }

    fn use_native(&mut self, start: Span) -> Result<Expr> {
        let Some(TokenKind::Ident(text)) = self.kind() else { return self.expected("a built-in") };
        if !crate::prelude::is_magic(text, false) {
            return self.error("P0036", format!("no built-in is called `{text}`"));
        }
        let span = self.span();
        self.at += 1;
        self.declare(text);
        let name = self.name(text, span);
        let pattern = Box::new(Pattern { kind: PatternKind::Variable(name), span });
        let value = Box::new(Expr { kind: ExprKind::NativeFunction(text.clone()), span });
        Ok(Expr { kind: ExprKind::Assign { pattern, value }, span: self.since(start) })
    }

    /// `use Union.{..}`: variants are always in scope.
    fn use_variants(&mut self, start: Span) -> Result<Expr> {
        self.at += 1;
        if (self.take_op(".") || self.take_op("::")) && self.is_open('{') {
            self.at += 1;
            self.selection()?;
        }
        Ok(Expr { kind: ExprKind::Literal(crate::tree::Literal::Unit), span: self.since(start) })
    }
}
