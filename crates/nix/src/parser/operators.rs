//! Operators: what binds tighter, and what an operator means.

use super::{Frame, Level, Parsed, Parser, PathFor, Rank, Step, begins_simple};
use crate::Problem;
use crate::token::{Kind, Token};
use crate::tree::{Expr, ExprId, Operator};

/// How operators of one precedence group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Group {
    Left,
    Right,
    /// They do not.
    None,
}

/// An operator whose right side is not there yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    kind: Kind,
    at: u32,
    tightness: u8,
    /// Nothing for a prefix operator.
    left: Option<ExprId>,
}

const NEGATE: u8 = 14;
const HAS: u8 = 13;
const NOT: u8 = 9;

impl Pending {
    pub(super) fn prefix(token: Token) -> Self {
        let tightness = if token.kind == Kind::Minus { NEGATE } else { NOT };
        Self { kind: token.kind, at: token.start, tightness, left: None }
    }
}

/// How tightly an operator binds.
fn binary(kind: Kind) -> Option<(u8, Group)> {
    Some(match kind {
        Kind::Question => (HAS, Group::None),
        Kind::Concat => (12, Group::Right),
        Kind::Times | Kind::Divide => (11, Group::Left),
        Kind::Plus | Kind::Minus => (10, Group::Left),
        Kind::Update => (8, Group::Right),
        Kind::Less | Kind::Greater | Kind::LessEqual | Kind::GreaterEqual => (7, Group::None),
        Kind::Equal | Kind::NotEqual => (6, Group::None),
        Kind::And => (5, Group::Left),
        Kind::OrElse => (4, Group::Left),
        Kind::Implies => (3, Group::Right),
        Kind::PipeFrom => (2, Group::Right),
        Kind::PipeInto => (1, Group::Left),
        _ => return None,
    })
}

impl Parser<'_> {
    /// Goes on with an expression as far as it can; nothing if the frame on top is to have it.
    pub(super) fn extend(&mut self, expr: ExprId, rank: Rank) -> Parsed<Option<Step>> {
        if matches!(self.frames.last(), Some(Frame::PathText(..))) {
            return Ok(None);
        }
        if rank == Rank::Primary {
            if self.kind() == Kind::Dot {
                self.next();
                let at = self.tree.place(expr);
                return self.path(PathFor::Select(expr), Vec::new(), at).map(Some);
            }
            // After something simple `or` is a name like others.
            if self.kind() == Kind::Or {
                let token = self.next();
                let or = self.variable("or", token.start);
                let call = self.tree.add(Expr::Call(expr, vec![or]), self.tree.place(expr));
                return Ok(Some(Step::Have(call, Rank::Selected)));
            }
        }
        let simple = matches!(self.frames.last(), Some(Frame::List(..) | Frame::Call(..) | Frame::Default(..)));
        if simple || rank == Rank::Whole {
            return Ok(None);
        }
        if rank != Rank::Applied && begins_simple(self.kind()) {
            let (function, args) = self.call_parts(expr);
            self.frames.push(Frame::Call(self.tree.place(expr), function, args));
            return Ok(Some(Step::Want(Level::Simple)));
        }
        let Some((tightness, group)) = binary(self.kind()) else { return Ok(None) };
        if let Some(Frame::Operator(pending)) = self.frames.last() {
            let same = pending.tightness == tightness;
            if same && group == Group::None {
                return Err(self.unexpected(""));
            }
            if pending.tightness > tightness || (same && group == Group::Left) {
                return Ok(None);
            }
        }
        let token = self.next();
        if matches!(token.kind, Kind::PipeInto | Kind::PipeFrom) {
            self.check_pipe(token)?;
        }
        if token.kind == Kind::Question {
            return self.path(PathFor::Has(expr), Vec::new(), token.start).map(Some);
        }
        let pending = Pending { kind: token.kind, at: token.start, tightness, left: Some(expr) };
        self.frames.push(Frame::Operator(pending));
        Ok(Some(Step::Want(Level::Operand)))
    }

    fn check_pipe(&self, token: Token) -> Parsed<()> {
        if !self.context.pipe_operators {
            let message = "experimental Nix feature 'pipe-operators' is disabled; add '--extra-experimental-features pipe-operators' to enable it";
            return Err(Problem::new(token.start as usize, message));
        }
        let other = if token.kind == Kind::PipeInto { Kind::PipeFrom } else { Kind::PipeInto };
        match self.frames.last() {
            Some(Frame::Operator(pending)) if pending.kind == other => {
                let message = format!("syntax error, unexpected {}", token.kind.text());
                Err(Problem::new(token.start as usize, message))
            }
            _ => Ok(()),
        }
    }

    /// An operator has both sides.
    pub(super) fn operate(&mut self, pending: Pending, right: ExprId) -> Parsed<Step> {
        let at = pending.at;
        let Some(left) = pending.left else {
            let expr = if pending.kind == Kind::Minus {
                let zero = self.tree.add(Expr::Int(0), at);
                self.named("__sub", [zero, right], at)
            } else {
                Expr::Not(right)
            };
            return Ok(Step::Have(self.tree.add(expr, at), Rank::Applied));
        };
        let expr = match pending.kind {
            Kind::Plus => Expr::Join(false, vec![left, right]),
            Kind::Minus => self.named("__sub", [left, right], at),
            Kind::Times => self.named("__mul", [left, right], at),
            Kind::Divide => self.named("__div", [left, right], at),
            Kind::Less => self.named("__lessThan", [left, right], at),
            Kind::Greater => self.named("__lessThan", [right, left], at),
            Kind::LessEqual | Kind::GreaterEqual => {
                let sides = if pending.kind == Kind::LessEqual { [right, left] } else { [left, right] };
                let less = self.named("__lessThan", sides, at);
                Expr::Not(self.tree.add(less, at))
            }
            Kind::PipeInto | Kind::PipeFrom => {
                let (function, arg) = if pending.kind == Kind::PipeInto { (right, left) } else { (left, right) };
                let (function, mut args) = self.call_parts(function);
                args.push(arg);
                Expr::Call(function, args)
            }
            Kind::Equal => Expr::Binary(Operator::Equal, left, right),
            Kind::NotEqual => Expr::Binary(Operator::NotEqual, left, right),
            Kind::And => Expr::Binary(Operator::And, left, right),
            Kind::OrElse => Expr::Binary(Operator::Or, left, right),
            Kind::Implies => Expr::Binary(Operator::Implies, left, right),
            Kind::Update => Expr::Binary(Operator::Update, left, right),
            _ => Expr::Binary(Operator::Concat, left, right),
        };
        Ok(Step::Have(self.tree.add(expr, at), Rank::Applied))
    }

    /// The function and arguments of a call, to which more are added; of anything else, itself and none. The arguments are taken out of the call, which
    /// nothing refers to any more: copies of them would cost the square of a chain's length.
    fn call_parts(&mut self, expr: ExprId) -> (ExprId, Vec<ExprId>) {
        match self.tree.expr_mut(expr) {
            Expr::Call(function, args) => (*function, std::mem::take(args)),
            _ => (expr, Vec::new()),
        }
    }

    fn named(&mut self, name: &str, sides: [ExprId; 2], at: u32) -> Expr {
        Expr::Call(self.variable(name, at), sides.to_vec())
    }
}
