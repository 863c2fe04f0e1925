//! Which values are only looked at.
//!
//! A value that is passed on while its register lives on would become shared for good, even if the callee just reads it: `Map.get k m` would
//! end all in-place updates of `m`. So operands that an instruction only looks at are **lent**: passed without ownership, while the register keeps it. A parameter that a
//! function only lends in its turn is lent by its callers too; this is the greatest solution, found by taking claims back until
//! nothing changes.
//!
//! Sound because what is lent is neither kept nor returned: while the callee runs nobody else writes, and afterwards no copy is left.

use qualm_ir::module::{Function, Module};
use qualm_ir::natives::Native;
use qualm_ir::op::Op;
use qualm_ir::types::FunctionIndex;

/// For each function which parameters are only looked at.
#[derive(Debug)]
pub(super) struct Borrows {
    params: Vec<Vec<bool>>,
}

impl Borrows {
    /// Finds them for a whole module.
    pub(super) fn of(module: &Module) -> Self {
        let params = module.functions.iter().map(|function| vec![true; function.signature.params.len()]).collect();
        let mut borrows = Self { params };
        loop {
            let mut changed = false;
            for (index, function) in module.functions.iter().enumerate() {
                changed |= borrows.take_back(index, function);
            }
            if !changed {
                return borrows;
            }
        }
    }

    /// Whether a parameter is only looked at.
    pub(super) fn lends(&self, function: FunctionIndex, param: usize) -> bool {
        self.params[function.index()].get(param).copied().unwrap_or(false)
    }

    /// Takes back what a use contradicts.
    fn take_back(&mut self, index: usize, function: &Function) -> bool {
        let count = self.params[index].len();
        let mut changed = false;
        for op in function.blocks.iter().flat_map(|block| &block.ops) {
            let callee = match op {
                Op::Call { f, .. } | Op::TailCall { f, .. } => Some(*f),
                _ => None,
            };
            let mut place = 0;
            let mut kept = Vec::new();
            op.for_each_use(|reg| {
                if reg.index() < count {
                    let lent = match callee {
                        Some(callee) => self.lends(callee, place),
                        None => looks_only(op, place),
                    };
                    if !lent {
                        kept.push(reg.index());
                    }
                }
                place += 1;
            });
            for param in kept {
                changed |= std::mem::replace(&mut self.params[index][param], false);
            }
        }
        changed
    }
}

/// Whether an instruction only looks at its register operand at this place: it neither keeps it nor may give it back.
pub(super) fn looks_only(op: &Op, place: usize) -> bool {
    match op {
        Op::Native { native, .. } => native_looks_only(*native),
        Op::ListGet { .. }
        | Op::ListLen { .. }
        | Op::TupleIs { .. }
        | Op::TupleGet { .. }
        | Op::SeqLen { .. }
        | Op::SeqGet { .. }
        | Op::ValIndex { .. }
        | Op::RecordIs { .. }
        | Op::RecordHas { .. }
        | Op::RecordGet { .. }
        | Op::LabelIs { .. }
        | Op::LabelPayload { .. }
        | Op::MapHas { .. }
        | Op::MapLen { .. }
        | Op::TextLen { .. }
        | Op::BytesLen { .. }
        | Op::BytesGet { .. }
        | Op::ValKind { .. }
        | Op::ValTruth { .. }
        | Op::ValToInt { .. }
        | Op::ValToFloat { .. }
        | Op::ValSub { .. }
        | Op::ValMul { .. }
        | Op::ValDiv { .. }
        | Op::ValRem { .. }
        | Op::ValPow { .. }
        | Op::ValNeg { .. }
        | Op::ValEq { .. }
        | Op::ValNe { .. }
        | Op::ValLt { .. }
        | Op::ValLe { .. }
        | Op::ValGt { .. }
        | Op::ValGe { .. }
        | Op::ValCompare { .. } => true,
        // The third operand may be the result.
        Op::MapGet { .. } => place < 2,
        Op::MapRemove { .. } => place == 1,
        _ => false,
    }
}

fn native_looks_only(native: Native) -> bool {
    matches!(
        native,
        Native::TextRepr
            | Native::TextJoin
            | Native::TextReverse
            | Native::TextUpper
            | Native::TextLower
            | Native::TextTrim
            | Native::TextChars
            | Native::TextWords
            | Native::TextLines
            | Native::TextSplit
            | Native::TextContains
            | Native::TextStartsWith
            | Native::TextEndsWith
            | Native::TextReplace
            | Native::TextSlice
            | Native::TextRepeat
            | Native::TextPadLeft
            | Native::TextCode
            | Native::TextToInt
            | Native::TextToFloat
            | Native::SeqLen
            | Native::SeqSum
            | Native::SeqProduct
            | Native::ListIndexOf
            | Native::ListUnique
            | Native::MapKeys
            | Native::MapValues
            | Native::MapPairs
            | Native::MapFind
            | Native::Compare
            | Native::MatchFailure
            | Native::ErrorValue
    )
}
