//! Strings: constants of the program, or heap objects of a length word (bytes, characters) and UTF-8 with room to grow.

use crate::failure::{Failure, Outcome};
use crate::heap::{Heap, header};
use crate::statics::Known;
use crate::value::{Immediate, Kind, Tag, Value};

/// Strings longer than this many bytes are refused: lengths have 32 bits.
const TEXT_BYTES_MAX: usize = (1 << 31) - 1;

impl Heap {
    /// A string.
    pub fn text(&mut self, text: &str) -> Value {
        let offset = self.words.len();
        let words = text.len().div_ceil(8);
        self.words.push(header(Kind::Text, 1 + words));
        self.words.push((text.chars().count() as u64) << 32 | text.len() as u64 & 0xffff_ffff);
        self.words.resize(offset + 2 + words, 0);
        bytemuck::cast_slice_mut::<u64, u8>(&mut self.words[offset + 2..])[..text.len()]
            .copy_from_slice(text.as_bytes());
        self.stats.objects += 1;
        Value::owned(Kind::Text, offset)
    }

    /// The string a value is, if it is one.
    pub fn as_text(&self, value: Value) -> Option<&str> {
        match value.tag() {
            Tag::Immediate(Immediate::StaticText, number) => Some(&self.statics.text(number).text),
            Tag::Reference(Kind::Text, offset) => {
                let length = self.words[offset + 1] as u32 as usize;
                let bytes = &bytemuck::cast_slice::<u64, u8>(&self.words[offset + 2..offset + 2 + length.div_ceil(8)])
                    [..length];
                Some(std::str::from_utf8(bytes).expect("strings are made from UTF-8 only"))
            }
            _ => None,
        }
    }

    /// Bytes and characters of a string.
    pub(crate) fn text_lengths(&self, value: Value) -> Option<(usize, usize)> {
        match value.tag() {
            Tag::Immediate(Immediate::StaticText, number) => {
                let text = self.statics.text(number);
                Some((text.text.len(), text.chars))
            }
            Tag::Reference(Kind::Text, offset) => {
                let word = self.words[offset + 1];
                Some((word as u32 as usize, (word >> 32) as usize))
            }
            _ => None,
        }
    }

    /// The raw bytes of a string, without checking them again; their order is that of the scalar values.
    pub(crate) fn text_bytes(&self, value: Value) -> Option<&[u8]> {
        match value.tag() {
            Tag::Immediate(Immediate::StaticText, number) => Some(self.statics.text(number).text.as_bytes()),
            Tag::Reference(Kind::Text, offset) => {
                let length = self.words[offset + 1] as u32 as usize;
                Some(
                    &bytemuck::cast_slice::<u64, u8>(&self.words[offset + 2..offset + 2 + length.div_ceil(8)])
                        [..length],
                )
            }
            _ => None,
        }
    }

    /// Two strings joined, into the first in place when it is owned. Both must be strings.
    pub(crate) fn text_concat(&mut self, a: Value, b: Value) -> Outcome {
        let (Some((bytes_a, chars_a)), Some((bytes_b, chars_b))) = (self.text_lengths(a), self.text_lengths(b)) else {
            return Err(Failure::new(Known::Type, "expected String"));
        };
        if bytes_a + bytes_b > TEXT_BYTES_MAX.min(self.most_words.saturating_mul(8)) {
            return Err(Failure::new(Known::Overflow, "string too long"));
        }
        let target = self.text_with_room(a, bytes_a, bytes_b);
        self.text_append(target, b, bytes_b);
        self.words[target + 1] = ((chars_a + chars_b) as u64) << 32 | (bytes_a + bytes_b) as u64;
        Ok(Value::owned(Kind::Text, target))
    }

    /// The offset of a string like `a` that has room for so many bytes more: `a` itself if it is owned and large enough.
    fn text_with_room(&mut self, a: Value, used: usize, more: usize) -> usize {
        let needed = (used + more).div_ceil(8);
        if let (true, Some(offset)) = (self.may_write(a), a.as_object(Kind::Text))
            && self.payload(offset).len() > needed
        {
            self.stats.in_place += 1;
            return offset;
        }
        // Room for as much again, so that appending in a loop copies each byte a constant number of times.
        let room = if self.may_write(a) { (needed * 2).max(8) } else { needed };
        let offset = self.words.len();
        self.words.push(header(Kind::Text, 1 + room));
        self.words.resize(offset + 2 + room, 0);
        self.stats.objects += 1;
        self.stats.copied += 1;
        self.stats.copied_words += used.div_ceil(8) as u64;
        if used > 0 {
            match a.tag() {
                Tag::Reference(_, from) => self.words.copy_within(from + 2..from + 2 + used.div_ceil(8), offset + 2),
                _ => self.text_append(offset, a, used),
            }
            self.words[offset + 1] = used as u64;
        }
        offset
    }

    fn text_append(&mut self, target: usize, from: Value, bytes: usize) {
        let start = self.words[target + 1] as u32 as usize;
        match from.tag() {
            Tag::Immediate(Immediate::StaticText, number) => {
                let statics = self.statics.clone();
                let text = statics.text(number).text.as_bytes();
                let room = bytemuck::cast_slice_mut::<u64, u8>(&mut self.words[target + 2..]);
                room[start..start + bytes].copy_from_slice(text);
            }
            Tag::Reference(_, source) => {
                let all = bytemuck::cast_slice_mut::<u64, u8>(&mut self.words);
                let source = (source + 2) * 8;
                all.copy_within(source..source + bytes, (target + 2) * 8 + start);
            }
            _ => {}
        }
    }

    /// Character `index` of a string, as a string.
    pub(crate) fn text_get(&mut self, value: Value, index: usize) -> Option<Value> {
        let (bytes, chars) = self.text_lengths(value)?;
        if index >= chars {
            return None;
        }
        let found = if bytes == chars {
            char::from(*self.text_bytes(value)?.get(index)?)
        } else {
            self.as_text(value)?.chars().nth(index)?
        };
        Some(self.character(found))
    }

    /// A string of one character.
    pub(crate) fn character(&mut self, c: char) -> Value {
        let mut buffer = [0; 4];
        self.text(c.encode_utf8(&mut buffer))
    }

    /// The bytes a value is, if it is bytes.
    pub(crate) fn as_bytes(&self, value: Value) -> Option<&[u8]> {
        let offset = value.as_object(Kind::Bytes)?;
        let length = self.words[offset + 1] as usize;
        Some(&bytemuck::cast_slice::<u64, u8>(&self.words[offset + 2..offset + 2 + length.div_ceil(8)])[..length])
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Value {
        let offset = self.words.len();
        let words = bytes.len().div_ceil(8);
        self.words.push(header(Kind::Bytes, 1 + words));
        self.words.push(bytes.len() as u64);
        self.words.resize(offset + 2 + words, 0);
        bytemuck::cast_slice_mut::<u64, u8>(&mut self.words[offset + 2..])[..bytes.len()].copy_from_slice(bytes);
        self.stats.objects += 1;
        Value::owned(Kind::Bytes, offset)
    }

    pub(crate) fn bytes_push(&mut self, value: Value, byte: i64) -> Outcome {
        let byte = u8::try_from(byte).map_err(|_| Failure::new(Known::Domain, "a byte is between 0 and 255"))?;
        let Some(length) = self.as_bytes(value).map(<[u8]>::len) else {
            return Err(Failure::new(Known::Type, "expected Bytes"));
        };
        let mut offset = value.as_object(Kind::Bytes).unwrap_or(0);
        if self.may_write(value) && self.payload(offset).len() > (length + 1).div_ceil(8) {
            self.stats.in_place += 1;
        } else {
            let grown = self.make_zeroed(Kind::Bytes, 1 + (length / 4).max(4));
            let to = grown.as_object(Kind::Bytes).unwrap_or(0);
            self.words.copy_within(offset + 1..offset + 2 + length.div_ceil(8), to + 1);
            self.stats.copied += 1;
            self.stats.copied_words += length.div_ceil(8) as u64;
            offset = to;
        }
        bytemuck::cast_slice_mut::<u64, u8>(&mut self.words[offset + 2..])[length] = byte;
        self.words[offset + 1] = length as u64 + 1;
        Ok(Value::owned(Kind::Bytes, offset))
    }
}
