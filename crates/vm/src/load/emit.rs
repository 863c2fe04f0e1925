//! Turns one function into instructions.
//!
//! Three passes: forward, to find constants and comparisons that fold into other instructions; backward, to find where registers die and
//! what lives across calls; forward again, to emit. Every instruction of the table has its arm in [`Emitter::op`].

mod cells;
mod control;
mod fold;
mod operands;
mod points;

use super::Tables;
use super::borrows::Borrows;
use super::slots::{self, Slots};
use crate::code::{Code, DIES, HandlerSpec, Inst, IntBits, Leaf, Opcode, Query, SwitchTable, int_word};
use crate::data::arith::Arith;
use crate::stack::HEADER;
use crate::value::{Immediate, Value};
use qualm_ir::liveness::{Liveness, RegisterStarts};
use qualm_ir::module::{Function, Module};
use qualm_ir::natives::Native;
use qualm_ir::op::Op;
use qualm_ir::types::{BlockIndex, Reg, Text, Type};
use std::collections::HashMap;
use std::sync::Arc;

/// Slots from here on are scratch: they hold nothing between instructions of the module.
const SCRATCH: u8 = 252;

/// A register whose value is known.
#[derive(Clone, Copy, PartialEq)]
enum Const {
    Int(i64),
    /// The word of a small integer as a value, with the integer.
    Val(i64),
}

pub(super) struct Emitter<'a> {
    function: &'a Function,
    index: u32,
    borrows: &'a Borrows,
    tables: &'a mut Tables,
    starts: RegisterStarts,
    types: Vec<Type>,
    liveness: Liveness,
    consts: HashMap<Reg, Const>,
    use_counts: Vec<u32>,
    /// Registers that never get a slot: constants and conditions that folded away.
    folded: Vec<bool>,
    slots: Slots,
    insts: Vec<Inst>,
    words: Vec<u64>,
    word_numbers: HashMap<u64, u32>,
    switches: Vec<SwitchTable>,
    handlers: Vec<HandlerSpec>,
    live: Vec<(u32, Box<[u16]>)>,
    spans: Vec<(u32, qualm_ir::source::Span)>,
    block_pcs: Vec<u32>,
    patches: Vec<(Patch, BlockIndex)>,
    /// Registers that die at the current instruction.
    dying: Vec<Reg>,
    live_after: Option<Vec<u16>>,
    /// Where frames of the function can wait, if that is wanted.
    points: Option<points::Points>,
}

enum Patch {
    Inst(usize),
    Case(usize, usize),
    Default(usize),
}

impl<'a> Emitter<'a> {
    pub(super) fn new(module: &'a Module, index: usize, borrows: &'a Borrows, tables: &'a mut Tables) -> Self {
        let function = &module.functions[index];
        let starts = RegisterStarts::of(function);
        let types = module.register_types(function);
        let liveness = Liveness::of(function, &starts);
        let count = types.len();
        Self {
            function,
            index: index as u32,
            borrows,
            tables,
            starts,
            types,
            liveness,
            consts: HashMap::new(),
            use_counts: vec![0; count],
            folded: vec![false; count],
            slots: Slots { of: Vec::new(), frame: HEADER },
            insts: Vec::new(),
            words: Vec::new(),
            word_numbers: HashMap::new(),
            switches: Vec::new(),
            handlers: Vec::new(),
            live: Vec::new(),
            spans: Vec::new(),
            block_pcs: Vec::new(),
            patches: Vec::new(),
            dying: Vec::new(),
            live_after: None,
            points: None,
        }
    }

    pub(super) fn run(mut self) -> Code {
        self.emit();
        Code::new(
            self.insts,
            self.words,
            self.switches,
            self.handlers,
            self.slots.frame,
            &self.function.signature,
            self.live,
            self.spans,
            self.function.debug.name.clone(),
        )
    }

    fn emit(&mut self) {
        self.fold();
        self.slots = self.assign_slots();
        self.begin_points();
        let param_slots: Vec<u16> = self.val_slots((0..self.function.signature.params.len() as u32).map(Reg));
        self.live.push((0, param_slots.into()));
        self.put(Opcode::Enter, 0, 0, 0, 0);
        let mut op_count = 0;
        for block in 0..self.function.blocks.len() {
            self.block(block, &mut op_count);
        }
        self.patch();
    }

    fn assign_slots(&self) -> Slots {
        slots::assign(&slots::Request {
            function: self.function,
            own_index: self.index,
            registers: self.types.len(),
            defines: &|block, at| self.defined_by(block, at),
            block_start: &|block| self.starts.block_start(block),
            folded: &self.folded,
            uses: &|block, at, visit| self.real_uses(block, at, visit),
        })
    }

    fn val_slots(&self, regs: impl Iterator<Item = Reg>) -> Vec<u16> {
        // A constant may be read by an instruction that encodes it long after its slot went to another register; and it is no reference.
        let traced = |reg: &Reg| {
            self.types[reg.index()] == Type::Val && !self.folded[reg.index()] && !self.consts.contains_key(reg)
        };
        regs.filter(traced).map(|reg| self.slots.of[reg.index()]).collect()
    }

    // ---- blocks

    fn block(&mut self, block: usize, op_count: &mut u32) {
        self.block_pcs.push(self.insts.len() as u32);
        let count = self.function.blocks[block].ops.len();
        let facts = self.facts(block);
        for (at, (dying, live_after)) in facts.into_iter().enumerate() {
            if let Some(span) = self.function.debug.span(*op_count) {
                self.spans.push((self.insts.len() as u32, span));
            }
            self.begin_op(block, at, *op_count);
            *op_count += 1;
            self.dying = dying;
            self.live_after = live_after;
            let fused_branch = at > 0 && at + 1 == count && self.is_fused(block, at - 1);
            let folded = self.defined_by(block, at).is_some_and(|reg| self.folded[reg.index()]);
            if fused_branch || (folded && !self.is_fused(block, at)) {
                continue;
            }
            self.op(block, at);
        }
    }

    /// For each instruction of a block the registers that die there and, if it may wait, the slots that live on.
    fn facts(&self, block: usize) -> Vec<(Vec<Reg>, Option<Vec<u16>>)> {
        let content = &self.function.blocks[block];
        let mut live = std::collections::BTreeSet::new();
        let mut facts = vec![(Vec::new(), None); content.ops.len()];
        for (at, op) in content.ops.iter().enumerate().rev() {
            op.for_each_target(|target| live.extend(self.liveness.at_block(target.block.index()).iter().copied()));
            if let Some(reg) = self.defined_by(block, at) {
                live.remove(&reg);
            }
            if op.info().calls || op.info().fails {
                facts[at].1 = Some(self.val_slots(live.iter().copied()));
            }
            let mut seen = Vec::new();
            self.real_uses(block, at, &mut |reg| seen.push(reg));
            for reg in &seen {
                let once = seen.iter().filter(|other| *other == reg).count() == 1;
                if once && !live.contains(reg) {
                    facts[at].0.push(*reg);
                }
            }
            live.extend(seen);
        }
        facts
    }

    fn patch(&mut self) {
        for (patch, block) in std::mem::take(&mut self.patches) {
            let pc = self.block_pcs[block.index()];
            match patch {
                Patch::Inst(at) => self.insts[at].d = pc,
                Patch::Case(table, case) => self.switches[table].cases[case].1 = pc,
                Patch::Default(table) => self.switches[table].default = pc,
            }
        }
    }

    // ---- one arm for each instruction of the table

    fn op(&mut self, block: usize, at: usize) {
        if self.is_fused(block, at) {
            return self.fused_branch(block, at);
        }
        let function = self.function;
        let op = &function.blocks[block].ops[at];
        match op {
            Op::Jump { to } => self.jump_to(to, block + 1),
            Op::Branch { c, yes, no } => {
                let c = self.source(*c, 0);
                self.branch(block, yes, no, |emitter| emitter.put(Opcode::BranchUnless, c, 0, 0, 0));
            }
            Op::Switch { on, cases, default } => self.switch(*on, cases, default),
            Op::Return { value } => {
                let value = self.source(*value, 0);
                self.put(Opcode::Return, value, 0, 0, 0);
            }
            Op::Call { f, args } => {
                let borrows = self.borrows;
                let lent = |place: usize| borrows.lends(*f, place);
                self.result(block, at, |emitter, to| emitter.with_lent_args(Opcode::Call, to, f.0, args, &lent));
            }
            Op::TailCall { f, args } if f.0 == self.index => {
                let moves = args.iter().enumerate().map(|(place, arg)| ((HEADER + place) as u16, *arg)).collect();
                self.parallel_moves(moves, &|_| false);
                self.put(Opcode::Loop, 0, 0, 0, 0);
            }
            Op::TailCall { f, args } => {
                self.with_args(Opcode::TailCall, 0, f.0, args);
            }
            Op::Apply { f, args } => {
                let regs: Vec<Reg> = std::iter::once(*f).chain(args.iter().copied()).collect();
                self.result(block, at, |emitter, to| emitter.with_args(Opcode::Apply, to, 0, &regs));
            }
            Op::TailApply { f, args } => {
                let regs: Vec<Reg> = std::iter::once(*f).chain(args.iter().copied()).collect();
                self.with_args(Opcode::TailApply, 0, 0, &regs);
            }
            Op::Native { native, args } => match native {
                Native::ListMap
                | Native::ListEach
                | Native::ListFilter
                | Native::ListFold
                | Native::MapUpdate
                | Native::Perform => {
                    let number = *native as u32;
                    self.result(block, at, |emitter, to| emitter.with_args(Opcode::NativeFrame, to, number, args));
                }
                _ => self.leaf(block, at, Leaf::Native(*native), args),
            },
            Op::Raise { error } => {
                let error = self.kept(*error, 0);
                self.result(block, at, |emitter, to| emitter.put(Opcode::Raise, to, error, 0, 0));
            }
            Op::IntConst { value } => match i32::try_from(*value) {
                Ok(small) => self.result(block, at, |emitter, to| emitter.put(Opcode::LoadInt, to, 0, 0, small as u32)),
                Err(_) => self.load_word(block, at, *value as u64),
            },
            Op::IntAdd { a, b } => self.int_add(block, at, Opcode::IntAdd, *a, *b, 1),
            Op::IntSub { a, b } => self.int_add(block, at, Opcode::IntSub, *a, *b, -1),
            Op::IntMul { a, b } => self.binary(block, at, Opcode::IntMul, *a, *b, 0),
            Op::IntDiv { a, b } => self.binary(block, at, Opcode::IntDiv, *a, *b, 0),
            Op::IntRem { a, b } => {
                match self.immediate(block, at).and_then(|reg| self.small(reg, 1, i64::from(u32::MAX))) {
                    Some(value) => self.unary(block, at, Opcode::IntRemImm, *a, value as u32),
                    None => self.binary(block, at, Opcode::IntRem, *a, *b, 0),
                }
            }
            Op::IntNeg { a } => self.unary(block, at, Opcode::IntNeg, *a, 0),
            Op::IntAddWrap { a, b } | Op::IntSubWrap { a, b } => {
                let adds = matches!(op, Op::IntAddWrap { .. });
                let step = self.immediate(block, at).and_then(|reg| self.small(reg, -127, 127));
                match step {
                    Some(step) => {
                        let step = if adds { step } else { -step };
                        self.unary(block, at, Opcode::IntStep, *a, step as i32 as u32);
                    }
                    None => {
                        let bits = if adds { IntBits::AddWrap } else { IntBits::SubWrap };
                        self.binary(block, at, Opcode::IntBits, *a, *b, bits as u32);
                    }
                }
            }
            Op::IntMulWrap { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::MulWrap as u32),
            Op::IntAnd { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::And as u32),
            Op::IntOr { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::Or as u32),
            Op::IntXor { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::Xor as u32),
            Op::IntNot { a } => self.binary(block, at, Opcode::IntBits, *a, *a, IntBits::Not as u32),
            Op::IntShl { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::Shl as u32),
            Op::IntShr { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::Shr as u32),
            Op::IntShrU { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::ShrU as u32),
            Op::IntEq { a, b } => self.binary(block, at, Opcode::IntEq, *a, *b, 0),
            Op::IntNe { a, b } => self.binary(block, at, Opcode::IntNe, *a, *b, 0),
            Op::IntLt { a, b } => self.binary(block, at, Opcode::IntLt, *a, *b, 0),
            Op::IntLe { a, b } => self.binary(block, at, Opcode::IntLe, *a, *b, 0),
            Op::IntToFloat { a } => self.unary(block, at, Opcode::IntToFloat, *a, 0),
            Op::FloatConst { value } => self.load_word(block, at, value.bits()),
            Op::FloatAdd { a, b } => self.binary(block, at, Opcode::FloatAdd, *a, *b, 0),
            Op::FloatSub { a, b } => self.binary(block, at, Opcode::FloatSub, *a, *b, 0),
            Op::FloatMul { a, b } => self.binary(block, at, Opcode::FloatMul, *a, *b, 0),
            Op::FloatDiv { a, b } => self.binary(block, at, Opcode::FloatDiv, *a, *b, 0),
            Op::FloatRem { a, b } => self.binary(block, at, Opcode::FloatRem, *a, *b, 0),
            Op::FloatNeg { a } => self.unary(block, at, Opcode::FloatNeg, *a, 0),
            Op::FloatSqrt { a } => self.unary(block, at, Opcode::FloatSqrt, *a, 0),
            Op::FloatEq { a, b } => self.binary(block, at, Opcode::FloatEq, *a, *b, 0),
            Op::FloatLt { a, b } => self.binary(block, at, Opcode::FloatLt, *a, *b, 0),
            Op::FloatLe { a, b } => self.binary(block, at, Opcode::FloatLe, *a, *b, 0),
            Op::FloatToInt { a } => self.unary(block, at, Opcode::FloatToInt, *a, 0),
            Op::Unit {} => self.load_word(block, at, Value::UNIT.0),
            Op::TextConst { text } => {
                let number = self.text_number(text);
                self.load_word(block, at, Value::immediate(Immediate::StaticText, number).0);
            }
            Op::SymbolConst { name } => {
                let symbol = self.symbol(name);
                self.load_word(block, at, Value::symbol(symbol).0);
            }
            Op::ValInt { a } => match self.defined_by(block, at).and_then(|reg| self.consts.get(&reg).copied()) {
                Some(Const::Val(value)) => self.load_word(block, at, int_word(value).unwrap_or(1)),
                _ => self.unary(block, at, Opcode::BoxInt, *a, 0),
            },
            Op::ValFloat { a } => self.unary(block, at, Opcode::BoxFloat, *a, 0),
            Op::ValBool { a } => self.unary(block, at, Opcode::BoxBool, *a, 0),
            Op::ValToInt { v } => self.unary(block, at, Opcode::UnboxInt, *v, 0),
            Op::ValToFloat { v } => self.unary(block, at, Opcode::UnboxFloat, *v, 0),
            Op::ValTruth { v, role } => {
                let role = self.text_number(role);
                self.unary(block, at, Opcode::Truth, *v, role);
            }
            Op::ValKind { v } => self.query(block, at, Query::Kind, *v, 0),
            Op::ValAdd { a, b } => self.val_add(block, at, Opcode::ValAdd, *a, *b, 1),
            Op::ValSub { a, b } => self.val_add(block, at, Opcode::ValSub, *a, *b, -1),
            Op::ValMul { a, b } => self.binary(block, at, Opcode::ValMul, *a, *b, 0),
            Op::ValDiv { a, b } => self.binary(block, at, Opcode::ValDiv, *a, *b, 0),
            Op::ValRem { a, b } => match self.immediate(block, at).and_then(|reg| self.small(reg, 1, 1 << 30)) {
                Some(value) => self.unary(block, at, Opcode::ValRemImm, *a, value as u32),
                None => self.binary(block, at, Opcode::ValRem, *a, *b, 0),
            },
            Op::ValPow { a, b } => self.binary(block, at, Opcode::ValArith, *a, *b, Arith::Pow as u32),
            Op::ValNeg { a } => self.unary(block, at, Opcode::ValNeg, *a, 0),
            Op::ValEq { a, b } => self.binary(block, at, Opcode::ValEq, *a, *b, 0),
            Op::ValNe { a, b } => self.binary(block, at, Opcode::ValNe, *a, *b, 0),
            Op::ValLt { a, b } => self.binary(block, at, Opcode::ValLt, *a, *b, 0),
            Op::ValLe { a, b } => self.binary(block, at, Opcode::ValLe, *a, *b, 0),
            Op::ValGt { a, b } => self.binary(block, at, Opcode::ValLt, *b, *a, 1),
            Op::ValGe { a, b } => self.binary(block, at, Opcode::ValLe, *b, *a, 1),
            Op::ValCompare { a, b } => self.leaf(block, at, Leaf::ValCompare, &[*a, *b]),
            Op::TextBuild { parts } => self.leaf(block, at, Leaf::TextBuild, parts),
            Op::TextLen { text } => self.query(block, at, Query::TextLen, *text, 0),
            Op::BytesConst { bytes } => {
                let number = self.text_number(bytes);
                let word = self.constant(Value::immediate(Immediate::StaticText, number).0);
                self.put(Opcode::LoadConst, SCRATCH, 0, 0, word);
                let leaf = self.tables.leaf(Leaf::BytesConst);
                self.result(block, at, |emitter, to| {
                    let pc = emitter.put(Opcode::Leaf, to, 1, 2, leaf);
                    emitter.put(Opcode::Args, 0, SCRATCH, (DIES >> 8) as u8, 0);
                    pc
                });
            }
            Op::BytesLen { bytes } => self.query(block, at, Query::BytesLen, *bytes, 0),
            Op::BytesGet { bytes, index } => self.leaf(block, at, Leaf::BytesGet, &[*bytes, *index]),
            Op::BytesPush { bytes, byte } => self.leaf(block, at, Leaf::BytesPush, &[*bytes, *byte]),
            Op::TupleNew { items } => {
                self.result(block, at, |emitter, to| emitter.with_args(Opcode::MakeTuple, to, 0, items));
            }
            Op::TupleIs { v, size } => self.unary(block, at, Opcode::TupleIs, *v, *size as u32),
            Op::TupleGet { tuple, index } => self.field(block, at, *tuple, *index as u32),
            Op::ListNew { items } => {
                self.result(block, at, |emitter, to| emitter.with_args(Opcode::MakeList, to, 0, items));
            }
            Op::ListLen { v } => self.unary(block, at, Opcode::ListLen, *v, 0),
            Op::ListGet { list, index } => self.binary(block, at, Opcode::ListGet, *list, *index, 0),
            Op::ListSet { list, index, item } => self.three(block, at, Opcode::ListSet, [*list, *index, *item]),
            Op::ListPush { list, item } => {
                let regs = [*list, *item];
                self.result(block, at, |emitter, to| emitter.with_args(Opcode::ListPush, to, 0, &regs));
            }
            Op::ListSlice { list, from, to } => self.leaf(block, at, Leaf::ListSlice, &[*list, *from, *to]),
            Op::ListConcat { a, b } => self.leaf(block, at, Leaf::ListConcat, &[*a, *b]),
            Op::RangeNew { a, b } => self.leaf(block, at, Leaf::RangeNew, &[*a, *b]),
            Op::RangeThrough { a, b } => self.leaf(block, at, Leaf::RangeThrough, &[*a, *b]),
            Op::SeqNew { v } => self.leaf(block, at, Leaf::SeqNew, &[*v]),
            Op::SeqLen { seq } => self.unary(block, at, Opcode::SeqLen, *seq, 0),
            Op::SeqGet { seq, index } => self.binary(block, at, Opcode::SeqGet, *seq, *index, 0),
            Op::ValIndex { v, key } => self.leaf(block, at, Leaf::ValIndex, &[*v, *key]),
            Op::RecordNew { names, items } => {
                let shape = self.shape(names);
                self.leaf(block, at, Leaf::RecordNew(shape), items);
            }
            Op::RecordIs { v } => self.query(block, at, Query::RecordIs, *v, 0),
            Op::RecordHas { v, name } => {
                let symbol = self.symbol(name);
                self.query(block, at, Query::RecordHas, *v, symbol);
            }
            Op::RecordGet { v, name } => {
                let symbol = self.symbol(name);
                self.unary(block, at, Opcode::RecordGet, *v, symbol);
            }
            Op::RecordSet { v, name, item } => {
                let symbol = self.symbol(name);
                self.leaf(block, at, Leaf::RecordSet(symbol), &[*v, *item]);
            }
            Op::RecordMerge { a, b } => self.leaf(block, at, Leaf::RecordMerge, &[*a, *b]),
            Op::RecordWithout { v, names } => {
                let shape = self.shape(names);
                self.leaf(block, at, Leaf::RecordWithout(shape), &[*v]);
            }
            Op::LabelNew { name, payload } => {
                let symbol = self.symbol(name);
                let payload = self.kept(*payload, 0);
                self.result(block, at, |emitter, to| emitter.put(Opcode::MakeLabel, to, payload, 0, symbol));
            }
            Op::LabelIs { v, name } => {
                let symbol = self.symbol(name);
                self.unary(block, at, Opcode::LabelIs, *v, symbol);
            }
            Op::LabelPayload { v } => self.field(block, at, *v, u32::MAX),
            Op::MapNew {} => self.leaf(block, at, Leaf::MapNew, &[]),
            Op::MapGet { map, key, otherwise } => self.leaf(block, at, Leaf::MapGet, &[*map, *key, *otherwise]),
            Op::MapHas { map, key } => self.leaf(block, at, Leaf::MapHas, &[*map, *key]),
            Op::MapInsert { map, key, item } => self.three(block, at, Opcode::MapInsert, [*map, *key, *item]),
            Op::MapRemove { map, key } => self.leaf(block, at, Leaf::MapRemove, &[*map, *key]),
            Op::MapLen { map } => self.query(block, at, Query::MapLen, *map, 0),
            Op::Closure { f, captures } if captures.is_empty() => {
                self.load_word(block, at, Value::immediate(Immediate::Function, f.0).0);
            }
            Op::Closure { f, captures } => {
                self.result(block, at, |emitter, to| emitter.with_args(Opcode::Closure, to, f.0, captures));
            }
            Op::CellNew { v } => self.leaf(block, at, Leaf::CellNew, &[*v]),
            Op::CellEmpty {} => self.leaf(block, at, Leaf::CellEmpty, &[]),
            Op::CellGet { cell, name } => {
                let symbol = self.symbol(name);
                self.unary(block, at, self.cell_read(block, at), *cell, symbol);
            }
            Op::CellSet { cell, v } => {
                let cell = self.source(*cell, 0);
                let value = self.kept(*v, 1);
                self.result(block, at, |emitter, to| emitter.put(Opcode::CellSet, to, cell, value, 0));
            }
            Op::ThunkNew { f, captures } => {
                self.result(block, at, |emitter, to| emitter.with_args(Opcode::Thunk, to, f.0, captures));
            }
            Op::Force { v } => {
                let v = self.kept(*v, 0);
                self.result(block, at, |emitter, to| emitter.put(Opcode::Force, to, v, 0, 0));
            }
            Op::Perform { effect, payload } => {
                let symbol = self.symbol(effect);
                self.perform(block, at, symbol, *payload);
            }
            Op::System { request } => self.perform(block, at, crate::statics::Known::System.number(), *request),
            Op::Handle { body, guard, clause, done, effects, mode } => {
                let effects = effects.iter().map(|name| self.symbol(name)).collect();
                self.handlers.push(HandlerSpec { effects, mode: *mode as u8 });
                let number = self.handlers.len() as u32 - 1;
                let regs = [*body, *guard, *clause, *done];
                self.result(block, at, |emitter, to| emitter.with_args(Opcode::Handle, to, number, &regs));
            }
            Op::ContinuationClone { k } => self.leaf(block, at, Leaf::ContinuationClone, &[*k]),
        }
    }

    fn perform(&mut self, block: usize, at: usize, symbol: u32, payload: Reg) {
        let payload = self.kept(payload, 0);
        self.result(block, at, |emitter, to| emitter.put(Opcode::Perform, to, payload, 0, symbol));
    }

    fn query(&mut self, block: usize, at: usize, query: Query, v: Reg, d: u32) {
        let v = self.source(v, 0);
        self.result(block, at, |emitter, to| emitter.put(Opcode::Query, to, v, query as u8, d));
    }

    fn field(&mut self, block: usize, at: usize, owner: Reg, index: u32) {
        let take = self.may_take(block, at, owner);
        let owner = self.source(owner, 0);
        self.result(block, at, |emitter, to| emitter.put(Opcode::FieldTake, to, owner, u8::from(take), index));
    }

    fn symbol(&mut self, name: &Text) -> u32 {
        self.tables.symbol(&Arc::clone(name))
    }

    fn shape(&mut self, names: &[Text]) -> u32 {
        let symbols: Vec<u32> = names.iter().map(|name| self.symbol(name)).collect();
        self.tables.statics.add_shape(&symbols)
    }

    fn int_add(&mut self, block: usize, at: usize, op: Opcode, a: Reg, b: Reg, sign: i64) {
        match self.immediate(block, at).and_then(|reg| self.small(reg, -127, 127)) {
            Some(value) => {
                let a = self.source(a, 0);
                let value = (value * sign) as i8;
                self.result(block, at, |emitter, to| emitter.put(Opcode::IntAddImm, to, a, value as u8, 0));
            }
            None => self.binary(block, at, op, a, b, 0),
        }
    }

    /// `d` tells whether the first operand dies, so that text and lists can grow in place; for the immediate form `c` tells addition.
    fn val_add(&mut self, block: usize, at: usize, op: Opcode, a: Reg, b: Reg, sign: i64) {
        match self.immediate(block, at).and_then(|reg| self.small(reg, -(1 << 30), 1 << 30)) {
            Some(value) => {
                let a = self.source(a, 0);
                let word = (value * sign * 2) as i32;
                self.result(block, at, |emitter, to| {
                    emitter.put(Opcode::ValAddImm, to, a, u8::from(sign > 0), word as u32)
                });
            }
            None => {
                let dies = u32::from(self.dies(a)) | u32::from(self.dies(b)) << 1;
                self.binary(block, at, op, a, b, dies);
            }
        }
    }
}
