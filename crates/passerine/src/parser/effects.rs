//! `handle`, `fiber`, `yield` and `switch` (reference, sections 14 and 15).

use super::{Parser, Result};
use crate::lexer::TokenKind;
use crate::tree::{Branch, Expr, ExprKind, Handler, HandlerBranch, Lambda, Literal, Pattern, PatternKind};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::source::Span;

/// What stands in the braces of a handler.
struct Branches {
    operations: Vec<HandlerBranch>,
    done: Option<Branch>,
}

impl Parser<'_> {
    /// `handle e with { … }` or `handle { … } in e`.
    pub(super) fn handle_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let branches_first = self.is_open('{')
            && matches!(self.tokens.get(self.close_of(self.at) + 1).map(|token| &token.kind), Some(TokenKind::Ident(word)) if &**word == "in");
        let (body, branches) = if branches_first {
            let branches = self.handler_branches()?;
            self.at += 1;
            (self.form()?, branches)
        } else {
            let body = self.head_expr(Some("with"))?;
            if !self.is_ident("with") {
                return self.expected("`with` after the handled expression");
            }
            self.at += 1;
            if !self.is_open('{') {
                return self.expected("`{` with the branches of `handle`");
            }
            (body, self.handler_branches()?)
        };
        let handler = Handler {
            body,
            body_id: self.shared.function(),
            branches: branches.operations,
            clause_id: self.shared.function(),
            done: branches.done,
            done_id: self.shared.function(),
        };
        Ok(Expr { kind: ExprKind::Handle(Box::new(handler)), span: self.since(start) })
    }

    fn handler_branches(&mut self) -> Result<Branches> {
        self.at += 1;
        self.fresh(|parser| {
            let mut branches = Branches { operations: Vec::new(), done: None };
            loop {
                while parser.is_separator() || parser.is_op(",") {
                    parser.at += 1;
                }
                if parser.is_close() {
                    parser.at += 1;
                    return Ok(branches);
                }
                let start = parser.span();
                if parser.is_ident("return") && parser.starts_operand(1) {
                    parser.at += 1;
                    let parsed = parser.lambda()?;
                    let ExprKind::Lambda(lambda) = parsed.kind else {
                        return Err(Diagnostic::syntax("P0038", parsed.span, "write `return pattern -> expression`"));
                    };
                    if branches.done.is_some() {
                        return Err(Diagnostic::syntax("P0044", start, "a handler has one `return` branch"));
                    }
                    branches.done = Some(parser.one_parameter(*lambda, parsed.span));
                } else {
                    let parsed = parser.lambda()?;
                    let branch = match parsed.kind {
                        ExprKind::Lambda(lambda) => handler_branch(parser.one_parameter(*lambda, parsed.span)),
                        _ => None,
                    };
                    let Some(branch) = branch else {
                        let message = "a handler branch is a function of (operation, continuation)";
                        return Err(Diagnostic::syntax("P0045", parsed.span, message)
                            .note("write `(Label pattern, resume) -> expression`"));
                    };
                    branches.operations.push(branch);
                }
                parser.end_of_branch()?;
            }
        })
    }

    /// A function as a branch: `p q -> e` gives a function of `q`.
    pub(super) fn one_parameter(&mut self, lambda: Lambda, span: Span) -> Branch {
        let mut params = lambda.params.into_iter();
        let first = params.next().expect("a function has a parameter");
        let rest: Vec<Pattern> = params.collect();
        if !rest.is_empty() {
            let inner = Lambda { params: rest, guard: lambda.guard, body: lambda.body, id: lambda.id };
            return Branch { pattern: first, body: Expr { kind: ExprKind::Lambda(Box::new(inner)), span } };
        }
        let pattern = match lambda.guard {
            Some(guard) => {
                let span = first.span.to(guard.span);
                Pattern { kind: PatternKind::Where { pattern: Box::new(first), guard: Box::new(guard) }, span }
            }
            None => first,
        };
        Branch { pattern, body: lambda.body }
    }

    /// `fiber { … }`
    pub(super) fn fiber_form(&mut self) -> Result<Expr> {
        let start = self.span();
        self.at += 1;
        let body = Box::new(self.block()?);
        Ok(Expr { kind: ExprKind::Fiber { body, id: self.shared.function() }, span: self.since(start) })
    }

    /// `yield` without an operand hands out unit.
    pub(super) fn bare_yield(&mut self) -> Expr {
        let span = self.span();
        self.at += 1;
        let unit = Expr { kind: ExprKind::Literal(Literal::Unit), span };
        Expr { kind: ExprKind::Yield(Box::new(unit)), span }
    }
}

/// The parts of a branch whose pattern is a pair, with guards around it or not.
fn handler_branch(branch: Branch) -> Option<HandlerBranch> {
    let mut pattern = branch.pattern;
    let mut guards = Vec::new();
    loop {
        match pattern.kind {
            PatternKind::Where { pattern: inner, guard } => {
                guards.push(*guard);
                pattern = *inner;
            }
            PatternKind::Tuple(items) => {
                let [operation, continuation] = <[Pattern; 2]>::try_from(items).ok()?;
                guards.reverse();
                return Some(HandlerBranch { operation, continuation, guards, body: branch.body });
            }
            _ => return None,
        }
    }
}
