//! The syntax tree. Names carry numbers that [`names`](crate::names) gives a meaning to.

use qualm_ir::source::Span;
use std::sync::Arc;

/// A use or binding of a name, numbered through the whole program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NameId(pub u32);

/// A scope, numbered through the whole program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FunctionId(pub u32);

/// A name where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Name {
    /// Its text.
    pub text: Arc<str>,
    /// Its number.
    pub id: NameId,
    /// Where it stands.
    pub span: Span,
}

/// An expression or statement.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// A constant in the text.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "named by kind")]
pub enum Literal {
    Unit,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
}

/// A binary operator that evaluates both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named by operator")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// An item of a list.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    /// One item.
    One(Expr),
    /// All items of an iterable; in a pattern the rest, which may have no name.
    Spread(Option<Expr>, Span),
}

/// A field of a record.
#[derive(Clone, PartialEq, Debug)]
pub enum Field {
    /// `name: value`
    Named(Arc<str>, Expr),
    /// All fields of a record; in a pattern the rest, which may have no name.
    Spread(Option<Expr>, Span),
}

/// A function of one or more parameters.
#[derive(Clone, PartialEq, Debug)]
pub struct Lambda {
    /// Its parameters, at least one.
    pub params: Vec<Pattern>,
    /// What must be true once all are bound.
    pub guard: Option<Expr>,
    /// Its value.
    pub body: Expr,
    /// Its number.
    pub id: FunctionId,
}

/// A branch of a `match`.
#[derive(Clone, PartialEq, Debug)]
pub struct Branch {
    /// What it takes.
    pub pattern: Pattern,
    /// What it gives.
    pub body: Expr,
}

/// What `use` brings into scope.
#[derive(Clone, PartialEq, Debug)]
pub struct Use {
    /// The value whose fields are bound, or that is bound itself: a name or [`ExprKind::File`].
    pub value: Box<Expr>,
    /// Fields to bind; nothing if the value itself is bound to one name.
    pub fields: Option<Vec<(Arc<str>, Pattern)>>,
    /// What is bound otherwise.
    pub whole: Option<Pattern>,
}

/// What an expression is.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "each is a form of the reference, section 4")]
pub enum ExprKind {
    Literal(Literal),
    Interpolation(Vec<Expr>),
    Name(Name),
    Label {
        name: Name,
        qualifier: Option<Arc<str>>,
        payload: Option<Box<Expr>>,
    },
    LabelMember {
        label: Name,
        member: Arc<str>,
    },
    Group(Box<Expr>),
    Tuple(Vec<Expr>),
    List(Vec<Item>),
    Record(Vec<Field>),
    Block(Vec<Expr>),
    Module(Vec<Expr>),
    Assign {
        pattern: Box<Pattern>,
        value: Box<Expr>,
    },
    Lambda(Box<Lambda>),
    Call {
        function: Box<Expr>,
        argument: Box<Expr>,
    },
    Field {
        value: Box<Expr>,
        field: Name,
        or_call: bool,
    },
    Index {
        value: Box<Expr>,
        key: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Negate(Box<Expr>),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Range {
        from: Box<Expr>,
        to: Box<Expr>,
        through: bool,
    },
    Is {
        value: Box<Expr>,
        ty: Type,
        negated: bool,
    },
    If {
        condition: Box<Expr>,
        yes: Box<Expr>,
        no: Option<Box<Expr>>,
    },
    Match {
        value: Box<Expr>,
        branches: Vec<Branch>,
    },
    While {
        condition: Box<Expr>,
        body: Box<Expr>,
    },
    For {
        pattern: Box<Pattern>,
        items: Box<Expr>,
        body: Box<Expr>,
    },
    Try {
        body: Box<Expr>,
        id: FunctionId,
    },
    Error(Box<Expr>),
    Magic {
        name: Arc<str>,
        operand: Box<Expr>,
    },
    NativeFunction(Arc<str>),
    Use(Use),
    /// The module of a file, by its number.
    File(usize),
    /// `e : T`, or a pattern `p: T`.
    Annotated {
        value: Box<Expr>,
        ty: Type,
    },
    /// `p | e`, only a pattern.
    Guarded {
        value: Box<Expr>,
        guard: Box<Expr>,
    },
}

/// A pattern.
#[derive(Clone, PartialEq, Debug)]
pub struct Pattern {
    /// What it is.
    pub kind: PatternKind,
    /// Where it stands.
    pub span: Span,
}

/// What a pattern is (reference, section 10).
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "each is a form of the reference, section 10")]
pub enum PatternKind {
    Variable(Name),
    Discard,
    Literal(Literal),
    Label { name: Arc<str>, payload: Option<Box<Pattern>> },
    Tuple(Vec<Pattern>),
    List { before: Vec<Pattern>, rest: Option<Option<Box<Pattern>>>, after: Vec<Pattern> },
    Record { fields: Vec<(Arc<str>, Pattern)>, rest: Option<Box<Pattern>> },
    Or(Vec<Pattern>),
    Is { pattern: Box<Pattern>, ty: Type },
    Where { pattern: Box<Pattern>, guard: Box<Expr> },
}

impl Pattern {
    /// Calls `visit` with every name the pattern binds, alternatives only once.
    pub fn for_each_binder<'a>(&'a self, visit: &mut dyn FnMut(&'a Name)) {
        match &self.kind {
            PatternKind::Variable(name) => visit(name),
            PatternKind::Discard | PatternKind::Literal(_) => {}
            PatternKind::Label { payload, .. } => {
                if let Some(payload) = payload {
                    payload.for_each_binder(visit);
                }
            }
            PatternKind::Tuple(items) => items.iter().for_each(|item| item.for_each_binder(visit)),
            PatternKind::List { before, rest, after } => {
                before.iter().for_each(|item| item.for_each_binder(visit));
                if let Some(Some(rest)) = rest {
                    rest.for_each_binder(visit);
                }
                after.iter().for_each(|item| item.for_each_binder(visit));
            }
            PatternKind::Record { fields, rest } => {
                fields.iter().for_each(|(_, field)| field.for_each_binder(visit));
                if let Some(rest) = rest {
                    rest.for_each_binder(visit);
                }
            }
            PatternKind::Or(alternatives) => {
                if let Some(first) = alternatives.first() {
                    first.for_each_binder(visit);
                }
            }
            PatternKind::Is { pattern, .. } | PatternKind::Where { pattern, .. } => pattern.for_each_binder(visit),
        }
    }

    /// Whether it matches everything.
    pub fn is_irrefutable(&self) -> bool {
        matches!(self.kind, PatternKind::Variable(_) | PatternKind::Discard)
    }
}

/// A type in a test (reference, section 11).
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "each is a form of the reference, section 4")]
pub enum Type {
    Any,
    Named { name: Arc<str>, arguments: Vec<Type> },
    Labelled { name: Arc<str>, payload: Box<Type> },
    Literal(Literal),
    Tuple(Vec<Type>),
    List(Option<Box<Type>>),
    Record(Vec<(Arc<str>, Type)>),
    Function,
}
