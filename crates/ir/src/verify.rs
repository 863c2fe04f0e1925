//! The rules a module must keep, and [`Verified`], the proof that it does.
//!
//! One pass in block order; dominators come with it because control only goes forward.
//!
//! - **V01** A function has a block, and the first has no parameters.
//! - **V02** A block ends with a terminator and has no other.
//! - **V03** Control goes to a later block of the same function.
//! - **V04** A jump brings what the block's parameters ask for: as many, of those types.
//! - **V05** A register is defined on every path before it is read.
//! - **V06** A register has the type the operand asks for.
//! - **V07** A function returns its result type.
//! - **V08** A call passes what the callee's signature asks for.
//! - **V09** A tail call gives what the function itself gives.
//! - **V10** A closure or thunk is of a function of `val`s; a closure leaves a parameter open, a thunk leaves none.
//! - **V11** A built-in gets as many arguments as it has.
//! - **V12** Field names are ascending and distinct, as many as items.
//! - **V13** The cases of a switch are ascending.
//! - **V14** Every block but the first is reached.
//! - **V15** No limit of [`limits`](crate::limits) is passed.
//! - **V16** The entry takes nothing and gives a `val`.
//! - **V17** An application has an argument.
//! - **V18** Immediate operands are in range.
//! - **V19** Functions that are referred to are there.

use crate::limits::{BLOCKS_MAX, CASES_MAX, FUNCTIONS_MAX, OPERANDS_MAX, PARAMS_MAX, REGISTERS_MAX, SYMBOL_BYTES_MAX};
use crate::liveness::RegisterStarts;
use crate::module::{Function, Module};
use crate::op::{FieldRef, Op};
use crate::types::{FunctionIndex, Reg, Target, Type};
use std::fmt;

/// What passed [`verify`]. Executors take nothing else.
#[derive(Clone, PartialEq, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// What was verified.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Gives it back, and the proof up.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A rule that is broken, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// The rule's number.
    pub rule: u8,
    /// The function.
    pub function: u32,
    /// The function's name, if it has one.
    pub name: String,
    /// The block and the instruction in it.
    pub place: Option<(u32, u32)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V{:02} in function {}", self.rule, self.function)?;
        if !self.name.is_empty() {
            write!(f, " (`{}`)", self.name)?;
        }
        if let Some((block, op)) = self.place {
            write!(f, ", block {block}, instruction {op}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Errors after this many are not reported.
const ERRORS_MAX: usize = 50;

/// Checks every rule.
///
/// # Errors
/// All broken rules that were found, at least one.
pub fn verify(module: Module) -> Result<Verified<Module>, Vec<VerifyError>> {
    let mut errors = Vec::new();
    if module.functions.len() > FUNCTIONS_MAX {
        errors.push(module_error(15, format!("{} functions, at most {FUNCTIONS_MAX}", module.functions.len())));
    }
    if let Some(entry) = module.entry {
        match module.function(entry) {
            Some(function) if function.signature.params.is_empty() && function.signature.result == Type::Val => {}
            Some(_) => errors.push(module_error(16, "the entry takes nothing and gives a val".into())),
            None => errors.push(module_error(19, format!("the entry is function {}, which is not there", entry.0))),
        }
    }
    for (index, function) in module.functions.iter().enumerate() {
        if errors.len() >= ERRORS_MAX {
            break;
        }
        Checker::new(&module, index as u32, function, &mut errors).function();
    }
    if errors.is_empty() { Ok(Verified(module)) } else { Err(errors) }
}

fn module_error(rule: u8, message: String) -> VerifyError {
    VerifyError { rule, function: 0, name: String::new(), place: None, message }
}

struct Checker<'a> {
    module: &'a Module,
    index: u32,
    function: &'a Function,
    errors: &'a mut Vec<VerifyError>,
    place: Option<(u32, u32)>,
    starts: RegisterStarts,
    types: Vec<Type>,
    /// The block that defines each register.
    home: Vec<u32>,
    /// Immediate dominator of each block that was reached.
    dominator: Vec<Option<u32>>,
    /// Registers of the current block that are defined so far: those below.
    defined: u32,
}

impl<'a> Checker<'a> {
    fn new(module: &'a Module, index: u32, function: &'a Function, errors: &'a mut Vec<VerifyError>) -> Self {
        Self {
            module,
            index,
            function,
            errors,
            place: None,
            starts: RegisterStarts::of(function),
            types: Vec::new(),
            home: Vec::new(),
            dominator: vec![None; function.blocks.len()],
            defined: 0,
        }
    }

    fn error(&mut self, rule: u8, message: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(VerifyError {
                rule,
                function: self.index,
                name: self.function.debug.name.to_string(),
                place: self.place,
                message: message.into(),
            });
        }
    }

    fn function(&mut self) {
        let function = self.function;
        if function.blocks.is_empty() {
            return self.error(1, "a function has at least one block");
        }
        if !function.blocks[0].params.is_empty() {
            self.error(1, "the first block has no parameters; the function has");
        }
        if function.signature.params.len() > PARAMS_MAX
            || function.blocks.len() > BLOCKS_MAX
            || self.starts.total() as usize > REGISTERS_MAX
        {
            return self
                .error(15, format!("at most {PARAMS_MAX} parameters, {BLOCKS_MAX} blocks, {REGISTERS_MAX} registers"));
        }
        if self.missing_functions() {
            return;
        }
        self.types = self.module.register_types(function);
        self.home = vec![0; self.types.len()];
        for block in 0..function.blocks.len() {
            let range = self.starts.block_start(block) as usize..self.starts.block_end(block) as usize;
            self.home[range].fill(block as u32);
        }
        self.dominator[0] = Some(0);
        for at in 0..function.blocks.len() {
            self.block(at as u32);
        }
    }

    /// Reports functions that are not there; result types cannot be known then.
    fn missing_functions(&mut self) -> bool {
        let count = self.module.functions.len();
        let mut missing = false;
        for (block, op_at, op) in places(self.function) {
            if op.function().is_some_and(|index| index.index() >= count) {
                self.place = Some((block, op_at));
                self.error(19, "the function referred to is not there");
                missing = true;
            }
        }
        self.place = None;
        missing
    }

    fn block(&mut self, at: u32) {
        let block = &self.function.blocks[at as usize];
        self.place = Some((at, 0));
        if self.dominator[at as usize].is_none() {
            return self.error(14, "no jump goes to this block");
        }
        if block.params.len() > PARAMS_MAX {
            self.error(15, format!("at most {PARAMS_MAX} block parameters"));
        }
        if !block.ops.last().is_some_and(|op| op.info().end) {
            return self.error(2, "a block ends with a terminator");
        }
        self.defined = self.starts.block_start(at as usize) + block.params.len() as u32;
        for (op_at, op) in block.ops.iter().enumerate() {
            self.place = Some((at, op_at as u32));
            if op.info().end && op_at + 1 < block.ops.len() {
                return self.error(2, format!("`{}` is not the last instruction of its block", op.info().mnemonic));
            }
            self.op(at, op);
            if op.info().result != crate::op::ResultKind::None {
                self.defined += 1;
            }
        }
    }

    fn op(&mut self, block: u32, op: &Op) {
        for field in op.fields() {
            match field {
                FieldRef::Int(reg) => self.register(block, reg, Type::Int, 6),
                FieldRef::Float(reg) => self.register(block, reg, Type::Float, 6),
                FieldRef::Val(reg) => self.register(block, reg, Type::Val, 6),
                FieldRef::Ret(reg) => self.register(block, reg, self.function.signature.result, 7),
                FieldRef::Vals(regs) => {
                    self.operand_count(regs.len());
                    regs.iter().for_each(|reg| self.register(block, *reg, Type::Val, 6));
                }
                FieldRef::Args(regs) => {
                    let callee = op.function().expect("an instruction with args names a function");
                    self.call_args(block, callee, regs);
                }
                FieldRef::Symbol(name) => self.symbol(name),
                FieldRef::Symbols(names) => {
                    self.operand_count(names.len());
                    names.iter().for_each(|name| self.symbol(name));
                    if names.windows(2).any(|pair| pair[0] >= pair[1]) {
                        self.error(12, "names are in ascending order and distinct");
                    }
                }
                FieldRef::Target(target) => self.target(block, target),
                FieldRef::Cases(cases) => {
                    if cases.len() > CASES_MAX {
                        self.error(15, format!("at most {CASES_MAX} cases"));
                    }
                    if cases.windows(2).any(|pair| pair[0].value >= pair[1].value) {
                        self.error(13, "the cases of a switch are ascending");
                    }
                    cases.iter().for_each(|case| self.target(block, &case.target));
                }
                FieldRef::Imm(_)
                | FieldRef::Number(_)
                | FieldRef::Text(_)
                | FieldRef::Func(_)
                | FieldRef::Native(_) => {}
            }
        }
        self.special(op);
    }

    fn special(&mut self, op: &Op) {
        match op {
            Op::TailCall { f, .. } => {
                let gives = self.callee(*f).signature.result;
                if gives != self.function.signature.result {
                    let own = self.function.signature.result;
                    self.error(9, format!("the callee gives {gives}, this function {own}"));
                }
            }
            Op::TailApply { args, .. } => {
                if self.function.signature.result != Type::Val {
                    self.error(9, "an application gives a val, this function does not");
                }
                self.has_arg(args);
            }
            Op::Apply { args, .. } => self.has_arg(args),
            Op::Closure { f, captures } => {
                self.all_vals(*f);
                if captures.len() >= self.callee(*f).signature.params.len() {
                    self.error(10, "a closure leaves at least one parameter open");
                }
            }
            Op::ThunkNew { f, captures } => {
                self.all_vals(*f);
                if captures.len() != self.callee(*f).signature.params.len() {
                    self.error(10, "a thunk holds every argument of its function");
                }
            }
            Op::Native { native, args } if args.len() != native.arity() => {
                let arity = native.arity();
                self.error(11, format!("`{}` has {arity} arguments, {} given", native.name(), args.len()));
            }
            Op::RecordNew { names, items } if names.len() != items.len() => {
                self.error(12, format!("{} names for {} items", names.len(), items.len()));
            }
            Op::TupleIs { size: value, .. } | Op::TupleGet { index: value, .. }
                if !(0..=OPERANDS_MAX as i64).contains(value) =>
            {
                self.error(18, format!("a tuple size or index is between 0 and {OPERANDS_MAX}"));
            }
            Op::Handle { mode, .. } if !(0..=2).contains(mode) => {
                self.error(18, "the mode of a handler is 0, 1 or 2");
            }
            Op::BytesConst { bytes } if bytes.chars().any(|c| u32::from(c) > 255) => {
                self.error(18, "bytes are given as the characters 0 to 255");
            }
            _ => {}
        }
    }

    fn callee(&self, index: FunctionIndex) -> &'a Function {
        &self.module.functions[index.index()]
    }

    fn has_arg(&mut self, args: &[Reg]) {
        if args.is_empty() {
            self.error(17, "an application has at least one argument");
        }
    }

    fn all_vals(&mut self, index: FunctionIndex) {
        let signature = &self.callee(index).signature;
        if signature.params.iter().any(|ty| *ty != Type::Val) || signature.result != Type::Val {
            self.error(10, "only a function of vals can be a value");
        }
    }

    fn operand_count(&mut self, count: usize) {
        if count > OPERANDS_MAX {
            self.error(15, format!("{count} operands, at most {OPERANDS_MAX}"));
        }
    }

    fn symbol(&mut self, name: &str) {
        if name.is_empty() || name.len() > SYMBOL_BYTES_MAX {
            self.error(15, format!("a symbol has 1 to {SYMBOL_BYTES_MAX} bytes"));
        }
    }

    fn call_args(&mut self, block: u32, callee: FunctionIndex, args: &[Reg]) {
        let params = &self.callee(callee).signature.params;
        if params.len() != args.len() {
            self.error(8, format!("the callee takes {} arguments, {} given", params.len(), args.len()));
        }
        for (reg, ty) in args.iter().zip(params) {
            self.register(block, *reg, *ty, 8);
        }
    }

    fn register(&mut self, block: u32, reg: Reg, ty: Type, type_rule: u8) {
        let Some(found) = self.types.get(reg.index()).copied() else {
            return self.error(5, format!("register %{} is not defined", reg.0));
        };
        let home = self.home[reg.index()];
        let is_param = reg.index() < self.function.signature.params.len();
        let defined = is_param || if home == block { reg.0 < self.defined } else { self.dominates(home, block) };
        if !defined {
            self.error(5, format!("register %{} is not defined on every path", reg.0));
        } else if found != ty {
            self.error(type_rule, format!("register %{} is of type {found}, {ty} is asked for", reg.0));
        }
    }

    fn target(&mut self, block: u32, target: &Target) {
        let to = target.block.index();
        if target.block.0 <= block || to >= self.function.blocks.len() {
            return self.error(3, format!("block {to} is not a later block of this function"));
        }
        let function = self.function;
        let params = &function.blocks[to].params;
        if params.len() != target.args.len() {
            self.error(4, format!("block {to} takes {} values, {} given", params.len(), target.args.len()));
        }
        for (reg, ty) in target.args.iter().zip(params) {
            self.register(block, *reg, *ty, 4);
        }
        self.dominator[to] = Some(match self.dominator[to] {
            None => block,
            Some(other) => self.common_dominator(other, block),
        });
    }

    /// The nearest block that every path to both goes through (Cooper, Harvey and Kennedy 2001); one pass is enough here.
    fn common_dominator(&self, mut a: u32, mut b: u32) -> u32 {
        while a != b {
            if a > b {
                a = self.dominator[a as usize].unwrap_or(0);
            } else {
                b = self.dominator[b as usize].unwrap_or(0);
            }
        }
        a
    }

    fn dominates(&self, a: u32, mut b: u32) -> bool {
        while b > a {
            b = self.dominator[b as usize].unwrap_or(0);
        }
        a == b
    }
}

fn places(function: &Function) -> impl Iterator<Item = (u32, u32, &Op)> {
    let blocks = function.blocks.iter().enumerate();
    blocks
        .flat_map(|(block, content)| content.ops.iter().enumerate().map(move |(at, op)| (block as u32, at as u32, op)))
}
