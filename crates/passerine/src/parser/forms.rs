//! `if`, `match`, loops, functions.

use super::{Parser, Result};
use crate::lexer::TokenKind;
use crate::tree::{Branch, Expr, ExprKind, Lambda};
use qualm_ir::source::Span;

impl Parser<'_> {
    pub(super) fn word_form(&mut self) -> Result<Expr> {
        self.deeper(|parser| {
            let Some(TokenKind::Ident(word)) = parser.kind() else { return parser.expected("a form") };
            let (start, form) = (parser.span(), word.clone());
            let parsed = match &**word {
                "if" => parser.if_form(),
                "match" => parser.match_form(),
                "while" => parser.while_form(),
                "loop" => parser.loop_form(),
                "for" => parser.for_form(),
                _ => parser.handle_form(),
            };
            // What is missing may be far from where it was missed.
            parsed.map_err(|error| match error.code == "P0030" && error.labels.len() == 1 {
                true => error.also(start, format!("this `{form}`")),
                false => error,
            })
        })
    }

    /// An expression before a block: `{` starts the block, not an argument.
    pub(super) fn head_expr(&mut self, stop: Option<&'static str>) -> Result<Expr> {
        let (head, stop) = (std::mem::replace(&mut self.head, true), std::mem::replace(&mut self.stop, stop));
        let parsed = self.form();
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
        let condition = Box::new(self.head_expr(None)?);
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
        let value = Box::new(self.head_expr(None)?);
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
            let parsed = self.lambda()?;
            let ExprKind::Lambda(lambda) = parsed.kind else {
                let found = qualm_ir::diagnostic::Diagnostic::syntax(
                    "P0038",
                    parsed.span,
                    "a branch is `pattern -> expression`",
                );
                return Err(found);
            };
            branches.push(self.one_parameter(*lambda, parsed.span));
            self.end_of_branch()?;
        }
    }

    pub(super) fn end_of_branch(&self) -> Result<()> {
        if self.is_op(",") || self.is_separator() || self.is_close() {
            return Ok(());
        }
        self.error("P0031", format!("unexpected {}", self.describe()))
    }

    fn while_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let condition = Box::new(self.head_expr(None)?);
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
        let items = Box::new(self.head_expr(None)?);
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
        let id = self.shared.function();
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
