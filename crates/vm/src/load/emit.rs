//! Turns one function into instructions.
//!
//! Three passes: forward, to find constants and comparisons that fold into other instructions; backward, to find where registers die and
//! what lives across calls; forward again, to emit. Every instruction of the table has its arm in [`Emitter::op`].

use super::Tables;
use super::borrows::{self, Borrows};
use super::slots::{self, Slots};
use crate::code::{
    CONSTANT_FIRST, Code, Comparison, DIES, HandlerSpec, Inst, IntBits, LENT, Leaf, Opcode, Query, SwitchTable,
    int_word,
};
use crate::data::arith::Arith;
use crate::stack::HEADER;
use crate::value::{Immediate, Value};
use qualm_ir::liveness::{Liveness, RegisterStarts};
use qualm_ir::module::{Function, Module};
use qualm_ir::natives::Native;
use qualm_ir::op::{Op, ResultKind};
use qualm_ir::types::{BlockIndex, Reg, Target, Text, Type};
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
        }
    }

    pub(super) fn run(mut self) -> Code {
        self.fold();
        self.slots = self.assign_slots();
        let param_slots: Vec<u16> = self.val_slots((0..self.function.signature.params.len() as u32).map(Reg));
        self.live.push((0, param_slots.into()));
        self.put(Opcode::Enter, 0, 0, 0, 0);
        let mut op_count = 0;
        for block in 0..self.function.blocks.len() {
            self.block(block, &mut op_count);
        }
        self.patch();
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

    // ---- constants and fused comparisons

    fn fold(&mut self) {
        for block in 0..self.function.blocks.len() {
            for (at, op) in self.function.blocks[block].ops.iter().enumerate() {
                let Some(result) = self.defined_by(block, at) else { continue };
                match op {
                    Op::IntConst { value } => {
                        self.consts.insert(result, Const::Int(*value));
                    }
                    Op::ValInt { a } => {
                        if let Some(Const::Int(value)) = self.consts.get(a)
                            && int_word(*value).is_some()
                        {
                            self.consts.insert(result, Const::Val(*value));
                        }
                    }
                    _ => {}
                }
            }
        }
        for op in self.function.blocks.iter().flat_map(|block| &block.ops) {
            op.for_each_use(|reg| self.use_counts[reg.index()] += 1);
        }
        let mut real = vec![0_u32; self.types.len()];
        for block in 0..self.function.blocks.len() {
            for at in 0..self.function.blocks[block].ops.len() {
                self.real_uses(block, at, &mut |reg| real[reg.index()] += 1);
            }
        }
        for (reg, (folded, real)) in self.folded.iter_mut().zip(&real).enumerate() {
            *folded = *real == 0 && self.consts.contains_key(&Reg(reg as u32));
        }
        for block in 0..self.function.blocks.len() {
            for at in 0..self.function.blocks[block].ops.len() {
                if self.is_fused(block, at)
                    && let Some(reg) = self.defined_by(block, at)
                {
                    self.folded[reg.index()] = true;
                }
            }
        }
    }

    fn defined_by(&self, block: usize, at: usize) -> Option<Reg> {
        let content = &self.function.blocks[block];
        if content.ops[at].info().result == ResultKind::None {
            return None;
        }
        // Every instruction but the terminator defines a register, so the place tells its number.
        Some(Reg(self.starts.block_start(block) + content.params.len() as u32 + at as u32))
    }

    /// Whether a comparison is only there for the branch that follows it.
    fn is_fused(&self, block: usize, at: usize) -> bool {
        let ops = &self.function.blocks[block].ops;
        let compares = matches!(
            ops[at],
            Op::IntEq { .. }
                | Op::IntNe { .. }
                | Op::IntLt { .. }
                | Op::IntLe { .. }
                | Op::ValEq { .. }
                | Op::ValNe { .. }
                | Op::ValLt { .. }
                | Op::ValLe { .. }
                | Op::ValGt { .. }
                | Op::ValGe { .. }
                | Op::ValTruth { .. }
        );
        let result = self.defined_by(block, at);
        compares
            && matches!(ops.get(at + 1), Some(Op::Branch { c, .. }) if Some(*c) == result && self.use_counts[c.index()] == 1)
    }

    fn small(&self, reg: Reg, min: i64, max: i64) -> Option<i64> {
        match self.consts.get(&reg) {
            Some(Const::Int(value) | Const::Val(value)) if (min..=max).contains(value) => Some(*value),
            _ => None,
        }
    }

    /// The operand of an instruction that is encoded in it instead of read from a slot.
    fn immediate(&self, block: usize, at: usize) -> Option<Reg> {
        match &self.function.blocks[block].ops[at] {
            Op::ValAdd { b, .. } | Op::ValSub { b, .. } => self.small(*b, -(1 << 30), 1 << 30).map(|_| *b),
            Op::ValRem { b, .. } => self.small(*b, 1, 1 << 30).map(|_| *b),
            Op::IntAdd { b, .. } | Op::IntSub { b, .. } => self.small(*b, -127, 127).map(|_| *b),
            Op::ValEq { a, b }
            | Op::ValNe { a, b }
            | Op::ValLt { a, b }
            | Op::ValLe { a, b }
            | Op::ValGt { a, b }
            | Op::ValGe { a, b }
                if self.is_fused(block, at) =>
            {
                // A function with very many constants keeps those beyond the first ones in registers.
                let number = |reg: Reg| self.consts.get(&reg).filter(|_| self.consts.len() < 250).map(|_| reg);
                number(*b).or_else(|| number(*a))
            }
            Op::ValInt { a } => match self.defined_by(block, at) {
                Some(result) if self.consts.contains_key(&result) => Some(*a),
                _ => None,
            },
            _ => None,
        }
    }

    fn real_uses(&self, block: usize, at: usize, visit: &mut dyn FnMut(Reg)) {
        let mut skipped = self.immediate(block, at);
        let fused_branch = at > 0 && self.is_fused(block, at - 1);
        let condition = match &self.function.blocks[block].ops[at] {
            Op::Branch { c, .. } if fused_branch => Some(*c),
            _ => None,
        };
        self.function.blocks[block].ops[at].for_each_use(|reg| {
            if skipped == Some(reg) {
                skipped = None;
            } else if condition != Some(reg) {
                visit(reg);
            }
        });
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
        regs.filter(|reg| self.types[reg.index()] == Type::Val && !self.folded[reg.index()])
            .map(|reg| self.slots.of[reg.index()])
            .collect()
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

    // ---- operands

    fn put(&mut self, op: Opcode, a: u8, b: u8, c: u8, d: u32) -> usize {
        self.insts.push(Inst { op, a, b, c, d });
        self.insts.len() - 1
    }

    fn dies(&self, reg: Reg) -> bool {
        self.types[reg.index()] != Type::Val || self.dying.contains(&reg)
    }

    /// A slot below 256 with the register's value, to look at.
    fn source(&mut self, reg: Reg, scratch: u8) -> u8 {
        let slot = self.slots.of[reg.index()];
        if slot < u16::from(SCRATCH) {
            return slot as u8;
        }
        self.put(Opcode::LoadFar, SCRATCH + scratch, 0, 0, u32::from(slot));
        SCRATCH + scratch
    }

    /// A slot with the register's value, to keep: shared first if the register lives on.
    fn kept(&mut self, reg: Reg, scratch: u8) -> u8 {
        let slot = self.source(reg, scratch);
        if self.dies(reg) {
            return slot;
        }
        self.put(Opcode::MoveShare, SCRATCH + 3, slot, 0, 0);
        let home = self.slots.of[reg.index()];
        if home >= u16::from(SCRATCH) {
            self.put(Opcode::StoreFar, slot, 0, 0, u32::from(home));
        }
        SCRATCH + 3
    }

    fn constant(&mut self, word: u64) -> u32 {
        let words = &mut self.words;
        *self.word_numbers.entry(word).or_insert_with(|| {
            words.push(word);
            words.len() as u32 - 1
        })
    }

    /// Emits an instruction with a result: `make` gets the slot to write.
    fn result(&mut self, block: usize, at: usize, make: impl FnOnce(&mut Self, u8) -> usize) {
        let reg = self.defined_by(block, at).expect("the instruction defines a register");
        let slot = self.slots.of[reg.index()];
        let near = if slot < u16::from(SCRATCH) { slot as u8 } else { SCRATCH };
        let pc = make(self, near);
        self.waits(pc);
        if slot >= u16::from(SCRATCH) {
            self.put(Opcode::StoreFar, near, 0, 0, u32::from(slot));
        }
    }

    fn waits(&mut self, pc: usize) {
        if let Some(live) = self.live_after.take() {
            self.live.push((pc as u32, live.into()));
        }
    }

    /// Operands of the current instruction; `lent` tells which of them it only looks at.
    fn args(&mut self, regs: &[Reg], lent: &dyn Fn(usize) -> bool) {
        let mark = |emitter: &Self, place: usize, reg: Reg| match () {
            () if emitter.dies(reg) => DIES,
            () if lent(place) => LENT,
            () => 0,
        };
        let packed: Vec<u16> =
            regs.iter().enumerate().map(|(place, reg)| self.slots.of[reg.index()] | mark(self, place, *reg)).collect();
        for three in packed.chunks(3) {
            let mut packed = [0_u16; 3];
            packed[..three.len()].copy_from_slice(three);
            let [first, second, third] = packed;
            let d = u32::from(second) | u32::from(third) << 16;
            self.put(Opcode::Args, 0, first as u8, (first >> 8) as u8, d);
        }
    }

    /// An instruction followed by operands: `b` counts them, `c` the instructions in all.
    fn with_args(&mut self, op: Opcode, a: u8, d: u32, regs: &[Reg]) -> usize {
        self.with_lent_args(op, a, d, regs, &|_| false)
    }

    fn with_lent_args(&mut self, op: Opcode, a: u8, d: u32, regs: &[Reg], lent: &dyn Fn(usize) -> bool) -> usize {
        let pc = self.put(op, a, regs.len() as u8, 1 + regs.len().div_ceil(3) as u8, d);
        self.args(regs, lent);
        pc
    }

    fn leaf(&mut self, block: usize, at: usize, leaf: Leaf, regs: &[Reg]) {
        let number = self.tables.leaf(leaf);
        let op = &self.function.blocks[block].ops[at];
        let lent = |place: usize| borrows::looks_only(op, place);
        self.result(block, at, |emitter, to| emitter.with_lent_args(Opcode::Leaf, to, number, regs, &lent));
    }

    /// An instruction of three operands with its own opcode.
    fn three(&mut self, block: usize, at: usize, op: Opcode, regs: [Reg; 3]) {
        self.result(block, at, |emitter, to| emitter.with_args(op, to, 0, &regs));
    }

    fn unary(&mut self, block: usize, at: usize, op: Opcode, a: Reg, d: u32) {
        let a = self.source(a, 0);
        self.result(block, at, |emitter, to| emitter.put(op, to, a, 0, d));
    }

    fn binary(&mut self, block: usize, at: usize, op: Opcode, a: Reg, b: Reg, d: u32) {
        let a = self.source(a, 0);
        let b = self.source(b, 1);
        self.result(block, at, |emitter, to| emitter.put(op, to, a, b, d));
    }

    fn load_word(&mut self, block: usize, at: usize, word: u64) {
        let number = self.constant(word);
        self.result(block, at, |emitter, to| emitter.put(Opcode::LoadConst, to, 0, 0, number));
    }

    // ---- control

    /// The moves for a jump and the jump itself, left out if the block comes next.
    fn jump_to(&mut self, target: &Target, next: usize) {
        let first = self.starts.block_start(target.block.index());
        let moves: Vec<(u16, Reg)> =
            target.args.iter().enumerate().map(|(place, arg)| (self.slots.of[first as usize + place], *arg)).collect();
        let live = self.liveness.at_block(target.block.index()).to_vec();
        self.parallel_moves(moves, &|reg| live.binary_search(&reg).is_ok());
        if target.block.index() != next {
            let at = self.put(Opcode::Jump, 0, 0, 0, 0);
            self.patches.push((Patch::Inst(at), target.block));
        }
    }

    /// Moves registers to slots as if at once.
    fn parallel_moves(&mut self, moves: Vec<(u16, Reg)>, lives_on: &dyn Fn(Reg) -> bool) {
        struct Move {
            to: u16,
            from: u16,
            share: bool,
        }
        let mut open: Vec<Move> = Vec::new();
        for (to, reg) in &moves {
            let twice = moves.iter().filter(|(_, other)| other == reg).count() > 1;
            let share = self.types[reg.index()] == Type::Val && (twice || lives_on(*reg));
            open.push(Move { to: *to, from: self.slots.of[reg.index()], share });
        }
        // What is copied more than once or lives on is shared in place first, so that the order of the moves does not matter.
        for one in &open {
            if one.share {
                let slot = one.from;
                if slot < u16::from(SCRATCH) {
                    self.put(Opcode::MoveShare, SCRATCH + 3, slot as u8, 0, 0);
                } else {
                    self.put(Opcode::LoadFar, SCRATCH, 0, 0, u32::from(slot));
                    self.put(Opcode::MoveShare, SCRATCH + 3, SCRATCH, 0, 0);
                    self.put(Opcode::StoreFar, SCRATCH, 0, 0, u32::from(slot));
                }
            }
        }
        open.retain(|one| one.to != one.from);
        while !open.is_empty() {
            let free = open.iter().position(|one| open.iter().all(|other| other.from != one.to));
            match free {
                Some(index) => {
                    let one = open.swap_remove(index);
                    self.copy(one.from, one.to);
                }
                None => {
                    // A cycle: one source goes to scratch, which everybody reads instead.
                    let slot = open[0].from;
                    self.copy(slot, u16::from(SCRATCH + 2));
                    open.iter_mut().filter(|one| one.from == slot).for_each(|one| one.from = u16::from(SCRATCH + 2));
                }
            }
        }
    }

    fn copy(&mut self, from: u16, to: u16) {
        let near = |slot: u16| slot < 256;
        match (near(from), near(to)) {
            (true, true) => {
                self.put(Opcode::Move, to as u8, from as u8, 0, 0);
            }
            (false, true) => {
                self.put(Opcode::LoadFar, to as u8, 0, 0, u32::from(from));
            }
            (true, false) => {
                self.put(Opcode::StoreFar, from as u8, 0, 0, u32::from(to));
            }
            (false, false) => {
                self.put(Opcode::LoadFar, SCRATCH, 0, 0, u32::from(from));
                self.put(Opcode::StoreFar, SCRATCH, 0, 0, u32::from(to));
            }
        }
    }

    /// Emits a conditional jump for "not so" with `make`, then both ways.
    fn branch(&mut self, block: usize, yes: &Target, no: &Target, make: impl FnOnce(&mut Self) -> usize) {
        let next = block + 1;
        let at = make(self);
        self.waits(at);
        if no.args.is_empty() {
            self.patches.push((Patch::Inst(at), no.block));
            self.jump_to(yes, next);
            return;
        }
        // The way of "yes" cannot fall through: the moves of "no" follow it.
        self.jump_to(yes, usize::MAX);
        self.insts[at].d = self.insts.len() as u32;
        self.jump_to(no, next);
    }

    fn fused_branch(&mut self, block: usize, at: usize) {
        let function = self.function;
        let ops = &function.blocks[block].ops;
        let Some(Op::Branch { yes, no, .. }) = ops.get(at + 1) else {
            unreachable!("a fused comparison precedes a branch")
        };
        let immediate = self.immediate(block, at);
        let compare = |plain: Opcode, right: Comparison, left: Comparison, a: Reg, b: Reg| (plain, right, left, a, b);
        let (plain, right, left, a, b) = match &ops[at] {
            Op::IntEq { a, b } => compare(Opcode::IntEqElse, Comparison::Eq, Comparison::Eq, *a, *b),
            Op::IntNe { a, b } => compare(Opcode::IntNeElse, Comparison::Ne, Comparison::Ne, *a, *b),
            Op::IntLt { a, b } => compare(Opcode::IntLtElse, Comparison::Lt, Comparison::Gt, *a, *b),
            Op::IntLe { a, b } => compare(Opcode::IntLeElse, Comparison::Le, Comparison::Ge, *a, *b),
            Op::ValEq { a, b } => compare(Opcode::ValEqElse, Comparison::Eq, Comparison::Eq, *a, *b),
            Op::ValNe { a, b } => compare(Opcode::ValNeElse, Comparison::Ne, Comparison::Ne, *a, *b),
            Op::ValLt { a, b } => compare(Opcode::ValLtElse, Comparison::Lt, Comparison::Gt, *a, *b),
            Op::ValLe { a, b } => compare(Opcode::ValLeElse, Comparison::Le, Comparison::Ge, *a, *b),
            Op::ValGt { a, b } => compare(Opcode::ValLtElse, Comparison::Gt, Comparison::Lt, *a, *b),
            Op::ValGe { a, b } => compare(Opcode::ValLeElse, Comparison::Ge, Comparison::Le, *a, *b),
            Op::ValTruth { v, role } => {
                let role = self.text_number(role);
                let v = self.source(*v, 0);
                let number = self.constant(u64::from(role)) as u8;
                // The role's number needs more room than `c`: it is a constant of the function.
                if self.words.len() > 255 {
                    self.put(Opcode::Truth, SCRATCH + 1, v, 0, role);
                    let pc = self.insts.len() - 1;
                    if let Some(live) = self.live_after.take() {
                        self.live.push((pc as u32, live.into()));
                    }
                    return self
                        .branch(block, yes, no, |emitter| emitter.put(Opcode::BranchUnless, SCRATCH + 1, 0, 0, 0));
                }
                return self.branch(block, yes, no, |emitter| emitter.put(Opcode::TruthElse, 0, v, number, 0));
            }
            _ => unreachable!("only comparisons are fused"),
        };
        match immediate {
            Some(reg) => {
                let is_right = reg == b;
                let (comparison, other) = if is_right { (right as u8, a) } else { (left as u8 | CONSTANT_FIRST, b) };
                let value = self.small(reg, i64::MIN >> 1, i64::MAX >> 1).and_then(int_word).unwrap_or(1);
                let value = self.constant(value);
                let other = self.source(other, 0);
                self.branch(block, yes, no, |emitter| {
                    emitter.put(Opcode::ValImmElse, comparison, other, value as u8, 0)
                });
            }
            None => {
                let (a, b) = (self.source(a, 0), self.source(b, 1));
                let swapped = matches!(ops[at], Op::ValGt { .. } | Op::ValGe { .. });
                let (a, b) = if swapped { (b, a) } else { (a, b) };
                self.branch(block, yes, no, |emitter| emitter.put(plain, u8::from(swapped), a, b, 0));
            }
        }
    }

    fn text_number(&mut self, text: &Text) -> u32 {
        self.tables.statics.add_text(text)
    }

    /// Whether an item read here may be moved out of its owner instead of shared: the owner dies here, or after a run of reads of
    /// other items that nothing else comes between.
    fn may_take(&self, block: usize, at: usize, owner: Reg) -> bool {
        let ops = &self.function.blocks[block].ops;
        let item = |op: &Op| match op {
            Op::TupleGet { tuple, index } => Some((*tuple, *index)),
            Op::LabelPayload { v } => Some((*v, 0)),
            _ => None,
        };
        let Some((_, first)) = item(&ops[at]) else { return false };
        if self.dying.contains(&owner) {
            return true;
        }
        let mut seen = vec![first];
        let mut end = at + 1;
        while let Some((other, index)) = ops.get(end).and_then(item) {
            if other != owner || seen.contains(&index) {
                return false;
            }
            seen.push(index);
            end += 1;
            let used_later = ops[end..].iter().any(|op| {
                let mut found = false;
                op.for_each_use(|reg| found |= reg == owner);
                found
            });
            let mut live_out = false;
            if let Some(last) = ops.last() {
                last.for_each_target(|target| {
                    live_out |= self.liveness.at_block(target.block.index()).binary_search(&owner).is_ok();
                });
            }
            if !used_later && !live_out {
                return true;
            }
        }
        false
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
            Op::IntRem { a, b } => self.binary(block, at, Opcode::IntRem, *a, *b, 0),
            Op::IntNeg { a } => self.unary(block, at, Opcode::IntNeg, *a, 0),
            Op::IntAddWrap { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::AddWrap as u32),
            Op::IntSubWrap { a, b } => self.binary(block, at, Opcode::IntBits, *a, *b, IntBits::SubWrap as u32),
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
            Op::ListPush { list, item } => self.leaf(block, at, Leaf::ListPush, &[*list, *item]),
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
                self.leaf(block, at, Leaf::LabelNew(symbol), &[*payload]);
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
                self.unary(block, at, Opcode::CellGet, *cell, symbol);
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

    fn switch(&mut self, on: Reg, cases: &[qualm_ir::types::Case], default: &Target) {
        let on = self.source(on, 0);
        let table = self.switches.len();
        self.switches.push(SwitchTable { cases: cases.iter().map(|case| (case.value, 0)).collect(), default: 0 });
        self.put(Opcode::Switch, on, 0, 0, table as u32);
        for (at, case) in cases.iter().enumerate() {
            if case.target.args.is_empty() {
                self.patches.push((Patch::Case(table, at), case.target.block));
            } else {
                self.switches[table].cases[at].1 = self.insts.len() as u32;
                self.jump_to(&case.target, usize::MAX);
            }
        }
        if default.args.is_empty() {
            self.patches.push((Patch::Default(table), default.block));
        } else {
            self.switches[table].default = self.insts.len() as u32;
            self.jump_to(default, usize::MAX);
        }
    }
}
