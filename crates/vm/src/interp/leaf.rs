//! Operations that take their operands as a list and finish at once.
//!
//! A register of type `int` comes and goes as its raw word.

use crate::code::{Leaf, Program};
use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::natives;
use crate::statics::Known;
use crate::value::{Kind, Value};

/// Runs an operation.
pub(super) fn run(heap: &mut Heap, program: &Program, leaf: Leaf, args: &mut [Value]) -> Outcome {
    match leaf {
        Leaf::Native(native) => natives::run(heap, native, args),
        Leaf::TextBuild => text_build(heap, args),
        Leaf::BytesConst => {
            let text = heap.as_text(args[0]).unwrap_or("").to_owned();
            let bytes: Vec<u8> = text.chars().map(|c| u32::from(c) as u8).collect();
            Ok(heap.bytes(&bytes))
        }
        Leaf::BytesGet => {
            let index = args[1].0 as i64;
            let Some(bytes) = heap.as_bytes(args[0]) else {
                return Err(Failure::new(Known::Type, format!("expected Bytes, found {}", heap.repr(args[0]))));
            };
            match usize::try_from(index).ok().and_then(|index| bytes.get(index)) {
                Some(byte) => Ok(Value(u64::from(*byte))),
                None => {
                    let message = format!("index {index} out of range, {} items", bytes.len());
                    Err(Failure::new(Known::Index, message))
                }
            }
        }
        Leaf::BytesPush => heap.bytes_push(args[0], args[1].0 as i64),
        Leaf::ListSlice => heap.list_slice(args[0], args[1].0 as i64, args[2].0 as i64),
        Leaf::ListConcat => heap.list_concat(args[0], args[1]),
        Leaf::RangeNew => heap.range(args[0], args[1], false),
        Leaf::RangeThrough => heap.range(args[0], args[1], true),
        Leaf::SeqNew => heap.seq_new(args[0]),
        Leaf::ValIndex => heap.index(args[0], args[1]),
        Leaf::ValCompare => Ok(Value(heap.compare(args[0], args[1]) as i64 as u64)),
        Leaf::RecordNew(shape) => {
            let shape = Value::immediate(crate::value::Immediate::StaticShape, shape);
            Ok(heap.make_after(Kind::Record, &[shape], args))
        }
        Leaf::RecordSet(name) => heap.record_set(args[0], name, args[1]),
        Leaf::RecordMerge => heap.record_merge(args[0], args[1]),
        Leaf::RecordWithout(shape) => {
            let statics = heap.statics().clone();
            heap.record_without(args[0], statics.shape(shape))
        }
        Leaf::MapNew => Ok(heap.map()),
        Leaf::MapGet => heap.map_get(args[0], args[1]).map(|found| found.unwrap_or(args[2])),
        Leaf::MapHas => heap.map_get(args[0], args[1]).map(|found| Value(u64::from(found.is_some()))),
        Leaf::MapRemove => heap.map_remove(args[0], args[1]),
        Leaf::CellNew => Ok(heap.make(Kind::Cell, args)),
        Leaf::CellEmpty => Ok(heap.make(Kind::Cell, &[Value::EMPTY])),
        Leaf::ContinuationClone => heap.clone_continuation(program, args[0]),
    }
}

/// Whether the result is an `int`.
pub(super) fn gives_int(leaf: Leaf) -> bool {
    matches!(leaf, Leaf::ValCompare | Leaf::MapHas | Leaf::BytesGet)
}

/// The display forms, joined into the first when that is an owned string.
fn text_build(heap: &mut Heap, parts: &[Value]) -> Outcome {
    if let [first, second] = parts
        && heap.text_lengths(*first).is_some()
        && heap.text_lengths(*second).is_some()
    {
        return heap.text_concat(*first, *second);
    }
    let mut out = String::new();
    for part in parts {
        heap.display_into(&mut out, *part)?;
    }
    Ok(heap.text(&out))
}
