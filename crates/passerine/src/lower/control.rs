//! Blocks, conditions, joins, loops.

use super::{Frame, Join, Lowerer, for_each_child};
use crate::names::{Storage, VarId};
use crate::patterns::Miss;
use crate::tree::{Branch, Expr, ExprKind, Literal, Pattern};
use qualm_ir::builder::{FunctionBuilder, Label, OpenEnd};
use qualm_ir::natives::Native;
use qualm_ir::op::Op;
use qualm_ir::source::Span;
use qualm_ir::types::{FunctionIndex, Reg, Signature, Type};
use std::collections::{BTreeSet, HashMap};

/// The end of a branch: the jump to fill in, its value, the variables there.
type End = (OpenEnd, Reg, HashMap<VarId, Reg>);

/// What a loop's function is made of.
struct Loop {
    index: FunctionIndex,
    /// Variables it is given, in order.
    vars: Vec<VarId>,
    /// Those it assigns, which are its result.
    assigned: Vec<VarId>,
}

impl<'a> Lowerer<'a> {
    // ---- blocks

    /// The statements of a block; the value of the last one is wanted.
    pub(super) fn body_statements(&mut self, statements: &'a [Expr], join: Join) -> Reg {
        self.make_hoisted(statements);
        self.splice(statements, join)
    }

    /// The same without a scope of their own.
    pub(super) fn splice(&mut self, statements: &'a [Expr], join: Join) -> Reg {
        let Some((last, before)) = statements.split_last() else {
            let unit = self.unit();
            if let Join::Tail = join {
                self.return_value(unit);
            }
            return unit;
        };
        for statement in before {
            self.expr(statement);
        }
        match join {
            Join::Value => self.expr(last),
            Join::Typed => self.typed(last),
            Join::Tail => {
                self.tail(last);
                Reg(0)
            }
        }
    }

    /// Makes the cells of variables that functions of this block use before they are bound.
    pub(super) fn make_hoisted(&mut self, statements: &'a [Expr]) {
        let mut open: Vec<&Expr> = statements.iter().collect();
        let mut declared = Vec::new();
        while let Some(expr) = open.pop() {
            match &expr.kind {
                ExprKind::Assign { pattern, value } => {
                    pattern.for_each_binder(&mut |name| declared.push(name));
                    open.push(value);
                }
                ExprKind::Use(used) => {
                    for pattern in used.fields.iter().flatten().map(|(_, pattern)| pattern).chain(&used.whole) {
                        pattern.for_each_binder(&mut |name| declared.push(name));
                    }
                }
                // Inner scopes make their own.
                ExprKind::Block(_)
                | ExprKind::Module(_)
                | ExprKind::Lambda(_)
                | ExprKind::Try { .. }
                | ExprKind::Fiber { .. }
                | ExprKind::Handle(_) => {}
                _ => for_each_child(expr, &mut |child| open.push(child)),
            }
        }
        for name in declared {
            let Some(var) = self.names.meaning(name.id) else { continue };
            let info = self.names.var(var);
            if info.declared_by == name.id && info.is_hoisted() && info.storage() == Storage::Cell {
                let cell = self.f.builder.push(Op::CellEmpty {});
                self.f.env.insert(var, cell);
            }
        }
    }

    // ---- conditions

    /// Whether an expression assigns variables, so that its parts must be joined.
    fn assigns(expr: &Expr) -> bool {
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            match &expr.kind {
                ExprKind::Assign { .. } | ExprKind::Use(_) => return true,
                ExprKind::Lambda(_) => {}
                _ => for_each_child(expr, &mut |child| open.push(child)),
            }
        }
        false
    }

    /// Goes to `yes` or `no` by the truth of an expression; `role` is what messages call it.
    pub(super) fn branch_on(&mut self, expr: &'a Expr, role: &str, yes: Label, no: Label) {
        match &expr.kind {
            ExprKind::Group(inner) => return self.branch_on(inner, role, yes, no),
            ExprKind::Literal(Literal::Boolean(value)) => return self.go(if *value { yes } else { no }),
            ExprKind::Not(inner) if !Self::assigns(inner) => return self.branch_on(inner, "operand of not", no, yes),
            ExprKind::And(left, right) if !Self::assigns(expr) => {
                let both = self.f.builder.label(&[]);
                self.branch_on(left, "operand of and", both, no);
                self.f.builder.place(both);
                return self.branch_on(right, "operand of and", yes, no);
            }
            ExprKind::Or(left, right) if !Self::assigns(expr) => {
                let other = self.f.builder.label(&[]);
                self.branch_on(left, "operand of or", yes, other);
                self.f.builder.place(other);
                return self.branch_on(right, "operand of or", yes, no);
            }
            ExprKind::Binary { op, left, right } => {
                if let Some(c) = self.comparison(*op, left, right, expr.span) {
                    return self.f.builder.branch(c, yes, no);
                }
            }
            ExprKind::Magic { name, operand } if &**name == "predicate" => {
                return self.branch_on(operand, "predicate", yes, no);
            }
            ExprKind::Is { value, ty, negated } => {
                let value = self.expr(value);
                let (yes, no) = if *negated { (no, yes) } else { (yes, no) };
                self.type_test(ty, None, value, Miss::Go(no));
                return self.go(yes);
            }
            _ => {}
        }
        let v = self.expr(expr);
        self.at(expr.span);
        let c = self.f.builder.push(Op::ValTruth { v, role: role.into() });
        self.f.builder.branch(c, yes, no);
    }

    // ---- joins

    /// The value of an expression that takes one of several ways.
    fn joined(&mut self, wanted: Type, ways: impl FnOnce(&mut Self, &mut Vec<End>)) -> Reg {
        let before = self.f.env.clone();
        let mut ends: Vec<End> = Vec::new();
        ways(self, &mut ends);
        let mut differing: Vec<VarId> = before
            .iter()
            .filter(|(var, reg)| ends.iter().any(|(_, _, env)| env.get(var) != Some(reg)))
            .map(|(var, _)| *var)
            .collect();
        differing.sort();
        let mut types = vec![wanted];
        types.extend(differing.iter().map(|var| self.type_of_var(*var)));
        let label = self.f.builder.label(&types);
        for (open, value, env) in ends {
            let mut args = vec![value];
            args.extend(differing.iter().map(|var| env.get(var).copied().unwrap_or(before[var])));
            self.f.builder.fill(open, label, args);
        }
        let params = self.f.builder.place(label);
        for (param, ty) in params.iter().zip(types) {
            self.note(*param, ty);
        }
        self.f.env = before;
        for (var, reg) in differing.iter().zip(&params[1..]) {
            self.f.env.insert(*var, *reg);
        }
        params[0]
    }

    fn end_way(&mut self, value: Reg, ends: &mut Vec<End>) {
        let env = self.f.env.clone();
        ends.push((self.f.builder.end_open(), value, env));
    }

    pub(super) fn if_value(&mut self, condition: &'a Expr, yes: &'a Expr, no: Option<&'a Expr>, wanted: Type) -> Reg {
        self.joined_branches(
            condition,
            wanted,
            |lowerer, ends, env| {
                let value = lowerer.wanted(yes, wanted);
                lowerer.end_way(value, ends);
                lowerer.f.env = env;
            },
            |lowerer, ends| {
                let value = match no {
                    Some(no) => lowerer.wanted(no, wanted),
                    None => lowerer.unit(),
                };
                lowerer.end_way(value, ends);
            },
        )
    }

    fn joined_branches(
        &mut self,
        condition: &'a Expr,
        wanted: Type,
        yes: impl FnOnce(&mut Self, &mut Vec<End>, HashMap<VarId, Reg>),
        no: impl FnOnce(&mut Self, &mut Vec<End>),
    ) -> Reg {
        let (yes_label, no_label) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        self.branch_on(condition, "condition", yes_label, no_label);
        // Taken after the condition, which may assign.
        self.joined(wanted, |lowerer, ends| {
            let env = lowerer.f.env.clone();
            lowerer.f.builder.place(yes_label);
            yes(lowerer, ends, env);
            lowerer.f.builder.place(no_label);
            no(lowerer, ends);
        })
    }

    pub(super) fn if_tail(&mut self, condition: &'a Expr, yes: &'a Expr, no: Option<&'a Expr>) {
        let (yes_label, no_label) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        self.branch_on(condition, "condition", yes_label, no_label);
        let env = self.f.env.clone();
        self.f.builder.place(yes_label);
        self.tail(yes);
        self.f.env = env;
        self.f.builder.place(no_label);
        match no {
            Some(no) => self.tail(no),
            None => {
                let value = self.unit();
                self.return_value(value);
            }
        }
    }

    /// `and` and `or` as values: the truth of the left side decides whether the right side is looked at.
    pub(super) fn logic_value(&mut self, left: &'a Expr, right: &'a Expr, role: &str, stops_at: bool) -> Reg {
        let (yes, no) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        self.branch_on(left, role, yes, no);
        let (stop, go_on) = if stops_at { (yes, no) } else { (no, yes) };
        self.joined(Type::Val, |lowerer, ends| {
            lowerer.f.builder.place(stop);
            let value = lowerer.literal(&Literal::Boolean(stops_at));
            lowerer.end_way(value, ends);
            lowerer.f.builder.place(go_on);
            let v = lowerer.expr(right);
            lowerer.at(right.span);
            let a = lowerer.f.builder.push(Op::ValTruth { v, role: role.into() });
            let value = lowerer.f.builder.push(Op::ValBool { a });
            lowerer.end_way(value, ends);
        })
    }

    /// An answer that is known by where control goes, as a value.
    pub(super) fn answer(&mut self, decide: impl FnOnce(&mut Self, Label, Label)) -> Reg {
        let (yes, no) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        decide(self, yes, no);
        self.joined(Type::Val, |lowerer, ends| {
            for (label, truth) in [(yes, true), (no, false)] {
                lowerer.f.builder.place(label);
                let value = lowerer.literal(&Literal::Boolean(truth));
                lowerer.end_way(value, ends);
            }
        })
    }

    // ---- match

    pub(super) fn match_value(&mut self, value: &'a Expr, branches: &'a [Branch], wanted: Type) -> Reg {
        let value = self.expr(value);
        self.joined(wanted, |lowerer, ends| {
            lowerer.branches(value, branches, |lowerer, body| {
                let result = lowerer.wanted(body, wanted);
                lowerer.end_way(result, ends);
            });
            let raised = lowerer.raise_match("no branch fits ", value);
            let raised = lowerer.coerced(raised, wanted);
            lowerer.end_way(raised, ends);
        })
    }

    pub(super) fn match_tail(&mut self, value: &'a Expr, branches: &'a [Branch], span: Span) {
        let value = self.expr(value);
        self.branches(value, branches, |lowerer, body| lowerer.tail(body));
        self.at(span);
        let value = self.raise_match("no branch fits ", value);
        self.return_value(value);
    }

    /// Tries branch after branch; afterwards the block for "none fits" is open.
    fn branches(&mut self, value: Reg, branches: &'a [Branch], mut body: impl FnMut(&mut Self, &'a Expr)) {
        let env = self.f.env.clone();
        for branch in branches {
            let next = self.f.builder.label(&[]);
            self.renew_pattern(&branch.pattern);
            self.at(branch.pattern.span);
            self.bind_or_go(&branch.pattern, value, next);
            body(self, &branch.body);
            self.f.env = env.clone();
            self.f.builder.place(next);
        }
    }

    pub(super) fn renew_pattern(&mut self, pattern: &Pattern) {
        let mut names = Vec::new();
        pattern.for_each_binder(&mut |name| names.push(name.id));
        for id in names {
            if let Some(var) = self.names.meaning(id) {
                self.renew(var, id);
            }
        }
    }

    // ---- loops

    /// Variables of the present function that an expression uses, and those it assigns.
    fn loop_vars(&self, parts: &[&'a Expr]) -> (BTreeSet<VarId>, BTreeSet<VarId>) {
        let (mut used, mut assigned) = (self.uses_of(parts), BTreeSet::new());
        let mut open: Vec<&Expr> = parts.to_vec();
        while let Some(expr) = open.pop() {
            if is_function(expr) {
                continue;
            }
            for pattern in own_patterns(expr) {
                pattern.for_each_binder(&mut |name| assigned.extend(self.names.meaning(name.id)));
                let mut guards = Vec::new();
                super::guards(pattern, &mut guards);
                open.extend(guards.into_iter().map(|(guard, _)| guard));
            }
            for_each_child(expr, &mut |child| open.push(child));
        }
        used.extend(&assigned);
        used.retain(|var| self.f.env.contains_key(var));
        assigned.retain(|var| used.contains(var) && self.names.var(*var).storage() == Storage::Register);
        (used, assigned)
    }

    /// Variables that expressions use, and those that functions in them capture.
    pub(super) fn uses_of(&self, parts: &[&'a Expr]) -> BTreeSet<VarId> {
        let mut used = BTreeSet::new();
        let mut open: Vec<&'a Expr> = parts.to_vec();
        while let Some(expr) = open.pop() {
            let captured = |used: &mut BTreeSet<VarId>, id| used.extend(self.names.captures(id));
            match &expr.kind {
                ExprKind::Label { name, .. } => {
                    self.use_in_loop(name.id, &mut used);
                    self.label_uses(name, &mut used);
                }
                ExprKind::Name(name) | ExprKind::LabelMember { label: name, .. } => {
                    self.use_in_loop(name.id, &mut used)
                }
                ExprKind::Field { field, or_call: true, .. } => self.use_in_loop(field.id, &mut used),
                ExprKind::Lambda(lambda) => captured(&mut used, lambda.id),
                ExprKind::Try { id, .. } | ExprKind::Fiber { id, .. } => captured(&mut used, *id),
                ExprKind::Handle(handler) => {
                    for id in [handler.body_id, handler.clause_id, handler.done_id] {
                        captured(&mut used, id);
                    }
                }
                ExprKind::File(number) => {
                    used.insert(self.names.files[*number]);
                    captured(&mut used, self.files[*number].function);
                }
                _ => {}
            }
            let mut types = Vec::new();
            super::types::own_types(expr, &mut types);
            for pattern in own_patterns(expr) {
                super::types::pattern_types(pattern, &mut types);
                let mut guards = Vec::new();
                super::guards(pattern, &mut guards);
                open.extend(guards.into_iter().map(|(guard, _)| guard));
            }
            types.into_iter().for_each(|ty| self.type_uses(ty, &mut used));
            if !is_function(expr) {
                for_each_child(expr, &mut |child| open.push(child));
            }
        }
        used
    }

    fn use_in_loop(&self, name: crate::tree::NameId, used: &mut BTreeSet<VarId>) {
        let Some(var) = self.names.meaning(name) else { return };
        used.insert(var);
        if let Storage::Known(function) = self.names.var(var).storage() {
            used.extend(self.names.captures(function));
        }
    }

    /// Starts the function of a loop over these parts; the frame of the outer function is given back.
    fn open_loop(&mut self, parts: &[&'a Expr], extra: &[Type]) -> (Loop, Frame, Vec<Reg>) {
        let (vars, assigned) = self.loop_vars(parts);
        let (vars, assigned): (Vec<_>, Vec<_>) = (vars.into_iter().collect(), assigned.into_iter().collect());
        if vars.len() + extra.len() > qualm_ir::limits::PARAMS_MAX {
            self.too_many(vars.len(), extra.len());
        }
        let mut params = extra.to_vec();
        params.extend(vars.iter().map(|var| self.type_of(self.f.env[var])));
        let result = match assigned[..] {
            [one] => self.type_of_var(one),
            _ => Type::Val,
        };
        let made = Signature { params: params.clone(), result };
        let index = self.module.declare(made.clone());
        let name = format!("{} loop", self.f.builder.name());
        let mut builder = FunctionBuilder::new(made, name);
        builder.set_span(self.f.builder.span());
        let mut frame = Frame::new(builder, self.f.function);
        frame.facts = self.f.facts.clone();
        frame.result = result;
        let outer = std::mem::replace(&mut self.f, frame);
        for (at, var) in vars.iter().enumerate() {
            let reg = self.f.builder.param(extra.len() + at);
            self.note(reg, params[extra.len() + at]);
            self.f.env.insert(*var, reg);
        }
        let extra = (0..extra.len()).map(|at| self.f.builder.param(at)).collect();
        (Loop { index, vars, assigned }, outer, extra)
    }

    /// Goes round once more.
    fn again(&mut self, this: &Loop, mut extra: Vec<Reg>) {
        extra.extend(this.vars.iter().map(|var| self.f.env[var]));
        self.f.builder.end(Op::TailCall { f: this.index, args: extra });
    }

    /// Ends the function of a loop and calls it from the outer one, whose variables then have their new values.
    fn close_loop(&mut self, this: Loop, outer: Frame, mut extra: Vec<Reg>) -> Reg {
        let assigned: Vec<Reg> = this.assigned.iter().map(|var| self.f.env[var]).collect();
        let value = match assigned[..] {
            [] => self.unit(),
            [one] => one,
            _ => {
                let items = assigned.into_iter().map(|reg| self.boxed(reg)).collect();
                self.f.builder.push(Op::TupleNew { items })
            }
        };
        self.f.builder.end(Op::Return { value });
        let done = std::mem::replace(&mut self.f, outer);
        self.module.define(this.index, done.builder);
        extra.extend(this.vars.iter().map(|var| self.f.env[var]));
        let result = self.f.builder.push(Op::Call { f: this.index, args: extra });
        match this.assigned[..] {
            [] => {}
            [var] => {
                self.note(result, self.type_of_var(var));
                self.f.env.insert(var, result);
            }
            _ => {
                let taken: Vec<Reg> = (0..this.assigned.len() as i64)
                    .map(|index| self.f.builder.push(Op::TupleGet { tuple: result, index }))
                    .collect();
                for (var, value) in this.assigned.iter().zip(taken) {
                    let value = self.coerced(value, self.type_of_var(*var));
                    self.f.env.insert(*var, value);
                }
            }
        }
        self.unit()
    }

    pub(super) fn while_loop(&mut self, condition: &'a Expr, body: &'a Expr) -> Reg {
        let (this, outer, _) = self.open_loop(&[condition, body], &[]);
        let (go, stop) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        self.branch_on(condition, "condition", go, stop);
        let env = self.f.env.clone();
        self.f.builder.place(go);
        self.expr(body);
        self.again(&this, Vec::new());
        self.f.env = env;
        self.f.builder.place(stop);
        self.close_loop(this, outer, Vec::new())
    }

    pub(super) fn for_loop(&mut self, pattern: &'a Pattern, items: &'a Expr, body: &'a Expr) -> Reg {
        let v = match &crate::numeric::ungrouped(items).kind {
            ExprKind::Range { from, to, through } => {
                let (from, to) = (self.number(from), self.number(to));
                if self.type_of(from) == Type::Int && self.type_of(to) == Type::Int {
                    let left = self.left_after_first(from, to, *through);
                    return self.counted_loop(pattern, from, left, body);
                }
                let (a, b) = (self.boxed(from), self.boxed(to));
                self.at(items.span);
                self.f.builder.push(if *through { Op::RangeThrough { a, b } } else { Op::RangeNew { a, b } })
            }
            _ => self.expr(items),
        };
        self.at(items.span);
        let (seq, length) = self.iterated(v);
        let zero = self.int_const(0);
        let mut guards = Vec::new();
        super::guards(pattern, &mut guards);
        let mut parts: Vec<&'a Expr> = vec![body];
        parts.extend(guards.into_iter().map(|(guard, _)| guard));
        let (this, outer, params) = self.open_loop(&parts, &[Type::Val, Type::Int, Type::Int]);
        let [inner, index, end] = params[..] else { unreachable!("three parameters were asked for") };
        let (go, no_item, stop) = (self.f.builder.label(&[]), self.f.builder.label(&[]), self.f.builder.label(&[]));
        let run = self.f.builder.label(&[Type::Val]);
        let c = self.f.builder.push(Op::IntLt { a: index, b: end });
        self.f.builder.branch(c, go, no_item);
        self.f.builder.place(go);
        let item = self.f.builder.push(Op::SeqGet { seq: inner, index });
        self.f.builder.jump(run, vec![item]);
        self.f.builder.place(no_item);
        self.next_of_fiber(inner, end, run, stop);
        let env = self.f.env.clone();
        let item = self.f.builder.place(run)[0];
        self.renew_pattern(pattern);
        self.bind_or_raise(pattern, item);
        self.expr(body);
        let one = self.int_const(1);
        let next = self.f.builder.push(Op::IntAdd { a: index, b: one });
        self.again(&this, vec![inner, next, end]);
        self.f.env = env;
        self.f.builder.place(stop);
        self.close_loop(this, outer, vec![seq, zero, length])
    }

    /// How many integers a range has besides its first one, -1 if it has none at all. Counting these instead of comparing with the end keeps a range up to
    /// the largest integer from going past it.
    fn left_after_first(&mut self, from: Reg, to: Reg, through: bool) -> Reg {
        let (some, none) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        let join = self.f.builder.label(&[Type::Int]);
        let op = if through { Op::IntLe { a: from, b: to } } else { Op::IntLt { a: from, b: to } };
        let c = self.f.builder.push(op);
        self.f.builder.branch(c, some, none);
        self.f.builder.place(some);
        let mut left = self.f.builder.push(Op::IntSubWrap { a: to, b: from });
        if !through {
            let one = self.int_const(1);
            left = self.f.builder.push(Op::IntSubWrap { a: left, b: one });
        }
        // More than can be counted are more than anybody goes through.
        let (endless, counted) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        let zero = self.int_const(0);
        let c = self.f.builder.push(Op::IntLt { a: left, b: zero });
        self.f.builder.branch(c, endless, counted);
        self.f.builder.place(endless);
        let most = self.int_const(i64::MAX);
        self.f.builder.jump(join, vec![most]);
        self.f.builder.place(counted);
        self.f.builder.jump(join, vec![left]);
        self.f.builder.place(none);
        let less = self.int_const(-1);
        self.f.builder.jump(join, vec![less]);
        self.f.builder.place(join)[0]
    }

    /// `for` over so many integers and one more, from this one on.
    fn counted_loop(&mut self, pattern: &'a Pattern, from: Reg, left: Reg, body: &'a Expr) -> Reg {
        let mut guards = Vec::new();
        super::guards(pattern, &mut guards);
        let mut parts: Vec<&'a Expr> = vec![body];
        parts.extend(guards.into_iter().map(|(guard, _)| guard));
        let (this, outer, params) = self.open_loop(&parts, &[Type::Int, Type::Int]);
        let [index, rest] = params[..] else { unreachable!("two parameters were asked for") };
        let (go, stop) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        let zero = self.int_const(0);
        let c = self.f.builder.push(Op::IntLt { a: rest, b: zero });
        self.f.builder.branch(c, stop, go);
        let env = self.f.env.clone();
        self.f.builder.place(go);
        self.renew_pattern(pattern);
        let item = self.note(index, Type::Int);
        let item = if pattern.is_irrefutable() { item } else { self.boxed(item) };
        self.bind_or_raise(pattern, item);
        self.expr(body);
        let one = self.int_const(1);
        let next = self.f.builder.push(Op::IntAddWrap { a: index, b: one });
        let less = self.f.builder.push(Op::IntSubWrap { a: rest, b: one });
        self.again(&this, vec![next, less]);
        self.f.env = env;
        self.f.builder.place(stop);
        self.close_loop(this, outer, vec![from, left])
    }

    /// What `for` goes through and its length, which is -1 for a fiber.
    fn iterated(&mut self, v: Reg) -> (Reg, Reg) {
        let (fiber, other) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        let join = self.f.builder.label(&[Type::Val, Type::Int]);
        let c = self.is_kind(v, "Fiber");
        self.f.builder.branch(c, fiber, other);
        self.f.builder.place(fiber);
        let none = self.int_const(-1);
        self.f.builder.jump(join, vec![v, none]);
        self.f.builder.place(other);
        let seq = self.f.builder.push(Op::SeqNew { v });
        let length = self.f.builder.push(Op::SeqLen { seq });
        self.f.builder.jump(join, vec![seq, length]);
        let params = self.f.builder.place(join);
        (params[0], params[1])
    }

    fn is_done(&mut self, fiber: Reg) -> Reg {
        let status = self.native(Native::CoroutineStatus, vec![fiber]);
        self.f.builder.push(Op::LabelIs { v: status, name: "Done".into() })
    }

    /// Calls a fiber for its next item; its final value is none.
    fn next_of_fiber(&mut self, fiber: Reg, end: Reg, run: Label, stop: Label) {
        let (open, call, some) = (self.f.builder.label(&[]), self.f.builder.label(&[]), self.f.builder.label(&[]));
        let zero = self.int_const(0);
        let c = self.f.builder.push(Op::IntLt { a: end, b: zero });
        self.f.builder.branch(c, open, stop);
        self.f.builder.place(open);
        let c = self.is_done(fiber);
        self.f.builder.branch(c, stop, call);
        self.f.builder.place(call);
        let unit = self.unit();
        let item = self.f.builder.push(Op::Apply { f: fiber, args: vec![unit] });
        let c = self.is_done(fiber);
        self.f.builder.branch(c, stop, some);
        self.f.builder.place(some);
        self.f.builder.jump(run, vec![item]);
    }
}

/// Whether the parts of an expression belong to functions of their own.
fn is_function(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Lambda(_) | ExprKind::Try { .. } | ExprKind::Fiber { .. } | ExprKind::Handle(_))
}

/// The patterns of an expression that bind in the function it is in.
fn own_patterns(expr: &Expr) -> Vec<&Pattern> {
    match &expr.kind {
        ExprKind::Assign { pattern, .. } | ExprKind::For { pattern, .. } => vec![pattern],
        ExprKind::Use(used) => used.fields.iter().flatten().map(|(_, pattern)| pattern).chain(&used.whole).collect(),
        ExprKind::Match { branches, .. } => branches.iter().map(|branch| &branch.pattern).collect(),
        _ => Vec::new(),
    }
}
