//! Records: a shape (field names in text order) and the items in that order. Shapes that a function of the program spells are
//! shared by all; others are heap objects.

use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::{Immediate, Kind, Tag, Value};

impl Heap {
    /// Field symbols of a record, in text order.
    pub(crate) fn record_names(&self, offset: usize) -> Vec<u32> {
        match self.peek(offset, 0).tag() {
            Tag::Immediate(Immediate::StaticShape, number) => self.statics.shape(number).to_vec(),
            Tag::Reference(_, shape) => self
                .payload(shape)
                .iter()
                .map(|word| Value(*word).as_immediate(Immediate::Symbol).unwrap_or(0))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn record_position(&self, offset: usize, name: u32) -> Option<usize> {
        match self.peek(offset, 0).tag() {
            Tag::Immediate(Immediate::StaticShape, number) => {
                self.statics.shape(number).iter().position(|symbol| *symbol == name)
            }
            Tag::Reference(_, shape) => self.payload(shape).iter().position(|word| Value(*word) == Value::symbol(name)),
            _ => None,
        }
    }

    /// A record of fields in text order of their names.
    pub(crate) fn record_of(&mut self, fields: &[(u32, Value)]) -> Value {
        let names: Vec<u32> = fields.iter().map(|(name, _)| *name).collect();
        let shape = self.shape_of(&names);
        let mut words = vec![shape];
        words.extend(fields.iter().map(|(_, value)| *value));
        self.make(Kind::Record, &words)
    }

    fn shape_of(&mut self, names: &[u32]) -> Value {
        match self.statics.find_shape(names) {
            Some(number) => Value::immediate(Immediate::StaticShape, number),
            None => {
                let symbols: Vec<Value> = names.iter().map(|name| Value::symbol(*name)).collect();
                self.make(Kind::Shape, &symbols)
            }
        }
    }

    /// A record from fields in any order; later ones win.
    pub fn record(&mut self, mut fields: Vec<(u32, Value)>) -> Value {
        let statics = self.statics.clone();
        fields.reverse();
        fields.sort_by_key(|(name, _)| statics.rank(*name));
        fields.dedup_by_key(|(name, _)| *name);
        self.record_of(&fields)
    }

    /// The fields of a record, to look at.
    pub fn record_fields(&self, value: Value) -> Option<Vec<(u32, Value)>> {
        let offset = value.as_object(Kind::Record)?;
        let names = self.record_names(offset);
        Some(names.into_iter().enumerate().map(|(at, name)| (name, self.peek(offset, at + 1))).collect())
    }

    /// The fields of a record, to keep: their values are shared from now on.
    pub(crate) fn record_shared_fields(&mut self, value: Value) -> Option<Vec<(u32, Value)>> {
        let offset = value.as_object(Kind::Record)?;
        let names = self.record_names(offset);
        Some(names.into_iter().enumerate().map(|(at, name)| (name, self.read(offset, at + 1))).collect())
    }

    pub(crate) fn record_has(&self, value: Value, name: u32) -> bool {
        value.as_object(Kind::Record).is_some_and(|offset| self.record_position(offset, name).is_some())
    }

    /// A field, through labels.
    pub(crate) fn record_get(&mut self, value: Value, name: u32) -> Outcome {
        let inner = self.through_labels(value);
        if let Some(offset) = inner.as_object(Kind::Record)
            && let Some(at) = self.record_position(offset, name)
        {
            return Ok(self.read(offset, at + 1));
        }
        Err(Failure::new(Known::Field, format!("no field {} in {}", self.statics.symbol(name), self.repr(value))))
    }

    fn expect_record(&mut self, value: Value) -> Result<usize, Failure> {
        let inner = self.through_labels(value);
        let message = || Failure::new(Known::Type, format!("expected a record, found {}", self.repr(value)));
        inner.as_object(Kind::Record).ok_or_else(message)
    }

    pub(crate) fn record_set(&mut self, value: Value, name: u32, item: Value) -> Outcome {
        let offset = self.expect_record(value)?;
        match self.record_position(offset, name) {
            Some(at) if self.may_write(value) && value.as_object(Kind::Record) == Some(offset) => {
                self.stats.in_place += 1;
                self.write(offset, at + 1, item);
                Ok(value)
            }
            _ => {
                let mut fields = self.shared_fields(offset);
                fields.push((name, item));
                self.stats.copied += 1;
                self.stats.copied_words += fields.len() as u64;
                Ok(self.record(fields))
            }
        }
    }

    /// The fields of a record, shared.
    fn shared_fields(&mut self, offset: usize) -> Vec<(u32, Value)> {
        let names = self.record_names(offset);
        names.into_iter().enumerate().map(|(at, name)| (name, self.read(offset, at + 1))).collect()
    }

    pub(crate) fn record_merge(&mut self, a: Value, b: Value) -> Outcome {
        let (into, from) = (self.expect_record(a)?, self.expect_record(b)?);
        let owned = self.may_write(a) && a.as_object(Kind::Record) == Some(into);
        let added = self.shared_fields(from);
        let places: Vec<Option<usize>> = added.iter().map(|(name, _)| self.record_position(into, *name)).collect();
        if owned && places.iter().all(Option::is_some) {
            self.stats.in_place += 1;
            for (place, (_, item)) in places.into_iter().flatten().zip(added) {
                self.write(into, place + 1, item);
            }
            return Ok(a);
        }
        let mut fields = self.shared_fields(into);
        fields.extend(added);
        self.stats.copied += 1;
        self.stats.copied_words += fields.len() as u64;
        Ok(self.record(fields))
    }

    pub(crate) fn record_without(&mut self, value: Value, names: &[u32]) -> Outcome {
        let offset = self.expect_record(value)?;
        let mut fields = self.shared_fields(offset);
        fields.retain(|(name, _)| !names.contains(name));
        Ok(self.record_of(&fields))
    }
}
