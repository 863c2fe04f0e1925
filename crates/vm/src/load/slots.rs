//! Which slot of the frame each register gets: linear scan over the body, exact enough because control only goes forward.
//!
//! Positions are four per instruction: block entry, uses, definition. A register's slot is taken from its definition to its last
//! use in the text; a result may take the slot of an operand that dies there.

use crate::stack::HEADER;
use qualm_ir::module::Function;
use qualm_ir::op::Op;
use qualm_ir::types::Reg;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// The slot of each register, and the words of the frame.
pub(crate) struct Slots {
    pub(crate) of: Vec<u16>,
    pub(crate) frame: usize,
}

/// Calls back with the registers that an instruction, by block and place, really reads.
pub(crate) type Uses<'a> = &'a dyn Fn(usize, usize, &mut dyn FnMut(Reg));

/// What slot assignment asks about the function.
pub(crate) struct Request<'a> {
    pub(crate) function: &'a Function,
    pub(crate) own_index: u32,
    pub(crate) registers: usize,
    /// The register each instruction defines.
    pub(crate) defines: &'a dyn Fn(usize, usize) -> Option<Reg>,
    pub(crate) block_start: &'a dyn Fn(usize) -> u32,
    /// Registers that exist only as constants in other instructions.
    pub(crate) folded: &'a [bool],
    /// Calls back with the registers an instruction really reads.
    pub(crate) uses: Uses<'a>,
}

pub(crate) fn assign(request: &Request<'_>) -> Slots {
    let function = request.function;
    let params = function.signature.params.len();
    let mut end = vec![0_u32; request.registers];
    let mut hint: HashMap<Reg, Reg> = HashMap::new();
    let mut slot_hint: HashMap<Reg, u16> = HashMap::new();
    let mut at = 0;
    for (block_at, block) in function.blocks.iter().enumerate() {
        for (op_at, op) in block.ops.iter().enumerate() {
            (request.uses)(block_at, op_at, &mut |reg| end[reg.index()] = 4 * at + 1);
            op.for_each_target(|target| {
                let first = (request.block_start)(target.block.index());
                for (place, arg) in target.args.iter().enumerate() {
                    hint.entry(Reg(first + place as u32)).or_insert(*arg);
                }
            });
            if let Op::TailCall { f, args } = op
                && f.0 == request.own_index
            {
                for (place, arg) in args.iter().enumerate() {
                    slot_hint.entry(*arg).or_insert((HEADER + place) as u16);
                }
            }
            at += 1;
        }
    }

    let mut scan =
        Scan { of: vec![0; request.registers], free: BTreeSet::new(), next: HEADER as u16, active: BinaryHeap::new() };
    for (place, until) in scan.of.iter_mut().zip(&end).take(params) {
        *place = scan.next;
        scan.active.push(Reverse((*until, scan.next)));
        scan.next += 1;
    }
    let mut at = 0;
    for (block_at, block) in function.blocks.iter().enumerate() {
        let first = (request.block_start)(block_at);
        for place in 0..block.params.len() as u32 {
            let reg = Reg(first + place);
            let wished = slot_hint.get(&reg).copied().or_else(|| hint.get(&reg).map(|arg| scan.of[arg.index()]));
            scan.give(reg, 4 * at, end[reg.index()], wished);
        }
        for op_at in 0..block.ops.len() {
            if let Some(reg) = (request.defines)(block_at, op_at)
                && !request.folded[reg.index()]
            {
                scan.give(reg, 4 * at + 2, end[reg.index()], slot_hint.get(&reg).copied());
            }
            at += 1;
        }
    }
    Slots { of: scan.of, frame: usize::from(scan.next) }
}

struct Scan {
    of: Vec<u16>,
    free: BTreeSet<u16>,
    next: u16,
    /// Taken slots by the position after which they are free.
    active: BinaryHeap<Reverse<(u32, u16)>>,
}

impl Scan {
    fn give(&mut self, reg: Reg, at: u32, end: u32, wished: Option<u16>) {
        while let Some(Reverse((until, slot))) = self.active.peek().copied() {
            if until >= at {
                break;
            }
            self.active.pop();
            self.free.insert(slot);
        }
        let slot = match wished.filter(|slot| self.free.remove(slot)) {
            Some(slot) => slot,
            None => self.free.pop_first().unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            }),
        };
        self.of[reg.index()] = slot;
        self.active.push(Reverse((end.max(at), slot)));
    }
}
