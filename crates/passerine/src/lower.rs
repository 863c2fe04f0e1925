//! From the tree to functions of the machine.
//!
//! Every Passerine function becomes a function whose first parameters are what it captures; a value of it is that function holding those
//! arguments. A known function is called directly. A loop becomes a function too, whose parameters are the variables it uses and whose result are those it
//! assigns; the machine makes a real loop of it. Variables in registers are renamed by assignment: the environment maps each to the
//! register that holds its present value, and joins take what differs as parameters.

mod calls;
mod control;
mod data;
mod effects;
mod numbers;
mod types;
mod walk;

use crate::modules::{Front, Lowering};
use crate::names::{Names, Storage, VarId};
use crate::numeric::{self, Facts, Key, Numeric};
use crate::tree::{Expr, FunctionId, Lambda, Literal, Name, Pattern, TypeDeclaration};
use qualm_ir::builder::{FunctionBuilder, Label, ModuleBuilder};
use qualm_ir::diagnostic::Diagnostic;
use qualm_ir::limits::PARAMS_MAX;
use qualm_ir::module::Module;
use qualm_ir::natives::Native;
use qualm_ir::op::Op;
use qualm_ir::source::{SourceMap, Span};
use qualm_ir::types::{Float64, FunctionIndex, Reg, Signature, Text, Type};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use walk::{for_each_bound, for_each_child, for_each_pattern, guards, spine};

/// A parsed file.
pub(crate) struct File {
    pub(crate) statements: Vec<Expr>,
    pub(crate) function: FunctionId,
}

/// Lowers a program: the main file runs first, module files when they are first used.
///
/// # Errors
/// What the machine has no room for.
pub(crate) fn lower(front: &Front, sources: &SourceMap, lowering: Lowering) -> Result<Module, Vec<Diagnostic>> {
    let mut lowerer = Lowerer::new(front, sources);
    lowerer.tests = lowering.test_frames;
    if lowering.boxed {
        lowerer.numeric = None;
    }
    lowerer.main(&front.main);
    lowerer.finished()
}

/// Lowers an input of a [session](crate::session): the last statements of the main file. `before` are the variables whose cells it gets, `after` those whose cells
/// it gives.
///
/// # Errors
/// What the machine has no room for.
pub(crate) fn lower_session(
    front: &Front,
    input: &[Expr],
    before: &[Arc<str>],
    after: &[Arc<str>],
    sources: &SourceMap,
) -> Result<(Module, FunctionIndex), Vec<Diagnostic>> {
    let mut lowerer = Lowerer::new(front, sources);
    lowerer.session(&front.main, input, before, after);
    let mut module = lowerer.finished()?;
    let main = module.entry.take().expect("the input was set as the entry");
    Ok((module, main))
}

/// The signature of a function of so many values.
pub(crate) fn signature(params: usize) -> Signature {
    Signature { params: vec![Type::Val; params], result: Type::Val }
}

/// Code that a function number stands for.
#[derive(Clone, Copy)]
enum Body<'a> {
    Lambda(&'a Lambda, &'a str),
    /// A computation of no arguments, and what to call it.
    Thunk(&'a Expr, &'static str),
}

/// A function still to be lowered.
enum Job<'a> {
    /// The part of a function that starts with this parameter.
    Part {
        function: FunctionId,
        first: usize,
        index: FunctionIndex,
        inherited: Vec<VarId>,
    },
    /// A function for numbers in registers.
    Version {
        key: Key,
        result: Type,
        index: FunctionIndex,
    },
    File {
        number: usize,
        index: FunctionIndex,
    },
    Type(types::TypeJob<'a>),
    Handler(effects::HandlerJob<'a>),
}

/// A function being built.
struct Frame {
    builder: FunctionBuilder,
    env: HashMap<VarId, Reg>,
    function: FunctionId,
    /// The continuation of a clause that runs in place.
    in_place: Option<VarId>,
    /// What is known of its variables.
    facts: Option<Rc<Facts>>,
    /// The registers that hold unboxed numbers of the program.
    types: HashMap<Reg, Type>,
    /// The type of its result.
    result: Type,
}

impl Frame {
    fn new(builder: FunctionBuilder, function: FunctionId) -> Self {
        Self {
            builder,
            env: HashMap::new(),
            function,
            in_place: None,
            facts: None,
            types: HashMap::new(),
            result: Type::Val,
        }
    }
}

pub(crate) struct Lowerer<'a> {
    names: &'a Names,
    files: &'a [File],
    module: ModuleBuilder,
    bodies: HashMap<FunctionId, Body<'a>>,
    indexes: HashMap<(FunctionId, usize), FunctionIndex>,
    /// Versions of functions for numbers in registers.
    versions: HashMap<Key, FunctionIndex>,
    /// What is known of numbers; nothing if a handler of the program may resume errors.
    numeric: Option<Numeric<'a>>,
    queue: Vec<Job<'a>>,
    f: Frame,
    declarations: HashMap<FunctionId, &'a TypeDeclaration>,
    /// The functions made from type declarations, by what they are for.
    type_functions: HashMap<(FunctionId, String), FunctionIndex>,
    /// The functions that perform an effect.
    performers: HashMap<Text, FunctionIndex>,
    /// The call that a body is written out for; its place is that of everything in the body.
    inlining: Option<Span>,
    /// Functions named `test_…` keep their frames in calls at their end, so that a trace shows which expectation failed.
    tests: bool,
    errors: Vec<Diagnostic>,
}

/// Where a value is wanted.
enum Join {
    Value,
    /// The value, in a register of any type.
    Typed,
    Tail,
}

impl<'a> Lowerer<'a> {
    fn new(front: &'a Front, sources: &SourceMap) -> Self {
        let mut lowerer = Lowerer {
            names: &front.names,
            files: &front.files,
            module: ModuleBuilder::default(),
            bodies: HashMap::new(),
            indexes: HashMap::new(),
            versions: HashMap::new(),
            numeric: None,
            queue: Vec::new(),
            f: Frame::new(FunctionBuilder::new(signature(0), ""), front.main.function),
            declarations: HashMap::new(),
            type_functions: HashMap::new(),
            performers: HashMap::new(),
            inlining: None,
            tests: false,
            errors: Vec::new(),
        };
        for file in std::iter::once(&front.prelude).chain(&front.files).chain([&front.main]) {
            file.statements.iter().for_each(|statement| lowerer.collect_functions(statement));
        }
        let all = || std::iter::once(&front.prelude).chain(&front.files).chain([&front.main]);
        if !all().any(|file| numeric::resumes_errors(&file.statements)) {
            let mut numeric = Numeric::new(lowerer.names);
            for body in lowerer.bodies.values() {
                if let Body::Lambda(lambda, _) = body {
                    numeric.add(lambda);
                }
            }
            lowerer.numeric = Some(numeric);
        }
        for source in sources.iter() {
            lowerer.module.add_source(source.path.clone(), source.text.clone());
        }
        lowerer
    }

    /// The module, once all functions that are needed are lowered.
    fn finished(mut self) -> Result<Module, Vec<Diagnostic>> {
        while let Some(job) = self.queue.pop() {
            self.job(job);
        }
        if self.errors.is_empty() { Ok(self.module.finish()) } else { Err(self.errors) }
    }

    // ---- functions

    /// Starts a function that everything else belongs to.
    fn open_main(&mut self, main: &'a File, params: usize) -> FunctionIndex {
        let index = self.module.declare(signature(params));
        self.module.set_entry(index);
        self.f = Frame::new(FunctionBuilder::new(signature(params), "main"), main.function);
        for file in &self.names.files {
            let cell = self.f.builder.push(Op::CellEmpty {});
            let unit = self.unit();
            self.f.builder.push(Op::CellSet { cell, v: unit });
            self.f.env.insert(*file, cell);
        }
        index
    }

    fn session(&mut self, main: &'a File, input: &'a [Expr], before: &[Arc<str>], after: &[Arc<str>]) {
        let index = self.open_main(main, usize::from(!before.is_empty()));
        let mut variables: HashMap<Arc<str>, VarId> = HashMap::new();
        for statement in &main.statements {
            let mut note = |name: &Name| {
                if let Some(var) = self.names.meaning(name.id)
                    && name.mark == 0
                {
                    variables.insert(name.text.clone(), var);
                }
            };
            for_each_bound(statement, &mut note);
        }
        for (at, name) in after.iter().enumerate() {
            let cell = if at < before.len() {
                let list = self.f.builder.param(0);
                let index = self.int_const(at as i64);
                self.f.builder.push(Op::ListGet { list, index })
            } else {
                self.f.builder.push(Op::CellEmpty {})
            };
            self.f.env.insert(variables[name], cell);
        }
        let value = self.splice(input, Join::Value);
        let mut cells = self.f.builder.push(Op::ListNew { items: Vec::new() });
        for name in after {
            let item = self.register(variables[name]);
            cells = self.f.builder.push(Op::ListPush { list: cells, item });
        }
        let value = self.f.builder.push(Op::TupleNew { items: vec![value, cells] });
        self.f.builder.end(Op::Return { value });
        self.finish(index);
    }

    fn main(&mut self, main: &'a File) {
        let index = self.open_main(main, 0);
        self.f.facts = self.numeric.as_mut().map(|numeric| numeric.of_statements(main.function, &main.statements));
        // Not in tail position: a trace ends with the line of the program that started it all.
        let value = self.body_statements(&main.statements, Join::Value);
        self.f.builder.end(Op::Return { value });
        self.finish(index);
    }

    /// Ends the function being built.
    fn finish(&mut self, index: FunctionIndex) {
        let done = std::mem::replace(&mut self.f, Frame::new(FunctionBuilder::new(signature(0), ""), FunctionId(0)));
        self.module.define(index, done.builder);
    }

    fn job(&mut self, job: Job<'a>) {
        match job {
            Job::Part { function, first, index, inherited } => self.part(function, first, index, &inherited),
            Job::Version { key, result, index } => self.version_job(&key, result, index),
            Job::File { number, index } => self.file(number, index),
            Job::Type(job) => self.type_job(job),
            Job::Handler(job) => self.handler_job(job),
        }
    }

    fn file(&mut self, number: usize, index: FunctionIndex) {
        let file = &self.files[number];
        let captures = self.names.captures(file.function).to_vec();
        self.f = Frame::new(FunctionBuilder::new(signature(captures.len() + 1), "module"), file.function);
        self.bind_params(&captures);
        let value = self.module_record(&file.statements);
        self.f.builder.end(Op::Return { value });
        self.finish(index);
    }

    fn bind_params(&mut self, vars: &[VarId]) {
        for (at, var) in vars.iter().enumerate() {
            let reg = self.f.builder.param(at);
            self.f.env.insert(*var, reg);
        }
    }

    /// How many parameters from `first` on one machine function takes: up to and with the first that may refuse its argument.
    fn part_arity(lambda: &Lambda, first: usize) -> usize {
        let rest = &lambda.params[first..];
        rest.iter().position(|param| !param.is_irrefutable()).map_or(rest.len(), |at| at + 1)
    }

    /// Lowers a part of a function: some of its parameters, then its body or a function of the others.
    fn part(&mut self, function: FunctionId, first: usize, index: FunctionIndex, inherited: &[VarId]) {
        match self.bodies[&function] {
            Body::Thunk(body, name) => {
                self.f = Frame::new(FunctionBuilder::new(signature(inherited.len() + 1), name), function);
                self.f.facts =
                    self.numeric.as_mut().map(|numeric| numeric.of_statements(function, std::slice::from_ref(body)));
                self.bind_params(inherited);
                self.tail(body);
            }
            Body::Lambda(lambda, name) => {
                let arity = Self::part_arity(lambda, first);
                let builder = FunctionBuilder::new(signature(inherited.len() + arity), name);
                self.f = Frame::new(builder, function);
                self.f.facts = self.general_facts(lambda);
                self.bind_params(inherited);
                for (at, param) in lambda.params[first..first + arity].iter().enumerate() {
                    let argument = self.f.builder.param(inherited.len() + at);
                    self.at(param.span);
                    self.bind_or_raise(param, argument);
                }
                let next = first + arity;
                if next < lambda.params.len() {
                    let mut vars: Vec<VarId> = self.f.env.keys().copied().collect();
                    vars.sort();
                    let index = self.part_index(function, next, &vars);
                    let captures = self.registers(&vars);
                    let value = self.f.builder.push(Op::Closure { f: index, captures });
                    self.f.builder.end(Op::Return { value });
                } else {
                    self.guarded_body(lambda);
                }
            }
        }
        self.finish(index);
    }

    fn guarded_body(&mut self, lambda: &'a Lambda) {
        if let Some(guard) = &lambda.guard {
            let fail = self.f.builder.label(&[]);
            let pass = self.f.builder.label(&[]);
            self.branch_on(guard, "guard", pass, fail);
            self.f.builder.place(fail);
            let last = lambda.params.last().expect("a function has a parameter");
            let refused = self.pattern_value(last);
            let raised = self.raise_match("guard refused ", refused);
            self.return_value(raised);
            self.f.builder.place(pass);
        }
        self.tail(&lambda.body);
    }

    /// A value for messages: the variable a parameter binds, or unit.
    fn pattern_value(&mut self, pattern: &Pattern) -> Reg {
        match &pattern.kind {
            crate::tree::PatternKind::Variable(name) => match self.names.meaning(name.id) {
                Some(var) => self.read(var, pattern.span),
                None => self.unit(),
            },
            crate::tree::PatternKind::Is { pattern, .. } => self.pattern_value(pattern),
            _ => self.unit(),
        }
    }

    /// The machine function of a part, lowered later.
    fn part_index(&mut self, function: FunctionId, first: usize, inherited: &[VarId]) -> FunctionIndex {
        if let Some(index) = self.indexes.get(&(function, first)) {
            return *index;
        }
        let arity = match self.bodies[&function] {
            Body::Lambda(lambda, _) => Self::part_arity(lambda, first),
            Body::Thunk(..) => 1,
        };
        if inherited.len() + arity > PARAMS_MAX {
            self.too_many(inherited.len(), arity);
        }
        let index = self.module.declare(signature(inherited.len() + arity));
        self.indexes.insert((function, first), index);
        self.queue.push(Job::Part { function, first, index, inherited: inherited.to_vec() });
        index
    }

    /// Reports a function that needs more values passed along than a call can carry.
    fn too_many(&mut self, captured: usize, params: usize) {
        let Some(span) = self.f.builder.span() else { return };
        let message = format!(
            "a function here needs {captured} variables from around it besides {params} parameters; together at most {PARAMS_MAX}"
        );
        self.errors.push(Diagnostic::syntax("P0070", span, message).note("put some of them into a record"));
    }

    /// The machine function of a function and what it captures.
    fn function_index(&mut self, function: FunctionId) -> (FunctionIndex, Vec<VarId>) {
        let captures = self.names.captures(function).to_vec();
        (self.part_index(function, 0, &captures), captures)
    }

    /// A function as a value.
    fn function_value(&mut self, function: FunctionId) -> Reg {
        let (f, vars) = self.function_index(function);
        let captures = self.registers(&vars);
        self.f.builder.push(Op::Closure { f, captures })
    }

    /// The registers to pass for captured variables: cells as cells.
    fn registers(&mut self, vars: &[VarId]) -> Vec<Reg> {
        vars.iter().map(|var| self.register(*var)).collect()
    }

    fn register(&mut self, var: VarId) -> Reg {
        if let Some(reg) = self.f.env.get(&var).copied() {
            return self.boxed(reg);
        }
        // A binding that no run can reach before this use; its cell is made here.
        let cell = self.f.builder.push(Op::CellEmpty {});
        self.f.env.insert(var, cell);
        cell
    }

    // ---- variables

    /// The value of a variable.
    fn read(&mut self, var: VarId, span: Span) -> Reg {
        let info = self.names.var(var);
        if let Some(literal) = info.literal() {
            return self.literal(literal);
        }
        match info.storage() {
            Storage::Known(function) => self.function_value(function),
            Storage::Register => self.register(var),
            Storage::Cell => {
                let cell = self.register(var);
                self.at(span);
                self.f.builder.push(Op::CellGet { cell, name: info.name.clone() })
            }
        }
    }

    /// Gives a variable a value.
    fn write(&mut self, var: VarId, value: Reg) {
        let info = self.names.var(var);
        let value = if info.storage() == Storage::Cell { self.boxed(value) } else { value };
        match info.storage() {
            Storage::Known(_) => {}
            Storage::Register => {
                let value = self.coerced(value, self.type_of_var(var));
                self.f.env.insert(var, value);
            }
            Storage::Cell => match self.f.env.get(&var).copied() {
                Some(cell) => {
                    self.f.builder.push(Op::CellSet { cell, v: value });
                }
                None => {
                    let cell = self.f.builder.push(Op::CellNew { v: value });
                    self.f.env.insert(var, cell);
                }
            },
        }
    }

    /// Forgets the cell of a variable that a scope declares, so that each time it is entered a new one is made.
    fn renew(&mut self, var: VarId, by: crate::tree::NameId) {
        if self.names.var(var).declared_by == by && self.names.var(var).storage() == Storage::Cell {
            self.f.env.remove(&var);
        }
    }

    /// Says what the next instructions come from.
    fn at(&mut self, span: Span) {
        self.f.builder.set_span(Some(self.inlining.unwrap_or(span)));
    }

    // ---- small things

    fn unit(&mut self) -> Reg {
        self.f.builder.push(Op::Unit {})
    }

    fn text(&mut self, text: &str) -> Reg {
        self.f.builder.push(Op::TextConst { text: Arc::from(text) })
    }

    fn int_const(&mut self, value: i64) -> Reg {
        self.f.builder.push(Op::IntConst { value })
    }

    fn literal(&mut self, literal: &Literal) -> Reg {
        match literal {
            Literal::Unit => self.unit(),
            Literal::Boolean(value) => {
                let a = self.int_const(i64::from(*value));
                self.f.builder.push(Op::ValBool { a })
            }
            Literal::Integer(value) => {
                let a = self.int_const(*value);
                self.f.builder.push(Op::ValInt { a })
            }
            Literal::Float(value) => {
                let value = Float64::new(*value).expect("a literal is a number");
                let a = self.f.builder.push(Op::FloatConst { value });
                self.f.builder.push(Op::ValFloat { a })
            }
            Literal::Text(text) => self.f.builder.push(Op::TextConst { text: text.clone() }),
        }
    }

    fn native(&mut self, native: Native, args: Vec<Reg>) -> Reg {
        self.f.builder.push(Op::Native { native, args })
    }

    /// Raises `Match` with a message and the value it is about.
    fn raise_match(&mut self, message: &str, value: Reg) -> Reg {
        let message = self.text(message);
        let error = self.native(Native::MatchFailure, vec![message, value]);
        self.f.builder.push(Op::Raise { error })
    }

    /// Ends the block with a jump to a label without parameters.
    fn go(&mut self, label: Label) {
        self.f.builder.jump(label, Vec::new());
    }
}

// What the sibling module `patterns` needs of a lowerer.
impl<'a> Lowerer<'a> {
    pub(crate) fn builder(&mut self) -> &mut FunctionBuilder {
        &mut self.f.builder
    }

    pub(crate) fn env(&mut self) -> &mut HashMap<VarId, Reg> {
        &mut self.f.env
    }

    pub(crate) fn names(&self) -> &'a Names {
        self.names
    }

    pub(crate) fn push(&mut self, op: Op) -> Reg {
        self.f.builder.push(op)
    }

    pub(crate) fn text_const(&mut self, text: &str) -> Reg {
        self.text(text)
    }

    pub(crate) fn literal_reg(&mut self, literal: &Literal) -> Reg {
        self.literal(literal)
    }

    pub(crate) fn bind_variable(&mut self, name: crate::tree::NameId, value: Reg) {
        if let Some(var) = self.names.meaning(name) {
            self.write(var, value);
        }
    }

    pub(crate) fn raise_told(&mut self, message: Reg, value: Reg) -> Reg {
        let error = self.native(Native::MatchFailure, vec![message, value]);
        self.f.builder.push(Op::Raise { error })
    }

    pub(crate) fn guard(&mut self, guard: &'a Expr, pass: Label, fail: Label) {
        self.branch_on(guard, "guard", pass, fail);
    }
}
