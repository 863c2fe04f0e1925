//! Resume points: where a frame can wait, and what of it lives, in terms of the module and not of this executor.
//!
//! A frame waits at the entry of its function or at an instruction, by its position counted through all blocks. What lives there are the
//! registers that a later instruction of the module may read, ascending. Some of them have no slot: constants that instructions encode.

use super::{Const, Emitter};
use crate::code::{Point, PointRegister, int_word};
use qualm_ir::types::{Reg, Type};

/// What is collected while a function is emitted.
pub(super) struct Points {
    found: Vec<Point>,
    /// One past the last instruction that reads a register from its slot; later the slot may hold something else.
    last_reads: Vec<u32>,
    /// The current instruction.
    op: u32,
    /// What lives after it.
    live: Vec<Reg>,
    /// What lives after the instructions of the current block.
    block_live: Vec<Vec<Reg>>,
}

impl Emitter<'_> {
    /// The resume points of the function.
    pub(in crate::load) fn points(mut self) -> Vec<Point> {
        let last_reads = Vec::new();
        self.points = Some(Points { found: Vec::new(), last_reads, op: 0, live: Vec::new(), block_live: Vec::new() });
        self.emit();
        self.points.map(|points| points.found).unwrap_or_default()
    }

    pub(super) fn begin_points(&mut self) {
        if self.points.is_none() {
            return;
        }
        let mut last_reads = vec![0; self.types.len()];
        let mut position = 0;
        for (block, content) in self.function.blocks.iter().enumerate() {
            for at in 0..content.ops.len() {
                position += 1;
                self.real_uses(block, at, &mut |reg| last_reads[reg.index()] = position);
            }
        }
        let params: Vec<Reg> = (0..self.function.signature.params.len() as u32).map(Reg).collect();
        let regs = params.iter().map(|reg| self.point_register(*reg, true)).collect();
        if let Some(points) = &mut self.points {
            points.last_reads = last_reads;
            points.found.push(Point { pc: 0, op: Point::ENTRY, regs });
        }
    }

    pub(super) fn begin_op(&mut self, block: usize, at: usize, op: u32) {
        if self.points.is_none() {
            return;
        }
        if at == 0 {
            let block_live = self.live_in_block(block);
            if let Some(points) = &mut self.points {
                points.block_live = block_live;
            }
        }
        if let Some(points) = &mut self.points {
            (points.op, points.live) = (op, std::mem::take(&mut points.block_live[at]));
        }
    }

    /// For each instruction that may wait: what later instructions of the module may read.
    fn live_in_block(&self, block: usize) -> Vec<Vec<Reg>> {
        let ops = &self.function.blocks[block].ops;
        let mut live = std::collections::BTreeSet::new();
        let mut found = vec![Vec::new(); ops.len()];
        for (at, op) in ops.iter().enumerate().rev() {
            op.for_each_target(|target| live.extend(self.liveness.at_block(target.block.index()).iter().copied()));
            if let Some(reg) = self.defined_by(block, at) {
                live.remove(&reg);
            }
            if op.info().calls || op.info().fails {
                found[at] = live.iter().copied().collect();
            }
            op.for_each_use(|reg| {
                live.insert(reg);
            });
        }
        found
    }

    pub(super) fn note_point(&mut self, pc: usize) {
        let Some(points) = &mut self.points else { return };
        let (op, live) = (points.op, std::mem::take(&mut points.live));
        let regs = live.iter().map(|reg| self.point_register(*reg, self.has_slot_after(*reg, op))).collect();
        if let Some(points) = &mut self.points {
            points.found.push(Point { pc: pc as u32, op, regs });
        }
    }

    /// Whether a register's slot is still its own after an instruction.
    fn has_slot_after(&self, reg: Reg, op: u32) -> bool {
        let last = self.points.as_ref().map_or(0, |points| points.last_reads[reg.index()]);
        !self.folded[reg.index()] && last > op + 1
    }

    fn point_register(&self, reg: Reg, has_slot: bool) -> PointRegister {
        let constant = self.consts.get(&reg).map(|known| match known {
            Const::Int(value) => *value as u64,
            Const::Val(value) => int_word(*value).unwrap_or(1),
        });
        let slot = has_slot.then(|| self.slots.of[reg.index()]);
        PointRegister {
            is_val: self.types[reg.index()] == Type::Val,
            is_float: self.types[reg.index()] == Type::Float,
            slot,
            constant,
        }
    }
}
