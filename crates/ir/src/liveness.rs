//! Which registers are still needed where: one backward pass, exact because control only goes forward.
//!
//! Last uses are not stored in modules. They follow from the body, so storing them would allow two spellings of one program and wrong
//! marks from outside; every executor derives them from here (`docs/decisions/0001-last-uses-are-derived.md`).

use crate::module::Function;
use crate::types::Reg;
use std::collections::BTreeSet;

/// Live registers at the start of each block, its own parameters excluded; ascending.
#[derive(Clone, Debug)]
pub struct Liveness {
    live_in: Vec<Vec<Reg>>,
}

impl Liveness {
    /// Computes liveness of a verified function.
    pub fn of(function: &Function, types: &RegisterStarts) -> Self {
        let mut live_in = vec![Vec::new(); function.blocks.len()];
        for (at, block) in function.blocks.iter().enumerate().rev() {
            let mut live = BTreeSet::new();
            let mut next = types.block_end(at);
            for op in block.ops.iter().rev() {
                op.for_each_target(|target| live.extend(live_in[target.block.index()].iter().copied()));
                if types.defines(op) {
                    next -= 1;
                    live.remove(&Reg(next));
                }
                op.for_each_use(|reg| {
                    live.insert(reg);
                });
            }
            let start = types.block_start(at);
            live_in[at] = live.into_iter().filter(|reg| reg.0 < start || reg.0 >= next).collect();
        }
        Self { live_in }
    }

    /// What lives at the start of a block.
    pub fn at_block(&self, block: usize) -> &[Reg] {
        &self.live_in[block]
    }
}

/// Where the registers of each block start, to number results.
#[derive(Clone, Debug)]
pub struct RegisterStarts {
    starts: Vec<u32>,
    total: u32,
}

impl RegisterStarts {
    /// Counts the registers of a function.
    pub fn of(function: &Function) -> Self {
        let mut next = function.signature.params.len() as u32;
        let mut starts = Vec::with_capacity(function.blocks.len());
        for block in &function.blocks {
            starts.push(next);
            let results = block.ops.iter().filter(|op| op.info().result != crate::op::ResultKind::None).count();
            next += (block.params.len() + results) as u32;
        }
        Self { starts, total: next }
    }

    /// The first register of a block: its first parameter.
    pub fn block_start(&self, block: usize) -> u32 {
        self.starts[block]
    }

    /// One past the last register of a block.
    pub fn block_end(&self, block: usize) -> u32 {
        self.starts.get(block + 1).copied().unwrap_or(self.total)
    }

    /// The number of registers.
    pub fn total(&self) -> u32 {
        self.total
    }

    fn defines(&self, op: &crate::op::Op) -> bool {
        op.info().result != crate::op::ResultKind::None
    }
}
