//! Canonical bytes: every value has exactly one spelling, and a reader refuses the others.
//!
//! Integers are LEB128 in the fewest bytes (signed ones zigzag first), lengths come before content. Used by the binary form of modules
//! and by everything else that is hashed or signed.

use std::fmt;

/// Appends canonical bytes.
#[derive(Default, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Bytes without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A length.
    pub fn length(&mut self, length: usize) {
        self.unsigned(length as u64);
    }

    /// A signed integer.
    pub fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    /// A length and bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }
}

/// Why bytes are refused, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WireError {
    /// Offset of the first byte that cannot stand there.
    pub offset: usize,
    /// What was expected.
    pub message: String,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.message)
    }
}

impl std::error::Error for WireError {}

/// Reads canonical bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The offset of the next byte.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The number of bytes left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the next byte.
    pub fn error<T>(&self, message: impl Into<String>) -> Result<T, WireError> {
        Err(WireError { offset: self.at, message: message.into() })
    }

    /// One byte.
    ///
    /// # Errors
    /// At the end.
    pub fn byte(&mut self) -> Result<u8, WireError> {
        let Some(byte) = self.bytes.get(self.at) else { return self.error("the data ends too early") };
        self.at += 1;
        Ok(*byte)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        if length > self.remaining() {
            return self.error(format!("{length} bytes announced, {} left", self.remaining()));
        }
        let bytes = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(bytes)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// If it is longer than needed or has more than 64 bits.
    pub fn unsigned(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        let start = self.at;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    self.at = start;
                    return self.error("an integer is longer than it needs to be");
                }
                return Ok(value);
            }
        }
        self.at = start;
        self.error("an integer has more than 64 bits")
    }

    /// An unsigned integer of at most `max`.
    ///
    /// # Errors
    /// If it is larger; `what` names it.
    pub fn at_most(&mut self, max: usize, what: &str) -> Result<usize, WireError> {
        let start = self.at;
        let value = self.unsigned()?;
        if value > max as u64 {
            self.at = start;
            return self.error(format!("{what} is {value}, at most {max} allowed"));
        }
        Ok(value as usize)
    }

    /// A count of things that take at least one byte each.
    ///
    /// # Errors
    /// If it is above `max` or the bytes left.
    pub fn count(&mut self, max: usize, what: &str) -> Result<usize, WireError> {
        let start = self.at;
        let count = self.at_most(max, what)?;
        if count > self.remaining() {
            let left = self.remaining();
            self.at = start;
            return self.error(format!("{what} is {count}, but only {left} bytes follow"));
        }
        Ok(count)
    }

    /// A signed integer.
    ///
    /// # Errors
    /// As for unsigned ones.
    pub fn signed(&mut self) -> Result<i64, WireError> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A length of at most `max` and bytes.
    ///
    /// # Errors
    /// If the length is larger or the bytes are not there.
    pub fn bytes(&mut self, max: usize, what: &str) -> Result<&'a [u8], WireError> {
        let length = self.count(max, what)?;
        self.raw(length)
    }

    /// A length of at most `max` and UTF-8.
    ///
    /// # Errors
    /// As for bytes, and if it is not UTF-8.
    pub fn text(&mut self, max: usize, what: &str) -> Result<&'a str, WireError> {
        let start = self.at;
        let bytes = self.bytes(max, what)?;
        std::str::from_utf8(bytes)
            .map_err(|error| WireError { offset: start + error.valid_up_to(), message: format!("{what} is not UTF-8") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::default();
            writer.unsigned(value);
            writer.signed(value as i64);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.unsigned(), Ok(value));
            assert_eq!(reader.signed(), Ok(value as i64));
        }
        assert!(Reader::new(&[0x80, 0x00]).unsigned().is_err(), "a longer spelling of 0");
        assert!(Reader::new(&[0xff; 10]).unsigned().is_err(), "more than 64 bits");
    }
}
