//! What needs no register: constants that instructions encode, comparisons that only decide a branch; and what may move out of a
//! dying owner.

use super::{Const, Emitter};
use crate::code::int_word;
use qualm_ir::op::{Op, ResultKind};
use qualm_ir::types::Reg;

impl Emitter<'_> {
    pub(super) fn fold(&mut self) {
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

    pub(super) fn defined_by(&self, block: usize, at: usize) -> Option<Reg> {
        let content = &self.function.blocks[block];
        if content.ops[at].info().result == ResultKind::None {
            return None;
        }
        // Every instruction but the terminator defines a register, so the place tells its number.
        Some(Reg(self.starts.block_start(block) + content.params.len() as u32 + at as u32))
    }

    /// Whether a comparison is only there for the branch that follows it.
    pub(super) fn is_fused(&self, block: usize, at: usize) -> bool {
        let ops = &self.function.blocks[block].ops;
        let compares = matches!(
            ops[at],
            Op::IntEq { .. }
                | Op::IntNe { .. }
                | Op::IntLt { .. }
                | Op::IntLe { .. }
                | Op::FloatEq { .. }
                | Op::FloatLt { .. }
                | Op::FloatLe { .. }
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

    pub(super) fn small(&self, reg: Reg, min: i64, max: i64) -> Option<i64> {
        match self.consts.get(&reg) {
            Some(Const::Int(value) | Const::Val(value)) if (min..=max).contains(value) => Some(*value),
            _ => None,
        }
    }

    /// The operand of an instruction that is encoded in it instead of read from a slot.
    pub(super) fn immediate(&self, block: usize, at: usize) -> Option<Reg> {
        match &self.function.blocks[block].ops[at] {
            Op::ValAdd { b, .. } | Op::ValSub { b, .. } => self.small(*b, -(1 << 30), 1 << 30).map(|_| *b),
            Op::ValRem { b, .. } => self.small(*b, 1, 1 << 30).map(|_| *b),
            Op::IntAdd { b, .. } | Op::IntSub { b, .. } | Op::IntAddWrap { b, .. } | Op::IntSubWrap { b, .. } => {
                self.small(*b, -127, 127).map(|_| *b)
            }
            Op::IntRem { b, .. } => self.small(*b, 1, i64::from(u32::MAX)).map(|_| *b),
            Op::IntEq { a, b }
            | Op::IntNe { a, b }
            | Op::IntLt { a, b }
            | Op::IntLe { a, b }
            | Op::ValEq { a, b }
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

    pub(super) fn real_uses(&self, block: usize, at: usize, visit: &mut dyn FnMut(Reg)) {
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

    /// Whether an item read here may be moved out of its owner instead of shared: the owner dies here, or after a run of reads of
    /// other items that nothing else comes between.
    pub(super) fn may_take(&self, block: usize, at: usize, owner: Reg) -> bool {
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
}
