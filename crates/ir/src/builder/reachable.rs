//! Drops blocks that nothing goes to: front ends place a block for every way a form could go, and a constant condition leaves some of them
//! without a way in. Registers are numbered by place, so those behind a dropped block move up.

use crate::module::Function;
use crate::op::{Op, ResultKind};
use crate::types::{BlockIndex, Reg};

/// The function without unreachable blocks.
pub(super) fn prune(mut function: Function) -> Function {
    let mut reached = vec![false; function.blocks.len()];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for at in 0..function.blocks.len() {
        if reached[at]
            && let Some(last) = function.blocks[at].ops.last()
        {
            last.for_each_target(|target| reached[target.block.index()] = true);
        }
    }
    if reached.iter().all(|reached| *reached) {
        return function;
    }
    let params = function.signature.params.len() as u32;
    let mut moved = Moved { regs: (0..params).map(Reg).collect(), blocks: Vec::new() };
    let (mut next_reg, mut next_block) = (params, 0);
    let mut spans = Vec::new();
    let (mut old_op, mut new_op) = (0, 0);
    for (block, reached) in function.blocks.iter().zip(&reached) {
        let results = block.ops.iter().filter(|op| op.info().result != ResultKind::None).count();
        let count = (block.params.len() + results) as u32;
        moved.regs.extend((0..count).map(|at| Reg(next_reg + at)));
        moved.blocks.push(BlockIndex(next_block));
        let ops = block.ops.len() as u32;
        if *reached {
            next_reg += count;
            next_block += 1;
            let first = function.debug.spans.partition_point(|(op, _)| *op < old_op);
            let last = function.debug.spans.partition_point(|(op, _)| *op < old_op + ops);
            spans.extend(function.debug.spans[first..last].iter().map(|(op, span)| (op - old_op + new_op, *span)));
            new_op += ops;
        }
        old_op += ops;
    }
    let mut keep = reached.into_iter();
    function.blocks.retain(|_| keep.next().unwrap_or(false));
    for op in function.blocks.iter_mut().flat_map(|block| &mut block.ops) {
        *op = moved.op(op);
    }
    function.debug.spans = spans;
    function
}

/// Where registers and blocks went.
struct Moved {
    regs: Vec<Reg>,
    blocks: Vec<BlockIndex>,
}

impl Moved {
    fn op(&self, op: &Op) -> Op {
        op.renumbered(&|reg| self.regs[reg.index()], &|block| self.blocks[block.index()], &|function| function)
    }
}
