//! How operands are encoded: near and far slots, operand lists, results, constants.

use super::{Emitter, SCRATCH};
use crate::code::{DIES, Inst, LENT, Leaf, Opcode};
use crate::load::borrows;
use qualm_ir::types::{Reg, Type};

impl Emitter<'_> {
    pub(super) fn put(&mut self, op: Opcode, a: u8, b: u8, c: u8, d: u32) -> usize {
        self.insts.push(Inst { op, a, b, c, d });
        self.insts.len() - 1
    }

    pub(super) fn dies(&self, reg: Reg) -> bool {
        self.types[reg.index()] != Type::Val || self.dying.contains(&reg)
    }

    /// A slot below 256 with the register's value, to look at.
    pub(super) fn source(&mut self, reg: Reg, scratch: u8) -> u8 {
        let slot = self.slots.of[reg.index()];
        if slot < u16::from(SCRATCH) {
            return slot as u8;
        }
        self.put(Opcode::LoadFar, SCRATCH + scratch, 0, 0, u32::from(slot));
        SCRATCH + scratch
    }

    /// A slot with the register's value, to keep: shared first if the register lives on.
    pub(super) fn kept(&mut self, reg: Reg, scratch: u8) -> u8 {
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

    pub(super) fn constant(&mut self, word: u64) -> u32 {
        let words = &mut self.words;
        *self.word_numbers.entry(word).or_insert_with(|| {
            words.push(word);
            words.len() as u32 - 1
        })
    }

    /// Emits an instruction with a result: `make` gets the slot to write.
    pub(super) fn result(&mut self, block: usize, at: usize, make: impl FnOnce(&mut Self, u8) -> usize) {
        let reg = self.defined_by(block, at).expect("the instruction defines a register");
        let slot = self.slots.of[reg.index()];
        let near = if slot < u16::from(SCRATCH) { slot as u8 } else { SCRATCH };
        let pc = make(self, near);
        self.waits(pc);
        if slot >= u16::from(SCRATCH) {
            self.put(Opcode::StoreFar, near, 0, 0, u32::from(slot));
        }
    }

    pub(super) fn waits(&mut self, pc: usize) {
        if let Some(live) = self.live_after.take() {
            self.live.push((pc as u32, live.into()));
            self.note_point(pc);
        }
    }

    /// Operands of the current instruction; `lent` tells which of them it only looks at.
    pub(super) fn args(&mut self, regs: &[Reg], lent: &dyn Fn(usize) -> bool) {
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
    pub(super) fn with_args(&mut self, op: Opcode, a: u8, d: u32, regs: &[Reg]) -> usize {
        self.with_lent_args(op, a, d, regs, &|_| false)
    }

    pub(super) fn with_lent_args(
        &mut self,
        op: Opcode,
        a: u8,
        d: u32,
        regs: &[Reg],
        lent: &dyn Fn(usize) -> bool,
    ) -> usize {
        let pc = self.put(op, a, regs.len() as u8, 1 + regs.len().div_ceil(3) as u8, d);
        self.args(regs, lent);
        pc
    }

    pub(super) fn leaf(&mut self, block: usize, at: usize, leaf: Leaf, regs: &[Reg]) {
        let number = self.tables.leaf(leaf);
        let op = &self.function.blocks[block].ops[at];
        let lent = |place: usize| borrows::looks_only(op, place);
        self.result(block, at, |emitter, to| emitter.with_lent_args(Opcode::Leaf, to, number, regs, &lent));
    }

    /// An instruction of three operands with its own opcode.
    pub(super) fn three(&mut self, block: usize, at: usize, op: Opcode, regs: [Reg; 3]) {
        self.result(block, at, |emitter, to| emitter.with_args(op, to, 0, &regs));
    }

    pub(super) fn unary(&mut self, block: usize, at: usize, op: Opcode, a: Reg, d: u32) {
        let a = self.source(a, 0);
        self.result(block, at, |emitter, to| emitter.put(op, to, a, 0, d));
    }

    pub(super) fn binary(&mut self, block: usize, at: usize, op: Opcode, a: Reg, b: Reg, d: u32) {
        let a = self.source(a, 0);
        let b = self.source(b, 1);
        self.result(block, at, |emitter, to| emitter.put(op, to, a, b, d));
    }

    pub(super) fn load_word(&mut self, block: usize, at: usize, word: u64) {
        let number = self.constant(word);
        self.result(block, at, |emitter, to| emitter.put(Opcode::LoadConst, to, 0, 0, number));
    }
}
