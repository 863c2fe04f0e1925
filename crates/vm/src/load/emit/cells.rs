//! Reading a cell without taking its value's owner away.
//!
//! An update is `cell.get`, an operation that may work in place, `cell.set` of the same cell. A value that is read from a cell is shared, because the cell keeps it; so the operation would copy. If nothing can happen between the reading and the
//! operation, nor between that and the writing, nobody can see that the cell still holds what is being changed, and the owner's bit may stay. If the
//! operation fails it has changed nothing, and the cell holds what it held.
//!
//! A look is a `cell.get` whose value is only looked at, and right away: the register holds a reference without ownership, which is gone before anybody else
//! can write.

use super::Emitter;
use crate::code::Opcode;
use crate::load::borrows::looks_only;
use qualm_ir::op::Op;
use qualm_ir::types::Reg;

/// The operand that an operation may change in place.
fn updated(op: &Op) -> Option<Reg> {
    match op {
        Op::ListPush { list, .. } | Op::ListSet { list, .. } | Op::ListSlice { list, .. } => Some(*list),
        Op::ListConcat { a, .. } | Op::ValAdd { a, .. } | Op::RecordMerge { a, .. } => Some(*a),
        Op::MapInsert { map, .. } | Op::MapRemove { map, .. } => Some(*map),
        Op::RecordSet { v, .. } => Some(*v),
        Op::BytesPush { bytes, .. } => Some(*bytes),
        _ => None,
    }
}

impl Emitter<'_> {
    /// The instruction for a `cell.get`.
    pub(super) fn cell_read(&self, block: usize, at: usize) -> Opcode {
        if self.is_update(block, at) {
            Opcode::CellBorrow
        } else if self.is_look(block, at) {
            Opcode::CellLook
        } else {
            Opcode::CellGet
        }
    }

    /// Whether the next thing that can fail or wait only looks at what was read, and nothing else uses that.
    fn is_look(&self, block: usize, at: usize) -> bool {
        let ops = &self.function.blocks[block].ops;
        let Some(value) = self.defined_by(block, at) else { return false };
        if self.use_counts[value.index()] != 1 {
            return false;
        }
        for op in &ops[at + 1..] {
            let (mut place, mut used) = (0, None);
            op.for_each_use(|reg| {
                if reg == value {
                    used = Some(place);
                }
                place += 1;
            });
            if let Some(place) = used {
                return looks_only(op, place);
            }
            if op.info().fails || op.info().calls || matches!(op, Op::CellSet { .. }) {
                return false;
            }
        }
        false
    }

    /// Whether this `cell.get` starts an update.
    fn is_update(&self, block: usize, at: usize) -> bool {
        let ops = &self.function.blocks[block].ops;
        let Op::CellGet { cell, .. } = &ops[at] else { return false };
        let Some(mut value) = self.defined_by(block, at) else { return false };
        let mut changed = false;
        for (next, op) in ops.iter().enumerate().skip(at + 1) {
            let mut uses = 0;
            op.for_each_use(|reg| uses += usize::from(reg == value));
            if uses > 0 {
                if uses > 1 || self.use_counts[value.index()] != 1 {
                    return false;
                }
                if let Op::CellSet { cell: target, v } = op {
                    return changed && target == cell && *v == value;
                }
                // After a first field of a record is set, setting another cannot fail.
                let again = changed && !matches!(op, Op::RecordSet { .. });
                if again || updated(op) != Some(value) {
                    return false;
                }
                let Some(result) = self.defined_by(block, next) else { return false };
                (value, changed) = (result, true);
            } else if op.info().fails || op.info().calls || matches!(op, Op::CellSet { .. }) {
                return false;
            }
        }
        false
    }
}
