//! A value with all it reaches, outside any heap: what a message, a spawned function or a result is while it travels.
//!
//! Packing copies the live part in a fixed order (the traversal of [`reclaim`](super::reclaim)), marks the originals while it goes and unmarks them at
//! the end. Unpacking appends the words and adds an offset to every reference. Neither recurses.

use crate::code::Program;
use crate::heap::{Heap, size_of};
use crate::stack;
use crate::value::{Kind, Value};

const MOVED: u64 = 0xff;

/// The first word of a parcel, where no object is: it has one object, which refers to none.
const FLAT: u64 = 1;

/// Room that most messages fit in.
const FIRST_WORDS: usize = 12;

/// Room for headers that is kept from one packing to the next.
const UNDO_MAX: usize = 1 << 12;

/// A value on its way from one heap to another.
#[derive(Clone, Debug)]
pub struct Parcel {
    words: Vec<u64>,
    root: Value,
}

impl Parcel {
    /// A value that is no reference.
    pub fn of(value: Value) -> Self {
        debug_assert!(!value.is_reference(), "a reference needs its object");
        Self { words: Vec::new(), root: value }
    }

    /// Whether it is this value, which is no reference.
    pub fn is(&self, value: Value) -> bool {
        self.root == value
    }

    /// The size in words.
    pub fn size_words(&self) -> usize {
        self.words.len()
    }

    pub(crate) fn parts(&self) -> (&[u64], Value) {
        (&self.words, self.root)
    }

    pub(crate) fn of_parts(words: Vec<u64>, root: Value) -> Self {
        Self { words, root }
    }

    /// Its objects, of which a heap of their own could be made, and its value.
    pub(crate) fn into_parts(self) -> (Vec<u64>, Value) {
        (self.words, self.root)
    }
}

impl Heap {
    /// Copies a value out. The original keeps its owner.
    pub fn pack(&mut self, program: &Program, root: Value) -> Parcel {
        if !root.is_reference() {
            return Parcel { words: Vec::new(), root };
        }
        if let Some(parcel) = self.pack_flat(root) {
            return parcel;
        }
        let mut out = Vec::with_capacity(FIRST_WORDS);
        out.push(0);
        let mut packer = Packer { heap: &mut self.words, out, undo: std::mem::take(&mut self.undo) };
        let root = Value(packer.keep(root.0));
        let mut at = 1;
        while at < packer.out.len() {
            at = packer.scan(at, program);
        }
        let Packer { heap, out, mut undo } = packer;
        for (offset, head) in undo.drain(..) {
            heap[offset] = head;
        }
        // Room that a large value needed is not kept.
        if undo.capacity() <= UNDO_MAX {
            self.undo = undo;
        }
        Parcel { words: out, root }
    }

    /// A value that is one object without references, as most messages and spawned functions are.
    fn pack_flat(&self, root: Value) -> Option<Parcel> {
        let (kind, offset) = root.as_reference()?;
        if offset == 0 {
            return None;
        }
        let object = &self.words[offset..offset + 1 + size_of(self.words[offset])];
        let fields = match kind {
            Kind::Int | Kind::Float | Kind::Text | Kind::Bytes => &[],
            Kind::Continuation => return None,
            Kind::List => {
                let (start, length) = (object[1] as u32 as usize, (object[1] >> 32) as usize);
                &object[2 + start..2 + start + length]
            }
            _ => &object[1..],
        };
        let is_flat = !fields.iter().any(|word| Value(*word).is_reference());
        is_flat.then(|| {
            let mut words = Vec::with_capacity(1 + object.len());
            words.push(FLAT);
            words.extend_from_slice(object);
            Parcel { words, root: root.moved_to(1) }
        })
    }

    /// Copies a parcel in and gives its value.
    pub fn unpack(&mut self, program: &Program, parcel: &Parcel) -> Value {
        if parcel.words.is_empty() {
            return parcel.root;
        }
        let base = self.words.len() - 1;
        self.words.extend_from_slice(&parcel.words[1..]);
        if parcel.words[0] == FLAT {
            return parcel.root.moved_to(base + 1);
        }
        let shift = |word: u64| {
            let value = Value(word);
            match value.as_reference() {
                Some((_, offset)) if offset != 0 => value.moved_to(offset + base).0,
                _ => word,
            }
        };
        let mut at = base + 1;
        while at < self.words.len() {
            let head = self.words[at];
            let end = at + 1 + size_of(head);
            match Kind::from_number(head as u8) {
                Kind::Int | Kind::Float | Kind::Text | Kind::Bytes => {}
                Kind::List => {
                    let (start, length) = (self.words[at + 1] as u32 as usize, (self.words[at + 1] >> 32) as usize);
                    for word in &mut self.words[at + 2 + start..at + 2 + start + length] {
                        *word = shift(*word);
                    }
                }
                Kind::Continuation => {
                    let top = Value(self.words[at + 2]).as_small_int().unwrap_or(0) as usize;
                    stack::for_each_value(&mut self.words[at + 3..end], top, program, &mut |word| *word = shift(*word));
                }
                _ => self.words[at + 1..end].iter_mut().for_each(|word| *word = shift(*word)),
            }
            at = end;
        }
        Value(shift(parcel.root.0))
    }
}

struct Packer<'a> {
    heap: &'a mut Vec<u64>,
    out: Vec<u64>,
    /// Headers that were overwritten.
    undo: Vec<(usize, u64)>,
}

impl Packer<'_> {
    fn keep(&mut self, word: u64) -> u64 {
        let value = Value(word);
        let Some((_, offset)) = value.as_reference() else { return word };
        if offset == 0 {
            return word;
        }
        let head = self.heap[offset];
        if head & 0xff == MOVED {
            return value.moved_to(size_of(head)).0;
        }
        let to = self.out.len();
        self.out.extend_from_slice(&self.heap[offset..offset + 1 + size_of(head)]);
        self.undo.push((offset, head));
        self.heap[offset] = (to as u64) << 32 | MOVED;
        value.moved_to(to).0
    }

    fn scan(&mut self, at: usize, program: &Program) -> usize {
        let head = self.out[at];
        let end = at + 1 + size_of(head);
        let (first, last) = match Kind::from_number(head as u8) {
            Kind::Int | Kind::Float | Kind::Text | Kind::Bytes => (end, end),
            Kind::List => {
                let (start, length) = (self.out[at + 1] as u32 as usize, (self.out[at + 1] >> 32) as usize);
                (at + 2 + start, at + 2 + start + length)
            }
            Kind::Continuation => {
                let mut frames = self.out[at + 3..end].to_vec();
                let top = Value(self.out[at + 2]).as_small_int().unwrap_or(0) as usize;
                stack::for_each_value(&mut frames, top, program, &mut |word| *word = self.keep(*word));
                self.out[at + 3..end].copy_from_slice(&frames);
                (end, end)
            }
            _ => (at + 1, end),
        };
        for field in first..last {
            let word = self.out[field];
            self.out[field] = self.keep(word);
        }
        end
    }
}
