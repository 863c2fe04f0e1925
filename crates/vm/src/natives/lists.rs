//! Built-ins on lists, iterables and maps that need no call back.

use super::{check_size, int, wrong};
use crate::data::arith::Arith;
use crate::failure::{Failure, Outcome};
use crate::heap::Heap;
use crate::value::{Kind, Value};
use std::cmp::Ordering;

pub(super) fn length(heap: &mut Heap, value: Value) -> Outcome {
    if let Some(fields) = heap.record_fields(value) {
        return Ok(Value::index(fields.len()));
    }
    let length = heap.seq_len(value)?;
    Ok(heap.int(length))
}

/// Sorts in the order of `<`; small integers and strings take a short way.
pub(super) fn sort(heap: &mut Heap, value: Value) -> Outcome {
    let list = heap.list_from(value)?;
    let items: Vec<Value> = heap.list_items(list).unwrap_or(&[]).iter().map(|word| Value(*word)).collect();
    let order = sorted_order(heap, &items)?;
    heap.list_permute(list, &order)
}

fn sorted_order(heap: &Heap, keys: &[Value]) -> Result<Vec<u32>, Failure> {
    if keys.iter().all(|key| key.as_small_int().is_some()) {
        let mut pairs: Vec<(i64, u32)> = keys.iter().zip(0..).map(|(key, at)| (key.0 as i64, at)).collect();
        pairs.sort_unstable();
        return Ok(pairs.into_iter().map(|(_, at)| at).collect());
    }
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    let mut failure = None;
    order.sort_by(|a, b| {
        heap.order(keys[*a as usize], keys[*b as usize]).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            Ordering::Equal
        })
    });
    match failure {
        Some(failure) => Err(failure),
        // A single key of a kind without order was never compared.
        None => Ok(order),
    }
}

/// Pairs of key and item, sorted by key; gives the items.
pub(super) fn sort_pairs(heap: &mut Heap, value: Value) -> Outcome {
    let list = heap.list_from(value)?;
    let mut pairs = Vec::new();
    for word in heap.list_items(list).unwrap_or(&[]).to_vec() {
        let Some(offset) = Value(word).as_object(Kind::Tuple) else { return Err(wrong(heap, "a pair", Value(word))) };
        pairs.push((heap.peek(offset, 0), heap.read(offset, 1)));
    }
    let keys: Vec<Value> = pairs.iter().map(|(key, _)| *key).collect();
    let order = sorted_order(heap, &keys)?;
    let items: Vec<Value> = order.into_iter().map(|at| pairs[at as usize].1).collect();
    Ok(heap.list(&items))
}

pub(super) fn repeat(heap: &mut Heap, count: Value, item: Value) -> Outcome {
    let count = int(heap, count)?.max(0);
    check_size(heap, count as u128)?;
    let item = if count > 1 { item.shared() } else { item };
    Ok(heap.list(&vec![item; count as usize]))
}

pub(super) fn unique(heap: &mut Heap, value: Value) -> Outcome {
    let list = heap.list_from(value)?;
    let items: Vec<Value> = heap.list_items(list).unwrap_or(&[]).iter().map(|word| Value(*word)).collect();
    // Equal items are equal in the total order too, and stand side by side in it; functions are told apart by `equal`.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| heap.compare(items[*a], items[*b]));
    let mut keep = vec![true; items.len()];
    let mut first = 0;
    for at in 1..order.len() {
        if heap.compare(items[order[first]], items[order[at]]) == Ordering::Equal {
            keep[order[at]] = !heap.equal(items[order[first]], items[order[at]]);
        } else {
            first = at;
        }
    }
    let kept: Vec<Value> = items.iter().zip(keep).filter(|(_, keep)| *keep).map(|(item, _)| item.shared()).collect();
    share_items(heap, list);
    Ok(heap.list(&kept))
}

/// The items of a list are about to be in another list too.
fn share_items(heap: &mut Heap, list: Value) {
    if let Some(found) = heap.as_list(list) {
        for word in &mut heap.words[found.item(0)..found.item(found.length)] {
            *word = Value(*word).shared().0;
        }
    }
}

pub(super) fn index_of(heap: &mut Heap, item: Value, value: Value) -> Outcome {
    let list = heap.list_from(value)?;
    let items = heap.list_items(list).unwrap_or(&[]);
    let found = items.iter().position(|other| heap.equal(item, Value(*other)));
    Ok(Value::small_int(found.map_or(-1, |at| at as i64)).unwrap_or(Value::UNIT))
}

/// Sum or product of the items; 0 or 1 if there are none.
pub(super) fn total(heap: &mut Heap, value: Value, op: Arith) -> Outcome {
    let seq = heap.seq_new(value)?;
    let length = heap.seq_len(seq)?;
    if length == 0 {
        return Ok(Value::index(usize::from(op == Arith::Mul)));
    }
    let mut total = heap.seq_get(seq, 0)?;
    for index in 1..length {
        let item = heap.seq_get(seq, index)?;
        total = heap.arith(op, total, item)?;
    }
    Ok(total)
}

pub(super) fn map_from(heap: &mut Heap, value: Value) -> Outcome {
    let list = heap.list_from(value)?;
    let mut map = heap.map();
    for word in heap.list_items(list).unwrap_or(&[]).to_vec() {
        let pair = Value(word).as_object(Kind::Tuple).filter(|offset| heap.payload(*offset).len() == 2);
        let Some(offset) = pair else { return Err(wrong(heap, "a tuple of 2 items", Value(word))) };
        let (key, item) = (heap.read(offset, 0), heap.read(offset, 1));
        map = heap.map_insert(map, key, item)?;
    }
    Ok(map)
}
