//! Operand lists: three 16-bit operands in each `Args` instruction.

use crate::code::{DIES, Inst, LENT};
use crate::value::Value;

/// Operands of most instructions fit here; more go to the heap.
const INLINE: usize = 8;

/// The values of an operand list.
pub(super) struct Operands {
    inline: [Value; INLINE],
    spilled: Vec<Value>,
    count: usize,
}

impl std::ops::Deref for Operands {
    type Target = [Value];

    #[inline]
    fn deref(&self) -> &[Value] {
        if self.count <= INLINE { &self.inline[..self.count] } else { &self.spilled }
    }
}

impl std::ops::DerefMut for Operands {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Value] {
        if self.count <= INLINE { &mut self.inline[..self.count] } else { &mut self.spilled }
    }
}

/// Reads one operand: moved if its register dies, lent if it is only looked at, else shared with it.
#[inline]
fn operand(stack: &mut [u64], base: usize, packed: u16) -> u64 {
    let slot = base + usize::from(packed & !(DIES | LENT));
    let word = stack[slot];
    if packed & DIES != 0 {
        return word;
    }
    let shared = Value(word).shared().0;
    if packed & LENT == 0 {
        stack[slot] = shared;
    }
    shared
}

#[inline]
fn unpack(inst: Inst) -> [u16; 3] {
    [u16::from(inst.b) | u16::from(inst.c) << 8, inst.d as u16, (inst.d >> 16) as u16]
}

/// The values of `count` operands.
#[inline]
pub(super) fn gather(stack: &mut [u64], base: usize, args: &[Inst], count: usize) -> Operands {
    let mut operands = Operands { inline: [Value::UNIT; INLINE], spilled: Vec::new(), count };
    if count <= INLINE {
        let mut at = 0;
        for inst in args {
            if at >= count {
                break;
            }
            for packed in unpack(*inst) {
                if at < count {
                    operands.inline[at] = Value(operand(stack, base, packed));
                }
                at += 1;
            }
        }
    } else {
        let packed = args.iter().flat_map(|inst| unpack(*inst)).take(count);
        operands.spilled = packed.map(|packed| Value(operand(stack, base, packed))).collect();
    }
    operands
}

/// Exactly two operands.
#[inline]
pub(super) fn pair(stack: &mut [u64], base: usize, args: &Inst) -> [Value; 2] {
    let [first, second, _] = unpack(*args);
    [first, second].map(|packed| Value(operand(stack, base, packed)))
}

/// Exactly three operands.
#[inline]
pub(super) fn triple(stack: &mut [u64], base: usize, args: &Inst) -> [Value; 3] {
    unpack(*args).map(|packed| Value(operand(stack, base, packed)))
}

/// Puts `count` operands behind other words.
#[inline]
pub(super) fn push_operands(stack: &mut [u64], base: usize, args: &[Inst], count: usize, words: &mut Vec<u64>) {
    let mut left = count;
    for inst in args {
        for packed in unpack(*inst) {
            if left == 0 {
                return;
            }
            words.push(operand(stack, base, packed));
            left -= 1;
        }
    }
}

/// Copies `count` operands to the words from `to` on.
#[inline]
pub(super) fn copy_operands(stack: &mut [u64], base: usize, args: &[Inst], count: usize, to: usize) {
    let mut done = 0;
    for inst in args {
        if done >= count {
            return;
        }
        let packed = unpack(*inst);
        stack[to + done] = operand(stack, base, packed[0]);
        if done + 1 < count {
            stack[to + done + 1] = operand(stack, base, packed[1]);
        }
        if done + 2 < count {
            stack[to + done + 2] = operand(stack, base, packed[2]);
        }
        done += 3;
    }
}
