//! Expressions: one arm for each form of the tree.

use super::constraints::Kind;
use super::ty::{Con, Node, Ty, Types};
use super::{Inference, Scheme};
use crate::tree::{BinaryOp, Branch, Expr, ExprKind, Field, Item, Lambda, Literal, Name, Pattern, PatternKind, Use};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl<'a> Inference<'a> {
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Ty {
        match &expr.kind {
            ExprKind::Literal(literal) => literal_type(literal),
            ExprKind::Interpolation(parts) => {
                parts.iter().for_each(|part| {
                    self.expr(part);
                });
                Types::STRING
            }
            ExprKind::Name(name) => self.name(name.id, expr.span),
            ExprKind::Label { name, payload, .. } => self.label(name, payload.as_deref(), expr.span),
            ExprKind::LabelMember { label, member } => {
                let found = self.name(label.id, label.span);
                match self.names.meaning(label.id) {
                    Some(var) if self.prelude_names.contains_key(&var) => found,
                    _ => self.field_of(found, member, expr),
                }
            }
            ExprKind::Group(inner) => self.expr(inner),
            ExprKind::Tuple(items) => {
                let items = items.iter().map(|item| self.expr(item)).collect();
                self.types.add(Node::Tuple(items))
            }
            ExprKind::List(items) => self.list(items),
            ExprKind::Record(fields) => self.record(fields),
            ExprKind::Block(statements) => self.statements(statements),
            ExprKind::Splice(statements) => self.splice(statements),
            ExprKind::Module(statements) => {
                self.statements(statements);
                self.module_type(statements)
            }
            ExprKind::Assign { pattern, value } => {
                self.assign(pattern, value);
                Types::UNIT
            }
            ExprKind::Lambda(lambda) => self.lambda(lambda),
            ExprKind::Call { function, argument } => self.call(function, argument, expr),
            ExprKind::Field { value, field, or_call } => self.field(value, field, *or_call, expr),
            ExprKind::Index { value, key } => self.index(value, key, expr),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, expr),
            ExprKind::Negate(inner) => {
                let ty = self.expr(inner);
                let (unit, span) = (Types::UNIT, expr.span);
                self.constrain(Kind::Number, ty, unit, Types::DYNAMIC, span, [inner.span, inner.span]);
                ty
            }
            ExprKind::Not(inner) => {
                self.condition(inner, "operand of not");
                Types::BOOLEAN
            }
            ExprKind::And(left, right) => {
                self.condition(left, "operand of and");
                self.condition(right, "operand of and");
                Types::BOOLEAN
            }
            ExprKind::Or(left, right) => {
                self.condition(left, "operand of or");
                self.condition(right, "operand of or");
                Types::BOOLEAN
            }
            ExprKind::Range { from, to, .. } => {
                for bound in [from, to] {
                    let ty = self.expr(bound);
                    self.need(Types::INTEGER, ty, bound.span, &[]);
                }
                self.types.con(Con::Range, Vec::new())
            }
            ExprKind::Is { value, .. } => {
                self.expr(value);
                Types::BOOLEAN
            }
            ExprKind::If { condition, yes, no } => {
                self.condition(condition, "condition");
                let yes = self.expr(yes);
                let no = match no {
                    Some(no) => self.expr(no),
                    None => Types::UNIT,
                };
                self.join(yes, no)
            }
            ExprKind::Match { value, branches } => self.match_(value, branches),
            ExprKind::While { condition, body } => {
                self.condition(condition, "condition");
                self.expr(body);
                Types::UNIT
            }
            ExprKind::For { pattern, items, body } => {
                let items_type = self.expr(items);
                let mut bound = Vec::new();
                let item = self.pattern(pattern, &mut bound);
                self.bind_all(bound);
                self.constrain(Kind::Iterate, items_type, item, Types::DYNAMIC, items.span, [items.span, pattern.span]);
                self.expr(body);
                Types::UNIT
            }
            ExprKind::Try { body, .. } => {
                let value = self.expr(body);
                self.types.con(Con::Result, vec![value, Types::DYNAMIC])
            }
            ExprKind::Error(inner) => {
                self.expr(inner);
                self.types.fresh()
            }
            ExprKind::Handle(handler) => self.handle(handler),
            ExprKind::Fiber { body, .. } => {
                let effects = self.types.fresh();
                self.inside(effects, |inference| inference.expr(body));
                self.types.con(Con::Fiber, vec![Types::DYNAMIC, Types::DYNAMIC])
            }
            ExprKind::Yield(inner) | ExprKind::Switch(inner) => {
                self.expr(inner);
                Types::DYNAMIC
            }
            ExprKind::Magic { name, operand } => {
                self.expr(operand);
                match &**name {
                    "println" | "print" => {
                        self.perform_label(&Arc::from("System"), expr.span);
                        Types::DYNAMIC
                    }
                    "to_string" => Types::STRING,
                    _ => Types::DYNAMIC,
                }
            }
            ExprKind::NativeFunction(_) | ExprKind::MacroVariable(_) | ExprKind::Repeat(_) => Types::DYNAMIC,
            ExprKind::Use(used) => {
                self.use_(used);
                Types::UNIT
            }
            ExprKind::File(number) => self.file(*number),
            ExprKind::Type(_) | ExprKind::Effect(_) | ExprKind::Syntax(_) => Types::UNIT,
            ExprKind::Annotated { value, ty } => {
                let found = self.expr(value);
                if let crate::tree::Type::Any(None) = ty {
                    // `(e : _)` leaves the type of a value open on purpose.
                    return Types::DYNAMIC;
                }
                let mut names = HashMap::new();
                let wanted = self.annotation(ty, &mut names);
                self.need(wanted, found, value.span, &[]);
                wanted
            }
            ExprKind::Guarded { value, .. } => self.expr(value),
        }
    }

    /// Infers what runs with effects of its own.
    pub(super) fn inside<T>(&mut self, effects: Ty, infer: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.effects, effects);
        self.in_function += 1;
        let found = infer(self);
        self.in_function -= 1;
        self.effects = outer;
        found
    }

    fn condition(&mut self, expr: &'a Expr, role: &str) {
        let ty = self.expr(expr);
        if self.types.unify(Types::BOOLEAN, ty).is_err() {
            let found = self.types.show(ty);
            self.report("T0002", expr.span, format!("{role} must be Boolean, found {found}"), &[]);
        }
    }

    /// The type of what takes one of two ways; ways that disagree are left to run time.
    pub(super) fn join(&mut self, a: Ty, b: Ty) -> Ty {
        if self.types.unify(a, b).is_ok() { a } else { Types::DYNAMIC }
    }

    // ---- data

    fn list(&mut self, items: &'a [Item]) -> Ty {
        let mut item_type = self.types.fresh();
        for item in items {
            match item {
                Item::One(item) => {
                    let found = self.expr(item);
                    item_type = self.join(item_type, found);
                }
                Item::Spread(Some(spread), span) => {
                    let found = self.expr(spread);
                    let inner = self.types.fresh();
                    self.constrain(Kind::Iterate, found, inner, Types::DYNAMIC, *span, [spread.span, *span]);
                    item_type = self.join(item_type, inner);
                }
                Item::Spread(None, _) => {}
            }
        }
        self.types.list(item_type)
    }

    fn record(&mut self, fields: &'a [Field]) -> Ty {
        let mut spreads = Vec::new();
        let mut named = Vec::new();
        for field in fields {
            match field {
                Field::Named(name, value) => named.push((name.clone(), self.expr(value))),
                Field::Spread(Some(value), _) => spreads.push(self.expr(value)),
                Field::Spread(None, _) => {}
            }
        }
        let mut row = match spreads[..] {
            [] => Types::EMPTY,
            [one] => match self.types.node(one) {
                Node::Record(row) => row,
                Node::Free(_) => {
                    let row = self.types.fresh();
                    let record = self.types.add(Node::Record(row));
                    self.agree(one, record);
                    row
                }
                _ => return Types::DYNAMIC,
            },
            _ => return Types::DYNAMIC,
        };
        for (name, ty) in named {
            let (present, end) = self.types.row(row);
            let known = present.iter().any(|(other, _)| *other == name);
            let rest = if known {
                match self.types.take_out(&name, row) {
                    Ok((_, rest)) => rest,
                    Err(_) => end,
                }
            } else {
                row
            };
            row = self.types.add(Node::Extend(name, ty, rest));
        }
        self.types.add(Node::Record(row))
    }

    /// The record of what statements bind.
    fn module_type(&mut self, statements: &'a [Expr]) -> Ty {
        let names = bound_names(statements);
        let mut row = Types::EMPTY;
        for name in names {
            let ty = self.name(name.id, name.span);
            row = self.types.add(Node::Extend(name.text.clone(), ty, row));
        }
        self.types.add(Node::Record(row))
    }

    fn file(&mut self, number: usize) -> Ty {
        if let Some(ty) = self.files[number] {
            return ty;
        }
        self.files[number] = Some(Types::DYNAMIC);
        let statements = &self.sources[number].statements;
        let open = std::mem::take(&mut self.definitions);
        let scheme = self.generalised(|inference| {
            inference.statements(statements);
            inference.module_type(statements)
        });
        self.definitions = open;
        self.files[number] = Some(scheme.ty);
        scheme.ty
    }

    fn use_(&mut self, used: &'a Use) {
        let value = self.expr(&used.value);
        for (name, pattern) in used.fields.iter().flatten() {
            let ty = match self.types.node(value) {
                Node::Record(row) => self.types.row(row).0.iter().find(|(other, _)| other == name).map(|(_, ty)| *ty),
                _ => None,
            };
            self.bind_generic(pattern, ty.unwrap_or(Types::DYNAMIC));
        }
        if let Some(pattern) = &used.whole {
            self.bind_generic(pattern, value);
        }
    }

    /// Binds a variable to a type that may hold for any variables in it.
    fn bind_generic(&mut self, pattern: &'a Pattern, ty: Ty) {
        if let PatternKind::Variable(name) = &pattern.kind
            && let Some(var) = self.names.meaning(name.id)
        {
            self.schemes.insert(var, Scheme { ty, constraints: Vec::new() });
        }
    }

    // ---- variables

    fn assign(&mut self, pattern: &'a Pattern, value: &'a Expr) {
        if let PatternKind::Variable(name) = &pattern.kind
            && let Some(var) = self.names.meaning(name.id)
            && self.names.var(var).is_assigned_once()
            && (is_general(value) || self.is_partial(value))
        {
            self.define(var);
            if !self.schemes.contains_key(&var) {
                let scheme = self.generalised(|inference| inference.expr(value));
                self.schemes.insert(var, scheme);
            } else if crate::names::as_lambda(value).is_none() {
                // Someone used it before.
                let found = self.expr(value);
                let known = self.schemes[&var].ty;
                self.agree(known, found);
            }
            return;
        }
        let found = self.expr(value);
        let mut bound = Vec::new();
        let wanted = self.pattern(pattern, &mut bound);
        if let PatternKind::Variable(name) = &pattern.kind
            && let Some(var) = self.names.meaning(name.id)
        {
            // A variable that is assigned values of several types is none of them.
            if let Some(scheme) = self.schemes.get(&var).cloned() {
                if self.types.unify(scheme.ty, found).is_err() {
                    self.schemes.insert(var, Scheme { ty: Types::DYNAMIC, constraints: Vec::new() });
                }
                return;
            }
        }
        if self.types.unify(wanted, found).is_err() {
            let (wanted, found) = (self.types.show(wanted), self.types.show(found));
            self.report("T0001", value.span, format!("expected {wanted}, found {found}"), &[pattern.span]);
        }
        self.bind_all(bound);
    }

    /// Whether an expression gives a known function only some of its arguments: that computes nothing either.
    fn is_partial(&self, expr: &Expr) -> bool {
        let mut head = expr;
        let mut count = 0;
        loop {
            match &head.kind {
                ExprKind::Group(inner) => head = inner,
                ExprKind::Call { function, argument } => {
                    if !is_general(argument)
                        && !matches!(argument.kind, ExprKind::Name(_))
                        && !self.is_partial(argument)
                    {
                        return false;
                    }
                    count += 1;
                    head = function;
                }
                _ => break,
            }
        }
        let ExprKind::Name(name) = &head.kind else { return false };
        count > 0 && self.names.meaning(name.id).is_some_and(|var| self.parameters_of(var) > count)
    }

    /// Binds the variables of a pattern, each to one type.
    pub(super) fn bind_all(&mut self, bound: Vec<(crate::names::VarId, Ty)>) {
        for (var, ty) in bound {
            match self.schemes.get(&var).cloned() {
                Some(scheme) => {
                    if self.types.unify(scheme.ty, ty).is_err() {
                        self.schemes.insert(var, Scheme { ty: Types::DYNAMIC, constraints: Vec::new() });
                    }
                }
                None => {
                    self.schemes.insert(var, Scheme { ty, constraints: Vec::new() });
                }
            }
        }
    }

    // ---- functions

    fn lambda(&mut self, lambda: &'a Lambda) -> Ty {
        let mut params = Vec::new();
        for param in &lambda.params {
            let mut bound = Vec::new();
            params.push(self.pattern(param, &mut bound));
            // Parameters are new each time they are seen: what an earlier look at the same text found is forgotten.
            for (var, ty) in bound {
                self.schemes.insert(var, Scheme { ty, constraints: Vec::new() });
            }
        }
        let effects = self.types.fresh();
        let result = self.inside(effects, |inference| {
            if let Some(guard) = &lambda.guard {
                inference.condition(guard, "guard");
            }
            inference.expr(&lambda.body)
        });
        let mut ty = result;
        for (at, param) in params.into_iter().rev().enumerate() {
            let row = if at == 0 { effects } else { self.types.fresh() };
            ty = self.types.function(param, ty, row);
        }
        ty
    }

    fn call(&mut self, function: &'a Expr, argument: &'a Expr, expr: &'a Expr) -> Ty {
        let early = argument.span.start < function.span.start;
        let (function_type, argument_type) = if early {
            let argument = self.expr(argument);
            (self.expr(function), argument)
        } else {
            let function = self.expr(function);
            (function, self.expr(argument))
        };
        match self.types.node(function_type) {
            Node::Function(from, to, effects) => {
                if self.types.unify(from, argument_type).is_err() {
                    let (wanted, found) = (self.types.show(from), self.types.show(argument_type));
                    self.report("T0001", argument.span, format!("expected {wanted}, found {found}"), &[function.span]);
                }
                self.perform(effects, expr.span);
                to
            }
            Node::Free(_) => {
                let (to, effects) = (self.types.fresh(), self.types.fresh());
                let wanted = self.types.function(argument_type, to, effects);
                self.agree(function_type, wanted);
                self.perform(effects, expr.span);
                to
            }
            Node::Con(
                Con::Integer | Con::Float | Con::String | Con::Boolean | Con::List | Con::Range | Con::Map,
                _,
            )
            | Node::Tuple(_)
            | Node::Record(_) => {
                let found = self.types.show(function_type);
                self.report("T0003", function.span, format!("{found} cannot be called"), &[]);
                Types::DYNAMIC
            }
            _ => Types::DYNAMIC,
        }
    }

    // ---- access

    fn field(&mut self, value: &'a Expr, field: &'a crate::tree::Name, or_call: bool, expr: &'a Expr) -> Ty {
        let found = self.expr(value);
        let function = if or_call { self.names.meaning(field.id) } else { None };
        let Some(function) = function else { return self.field_of(found, &field.text, expr) };
        if let Node::Record(row) = self.types.node(found)
            && let Some((_, ty)) = self.types.row(row).0.iter().find(|(name, _)| *name == field.text)
        {
            return *ty;
        }
        let function = self.variable(function, field.span);
        let result = self.types.fresh();
        self.constrain(Kind::Dot, found, function, result, expr.span, [value.span, field.span]);
        result
    }

    fn field_of(&mut self, value: Ty, field: &Arc<str>, expr: &'a Expr) -> Ty {
        match self.types.node(value) {
            Node::Record(row) => match self.types.take_out(field, row) {
                Ok((ty, _)) => ty,
                Err(_) => {
                    let shown = self.types.show(value);
                    self.report("T0004", expr.span, format!("no field {field} in {shown}"), &[]);
                    Types::DYNAMIC
                }
            },
            Node::Free(_) => {
                let (ty, rest) = (self.types.fresh(), self.types.fresh());
                let row = self.types.add(Node::Extend(field.clone(), ty, rest));
                let record = self.types.add(Node::Record(row));
                self.agree(value, record);
                ty
            }
            Node::Con(Con::Declared(var, _), arguments) => self.declared_field(var, &arguments, field),
            Node::Con(
                Con::Integer | Con::Float | Con::String | Con::Boolean | Con::List | Con::Map | Con::Range,
                _,
            )
            | Node::Tuple(_)
            | Node::Function(..) => {
                let shown = self.types.show(value);
                self.report("T0004", expr.span, format!("no field {field} in {shown}"), &[]);
                Types::DYNAMIC
            }
            _ => Types::DYNAMIC,
        }
    }

    fn index(&mut self, value: &'a Expr, key: &'a Expr, expr: &'a Expr) -> Ty {
        let found = self.expr(value);
        let key_type = self.expr(key);
        match self.types.node(found) {
            Node::Tuple(items) => match &key.kind {
                ExprKind::Literal(Literal::Integer(at)) => {
                    match usize::try_from(*at).ok().and_then(|at| items.get(at).copied()) {
                        Some(item) => item,
                        None => {
                            let message = format!("index {at} out of range, {} items", items.len());
                            self.report("T0005", expr.span, message, &[]);
                            Types::DYNAMIC
                        }
                    }
                }
                _ => Types::DYNAMIC,
            },
            Node::Con(Con::List, arguments) => {
                self.need(Types::INTEGER, key_type, key.span, &[]);
                arguments[0]
            }
            Node::Con(Con::String, _) => {
                self.need(Types::INTEGER, key_type, key.span, &[]);
                Types::STRING
            }
            Node::Con(Con::Map, arguments) => {
                self.need(arguments[0], key_type, key.span, &[]);
                arguments[1]
            }
            Node::Con(Con::Integer | Con::Float | Con::Boolean, _) | Node::Function(..) => {
                let shown = self.types.show(found);
                self.report("T0005", expr.span, format!("cannot index {shown}"), &[]);
                Types::DYNAMIC
            }
            _ => Types::DYNAMIC,
        }
    }

    // ---- operators

    fn binary(&mut self, op: BinaryOp, left: &'a Expr, right: &'a Expr, expr: &'a Expr) -> Ty {
        let (a, b) = (self.expr(left), self.expr(right));
        let spans = [left.span, right.span];
        match op {
            BinaryOp::Eq | BinaryOp::Ne => Types::BOOLEAN,
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                self.constrain(Kind::Order, a, b, Types::DYNAMIC, expr.span, spans);
                Types::BOOLEAN
            }
            _ => {
                let result = self.types.fresh();
                self.constrain(Kind::Arithmetic(op), a, b, result, expr.span, spans);
                result
            }
        }
    }

    fn match_(&mut self, value: &'a Expr, branches: &'a [Branch]) -> Ty {
        let subject = self.expr(value);
        let wanted = self.types.fresh();
        let mut agree = true;
        let mut patterns = Vec::new();
        for branch in branches {
            let mut bound = Vec::new();
            let ty = self.pattern(&branch.pattern, &mut bound);
            agree &= self.types.unify(wanted, ty).is_ok();
            patterns.push(bound);
        }
        if agree {
            let catches_all = branches.iter().any(|branch| branch.pattern.is_irrefutable());
            self.subject(subject, wanted, catches_all, value.span);
            self.variants_covered(wanted, branches, value.span);
        }
        let mut result = self.types.fresh();
        for (branch, bound) in branches.iter().zip(patterns) {
            for (var, ty) in bound {
                self.schemes.insert(var, Scheme { ty, constraints: Vec::new() });
            }
            self.guards(&branch.pattern);
            let found = self.expr(&branch.body);
            result = self.join(result, found);
        }
        result
    }
}

/// The names that statements bind, each once, in order.
pub(super) fn bound_names(statements: &[Expr]) -> Vec<&Name> {
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for statement in statements {
        if let ExprKind::Assign { pattern, .. } = &statement.kind {
            pattern.for_each_binder(&mut |name| {
                if name.mark == 0 && seen.insert(name.text.clone()) {
                    names.push(name);
                }
            });
        }
    }
    names
}

/// Whether the type of an expression may hold for any variables in it: nothing is computed.
fn is_general(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Lambda(_) | ExprKind::Module(_) => true,
        ExprKind::Group(inner) => is_general(inner),
        ExprKind::Label { payload, .. } => payload.as_ref().is_none_or(|payload| is_general(payload)),
        ExprKind::Tuple(items) => items.iter().all(is_general),
        ExprKind::List(items) => items.iter().all(|item| matches!(item, Item::One(item) if is_general(item))),
        ExprKind::Record(fields) => {
            fields.iter().all(|field| matches!(field, Field::Named(_, value) if is_general(value)))
        }
        _ => false,
    }
}

pub(super) fn literal_type(literal: &Literal) -> Ty {
    match literal {
        Literal::Unit => Types::UNIT,
        Literal::Boolean(_) => Types::BOOLEAN,
        Literal::Integer(_) => Types::INTEGER,
        Literal::Float(_) => Types::FLOAT,
        Literal::Text(_) => Types::STRING,
    }
}
