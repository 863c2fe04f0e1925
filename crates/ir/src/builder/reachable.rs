//! Drops blocks that nothing goes to: front ends place a block for every way a form could go, and a constant condition leaves some of them
//! without a way in. Registers are numbered by place, so those behind a dropped block move up.

use crate::module::Function;
use crate::op::{Field, FieldRef, Op, ResultKind};
use crate::types::{BlockIndex, Case, Reg, Target};

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
    fn reg(&self, reg: Reg) -> Reg {
        self.regs[reg.index()]
    }

    fn regs(&self, regs: &[Reg]) -> Vec<Reg> {
        regs.iter().map(|reg| self.reg(*reg)).collect()
    }

    fn target(&self, target: &Target) -> Target {
        Target { block: self.blocks[target.block.index()], args: self.regs(&target.args) }
    }

    fn op(&self, op: &Op) -> Op {
        let fields = op.fields().into_iter().map(|field| match field {
            FieldRef::Int(reg) => Field::Int(self.reg(reg)),
            FieldRef::Float(reg) => Field::Float(self.reg(reg)),
            FieldRef::Val(reg) => Field::Val(self.reg(reg)),
            FieldRef::Ret(reg) => Field::Ret(self.reg(reg)),
            FieldRef::Vals(regs) => Field::Vals(self.regs(regs)),
            FieldRef::Args(regs) => Field::Args(self.regs(regs)),
            FieldRef::Imm(value) => Field::Imm(value),
            FieldRef::Number(value) => Field::Number(value),
            FieldRef::Text(text) => Field::Text(text.clone()),
            FieldRef::Symbol(name) => Field::Symbol(name.clone()),
            FieldRef::Symbols(names) => Field::Symbols(names.to_vec()),
            FieldRef::Func(index) => Field::Func(index),
            FieldRef::Native(native) => Field::Native(native),
            FieldRef::Target(target) => Field::Target(self.target(target)),
            FieldRef::Cases(cases) => {
                let case = |case: &Case| Case { value: case.value, target: self.target(&case.target) };
                Field::Cases(cases.iter().map(case).collect())
            }
        });
        Op::from_fields(op.opcode(), fields.collect()).expect("the operands keep their kinds")
    }
}
