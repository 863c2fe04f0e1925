//! Built-ins that call back: state machines whose state is a frame of values, so they are traced, captured and copied like any frame.
//!
//! `start` makes the first call; each result of a call comes to [`step`], which makes the next call or delivers the result.

use crate::code::Program;
use crate::failure::Failure;
use crate::fiber::{Fiber, Next};
use crate::stack::{FrameKind, HEADER, place_of};
use crate::statics::Known;
use crate::value::{Kind, Value};
use qualm_ir::natives::Native;

// What the frames of the list built-ins hold.
const FUNCTION: usize = 0;
const SEQ: usize = 1;
const INDEX: usize = 2;
const OUT: usize = 3;
const ITEM: usize = 4;

// What the frame of `map.update` holds.
const MAP: usize = 0;
const KEY: usize = 1;

/// Starts a built-in of the `Code` frame at the top.
pub(crate) fn start(fiber: &mut Fiber, program: &Program, number: u32, args: &[Value]) -> Next {
    let native = Native::ALL[number as usize];
    let started = match native {
        Native::ListMap | Native::ListFilter => start_list(fiber, program, number, args[0], args[1], Value::UNIT),
        Native::ListEach => start_list(fiber, program, number, args[0], args[1], Value::UNIT),
        Native::ListFold => start_list(fiber, program, number, args[0], args[2], args[1]),
        Native::MapUpdate => start_update(fiber, program, number, args),
        Native::Perform => match fiber.heap.as_label(args[0]) {
            Some((symbol, payload)) if symbol == Known::Raise.number() || symbol == Known::System.number() => {
                Ok(Next::Perform(symbol, payload))
            }
            Some((symbol, _)) => Ok(Next::Perform(symbol, args[0])),
            None => Err(Failure::new(Known::Effect, format!("{} is not an effect", fiber.heap.repr(args[0])))),
        },
        _ => unreachable!("the loader sends other built-ins elsewhere"),
    };
    started.unwrap_or_else(|failure| fiber.fail(failure))
}

/// Gives the frame at the top the result of its call.
pub(crate) fn step(fiber: &mut Fiber, program: &Program, value: Value) -> Next {
    let (number, _) = place_of(fiber.stack[fiber.top + 1]);
    match Native::ALL[number as usize] {
        Native::ListMap => {
            let out = take(fiber, OUT);
            match fiber.heap.list_push(out, value) {
                Ok(out) => put(fiber, OUT, out),
                Err(failure) => return fail_below(fiber, failure),
            }
            next_item(fiber, program, None)
        }
        Native::ListEach => next_item(fiber, program, None),
        Native::ListFilter => {
            match value {
                Value::TRUE => {
                    let (out, item) = (take(fiber, OUT), take(fiber, ITEM));
                    match fiber.heap.list_push(out, item) {
                        Ok(out) => put(fiber, OUT, out),
                        Err(failure) => return fail_below(fiber, failure),
                    }
                }
                Value::FALSE => {}
                other => {
                    let message = format!("predicate must be Boolean, found {}", fiber.heap.repr(other));
                    return fail_below(fiber, Failure::new(Known::Type, message));
                }
            }
            next_item(fiber, program, None)
        }
        Native::ListFold => next_item(fiber, program, Some(value)),
        _ => {
            let (map, key) = (take(fiber, MAP), take(fiber, KEY));
            fiber.pop();
            match fiber.heap.map_insert(map, key, value) {
                Ok(map) => Next::Deliver(map),
                Err(failure) => fiber.fail(failure),
            }
        }
    }
}

fn put(fiber: &mut Fiber, index: usize, value: Value) {
    let at = fiber.top + HEADER + index;
    fiber.stack[at] = value.0;
}

/// Moves a value out of the frame.
fn take(fiber: &mut Fiber, index: usize) -> Value {
    let at = fiber.top + HEADER + index;
    let value = Value(fiber.stack[at]);
    fiber.stack[at] = Value::UNIT.0;
    value
}

/// Shares a value with the frame.
fn share(fiber: &mut Fiber, index: usize) -> Value {
    let at = fiber.top + HEADER + index;
    let value = Value(fiber.stack[at]).shared();
    fiber.stack[at] = value.0;
    value
}

/// Removes the frame and raises where the built-in was called.
fn fail_below(fiber: &mut Fiber, failure: Failure) -> Next {
    fiber.pop();
    fiber.fail(failure)
}

fn start_list(
    fiber: &mut Fiber,
    program: &Program,
    number: u32,
    function: Value,
    items: Value,
    start: Value,
) -> Result<Next, Failure> {
    let seq = fiber.heap.seq_new(items)?;
    let out = if Native::ALL[number as usize] == Native::ListFold { Value::UNIT } else { fiber.heap.list(&[]) };
    let values = [function, seq, Value::index(0), out, Value::UNIT];
    fiber.push_values(program, FrameKind::Native, number, &values);
    Ok(next_item(fiber, program, Some(start)))
}

/// Calls the function with the next item, or ends. `so_far` is the value of a fold.
fn next_item(fiber: &mut Fiber, program: &Program, so_far: Option<Value>) -> Next {
    let native = Native::ALL[place_of(fiber.stack[fiber.top + 1]).0 as usize];
    let at = fiber.top + HEADER;
    let seq = Value(fiber.stack[at + SEQ]);
    let index = Value(fiber.stack[at + INDEX]).as_small_int().unwrap_or(0);
    let length = fiber.heap.seq_len(seq).unwrap_or(0);
    if index >= length {
        let result = match native {
            Native::ListFold => so_far.unwrap_or(Value::UNIT),
            Native::ListEach => Value::UNIT,
            _ => take(fiber, OUT),
        };
        fiber.pop();
        return Next::Deliver(result);
    }
    put(fiber, INDEX, Value::index(index as usize + 1));
    let item = match (fiber.heap.may_write(seq), fiber.heap.as_list(seq)) {
        // Nobody else sees this list and nobody reads the item again: it moves.
        (true, Some(list)) => Value(std::mem::replace(&mut fiber.heap.words[list.item(index as usize)], Value::UNIT.0)),
        _ => match fiber.heap.seq_get(seq, index) {
            Ok(item) => item,
            Err(failure) => return fail_below(fiber, failure),
        },
    };
    let function = share(fiber, FUNCTION);
    match native {
        Native::ListFold => fiber.apply(program, function, &[so_far.unwrap_or(Value::UNIT), item]),
        Native::ListFilter => {
            let item = item.shared();
            put(fiber, ITEM, item);
            fiber.apply(program, function, &[item])
        }
        _ => fiber.apply(program, function, &[item]),
    }
}

fn start_update(fiber: &mut Fiber, program: &Program, number: u32, args: &[Value]) -> Result<Next, Failure> {
    let [key, otherwise, function, map] = [args[0], args[1], args[2], args[3]];
    if map.as_object(Kind::Map).is_none() {
        return Err(Failure::new(Known::Type, format!("expected a map, found {}", fiber.heap.repr(map))));
    }
    let (map, value) = fiber.heap.map_take(map, key)?;
    fiber.push_values(program, FrameKind::Native, number, &[map, key]);
    Ok(fiber.apply(program, function, &[value.unwrap_or(otherwise)]))
}
