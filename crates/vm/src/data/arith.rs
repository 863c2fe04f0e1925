//! Arithmetic whose kinds are known only at run time, and the integer operations all executors share.

use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::Value;

/// An operation on two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
}

impl Arith {
    pub(crate) const ALL: [Self; 6] = [Self::Add, Self::Sub, Self::Mul, Self::Div, Self::Rem, Self::Pow];

    fn verb(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "subtract",
            Self::Mul => "multiply",
            Self::Div => "divide",
            Self::Rem => "take the remainder of",
            Self::Pow => "take a power of",
        }
    }
}

/// The operation on integers: checked, division Euclidean.
pub(crate) fn int_op(op: Arith, a: i64, b: i64) -> Result<i64, Failure> {
    let result = match op {
        Arith::Add => a.checked_add(b),
        Arith::Sub => a.checked_sub(b),
        Arith::Mul => a.checked_mul(b),
        Arith::Div | Arith::Rem if b == 0 => return Err(Failure::divide_by_zero()),
        Arith::Div => a.checked_div_euclid(b),
        Arith::Rem => Some(a.wrapping_rem_euclid(b)),
        Arith::Pow if b < 0 => return Err(Failure::new(Known::Domain, "negative exponent of an integer power")),
        Arith::Pow => int_pow(a, b),
    };
    result.ok_or_else(Failure::overflow)
}

fn int_pow(a: i64, b: i64) -> Option<i64> {
    match u32::try_from(b) {
        Ok(exponent) => a.checked_pow(exponent),
        Err(_) => match a {
            0 | 1 => Some(a),
            -1 => Some(if b % 2 == 0 { 1 } else { -1 }),
            _ => None,
        },
    }
}

/// The operation on floats: never NaN, division by zero fails.
pub(crate) fn float_op(op: Arith, a: f64, b: f64) -> Result<f64, Failure> {
    let result = match op {
        Arith::Add => a + b,
        Arith::Sub => a - b,
        Arith::Mul => a * b,
        Arith::Div | Arith::Rem if b == 0.0 => return Err(Failure::divide_by_zero()),
        Arith::Div => a / b,
        Arith::Rem => a.rem_euclid(b),
        Arith::Pow => a.powf(b),
    };
    number(result)
}

/// The float, unless it is NaN.
pub(crate) fn number(value: f64) -> Result<f64, Failure> {
    if value.is_nan() { Err(Failure::not_a_number()) } else { Ok(value) }
}

/// The integer part of a float.
pub(crate) fn float_to_int(value: f64) -> Result<i64, Failure> {
    // 2^63 is the first float too large; -2^63 is in range.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if (-TOO_LARGE..TOO_LARGE).contains(&value) { Ok(value as i64) } else { Err(Failure::overflow()) }
}

impl Heap {
    /// The operation on any two values.
    pub(crate) fn arith(&mut self, op: Arith, a: Value, b: Value) -> Outcome {
        if let (Some(a), Some(b)) = (self.as_int(a), self.as_int(b)) {
            return int_op(op, a, b).map(|value| self.int(value));
        }
        if let (Some(a), Some(b)) = (self.as_number(a), self.as_number(b)) {
            return float_op(op, a, b).map(|value| self.float(value));
        }
        if op == Arith::Add {
            if self.text_lengths(a).is_some() && self.text_lengths(b).is_some() {
                return self.text_concat(a, b);
            }
            if self.as_list(a).is_some() && self.as_list(b).is_some() {
                return self.list_concat(a, b);
            }
        }
        let (x, y) = (self.kind_name(a), self.kind_name(b));
        Err(Failure::new(Known::Type, format!("cannot {} {x} and {y}", op.verb())))
    }

    pub(crate) fn negate(&mut self, value: Value) -> Outcome {
        if let Some(number) = self.as_int(value) {
            return number.checked_neg().ok_or_else(Failure::overflow).map(|number| self.int(number));
        }
        match self.as_float(value) {
            Some(number) => Ok(self.float(-number)),
            None => Err(Failure::new(Known::Type, format!("cannot negate {}", self.kind_name(value)))),
        }
    }
}
