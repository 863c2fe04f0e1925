//! Jumps: moves to block parameters as if at once, branches, comparisons fused with them, switches.

use super::{Const, Emitter, Patch, SCRATCH};
use crate::code::{CONSTANT_FIRST, Comparison, Opcode, SwitchTable, int_word};
use qualm_ir::op::Op;
use qualm_ir::types::{Reg, Target, Text, Type};

impl Emitter<'_> {
    /// The moves for a jump and the jump itself, left out if the block comes next.
    pub(super) fn jump_to(&mut self, target: &Target, next: usize) {
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
    pub(super) fn parallel_moves(&mut self, moves: Vec<(u16, Reg)>, lives_on: &dyn Fn(Reg) -> bool) {
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

    pub(super) fn copy(&mut self, from: u16, to: u16) {
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
    pub(super) fn branch(&mut self, block: usize, yes: &Target, no: &Target, make: impl FnOnce(&mut Self) -> usize) {
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

    pub(super) fn fused_branch(&mut self, block: usize, at: usize) {
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
            Op::FloatEq { a, b } => compare(Opcode::FloatEqElse, Comparison::Eq, Comparison::Eq, *a, *b),
            Op::FloatLt { a, b } => compare(Opcode::FloatLtElse, Comparison::Lt, Comparison::Gt, *a, *b),
            Op::FloatLe { a, b } => compare(Opcode::FloatLeElse, Comparison::Le, Comparison::Ge, *a, *b),
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
                    self.waits(pc);
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
                let is_int =
                    matches!(ops[at], Op::IntEq { .. } | Op::IntNe { .. } | Op::IntLt { .. } | Op::IntLe { .. });
                let (opcode, comparison, word) = match self.consts.get(&reg) {
                    Some(Const::Int(value)) if is_int => {
                        (Opcode::IntImmElse, comparison & !CONSTANT_FIRST, *value as u64)
                    }
                    Some(Const::Int(value) | Const::Val(value)) => {
                        (Opcode::ValImmElse, comparison, int_word(*value).unwrap_or(1))
                    }
                    None => unreachable!("an immediate operand is a constant"),
                };
                let value = self.constant(word);
                let other = self.source(other, 0);
                self.branch(block, yes, no, |emitter| emitter.put(opcode, comparison, other, value as u8, 0));
            }
            None => {
                let (a, b) = (self.source(a, 0), self.source(b, 1));
                let swapped = matches!(ops[at], Op::ValGt { .. } | Op::ValGe { .. });
                let (a, b) = if swapped { (b, a) } else { (a, b) };
                self.branch(block, yes, no, |emitter| emitter.put(plain, u8::from(swapped), a, b, 0));
            }
        }
    }

    pub(super) fn text_number(&mut self, text: &Text) -> u32 {
        self.tables.statics.add_text(text)
    }

    pub(super) fn switch(&mut self, on: Reg, cases: &[qualm_ir::types::Case], default: &Target) {
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
