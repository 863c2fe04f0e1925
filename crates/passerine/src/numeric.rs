//! Which variables and results are certainly Integers or Floats, so that code can keep them in registers of those types.
//!
//! This is about values, not annotations: a kind found here holds in every run, whatever static checks say of the program, because it only follows from
//! what operations give (a sum with a Float is a Float or an error). The kinds of a function's variables are joined over all their assignments. A function
//! is analysed once for each combination of number kinds it is called with, up to a few; recursion starts from "never" and goes up to a fixed point.
//!
//! The only thing that could break a kind is a handler that resumes an arithmetic error with another kind of value; a program with a handler that might
//! ([`resumes_errors`]) is compiled without any of this.

use crate::lower::{for_each_child, guards};
use crate::names::{Names, Storage, VarId};
use crate::tree::{BinaryOp, Expr, ExprKind, FunctionId, Lambda, Literal, Pattern, PatternKind, Type};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// What is known of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// There is no such value (yet).
    Never,
    Integer,
    Float,
    /// An Integer or a Float.
    Number,
    Any,
}

impl Kind {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, kind) | (kind, Self::Never) => kind,
            (a, b) if a == b => a,
            (Self::Any, _) | (_, Self::Any) => Self::Any,
            _ => Self::Number,
        }
    }

    /// Any, unless it has registers of its own.
    fn of_argument(self) -> Self {
        if matches!(self, Self::Integer | Self::Float) { self } else { Self::Any }
    }

    /// The kind of an operation's result.
    fn arithmetic(op: BinaryOp, a: Self, b: Self) -> Self {
        match (a, b) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            // The other side is a number too, or there is an error.
            (Self::Float, _) | (_, Self::Float) => Self::Float,
            (Self::Integer, Self::Integer) => Self::Integer,
            (Self::Any, Self::Any) if op == BinaryOp::Add => Self::Any,
            _ => Self::Number,
        }
    }
}

/// A function and the kinds of its arguments.
pub(crate) type Key = (FunctionId, Vec<Kind>);

/// What is known of a function.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Facts {
    pub(crate) key: Key,
    vars: HashMap<VarId, Kind>,
    /// The values of `if`, `match`, blocks and calls, by their address in the tree.
    values: HashMap<usize, Kind>,
    /// What it gives.
    result: Kind,
    /// Whether every call in tail position is of itself with arguments of the same kinds. Only then can its result have a register type without a tail call
    /// losing that it is one.
    closed: bool,
}

impl Facts {
    fn new(key: Key) -> Self {
        Self { key, vars: HashMap::new(), values: HashMap::new(), result: Kind::Never, closed: true }
    }

    /// Nothing is known: whatever is asked for, the answer is any kind.
    fn nothing(key: Key) -> Self {
        Self { result: Kind::Any, closed: false, ..Self::new(key) }
    }

    fn is_nothing(&self) -> bool {
        !self.closed && self.vars.is_empty() && self.values.is_empty()
    }

    pub(crate) fn variable(&self, var: VarId) -> Kind {
        self.vars.get(&var).copied().unwrap_or(Kind::Any)
    }

    /// The kind of an expression of the function: one that joins several ways, or a call.
    pub(crate) fn value(&self, expr: &Expr) -> Kind {
        self.values.get(&address(expr)).copied().unwrap_or(Kind::Any)
    }

    /// The kind of its result as far as that can have a register type.
    pub(crate) fn result(&self) -> Kind {
        if self.closed { self.result } else { Kind::Any }
    }
}

fn address(expr: &Expr) -> usize {
    std::ptr::from_ref(expr).addr()
}

/// Kinds of arguments for which one function is analysed, at most.
const COMBINATIONS_MAX: usize = 4;

/// Walks through a function until it must have settled. Only variables that are assigned each other against the order of the text need more than a few, and a
/// long chain of those would need a walk for each.
const WALKS_MAX: usize = 12;

/// The analysis of a program, made as it is asked for.
pub(crate) struct Numeric<'a> {
    names: &'a Names,
    lambdas: HashMap<FunctionId, &'a Lambda>,
    facts: HashMap<Key, Rc<Facts>>,
    /// What is being worked on, by number of discovery.
    open: Vec<(Facts, BTreeSet<usize>)>,
    numbers: HashMap<Key, usize>,
    combinations: HashMap<FunctionId, HashSet<Vec<Kind>>>,
    /// Which parameters of a function numbers are computed with.
    computed: HashMap<FunctionId, Rc<[bool]>>,
}

impl<'a> Numeric<'a> {
    pub(crate) fn new(names: &'a Names) -> Self {
        Self {
            names,
            lambdas: HashMap::new(),
            facts: HashMap::new(),
            open: Vec::new(),
            numbers: HashMap::new(),
            combinations: HashMap::new(),
            computed: HashMap::new(),
        }
    }

    pub(crate) fn add(&mut self, lambda: &'a Lambda) {
        self.lambdas.insert(lambda.id, lambda);
    }

    /// The known function a call of a name reaches, if all its parameters are taken at once and none can refuse its argument.
    pub(crate) fn callee(&self, head: &Expr) -> Option<&'a Lambda> {
        let name = match &head.kind {
            ExprKind::Name(name) => name,
            ExprKind::LabelMember { label, .. } => label,
            _ => return None,
        };
        let Storage::Known(function) = self.names.var(self.names.meaning(name.id)?).storage() else { return None };
        let lambda = *self.lambdas.get(&function)?;
        (lambda.guard.is_none() && lambda.params.iter().all(Pattern::is_irrefutable)).then_some(lambda)
    }

    /// The key under which a function is called with arguments of these kinds.
    pub(crate) fn key(&mut self, lambda: &'a Lambda, arguments: &[Kind]) -> Key {
        let computed = self.computed(lambda);
        let kinds: Vec<Kind> = arguments
            .iter()
            .zip(computed.iter())
            .map(|(kind, computed)| if *computed { kind.of_argument() } else { Kind::Any })
            .collect();
        let general = vec![Kind::Any; kinds.len()];
        if kinds == general {
            return (lambda.id, general);
        }
        let known = self.combinations.entry(lambda.id).or_default();
        if known.len() >= COMBINATIONS_MAX && !known.contains(&kinds) {
            return (lambda.id, general);
        }
        known.insert(kinds.clone());
        (lambda.id, kinds)
    }

    /// Which parameters stand in arithmetic, comparisons, ranges, or as arguments of the function itself.
    pub(crate) fn computed(&mut self, lambda: &'a Lambda) -> Rc<[bool]> {
        if let Some(known) = self.computed.get(&lambda.id) {
            return known.clone();
        }
        let vars: Vec<Option<VarId>> = lambda
            .params
            .iter()
            .map(|param| match &param.kind {
                PatternKind::Variable(name) => self.names.meaning(name.id),
                _ => None,
            })
            .collect();
        let mut found = vec![false; vars.len()];
        let mut note = |expr: &Expr| {
            if let ExprKind::Name(name) = &ungrouped(expr).kind
                && let Some(var) = self.names.meaning(name.id)
                && let Some(at) = vars.iter().position(|param| *param == Some(var))
            {
                found[at] |= self.names.var(var).storage() == Storage::Register;
            }
        };
        let mut open: Vec<&Expr> = vec![&lambda.body];
        while let Some(expr) = open.pop() {
            match &expr.kind {
                ExprKind::Binary { left, right, .. } | ExprKind::Range { from: left, to: right, .. } => {
                    note(left);
                    note(right);
                }
                ExprKind::Negate(inner) => note(inner),
                _ => {}
            }
            if !is_function(expr) {
                for_each_child(expr, &mut |child| open.push(child));
            }
        }
        let found: Rc<[bool]> = found.into();
        self.computed.insert(lambda.id, found.clone());
        found
    }

    /// What is known of a function.
    pub(crate) fn of(&mut self, key: &Key) -> Rc<Facts> {
        if let Some(known) = self.facts.get(key) {
            return known.clone();
        }
        let lambda = self.lambdas[&key.0];
        let whole = lambda.params.iter().rev().skip(1).all(Pattern::is_irrefutable);
        if !whole {
            // Taken in several parts, each a function of its own.
            let facts = Rc::new(Facts::nothing(key.clone()));
            self.facts.insert(key.clone(), facts.clone());
            return facts;
        }
        self.solve(|numeric| {
            numeric.number(key.clone());
        });
        self.facts[key].clone()
    }

    /// What is known of code that is no function with parameters.
    pub(crate) fn of_statements(&mut self, function: FunctionId, statements: &'a [Expr]) -> Rc<Facts> {
        let key = (function, Vec::new());
        let mut facts = Facts::new(key);
        for _ in 0..WALKS_MAX {
            let before = facts.clone();
            self.solve(|numeric| {
                let mut pass = Pass { numeric, facts: &mut facts, number: None };
                statements.iter().for_each(|statement| {
                    pass.kind(statement);
                });
            });
            if before == facts {
                return Rc::new(facts);
            }
        }
        Rc::new(Facts::nothing(facts.key))
    }

    /// The number of a key that is being worked on.
    fn number(&mut self, key: Key) -> usize {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        self.numbers.insert(key.clone(), self.open.len());
        self.open.push((Facts::new(key), BTreeSet::new()));
        self.open.len() - 1
    }

    /// Works on all that `start` asks for until nothing changes; those found last first, because what is called is found after its caller.
    fn solve(&mut self, start: impl FnOnce(&mut Self)) {
        start(self);
        let mut waiting: BTreeSet<usize> = (0..self.open.len()).collect();
        while let Some(number) = waiting.pop_last() {
            let count = self.open.len();
            let mut facts = self.open[number].0.clone();
            let lambda = self.lambdas[&facts.key.0];
            let mut settled = facts.is_nothing();
            for _ in 0..WALKS_MAX {
                if settled {
                    break;
                }
                let before = facts.clone();
                self.pass(lambda, &mut facts, number);
                settled = before == facts;
            }
            if !settled {
                facts = Facts::nothing(facts.key);
            }
            let changed = facts.result != self.open[number].0.result;
            self.open[number].0 = facts;
            if changed {
                waiting.extend(self.open[number].1.iter().copied());
            }
            waiting.extend(count..self.open.len());
            if self.open.len() > count {
                // What it calls first; then it again.
                waiting.insert(number);
            }
        }
        for number in 0..self.open.len() {
            let facts = self.open[number].0.clone();
            self.open[number].0.closed = matches!(facts.result, Kind::Integer | Kind::Float)
                && self.is_closed(self.lambdas[&facts.key.0], facts);
        }
        for (facts, _) in self.open.drain(..) {
            self.facts.insert(facts.key.clone(), Rc::new(facts));
        }
        self.numbers.clear();
    }

    fn pass(&mut self, lambda: &'a Lambda, facts: &mut Facts, number: usize) {
        let kinds = facts.key.1.clone();
        let mut pass = Pass { numeric: self, facts, number: Some(number) };
        for (param, kind) in lambda.params.iter().zip(kinds) {
            pass.bind(param, kind);
        }
        if let Some(guard) = &lambda.guard {
            pass.kind(guard);
        }
        let result = pass.kind(&lambda.body);
        facts.result = facts.result.join(result);
    }

    /// Whether the calls in tail position are all of the function itself under the same key.
    fn is_closed(&mut self, lambda: &'a Lambda, mut facts: Facts) -> bool {
        let mut open = vec![&lambda.body];
        while let Some(expr) = open.pop() {
            match &expr.kind {
                ExprKind::Group(inner) => open.push(inner),
                ExprKind::Block(statements) | ExprKind::Splice(statements) => open.extend(statements.last()),
                ExprKind::If { yes, no, .. } => {
                    open.push(yes);
                    open.extend(no.as_deref());
                }
                ExprKind::Match { branches, .. } => open.extend(branches.iter().map(|branch| &branch.body)),
                ExprKind::Call { .. } => {
                    let (head, args) = crate::lower::spine(expr);
                    if !self.callee(head).is_some_and(|callee| callee.id == lambda.id)
                        || args.len() != lambda.params.len()
                    {
                        return false;
                    }
                    let mut pass = Pass { numeric: self, facts: &mut facts, number: None };
                    let kinds: Vec<Kind> = args.into_iter().map(|arg| pass.kind(arg)).collect();
                    if self.key(lambda, &kinds) != facts.key {
                        return false;
                    }
                }
                _ => {}
            }
        }
        true
    }
}

/// One walk through a function.
struct Pass<'n, 'a> {
    numeric: &'n mut Numeric<'a>,
    facts: &'n mut Facts,
    /// Its number, for those that wait for what it calls.
    number: Option<usize>,
}

impl<'a> Pass<'_, 'a> {
    fn assign(&mut self, var: VarId, kind: Kind) {
        let is_own = self.numeric.names.var(var).function == self.facts.key.0;
        if is_own && self.numeric.names.var(var).storage() == Storage::Register {
            let known = self.facts.vars.entry(var).or_insert(Kind::Never);
            *known = known.join(kind);
        }
    }

    fn bind(&mut self, pattern: &'a Pattern, kind: Kind) {
        match &pattern.kind {
            PatternKind::Variable(name) => {
                if let Some(var) = self.numeric.names.meaning(name.id) {
                    self.assign(var, kind);
                }
            }
            PatternKind::Is { pattern, ty: Type::Named { name, .. } } => {
                let kind = match &*name.text {
                    "Integer" => Kind::Integer,
                    "Float" => Kind::Float,
                    _ => Kind::Any,
                };
                self.bind(pattern, if self.numeric.names.label(name.id).is_some() { Kind::Any } else { kind });
            }
            PatternKind::Where { pattern, guard } => {
                self.bind(pattern, kind);
                self.kind(guard);
            }
            _ => {
                let mut vars = Vec::new();
                pattern.for_each_binder(&mut |name| vars.extend(self.numeric.names.meaning(name.id)));
                vars.into_iter().for_each(|var| self.assign(var, Kind::Any));
                let mut found = Vec::new();
                guards(pattern, &mut found);
                for (guard, _) in found {
                    self.kind(guard);
                }
            }
        }
    }

    fn last(&mut self, statements: &'a [Expr]) -> Kind {
        let kinds: Vec<Kind> = statements.iter().map(|statement| self.kind(statement)).collect();
        kinds.last().copied().unwrap_or(Kind::Any)
    }

    /// The kind of an expression; assignments in it are noted.
    fn kind(&mut self, expr: &'a Expr) -> Kind {
        match &expr.kind {
            ExprKind::Literal(Literal::Integer(_)) => Kind::Integer,
            ExprKind::Literal(Literal::Float(_)) => Kind::Float,
            ExprKind::Group(inner) => self.kind(inner),
            ExprKind::Block(statements) | ExprKind::Splice(statements) => {
                let kind = self.last(statements);
                self.value(expr, kind)
            }
            ExprKind::Name(name) => self.name(name.id),
            ExprKind::LabelMember { label, .. } => self.name(label.id),
            ExprKind::Binary { op, left, right } => {
                let (a, b) = (self.kind(left), self.kind(right));
                match op {
                    BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Pow => {
                        Kind::arithmetic(*op, a, b)
                    }
                    _ => Kind::Any,
                }
            }
            ExprKind::Negate(inner) => match self.kind(inner) {
                Kind::Any => Kind::Number,
                kind => kind,
            },
            ExprKind::If { condition, yes, no } => {
                self.kind(condition);
                let yes = self.kind(yes);
                let no = no.as_ref().map_or(Kind::Any, |no| self.kind(no));
                self.value(expr, yes.join(no))
            }
            ExprKind::Match { value, branches } => {
                self.kind(value);
                let mut kind = Kind::Never;
                for branch in branches {
                    self.bind(&branch.pattern, Kind::Any);
                    kind = kind.join(self.kind(&branch.body));
                }
                self.value(expr, kind)
            }
            ExprKind::Assign { pattern, value } => {
                match (&pattern.kind, &ungrouped(value).kind) {
                    (PatternKind::Tuple(targets), ExprKind::Tuple(values))
                        if targets.len() == values.len() && targets.iter().all(Pattern::is_irrefutable) =>
                    {
                        let kinds: Vec<Kind> = values.iter().map(|value| self.kind(value)).collect();
                        targets.iter().zip(kinds).for_each(|(target, kind)| self.bind(target, kind));
                    }
                    _ => {
                        let kind = self.kind(value);
                        self.bind(pattern, kind);
                    }
                }
                Kind::Any
            }
            ExprKind::For { pattern, items, body } => {
                self.kind(items);
                let is_range = matches!(ungrouped(items).kind, ExprKind::Range { .. });
                self.bind(pattern, if is_range { Kind::Integer } else { Kind::Any });
                self.kind(body);
                Kind::Any
            }
            ExprKind::Use(used) => {
                self.kind(&used.value);
                for pattern in used.fields.iter().flatten().map(|(_, pattern)| pattern).chain(&used.whole) {
                    self.bind(pattern, Kind::Any);
                }
                Kind::Any
            }
            ExprKind::Magic { name, operand } => {
                self.kind(operand);
                of_magic(name)
            }
            ExprKind::Call { .. } => {
                let kind = self.call(expr);
                self.value(expr, kind)
            }
            _ if is_function(expr) => Kind::Any,
            _ => {
                let mut children = Vec::new();
                for_each_child(expr, &mut |child| children.push(child));
                for child in children {
                    self.kind(child);
                }
                Kind::Any
            }
        }
    }

    fn value(&mut self, expr: &Expr, kind: Kind) -> Kind {
        self.facts.values.insert(address(expr), kind);
        kind
    }

    fn name(&self, id: crate::tree::NameId) -> Kind {
        let Some(var) = self.numeric.names.meaning(id) else { return Kind::Any };
        let info = self.numeric.names.var(var);
        match info.literal() {
            Some(Literal::Integer(_)) => return Kind::Integer,
            Some(Literal::Float(_)) => return Kind::Float,
            _ => {}
        }
        if info.storage() != Storage::Register || info.function != self.facts.key.0 {
            return Kind::Any;
        }
        self.facts.vars.get(&var).copied().unwrap_or(Kind::Never)
    }

    fn call(&mut self, expr: &'a Expr) -> Kind {
        let (head, args) = crate::lower::spine(expr);
        let kinds: Vec<Kind> = args.iter().map(|arg| self.kind(arg)).collect();
        let Some(lambda) = self.numeric.callee(head) else {
            self.kind(head);
            return Kind::Any;
        };
        if lambda.params.len() != args.len() {
            return Kind::Any;
        }
        if kinds.contains(&Kind::Never) {
            return Kind::Never;
        }
        let key = self.numeric.key(lambda, &kinds);
        if let Some(known) = self.numeric.facts.get(&key) {
            return known.result;
        }
        let callee = self.numeric.number(key);
        if let Some(number) = self.number {
            self.numeric.open[callee].1.insert(number);
        }
        if self.number == Some(callee) {
            // Itself: what this walk has found so far.
            return self.facts.result;
        }
        self.numeric.open[callee].0.result
    }
}

/// The kind of what a built-in gives.
fn of_magic(name: &str) -> Kind {
    match name {
        "list.len" | "map.len" | "kind" | "seq.len" | "number.floor" | "number.ceil" | "number.round"
        | "number.truncate" | "number.gcd" | "list.index_of" | "text.code" => Kind::Integer,
        "number.to_float" | "number.sqrt" | "number.sin" | "number.cos" | "number.tan" | "number.atan"
        | "number.exp" | "number.ln" => Kind::Float,
        "number.abs" => Kind::Number,
        _ => Kind::Any,
    }
}

/// An expression without the parentheses around it.
pub(crate) fn ungrouped(expr: &Expr) -> &Expr {
    let mut expr = expr;
    while let ExprKind::Group(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

fn is_function(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Lambda(_) | ExprKind::Try { .. } | ExprKind::Fiber { .. } | ExprKind::Handle(_))
}

/// Whether a handler of the program might resume an error: it takes `Raise`, or anything, and names the continuation.
pub(crate) fn resumes_errors(statements: &[Expr]) -> bool {
    let mut open: Vec<&Expr> = statements.iter().collect();
    while let Some(expr) = open.pop() {
        if let ExprKind::Handle(handler) = &expr.kind {
            let might = |pattern: &Pattern| match &pattern.kind {
                PatternKind::Label { name, .. } => &**name == "Raise",
                _ => true,
            };
            let resumes = handler
                .branches
                .iter()
                .any(|branch| might(&branch.operation) && !matches!(branch.continuation.kind, PatternKind::Discard));
            if resumes {
                return true;
            }
        }
        let mut found = Vec::new();
        crate::lower::for_each_pattern(expr, &mut |pattern| guards(pattern, &mut found));
        open.extend(found.into_iter().map(|(guard, _)| guard));
        for_each_child(expr, &mut |child| open.push(child));
    }
    false
}
