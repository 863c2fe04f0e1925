//! Expressions of a source, by number: nothing in here points at anything, so nothing recurses.
//!
//! What the reference's parser desugars is desugared here too: `a - b` is a call of `__sub`, `a < b` of `__lessThan`, `<x>` of `__findFile`, found in
//! scope like any name. Nested definitions of sets are merged.

use std::collections::HashMap;

/// The number of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExprId(pub u32);

/// The number of a set of definitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetId(pub u32);

/// The number of a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Symbol(pub u32);

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub enum Expr {
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string without interpolations.
    Text(Box<[u8]>),
    /// An absolute path.
    Path(Box<[u8]>),
    /// Pieces put together by `+`: of a string (true: all are made strings), or the two sides of the operator.
    Join(bool, Vec<ExprId>),
    /// A variable.
    Name(Symbol),
    /// `__curPos`
    Position,
    /// `of.path or default`
    Select(ExprId, Vec<AttrName>, Option<ExprId>),
    /// `of ? path`
    Has(ExprId, Vec<AttrName>),
    /// A set.
    Set(SetId),
    /// A list.
    List(Vec<ExprId>),
    /// A function.
    Lambda(Box<Lambda>),
    /// A function and its arguments.
    Call(ExprId, Vec<ExprId>),
    /// `let`
    Let(SetId, ExprId),
    /// `with`
    With(ExprId, ExprId),
    /// `if`
    If(ExprId, ExprId, ExprId),
    /// `assert`
    Assert(ExprId, ExprId),
    /// `!`
    Not(ExprId),
    /// An operator that no name stands for.
    Binary(Operator, ExprId, ExprId),
}

/// An operator that no name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "`text` spells it")]
pub enum Operator {
    Equal,
    NotEqual,
    And,
    Or,
    Implies,
    Update,
    Concat,
}

impl Operator {
    /// How it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::And => "&&",
            Self::Or => "||",
            Self::Implies => "->",
            Self::Update => "//",
            Self::Concat => "++",
        }
    }
}

/// A step of a path of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttrName {
    /// A name that is written there.
    Static(Symbol),
    /// A name that is computed.
    Dynamic(ExprId),
}

/// A function.
#[derive(Clone, PartialEq, Debug)]
pub struct Lambda {
    /// The name of the whole argument.
    pub argument: Option<Symbol>,
    /// What the argument must have, if it is taken apart.
    pub formals: Option<Formals>,
    /// What it gives.
    pub body: ExprId,
}

/// The names a function takes out of its argument.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Formals {
    /// The names, with where they are written and their defaults.
    pub names: Vec<Formal>,
    /// Whether there may be more.
    pub ellipsis: bool,
}

/// A name that a function takes out of its argument.
#[derive(Clone, PartialEq, Debug)]
pub struct Formal {
    /// The name.
    pub name: Symbol,
    /// Where it is written.
    pub at: u32,
    /// What it is if it is not given.
    pub default: Option<ExprId>,
}

/// The definitions of a set, or of `let`.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Set {
    /// Whether its names are in scope in it.
    pub recursive: bool,
    /// Definitions by name.
    pub attrs: HashMap<Symbol, Attr>,
    /// Definitions whose names are computed, in the order of the source.
    pub dynamic: Vec<(ExprId, ExprId)>,
    /// The subjects of `inherit (e)`.
    pub sources: Vec<ExprId>,
}

/// A definition.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Attr {
    /// Where its name is written.
    pub at: u32,
    /// What it is.
    pub value: AttrValue,
}

/// What a definition says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AttrValue {
    /// `name = e`
    Plain(ExprId),
    /// `inherit name`
    Inherited,
    /// `inherit (e) name`, by the number of `e` among the sources.
    From(u32),
}

/// A source as a tree.
#[derive(Default, Debug)]
pub struct Tree {
    exprs: Vec<Expr>,
    places: Vec<u32>,
    sets: Vec<Set>,
    names: Vec<Box<[u8]>>,
    symbols: HashMap<Box<[u8]>, Symbol>,
}

impl Tree {
    /// An expression.
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.exprs[id.0 as usize]
    }

    pub(crate) fn expr_mut(&mut self, id: ExprId) -> &mut Expr {
        &mut self.exprs[id.0 as usize]
    }

    /// The byte at which an expression begins, or its operator stands.
    pub fn place(&self, id: ExprId) -> u32 {
        self.places[id.0 as usize]
    }

    /// A set.
    pub fn set(&self, id: SetId) -> &Set {
        &self.sets[id.0 as usize]
    }

    pub(crate) fn set_mut(&mut self, id: SetId) -> &mut Set {
        &mut self.sets[id.0 as usize]
    }

    /// What a name is.
    pub fn name(&self, symbol: Symbol) -> &[u8] {
        &self.names[symbol.0 as usize]
    }

    /// How many names there are.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// The number of a name, if it is there.
    pub fn find(&self, name: &[u8]) -> Option<Symbol> {
        self.symbols.get(name).copied()
    }

    pub(crate) fn add(&mut self, expr: Expr, at: u32) -> ExprId {
        self.exprs.push(expr);
        self.places.push(at);
        ExprId(self.exprs.len() as u32 - 1)
    }

    pub(crate) fn add_set(&mut self, recursive: bool) -> SetId {
        self.sets.push(Set { recursive, ..Set::default() });
        SetId(self.sets.len() as u32 - 1)
    }

    pub(crate) fn symbol(&mut self, name: &[u8]) -> Symbol {
        if let Some(symbol) = self.symbols.get(name) {
            return *symbol;
        }
        let symbol = Symbol(self.names.len() as u32);
        self.names.push(name.into());
        self.symbols.insert(name.into(), symbol);
        symbol
    }
}
