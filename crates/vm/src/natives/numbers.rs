//! Built-ins on numbers.

use super::{int, wrong};
use crate::data::arith::{float_to_int, number};
use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::value::Value;

pub(super) fn float(heap: &mut Heap, value: Value, function: impl FnOnce(f64) -> f64) -> Outcome {
    let Some(argument) = heap.as_number(value) else { return Err(wrong(heap, "a number", value)) };
    let result = number(function(argument))?;
    Ok(heap.float(result))
}

pub(super) fn logarithm(heap: &mut Heap, value: Value) -> Outcome {
    if heap.as_number(value).is_some_and(|argument| argument <= 0.0) {
        return Err(Failure::not_a_number());
    }
    float(heap, value, f64::ln)
}

pub(super) fn integer(heap: &mut Heap, value: Value, round: impl FnOnce(f64) -> f64) -> Outcome {
    if heap.as_int(value).is_some() {
        return Ok(value);
    }
    let Some(argument) = heap.as_float(value) else { return Err(wrong(heap, "a number", value)) };
    let result = float_to_int(round(argument))?;
    Ok(heap.int(result))
}

pub(super) fn abs(heap: &mut Heap, value: Value) -> Outcome {
    if let Some(argument) = heap.as_int(value) {
        let result = argument.checked_abs().ok_or_else(Failure::overflow)?;
        return Ok(heap.int(result));
    }
    float(heap, value, f64::abs)
}

pub(super) fn gcd(heap: &mut Heap, a: Value, b: Value) -> Outcome {
    let (mut a, mut b) = (int(heap, a)?.unsigned_abs(), int(heap, b)?.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let result = i64::try_from(a).map_err(|_| Failure::overflow())?;
    Ok(heap.int(result))
}
