//! Calls, `try` and `error`, built-ins by name.

use super::{Body, Lowerer, spine};
use crate::names::{Storage, as_lambda};
use crate::numeric::Kind;
use crate::tree::{Expr, ExprKind, FunctionId, Lambda, Literal, Pattern, PatternKind};
use qualm_ir::natives::Native;
use qualm_ir::op::Op;
use qualm_ir::source::Span;
use qualm_ir::types::{FunctionIndex, Reg, Type};

/// What a call reaches.
enum Callee {
    /// A function whose code is known: what it captures and how many arguments it takes.
    Known(FunctionIndex, Vec<Reg>, usize),
    /// One made for arguments of these types, and the type of its result.
    Typed(FunctionIndex, Vec<Reg>, Type),
    Value(Reg),
}

impl<'a> Lowerer<'a> {
    fn callee(&mut self, head: &'a Expr) -> Callee {
        let var = match &head.kind {
            ExprKind::Name(name) | ExprKind::Label { name, payload: None, .. } => self.names.meaning(name.id),
            ExprKind::LabelMember { label, .. } => self.names.meaning(label.id).filter(|var| self.is_prelude(*var)),
            _ => None,
        };
        if let Some(Storage::Known(function)) = var.map(|var| self.names.var(var).storage()) {
            return self.known(function);
        }
        if let Some(lambda) = as_lambda(head) {
            return self.known(lambda.id);
        }
        Callee::Value(self.expr(head))
    }

    fn known(&mut self, function: FunctionId) -> Callee {
        let (index, vars) = self.function_index(function);
        let captures = self.registers(&vars);
        let arity = match self.bodies[&function] {
            Body::Lambda(lambda, _) => Self::part_arity(lambda, 0),
            Body::Thunk(..) => 1,
        };
        Callee::Known(index, captures, arity)
    }

    /// What a call reaches and its arguments; in tail position only what a tail call of this function can reach.
    fn evaluated(&mut self, expr: &'a Expr, tail: bool) -> (Callee, Vec<Reg>) {
        let (head, args) = spine(expr);
        let typed = self.typed_callee(head, args.len());
        // `x . f` writes the argument first, and what is written first is evaluated first.
        let early: Vec<bool> = args.iter().map(|arg| arg.span.start < head.span.start).collect();
        let mut regs = vec![None; args.len()];
        let value = |lowerer: &mut Self, at: usize| match &typed {
            Some((_, computed)) if computed[at] => lowerer.typed(args[at]),
            _ => lowerer.expr(args[at]),
        };
        for at in (0..args.len()).filter(|at| early[*at]) {
            regs[at] = Some(value(self, at));
        }
        let callee = match &typed {
            Some(_) => None,
            None => Some(self.callee(head)),
        };
        let regs: Vec<Reg> =
            regs.into_iter().enumerate().map(|(at, reg)| reg.unwrap_or_else(|| value(self, at))).collect();
        self.at(expr.span);
        match (callee, typed) {
            (Some(callee), _) => (callee, regs),
            (None, Some((lambda, _))) => self.chosen_callee(lambda, regs, tail),
            (None, None) => unreachable!("one of them says what is called"),
        }
    }

    /// The version of a function for arguments in registers of these types.
    fn chosen_callee(&mut self, lambda: &'a Lambda, args: Vec<Reg>, tail: bool) -> (Callee, Vec<Reg>) {
        let (key, result) = self.version(lambda, &args);
        let wanted = self.f.result;
        let general = |lowerer: &mut Self, args: Vec<Reg>| {
            let args = args.into_iter().map(|arg| lowerer.boxed(arg)).collect();
            (lowerer.known(lambda.id), args)
        };
        if tail
            && wanted != Type::Val
            && let Some(facts) = self.f.facts.clone()
        {
            // Such a function only calls itself in tail position, with arguments of the kinds it was made for.
            let (index, vars) = self.version_index(lambda, &facts.key, wanted);
            let captures = self.registers(&vars);
            let args = self.arguments(&facts.key.1, args);
            return (Callee::Typed(index, captures, wanted), args);
        }
        if key.1.iter().all(|kind| *kind == Kind::Any) || (tail && result != wanted) {
            return general(self, args);
        }
        let (index, vars) = self.version_index(lambda, &key, result);
        let captures = self.registers(&vars);
        let args = self.arguments(&key.1, args);
        (Callee::Typed(index, captures, result), args)
    }

    /// The value of a call of a function that is no more than a built-in, written out in place; such functions are the prelude's
    /// names for instructions.
    fn inlined(&mut self, expr: &'a Expr) -> Option<Reg> {
        let (head, args) = spine(expr);
        let name = match &head.kind {
            ExprKind::Name(name) => name,
            ExprKind::LabelMember { label, .. } => label,
            _ => return None,
        };
        let var = self.names.meaning(name.id).filter(|var| self.is_prelude(*var))?;
        let Storage::Known(function) = self.names.var(var).storage() else { return None };
        let Body::Lambda(lambda, _) = self.bodies[&function] else { return None };
        if lambda.params.len() != args.len() || !is_wrapper(lambda) {
            return None;
        }
        let args: Vec<Reg> = args.into_iter().map(|arg| self.expr(arg)).collect();
        let vars: Vec<_> = lambda
            .params
            .iter()
            .map(|param| match &param.kind {
                PatternKind::Variable(name) => self.names.meaning(name.id),
                _ => None,
            })
            .collect();
        for (var, arg) in vars.iter().zip(args) {
            if let Some(var) = var {
                self.f.env.insert(*var, arg);
            }
        }
        let outer = self.inlining.replace(expr.span);
        let value = self.expr(&lambda.body);
        self.inlining = outer;
        for var in vars.into_iter().flatten() {
            self.f.env.remove(&var);
        }
        Some(value)
    }

    /// The value of a call, in a register of any type.
    pub(super) fn call_value(&mut self, expr: &'a Expr) -> Reg {
        if let Some(value) = self.inlined(expr) {
            return value;
        }
        let (callee, args) = self.evaluated(expr, false);
        match callee {
            Callee::Value(f) => self.f.builder.push(Op::Apply { f, args }),
            Callee::Typed(f, mut all, result) => {
                all.extend(args);
                let value = self.f.builder.push(Op::Call { f, args: all });
                self.note(value, result)
            }
            Callee::Known(f, mut all, arity) => {
                if args.len() < arity {
                    all.extend(args);
                    return self.f.builder.push(Op::Closure { f, captures: all });
                }
                all.extend_from_slice(&args[..arity]);
                let result = self.f.builder.push(Op::Call { f, args: all });
                let rest = args[arity..].to_vec();
                if rest.is_empty() { result } else { self.f.builder.push(Op::Apply { f: result, args: rest }) }
            }
        }
    }

    pub(super) fn call_tail(&mut self, expr: &'a Expr) {
        if let Some(argument) = self.resumed_in_place(expr) {
            let value = self.expr(argument);
            return self.f.builder.end(Op::Return { value });
        }
        if let Some(value) = self.inlined(expr) {
            return self.return_value(value);
        }
        if self.tests && self.f.builder.name().starts_with("test_") {
            let value = self.expr(expr);
            return self.f.builder.end(Op::Return { value });
        }
        let (callee, args) = self.evaluated(expr, true);
        match callee {
            Callee::Typed(f, mut all, _) => {
                all.extend(args);
                self.f.builder.end(Op::TailCall { f, args: all });
            }
            Callee::Value(f) => self.f.builder.end(Op::TailApply { f, args }),
            Callee::Known(f, mut all, arity) if args.len() == arity => {
                all.extend(args);
                self.f.builder.end(Op::TailCall { f, args: all });
            }
            Callee::Known(f, mut all, arity) if args.len() < arity => {
                all.extend(args);
                let value = self.f.builder.push(Op::Closure { f, captures: all });
                self.f.builder.end(Op::Return { value });
            }
            Callee::Known(f, mut all, arity) => {
                all.extend_from_slice(&args[..arity]);
                let result = self.f.builder.push(Op::Call { f, args: all });
                self.f.builder.end(Op::TailApply { f: result, args: args[arity..].to_vec() });
            }
        }
    }

    /// `try`: a handler of `Raise` that drops the rest. Bare labels are functions that wrap.
    pub(super) fn try_value(&mut self, id: FunctionId) -> Reg {
        let body = self.function_value(id);
        let guard = self.unit();
        let clause = self.f.builder.push(Op::SymbolConst { name: "Error".into() });
        let done = self.f.builder.push(Op::SymbolConst { name: "Ok".into() });
        self.f.builder.push(Op::Handle { body, guard, clause, done, effects: vec!["Raise".into()], mode: 0 })
    }

    // ---- built-ins by name

    pub(super) fn magic(&mut self, name: &str, operand: &'a Expr, span: Span) -> Reg {
        let args: Vec<&'a Expr> = match &operand.kind {
            ExprKind::Group(inner) => match &inner.kind {
                ExprKind::Tuple(items) => items.iter().collect(),
                _ => vec![inner],
            },
            ExprKind::Literal(Literal::Unit) => Vec::new(),
            _ => vec![operand],
        };
        if name == "if"
            && let [condition, yes, no] = args[..]
        {
            // All three are values: both sides are evaluated before one is chosen.
            let v = self.expr(condition);
            let (yes, no) = (self.expr(yes), self.expr(no));
            return self.chosen(v, yes, no, span);
        }
        let wanted = magic_arity(name);
        if args.len() != wanted {
            // One value that must be a tuple of the arguments.
            let tuple = self.expr(operand);
            self.at(span);
            let regs = (0..wanted as i64).map(|index| self.f.builder.push(Op::TupleGet { tuple, index })).collect();
            return self.magic_op(name, regs, span);
        }
        let regs: Vec<Reg> = args.into_iter().map(|arg| self.expr(arg)).collect();
        self.at(span);
        self.magic_op(name, regs, span)
    }

    fn chosen(&mut self, v: Reg, yes: Reg, no: Reg, span: Span) -> Reg {
        self.at(span);
        let c = self.f.builder.push(Op::ValTruth { v, role: "condition".into() });
        let join = self.f.builder.label(&[qualm_ir::types::Type::Val]);
        let yes = self.f.builder.target(join, vec![yes]);
        let no = self.f.builder.target(join, vec![no]);
        self.f.builder.end(Op::Branch { c, yes, no });
        self.f.builder.place(join)[0]
    }

    /// The operation a name stands for, on values.
    pub(super) fn magic_op(&mut self, name: &str, args: Vec<Reg>, span: Span) -> Reg {
        let at = |index: usize| args.get(index).copied().unwrap_or(Reg(0));
        let (a, b, c) = (at(0), at(1), at(2));
        let push = |lowerer: &mut Self, op| lowerer.f.builder.push(op);
        let truth = |lowerer: &mut Self, op| {
            let a = lowerer.f.builder.push(op);
            lowerer.f.builder.push(Op::ValBool { a })
        };
        let number = |lowerer: &mut Self, op| {
            let a = lowerer.f.builder.push(op);
            lowerer.f.builder.push(Op::ValInt { a })
        };
        let int = |lowerer: &mut Self, v| lowerer.f.builder.push(Op::ValToInt { v });
        match name {
            "add" => push(self, Op::ValAdd { a, b }),
            "sub" => push(self, Op::ValSub { a, b }),
            "mul" => push(self, Op::ValMul { a, b }),
            "div" => push(self, Op::ValDiv { a, b }),
            "rem" => push(self, Op::ValRem { a, b }),
            "pow" => push(self, Op::ValPow { a, b }),
            "neg" => push(self, Op::ValNeg { a }),
            "equal" => truth(self, Op::ValEq { a, b }),
            "less" => truth(self, Op::ValLt { a, b }),
            "greater" => truth(self, Op::ValGt { a, b }),
            "less_equal" => truth(self, Op::ValLe { a, b }),
            "greater_equal" => truth(self, Op::ValGe { a, b }),
            "if" => self.chosen(a, b, c, span),
            "to_string" => self.native(Native::TextDisplay, vec![a]),
            "println" | "print" => {
                let text = self.native(Native::TextDisplay, vec![a]);
                let end = self.text(if name == "println" { "\n" } else { "" });
                let line = push(self, Op::TextBuild { parts: vec![text, end] });
                let request = push(self, Op::LabelNew { name: "Write".into(), payload: line });
                push(self, Op::System { request });
                a
            }
            "system" => push(self, Op::System { request: a }),
            "kind" => number(self, Op::ValKind { v: a }),
            "predicate" => truth(self, Op::ValTruth { v: a, role: "predicate".into() }),
            "compare.less" => truth(self, Op::ValLt { a, b }),
            "list.push" => push(self, Op::ListPush { list: a, item: b }),
            "list.set" => {
                let index = int(self, b);
                push(self, Op::ListSet { list: a, index, item: c })
            }
            "list.get" => {
                let index = int(self, b);
                push(self, Op::ListGet { list: a, index })
            }
            "list.slice" => {
                let (from, to) = (int(self, b), int(self, c));
                push(self, Op::ListSlice { list: a, from, to })
            }
            "list.len" => number(self, Op::ListLen { v: a }),
            "map.new" => push(self, Op::MapNew {}),
            "map.has" => truth(self, Op::MapHas { map: a, key: b }),
            "map.get" => push(self, Op::MapGet { map: a, key: b, otherwise: c }),
            "map.insert" => push(self, Op::MapInsert { map: a, key: b, item: c }),
            "map.remove" => push(self, Op::MapRemove { map: a, key: b }),
            "map.len" => number(self, Op::MapLen { map: a }),
            "continuation.clone" => push(self, Op::ContinuationClone { k: a }),
            _ => {
                let native = Native::from_name(name).expect("the parser checked the name");
                self.native(native, args)
            }
        }
    }

    /// A built-in as a function of one value (a tuple if it takes several).
    pub(super) fn native_function(&mut self, name: &str) -> Reg {
        let index = self.module.declare(super::signature(1));
        let builder = qualm_ir::builder::FunctionBuilder::new(super::signature(1), name);
        let frame = super::Frame::new(builder, self.f.function);
        let outer = std::mem::replace(&mut self.f, frame);
        let param = self.f.builder.param(0);
        let wanted = magic_arity(name);
        let args = if wanted == 1 {
            vec![param]
        } else {
            (0..wanted as i64).map(|index| self.f.builder.push(Op::TupleGet { tuple: param, index })).collect()
        };
        let span = outer.builder.span();
        self.f.builder.set_span(span);
        let value = match span {
            Some(span) => self.magic_op(name, args, span),
            None => self.unit(),
        };
        self.f.builder.end(Op::Return { value });
        let done = std::mem::replace(&mut self.f, outer);
        self.module.define(index, done.builder);
        self.f.builder.push(Op::Closure { f: index, captures: Vec::new() })
    }
}

/// Whether a function only applies a built-in to its parameters and constants.
fn is_wrapper(lambda: &Lambda) -> bool {
    fn is_plain(expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Name(_) | ExprKind::Literal(_) => true,
            ExprKind::Label { payload, .. } => payload.as_ref().is_none_or(|payload| is_plain(payload)),
            ExprKind::Group(inner) => is_plain(inner),
            ExprKind::Tuple(items) => items.iter().all(is_plain),
            ExprKind::Magic { operand, .. } => is_plain(operand),
            _ => false,
        }
    }
    let plain_params = lambda.params.iter().all(Pattern::is_irrefutable);
    plain_params
        && lambda.guard.is_none()
        && matches!(lambda.body.kind, ExprKind::Magic { .. })
        && is_plain(&lambda.body)
}

/// How many arguments a built-in takes by its name.
fn magic_arity(name: &str) -> usize {
    match name {
        "neg" | "to_string" | "println" | "print" | "system" | "kind" | "predicate" | "list.len" | "map.len"
        | "continuation.clone" => 1,
        "if" | "list.set" | "list.slice" | "map.get" | "map.insert" => 3,
        "map.new" => 0,
        _ => Native::from_name(name).map_or(2, Native::arity),
    }
}
