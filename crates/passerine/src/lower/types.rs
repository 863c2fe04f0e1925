//! Type tests and the construction of declared labels (reference, section 11).
//!
//! A declared type becomes a function from a value to unit, or to the message and value that tell what is wrong; one for each list of type
//! arguments it is used with. So recursive types need nothing special, and deep data costs the fiber's stack, not the machine's. Another
//! function builds each of its labels: it tests the payload and raises `Type`.

use super::{Frame, Job, Lowerer, signature};
use crate::names::{LabelMeaning, VarId};
use crate::patterns::{Miss, literal_name};
use crate::tree::{Expr, ExprKind, Name, Pattern, PatternKind, Shape, Type, TypeDeclaration};
use qualm_ir::builder::FunctionBuilder;
use qualm_ir::op::Op;
use qualm_ir::types::{FunctionIndex, Reg, Signature, Type as RegType};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// Type arguments longer than this when written out are not looked at: only types that grow as they recurse have them.
const ARGUMENTS_CHARS_MAX: usize = 400;

/// A type and what its parameters stand for.
#[derive(Clone)]
pub(crate) struct TypeRef<'a> {
    ty: &'a Type,
    env: Option<Rc<TypeEnv<'a>>>,
}

/// What the parameters of a declaration stand for.
pub(crate) struct TypeEnv<'a> {
    parameters: &'a [Arc<str>],
    arguments: Vec<TypeRef<'a>>,
}

/// A function made from a type declaration.
pub(super) enum TypeJob<'a> {
    /// The test with these arguments.
    Test { declaration: &'a TypeDeclaration, arguments: Vec<TypeRef<'a>>, index: FunctionIndex },
    /// Building its label, or one of its variants.
    New { declaration: &'a TypeDeclaration, variant: Option<usize>, index: FunctionIndex },
}

impl<'a> Lowerer<'a> {
    /// Goes on if a value has a type, else misses.
    pub(crate) fn type_test(&mut self, ty: &'a Type, env: Option<&Rc<TypeEnv<'a>>>, value: Reg, miss: Miss) {
        match ty {
            Type::Any(_) => {}
            Type::Literal(literal) => {
                let b = self.literal_reg(literal);
                let c = self.push(Op::ValEq { a: value, b });
                self.test(c, miss, &format!("expected {}, found ", literal_name(literal)), value);
            }
            Type::Tuple(items) => {
                let c = self.push(Op::TupleIs { v: value, size: items.len() as i64 });
                self.test(c, miss, &format!("expected a tuple of {} items, found ", items.len()), value);
                for (index, item) in (0..).zip(items) {
                    let reg = self.push(Op::TupleGet { tuple: value, index });
                    self.type_test(item, env, reg, miss);
                }
            }
            Type::List(item) => {
                self.kind_test("List", "List", value, miss);
                if let Some(item) = item {
                    self.items_test(item, env, value, miss);
                }
            }
            Type::Record(fields) => {
                let c = self.push(Op::RecordIs { v: value });
                self.test(c, miss, "expected Record, found ", value);
                for (name, field) in fields {
                    let c = self.push(Op::RecordHas { v: value, name: name.clone() });
                    self.test(c, miss, &format!("no field {name} in "), value);
                    let reg = self.push(Op::RecordGet { v: value, name: name.clone() });
                    self.type_test(field, env, reg, miss);
                }
            }
            Type::Function { .. } => self.kinds_test(&["Function", "Continuation"], "Function", value, miss),
            Type::Labelled { name, payload } => {
                if let Some(arguments) = self.parameter(name, env) {
                    return self.type_test(arguments.ty, arguments.env.as_ref(), value, miss);
                }
                let c = self.push(Op::LabelIs { v: value, name: name.text.clone() });
                self.test(c, miss, &format!("expected label {}, found ", name.text), value);
                let reg = self.push(Op::LabelPayload { v: value });
                self.type_test(payload, env, reg, miss);
            }
            Type::Named { name, arguments } => self.named_test(name, arguments, env, value, miss),
            Type::Where { binder, ty, guard } => {
                self.type_test(ty, env, value, miss);
                if let Some(binder) = binder {
                    self.bind_variable(binder.id, value);
                }
                let (pass, fail) = (self.builder().label(&[]), self.builder().label(&[]));
                self.guard(guard, pass, fail);
                self.builder().place(fail);
                self.miss(miss, "guard refused ", value);
                self.builder().place(pass);
            }
        }
    }

    fn kind_test(&mut self, kind: &str, name: &str, value: Reg, miss: Miss) {
        let c = self.is_kind(value, kind);
        self.test(c, miss, &format!("expected {name}, found "), value);
    }

    fn kinds_test(&mut self, kinds: &[&str], name: &str, value: Reg, miss: Miss) {
        let (pass, fail) = (self.builder().label(&[]), self.builder().label(&[]));
        self.demand_any(value, kinds, fail);
        self.go_to(pass);
        self.builder().place(fail);
        self.miss(miss, &format!("expected {name}, found "), value);
        self.builder().place(pass);
    }

    /// What a parameter of the declaration stands for.
    fn parameter(&self, name: &Name, env: Option<&Rc<TypeEnv<'a>>>) -> Option<TypeRef<'a>> {
        const ANY: &Type = &Type::Any(None);
        let env = env?;
        let at = env.parameters.iter().position(|parameter| *parameter == name.text)?;
        Some(env.arguments.get(at).cloned().unwrap_or(TypeRef { ty: ANY, env: None }))
    }

    fn named_test(
        &mut self,
        name: &'a Name,
        arguments: &'a [Type],
        env: Option<&Rc<TypeEnv<'a>>>,
        value: Reg,
        miss: Miss,
    ) {
        if let Some(argument) = self.parameter(name, env) {
            return self.type_test(argument.ty, argument.env.as_ref(), value, miss);
        }
        if let Some(LabelMeaning::Declared(var, _)) = self.names().label(name.id) {
            let arguments = arguments.iter().map(|ty| TypeRef { ty, env: env.cloned() }).collect();
            return self.declared_test(var, arguments, value, miss);
        }
        let text = &*name.text;
        match text {
            "Any" => {}
            "Integer" | "Int" => self.kind_test("Integer", text, value, miss),
            "Nat" | "Natural" => {
                self.kind_test("Integer", text, value, miss);
                let zero = self.literal_reg(&crate::tree::Literal::Integer(0));
                let c = self.push(Op::ValLe { a: zero, b: value });
                self.test(c, miss, &format!("expected {text}, found "), value);
            }
            "Float" | "Real" => self.kind_test("Float", text, value, miss),
            "String" | "Unit" | "Record" | "Range" | "Map" | "Fiber" => self.kind_test(text, text, value, miss),
            "Boolean" | "Bool" => self.kind_test("Boolean", text, value, miss),
            "Tuple" => self.kinds_test(&["Tuple", "Unit"], text, value, miss),
            "Function" => self.kinds_test(&["Function", "Continuation"], text, value, miss),
            "List" => {
                self.kind_test("List", text, value, miss);
                if let Some(item) = arguments.first() {
                    self.items_test(item, env, value, miss);
                }
            }
            "Option" => self.variants_test(&[("Some", arguments.first())], Some("None"), text, env, value, miss),
            "Result" => {
                let variants = [("Ok", arguments.first()), ("Error", arguments.get(1))];
                self.variants_test(&variants, None, text, env, value, miss);
            }
            _ if text.chars().count() == 1 => {}
            _ => {
                let c = self.push(Op::LabelIs { v: value, name: name.text.clone() });
                self.test(c, miss, &format!("expected {text}, found "), value);
            }
        }
    }

    fn variants_test(
        &mut self,
        variants: &[(&str, Option<&'a Type>)],
        bare: Option<&str>,
        union: &str,
        env: Option<&Rc<TypeEnv<'a>>>,
        value: Reg,
        miss: Miss,
    ) {
        let pass = self.builder().label(&[]);
        for (name, payload) in variants {
            let (this, next) = (self.builder().label(&[]), self.builder().label(&[]));
            let c = self.push(Op::LabelIs { v: value, name: (*name).into() });
            self.builder().branch(c, this, next);
            self.builder().place(this);
            if let Some(payload) = payload {
                let reg = self.push(Op::LabelPayload { v: value });
                self.type_test(payload, env, reg, miss);
            }
            self.go_to(pass);
            self.builder().place(next);
        }
        let fail = self.builder().label(&[]);
        match bare {
            Some(bare) => {
                let c = self.push(Op::LabelIs { v: value, name: bare.into() });
                self.builder().branch(c, pass, fail);
            }
            None => self.go_to(fail),
        }
        self.builder().place(fail);
        self.miss(miss, &format!("expected {union}, found "), value);
        self.builder().place(pass);
    }

    /// Goes on if the answer of a test is unit, else misses with what it tells.
    fn answer_test(&mut self, answer: Reg, miss: Miss) {
        let pass = self.builder().label(&[]);
        let c = self.push(Op::TupleIs { v: answer, size: 0 });
        match miss {
            Miss::Go(label) => self.builder().branch(c, pass, label),
            Miss::Tell(label) => {
                let fail = self.builder().label(&[]);
                self.builder().branch(c, pass, fail);
                self.builder().place(fail);
                let message = self.push(Op::TupleGet { tuple: answer, index: 0 });
                let value = self.push(Op::TupleGet { tuple: answer, index: 1 });
                self.builder().jump(label, vec![message, value]);
            }
        }
        self.builder().place(pass);
    }

    /// Tests every item of a list with a loop in a function of its own.
    fn items_test(&mut self, item: &'a Type, env: Option<&Rc<TypeEnv<'a>>>, list: Reg, miss: Miss) {
        let mut vars = BTreeSet::new();
        self.type_uses(item, &mut vars);
        let vars: Vec<VarId> = vars.into_iter().filter(|var| self.f.env.contains_key(var)).collect();
        let mut params = vec![RegType::Val, RegType::Int, RegType::Int];
        params.extend(vec![RegType::Val; vars.len()]);
        let shape = Signature { params, result: RegType::Val };
        let index = self.module.declare(shape.clone());
        let mut builder = FunctionBuilder::new(shape, "items test");
        builder.set_span(self.f.builder.span());
        let frame = Frame::new(builder, self.f.function);
        let outer = std::mem::replace(&mut self.f, frame);
        for (at, var) in vars.iter().enumerate() {
            let reg = self.f.builder.param(3 + at);
            self.f.env.insert(*var, reg);
        }
        let (go, done) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
        let told = self.f.builder.label(&[RegType::Val, RegType::Val]);
        let (seq, at, end) = (Reg(0), Reg(1), Reg(2));
        let c = self.push(Op::IntLt { a: at, b: end });
        self.f.builder.branch(c, go, done);
        self.f.builder.place(go);
        let value = self.push(Op::ListGet { list: seq, index: at });
        self.type_test(item, env, value, Miss::Tell(told));
        let one = self.int_const(1);
        let next = self.push(Op::IntAdd { a: at, b: one });
        let mut args = vec![seq, next, end];
        args.extend((0..vars.len()).map(|at| self.f.builder.param(3 + at)));
        self.f.builder.end(Op::TailCall { f: index, args });
        self.f.builder.place(done);
        self.pass_or_tell(told);
        let made = std::mem::replace(&mut self.f, outer);
        self.module.define(index, made.builder);
        let zero = self.int_const(0);
        let length = self.push(Op::ListLen { v: list });
        let mut args = vec![list, zero, length];
        args.extend(self.registers(&vars));
        let answer = self.push(Op::Call { f: index, args });
        self.answer_test(answer, miss);
    }

    /// Ends a test function: unit here, message and value at `told`.
    fn pass_or_tell(&mut self, told: qualm_ir::builder::Label) {
        let value = self.unit();
        self.f.builder.end(Op::Return { value });
        let params = self.f.builder.place(told);
        let value = self.push(Op::TupleNew { items: params });
        self.f.builder.end(Op::Return { value });
    }

    // ---- declared types

    fn declaration(&self, var: VarId) -> Option<&'a TypeDeclaration> {
        match self.names.var(var).storage() {
            crate::names::Storage::Known(id) => self.declarations.get(&id).copied(),
            _ => None,
        }
    }

    fn declared_test(&mut self, var: VarId, arguments: Vec<TypeRef<'a>>, value: Reg, miss: Miss) {
        let Some(declaration) = self.declaration(var) else { return };
        let mut spelled = String::new();
        arguments.iter().for_each(|argument| spell(argument, &mut spelled));
        let (arguments, spelled) =
            if spelled.len() > ARGUMENTS_CHARS_MAX { (Vec::new(), String::new()) } else { (arguments, spelled) };
        let captures = self.names.captures(declaration.id).to_vec();
        let key = (declaration.id, spelled);
        let index = match self.type_functions.get(&key) {
            Some(index) => *index,
            None => {
                let index = self.module.declare(signature(captures.len() + 1));
                self.type_functions.insert(key, index);
                self.queue.push(Job::Type(TypeJob::Test { declaration, arguments, index }));
                index
            }
        };
        let mut args = self.registers(&captures);
        args.push(value);
        let answer = self.push(Op::Call { f: index, args });
        self.answer_test(answer, miss);
    }

    /// A label of a declared type: its payload is tested first.
    pub(super) fn build_declared(
        &mut self,
        var: VarId,
        variant: Option<usize>,
        name: &Name,
        payload: Option<Reg>,
    ) -> Reg {
        let Some(declaration) = self.declaration(var) else { return self.unit() };
        let ty = match (&declaration.shape, variant) {
            (Shape::Payload(ty), _) => Some(ty),
            (Shape::Union(variants), Some(at)) => variants[at].payload.as_ref(),
            // The name of a union is a label like any other.
            (Shape::Union(_), None) => {
                return match payload {
                    Some(payload) => self.push(Op::LabelNew { name: name.text.clone(), payload }),
                    None => self.push(Op::SymbolConst { name: name.text.clone() }),
                };
            }
        };
        let is_unit = ty.is_none_or(|ty| matches!(ty, Type::Literal(crate::tree::Literal::Unit)));
        if payload.is_none() && is_unit {
            return self.push(Op::SymbolConst { name: name.text.clone() });
        }
        let captures = self.names.captures(declaration.id).to_vec();
        let key = (declaration.id, format!("new {}", name.text));
        let index = match self.type_functions.get(&key) {
            Some(index) => *index,
            None => {
                let index = self.module.declare(signature(captures.len() + 1));
                self.type_functions.insert(key, index);
                self.queue.push(Job::Type(TypeJob::New { declaration, variant, index }));
                index
            }
        };
        let mut args = self.registers(&captures);
        match payload {
            Some(payload) => {
                args.push(payload);
                self.push(Op::Call { f: index, args })
            }
            None => self.push(Op::Closure { f: index, captures: args }),
        }
    }

    pub(super) fn type_job(&mut self, job: TypeJob<'a>) {
        match job {
            TypeJob::Test { declaration, arguments, index } => self.test_function(declaration, arguments, index),
            TypeJob::New { declaration, variant, index } => self.new_function(declaration, variant, index),
        }
    }

    fn open_type_function(&mut self, declaration: &'a TypeDeclaration) -> Reg {
        let captures = self.names.captures(declaration.id).to_vec();
        let mut builder = FunctionBuilder::new(signature(captures.len() + 1), declaration.name.text.to_string());
        builder.set_span(Some(declaration.name.span));
        self.f = Frame::new(builder, declaration.id);
        self.bind_params(&captures);
        self.f.builder.param(captures.len())
    }

    fn test_function(&mut self, declaration: &'a TypeDeclaration, arguments: Vec<TypeRef<'a>>, index: FunctionIndex) {
        let value = self.open_type_function(declaration);
        let env = Rc::new(TypeEnv { parameters: &declaration.parameters, arguments });
        let told = self.f.builder.label(&[RegType::Val, RegType::Val]);
        let pass = self.f.builder.label(&[]);
        match &declaration.shape {
            Shape::Payload(ty) => {
                let other = self.f.builder.label(&[]);
                let c = self.push(Op::LabelIs { v: value, name: declaration.name.text.clone() });
                self.f.builder.branch(c, pass, other);
                self.f.builder.place(other);
                self.type_test(ty, Some(&env), value, Miss::Tell(told));
                self.go_to(pass);
            }
            Shape::Union(variants) => {
                for variant in variants {
                    let (this, next) = (self.f.builder.label(&[]), self.f.builder.label(&[]));
                    let c = self.push(Op::LabelIs { v: value, name: variant.name.text.clone() });
                    self.f.builder.branch(c, this, next);
                    self.f.builder.place(this);
                    let payload = self.push(Op::LabelPayload { v: value });
                    self.payload_test(variant.payload.as_ref(), Some(&env), payload, told);
                    self.go_to(pass);
                    self.f.builder.place(next);
                }
                self.miss(Miss::Tell(told), &format!("expected {}, found ", declaration.name.text), value);
            }
        }
        self.f.builder.place(pass);
        self.pass_or_tell(told);
        self.finish(index);
    }

    fn payload_test(
        &mut self,
        ty: Option<&'a Type>,
        env: Option<&Rc<TypeEnv<'a>>>,
        payload: Reg,
        told: qualm_ir::builder::Label,
    ) {
        match ty {
            Some(ty) => self.type_test(ty, env, payload, Miss::Tell(told)),
            None => {
                let c = self.push(Op::TupleIs { v: payload, size: 0 });
                self.test(c, Miss::Tell(told), "expected (), found ", payload);
            }
        }
    }

    fn new_function(&mut self, declaration: &'a TypeDeclaration, variant: Option<usize>, index: FunctionIndex) {
        let payload = self.open_type_function(declaration);
        let env = Rc::new(TypeEnv { parameters: &declaration.parameters, arguments: Vec::new() });
        let told = self.f.builder.label(&[RegType::Val, RegType::Val]);
        let (name, ty) = match (&declaration.shape, variant) {
            (Shape::Payload(ty), _) => (&declaration.name, Some(ty)),
            (Shape::Union(variants), at) => {
                let variant = &variants[at.unwrap_or(0)];
                (&variant.name, variant.payload.as_ref())
            }
        };
        self.payload_test(ty, Some(&env), payload, told);
        let value = self.push(Op::LabelNew { name: name.text.clone(), payload });
        self.f.builder.end(Op::Return { value });
        let params = self.f.builder.place(told);
        let error = self.type_error(&format!("{}: ", declaration.name.text), params);
        let value = self.push(Op::Raise { error });
        self.f.builder.end(Op::Return { value });
        self.finish(index);
    }

    // ---- what types use

    /// The variables that testing a type uses.
    pub(super) fn type_uses(&self, ty: &'a Type, used: &mut BTreeSet<VarId>) {
        each_name_and_guard(ty, &mut |name| self.label_uses(name, used), &mut |_| {});
        let mut guards = Vec::new();
        each_name_and_guard(ty, &mut |_| {}, &mut |guard| guards.push(guard));
        used.extend(self.uses_of(&guards));
    }

    /// The variables that testing or building a declared label uses.
    pub(super) fn label_uses(&self, name: &Name, used: &mut BTreeSet<VarId>) {
        if let Some(LabelMeaning::Declared(var, _)) = self.names.label(name.id)
            && let Some(declaration) = self.declaration(var)
        {
            used.extend(self.names.captures(declaration.id));
        }
    }
}

/// Writes a type argument out; equal spellings mean equal types.
fn spell(argument: &TypeRef<'_>, out: &mut String) {
    if out.len() > ARGUMENTS_CHARS_MAX {
        return;
    }
    let inner = |ty, out: &mut String| spell(&TypeRef { ty, env: argument.env.clone() }, out);
    match argument.ty {
        Type::Any(_) => out.push('_'),
        Type::Literal(literal) => out.push_str(&literal_name(literal)),
        Type::Named { name, arguments } => {
            if let Some(env) = &argument.env
                && let Some(at) = env.parameters.iter().position(|parameter| *parameter == name.text)
            {
                return match env.arguments.get(at) {
                    Some(argument) => spell(argument, out),
                    None => out.push('_'),
                };
            }
            out.push_str(&format!("({}#{}", name.text, name.id.0));
            arguments.iter().for_each(|ty| inner(ty, out));
            out.push(')');
        }
        Type::Labelled { name, payload } => {
            out.push_str(&name.text);
            out.push(' ');
            inner(payload, out);
        }
        Type::Tuple(items) => {
            out.push('(');
            for item in items {
                inner(item, out);
                out.push(',');
            }
            out.push(')');
        }
        Type::List(None) => out.push_str("[]"),
        Type::List(Some(item)) => {
            out.push('[');
            inner(item, out);
            out.push(']');
        }
        Type::Record(fields) => {
            out.push('{');
            for (name, field) in fields {
                out.push_str(name);
                out.push(':');
                inner(field, out);
                out.push(',');
            }
            out.push('}');
        }
        Type::Function { .. } => out.push_str("->"),
        // A guard is known by where it stands.
        Type::Where { guard, .. } => out.push_str(&format!("where {:?}", guard.span)),
    }
}

/// Visits the names and guards of a type.
fn each_name_and_guard<'a>(ty: &'a Type, name: &mut dyn FnMut(&'a Name), guard: &mut dyn FnMut(&'a Expr)) {
    match ty {
        Type::Any(_) | Type::Literal(_) | Type::List(None) => {}
        Type::Named { name: found, arguments } => {
            name(found);
            arguments.iter().for_each(|argument| each_name_and_guard(argument, name, guard));
        }
        Type::Labelled { name: found, payload } => {
            name(found);
            each_name_and_guard(payload, name, guard);
        }
        Type::Tuple(items) => items.iter().for_each(|item| each_name_and_guard(item, name, guard)),
        Type::List(Some(item)) => each_name_and_guard(item, name, guard),
        Type::Record(fields) => fields.iter().for_each(|(_, field)| each_name_and_guard(field, name, guard)),
        Type::Function { from, to, .. } => {
            each_name_and_guard(from, name, guard);
            each_name_and_guard(to, name, guard);
        }
        Type::Where { ty, guard: found, .. } => {
            each_name_and_guard(ty, name, guard);
            guard(found);
        }
    }
}

/// The guards of a type.
pub(super) fn type_guards<'a>(ty: &'a Type, found: &mut Vec<&'a Expr>) {
    each_name_and_guard(ty, &mut |_| {}, &mut |guard| found.push(guard));
}

/// The types in a pattern.
pub(super) fn pattern_types<'a>(pattern: &'a Pattern, found: &mut Vec<&'a Type>) {
    match &pattern.kind {
        PatternKind::Variable(_) | PatternKind::Discard | PatternKind::Literal(_) | PatternKind::MacroVariable(_) => {}
        PatternKind::Label { payload, .. } => payload.iter().for_each(|payload| pattern_types(payload, found)),
        PatternKind::Tuple(items) | PatternKind::Or(items) => items.iter().for_each(|item| pattern_types(item, found)),
        PatternKind::List { before, rest, after } => {
            before.iter().chain(after).for_each(|item| pattern_types(item, found));
            rest.iter().flatten().for_each(|rest| pattern_types(rest, found));
        }
        PatternKind::Record { fields, rest } => {
            fields.iter().for_each(|(_, field)| pattern_types(field, found));
            rest.iter().for_each(|rest| pattern_types(rest, found));
        }
        PatternKind::Is { pattern, ty } => {
            found.push(ty);
            pattern_types(pattern, found);
        }
        PatternKind::Where { pattern, .. } => pattern_types(pattern, found),
    }
}

/// The types an expression tests, not those of its parts.
pub(super) fn own_types<'a>(expr: &'a Expr, found: &mut Vec<&'a Type>) {
    if let ExprKind::Is { ty, .. } | ExprKind::Annotated { ty, .. } = &expr.kind {
        found.push(ty);
    }
}
