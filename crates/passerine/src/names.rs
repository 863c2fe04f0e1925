//! What every name means (reference, section 7), and how each variable is kept.
//!
//! A use is looked up among the bindings made earlier in the text, from the innermost scope outwards. What is not found waits: when a
//! scope closes, uses that came through a function since then may take a binding made later in it (hoisting). What reaches the end means the prelude, or nothing.
//!
//! Names in the body of a macro are looked up from the scope the macro is declared in; those it binds carry the mark of the expansion, and
//! names of different marks are different names.
//!
//! Labels are looked up too: one that a `type` or `effect` declares is built with a check, or performed. A declared type is a function
//! (its test), so what its guards use is passed along like any capture.
//!
//! From that follows how a variable is kept:
//! - a **known function** is never stored: calls name its code, and what it captures is passed along (lambda lifting);
//! - a **cell** is needed where a closure shares a variable that is assigned again, or that gets its value only after the closure was made;
//! - everything else lives in **registers**: an assignment just makes a new one.

mod captures;
mod labels;
mod unbound;

use crate::tree::{
    Branch, Expr, ExprKind, Field, FunctionId, Handler, Item, Lambda, Literal, MacroId, Name, NameId, Pattern,
    PatternKind,
};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::source::Span;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A variable of the program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct VarId(pub(crate) u32);

/// What is known about a variable.
#[derive(Clone, Debug)]
pub(crate) struct Var {
    pub(crate) name: Arc<str>,
    /// The function it belongs to.
    pub(crate) function: FunctionId,
    /// The binding that declares it.
    pub(crate) declared_by: NameId,
    /// Where that stands.
    span: Option<Span>,
    assigned: u32,
    captured: bool,
    /// Used before its binding, through a function.
    hoisted: bool,
    /// Code may run between such a use and the binding.
    hoisted_past_code: bool,
    /// The function it is bound to, if its only binding is one.
    lambda: Option<FunctionId>,
    /// The constant it is bound to, in the prelude.
    literal: Option<Literal>,
}

/// How a variable is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Storage {
    Known(FunctionId),
    Cell,
    Register,
}

impl Var {
    pub(crate) fn storage(&self) -> Storage {
        match self.lambda {
            Some(function) if self.assigned == 1 && !self.hoisted_past_code => Storage::Known(function),
            _ if self.captured && (self.assigned > 1 || self.hoisted) => Storage::Cell,
            _ => Storage::Register,
        }
    }

    pub(crate) fn is_assigned_once(&self) -> bool {
        self.assigned == 1
    }

    pub(crate) fn is_hoisted(&self) -> bool {
        self.hoisted
    }

    pub(crate) fn literal(&self) -> Option<&Literal> {
        self.literal.as_ref()
    }
}

/// A variable's text and the mark of the expansion that binds it.
type Key = (Arc<str>, u32);

fn key(name: &Name) -> Key {
    (name.text.clone(), name.mark)
}

/// What a label means where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LabelMeaning {
    /// It belongs to a declared type: the variable that is its test, and which variant it is.
    Declared(VarId, Option<usize>),
    /// Building it performs it.
    Effect,
}

/// The meaning of all names of a program.
#[derive(Default)]
pub(crate) struct Names {
    meaning: Vec<Option<VarId>>,
    labels: HashMap<NameId, LabelMeaning>,
    /// Labels declared at the top level of module files, which the whole program knows.
    shared_labels: HashMap<Arc<str>, LabelMeaning>,
    /// The variants of each union.
    unions: HashMap<VarId, Vec<Arc<str>>>,
    pub(crate) vars: Vec<Var>,
    parents: HashMap<FunctionId, FunctionId>,
    uses: HashMap<FunctionId, BTreeSet<VarId>>,
    captures: HashMap<FunctionId, Vec<VarId>>,
    pub(crate) prelude: HashMap<Arc<str>, VarId>,
    /// The variable that holds the module of each file.
    pub(crate) files: Vec<VarId>,
    /// The function that makes the module a variable holds.
    file_functions: HashMap<VarId, FunctionId>,
    /// Functions that are tests of types, and their variables.
    tests: HashMap<FunctionId, VarId>,
}

impl Names {
    pub(crate) fn var(&self, id: VarId) -> &Var {
        &self.vars[id.0 as usize]
    }

    /// The variable a name means; nothing for labels that are just labels.
    pub(crate) fn meaning(&self, name: NameId) -> Option<VarId> {
        self.meaning.get(name.0 as usize).copied().flatten()
    }

    /// The variable of a declared type, by the function that is its test.
    pub(crate) fn test_of(&self, function: FunctionId) -> Option<VarId> {
        self.tests.get(&function).copied()
    }

    /// What a label means, if it is more than a label.
    pub(crate) fn label(&self, name: NameId) -> Option<LabelMeaning> {
        self.labels.get(&name).copied()
    }

    /// The variables of outer functions that a function needs passed along, in a fixed order.
    pub(crate) fn captures(&self, function: FunctionId) -> &[VarId] {
        self.captures.get(&function).map_or(&[], Vec::as_slice)
    }

    fn set(&mut self, name: NameId, var: VarId) {
        let at = name.0 as usize;
        if at >= self.meaning.len() {
            self.meaning.resize(at + 1, None);
        }
        self.meaning[at] = Some(var);
    }

    fn new_var(&mut self, name: &Arc<str>, function: FunctionId, declared_by: NameId) -> VarId {
        self.vars.push(Var {
            name: name.clone(),
            function,
            declared_by,
            span: None,
            assigned: 0,
            captured: false,
            hoisted: false,
            hoisted_past_code: false,
            lambda: None,
            literal: None,
        });
        VarId(self.vars.len() as u32 - 1)
    }

    /// The variable that will hold the module of the next file.
    pub(crate) fn add_file(&mut self, name: &Arc<str>, main: FunctionId, declared_by: NameId, function: FunctionId) {
        let var = self.new_var(name, main, declared_by);
        let info = &mut self.vars[var.0 as usize];
        (info.assigned, info.captured, info.hoisted) = (2, true, true);
        self.files.push(var);
        self.file_functions.insert(var, function);
        self.nest(function, main);
    }

    /// Says that `function` lies inside `parent`.
    pub(crate) fn nest(&mut self, function: FunctionId, parent: FunctionId) {
        self.parents.insert(function, parent);
    }

    /// Keeps a variable in a cell from the start, for inputs to come.
    pub(crate) fn keep(&mut self, var: VarId) {
        let info = &mut self.vars[var.0 as usize];
        (info.assigned, info.captured, info.hoisted) = (2, true, true);
    }

    fn note_use(&mut self, var: VarId, function: FunctionId) {
        let owner = self.var(var).function;
        let mut at = function;
        while at != owner {
            self.uses.entry(at).or_default().insert(var);
            self.vars[var.0 as usize].captured = true;
            // A test may run wherever its type is known, also before what its guard uses is bound.
            self.vars[var.0 as usize].hoisted |= self.tests.contains_key(&at);
            match self.parents.get(&at) {
                Some(parent) => at = *parent,
                None => return,
            }
        }
    }

    fn is_inside(&self, function: FunctionId, outer: FunctionId) -> bool {
        let mut at = function;
        while at != outer {
            match self.parents.get(&at) {
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        true
    }
}

/// Resolves the statements of one file.
///
/// # Errors
/// A name that means nothing.
pub(crate) fn resolve(
    names: &mut Names,
    statements: &[Expr],
    function: FunctionId,
    is_module: bool,
    is_prelude: bool,
) -> Result<(), Vec<Diagnostic>> {
    let mut resolver = Resolver { names, scopes: Vec::new(), errors: Vec::new(), unbound: Vec::new(), function };
    resolver.open(false, is_module);
    resolver.declare_labels(statements);
    for statement in statements {
        resolver.statement(statement);
    }
    let scope = resolver.scopes.last().expect("the file's scope is open");
    let (bound, labels) = (scope.bound.clone(), scope.labels.clone());
    resolver.close();
    if is_prelude {
        names.prelude = bound.into_iter().map(|((text, _), var)| (text, var)).collect();
        return Ok(());
    }
    if is_module {
        resolver.names.shared_labels.extend(labels);
    }
    resolver.report_unbound();
    if resolver.errors.is_empty() { Ok(()) } else { Err(resolver.errors) }
}

/// A use that found no binding yet.
struct Pending {
    name: Name,
    function: FunctionId,
    /// Whether a function lies between the use and the scope it waits in.
    through_function: bool,
    /// The statement of that scope it is in.
    statement: usize,
    /// A label: may stay one.
    is_label: bool,
    /// Whether the scopes looked at so far include that of the macro it comes from.
    home_reached: bool,
}

struct Scope {
    is_function: bool,
    is_module: bool,
    bound: HashMap<Key, VarId>,
    labels: HashMap<Arc<str>, LabelMeaning>,
    /// The macros declared here.
    macros: HashSet<MacroId>,
    /// The statement that declares each variable.
    declared_at: HashMap<VarId, usize>,
    pending: Vec<Pending>,
    /// For each statement whether it only binds a function.
    definitions: Vec<bool>,
}

struct Resolver<'a> {
    names: &'a mut Names,
    scopes: Vec<Scope>,
    errors: Vec<Diagnostic>,
    unbound: Vec<Name>,
    function: FunctionId,
}

impl Resolver<'_> {
    fn open(&mut self, is_function: bool, is_module: bool) {
        self.scopes.push(Scope {
            is_function,
            is_module,
            bound: HashMap::new(),
            labels: HashMap::new(),
            macros: HashSet::new(),
            declared_at: HashMap::new(),
            pending: Vec::new(),
            definitions: Vec::new(),
        });
    }

    fn close(&mut self) {
        let mut scope = self.scopes.pop().expect("scopes are opened and closed in pairs");
        for mut pending in std::mem::take(&mut scope.pending) {
            // A name of a macro's body passes by until the scope that declares the macro.
            pending.home_reached |= pending.name.origin == MacroId(0)
                || scope.macros.contains(&pending.name.origin)
                || self.scopes.is_empty();
            if pending.home_reached
                && pending.through_function
                && let Some(var) = scope.bound.get(&key(&pending.name))
            {
                self.hoist(&pending, *var, &scope.definitions, scope.declared_at.get(var).copied().unwrap_or(0));
                continue;
            }
            pending.through_function |= scope.is_function;
            match self.scopes.last_mut() {
                Some(outer) => {
                    pending.statement = outer.definitions.len().saturating_sub(1);
                    outer.pending.push(pending);
                }
                None => self.last_resort(&pending),
            }
        }
    }

    fn hoist(&mut self, pending: &Pending, var: VarId, definitions: &[bool], declared_at: usize) {
        let range = definitions.get(pending.statement..=declared_at);
        let past_code = !range.is_some_and(|range| range.iter().all(|definition| *definition));
        let info = &mut self.names.vars[var.0 as usize];
        info.hoisted_past_code |= past_code;
        info.hoisted = true;
        self.names.set(pending.name.id, var);
        self.names.note_use(var, pending.function);
    }

    /// A name that no scope of the file binds.
    fn last_resort(&mut self, pending: &Pending) {
        // Names with two underscores are how the prelude spells `Label.member` and its own helpers.
        let visible = !pending.name.text.contains("__");
        if let Some(var) = self.names.prelude.get(&pending.name.text).copied().filter(|_| visible) {
            self.names.set(pending.name.id, var);
            self.names.note_use(var, pending.function);
        } else if !pending.is_label {
            self.unbound.push(pending.name.clone());
        }
    }

    // ---- bindings

    fn declare(&mut self, name: &Name) -> VarId {
        let var = self.names.new_var(&name.text, self.function, name.id);
        let scope = self.scopes.last_mut().expect("a scope is open");
        scope.bound.insert(key(name), var);
        scope.declared_at.insert(var, scope.definitions.len().saturating_sub(1));
        self.names.set(name.id, var);
        self.names.vars[var.0 as usize].assigned = 1;
        self.names.vars[var.0 as usize].span = Some(name.span);
        var
    }

    /// Binds a name by assignment: updates the variable of that name, or declares one.
    fn assign(&mut self, name: &Name) -> VarId {
        for scope in self.scopes.iter().rev() {
            if let Some(var) = scope.bound.get(&key(name)).copied() {
                self.names.vars[var.0 as usize].assigned += 1;
                self.names.set(name.id, var);
                self.names.note_use(var, self.function);
                return var;
            }
            if scope.is_module {
                break;
            }
        }
        self.declare(name)
    }

    fn bind_pattern(&mut self, pattern: &Pattern, by_assignment: bool) {
        let mut seen: Vec<(Key, VarId)> = Vec::new();
        self.bind_parts(pattern, by_assignment, &mut seen);
    }

    fn bind_parts(&mut self, pattern: &Pattern, by_assignment: bool, seen: &mut Vec<(Key, VarId)>) {
        match &pattern.kind {
            PatternKind::Variable(name) => {
                // A name twice in a pattern, or once in each alternative, is one variable.
                if let Some((_, var)) = seen.iter().find(|(seen, _)| *seen == key(name)) {
                    let var = *var;
                    self.names.vars[var.0 as usize].assigned += 1;
                    self.names.set(name.id, var);
                    return;
                }
                let var = if by_assignment { self.assign(name) } else { self.declare(name) };
                seen.push((key(name), var));
            }
            PatternKind::Discard | PatternKind::Literal(_) => {}
            PatternKind::MacroVariable(text) => self.stray(text, pattern.span),
            PatternKind::Label { payload, .. } => {
                if let Some(payload) = payload {
                    self.bind_parts(payload, by_assignment, seen);
                }
            }
            PatternKind::Tuple(items) | PatternKind::Or(items) => {
                items.iter().for_each(|item| self.bind_parts(item, by_assignment, seen));
            }
            PatternKind::List { before, rest, after } => {
                before.iter().for_each(|item| self.bind_parts(item, by_assignment, seen));
                if let Some(Some(rest)) = rest {
                    self.bind_parts(rest, by_assignment, seen);
                }
                after.iter().for_each(|item| self.bind_parts(item, by_assignment, seen));
            }
            PatternKind::Record { fields, rest } => {
                fields.iter().for_each(|(_, field)| self.bind_parts(field, by_assignment, seen));
                if let Some(rest) = rest {
                    self.bind_parts(rest, by_assignment, seen);
                }
            }
            PatternKind::Is { pattern, ty } => {
                self.type_(ty, &[]);
                self.bind_parts(pattern, by_assignment, seen);
            }
            PatternKind::Where { pattern, guard } => {
                self.bind_parts(pattern, by_assignment, seen);
                self.expr(guard);
            }
        }
    }

    // ---- uses

    fn use_name(&mut self, name: &Name, is_label: bool) {
        let bound = self.scopes_of(name).find_map(|scope| scope.bound.get(&key(name)).copied());
        if let Some(var) = bound {
            self.names.set(name.id, var);
            self.names.note_use(var, self.function);
            return;
        }
        let scope = self.scopes.last_mut().expect("a scope is open");
        scope.pending.push(Pending {
            name: name.clone(),
            function: self.function,
            through_function: false,
            statement: scope.definitions.len().saturating_sub(1),
            is_label,
            home_reached: false,
        });
    }

    /// The scopes a name is looked up in, innermost first.
    fn scopes_of(&self, name: &Name) -> impl Iterator<Item = &Scope> {
        let origin = name.origin;
        let home = match origin {
            MacroId(0) => self.scopes.len(),
            _ => self.scopes.iter().rposition(|scope| scope.macros.contains(&origin)).map_or(1, |at| at + 1),
        };
        self.scopes[..home.max(1)].iter().rev()
    }

    // ---- expressions

    fn statement(&mut self, statement: &Expr) {
        let definition = match &statement.kind {
            ExprKind::Assign { pattern, value } => {
                matches!(pattern.kind, PatternKind::Variable(_)) && as_lambda(value).is_some()
            }
            _ => false,
        };
        self.scopes.last_mut().expect("a scope is open").definitions.push(definition);
        self.expr(statement);
    }

    fn statements(&mut self, statements: &[Expr], is_module: bool) {
        self.open(false, is_module);
        self.declare_labels(statements);
        statements.iter().for_each(|statement| self.statement(statement));
        self.close();
    }

    /// Resolves what belongs to an inner function.
    fn inside(&mut self, function: FunctionId, boundary: bool, resolve: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.function, function);
        self.names.nest(function, outer);
        self.open(boundary, false);
        resolve(self);
        self.close();
        self.function = outer;
    }

    fn lambda(&mut self, lambda: &Lambda) {
        self.inside(lambda.id, true, |resolver| {
            lambda.params.iter().for_each(|param| resolver.bind_pattern(param, false));
            if let Some(guard) = &lambda.guard {
                resolver.expr(guard);
            }
            resolver.expr(&lambda.body);
        });
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Literal(_) | ExprKind::NativeFunction(_) => {}
            ExprKind::File(number) => {
                let var = self.names.files[*number];
                self.names.note_use(var, self.function);
            }
            ExprKind::Interpolation(parts) | ExprKind::Tuple(parts) => parts.iter().for_each(|part| self.expr(part)),
            ExprKind::Name(name) => self.use_name(name, false),
            ExprKind::Label { name, qualifier, payload } => {
                self.label(name, qualifier.as_ref());
                if let Some(payload) = payload {
                    self.expr(payload);
                }
            }
            ExprKind::LabelMember { label, member } => self.label_member(label, member),
            ExprKind::Group(inner)
            | ExprKind::Negate(inner)
            | ExprKind::Not(inner)
            | ExprKind::Error(inner)
            | ExprKind::Yield(inner)
            | ExprKind::Switch(inner)
            | ExprKind::Magic { operand: inner, .. } => self.expr(inner),
            ExprKind::Annotated { value: inner, ty } | ExprKind::Is { value: inner, ty, .. } => {
                self.expr(inner);
                self.type_(ty, &[]);
            }
            ExprKind::Splice(statements) => statements.iter().for_each(|statement| self.expr(statement)),
            ExprKind::Syntax(id) => {
                self.scopes.last_mut().expect("a scope is open").macros.insert(*id);
            }
            ExprKind::Effect(_) => {}
            ExprKind::Type(declaration) => self.type_declaration(declaration),
            ExprKind::Handle(handler) => self.handler(handler),
            ExprKind::Fiber { body, id } => self.inside(*id, true, |resolver| resolver.expr(body)),
            ExprKind::MacroVariable(text) => self.stray(text, expr.span),
            ExprKind::Repeat(_) => {
                let message = "`...` only stands in the body of a macro";
                self.errors.push(Diagnostic::syntax("P0055", expr.span, message));
            }
            ExprKind::List(items) => {
                for item in items {
                    match item {
                        Item::One(item) | Item::Spread(Some(item), _) => self.expr(item),
                        Item::Spread(None, span) => self.misplaced(*span),
                    }
                }
            }
            ExprKind::Record(fields) => {
                for field in fields {
                    match field {
                        Field::Named(_, value) | Field::Spread(Some(value), _) => self.expr(value),
                        Field::Spread(None, span) => self.misplaced(*span),
                    }
                }
            }
            ExprKind::Block(statements) => self.statements(statements, false),
            ExprKind::Module(statements) => self.statements(statements, true),
            ExprKind::Assign { pattern, value } => self.assignment(pattern, value),
            ExprKind::Lambda(lambda) => self.lambda(lambda),
            ExprKind::Call { function, argument } => {
                self.expr(function);
                self.expr(argument);
            }
            ExprKind::Field { value, field, or_call } => {
                self.expr(value);
                if *or_call {
                    // Without a variable of that name this is a plain field access.
                    self.use_name(field, true);
                }
            }
            ExprKind::Index { value: left, key: right }
            | ExprKind::Binary { left, right, .. }
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Range { from: left, to: right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::If { condition, yes, no } => {
                self.expr(condition);
                self.expr(yes);
                if let Some(no) = no {
                    self.expr(no);
                }
            }
            ExprKind::Match { value, branches } => {
                self.expr(value);
                branches.iter().for_each(|branch| self.branch(branch));
            }
            ExprKind::While { condition, body } => {
                self.expr(condition);
                self.expr(body);
            }
            ExprKind::For { pattern, items, body } => {
                self.expr(items);
                self.open(false, false);
                self.bind_pattern(pattern, false);
                self.expr(body);
                self.close();
            }
            ExprKind::Try { body, id } => self.inside(*id, false, |resolver| resolver.expr(body)),
            ExprKind::Use(used) => {
                self.expr(&used.value);
                for (_, pattern) in used.fields.iter().flatten() {
                    self.bind_pattern(pattern, true);
                }
                if let Some(pattern) = &used.whole {
                    self.bind_pattern(pattern, true);
                }
            }
            ExprKind::Guarded { .. } => {
                self.errors.push(Diagnostic::syntax("P0051", expr.span, "a guard (`|`) belongs to a pattern"));
            }
        }
    }

    fn misplaced(&mut self, span: Span) {
        self.errors.push(Diagnostic::syntax("P0052", span, "`..` without an expression only stands in patterns"));
    }

    fn stray(&mut self, text: &str, span: Span) {
        self.errors.push(Diagnostic::syntax("P0055", span, format!("`{text}` only stands for something in its macro")));
    }

    fn handler(&mut self, handler: &Handler) {
        self.inside(handler.body_id, false, |resolver| resolver.expr(&handler.body));
        self.inside(handler.clause_id, true, |resolver| {
            for branch in &handler.branches {
                resolver.open(false, false);
                resolver.bind_pattern(&branch.operation, false);
                resolver.bind_pattern(&branch.continuation, false);
                branch.guards.iter().for_each(|guard| resolver.expr(guard));
                resolver.expr(&branch.body);
                resolver.close();
            }
        });
        if let Some(done) = &handler.done {
            self.inside(handler.done_id, true, |resolver| resolver.branch(done));
        }
    }

    fn branch(&mut self, branch: &Branch) {
        self.open(false, false);
        self.bind_pattern(&branch.pattern, false);
        self.expr(&branch.body);
        self.close();
    }

    fn assignment(&mut self, pattern: &Pattern, value: &Expr) {
        if let PatternKind::Variable(name) = &pattern.kind {
            if let Some(lambda) = as_lambda(value) {
                // Declared first, so that the function can name itself.
                let before = self.names.vars.len();
                let var = self.assign(name);
                if self.names.vars.len() > before {
                    self.names.vars[var.0 as usize].lambda = Some(lambda.id);
                }
                return self.expr(value);
            }
            if let ExprKind::Literal(literal) = &value.kind {
                let var = self.assign(name);
                self.names.vars[var.0 as usize].literal =
                    if self.names.prelude.is_empty() { Some(literal.clone()) } else { None };
                return;
            }
        }
        self.expr(value);
        self.bind_pattern(pattern, true);
    }

    fn label_member(&mut self, label: &Name, member: &Arc<str>) {
        let bound = self.scopes_of(label).any(|scope| scope.bound.contains_key(&key(label)));
        if bound {
            return self.use_name(label, true);
        }
        match crate::prelude::qualified(&self.names.prelude, &label.text, member) {
            Some(var) => {
                self.names.set(label.id, var);
                self.names.note_use(var, self.function);
            }
            // The label may still be a constant bound later.
            None if self.names.prelude.is_empty() => self.use_name(label, true),
            None => {
                let message = format!("nothing called `{member}` belongs to `{}`", label.text);
                self.errors.push(Diagnostic::syntax("P0053", label.span, message));
            }
        }
    }
}

/// The function an expression is, through parentheses.
pub(crate) fn as_lambda(expr: &Expr) -> Option<&Lambda> {
    match &expr.kind {
        ExprKind::Lambda(lambda) => Some(lambda),
        ExprKind::Group(inner) => as_lambda(inner),
        _ => None,
    }
}
