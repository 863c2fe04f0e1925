//! Access with a computed index or key.

use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::{Kind, Tag, Value};

impl Heap {
    /// `value::(key)`: an item of a tuple, list or string, a field of a record by name, a value of a map; through labels.
    pub(crate) fn index(&mut self, value: Value, key: Value) -> Outcome {
        if let (Some(_), Some(index)) = (value.as_object(Kind::List), key.as_small_int())
            && index >= 0
        {
            return self.list_get(value, index);
        }
        let inner = self.through_labels(value);
        let length = match inner.tag() {
            Tag::Reference(Kind::Map, _) => {
                let found = self.map_get(inner, key)?;
                return found.ok_or_else(|| Failure::new(Known::Index, format!("no key {}", self.repr(key))));
            }
            Tag::Reference(Kind::Record, _) => return self.index_field(value, inner, key),
            Tag::Reference(Kind::Tuple | Kind::List, _) => self.items(inner).len(),
            _ if inner == Value::UNIT => 0,
            _ => match self.text_lengths(inner) {
                Some((_, chars)) => chars,
                None => return Err(Failure::new(Known::Type, format!("cannot index a {}", self.kind_name(inner)))),
            },
        };
        let Some(index) = self.as_int(key) else {
            return Err(Failure::new(Known::Type, format!("index must be Integer, found {}", self.repr(key))));
        };
        if index < 0 || index >= length as i64 {
            return Err(Failure::new(Known::Index, format!("index {index} out of range, {length} items")));
        }
        match self.text_get(inner, index as usize) {
            Some(character) => Ok(character),
            None => self.seq_get(inner, index),
        }
    }

    fn index_field(&mut self, value: Value, record: Value, key: Value) -> Outcome {
        let Some(name) = self.as_text(key) else {
            return Err(Failure::new(Known::Type, format!("field name must be String, found {}", self.repr(key))));
        };
        match self.statics.find_symbol(name) {
            Some(symbol) if self.record_has(record, symbol) => self.record_get(record, symbol),
            _ => Err(Failure::new(Known::Field, format!("no field {name} in {}", self.repr(value)))),
        }
    }
}
