//! Equality and the two orders: the partial one of `<`, and the total one of map keys and `compare`. Iterative: the pairs still to be compared
//! are a vector.

use crate::failure::Failure;
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::{Immediate, Kind, Tag, Value};
use std::cmp::Ordering;
use std::collections::HashSet;

/// Pairs compared before it is worth remembering which.
const LONG: usize = 1 << 16;
/// Pairs remembered at once, at most.
const SEEN_MAX: usize = 1 << 20;

/// Pairs still to be compared. In a long comparison those that were looked at are remembered: a value whose parts are shared is exponentially
/// larger than its heap, and a pair that turned up before was equal, or the comparison would be over.
struct Pairs {
    open: Vec<(Value, Value)>,
    count: usize,
    seen: HashSet<(Value, Value)>,
}

impl Pairs {
    fn new(a: Value, b: Value) -> Self {
        Self { open: vec![(a, b)], count: 0, seen: HashSet::new() }
    }

    fn next(&mut self) -> Option<(Value, Value)> {
        loop {
            let (a, b) = self.open.pop()?;
            let pair = (a.shared(), b.shared());
            self.count += 1;
            if self.count <= LONG || !a.is_reference() || !b.is_reference() {
                return Some(pair);
            }
            if self.seen.len() >= SEEN_MAX {
                self.seen.clear();
            }
            if self.seen.insert(pair) {
                return Some(pair);
            }
        }
    }
}

impl Heap {
    /// Whether two values are equal in structure. Functions, fibers and continuations are equal only to themselves.
    pub fn equal(&self, a: Value, b: Value) -> bool {
        if let (Some(a), Some(b)) = (a.as_small_int(), b.as_small_int()) {
            return a == b;
        }
        if let (Some(a), Some(b)) = (self.text_bytes(a), self.text_bytes(b)) {
            return a == b;
        }
        let mut pairs = Pairs::new(a, b);
        while let Some((a, b)) = pairs.next() {
            if a == b {
                continue;
            }
            if !self.equal_here(a, b, &mut pairs.open) {
                return false;
            }
        }
        true
    }

    /// Compares two different words; what they contain is left in `open`.
    fn equal_here(&self, a: Value, b: Value, open: &mut Vec<(Value, Value)>) -> bool {
        if let (Some(a), Some(b)) = (self.as_float(a), self.as_float(b)) {
            return a == b;
        }
        if let (Some(x), Some(y)) = (self.text_lengths(a), self.text_lengths(b)) {
            return x == y && self.text_bytes(a) == self.text_bytes(b);
        }
        let (Some((kind, x)), Some((other, y))) = (a.as_reference(), b.as_reference()) else { return false };
        if kind != other {
            return false;
        }
        match kind {
            Kind::Int => self.payload(x) == self.payload(y),
            Kind::Bytes => self.as_bytes(a) == self.as_bytes(b),
            Kind::Tuple | Kind::Label | Kind::Range => self.push_fields(x, y, 0, open),
            Kind::Record => self.record_names(x) == self.record_names(y) && self.push_fields(x, y, 1, open),
            Kind::List => {
                let (Some(x), Some(y)) = (self.list_items(a), self.list_items(b)) else { return false };
                open.extend(x.iter().zip(y).map(|(x, y)| (Value(*x), Value(*y))));
                x.len() == y.len()
            }
            Kind::Map => {
                let (x, y) = (self.map_pairs(x), self.map_pairs(y));
                for ((key, value), (other_key, other_value)) in x.iter().zip(&y) {
                    open.push((*key, *other_key));
                    open.push((*value, *other_value));
                }
                x.len() == y.len()
            }
            Kind::Float
            | Kind::Text
            | Kind::Shape
            | Kind::MapNode
            | Kind::Closure
            | Kind::Cell
            | Kind::Thunk
            | Kind::Continuation
            | Kind::Coroutine
            | Kind::Snapshot => false,
        }
    }

    fn push_fields(&self, x: usize, y: usize, first: usize, open: &mut Vec<(Value, Value)>) -> bool {
        let (x, y) = (self.payload(x), self.payload(y));
        if x.len() != y.len() {
            return false;
        }
        open.extend(x.iter().zip(y).skip(first).map(|(x, y)| (Value(*x), Value(*y))));
        true
    }

    /// The order of `<`: numbers with numbers, strings, booleans, tuples and lists item by item.
    pub(crate) fn order(&self, a: Value, b: Value) -> Result<Ordering, Failure> {
        let mut pairs = Pairs::new(a, b);
        while let Some((a, b)) = pairs.next() {
            if let Some(ordering) = self.order_numbers(a, b) {
                if ordering != Ordering::Equal {
                    return Ok(ordering);
                }
                continue;
            }
            let ordering = match (self.kind_name(a), self.kind_name(b)) {
                ("String", "String") => self.text_bytes(a).cmp(&self.text_bytes(b)),
                ("Boolean", "Boolean") => (a == Value::TRUE).cmp(&(b == Value::TRUE)),
                ("Tuple" | "Unit", "Tuple" | "Unit") | ("List", "List") => {
                    self.open_items(a, b, &mut pairs.open);
                    continue;
                }
                (x, y) => return Err(Failure::new(Known::Type, format!("cannot order {x} and {y}"))),
            };
            if ordering != Ordering::Equal {
                return Ok(ordering);
            }
        }
        Ok(Ordering::Equal)
    }

    fn order_numbers(&self, a: Value, b: Value) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.as_int(a), self.as_int(b)) {
            return Some(a.cmp(&b));
        }
        self.as_number(a)?.partial_cmp(&self.as_number(b)?)
    }

    /// A number as a float.
    pub(crate) fn as_number(&self, value: Value) -> Option<f64> {
        self.as_int(value).map(|value| value as f64).or_else(|| self.as_float(value))
    }

    /// Leaves the items of two tuples or lists to be compared from first to last, then the lengths.
    fn open_items(&self, a: Value, b: Value, open: &mut Vec<(Value, Value)>) {
        let (a, b) = (self.items(a), self.items(b));
        open.push((Value::index(a.len()), Value::index(b.len())));
        open.extend(a.iter().zip(b).rev().map(|(a, b)| (Value(*a), Value(*b))));
    }

    /// The items of a tuple or list, to look at.
    pub(crate) fn items(&self, value: Value) -> &[u64] {
        match value.as_object(Kind::Tuple) {
            Some(offset) => self.payload(offset),
            None => self.list_items(value).unwrap_or(&[]),
        }
    }

    /// The total order of all data: unit, booleans, integers, floats, strings, labels, tuples, lists, records, maps, the rest.
    pub(crate) fn compare(&self, a: Value, b: Value) -> Ordering {
        if let (Some(a), Some(b)) = (a.as_small_int(), b.as_small_int()) {
            return a.cmp(&b);
        }
        if let (Some(a), Some(b)) = (self.text_bytes(a), self.text_bytes(b)) {
            return a.cmp(b);
        }
        let mut pairs = Pairs::new(a, b);
        while let Some((a, b)) = pairs.next() {
            if a == b {
                continue;
            }
            let ordering =
                self.order_rank(a).cmp(&self.order_rank(b)).then_with(|| self.compare_here(a, b, &mut pairs.open));
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// Compares two values of one rank; what they contain is left in `open`.
    fn compare_here(&self, a: Value, b: Value, open: &mut Vec<(Value, Value)>) -> Ordering {
        if let (Some(a), Some(b)) = (self.as_label(a), self.as_label(b)) {
            open.push((a.1, b.1));
            return self.statics.rank(a.0).cmp(&self.statics.rank(b.0));
        }
        match self.kind_name(a) {
            "Boolean" => (a == Value::TRUE).cmp(&(b == Value::TRUE)),
            "Integer" => self.as_int(a).cmp(&self.as_int(b)),
            "Float" => self.as_float(a).partial_cmp(&self.as_float(b)).unwrap_or(Ordering::Equal),
            "String" => self.text_bytes(a).cmp(&self.text_bytes(b)),
            "Bytes" => self.as_bytes(a).cmp(&self.as_bytes(b)),
            "Tuple" | "List" => {
                self.open_items(a, b, open);
                Ordering::Equal
            }
            "Range" => {
                let (Some((_, x)), Some((_, y))) = (a.as_reference(), b.as_reference()) else { return Ordering::Equal };
                let fields = |at: usize| (0..3).map(move |field| self.peek(at, field));
                let pairs: Vec<_> = fields(x).zip(fields(y)).collect();
                open.extend(pairs.into_iter().rev());
                Ordering::Equal
            }
            "Record" => {
                let (x, y) = (self.record_fields(a).unwrap_or_default(), self.record_fields(b).unwrap_or_default());
                for ((name, value), (other, other_value)) in x.iter().zip(&y).rev() {
                    open.push((*value, *other_value));
                    open.push((Value::symbol(*name), Value::symbol(*other)));
                }
                let names = |fields: &[(u32, Value)]| {
                    fields.iter().map(|(name, _)| self.statics.rank(*name)).collect::<Vec<_>>()
                };
                names(&x).cmp(&names(&y))
            }
            "Map" => {
                let pairs =
                    |value: Value| value.as_object(Kind::Map).map(|offset| self.map_pairs(offset)).unwrap_or_default();
                let (x, y) = (pairs(a), pairs(b));
                open.push((Value::index(x.len()), Value::index(y.len())));
                for ((key, value), (other, other_value)) in x.iter().zip(&y).rev() {
                    open.push((*value, *other_value));
                    open.push((*key, *other));
                }
                Ordering::Equal
            }
            _ => a.0.cmp(&b.0),
        }
    }

    fn order_rank(&self, value: Value) -> u8 {
        match self.kind_name(value) {
            "Unit" => 0,
            "Boolean" => 1,
            "Integer" => 2,
            "Float" => 3,
            "String" => 4,
            "Label" => 5,
            "Tuple" => 6,
            "List" => 7,
            "Record" => 8,
            "Map" => 9,
            "Range" => 10,
            "Bytes" => 11,
            _ => 12,
        }
    }

    /// The name of a value's kind, as error messages use it.
    pub fn kind_name(&self, value: Value) -> &'static str {
        match value.tag() {
            Tag::Int(_) | Tag::Reference(Kind::Int, _) => "Integer",
            Tag::Float(_) | Tag::Reference(Kind::Float, _) => "Float",
            Tag::Immediate(what, _) => match what {
                Immediate::Unit => "Unit",
                Immediate::False | Immediate::True => "Boolean",
                Immediate::Symbol => "Label",
                Immediate::Function => "Function",
                Immediate::StaticText => "String",
                Immediate::Fiber => "Process",
                Immediate::StaticShape | Immediate::Empty => "Internal",
            },
            Tag::Reference(kind, _) => match kind {
                Kind::Text => "String",
                Kind::Bytes => "Bytes",
                Kind::Tuple => "Tuple",
                Kind::List => "List",
                Kind::Record => "Record",
                Kind::Label => "Label",
                Kind::Map => "Map",
                Kind::Closure => "Function",
                Kind::Thunk => "Thunk",
                Kind::Continuation => "Continuation",
                Kind::Coroutine => "Fiber",
                Kind::Snapshot => "Snapshot",
                Kind::Range => "Range",
                Kind::Int | Kind::Float | Kind::Shape | Kind::MapNode | Kind::Cell => "Internal",
            },
        }
    }
}
