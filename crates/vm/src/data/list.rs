//! Lists: a word with start and length, and room for items at both ends.
//!
//! Taking items off either end of an owned list moves its bounds; adding one uses the room there. So a list that one owner takes apart
//! or builds up item by item costs constant time an item, without being a linked list.

use crate::failure::{Failure, Outcome};
use crate::heap::{Heap, header};
use crate::statics::Known;
use crate::value::{Kind, Value};

/// Lists have 32-bit lengths; this leaves room for growing.
const ITEMS_MAX: usize = 1 << 31;

/// A list looked up in its heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) offset: usize,
    pub(crate) start: usize,
    pub(crate) length: usize,
}

impl List {
    /// The word offset of an item.
    #[inline]
    pub(crate) fn item(&self, index: usize) -> usize {
        self.offset + 2 + self.start + index
    }
}

impl Heap {
    /// A list.
    pub fn list(&mut self, items: &[Value]) -> Value {
        let offset = self.words.len();
        self.words.push(header(Kind::List, 1 + items.len()));
        self.words.push((items.len() as u64) << 32);
        self.words.extend(items.iter().map(|item| item.0));
        self.stats.objects += 1;
        Value::owned(Kind::List, offset)
    }

    /// Start and length of a list, if the value is one.
    #[inline]
    pub(crate) fn as_list(&self, value: Value) -> Option<List> {
        let offset = value.as_object(Kind::List)?;
        let word = self.words[offset + 1];
        Some(List { offset, start: word as u32 as usize, length: (word >> 32) as usize })
    }

    /// The items of a list, to look at.
    pub fn list_items(&self, value: Value) -> Option<&[u64]> {
        let list = self.as_list(value)?;
        Some(&self.words[list.item(0)..list.item(list.length)])
    }

    fn set_bounds(&mut self, offset: usize, start: usize, length: usize) {
        self.words[offset + 1] = (length as u64) << 32 | start as u64;
    }

    fn expect_list(&self, value: Value) -> Result<List, Failure> {
        self.as_list(value)
            .ok_or_else(|| Failure::new(Known::Type, format!("expected a list, found {}", self.repr(value))))
    }

    /// The list to write to: the same if it is owned, else a copy whose items, like those of the original, are shared.
    fn own_list(&mut self, value: Value, list: List) -> List {
        if self.may_write(value) {
            self.stats.in_place += 1;
            return list;
        }
        self.copy_list(value, list, 0, list.length, 0, 0)
    }

    /// A copy of some items with room before and after.
    fn copy_list(&mut self, value: Value, list: List, from: usize, to: usize, before: usize, after: usize) -> List {
        let length = to - from;
        let copy = self.make_zeroed(Kind::List, 1 + before + length + after);
        let offset = copy.as_object(Kind::List).unwrap_or(0);
        let made = List { offset, start: before, length };
        self.set_bounds(offset, before, length);
        self.words.copy_within(list.item(from)..list.item(to), made.item(0));
        if !self.may_write(value) {
            for index in 0..length {
                let word = self.words[list.item(from + index)];
                let shared = Value(word).shared().0;
                if shared != word {
                    self.words[list.item(from + index)] = shared;
                    self.words[made.item(index)] = shared;
                }
            }
        }
        self.stats.copied += 1;
        self.stats.copied_words += length as u64;
        made
    }

    fn index_failure(index: i64, length: usize) -> Failure {
        Failure::new(Known::Index, format!("index {index} out of range, {length} items"))
    }

    /// An item to keep; negative indexes count from the end.
    pub(crate) fn list_get(&mut self, value: Value, index: i64) -> Outcome {
        let list = self.expect_list(value)?;
        let at = if index < 0 { index + list.length as i64 } else { index };
        if at < 0 || at >= list.length as i64 {
            return Err(Self::index_failure(index, list.length));
        }
        let word = &mut self.words[list.item(at as usize)];
        let item = Value(*word).shared();
        *word = item.0;
        Ok(item)
    }

    pub(crate) fn list_set(&mut self, value: Value, index: i64, item: Value) -> Outcome {
        let list = self.expect_list(value)?;
        if index < 0 || index >= list.length as i64 {
            return Err(Self::index_failure(index, list.length));
        }
        let list = self.own_list(value, list);
        self.words[list.item(index as usize)] = item.0;
        Ok(Value::owned(Kind::List, list.offset))
    }

    pub(crate) fn list_push(&mut self, value: Value, item: Value) -> Outcome {
        let Some(list) = self.as_list(value) else {
            return Err(Failure::new(Known::Type, format!("push needs a List, found {}", self.repr(value))));
        };
        let list = self.with_room(value, list, 1)?;
        self.words[list.item(list.length)] = item.0;
        self.set_bounds(list.offset, list.start, list.length + 1);
        Ok(Value::owned(Kind::List, list.offset))
    }

    /// A list like this one that has room for so many items at its end: itself if it is owned and large enough.
    fn with_room(&mut self, value: Value, list: List, more: usize) -> Result<List, Failure> {
        let room = self.payload(list.offset).len() - 1 - list.start - list.length;
        if self.may_write(value) && room >= more {
            self.stats.in_place += 1;
            return Ok(list);
        }
        let needed = list.length + more;
        if needed > ITEMS_MAX.min(self.most_words) {
            return Err(Failure::new(Known::Overflow, "list too long"));
        }
        Ok(self.copy_list(value, list, 0, list.length, 0, more.max(list.length).max(4)))
    }

    /// Two lists joined, into the one with room if it is owned.
    pub(crate) fn list_concat(&mut self, a: Value, b: Value) -> Outcome {
        let (first, second) = (self.expect_list(a)?, self.expect_list(b)?);
        if second.length == 0 {
            return Ok(a);
        }
        if first.length == 0 {
            return Ok(b);
        }
        if self.may_write(b)
            && first.length * 8 <= second.length
            && !(self.may_write(a) && first.length > second.length)
        {
            return Ok(self.list_prepend(a, first, b, second));
        }
        let joined = self.with_room(a, first, second.length)?;
        self.move_items(b, second, joined.item(joined.length));
        self.set_bounds(joined.offset, joined.start, joined.length + second.length);
        Ok(Value::owned(Kind::List, joined.offset))
    }

    /// Puts the items of a short list before those of a long owned one.
    fn list_prepend(&mut self, a: Value, first: List, b: Value, second: List) -> Value {
        let target = if second.start >= first.length {
            self.stats.in_place += 1;
            second
        } else {
            self.copy_list(b, second, 0, second.length, first.length.max(second.length), 0)
        };
        let start = target.start - first.length;
        self.move_items(a, first, target.offset + 2 + start);
        self.set_bounds(target.offset, start, first.length + second.length);
        Value::owned(Kind::List, target.offset)
    }

    /// Copies items to a word offset; if their list lives on, they are shared from now on.
    fn move_items(&mut self, value: Value, list: List, to: usize) {
        if !self.may_write(value) {
            for index in list.item(0)..list.item(list.length) {
                self.words[index] = Value(self.words[index]).shared().0;
            }
        }
        self.words.copy_within(list.item(0)..list.item(list.length), to);
    }

    /// Items `from..to`; negative bounds count from the end, all are clipped.
    pub(crate) fn list_slice(&mut self, value: Value, from: i64, to: i64) -> Outcome {
        let list = self.expect_list(value)?;
        let clip = |bound: i64| {
            let bound = if bound < 0 { bound.saturating_add(list.length as i64) } else { bound };
            bound.clamp(0, list.length as i64) as usize
        };
        let (from, to) = (clip(from), clip(to));
        let to = to.max(from);
        if self.may_write(value) {
            self.stats.in_place += 1;
            self.set_bounds(list.offset, list.start + from, to - from);
            return Ok(value);
        }
        if from == 0 && to == list.length {
            return Ok(value);
        }
        let made = self.copy_list(value, list, from, to, 0, 0);
        Ok(Value::owned(Kind::List, made.offset))
    }

    /// The list in reverse, in place when owned.
    pub(crate) fn list_reverse(&mut self, value: Value) -> Outcome {
        let list = self.expect_list(value)?;
        let list = self.own_list(value, list);
        self.words[list.item(0)..list.item(list.length)].reverse();
        Ok(Value::owned(Kind::List, list.offset))
    }

    /// The same list with its items in another order, in place when owned. `order` gives for each new place the old one.
    pub(crate) fn list_permute(&mut self, value: Value, order: &[u32]) -> Outcome {
        let list = self.expect_list(value)?;
        let list = self.own_list(value, list);
        let items = self.words[list.item(0)..list.item(list.length)].to_vec();
        for (new, old) in order.iter().enumerate() {
            self.words[list.item(new)] = items[*old as usize];
        }
        Ok(Value::owned(Kind::List, list.offset))
    }
}
