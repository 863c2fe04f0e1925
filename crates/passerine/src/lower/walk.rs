//! Walks over the tree.

use super::{Body, Lowerer};
use crate::tree::{Expr, ExprKind, Name, Pattern, Shape};

/// The names that a statement binds in the scope it stands in.
pub(crate) fn for_each_bound<'a>(statement: &'a Expr, visit: &mut dyn FnMut(&'a Name)) {
    match &statement.kind {
        ExprKind::Assign { pattern, value } => {
            pattern.for_each_binder(visit);
            for_each_bound(value, visit);
        }
        ExprKind::Use(used) => {
            for pattern in used.fields.iter().flatten().map(|(_, pattern)| pattern).chain(&used.whole) {
                pattern.for_each_binder(visit);
            }
        }
        _ => {}
    }
}

impl<'a> Lowerer<'a> {
    /// Finds every function of an expression, with the name it is bound to.
    pub(super) fn collect_functions(&mut self, expr: &'a Expr) {
        let mut open: Vec<(&'a Expr, &'a str)> = vec![(expr, "")];
        while let Some((expr, name)) = open.pop() {
            let mut types = Vec::new();
            super::types::own_types(expr, &mut types);
            let mut patterns: Vec<&'a Pattern> = Vec::new();
            match &expr.kind {
                ExprKind::Lambda(lambda) => {
                    let name = if name.is_empty() { "function" } else { name };
                    self.bodies.insert(lambda.id, Body::Lambda(lambda, name));
                    patterns.extend(&lambda.params);
                    for_each_child(expr, &mut |child| open.push((child, "")));
                }
                ExprKind::Try { body, id } => {
                    self.bodies.insert(*id, Body::Thunk(body, "try"));
                    open.push((body, ""));
                }
                ExprKind::Fiber { body, id } => {
                    self.bodies.insert(*id, Body::Thunk(body, "fiber"));
                    open.push((body, ""));
                }
                ExprKind::Handle(handler) => {
                    self.bodies.insert(handler.body_id, Body::Thunk(&handler.body, "handle"));
                    for branch in &handler.branches {
                        patterns.extend([&branch.operation, &branch.continuation]);
                    }
                    patterns.extend(handler.done.iter().map(|branch| &branch.pattern));
                    for_each_child(expr, &mut |child| open.push((child, "")));
                }
                ExprKind::Type(declaration) => {
                    self.declarations.insert(declaration.id, declaration);
                    match &declaration.shape {
                        Shape::Payload(ty) => types.push(ty),
                        Shape::Union(variants) => {
                            types.extend(variants.iter().filter_map(|variant| variant.payload.as_ref()))
                        }
                    }
                }
                ExprKind::Assign { pattern, value } => {
                    patterns.push(pattern);
                    let name = match &pattern.kind {
                        crate::tree::PatternKind::Variable(name) => &*name.text,
                        _ => "",
                    };
                    open.push((value, name));
                }
                ExprKind::Group(inner) => open.push((inner, name)),
                ExprKind::Match { branches, .. } => {
                    patterns.extend(branches.iter().map(|branch| &branch.pattern));
                    for_each_child(expr, &mut |child| open.push((child, "")));
                }
                ExprKind::For { pattern, .. } => {
                    patterns.push(pattern);
                    for_each_child(expr, &mut |child| open.push((child, "")));
                }
                _ => for_each_child(expr, &mut |child| open.push((child, ""))),
            }
            for pattern in patterns {
                guards(pattern, &mut open);
                super::types::pattern_types(pattern, &mut types);
            }
            let mut found = Vec::new();
            types.into_iter().for_each(|ty| super::types::type_guards(ty, &mut found));
            open.extend(found.into_iter().map(|guard| (guard, "")));
        }
    }
}

pub(crate) fn guards<'a>(pattern: &'a Pattern, open: &mut Vec<(&'a Expr, &'a str)>) {
    use crate::tree::PatternKind;
    match &pattern.kind {
        PatternKind::Where { pattern, guard } => {
            open.push((guard, ""));
            guards(pattern, open);
        }
        PatternKind::Is { pattern, .. } => guards(pattern, open),
        PatternKind::Label { payload: Some(payload), .. } => guards(payload, open),
        PatternKind::Tuple(items) | PatternKind::Or(items) => items.iter().for_each(|item| guards(item, open)),
        PatternKind::List { before, after, .. } => before.iter().chain(after).for_each(|item| guards(item, open)),
        PatternKind::Record { fields, .. } => fields.iter().for_each(|(_, field)| guards(field, open)),
        PatternKind::Variable(_)
        | PatternKind::Discard
        | PatternKind::MacroVariable(_)
        | PatternKind::Literal(_)
        | PatternKind::Label { payload: None, .. } => {}
    }
}

/// Calls `visit` with the direct parts of an expression, patterns left out.
pub(crate) fn for_each_child<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    use crate::tree::{Field, Item};
    match &expr.kind {
        ExprKind::Literal(_)
        | ExprKind::Name(_)
        | ExprKind::LabelMember { .. }
        | ExprKind::NativeFunction(_)
        | ExprKind::Type(_)
        | ExprKind::Effect(_)
        | ExprKind::Syntax(_)
        | ExprKind::MacroVariable(_)
        | ExprKind::File(_) => {}
        ExprKind::Interpolation(parts)
        | ExprKind::Tuple(parts)
        | ExprKind::Block(parts)
        | ExprKind::Splice(parts)
        | ExprKind::Module(parts) => parts.iter().for_each(visit),
        ExprKind::Label { payload, .. } => payload.iter().for_each(|payload| visit(payload)),
        ExprKind::Group(inner)
        | ExprKind::Negate(inner)
        | ExprKind::Not(inner)
        | ExprKind::Error(inner)
        | ExprKind::Magic { operand: inner, .. }
        | ExprKind::Annotated { value: inner, .. }
        | ExprKind::Is { value: inner, .. }
        | ExprKind::Field { value: inner, .. }
        | ExprKind::Try { body: inner, .. }
        | ExprKind::Fiber { body: inner, .. }
        | ExprKind::Yield(inner)
        | ExprKind::Switch(inner)
        | ExprKind::Repeat(inner)
        | ExprKind::Assign { value: inner, .. } => visit(inner),
        ExprKind::List(items) => items.iter().for_each(|item| match item {
            Item::One(item) | Item::Spread(Some(item), _) => visit(item),
            Item::Spread(None, _) => {}
        }),
        ExprKind::Record(fields) => fields.iter().for_each(|field| match field {
            Field::Named(_, value) | Field::Spread(Some(value), _) => visit(value),
            Field::Spread(None, _) => {}
        }),
        ExprKind::Lambda(lambda) => {
            lambda.guard.iter().for_each(&mut *visit);
            visit(&lambda.body);
        }
        ExprKind::Call { function: left, argument: right }
        | ExprKind::Index { value: left, key: right }
        | ExprKind::Binary { left, right, .. }
        | ExprKind::And(left, right)
        | ExprKind::Or(left, right)
        | ExprKind::Range { from: left, to: right, .. }
        | ExprKind::While { condition: left, body: right }
        | ExprKind::For { items: left, body: right, .. }
        | ExprKind::Guarded { value: left, guard: right } => {
            visit(left);
            visit(right);
        }
        ExprKind::If { condition, yes, no } => {
            visit(condition);
            visit(yes);
            no.iter().for_each(|no| visit(no));
        }
        ExprKind::Match { value, branches } => {
            visit(value);
            branches.iter().for_each(|branch| visit(&branch.body));
        }
        ExprKind::Handle(handler) => {
            visit(&handler.body);
            for branch in &handler.branches {
                branch.guards.iter().for_each(&mut *visit);
                visit(&branch.body);
            }
            handler.done.iter().for_each(|branch| visit(&branch.body));
        }
        ExprKind::Use(used) => visit(&used.value),
    }
}

/// Calls `visit` with the patterns that are direct parts of an expression.
pub(crate) fn for_each_pattern<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Pattern)) {
    match &expr.kind {
        ExprKind::Assign { pattern, .. } | ExprKind::For { pattern, .. } => visit(pattern),
        ExprKind::Lambda(lambda) => lambda.params.iter().for_each(visit),
        ExprKind::Match { branches, .. } => branches.iter().for_each(|branch| visit(&branch.pattern)),
        ExprKind::Use(used) => {
            used.fields.iter().flatten().map(|(_, pattern)| pattern).chain(&used.whole).for_each(visit);
        }
        ExprKind::Handle(handler) => {
            for branch in &handler.branches {
                visit(&branch.operation);
                visit(&branch.continuation);
            }
            handler.done.iter().for_each(|branch| visit(&branch.pattern));
        }
        _ => {}
    }
}

/// The function and arguments of nested calls, arguments in order.
pub(crate) fn spine(expr: &Expr) -> (&Expr, Vec<&Expr>) {
    let mut args = Vec::new();
    let mut head = expr;
    while let ExprKind::Call { function, argument } = &head.kind {
        args.push(&**argument);
        head = function;
    }
    while let ExprKind::Group(inner) = &head.kind {
        // `(f x) y` is `f x y`, but a piped value is not an argument of what it is piped into.
        head = inner;
        while let ExprKind::Call { function, argument } = &head.kind {
            args.push(&**argument);
            head = function;
        }
    }
    args.reverse();
    (head, args)
}
