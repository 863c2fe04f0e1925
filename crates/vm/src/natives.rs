//! The built-ins of the table in `qualm_ir::natives`: those that finish at once here, those that call back in [`frames`].

pub(crate) mod frames;
mod lists;
mod numbers;
mod records;
mod texts;

use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::statics::Known;
use crate::value::Value;
use qualm_ir::natives::Native;

/// Runs a built-in that finishes at once.
pub(crate) fn run(heap: &mut Heap, native: Native, args: &mut [Value]) -> Outcome {
    let a = args[0];
    let b = args.get(1).copied().unwrap_or(Value::UNIT);
    let c = args.get(2).copied().unwrap_or(Value::UNIT);
    match native {
        Native::TextDisplay => texts::display(heap, a),
        Native::TextRepr => {
            let text = heap.whole_repr(a)?;
            Ok(heap.text(&text))
        }
        Native::TextJoin => texts::join(heap, a, b),
        Native::TextReverse => texts::map(heap, a, |text| text.chars().rev().collect()),
        Native::TextUpper => texts::map(heap, a, str::to_uppercase),
        Native::TextLower => texts::map(heap, a, str::to_lowercase),
        Native::TextTrim => texts::map(heap, a, |text| text.trim().to_owned()),
        Native::TextChars => texts::split_by(heap, a, |text| text.chars().map(String::from).collect()),
        Native::TextWords => texts::split_by(heap, a, |text| text.split_whitespace().map(str::to_owned).collect()),
        Native::TextLines => texts::split_by(heap, a, |text| text.lines().map(str::to_owned).collect()),
        Native::TextSplit => texts::split(heap, a, b),
        Native::TextContains => texts::ask(heap, a, b, |needle, text| text.contains(needle)),
        Native::TextStartsWith => texts::ask(heap, a, b, |needle, text| text.starts_with(needle)),
        Native::TextEndsWith => texts::ask(heap, a, b, |needle, text| text.ends_with(needle)),
        Native::TextReplace => texts::replace(heap, a, b, c),
        Native::TextSlice => texts::slice(heap, a, b, c),
        Native::TextRepeat => texts::repeat(heap, a, b),
        Native::TextPadLeft => texts::pad_left(heap, a, b, c),
        Native::TextCode => texts::code(heap, a),
        Native::TextFromCode => texts::from_code(heap, a),
        Native::TextToInt => texts::to_int(heap, a),
        Native::TextToFloat => texts::to_float(heap, a),
        Native::SeqLen => lists::length(heap, a),
        Native::ListFrom => heap.list_from(a),
        Native::ListReverse => {
            if heap.text_lengths(a).is_some() {
                return texts::map(heap, a, |text| text.chars().rev().collect());
            }
            let list = heap.list_from(a)?;
            heap.list_reverse(list)
        }
        Native::ListSort => lists::sort(heap, a),
        Native::ListSortPairs => lists::sort_pairs(heap, a),
        Native::ListRepeat => lists::repeat(heap, a, b),
        Native::ListUnique => lists::unique(heap, a),
        Native::ListIndexOf => lists::index_of(heap, a, b),
        Native::SeqSum => lists::total(heap, a, crate::data::arith::Arith::Add),
        Native::SeqProduct => lists::total(heap, a, crate::data::arith::Arith::Mul),
        Native::MapFrom => lists::map_from(heap, a),
        Native::MapKeys => {
            let pairs = heap.map_shared_pairs(a)?;
            let keys: Vec<Value> = pairs.into_iter().map(|(key, _)| key).collect();
            Ok(heap.list(&keys))
        }
        Native::MapValues => {
            let pairs = heap.map_shared_pairs(a)?;
            let values: Vec<Value> = pairs.into_iter().map(|(_, value)| value).collect();
            Ok(heap.list(&values))
        }
        Native::MapPairs => {
            let pairs = heap.map_shared_pairs(a)?;
            let pairs: Vec<Value> = pairs.into_iter().map(|(key, value)| heap.tuple(&[key, value])).collect();
            Ok(heap.list(&pairs))
        }
        Native::MapFind => {
            let found = heap.map_get(b, a)?;
            Ok(option(heap, found))
        }
        Native::Compare => Ok(Value::symbol(match heap.compare(a, b) {
            std::cmp::Ordering::Less => Known::Less.number(),
            std::cmp::Ordering::Equal => Known::Equal.number(),
            std::cmp::Ordering::Greater => Known::Greater.number(),
        })),
        Native::NumberToFloat => numbers::float(heap, a, |value| value),
        Native::NumberSqrt => numbers::float(heap, a, f64::sqrt),
        Native::NumberAbs => numbers::abs(heap, a),
        Native::NumberGcd => numbers::gcd(heap, a, b),
        Native::NumberFloor => numbers::integer(heap, a, f64::floor),
        Native::NumberCeil => numbers::integer(heap, a, f64::ceil),
        Native::NumberRound => numbers::integer(heap, a, f64::round),
        Native::NumberTruncate => numbers::integer(heap, a, f64::trunc),
        Native::NumberSin => numbers::float(heap, a, f64::sin),
        Native::NumberCos => numbers::float(heap, a, f64::cos),
        Native::NumberTan => numbers::float(heap, a, f64::tan),
        Native::NumberAtan => numbers::float(heap, a, f64::atan),
        Native::NumberExp => numbers::float(heap, a, f64::exp),
        Native::NumberLn => numbers::logarithm(heap, a),
        Native::MatchFailure => {
            let message = format!("{}{}", heap.display(a), heap.repr(b));
            let text = heap.text(&message);
            Ok(heap.label(Known::Match.number(), text))
        }
        Native::ErrorValue => {
            let kind = heap.as_label(a).map_or(Known::Type.number(), |(symbol, _)| symbol);
            let suffix = if c == Value::UNIT { String::new() } else { heap.repr(c) };
            let message = format!("{}{suffix}", heap.display(b));
            let text = heap.text(&message);
            Ok(heap.label(kind, text))
        }
        Native::CoroutineNew => Ok(heap.coroutine(a)),
        Native::CoroutineStatus => heap.coroutine_status(a),
        Native::RecordPairs => records::pairs(heap, a),
        Native::LabelName => records::label_name(heap, a),
        Native::ListMap
        | Native::ListEach
        | Native::ListFilter
        | Native::ListFold
        | Native::MapUpdate
        | Native::Perform => unreachable!("built-ins that call back run as frames"),
    }
}

/// `Some` value or `None`.
pub(crate) fn option(heap: &mut Heap, value: Option<Value>) -> Value {
    match value {
        Some(value) => heap.make(crate::value::Kind::Label, &[Value::symbol(Known::Some.number()), value]),
        None => Value::symbol(Known::None.number()),
    }
}

fn wrong(heap: &Heap, what: &str, value: Value) -> Failure {
    Failure::new(Known::Type, format!("expected {what}, found {}", heap.repr(value)))
}

/// The integer an argument must be.
fn int(heap: &Heap, value: Value) -> Result<i64, Failure> {
    heap.as_int(value).ok_or_else(|| wrong(heap, "Integer", value))
}

/// Refuses results that could not fit in the fiber.
fn check_size(heap: &Heap, words: u128) -> Result<(), Failure> {
    if words > heap.most_words as u128 { Err(Failure::new(Known::Overflow, "result too large")) } else { Ok(()) }
}
