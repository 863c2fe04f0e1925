//! Handlers, performing, fibers (reference, sections 14 and 15).
//!
//! A handler becomes up to four functions: what is handled; a guard that tries the branches against an operation and gives the variables
//! of the one that fits; a clause that runs that branch; what `return` does. How a branch treats its continuation decides the handler's mode:
//! dropping it makes an exception, resuming it at the very end runs in place, anything else captures.

use super::{Frame, Job, Lowerer, for_each_child, signature};
use crate::names::VarId;
use crate::tree::{Branch, Expr, ExprKind, Handler, HandlerBranch, Pattern, PatternKind};
use qualm_ir::builder::FunctionBuilder;
use qualm_ir::natives::Native;
use qualm_ir::op::Op;
use qualm_ir::types::{FunctionIndex, Reg, Text};

/// How a handler treats what it interrupts (`mode` of the instruction `handle`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Drop = 0,
    InPlace = 1,
    Capture = 2,
}

/// The operations a handler takes.
struct Takes {
    /// Their labels; none for all.
    effects: Vec<Text>,
    /// Whether a branch fits whatever these carry, so that no guard is needed.
    total: bool,
    mode: Mode,
}

/// A function made from a handler.
pub(super) enum HandlerJob<'a> {
    Guard(&'a Handler, FunctionIndex),
    Clause(&'a Handler, FunctionIndex),
    Done(&'a Branch, crate::tree::FunctionId, FunctionIndex),
}

/// The machine's own effects.
const YIELD: &str = "yield";
const SWITCH: &str = "switch";

impl<'a> Lowerer<'a> {
    pub(super) fn handle(&mut self, handler: &'a Handler) -> Reg {
        let takes = self.takes(handler);
        let body = self.function_value(handler.body_id);
        let captured = self.names.captures(handler.clause_id).to_vec();
        let guard = if takes.total {
            self.unit()
        } else {
            let index = self.module.declare(signature(captured.len() + 2));
            self.queue.push(Job::Handler(HandlerJob::Guard(handler, index)));
            let captures = self.registers(&captured);
            self.push(Op::Closure { f: index, captures })
        };
        let given = if takes.mode == Mode::Capture { 2 } else { 1 };
        let index = self.module.declare(signature(captured.len() + given));
        self.queue.push(Job::Handler(HandlerJob::Clause(handler, index)));
        let captures = self.registers(&captured);
        let clause = self.push(Op::Closure { f: index, captures });
        let done = match &handler.done {
            None => self.unit(),
            Some(done) => {
                let captured = self.names.captures(handler.done_id).to_vec();
                let index = self.module.declare(signature(captured.len() + 1));
                self.queue.push(Job::Handler(HandlerJob::Done(done, handler.done_id, index)));
                let captures = self.registers(&captured);
                self.push(Op::Closure { f: index, captures })
            }
        };
        self.push(Op::Handle { body, guard, clause, done, effects: takes.effects, mode: takes.mode as i64 })
    }

    fn takes(&self, handler: &'a Handler) -> Takes {
        let mut effects: Vec<Text> = Vec::new();
        let mut all = false;
        let mut total = true;
        for branch in &handler.branches {
            total &= branch.guards.is_empty() && branch.continuation.is_irrefutable();
            match &branch.operation.kind {
                PatternKind::Label { name, payload } => {
                    total &=
                        payload.as_ref().is_some_and(|payload| payload.is_irrefutable()) && !effects.contains(name);
                    if !effects.contains(name) {
                        effects.push(name.clone());
                    }
                }
                _ => all = true,
            }
        }
        // What `Raise` and `System` carry is not the label but what is in it.
        total &= !all && (effects.len() == 1 || !effects.iter().any(|name| is_bare(name)));
        // No labels mean all, no branches nothing.
        if all {
            effects.clear();
        } else if effects.is_empty() {
            effects.push("nothing".into());
        }
        effects.sort();
        Takes { effects, total, mode: self.mode(handler) }
    }

    fn mode(&self, handler: &'a Handler) -> Mode {
        let drops = |branch: &HandlerBranch| match &branch.continuation.kind {
            PatternKind::Discard => true,
            PatternKind::Variable(name) => match self.names.meaning(name.id) {
                Some(k) => {
                    !self.mentions(&branch.body, k) && !branch.guards.iter().any(|guard| self.mentions(guard, k))
                }
                None => true,
            },
            _ => false,
        };
        if handler.branches.iter().all(drops) {
            return Mode::Drop;
        }
        let in_place = |branch: &HandlerBranch| match self.continuation(branch) {
            Some(k) => !branch.guards.iter().any(|guard| self.mentions(guard, k)) && self.resumes_last(&branch.body, k),
            None => false,
        };
        if handler.branches.iter().all(in_place) { Mode::InPlace } else { Mode::Capture }
    }

    fn continuation(&self, branch: &HandlerBranch) -> Option<VarId> {
        match &branch.continuation.kind {
            PatternKind::Variable(name) => self.names.meaning(name.id),
            _ => None,
        }
    }

    /// Whether an expression uses or assigns a variable anywhere.
    fn mentions(&self, expr: &Expr, var: VarId) -> bool {
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            let found = match &expr.kind {
                ExprKind::Name(name) | ExprKind::Label { name, .. } | ExprKind::LabelMember { label: name, .. } => {
                    self.names.meaning(name.id) == Some(var)
                }
                ExprKind::Field { field, or_call: true, .. } => self.names.meaning(field.id) == Some(var),
                ExprKind::Assign { pattern, .. } | ExprKind::For { pattern, .. } => {
                    self.pattern_mentions(pattern, var, &mut open)
                }
                ExprKind::Match { branches, .. } => {
                    branches.iter().any(|branch| self.pattern_mentions(&branch.pattern, var, &mut open))
                }
                ExprKind::Lambda(lambda) => {
                    lambda.params.iter().any(|param| self.pattern_mentions(param, var, &mut open))
                }
                ExprKind::Handle(handler) => {
                    handler.branches.iter().any(|branch| self.pattern_mentions(&branch.operation, var, &mut open))
                }
                _ => false,
            };
            if found {
                return true;
            }
            for_each_child(expr, &mut |child| open.push(child));
        }
        false
    }

    fn pattern_mentions<'e>(&self, pattern: &'e Pattern, var: VarId, open: &mut Vec<&'e Expr>) -> bool {
        let mut found = false;
        pattern.for_each_binder(&mut |name| found |= self.names.meaning(name.id) == Some(var));
        let mut guards = Vec::new();
        super::guards(pattern, &mut guards);
        open.extend(guards.into_iter().map(|(guard, _)| guard));
        found
    }

    /// Whether every way through an expression ends with one call of `k`, its only use.
    fn resumes_last(&self, expr: &Expr, k: VarId) -> bool {
        match &expr.kind {
            ExprKind::Group(inner) => self.resumes_last(inner, k),
            ExprKind::Block(statements) | ExprKind::Splice(statements) => match statements.split_last() {
                Some((last, before)) => {
                    !before.iter().any(|statement| self.mentions(statement, k)) && self.resumes_last(last, k)
                }
                None => false,
            },
            ExprKind::If { condition, yes, no: Some(no) } => {
                !self.mentions(condition, k) && self.resumes_last(yes, k) && self.resumes_last(no, k)
            }
            ExprKind::Match { value, branches } => {
                let quiet = |pattern: &Pattern| {
                    let mut guards = Vec::new();
                    super::guards(pattern, &mut guards);
                    !guards.into_iter().any(|(guard, _)| self.mentions(guard, k))
                };
                !self.mentions(value, k)
                    && branches.iter().all(|branch| quiet(&branch.pattern) && self.resumes_last(&branch.body, k))
                    && branches.last().is_some_and(|branch| branch.pattern.is_irrefutable())
            }
            ExprKind::Call { function, argument } => self.is_variable(function, k) && !self.mentions(argument, k),
            _ => false,
        }
    }

    fn is_variable(&self, expr: &Expr, var: VarId) -> bool {
        match &expr.kind {
            ExprKind::Name(name) => self.names.meaning(name.id) == Some(var),
            ExprKind::Group(inner) => self.is_variable(inner, var),
            _ => false,
        }
    }

    /// The argument, if a call resumes the continuation of the clause that runs in place.
    pub(super) fn resumed_in_place(&self, expr: &'a Expr) -> Option<&'a Expr> {
        let k = self.f.in_place?;
        match &expr.kind {
            ExprKind::Call { function, argument } if self.is_variable(function, k) => Some(argument),
            _ => None,
        }
    }

    // ---- the functions of a handler

    pub(super) fn handler_job(&mut self, job: HandlerJob<'a>) {
        match job {
            HandlerJob::Guard(handler, index) => self.guard_function(handler, index),
            HandlerJob::Clause(handler, index) => self.clause_function(handler, index),
            HandlerJob::Done(done, id, index) => {
                let given = self.open_function(id, "return", 1);
                self.at(done.pattern.span);
                self.bind_or_raise(&done.pattern, given[0]);
                self.tail(&done.body);
                self.finish(index);
            }
        }
    }

    /// Starts a function of what `id` captures and so many values more.
    fn open_function(&mut self, id: crate::tree::FunctionId, name: &str, given: usize) -> Vec<Reg> {
        let captured = self.names.captures(id).to_vec();
        self.f = Frame::new(FunctionBuilder::new(signature(captured.len() + given), name), id);
        self.bind_params(&captured);
        (0..given).map(|at| self.f.builder.param(captured.len() + at)).collect()
    }

    /// Variables that a branch's operation binds, in a fixed order.
    fn operation_vars(&self, branch: &HandlerBranch) -> Vec<VarId> {
        let mut vars = Vec::new();
        branch.operation.for_each_binder(&mut |name| vars.extend(self.names.meaning(name.id)));
        vars.sort();
        vars.dedup();
        vars
    }

    fn guard_function(&mut self, handler: &'a Handler, index: FunctionIndex) {
        let given = self.open_function(handler.clause_id, "guard", 2);
        let (payload, effect) = (given[0], given[1]);
        let env = self.f.env.clone();
        for (number, branch) in handler.branches.iter().enumerate() {
            let next = self.f.builder.label(&[]);
            self.at(branch.operation.span);
            match &branch.operation.kind {
                PatternKind::Label { name, payload: wanted } => {
                    self.demand_effect(effect, name, next);
                    let carried = if is_bare(name) { payload } else { self.push(Op::LabelPayload { v: payload }) };
                    match wanted {
                        Some(wanted) => self.bind_or_go(wanted, carried, next),
                        None => {
                            let c = self.push(Op::TupleIs { v: carried, size: 0 });
                            let pass = self.f.builder.label(&[]);
                            self.f.builder.branch(c, pass, next);
                            self.f.builder.place(pass);
                        }
                    }
                }
                _ => {
                    let operation = self.operation(payload, effect);
                    self.bind_or_go(&branch.operation, operation, next);
                }
            }
            for guard in &branch.guards {
                let pass = self.f.builder.label(&[]);
                self.guard(guard, pass, next);
                self.f.builder.place(pass);
            }
            let number = self.int_const(number as i64);
            let mut items = vec![self.push(Op::ValInt { a: number })];
            for var in self.operation_vars(branch) {
                let reg = self.register(var);
                items.push(reg);
            }
            let value = self.push(Op::TupleNew { items });
            self.f.builder.end(Op::Return { value });
            self.f.env = env.clone();
            self.f.builder.place(next);
        }
        let value = self.unit();
        self.f.builder.end(Op::Return { value });
        self.finish(index);
    }

    fn demand_effect(&mut self, effect: Reg, name: &Text, miss: qualm_ir::builder::Label) {
        let b = self.push(Op::SymbolConst { name: name.clone() });
        let c = self.push(Op::ValEq { a: effect, b });
        let pass = self.f.builder.label(&[]);
        self.f.builder.branch(c, pass, miss);
        self.f.builder.place(pass);
    }

    /// The operation as a label.
    fn operation(&mut self, payload: Reg, effect: Reg) -> Reg {
        let join = self.f.builder.label(&[qualm_ir::types::Type::Val]);
        for name in ["Raise", "System"] {
            let (this, next) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
            let b = self.push(Op::SymbolConst { name: name.into() });
            let c = self.push(Op::ValEq { a: effect, b });
            self.f.builder.branch(c, this, next);
            self.f.builder.place(this);
            let label = self.push(Op::LabelNew { name: name.into(), payload });
            self.f.builder.jump(join, vec![label]);
            self.f.builder.place(next);
        }
        self.f.builder.jump(join, vec![payload]);
        self.f.builder.place(join)[0]
    }

    fn clause_function(&mut self, handler: &'a Handler, index: FunctionIndex) {
        let takes = self.takes(handler);
        let given = self.open_function(handler.clause_id, "clause", if takes.mode == Mode::Capture { 2 } else { 1 });
        let selection = given[0];
        let env = self.f.env.clone();
        let count = handler.branches.len();
        for (number, branch) in handler.branches.iter().enumerate() {
            let next = self.f.builder.label(&[]);
            self.at(branch.operation.span);
            if number + 1 < count {
                let c = self.is_selected(branch, number, selection, takes.total);
                let this = self.f.builder.label(&[]);
                self.f.builder.branch(c, this, next);
                self.f.builder.place(this);
            }
            if takes.total {
                if let PatternKind::Label { name, payload: Some(payload) } = &branch.operation.kind {
                    let carried = if is_bare(name) { selection } else { self.push(Op::LabelPayload { v: selection }) };
                    self.bind_or_raise(payload, carried);
                }
            } else {
                for (at, var) in (1..).zip(self.operation_vars(branch)) {
                    let value = self.push(Op::TupleGet { tuple: selection, index: at });
                    self.f.env.insert(var, value);
                }
            }
            match takes.mode {
                Mode::Drop => {}
                Mode::InPlace => self.f.in_place = self.continuation(branch),
                Mode::Capture => self.bind_or_raise(&branch.continuation, given[1]),
            }
            self.tail(&branch.body);
            self.f.env = env.clone();
            if number + 1 < count {
                self.f.builder.place(next);
            }
        }
        if count == 0 {
            let value = self.unit();
            self.f.builder.end(Op::Return { value });
        }
        self.finish(index);
    }

    fn is_selected(&mut self, branch: &HandlerBranch, number: usize, selection: Reg, total: bool) -> Reg {
        if total && let PatternKind::Label { name, .. } = &branch.operation.kind {
            return self.push(Op::LabelIs { v: selection, name: name.clone() });
        }
        let v = self.push(Op::TupleGet { tuple: selection, index: 0 });
        let a = self.push(Op::ValToInt { v });
        let b = self.int_const(number as i64);
        self.push(Op::IntEq { a, b })
    }

    // ---- performing

    /// An effect label with a payload performs; without one it is a function that does.
    pub(super) fn perform(&mut self, name: &Text, payload: Option<Reg>) -> Reg {
        if let Some(payload) = payload {
            return self.perform_op(name, payload);
        }
        let index = match self.performers.get(name) {
            Some(index) => *index,
            None => {
                let index = self.module.declare(signature(1));
                self.performers.insert(name.clone(), index);
                let mut builder = FunctionBuilder::new(signature(1), name.to_string());
                builder.set_span(self.f.builder.span());
                let outer = std::mem::replace(&mut self.f, Frame::new(builder, crate::tree::FunctionId(0)));
                let payload = self.f.builder.param(0);
                let value = self.perform_op(name, payload);
                self.f.builder.end(Op::Return { value });
                let made = std::mem::replace(&mut self.f, outer);
                self.module.define(index, made.builder);
                index
            }
        };
        self.push(Op::Closure { f: index, captures: Vec::new() })
    }

    fn perform_op(&mut self, name: &Text, payload: Reg) -> Reg {
        match &**name {
            "Raise" => self.push(Op::Raise { error: payload }),
            "System" => self.push(Op::System { request: payload }),
            _ => {
                let payload = self.push(Op::LabelNew { name: name.clone(), payload });
                self.push(Op::Perform { effect: name.clone(), payload })
            }
        }
    }

    // ---- fibers

    pub(super) fn fiber(&mut self, id: crate::tree::FunctionId) -> Reg {
        let body = self.function_value(id);
        self.native(Native::CoroutineNew, vec![body])
    }

    pub(super) fn leave(&mut self, value: &'a Expr, expr: &'a Expr) -> Reg {
        let payload = self.expr(value);
        self.at(expr.span);
        let effect = if let ExprKind::Yield(_) = expr.kind { YIELD } else { SWITCH };
        self.push(Op::Perform { effect: effect.into(), payload })
    }
}

/// Effects whose payload is not their label but what is in it.
fn is_bare(name: &str) -> bool {
    matches!(name, "Raise" | "System")
}
