//! Numbers in registers: `int` and `float` where a value's kind is certain ([`numeric`](crate::numeric)), values of any kind elsewhere.
//!
//! A variable has one type in the whole function: that of its kind, joined over all its assignments.

use super::{Body, Frame, Job, Join, Lowerer};
use crate::names::{Storage, VarId};
use crate::numeric::{Facts, Key, Kind, ungrouped};
use crate::tree::{BinaryOp, Expr, ExprKind, Lambda, Literal};
use qualm_ir::builder::FunctionBuilder;
use qualm_ir::op::Op;
use qualm_ir::source::Span;
use qualm_ir::types::{Float64, FunctionIndex, Reg, Signature, Type};
use std::rc::Rc;

/// The type of registers for values of a kind.
fn type_of_kind(kind: Kind) -> Type {
    match kind {
        Kind::Integer => Type::Int,
        Kind::Float => Type::Float,
        Kind::Never | Kind::Number | Kind::Any => Type::Val,
    }
}

/// The kind of what a register holds.
fn kind_of_type(ty: Type) -> Kind {
    match ty {
        Type::Int => Kind::Integer,
        Type::Float => Kind::Float,
        Type::Val => Kind::Any,
    }
}

impl<'a> Lowerer<'a> {
    // ---- registers

    /// The type of a register that holds a value of the program.
    pub(crate) fn type_of(&self, reg: Reg) -> Type {
        self.f.types.get(&reg).copied().unwrap_or(Type::Val)
    }

    /// Says that a register holds a value of the program, in this type.
    pub(crate) fn note(&mut self, reg: Reg, ty: Type) -> Reg {
        if ty != Type::Val {
            self.f.types.insert(reg, ty);
        }
        reg
    }

    /// The type that a variable of the function has in registers.
    pub(super) fn type_of_var(&self, var: VarId) -> Type {
        match &self.f.facts {
            Some(facts) if self.names.var(var).storage() == Storage::Register => type_of_kind(facts.variable(var)),
            _ => Type::Val,
        }
    }

    /// The same value in a register for values of any kind.
    pub(crate) fn boxed(&mut self, reg: Reg) -> Reg {
        match self.type_of(reg) {
            Type::Val => reg,
            Type::Int => self.f.builder.push(Op::ValInt { a: reg }),
            Type::Float => self.f.builder.push(Op::ValFloat { a: reg }),
        }
    }

    /// The same value in a register of a type that is certain to have room for it.
    pub(crate) fn coerced(&mut self, reg: Reg, wanted: Type) -> Reg {
        if self.type_of(reg) == wanted {
            return reg;
        }
        let v = self.boxed(reg);
        match wanted {
            Type::Val => v,
            Type::Int => {
                let reg = self.f.builder.push(Op::ValToInt { v });
                self.note(reg, Type::Int)
            }
            Type::Float => {
                let reg = self.f.builder.push(Op::ValToFloat { v });
                self.note(reg, Type::Float)
            }
        }
    }

    /// Ends the function with a value.
    pub(super) fn return_value(&mut self, value: Reg) {
        let value = self.coerced(value, self.f.result);
        self.f.builder.end(Op::Return { value });
    }

    // ---- expressions

    /// The value of an expression in a register of this type.
    pub(super) fn wanted(&mut self, expr: &'a Expr, wanted: Type) -> Reg {
        let value = if wanted == Type::Val { self.expr(expr) } else { self.typed(expr) };
        self.coerced(value, wanted)
    }

    /// The value of an expression that is computed with: also what is certainly a number of one kind, but came from elsewhere as a value, is unboxed.
    pub(super) fn number(&mut self, expr: &'a Expr) -> Reg {
        let value = self.typed(expr);
        match self.type_of_value(ungrouped(expr)) {
            Type::Val => value,
            certain => self.coerced(value, certain),
        }
    }

    /// The type of an expression that joins several ways, or of a call.
    fn type_of_value(&self, expr: &Expr) -> Type {
        self.f.facts.as_ref().map_or(Type::Val, |facts| type_of_kind(facts.value(expr)))
    }

    /// The value of an expression, unboxed if it is certainly a number of one kind.
    pub(super) fn typed(&mut self, expr: &'a Expr) -> Reg {
        if self.f.facts.is_none() {
            return self.expr(expr);
        }
        self.at(expr.span);
        match &expr.kind {
            ExprKind::Literal(Literal::Integer(value)) => {
                let reg = self.int_const(*value);
                self.note(reg, Type::Int)
            }
            ExprKind::Literal(Literal::Float(value)) => {
                let value = Float64::new(*value).expect("a literal is a number");
                let reg = self.f.builder.push(Op::FloatConst { value });
                self.note(reg, Type::Float)
            }
            ExprKind::Group(inner) => self.typed(inner),
            ExprKind::Name(name) => {
                let var = self.names.meaning(name.id);
                let register = |var: &VarId| {
                    self.names.var(*var).storage() == Storage::Register && self.names.var(*var).literal().is_none()
                };
                match var.filter(register).and_then(|var| self.f.env.get(&var).copied()) {
                    Some(reg) => reg,
                    None => self.expr(expr),
                }
            }
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, expr),
            ExprKind::Negate(inner) => self.negation(inner, expr),
            ExprKind::Call { .. } => self.call_value(expr),
            ExprKind::Block(statements) if self.type_of_value(expr) != Type::Val => {
                self.body_statements(statements, Join::Typed)
            }
            ExprKind::If { condition, yes, no } => {
                let wanted = self.type_of_value(expr);
                self.if_value(condition, yes, no.as_deref(), wanted)
            }
            ExprKind::Match { value, branches } => {
                let wanted = self.type_of_value(expr);
                self.match_value(value, branches, wanted)
            }
            _ => self.expr(expr),
        }
    }

    pub(super) fn negation(&mut self, inner: &'a Expr, expr: &'a Expr) -> Reg {
        let a = self.typed(inner);
        self.at(expr.span);
        match self.type_of(a) {
            Type::Int => {
                let reg = self.f.builder.push(Op::IntNeg { a });
                self.note(reg, Type::Int)
            }
            Type::Float => {
                let reg = self.f.builder.push(Op::FloatNeg { a });
                self.note(reg, Type::Float)
            }
            Type::Val => self.f.builder.push(Op::ValNeg { a }),
        }
    }

    fn operands(&mut self, left: &'a Expr, right: &'a Expr) -> (Reg, Reg) {
        let a = self.number(left);
        let b = self.number(right);
        (a, b)
    }

    fn as_float(&mut self, reg: Reg) -> Reg {
        if self.type_of(reg) != Type::Int {
            return reg;
        }
        let reg = self.f.builder.push(Op::IntToFloat { a: reg });
        self.note(reg, Type::Float)
    }

    /// The value of an operator that evaluates both sides.
    pub(super) fn binary(&mut self, op: BinaryOp, left: &'a Expr, right: &'a Expr, expr: &'a Expr) -> Reg {
        if let Some(c) = self.comparison(op, left, right, expr.span) {
            return self.f.builder.push(Op::ValBool { a: c });
        }
        let (a, b) = self.operands(left, right);
        self.at(expr.span);
        match (self.type_of(a), self.type_of(b)) {
            (Type::Int, Type::Int) if op != BinaryOp::Pow => {
                let reg = self.f.builder.push(match op {
                    BinaryOp::Add => Op::IntAdd { a, b },
                    BinaryOp::Sub => Op::IntSub { a, b },
                    BinaryOp::Mul => Op::IntMul { a, b },
                    BinaryOp::Div => Op::IntDiv { a, b },
                    _ => Op::IntRem { a, b },
                });
                return self.note(reg, Type::Int);
            }
            (Type::Float, Type::Float | Type::Int) | (Type::Int, Type::Float) if op != BinaryOp::Pow => {
                let (a, b) = (self.as_float(a), self.as_float(b));
                return self.float_operation(op, a, b);
            }
            // What arithmetic gave is a number.
            (Type::Float, Type::Val) if op != BinaryOp::Pow && is_arithmetic(right) => {
                let b = self.coerced(b, Type::Float);
                return self.float_operation(op, a, b);
            }
            (Type::Val, Type::Float) if op != BinaryOp::Pow && is_arithmetic(left) => {
                let a = self.coerced(a, Type::Float);
                return self.float_operation(op, a, b);
            }
            _ => {}
        }
        let (a, b) = (self.boxed(a), self.boxed(b));
        self.f.builder.push(match op {
            BinaryOp::Add => Op::ValAdd { a, b },
            BinaryOp::Sub => Op::ValSub { a, b },
            BinaryOp::Mul => Op::ValMul { a, b },
            BinaryOp::Div => Op::ValDiv { a, b },
            BinaryOp::Rem => Op::ValRem { a, b },
            _ => Op::ValPow { a, b },
        })
    }

    fn float_operation(&mut self, op: BinaryOp, a: Reg, b: Reg) -> Reg {
        let reg = self.f.builder.push(match op {
            BinaryOp::Add => Op::FloatAdd { a, b },
            BinaryOp::Sub => Op::FloatSub { a, b },
            BinaryOp::Mul => Op::FloatMul { a, b },
            BinaryOp::Div => Op::FloatDiv { a, b },
            _ => Op::FloatRem { a, b },
        });
        self.note(reg, Type::Float)
    }

    /// The answer of a comparison, as an integer.
    pub(super) fn comparison(&mut self, op: BinaryOp, left: &'a Expr, right: &'a Expr, span: Span) -> Option<Reg> {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        if !matches!(op, Eq | Ne | Lt | Le | Gt | Ge) {
            return None;
        }
        let (a, b) = self.operands(left, right);
        self.at(span);
        let c = match (self.type_of(a), self.type_of(b)) {
            (Type::Int, Type::Int) => match op {
                Eq => Op::IntEq { a, b },
                Ne => Op::IntNe { a, b },
                Lt => Op::IntLt { a, b },
                Le => Op::IntLe { a, b },
                Gt => Op::IntLt { a: b, b: a },
                _ => Op::IntLe { a: b, b: a },
            },
            // An Integer never equals a Float, but is ordered with it.
            (Type::Float, Type::Float | Type::Int) | (Type::Int, Type::Float) if !matches!(op, Eq | Ne) => {
                let (a, b) = (self.as_float(a), self.as_float(b));
                match op {
                    Lt => Op::FloatLt { a, b },
                    Le => Op::FloatLe { a, b },
                    Gt => Op::FloatLt { a: b, b: a },
                    _ => Op::FloatLe { a: b, b: a },
                }
            }
            (Type::Float, Type::Float) if op == Eq => Op::FloatEq { a, b },
            _ => {
                let (a, b) = (self.boxed(a), self.boxed(b));
                match op {
                    Eq => Op::ValEq { a, b },
                    Ne => Op::ValNe { a, b },
                    Lt => Op::ValLt { a, b },
                    Le => Op::ValLe { a, b },
                    Gt => Op::ValGt { a, b },
                    _ => Op::ValGe { a, b },
                }
            }
        };
        Some(self.f.builder.push(c))
    }

    // ---- functions

    /// The function that a call reaches if it may have versions for numbers, and which arguments matter.
    pub(super) fn typed_callee(&mut self, head: &Expr, args: usize) -> Option<(&'a Lambda, Rc<[bool]>)> {
        self.f.facts.as_ref()?;
        let numeric = self.numeric.as_mut()?;
        let lambda = numeric.callee(head)?;
        (lambda.params.len() == args).then(|| (lambda, numeric.computed(lambda)))
    }

    /// The version of a function for arguments in registers of these types, and the type of its result.
    pub(super) fn version(&mut self, lambda: &'a Lambda, args: &[Reg]) -> (Key, Type) {
        let kinds: Vec<Kind> = args.iter().map(|arg| kind_of_type(self.type_of(*arg))).collect();
        let numeric = self.numeric.as_mut().expect("only asked for with facts");
        let key = numeric.key(lambda, &kinds);
        let facts = numeric.of(&key);
        let is_general = key.1.iter().all(|kind| *kind == Kind::Any);
        let result = if is_general { Type::Val } else { type_of_kind(facts.result()) };
        (key, result)
    }

    /// Arguments in the registers that a version takes them in.
    pub(super) fn arguments(&mut self, kinds: &[Kind], args: Vec<Reg>) -> Vec<Reg> {
        args.into_iter().zip(kinds).map(|(arg, kind)| self.coerced(arg, type_of_kind(*kind))).collect()
    }

    /// The machine function of a version and what it captures.
    pub(super) fn version_index(&mut self, lambda: &Lambda, key: &Key, result: Type) -> (FunctionIndex, Vec<VarId>) {
        let captures = self.names.captures(lambda.id).to_vec();
        if let Some(index) = self.versions.get(key) {
            return (*index, captures);
        }
        let index = self.module.declare(version_signature(captures.len(), key, result));
        self.versions.insert(key.clone(), index);
        self.queue.push(Job::Version { key: key.clone(), result, index });
        (index, captures)
    }

    /// Lowers a version of a function.
    pub(super) fn version_job(&mut self, key: &Key, result: Type, index: FunctionIndex) {
        let Body::Lambda(lambda, name) = self.bodies[&key.0] else { unreachable!("versions are of functions") };
        let captures = self.names.captures(key.0).to_vec();
        let signature = version_signature(captures.len(), key, result);
        let types = signature.params.clone();
        self.f = Frame::new(FunctionBuilder::new(signature, name), key.0);
        self.f.result = result;
        self.f.facts = self.numeric.as_mut().map(|numeric| numeric.of(key));
        self.bind_params(&captures);
        for (at, param) in lambda.params.iter().enumerate() {
            let argument = self.f.builder.param(captures.len() + at);
            self.note(argument, types[captures.len() + at]);
            self.at(param.span);
            self.bind_or_raise(param, argument);
        }
        self.guarded_body(lambda);
        self.finish(index);
    }

    /// What is known of a function whatever its arguments are.
    pub(super) fn general_facts(&mut self, lambda: &'a Lambda) -> Option<Rc<Facts>> {
        let numeric = self.numeric.as_mut()?;
        Some(numeric.of(&(lambda.id, vec![Kind::Any; lambda.params.len()])))
    }
}

fn version_signature(captures: usize, (_, kinds): &Key, result: Type) -> Signature {
    let mut params = vec![Type::Val; captures];
    params.extend(kinds.iter().map(|kind| type_of_kind(*kind)));
    Signature { params, result }
}

/// Whether an expression is arithmetic that only numbers come out of.
fn is_arithmetic(expr: &Expr) -> bool {
    let expr = ungrouped(expr);
    match &expr.kind {
        ExprKind::Binary { op, .. } => {
            matches!(op, BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Pow)
        }
        ExprKind::Negate(_) => true,
        _ => false,
    }
}
