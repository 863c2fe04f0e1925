//! `if`, `match`, loops, functions, `use`.

use super::{Parser, Result};
use crate::lexer::TokenKind;
use crate::tree::{Branch, Expr, ExprKind, Lambda, Pattern, PatternKind, Use};
use qualm_ir::source::Span;
use std::sync::Arc;

impl Parser<'_> {
    pub(super) fn form(&mut self) -> Result<Expr> {
        self.deeper(|parser| {
            let Some(TokenKind::Ident(word)) = parser.kind() else { return parser.expected("a form") };
            match &**word {
                "if" => parser.if_form(),
                "match" => parser.match_form(),
                "while" => parser.while_form(),
                "loop" => parser.loop_form(),
                "for" => parser.for_form(),
                _ => parser.error("P0091", format!("`{word}` is not part of this version of the language")),
            }
        })
    }

    /// An expression before a block: `{` starts the block, not an argument.
    fn head_expr(&mut self) -> Result<Expr> {
        let (head, stop) = (std::mem::replace(&mut self.head, true), self.stop.take());
        let parsed = self.compose();
        (self.head, self.stop) = (head, stop);
        parsed
    }

    fn needed_block(&mut self, after: &str) -> Result<Expr> {
        if !self.is_open('{') {
            return self.expected(&format!("a block (`{{`) after {after}"));
        }
        self.block()
    }

    fn if_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let condition = Box::new(self.head_expr()?);
        let yes = Box::new(self.needed_block("the condition of `if`")?);
        // `else` may follow on the next line.
        let mut ahead = 0;
        while matches!(self.kind_at(ahead), Some(TokenKind::Separator)) {
            ahead += 1;
        }
        let no = if matches!(self.kind_at(ahead), Some(TokenKind::Ident(word)) if &**word == "else") {
            self.at += ahead + 1;
            let chained = self.is_ident("if");
            Some(Box::new(if chained { self.deeper(Self::if_form)? } else { self.needed_block("`else`")? }))
        } else {
            None
        };
        Ok(Expr { kind: ExprKind::If { condition, yes, no }, span: self.since(start) })
    }

    fn match_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let value = Box::new(self.head_expr()?);
        if !self.is_open('{') {
            return self.expected("`{` with the branches of `match`");
        }
        self.at += 1;
        let branches = self.fresh(Self::branches)?;
        Ok(Expr { kind: ExprKind::Match { value, branches }, span: self.since(start) })
    }

    fn branches(&mut self) -> Result<Vec<Branch>> {
        let mut branches = Vec::new();
        loop {
            while self.is_separator() || self.is_op(",") {
                self.at += 1;
            }
            if self.is_close() {
                self.at += 1;
                return Ok(branches);
            }
            let span = self.span();
            let parsed = self.lambda()?;
            let ExprKind::Lambda(lambda) = parsed.kind else {
                let found = qualm_ir::diagnostic::Diagnostic::syntax(
                    "P0038",
                    parsed.span,
                    "a branch is `pattern -> expression`",
                );
                return Err(found);
            };
            let mut params = lambda.params.into_iter();
            let Some(first) = params.next() else { return self.expected("a pattern") };
            let rest: Vec<Pattern> = params.collect();
            let (guard, body) = if rest.is_empty() {
                (lambda.guard, lambda.body)
            } else {
                // `p q -> e` as a branch gives a function of `q`.
                let inner = Lambda { params: rest, guard: lambda.guard, body: lambda.body, id: lambda.id };
                (None, Expr { kind: ExprKind::Lambda(Box::new(inner)), span: parsed.span })
            };
            let pattern = match guard {
                Some(guard) => {
                    let kind = PatternKind::Where { pattern: Box::new(first), guard: Box::new(guard) };
                    Pattern { kind, span }
                }
                None => first,
            };
            branches.push(Branch { pattern, body });
            if !self.is_op(",") && !self.is_separator() && !self.is_close() {
                return self.error("P0031", format!("unexpected {}", self.describe()));
            }
        }
    }

    fn while_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let condition = Box::new(self.head_expr()?);
        let body = Box::new(self.needed_block("the condition of `while`")?);
        Ok(Expr { kind: ExprKind::While { condition, body }, span: self.since(start) })
    }

    fn loop_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let kind = ExprKind::Literal(crate::tree::Literal::Boolean(true));
        let condition = Box::new(Expr { kind, span: start });
        let body = Box::new(self.needed_block("`loop`")?);
        Ok(Expr { kind: ExprKind::While { condition, body }, span: self.since(start) })
    }

    fn for_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let (head, stop) = (std::mem::replace(&mut self.head, true), self.stop.replace("in"));
        let parsed = self.tuple();
        (self.head, self.stop) = (head, stop);
        let pattern = Box::new(self.pattern(parsed?)?);
        if !self.is_ident("in") {
            return self.expected("`in`");
        }
        self.at += 1;
        let items = Box::new(self.head_expr()?);
        let body = self.scoped(|parser| {
            let mut names = Vec::new();
            pattern.for_each_binder(&mut |name| names.push(name.text.clone()));
            names.iter().for_each(|name| parser.declare(name));
            parser.needed_block("`for`")
        })?;
        Ok(Expr { kind: ExprKind::For { pattern, items, body: Box::new(body) }, span: self.since(start) })
    }

    // ---- functions

    /// The function whose parameters were read as an expression.
    pub(super) fn lambda_from(&mut self, left: Expr, start: Span) -> Result<Expr> {
        let id = self.counters.function();
        let (left, guard) = match left.kind {
            ExprKind::Guarded { value, guard } => (*value, Some(*guard)),
            _ => (left, None),
        };
        let mut params = Vec::new();
        for param in parameters(left) {
            params.push(self.pattern(param)?);
        }
        let body = self.scoped(|parser| {
            let mut names = Vec::new();
            for param in &params {
                param.for_each_binder(&mut |name| names.push(name.text.clone()));
            }
            names.iter().for_each(|name| parser.declare(name));
            parser.lambda()
        })?;
        let span = self.since(start);
        // `p -> q -> e` is `p q -> e`.
        if guard.is_none()
            && let ExprKind::Lambda(inner) = body.kind
        {
            params.extend(inner.params);
            let lambda = Lambda { params, guard: inner.guard, body: inner.body, id };
            return Ok(Expr { kind: ExprKind::Lambda(Box::new(lambda)), span });
        }
        let lambda = Lambda { params, guard, body, id };
        Ok(Expr { kind: ExprKind::Lambda(Box::new(lambda)), span })
    }

    // ---- use

    pub(super) fn use_statement(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        if self.is_ident("native") && matches!(self.kind_at(1), Some(TokenKind::Ident(_))) {
            self.at += 1;
            return self.use_native(start);
        }
        if self.is_ident("syntax") && matches!(self.kind_at(1), Some(TokenKind::Ident(_))) {
            return self.error("P0090", "`use syntax` is not part of this version of the language");
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
        let local = self.is_declared(&path[0]) && !matches!(selection, Some(None));
        let mut value;
        let mut file = None;
        if local {
            let name = self.name(&path[0], span);
            value = Expr { kind: ExprKind::Name(name), span };
            value = self.fields_of(value, &path[1..], span);
        } else {
            let (number, used) = self.loader.load(&path, span, self.counters)?;
            file = Some(number);
            value = Expr { kind: ExprKind::File(number), span };
            value = self.fields_of(value, &path[used..], span);
        }
        let names = match selection {
            None => None,
            Some(Some(names)) => Some(names),
            Some(None) => match file {
                Some(number) => Some(self.loader.exports(number)),
                None => return self.error("P0039", "`use m::{..}` needs a module file"),
            },
        };
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

/// The parameters of a function: the parts of a call, in parentheses or not, or the expression itself.
fn parameters(left: Expr) -> Vec<Expr> {
    let mut left = match left.kind {
        ExprKind::Group(inner) if matches!(inner.kind, ExprKind::Call { .. }) => *inner,
        _ => left,
    };
    let mut params = Vec::new();
    while let ExprKind::Call { function, argument } = left.kind {
        params.push(*argument);
        left = *function;
    }
    params.push(left);
    params.reverse();
    params
}
