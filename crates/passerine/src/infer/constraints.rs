//! What must hold of types that are not known yet: operands of operators, what is iterated, tight dots. Solved when they become known,
//! else they travel with the type that is generalised.

use super::Inference;
use super::ty::{Con, Node, Ty, Types};
use crate::tree::BinaryOp;
use qualm_ir::source::Span;

/// What a constraint says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    /// `a op b = result`
    Arithmetic(BinaryOp),
    /// `a` and `b` can be ordered.
    Order,
    /// `a` is a number.
    Number,
    /// `a` can be gone through and has items `b`.
    Iterate,
    /// `a.name`, a field or a function of that name: `b` is the function's type, `result` what it gives.
    Dot,
}

/// Something that must hold of types.
#[derive(Clone, Debug)]
pub(super) struct Constraint {
    pub(super) kind: Kind,
    pub(super) a: Ty,
    pub(super) b: Ty,
    pub(super) result: Ty,
    pub(super) span: Span,
    /// Where `a` and `b` come from.
    pub(super) spans: [Span; 2],
}

impl BinaryOp {
    /// How it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
            Self::Pow => "**",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// What messages call it.
    fn verb(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "subtract",
            Self::Mul => "multiply",
            Self::Div => "divide",
            Self::Rem => "take the remainder of",
            Self::Pow => "take a power of",
            _ => "order",
        }
    }
}

/// What is known of an operand.
#[derive(Clone, Copy, PartialEq)]
enum Operand {
    Unknown,
    Dynamic,
    Integer,
    Float,
    String,
    List(Ty),
    Other,
}

/// The outcome of an attempt.
enum Step {
    Solved,
    Later,
    Wrong(String),
}

impl Inference<'_> {
    fn operand(&mut self, ty: Ty) -> Operand {
        match self.types.node(ty) {
            Node::Free(_) => Operand::Unknown,
            Node::Dynamic => Operand::Dynamic,
            Node::Con(Con::Integer, _) => Operand::Integer,
            Node::Con(Con::Float, _) => Operand::Float,
            Node::Con(Con::String, _) => Operand::String,
            Node::Con(Con::List, items) => Operand::List(items[0]),
            _ => Operand::Other,
        }
    }

    /// Solves what can be solved of the constraints since `mark`.
    pub(super) fn solve(&mut self, mark: usize) {
        loop {
            let open = self.pending.split_off(mark);
            let count = open.len();
            for constraint in open {
                match self.attempt(&constraint) {
                    Step::Solved => {}
                    Step::Later => self.pending.push(constraint),
                    Step::Wrong(message) => {
                        self.report("T0010", constraint.span, message, &constraint.spans);
                        self.agree(constraint.result, Types::DYNAMIC);
                    }
                }
            }
            if self.pending.len() - mark == count || self.pending.len() == mark {
                return;
            }
        }
    }

    fn attempt(&mut self, constraint: &Constraint) -> Step {
        match constraint.kind {
            Kind::Arithmetic(op) => self.arithmetic(op, constraint),
            Kind::Order => self.order(constraint),
            Kind::Number => match self.operand(constraint.a) {
                Operand::Unknown => Step::Later,
                Operand::Dynamic | Operand::Integer | Operand::Float => Step::Solved,
                _ => Step::Wrong(format!("expected a number, found {}", self.types.show(constraint.a))),
            },
            Kind::Iterate => self.iterate(constraint),
            Kind::Dot => self.dot(constraint),
        }
    }

    fn arithmetic(&mut self, op: BinaryOp, constraint: &Constraint) -> Step {
        use Operand::{Dynamic, Float, Integer, List, Other, Unknown};
        let (a, b) = (self.operand(constraint.a), self.operand(constraint.b));
        let result = match (a, b) {
            (Integer, Integer) => Types::INTEGER,
            (Integer | Float, Integer | Float) => Types::FLOAT,
            (Operand::String, Operand::String) if op == BinaryOp::Add => Types::STRING,
            (List(x), List(y)) if op == BinaryOp::Add => {
                if self.types.unify(x, y).is_err() {
                    let list = self.types.list(Types::DYNAMIC);
                    self.agree(constraint.result, list);
                    return Step::Solved;
                }
                constraint.a
            }
            // What a list or text is added to must be one too.
            (List(_), Unknown) if op == BinaryOp::Add => {
                self.agree(constraint.b, constraint.a);
                constraint.a
            }
            (Unknown, List(_)) if op == BinaryOp::Add => {
                self.agree(constraint.a, constraint.b);
                constraint.b
            }
            (Operand::String, Unknown) if op == BinaryOp::Add => {
                self.agree(constraint.b, Types::STRING);
                Types::STRING
            }
            (Unknown, Operand::String) if op == BinaryOp::Add => {
                self.agree(constraint.a, Types::STRING);
                Types::STRING
            }
            (Dynamic, Other | Unknown) | (Other | Unknown, Dynamic)
                if op == BinaryOp::Add || a == Dynamic && b == Unknown || b == Dynamic && a == Unknown =>
            {
                Types::DYNAMIC
            }
            (Dynamic, Float) | (Float, Dynamic) => Types::FLOAT,
            (Dynamic, Dynamic | Integer) | (Integer, Dynamic) => Types::DYNAMIC,
            (Dynamic, Operand::String | List(_)) | (Operand::String | List(_), Dynamic) if op == BinaryOp::Add => {
                Types::DYNAMIC
            }
            (Unknown, Unknown | Integer | Float) | (Integer | Float, Unknown) => return Step::Later,
            _ => {
                let (a, b) = (self.kind(constraint.a), self.kind(constraint.b));
                return Step::Wrong(format!("cannot {} {a} and {b}", op.verb()));
            }
        };
        self.agree(constraint.result, result);
        Step::Solved
    }

    /// What messages call a type.
    fn kind(&mut self, ty: Ty) -> String {
        match self.types.node(ty) {
            Node::Tuple(items) if items.is_empty() => "Unit".to_owned(),
            _ => self.types.show(ty),
        }
    }

    fn order(&mut self, constraint: &Constraint) -> Step {
        use Operand::{Float, Integer, Unknown};
        let (a, b) = (self.operand(constraint.a), self.operand(constraint.b));
        match (a, b) {
            (Unknown, _) | (_, Unknown) => Step::Later,
            (Operand::Dynamic, _) | (_, Operand::Dynamic) => Step::Solved,
            (Integer | Float, Integer | Float) | (Operand::String, Operand::String) => Step::Solved,
            _ => {
                let fits = match (self.types.node(constraint.a), self.types.node(constraint.b)) {
                    (Node::Tuple(x), Node::Tuple(y)) => !x.is_empty() && !y.is_empty(),
                    (Node::Con(Con::List, _), Node::Con(Con::List, _)) => true,
                    (Node::Con(Con::Boolean, _), Node::Con(Con::Boolean, _)) => true,
                    _ => false,
                };
                if fits {
                    return Step::Solved;
                }
                let (a, b) = (self.kind(constraint.a), self.kind(constraint.b));
                Step::Wrong(format!("cannot order {a} and {b}"))
            }
        }
    }

    fn iterate(&mut self, constraint: &Constraint) -> Step {
        let item = match self.types.node(constraint.a) {
            Node::Free(_) => return Step::Later,
            Node::Con(Con::List, arguments) => arguments[0],
            Node::Con(Con::Range, _) => Types::INTEGER,
            Node::Con(Con::String, _) => Types::STRING,
            Node::Con(Con::Map, arguments) => self.types.add(Node::Tuple(arguments)),
            Node::Dynamic | Node::Tuple(_) | Node::Con(Con::Fiber, _) => Types::DYNAMIC,
            _ => {
                let kind = self.kind(constraint.a);
                self.agree(constraint.b, Types::DYNAMIC);
                return Step::Wrong(format!("cannot iterate over a {kind}"));
            }
        };
        if self.types.unify(constraint.b, item).is_err() {
            let (wanted, found) = (self.types.show(constraint.b), self.types.show(item));
            return Step::Wrong(format!("expected items of type {wanted}, found {found}"));
        }
        Step::Solved
    }

    /// The receiver of a tight dot is known: a record has the field or not, anything else is an argument.
    fn dot(&mut self, constraint: &Constraint) -> Step {
        match self.types.node(constraint.a) {
            Node::Free(_) => Step::Later,
            Node::Dynamic | Node::Record(_) | Node::Variant(_) | Node::Con(Con::Declared(..), _) => {
                self.agree(constraint.result, Types::DYNAMIC);
                Step::Solved
            }
            _ => {
                let effects = self.types.fresh();
                let wanted = self.types.function(constraint.a, constraint.result, effects);
                if self.types.unify(constraint.b, wanted).is_err() {
                    let (function, found) = (self.types.show(constraint.b), self.types.show(constraint.a));
                    return Step::Wrong(format!("`{function}` cannot be applied to {found}"));
                }
                Step::Solved
            }
        }
    }
}
