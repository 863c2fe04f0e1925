//! Frames: the stack of a fiber is a vector of words that only this module's layout explains.
//!
//! ```text
//! word 0   | kind of the frame below | kind | distance to the frame below |   (0: there is none)
//! word 1   Code: | function | pc |      others: | step | number of values |
//! word 2.. Code: registers              others: values
//! ```
//!
//! Links are distances, so frames can be copied out (a continuation) and back in without change. The `pc` of a frame that waits is that of
//! the instruction that waits; its live registers are listed in [`Code::live`](crate::code::Code::live).

use crate::code::Program;
use crate::value::Value;

/// Words before the registers or values of a frame.
pub(crate) const HEADER: usize = 2;
/// Registers an instruction can name directly, header included; the window must always be there.
pub(crate) const WINDOW: usize = 256;

/// What a frame waits for (DESIGN 2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// There is no frame below.
    Bottom,
    /// The value of the call it made.
    Code,
    /// The value of a thunk, to write into it.
    Force,
    /// A value it must finish; the step says how.
    Await,
    /// A step of a built-in.
    Native,
    /// The value of a handled computation.
    Handler,
}

impl FrameKind {
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Code,
            2 => Self::Force,
            3 => Self::Await,
            4 => Self::Native,
            5 => Self::Handler,
            _ => Self::Bottom,
        }
    }
}

#[inline]
pub(crate) const fn link(distance: usize, kind: FrameKind, below: FrameKind) -> u64 {
    distance as u64 & 0xffff_ffff | (kind as u64) << 32 | (below as u64) << 40
}

#[inline]
pub(crate) const fn place(function: u32, pc: usize) -> u64 {
    (function as u64) << 32 | pc as u64
}

#[inline]
pub(crate) fn kind_of(link: u64) -> FrameKind {
    FrameKind::from_number((link >> 32) as u8)
}

#[inline]
pub(crate) fn below_of(link: u64) -> FrameKind {
    FrameKind::from_number((link >> 40) as u8)
}

#[inline]
pub(crate) const fn distance_of(link: u64) -> usize {
    link as u32 as usize
}

/// Function (or step) and pc (or number of values) of a frame.
#[inline]
pub(crate) const fn place_of(word: u64) -> (u32, usize) {
    ((word >> 32) as u32, word as u32 as usize)
}

/// Calls `visit` with every live value word of the frames from `top` down. The top frame may be one that was just entered.
pub(crate) fn for_each_value(frames: &mut [u64], top: usize, program: &Program, visit: &mut dyn FnMut(&mut u64)) {
    let mut at = top;
    if frames.is_empty() {
        return;
    }
    loop {
        let (number, count) = place_of(frames[at + 1]);
        match kind_of(frames[at]) {
            FrameKind::Code => {
                for slot in program.code(number).live(count) {
                    visit(&mut frames[at + usize::from(*slot)]);
                }
            }
            FrameKind::Bottom => {}
            FrameKind::Force | FrameKind::Await | FrameKind::Native | FrameKind::Handler => {
                frames[at + HEADER..at + HEADER + count].iter_mut().for_each(&mut *visit);
            }
        }
        let distance = distance_of(frames[at]);
        if distance == 0 || distance > at {
            return;
        }
        at -= distance;
    }
}

/// The values of a frame that is not `Code`.
pub(crate) fn values(frames: &[u64], at: usize) -> Vec<Value> {
    let (_, count) = place_of(frames[at + 1]);
    frames[at + HEADER..at + HEADER + count].iter().map(|word| Value(*word)).collect()
}
