//! The syntax tree. Names carry numbers that [`names`](crate::names) gives a meaning to.

use qualm_ir::source::Span;
use std::sync::Arc;

/// A use or binding of a name, numbered through the whole program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NameId(pub u32);

/// A scope, numbered through the whole program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FunctionId(pub u32);

/// A macro, numbered through the whole program from 1; 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MacroId(pub u32);

/// A name where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Name {
    /// Its text.
    pub text: Arc<str>,
    /// The expansion whose body binds it, 0 for none: names of different expansions are different names.
    pub mark: u32,
    /// The macro whose body it comes from, if that does not bind it: it means what it means where that macro is declared.
    pub origin: MacroId,
    /// Its number.
    pub id: NameId,
    /// Where it stands.
    pub span: Span,
    /// Where it stands in the body of the macro it comes from.
    pub body: Option<Span>,
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

/// A `handle` expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Handler {
    /// What is handled.
    pub body: Expr,
    /// The function that is.
    pub body_id: FunctionId,
    /// The operation branches, in order.
    pub branches: Vec<HandlerBranch>,
    /// The function they are.
    pub clause_id: FunctionId,
    /// The `return` branch.
    pub done: Option<Branch>,
    /// The function that is.
    pub done_id: FunctionId,
}

/// A branch of a handler: `(operation, continuation) | guard -> body`.
#[derive(Clone, PartialEq, Debug)]
pub struct HandlerBranch {
    /// What it takes.
    pub operation: Pattern,
    /// Its name for the rest of the handled expression.
    pub continuation: Pattern,
    /// What must be true too.
    pub guards: Vec<Expr>,
    /// What it gives.
    pub body: Expr,
}

/// A `type` declaration.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeDeclaration {
    /// Its name.
    pub name: Name,
    /// Names that stand for types in it.
    pub parameters: Vec<Arc<str>>,
    /// What it says.
    pub shape: Shape,
    /// The function that its tests are, for what their guards use.
    pub id: FunctionId,
}

/// What a `type` declaration says.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// The payload of the label of that name has this type.
    Payload(Type),
    /// One of these labels.
    Union(Vec<Variant>),
}

/// A variant of a union.
#[derive(Clone, PartialEq, Debug)]
pub struct Variant {
    /// Its label.
    pub name: Name,
    /// The type of its payload; unit if there is none.
    pub payload: Option<Type>,
}

/// An `effect` declaration.
#[derive(Clone, PartialEq, Debug)]
pub struct EffectDeclaration {
    /// Its label.
    pub name: Name,
    /// The types of its payload and of what performing it gives.
    pub ty: Option<Type>,
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
        qualifier: Option<Name>,
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
    Handle(Box<Handler>),
    Fiber {
        body: Box<Expr>,
        id: FunctionId,
    },
    Yield(Box<Expr>),
    Switch(Box<Expr>),
    Type(Box<TypeDeclaration>),
    Effect(Box<EffectDeclaration>),
    /// The declaration of a macro.
    Syntax(MacroId),
    /// Statements without a scope of their own: what a macro became.
    Splice(Vec<Expr>),
    /// A variable of a macro, in its body.
    MacroVariable(Arc<str>),
    /// `e...` in the body of a macro.
    Repeat(Box<Expr>),
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
    /// A variable of a macro, in its body.
    MacroVariable(Arc<str>),
    Label {
        name: Arc<str>,
        payload: Option<Box<Pattern>>,
    },
    Tuple(Vec<Pattern>),
    List {
        before: Vec<Pattern>,
        rest: Option<Option<Box<Pattern>>>,
        after: Vec<Pattern>,
    },
    Record {
        fields: Vec<(Arc<str>, Pattern)>,
        rest: Option<Box<Pattern>>,
    },
    Or(Vec<Pattern>),
    Is {
        pattern: Box<Pattern>,
        ty: Type,
    },
    Where {
        pattern: Box<Pattern>,
        guard: Box<Expr>,
    },
}

impl Pattern {
    /// Calls `visit` with every name the pattern binds, alternatives only once.
    pub fn for_each_binder<'a>(&'a self, visit: &mut dyn FnMut(&'a Name)) {
        match &self.kind {
            PatternKind::Variable(name) => visit(name),
            PatternKind::Discard | PatternKind::Literal(_) | PatternKind::MacroVariable(_) => {}
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
    /// `_`, or a variable.
    Any(Option<Arc<str>>),
    Named {
        name: Name,
        arguments: Vec<Type>,
    },
    Labelled {
        name: Name,
        payload: Box<Type>,
    },
    Literal(Literal),
    Tuple(Vec<Type>),
    List(Option<Box<Type>>),
    /// The fields, and whether others may be there is not tested: they always may.
    Record(Vec<(Arc<str>, Type)>),
    Function {
        from: Box<Type>,
        to: Box<Type>,
        effects: Vec<Arc<str>>,
    },
    /// `binder: ty | guard`
    Where {
        binder: Option<Name>,
        ty: Box<Type>,
        guard: Box<Expr>,
    },
}
