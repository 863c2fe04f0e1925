//! Built-ins on strings.

use super::{check_size, int, option, wrong};
use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::Value;

fn text(heap: &Heap, value: Value) -> Result<String, Failure> {
    heap.as_text(value).map(str::to_owned).ok_or_else(|| wrong(heap, "String", value))
}

pub(super) fn display(heap: &mut Heap, value: Value) -> Outcome {
    if heap.text_lengths(value).is_some() {
        return Ok(value);
    }
    let text = heap.whole_repr(value)?;
    Ok(heap.text(&text))
}

pub(super) fn join(heap: &mut Heap, separator: Value, items: Value) -> Outcome {
    let separator = text(heap, separator)?;
    let list = heap.list_from(items)?;
    let mut out = String::new();
    for (at, item) in heap.list_items(list).unwrap_or(&[]).iter().enumerate() {
        if at > 0 {
            out.push_str(&separator);
        }
        heap.display_into(&mut out, Value(*item))?;
    }
    Ok(heap.text(&out))
}

pub(super) fn map(heap: &mut Heap, value: Value, change: impl FnOnce(&str) -> String) -> Outcome {
    let changed = change(&text(heap, value)?);
    Ok(heap.text(&changed))
}

pub(super) fn split_by(heap: &mut Heap, value: Value, cut: impl FnOnce(&str) -> Vec<String>) -> Outcome {
    let parts = cut(&text(heap, value)?);
    let items: Vec<Value> = parts.iter().map(|part| heap.text(part)).collect();
    Ok(heap.list(&items))
}

pub(super) fn split(heap: &mut Heap, separator: Value, value: Value) -> Outcome {
    let separator = text(heap, separator)?;
    split_by(heap, value, |text| {
        if separator.is_empty() {
            text.chars().map(String::from).collect()
        } else {
            text.split(&separator).map(str::to_owned).collect()
        }
    })
}

pub(super) fn ask(heap: &Heap, needle: Value, value: Value, holds: impl FnOnce(&str, &str) -> bool) -> Outcome {
    let (Some(needle_text), Some(value_text)) = (heap.as_text(needle), heap.as_text(value)) else {
        let culprit = if heap.as_text(needle).is_none() { needle } else { value };
        return Err(wrong(heap, "String", culprit));
    };
    Ok(Value::bool(holds(needle_text, value_text)))
}

pub(super) fn replace(heap: &mut Heap, old: Value, new: Value, value: Value) -> Outcome {
    let (old, new) = (text(heap, old)?, text(heap, new)?);
    let value = text(heap, value)?;
    check_size(heap, value.len() as u128 * (new.len() as u128 + 1) / 8)?;
    let changed = value.replace(&old, &new);
    Ok(heap.text(&changed))
}

pub(super) fn slice(heap: &mut Heap, from: Value, to: Value, value: Value) -> Outcome {
    let (from, to) = (int(heap, from)?.max(0) as usize, int(heap, to)?.max(0) as usize);
    let Some((bytes, chars)) = heap.text_lengths(value) else { return Err(wrong(heap, "String", value)) };
    let text = heap.as_text(value).unwrap_or("");
    let (from, to) = (from.min(chars), to.clamp(from.min(chars), chars));
    let part = if bytes == chars {
        text.get(from..to).unwrap_or("").to_owned()
    } else {
        text.chars().skip(from).take(to - from).collect()
    };
    Ok(heap.text(&part))
}

pub(super) fn repeat(heap: &mut Heap, count: Value, value: Value) -> Outcome {
    let count = int(heap, count)?.max(0);
    let value = text(heap, value)?;
    check_size(heap, value.len() as u128 * count as u128 / 8)?;
    let repeated = value.repeat(count as usize);
    Ok(heap.text(&repeated))
}

pub(super) fn pad_left(heap: &mut Heap, width: Value, fill: Value, value: Value) -> Outcome {
    let width = int(heap, width)?;
    let (fill, value) = (text(heap, fill)?, text(heap, value)?);
    let missing = width.saturating_sub(value.chars().count() as i64).max(0);
    check_size(heap, missing as u128)?;
    let mut padded: String = fill.chars().cycle().take(if fill.is_empty() { 0 } else { missing as usize }).collect();
    padded.push_str(&value);
    Ok(heap.text(&padded))
}

pub(super) fn code(heap: &mut Heap, value: Value) -> Outcome {
    let text = text(heap, value)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(heap.int(i64::from(u32::from(c)))),
        _ => Err(wrong(heap, "a string of one character", value)),
    }
}

pub(super) fn from_code(heap: &mut Heap, value: Value) -> Outcome {
    let number = int(heap, value)?;
    match u32::try_from(number).ok().and_then(char::from_u32) {
        Some(c) => Ok(heap.character(c)),
        None => Err(Failure::new(Known::Domain, format!("{number} is not the code of a character"))),
    }
}

pub(super) fn to_int(heap: &mut Heap, value: Value) -> Outcome {
    let text = text(heap, value)?;
    let number = text.parse::<i64>().ok();
    let number = number.map(|number| heap.int(number));
    Ok(option(heap, number))
}

pub(super) fn to_float(heap: &mut Heap, value: Value) -> Outcome {
    let text = text(heap, value)?;
    let plain = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) =
        plain.split_once(['e', 'E']).map_or((plain, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let well_formed = digits(whole)
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    let number = if well_formed { text.parse::<f64>().ok() } else { None };
    let number = number.map(|number| heap.float(number));
    Ok(option(heap, number))
}
