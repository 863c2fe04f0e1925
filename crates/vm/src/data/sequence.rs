//! What can be iterated: lists, tuples and ranges as they are; strings and maps through a list of their items.

use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::{Kind, Tag, Value};

impl Heap {
    /// A range of integers.
    pub(crate) fn range(&mut self, a: Value, b: Value, through: bool) -> Outcome {
        if self.as_int(a).is_none() || self.as_int(b).is_none() {
            return Err(Failure::new(Known::Type, "a range needs two Integers"));
        }
        Ok(self.make(Kind::Range, &[a, b, Value::bool(through)]))
    }

    fn range_bounds(&self, offset: usize) -> (i64, i64) {
        let bound = |field| self.as_int(self.peek(offset, field)).unwrap_or(0);
        let (from, to) = (bound(0), bound(1));
        let through = self.peek(offset, 2) == Value::TRUE;
        // Saturating: a range through the largest integer has one item less than it says, which no memory could show.
        (from, if through { to.saturating_add(1) } else { to })
    }

    /// Something `seq_len` and `seq_get` work on.
    pub(crate) fn seq_new(&mut self, value: Value) -> Outcome {
        match value.tag() {
            Tag::Reference(Kind::List | Kind::Tuple | Kind::Range, _) => Ok(value),
            Tag::Reference(Kind::Map, _) => {
                let pairs = self.map_shared_pairs(value)?;
                let items: Vec<Value> = pairs.into_iter().map(|(key, item)| self.tuple(&[key, item])).collect();
                Ok(self.list(&items))
            }
            _ if value == Value::UNIT => Ok(value),
            _ => match self.as_text(value).map(str::to_owned) {
                Some(text) => {
                    let items: Vec<Value> = text.chars().map(|c| self.character(c)).collect();
                    Ok(self.list(&items))
                }
                None => Err(Failure::new(Known::Type, format!("cannot iterate over a {}", self.kind_name(value)))),
            },
        }
    }

    pub(crate) fn seq_len(&self, value: Value) -> Result<i64, Failure> {
        match value.tag() {
            Tag::Reference(Kind::List | Kind::Tuple, _) => Ok(self.items(value).len() as i64),
            Tag::Reference(Kind::Range, offset) => {
                let (from, to) = self.range_bounds(offset);
                Ok(to.saturating_sub(from).max(0))
            }
            _ if value == Value::UNIT => Ok(0),
            _ => match self.text_lengths(value) {
                Some((_, chars)) => Ok(chars as i64),
                None if value.as_object(Kind::Map).is_some() => self.map_len(value).map(|length| length as i64),
                None => Err(Failure::new(Known::Type, format!("cannot iterate over a {}", self.kind_name(value)))),
            },
        }
    }

    /// An item of what `seq_new` gave, to keep.
    pub(crate) fn seq_get(&mut self, value: Value, index: i64) -> Outcome {
        match value.tag() {
            Tag::Reference(Kind::Range, offset) => {
                let (from, _) = self.range_bounds(offset);
                Ok(self.int(from.saturating_add(index)))
            }
            Tag::Reference(Kind::Tuple, offset) if (index as u64) < self.payload(offset).len() as u64 => {
                Ok(self.read(offset, index as usize))
            }
            _ => self.list_get(value, index),
        }
    }

    /// The items of any iterable as a list.
    pub(crate) fn list_from(&mut self, value: Value) -> Outcome {
        let seq = self.seq_new(value)?;
        if seq.as_object(Kind::List).is_some() {
            return Ok(seq);
        }
        let length = self.seq_len(seq)?;
        let mut items = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(1 << 20));
        for index in 0..length {
            items.push(self.seq_get(seq, index)?);
        }
        Ok(self.list(&items))
    }
}
