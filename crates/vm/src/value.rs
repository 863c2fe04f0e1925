//! The tagged word that every `val` register and every heap field holds.
//!
//! ```text
//!  63                                32 31      16 15      8 7    4 3 2 1 0
//! +--------------------------------------------------------------------+-+
//! | integer of 63 bits                                                 |1|   most integers
//! +------------------------------------------------------------------+-+-+
//! | double, rotated so that its common exponents fit                 |1 0|   most floats ("flonum", as in Ruby)
//! +------------------------------------------+---------+------+-+-+-+----+
//! | number                                   |         | what   |1| 0 0  |   immediate: unit, booleans, symbol, function, ...
//! +------------------------------------------+---------+------+-+-+-+----+
//! | word offset in the fiber's heap          |         | kind | |O|0| 0 0 |   reference; O: this is the only reference
//! +------------------------------------------+---------+------+-+-+-+----+
//! ```
//!
//! Integers that need 64 bits and floats with rare exponents are heap objects. A number has one spelling: what fits in the word is never
//! in the heap. Floats are never NaN.
//!
//! The **ownership bit** O is vaporization's (DESIGN 3): it is set when an object is made, moves with the reference, and is
//! cleared in both copies as soon as there are two. Who holds an owned reference may change the object.

use std::fmt;

/// A tagged word.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value(pub(crate) u64);

/// What a heap object is. The number is in every reference and every header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// An integer that needs 64 bits.
    Int = 1,
    /// A float that does not fit in a word.
    Float,
    /// UTF-8: byte length and character count, bytes.
    Text,
    /// Bytes: length, bytes.
    Bytes,
    /// Items.
    Tuple,
    /// Start and length, room for items.
    List,
    /// A shape, then the items in its order.
    Record,
    /// The names of a record's fields that no function of the program spells.
    Shape,
    /// A symbol and a payload.
    Label,
    /// The root of a tree or unit, the number of keys.
    Map,
    /// A node of a map.
    MapNode,
    /// A function and the arguments it already holds.
    Closure,
    /// A variable.
    Cell,
    /// State, function or value, arguments.
    Thunk,
    /// Flags, the distance of its top frame, frames.
    Continuation,
    /// From, to, whether `to` belongs to it.
    Range,
    /// Status; a function, a continuation or unit.
    Coroutine,
    /// A copy of a coroutine that nobody else holds.
    Snapshot,
}

impl Kind {
    const ALL: [Self; 18] = [
        Self::Int,
        Self::Float,
        Self::Text,
        Self::Bytes,
        Self::Tuple,
        Self::List,
        Self::Record,
        Self::Shape,
        Self::Label,
        Self::Map,
        Self::MapNode,
        Self::Closure,
        Self::Cell,
        Self::Thunk,
        Self::Continuation,
        Self::Range,
        Self::Coroutine,
        Self::Snapshot,
    ];

    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL[usize::from(number.wrapping_sub(1)) % Self::ALL.len()]
    }
}

/// What an immediate is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Immediate {
    /// `()`
    Unit,
    /// `false`
    False,
    /// `true`
    True,
    /// A label without payload, by symbol number.
    Symbol,
    /// A function that holds no arguments, by number.
    Function,
    /// A string constant of the program, by number.
    StaticText,
    /// A record shape of the program, by number.
    StaticShape,
    /// What a cell holds before it has a value.
    Empty,
    /// A handle of a fiber; its number goes on in the bits between ([`Value::as_fiber`]).
    Fiber,
}

impl Immediate {
    const ALL: [Self; 9] = [
        Self::Unit,
        Self::False,
        Self::True,
        Self::Symbol,
        Self::Function,
        Self::StaticText,
        Self::StaticShape,
        Self::Empty,
        Self::Fiber,
    ];
}

/// A value taken apart by its tag.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Tag {
    /// An integer in the word.
    Int(i64),
    /// A float in the word.
    Float(f64),
    /// An immediate with its number.
    Immediate(Immediate, u32),
    /// A reference: kind and word offset.
    Reference(Kind, usize),
}

const OWNED: u64 = 0b1000;
/// The word of 0.0, whose exponent is not among the common ones.
const FLOAT_ZERO: u64 = 0x8000_0000_0000_0002;

impl Value {
    /// `()`
    pub const UNIT: Self = Self::immediate(Immediate::Unit, 0);
    /// `false`
    pub const FALSE: Self = Self::immediate(Immediate::False, 0);
    /// `true`
    pub const TRUE: Self = Self::immediate(Immediate::True, 0);
    /// What a cell holds before it has a value.
    pub const EMPTY: Self = Self::immediate(Immediate::Empty, 0);

    /// An immediate.
    pub const fn immediate(what: Immediate, number: u32) -> Self {
        Self((number as u64) << 32 | (what as u64) << 4 | 0b100)
    }

    /// A boolean.
    pub const fn bool(value: bool) -> Self {
        if value { Self::TRUE } else { Self::FALSE }
    }

    /// A label without payload.
    pub const fn symbol(number: u32) -> Self {
        Self::immediate(Immediate::Symbol, number)
    }

    /// A handle of a fiber; its number has at most 56 bits.
    pub const fn fiber(number: u64) -> Self {
        Self(number << 32 | (number >> 32 & 0xff_ffff) << 8 | (Immediate::Fiber as u64) << 4 | 0b100)
    }

    /// The number of a fiber, if it is a handle of one.
    pub const fn as_fiber(self) -> Option<u64> {
        if self.0 & 0xff == (Immediate::Fiber as u64) << 4 | 0b100 {
            Some(self.0 >> 32 | (self.0 >> 8 & 0xff_ffff) << 32)
        } else {
            None
        }
    }

    /// The order of handles among themselves, as keys of maps have it.
    pub const fn order_word(self) -> u64 {
        self.0
    }

    /// An integer, if 63 bits hold it.
    #[inline]
    pub const fn small_int(value: i64) -> Option<Self> {
        let word = (value << 1) | 1;
        if word >> 1 == value { Some(Self(word as u64)) } else { None }
    }

    /// An integer known to be small: an index, a count, a flag.
    pub const fn index(value: usize) -> Self {
        Self((value as u64) << 1 | 1)
    }

    /// A float, if its exponent is common.
    #[inline]
    pub fn small_float(value: f64) -> Option<Self> {
        let bits = value.to_bits();
        let exponent = (bits >> 60) & 7;
        if (exponent == 3 || exponent == 4) && bits != 0x3000_0000_0000_0000 {
            Some(Self((bits.rotate_left(3) & !3) | 2))
        } else if bits == 0 {
            Some(Self(FLOAT_ZERO))
        } else {
            None
        }
    }

    /// An owned reference.
    pub(crate) const fn owned(kind: Kind, offset: usize) -> Self {
        Self((offset as u64) << 32 | (kind as u64) << 8 | OWNED)
    }

    /// The integer in the word, if it is one.
    #[inline]
    pub const fn as_small_int(self) -> Option<i64> {
        if self.0 & 1 == 1 { Some(self.0 as i64 >> 1) } else { None }
    }

    /// The float in the word, if it is one.
    #[inline]
    pub fn as_small_float(self) -> Option<f64> {
        (self.0 & 3 == 2).then(|| self.float_bits())
    }

    #[inline]
    fn float_bits(self) -> f64 {
        if self.0 == FLOAT_ZERO {
            return 0.0;
        }
        f64::from_bits(((2 - (self.0 >> 63)) | (self.0 & !3)).rotate_right(3))
    }

    /// The value by its tag.
    #[inline]
    pub fn tag(self) -> Tag {
        if self.0 & 1 == 1 {
            Tag::Int(self.0 as i64 >> 1)
        } else if self.0 & 3 == 2 {
            Tag::Float(self.float_bits())
        } else if self.0 & 4 == 4 {
            Tag::Immediate(Immediate::ALL[(self.0 >> 4 & 15) as usize % Immediate::ALL.len()], (self.0 >> 32) as u32)
        } else {
            Tag::Reference(Kind::from_number((self.0 >> 8) as u8), (self.0 >> 32) as usize)
        }
    }

    /// The kind and offset, if it is a reference.
    #[inline]
    pub fn as_reference(self) -> Option<(Kind, usize)> {
        self.is_reference().then(|| (Kind::from_number((self.0 >> 8) as u8), (self.0 >> 32) as usize))
    }

    /// The offset, if it is a reference to an object of that kind.
    #[inline]
    pub fn as_object(self, kind: Kind) -> Option<usize> {
        (self.0 & 0xff07 == (kind as u64) << 8).then_some((self.0 >> 32) as usize)
    }

    /// Whether it is a reference.
    #[inline]
    pub const fn is_reference(self) -> bool {
        self.0 & 7 == 0
    }

    /// Whether it is the only reference to its object.
    #[inline]
    pub const fn is_owned(self) -> bool {
        self.0 & 15 == OWNED
    }

    /// The same value, not owned.
    #[inline]
    pub const fn shared(self) -> Self {
        if self.is_owned() { Self(self.0 & !OWNED) } else { self }
    }

    /// The same reference with another offset.
    pub(crate) const fn moved_to(self, offset: usize) -> Self {
        Self(self.0 & 0xffff_ffff | (offset as u64) << 32)
    }

    /// The number of an immediate of that kind.
    pub fn as_immediate(self, what: Immediate) -> Option<u32> {
        (self.0 as u32 == (what as u32) << 4 | 0b100).then_some((self.0 >> 32) as u32)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.tag(), if self.is_owned() { " owned" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for value in [0, 1, -1, i64::MAX >> 1, i64::MIN >> 1] {
            assert_eq!(Value::small_int(value).and_then(Value::as_small_int), Some(value));
        }
        assert_eq!(Value::small_int(i64::MAX), None);
        for value in [0.0, 1.0, -1.0, 0.1, 1e76, -3.5e-70, std::f64::consts::PI] {
            let word = Value::small_float(value).expect("a common exponent");
            assert_eq!(word.as_small_float().map(f64::to_bits), Some(f64::to_bits(value)));
        }
        for value in [-0.0, 1e300, 1e-300, f64::INFINITY] {
            assert_eq!(Value::small_float(value), None, "{value}");
        }
    }

    #[test]
    fn fibers_have_numbers_of_56_bits() {
        for number in [0, 1, u64::from(u32::MAX), 1 << 55, (1 << 56) - 1] {
            assert_eq!(Value::fiber(number).as_fiber(), Some(number));
            assert!(matches!(Value::fiber(number).tag(), Tag::Immediate(Immediate::Fiber, _)));
        }
        assert_eq!(Value::UNIT.as_fiber(), None);
    }

    #[test]
    fn references_keep_kind_and_offset() {
        let value = Value::owned(Kind::List, 77);
        assert_eq!(value.as_object(Kind::List), Some(77));
        assert_eq!(value.as_object(Kind::Tuple), None);
        assert!(value.is_owned() && !value.shared().is_owned());
        assert_eq!(value.shared().as_reference(), Some((Kind::List, 77)));
    }
}
