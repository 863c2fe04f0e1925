//! The heap of one fiber: objects in a vector of words, made by bumping its end.
//!
//! A reference is a word offset, checked on every use, so a wrong one can reach nothing outside the fiber. Making an object never
//! collects; it may move the vector. Garbage is reclaimed only when a function is entered ([`reclaim`]), where the live registers of every
//! frame are known. What lies between is bounded, because bodies are.
//!
//! ```text
//! object = header, payload words        header = | payload words | flags | kind |
//! ```

pub mod parcel;
pub(crate) mod reclaim;

use crate::statics::Statics;
use crate::value::{Immediate, Kind, Tag, Value};
use std::sync::Arc;

/// Heaps below this many words are not collected.
const FIRST_COLLECTION_WORDS: usize = 1 << 16;

/// How a heap is made to find bugs of the machine; a program must not be able to tell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Stress {
    /// Not at all.
    #[default]
    None,
    /// Garbage is collected whenever it can be.
    Collect,
    /// Nothing is updated in place.
    Copy,
}

/// What a heap did.
#[derive(Clone, Copy, Default, Debug)]
pub struct HeapStats {
    /// Updates that changed the object in place.
    pub in_place: u64,
    /// Updates that had to copy, because someone else holds the object too.
    pub copied: u64,
    /// Words copied by updates that had to copy.
    pub copied_words: u64,
    /// Objects made.
    pub objects: u64,
    /// Collections.
    pub collections: u64,
    /// Words that collections moved.
    pub moved_words: u64,
    /// The most words the heap had.
    pub peak_words: u64,
}

/// The objects of one fiber.
#[derive(Debug)]
pub struct Heap {
    pub(crate) words: Vec<u64>,
    pub(crate) statics: Arc<Statics>,
    /// Collect when the heap is longer than this.
    pub(crate) collect_at: usize,
    /// Look at limits when a function is entered and the heap is longer than this: `collect_at`, or 0 to look at the next entry.
    pub(crate) limit: usize,
    pub(crate) stress: Stress,
    /// No object may be larger, and the heap not much.
    pub(crate) most_words: usize,
    /// The room of an earlier collection, to use again.
    pub(crate) spare: Vec<u64>,
    /// Where a packing remembers what it overwrote.
    pub(crate) undo: Vec<(usize, u64)>,
    /// What it did so far.
    pub stats: HeapStats,
}

/// The first word of an object.
#[inline]
pub(crate) const fn header(kind: Kind, size: usize) -> u64 {
    (size as u64) << 32 | kind as u64
}

/// The payload words an object with this header has.
#[inline]
pub(crate) const fn size_of(header: u64) -> usize {
    (header >> 32) as usize
}

impl Heap {
    /// An empty heap; `stress` makes its life hard.
    pub fn new(statics: Arc<Statics>, stress: Stress) -> Self {
        // Offset 0 is no object, so a zero word is a harmless reference.
        Self {
            words: vec![0],
            statics,
            collect_at: Self::first_limit(stress),
            limit: Self::first_limit(stress),
            stress,
            most_words: crate::fiber::Limits::default().memory_words,
            spare: Vec::new(),
            undo: Vec::new(),
            stats: HeapStats::default(),
        }
    }

    /// No object may be larger, and the heap not much.
    pub(crate) fn set_most_words(&mut self, most: usize) {
        self.most_words = most;
        self.collect_at = self.collect_at.min(most);
        self.limit = self.limit.min(self.collect_at);
    }

    pub(crate) fn first_limit(stress: Stress) -> usize {
        if stress == Stress::Collect { 0 } else { FIRST_COLLECTION_WORDS }
    }

    /// Lets go of all objects.
    pub fn clear(&mut self) {
        self.words.truncate(1);
    }

    /// The names and items of a record, to look at.
    pub fn record_entries(&self, value: Value) -> Option<Vec<(String, Value)>> {
        let fields = self.record_fields(value)?;
        Some(fields.into_iter().map(|(name, item)| (self.statics.symbol(name).to_owned(), item)).collect())
    }

    /// The tables of the program.
    pub fn statics(&self) -> &Arc<Statics> {
        &self.statics
    }

    /// Whether the holder of this reference may change the object: nobody else sees it.
    #[inline]
    pub(crate) fn may_write(&self, value: Value) -> bool {
        value.is_owned() && self.stress != Stress::Copy
    }

    /// Makes an object of these values.
    #[inline]
    pub(crate) fn make(&mut self, kind: Kind, items: &[Value]) -> Value {
        let offset = self.words.len();
        self.words.push(header(kind, items.len()));
        self.words.extend(items.iter().map(|item| item.0));
        self.stats.objects += 1;
        Value::owned(kind, offset)
    }

    /// Begins an object of so many words, which are to be put behind its header at once.
    #[inline]
    pub(crate) fn begin(&mut self, kind: Kind, size: usize) -> (usize, &mut Vec<u64>) {
        let offset = self.words.len();
        self.words.push(header(kind, size));
        self.stats.objects += 1;
        (offset, &mut self.words)
    }

    /// Makes an object of one value and more.
    #[inline]
    pub(crate) fn make_after(&mut self, kind: Kind, first: &[Value], rest: &[Value]) -> Value {
        let offset = self.words.len();
        self.words.push(header(kind, first.len() + rest.len()));
        self.words.extend(first.iter().chain(rest).map(|item| item.0));
        self.stats.objects += 1;
        Value::owned(kind, offset)
    }

    /// Makes an object of so many zero words.
    pub(crate) fn make_zeroed(&mut self, kind: Kind, size: usize) -> Value {
        let offset = self.words.len();
        self.words.push(header(kind, size));
        self.words.resize(offset + 1 + size, 0);
        self.stats.objects += 1;
        Value::owned(kind, offset)
    }

    /// The payload of an object.
    #[inline]
    pub(crate) fn payload(&self, offset: usize) -> &[u64] {
        let size = size_of(self.words[offset]);
        &self.words[offset + 1..offset + 1 + size]
    }

    /// The payload of an object, to change it.
    #[inline]
    pub(crate) fn payload_mut(&mut self, offset: usize) -> &mut [u64] {
        let size = size_of(self.words[offset]);
        &mut self.words[offset + 1..offset + 1 + size]
    }

    /// A field as it lies there: for looking at, or for moving out of an object that dies.
    #[inline]
    pub(crate) fn peek(&self, offset: usize, field: usize) -> Value {
        Value(self.words[offset + 1 + field])
    }

    /// A field to keep: it is shared from now on, here and there.
    #[inline]
    pub(crate) fn read(&mut self, offset: usize, field: usize) -> Value {
        let word = &mut self.words[offset + 1 + field];
        let value = Value(*word).shared();
        *word = value.0;
        value
    }

    #[inline]
    pub(crate) fn write(&mut self, offset: usize, field: usize, value: Value) {
        self.words[offset + 1 + field] = value.0;
    }

    /// A field of an object: moved out if the object is owned (it dies), else shared.
    #[inline]
    pub(crate) fn take(&mut self, owner: Value, offset: usize, field: usize) -> Value {
        if self.may_write(owner) { self.peek(offset, field) } else { self.read(offset, field) }
    }

    /// An integer of any size.
    #[inline]
    pub fn int(&mut self, value: i64) -> Value {
        match Value::small_int(value) {
            Some(small) => small,
            None => {
                let made = self.make_zeroed(Kind::Int, 1);
                if let Some((_, offset)) = made.as_reference() {
                    self.words[offset + 1] = value as u64;
                }
                made
            }
        }
    }

    /// A float; it must not be NaN.
    #[inline]
    pub fn float(&mut self, value: f64) -> Value {
        debug_assert!(!value.is_nan(), "floats are numbers");
        match Value::small_float(value) {
            Some(small) => small,
            None => {
                let made = self.make_zeroed(Kind::Float, 1);
                if let Some((_, offset)) = made.as_reference() {
                    self.words[offset + 1] = value.to_bits();
                }
                made
            }
        }
    }

    /// The integer a value is, if it is one.
    #[inline]
    pub fn as_int(&self, value: Value) -> Option<i64> {
        match value.as_small_int() {
            Some(small) => Some(small),
            None => value.as_object(Kind::Int).map(|offset| self.words[offset + 1] as i64),
        }
    }

    /// The float a value is, if it is one.
    #[inline]
    pub fn as_float(&self, value: Value) -> Option<f64> {
        match value.as_small_float() {
            Some(small) => Some(small),
            None => value.as_object(Kind::Float).map(|offset| f64::from_bits(self.words[offset + 1])),
        }
    }

    /// A tuple; `()` if it is empty.
    pub fn tuple(&mut self, items: &[Value]) -> Value {
        if items.is_empty() { Value::UNIT } else { self.make(Kind::Tuple, items) }
    }

    /// A label with a payload; the bare label if the payload is `()`.
    pub fn label(&mut self, symbol: u32, payload: Value) -> Value {
        if payload == Value::UNIT {
            Value::symbol(symbol)
        } else {
            self.make(Kind::Label, &[Value::symbol(symbol), payload])
        }
    }

    /// Symbol and payload of a label. The payload is only to be looked at.
    pub fn as_label(&self, value: Value) -> Option<(u32, Value)> {
        match value.tag() {
            Tag::Immediate(Immediate::Symbol, number) => Some((number, Value::UNIT)),
            Tag::Reference(Kind::Label, offset) => {
                Some((self.peek(offset, 0).as_immediate(Immediate::Symbol)?, self.peek(offset, 1)))
            }
            _ => None,
        }
    }

    /// The items of a tuple, to look at.
    pub fn fields_of_tuple(&self, value: Value) -> Option<Vec<Value>> {
        let offset = value.as_object(Kind::Tuple)?;
        Some(self.payload(offset).iter().map(|word| Value(*word)).collect())
    }

    /// The two items of a pair, to look at.
    pub fn pair(&self, value: Value) -> Option<[Value; 2]> {
        let offset = value.as_object(Kind::Tuple)?;
        <[u64; 2]>::try_from(self.payload(offset)).ok().map(|items| items.map(Value))
    }

    /// Whether a value is a cell, which no program can have as a value of its own.
    pub fn is_cell(&self, value: Value) -> bool {
        value.as_object(Kind::Cell).is_some()
    }

    /// The items of a list, to look at.
    pub fn list_values(&self, value: Value) -> Vec<Value> {
        self.list_items(value).unwrap_or(&[]).iter().map(|word| Value(*word)).collect()
    }

    /// What is inside any number of labels.
    pub(crate) fn through_labels(&mut self, mut value: Value) -> Value {
        while let Some(offset) = value.as_object(Kind::Label) {
            value = self.read(offset, 1);
        }
        value
    }

    pub(crate) fn note_peak(&mut self) {
        self.stats.peak_words = self.stats.peak_words.max(self.words.len() as u64);
    }
}
