//! Built-ins about records and labels.

use super::wrong;
use crate::failure::Outcome;
use crate::heap::Heap;
use crate::value::Value;

/// The pairs of a record.
pub(super) fn pairs(heap: &mut Heap, record: Value) -> Outcome {
    let Some(fields) = heap.record_shared_fields(record) else { return Err(wrong(heap, "Record", record)) };
    let statics = heap.statics.clone();
    let mut pairs = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let name = heap.text(statics.symbol(name));
        pairs.push(heap.tuple(&[name, value]));
    }
    Ok(heap.list(&pairs))
}

/// The name of a label.
pub(super) fn label_name(heap: &mut Heap, label: Value) -> Outcome {
    let Some((name, _)) = heap.as_label(label) else { return Err(wrong(heap, "Label", label)) };
    let statics = heap.statics.clone();
    Ok(heap.text(statics.symbol(name)))
}
