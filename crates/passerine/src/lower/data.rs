//! Expressions: one arm for each form of the tree.

use super::{Join, Lowerer};
use crate::names::{LabelMeaning, Storage};
use crate::patterns::Miss;
use crate::tree::{BinaryOp, Expr, ExprKind, Field, Item, Name, Pattern, PatternKind, Use};
use qualm_ir::limits::OPERANDS_MAX;
use qualm_ir::natives::Native;
use qualm_ir::op::Op;
use qualm_ir::types::{Reg, Text, Type};

impl<'a> Lowerer<'a> {
    /// The value of an expression.
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Reg {
        self.at(expr.span);
        match &expr.kind {
            ExprKind::Literal(literal) => self.literal(literal),
            ExprKind::Interpolation(parts) => {
                let parts = parts.iter().map(|part| self.expr(part)).collect();
                self.build_text(parts)
            }
            ExprKind::Name(name) => match self.names.meaning(name.id) {
                Some(var) => self.read(var, expr.span),
                None => self.unit(),
            },
            ExprKind::Label { name, payload, .. } => self.label(name, payload.as_deref(), expr),
            ExprKind::LabelMember { label, member } => self.label_member(label, member, expr),
            ExprKind::Group(inner) => self.expr(inner),
            ExprKind::Tuple(items) => {
                let items: Vec<Reg> = items.iter().map(|item| self.expr(item)).collect();
                self.at(expr.span);
                self.tuple(items)
            }
            ExprKind::List(items) => self.list(items),
            ExprKind::Record(fields) => self.record(fields, expr),
            ExprKind::Block(statements) => self.body_statements(statements, Join::Value),
            ExprKind::Module(statements) => self.module_record(statements),
            ExprKind::Assign { pattern, value } => self.assign(pattern, value),
            ExprKind::Lambda(lambda) => self.function_value(lambda.id),
            ExprKind::Call { .. } => {
                let value = self.call_value(expr);
                self.boxed(value)
            }
            ExprKind::Field { value, field, or_call } => self.field(value, field, *or_call, expr),
            ExprKind::Index { value, key } if self.is_cell(value) && self.numeric.is_some() && self.is_plain(key) => {
                // The key first: then the cell stays the owner of what is looked at.
                let key = self.expr(key);
                let v = self.expr(value);
                self.at(expr.span);
                self.f.builder.push(Op::ValIndex { v, key })
            }
            ExprKind::Index { value, key } => {
                let v = self.expr(value);
                let key = self.expr(key);
                self.at(expr.span);
                self.f.builder.push(Op::ValIndex { v, key })
            }
            ExprKind::Binary { op, left, right } => {
                let value = self.binary(*op, left, right, expr);
                self.boxed(value)
            }
            ExprKind::Negate(inner) => {
                let value = self.negation(inner, expr);
                self.boxed(value)
            }
            ExprKind::Not(inner) => {
                let v = self.expr(inner);
                self.at(inner.span);
                let c = self.f.builder.push(Op::ValTruth { v, role: "operand of not".into() });
                let zero = self.int_const(0);
                let a = self.f.builder.push(Op::IntEq { a: c, b: zero });
                self.f.builder.push(Op::ValBool { a })
            }
            ExprKind::And(left, right) => self.logic_value(left, right, "operand of and", false),
            ExprKind::Or(left, right) => self.logic_value(left, right, "operand of or", true),
            ExprKind::Range { from, to, through } => {
                let a = self.expr(from);
                let b = self.expr(to);
                self.at(expr.span);
                self.f.builder.push(if *through { Op::RangeThrough { a, b } } else { Op::RangeNew { a, b } })
            }
            ExprKind::Is { .. } => self.answer(|lowerer, yes, no| lowerer.branch_on(expr, "condition", yes, no)),
            ExprKind::If { condition, yes, no } => self.if_value(condition, yes, no.as_deref(), Type::Val),
            ExprKind::Match { value, branches } => self.match_value(value, branches, Type::Val),
            ExprKind::While { condition, body } => self.while_loop(condition, body),
            ExprKind::For { pattern, items, body } => self.for_loop(pattern, items, body),
            ExprKind::Try { id, .. } => self.try_value(*id),
            ExprKind::Handle(handler) => self.handle(handler),
            ExprKind::Fiber { id, .. } => self.fiber(*id),
            ExprKind::Yield(value) | ExprKind::Switch(value) => self.leave(value, expr),
            ExprKind::Splice(statements) => self.splice(statements, Join::Value),
            ExprKind::Type(_) | ExprKind::Effect(_) | ExprKind::Syntax(_) => self.unit(),
            // Reported when names were resolved.
            ExprKind::MacroVariable(_) | ExprKind::Repeat(_) => self.unit(),
            ExprKind::Error(inner) => {
                let error = self.expr(inner);
                self.at(expr.span);
                self.f.builder.push(Op::Raise { error })
            }
            ExprKind::Magic { name, operand } => self.magic(name, operand, expr.span),
            ExprKind::NativeFunction(name) => self.native_function(name),
            ExprKind::Use(used) => self.use_(used),
            ExprKind::File(number) => self.file_value(*number),
            ExprKind::Annotated { value, ty } => self.annotated(value, ty, expr),
            ExprKind::Guarded { value, .. } => self.expr(value),
        }
    }

    /// Ends the function with the value of an expression; calls in tail position give up the frame.
    pub(super) fn tail(&mut self, expr: &'a Expr) {
        self.at(expr.span);
        match &expr.kind {
            ExprKind::Group(inner) => self.tail(inner),
            ExprKind::Block(statements) => {
                self.body_statements(statements, Join::Tail);
            }
            ExprKind::Splice(statements) => {
                self.splice(statements, Join::Tail);
            }
            ExprKind::If { condition, yes, no } => self.if_tail(condition, yes, no.as_deref()),
            ExprKind::Match { value, branches } => self.match_tail(value, branches, expr.span),
            ExprKind::Call { .. } => self.call_tail(expr),
            _ => {
                let value = self.typed(expr);
                self.return_value(value);
            }
        }
    }

    fn build_text(&mut self, mut parts: Vec<Reg>) -> Reg {
        while parts.len() > OPERANDS_MAX {
            let rest = parts.split_off(OPERANDS_MAX);
            let first = self.f.builder.push(Op::TextBuild { parts });
            parts = std::iter::once(first).chain(rest).collect();
        }
        self.f.builder.push(Op::TextBuild { parts })
    }

    fn tuple(&mut self, items: Vec<Reg>) -> Reg {
        if items.len() <= OPERANDS_MAX {
            return self.f.builder.push(Op::TupleNew { items });
        }
        // Longer tuples than an instruction can name do not occur in programs people write; they become nested ones would change meaning.
        let message = self.text("a tuple has at most 200 items");
        let kind = self.f.builder.push(Op::SymbolConst { name: "Type".into() });
        let unit = self.unit();
        let error = self.native(Native::ErrorValue, vec![kind, message, unit]);
        self.f.builder.push(Op::Raise { error })
    }

    fn list(&mut self, items: &'a [Item]) -> Reg {
        let mut result: Option<Reg> = None;
        let mut run: Vec<Reg> = Vec::new();
        for item in items {
            match item {
                Item::One(item) => {
                    let item = self.expr(item);
                    run.push(item);
                    if run.len() == OPERANDS_MAX {
                        result = Some(self.joined_list(result, &mut run));
                    }
                }
                Item::Spread(Some(spread), span) => {
                    if !run.is_empty() {
                        result = Some(self.joined_list(result, &mut run));
                    }
                    let spread = self.expr(spread);
                    self.at(*span);
                    let b = self.native(Native::ListFrom, vec![spread]);
                    result = Some(match result {
                        Some(a) => self.f.builder.push(Op::ListConcat { a, b }),
                        None => b,
                    });
                }
                Item::Spread(None, _) => {}
            }
        }
        if run.is_empty()
            && let Some(result) = result
        {
            return result;
        }
        self.joined_list(result, &mut run)
    }

    fn joined_list(&mut self, before: Option<Reg>, run: &mut Vec<Reg>) -> Reg {
        if let (Some(list), [item]) = (before, &run[..]) {
            let item = *item;
            run.clear();
            return self.f.builder.push(Op::ListPush { list, item });
        }
        let b = self.f.builder.push(Op::ListNew { items: std::mem::take(run) });
        match before {
            Some(a) => self.f.builder.push(Op::ListConcat { a, b }),
            None => b,
        }
    }

    /// Spreads apply left to right, then named fields win.
    fn record(&mut self, fields: &'a [Field], expr: &'a Expr) -> Reg {
        let mut named: Vec<(Text, Reg)> = Vec::new();
        let mut spread: Option<Reg> = None;
        let mut late = None;
        for (at, field) in fields.iter().enumerate() {
            match field {
                Field::Named(name, value) => {
                    let value = self.expr(value);
                    named.push((name.clone(), value));
                }
                // A variable in a cell is read after fields that call nothing, right before they are set.
                Field::Spread(Some(value), _) if fields.len() > 1 && at == 0 && self.is_late(value, &fields[1..]) => {
                    late = Some(value);
                }
                Field::Spread(Some(value), _) => {
                    let b = self.expr(value);
                    self.at(expr.span);
                    spread = Some(match spread {
                        Some(a) => self.f.builder.push(Op::RecordMerge { a, b }),
                        None => b,
                    });
                }
                Field::Spread(None, _) => {}
            }
        }
        if let Some(value) = late {
            spread = Some(self.expr(value));
        }
        self.at(expr.span);
        named.sort_by(|a, b| a.0.cmp(&b.0));
        match spread {
            None => self.record_of(named),
            Some(mut record) => {
                if named.is_empty() {
                    let a = self.record_of(Vec::new());
                    return self.f.builder.push(Op::RecordMerge { a, b: record });
                }
                for (name, item) in named {
                    record = self.f.builder.push(Op::RecordSet { v: record, name, item });
                }
                record
            }
        }
    }

    /// Whether a spread variable may be read after these fields.
    fn is_late(&self, value: &Expr, fields: &[Field]) -> bool {
        self.numeric.is_some()
            && self.is_cell(value)
            && fields.iter().all(|field| matches!(field, Field::Named(_, value) if self.is_plain(value)))
    }

    fn record_of(&mut self, fields: Vec<(Text, Reg)>) -> Reg {
        let rest = fields.get(OPERANDS_MAX..).unwrap_or(&[]).to_vec();
        let (names, items) = fields.into_iter().take(OPERANDS_MAX).unzip();
        let mut record = self.f.builder.push(Op::RecordNew { names, items });
        for (name, item) in rest {
            record = self.f.builder.push(Op::RecordSet { v: record, name, item });
        }
        record
    }

    /// The record of the variables a module declares.
    pub(super) fn module_record(&mut self, statements: &'a [Expr]) -> Reg {
        self.make_hoisted(statements);
        let mut declared: Vec<&'a Name> = Vec::new();
        for statement in statements {
            self.expr(statement);
            match &statement.kind {
                ExprKind::Assign { pattern, .. } => pattern.for_each_binder(&mut |name| declared.push(name)),
                ExprKind::Use(used) => {
                    for pattern in used.fields.iter().flatten().map(|(_, pattern)| pattern).chain(&used.whole) {
                        pattern.for_each_binder(&mut |name| declared.push(name));
                    }
                }
                _ => {}
            }
        }
        let mut fields: Vec<(Text, Reg)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for name in declared {
            if let Some(var) = self.names.meaning(name.id)
                && name.mark == 0
                && seen.insert(name.text.clone())
            {
                let value = self.read(var, name.span);
                fields.push((name.text.clone(), value));
            }
        }
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        self.record_of(fields)
    }

    // ---- labels

    fn label(&mut self, name: &Name, payload: Option<&'a Expr>, expr: &'a Expr) -> Reg {
        if let Some(meaning) = self.names.label(name.id) {
            let payload = payload.map(|payload| self.expr(payload));
            self.at(expr.span);
            return match meaning {
                LabelMeaning::Effect => self.perform(&name.text, payload),
                LabelMeaning::Declared(var, variant) => self.build_declared(var, variant, name, payload),
            };
        }
        if let Some(var) = self.names.meaning(name.id) {
            // A constant; with something after it, a call of it.
            let Some(payload) = payload else { return self.read(var, name.span) };
            let f = self.read(var, name.span);
            let args = vec![self.expr(payload)];
            self.at(expr.span);
            return self.f.builder.push(Op::Apply { f, args });
        }
        match payload {
            None => self.f.builder.push(Op::SymbolConst { name: name.text.clone() }),
            Some(payload) => {
                let payload = self.expr(payload);
                self.f.builder.push(Op::LabelNew { name: name.text.clone(), payload })
            }
        }
    }

    pub(super) fn is_prelude(&self, var: crate::names::VarId) -> bool {
        self.names.prelude.values().any(|other| *other == var)
    }

    fn label_member(&mut self, label: &Name, member: &Text, expr: &'a Expr) -> Reg {
        match self.names.meaning(label.id) {
            Some(var) if self.is_prelude(var) => self.read(var, expr.span),
            Some(var) => {
                let v = self.read(var, label.span);
                self.at(expr.span);
                self.f.builder.push(Op::RecordGet { v, name: member.clone() })
            }
            None => self.unit(),
        }
    }

    // ---- access

    fn field(&mut self, value: &'a Expr, field: &Name, or_call: bool, expr: &'a Expr) -> Reg {
        let v = self.expr(value);
        self.at(expr.span);
        let function = if or_call { self.names.meaning(field.id) } else { None };
        let Some(function) = function else {
            return self.f.builder.push(Op::RecordGet { v, name: field.text.clone() });
        };
        // The field if there is one, else the function of that name applied to the value.
        let (yes, no) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        let join = self.f.builder.label(&[Type::Val]);
        let c = self.f.builder.push(Op::RecordHas { v, name: field.text.clone() });
        self.f.builder.branch(c, yes, no);
        self.f.builder.place(yes);
        let found = self.f.builder.push(Op::RecordGet { v, name: field.text.clone() });
        self.f.builder.jump(join, vec![found]);
        self.f.builder.place(no);
        let result = match self.names.var(function).storage() {
            Storage::Known(function) if self.takes_one(function) => {
                let (f, vars) = self.function_index(function);
                let mut args = self.registers(&vars);
                args.push(v);
                self.f.builder.push(Op::Call { f, args })
            }
            _ => {
                let f = self.read(function, field.span);
                self.at(expr.span);
                self.f.builder.push(Op::Apply { f, args: vec![v] })
            }
        };
        self.f.builder.jump(join, vec![result]);
        self.f.builder.place(join)[0]
    }

    fn takes_one(&self, function: crate::tree::FunctionId) -> bool {
        match self.bodies[&function] {
            super::Body::Lambda(lambda, _) => Self::part_arity(lambda, 0) == 1,
            super::Body::Thunk(..) => true,
        }
    }

    // ---- binding

    fn assign(&mut self, pattern: &'a Pattern, value: &'a Expr) -> Reg {
        if let PatternKind::Variable(name) = &pattern.kind
            && let Some(var) = self.names.meaning(name.id)
            && let Storage::Known(_) = self.names.var(var).storage()
        {
            return self.unit();
        }
        // A cell that is not hoisted starts anew where its variable is declared; a function may need it in its own definition.
        let mut names = Vec::new();
        pattern.for_each_binder(&mut |name| names.push(name.id));
        for id in names {
            if let Some(var) = self.names.meaning(id)
                && !self.names.var(var).is_hoisted()
            {
                self.renew(var, id);
            }
        }
        if let Some(pairs) = pairs(pattern, value) {
            // All values first, as for a tuple, which nobody needs.
            let values: Vec<Reg> = pairs.iter().map(|(_, value)| self.typed(value)).collect();
            self.at(pattern.span);
            for ((target, _), value) in pairs.into_iter().zip(values) {
                self.bind_or_raise(target, value);
            }
            return self.unit();
        }
        if let Some((left, right)) = self.appended(pattern, value) {
            // What is appended first: then nothing lies between reading the cell and writing it, and the machine can append in place.
            let b = self.expr(right);
            let a = self.expr(left);
            self.at(value.span);
            let value = self.f.builder.push(Op::ValAdd { a, b });
            self.bind_or_raise(pattern, value);
            return self.unit();
        }
        let value = if pattern.is_irrefutable() { self.typed(value) } else { self.expr(value) };
        self.at(pattern.span);
        self.bind_or_raise(pattern, value);
        self.unit()
    }

    /// The two sides of `x = x + e` for a variable in a cell, if nobody can tell which is evaluated first: `e` calls nothing and errors are not resumed.
    fn appended(&self, pattern: &'a Pattern, value: &'a Expr) -> Option<(&'a Expr, &'a Expr)> {
        let PatternKind::Variable(target) = &pattern.kind else { return None };
        let ExprKind::Binary { op: BinaryOp::Add, left, right } = &crate::numeric::ungrouped(value).kind else {
            return None;
        };
        let ExprKind::Name(name) = &left.kind else { return None };
        let same = self.names.meaning(name.id) == self.names.meaning(target.id) && self.is_cell(left);
        (same && self.numeric.is_some() && self.is_plain(right)).then_some((left, right))
    }

    /// Whether an expression is a variable that lives in a cell.
    fn is_cell(&self, expr: &Expr) -> bool {
        let ExprKind::Name(name) = &expr.kind else { return false };
        self.names.meaning(name.id).is_some_and(|var| self.names.var(var).storage() == Storage::Cell)
    }

    /// Whether evaluating an expression calls nothing and assigns nothing; it may fail.
    fn is_plain(&self, expr: &Expr) -> bool {
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            match &expr.kind {
                ExprKind::Literal(_)
                | ExprKind::Name(_)
                | ExprKind::Group(_)
                | ExprKind::Tuple(_)
                | ExprKind::Record(_)
                | ExprKind::Interpolation(_)
                | ExprKind::Binary { .. }
                | ExprKind::Negate(_)
                | ExprKind::Index { .. } => {}
                ExprKind::List(items) if items.iter().all(|item| matches!(item, Item::One(_))) => {}
                ExprKind::Field { field, or_call, .. } if !or_call || self.names.meaning(field.id).is_none() => {}
                ExprKind::Label { name, .. }
                    if self.names.label(name.id).is_none() && self.names.meaning(name.id).is_none() => {}
                _ => return false,
            }
            super::for_each_child(expr, &mut |child| open.push(child));
        }
        true
    }

    fn use_(&mut self, used: &'a Use) -> Reg {
        let value = self.expr(&used.value);
        for (name, pattern) in used.fields.iter().flatten() {
            let item = self.f.builder.push(Op::RecordGet { v: value, name: name.clone() });
            self.bind_or_raise(pattern, item);
        }
        if let Some(pattern) = &used.whole {
            self.bind_or_raise(pattern, value);
        }
        self.unit()
    }

    /// The module of a file: evaluated at the first use that is reached, then kept.
    fn file_value(&mut self, number: usize) -> Reg {
        let cell = self.register(self.names.files[number]);
        let span = self.f.builder.span();
        let kept = self.f.builder.push(Op::CellGet { cell, name: "module".into() });
        let c = self.f.builder.push(Op::RecordIs { v: kept });
        let (there, missing) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        let join = self.f.builder.label(&[Type::Val]);
        self.f.builder.branch(c, there, missing);
        self.f.builder.place(there);
        self.f.builder.jump(join, vec![kept]);
        self.f.builder.place(missing);
        let function = self.files[number].function;
        let vars = self.names.captures(function).to_vec();
        let f = match self.indexes.get(&(function, 0)) {
            Some(index) => *index,
            None => {
                let index = self.module.declare(super::signature(vars.len() + 1));
                self.indexes.insert((function, 0), index);
                self.queue.push(super::Job::File { number, index });
                index
            }
        };
        let mut args = self.registers(&vars);
        args.push(self.f.builder.push(Op::Unit {}));
        self.f.builder.set_span(span);
        let made = self.f.builder.push(Op::Call { f, args });
        self.f.builder.push(Op::CellSet { cell, v: made });
        self.f.builder.jump(join, vec![made]);
        self.f.builder.place(join)[0]
    }

    fn annotated(&mut self, value: &'a Expr, ty: &'a crate::tree::Type, expr: &'a Expr) -> Reg {
        let value = self.expr(value);
        self.at(expr.span);
        let told = self.f.builder.label(&[Type::Val, Type::Val]);
        let join = self.f.builder.label(&[Type::Val]);
        self.type_test(ty, None, value, Miss::Tell(told));
        self.f.builder.jump(join, vec![value]);
        let params = self.f.builder.place(told);
        let error = self.type_error("", params);
        let raised = self.f.builder.push(Op::Raise { error });
        self.f.builder.jump(join, vec![raised]);
        self.f.builder.place(join)[0]
    }

    /// The error `Type` for a message and the value it is about.
    pub(super) fn type_error(&mut self, prefix: &str, told: Vec<Reg>) -> Reg {
        let failure = self.native(Native::MatchFailure, told);
        let message = self.push(Op::LabelPayload { v: failure });
        let payload = match prefix {
            "" => message,
            prefix => {
                let prefix = self.text(prefix);
                self.push(Op::TextBuild { parts: vec![prefix, message] })
            }
        };
        self.push(Op::LabelNew { name: "Type".into(), payload })
    }
}

/// The targets and values of `a, b = x, y`, if every target takes what it gets.
fn pairs<'a>(pattern: &'a Pattern, value: &'a Expr) -> Option<Vec<(&'a Pattern, &'a Expr)>> {
    match (&pattern.kind, &crate::numeric::ungrouped(value).kind) {
        (PatternKind::Tuple(targets), ExprKind::Tuple(values))
            if targets.len() == values.len() && targets.iter().all(Pattern::is_irrefutable) =>
        {
            Some(targets.iter().zip(values).collect())
        }
        _ => None,
    }
}
