//! What no program could have made is refused: then nothing that runs later meets it.

use super::read::{Section, Spot};
use crate::code::Program;
use crate::data::map::{HALF, KEYS_MAX};
use crate::heap::{Heap, Stress, header, size_of};
use crate::statics::Known;
use crate::value::{Immediate, Kind, Value};
use qualm_ir::wire::WireError;
use std::cmp::Ordering;

/// What must be at a place.
#[derive(Debug)]
pub(super) enum Expect {
    Kind(Kind),
    Symbol,
    /// What a label carries: anything but `()`.
    Payload,
    /// The root of a map; its count follows.
    Map,
    /// Anything but a thunk.
    NoThunk,
    Integer,
    /// An integer from 0.
    Index,
    Boolean,
    /// The status of a coroutine; what it holds follows.
    Coroutine,
    /// A record shape that the program does not spell: it is made here.
    Shape(Vec<u64>),
}

/// Checks what was read, once references are filled in.
pub(super) fn check_data(section: &mut Section, program: &Program, offset: usize) -> Result<(), WireError> {
    for (spot, expect, offset) in std::mem::take(&mut section.expectations) {
        if let Expect::Shape(symbols) = expect {
            let at = section.words.len();
            section.words.push(header(Kind::Shape, symbols.len()));
            section.words.extend(symbols);
            if let Spot::Word(place) = spot {
                section.words[place] = Value::owned(Kind::Shape, at).shared().0;
            }
        } else if let Some(message) = refused(section, spot, &expect) {
            return Err(WireError { offset, message: message.into() });
        }
    }
    let fail = |message: &str| Err(WireError { offset, message: message.into() });
    let Some(order) = leaves_first(section) else { return fail("data that contains itself") };
    if !section.offsets.iter().any(|at| section.words[*at] as u8 == Kind::MapNode as u8) {
        return Ok(());
    }
    let mut heap = Heap::new(program.statics.clone(), Stress::None);
    std::mem::swap(&mut heap.words, &mut section.words);
    let sound = maps_are_sound(&heap, &section.offsets, &order);
    std::mem::swap(&mut heap.words, &mut section.words);
    if sound { Ok(()) } else { fail("a map whose keys are not in order, or whose nodes are not") }
}

fn refused(section: &Section, spot: Spot, expect: &Expect) -> Option<&'static str> {
    let value = section.at(spot);
    let next = || match spot {
        Spot::Word(at) => Value(section.words[at + 1]),
        Spot::Frame(at) => Value(section.frames[at + 1]),
        Spot::Root(_) => Value::EMPTY,
    };
    let is = |what: bool, message| if what { None } else { Some(message) };
    match expect {
        Expect::Kind(kind) => is(value.as_object(*kind).is_some(), "an object of another kind is needed here"),
        Expect::Symbol => is(value.as_immediate(Immediate::Symbol).is_some(), "a label begins with a symbol"),
        Expect::Payload => is(value != Value::UNIT, "a label without payload is a symbol"),
        Expect::NoThunk => is(value.as_object(Kind::Thunk).is_none(), "the value of a thunk is no thunk"),
        Expect::Integer => is(
            value.as_small_int().is_some() || value.as_object(Kind::Int).is_some(),
            "the bounds of a range are integers",
        ),
        Expect::Index => is(value.as_small_int().is_some_and(|at| at >= 0), "an index is an integer from 0"),
        Expect::Boolean => is(value == Value::TRUE || value == Value::FALSE, "a Boolean is needed here"),
        Expect::Map => {
            let count = next().as_small_int().unwrap_or(-1);
            let empty = value == Value::UNIT && count == 0;
            is(empty || (value.as_object(Kind::MapNode).is_some() && count > 0), "a map has a root and a count")
        }
        Expect::Coroutine => {
            let held = next();
            let status = |known: Known| value == Value::symbol(known.number());
            let sound = match () {
                () if status(Known::New) => held != Value::UNIT,
                () if status(Known::Suspended) => held.as_object(Kind::Continuation).is_some(),
                () => (status(Known::Running) || status(Known::Done) || status(Known::Failed)) && held == Value::UNIT,
            };
            is(sound, "a coroutine holds what its status says")
        }
        Expect::Shape(_) => None,
    }
}

/// The objects in an order in which those that one contains come before it; nothing if data contains itself. Variables, thunks and coroutines can
/// be on a cycle, since they are written after they are made.
fn leaves_first(section: &Section) -> Option<Vec<usize>> {
    const OPEN: u8 = 1;
    const DONE: u8 = 2;
    let words = &section.words;
    let mut states = vec![0_u8; words.len()];
    let mut order = Vec::with_capacity(section.offsets.len());
    // An object, and the place of the next word of it to follow.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in &section.offsets {
        if states[*start] == 0 {
            states[*start] = OPEN;
            path.push((*start, 1));
        }
        while let Some((object, at)) = path.last_mut() {
            let kind = Kind::from_number(words[*object] as u8);
            let opaque = matches!(
                kind,
                Kind::Text
                    | Kind::Bytes
                    | Kind::Int
                    | Kind::Float
                    | Kind::Cell
                    | Kind::Thunk
                    | Kind::Coroutine
                    | Kind::Continuation
            );
            if opaque || *at > size_of(words[*object]) {
                states[*object] = DONE;
                order.push(*object);
                path.pop();
                continue;
            }
            let word = if kind == Kind::List && *at == 1 { Value::UNIT } else { Value(words[*object + *at]) };
            *at += 1;
            if let Some((_, to)) = word.as_reference()
                && to != 0
            {
                match states[to] {
                    0 => {
                        states[to] = OPEN;
                        path.push((to, 1));
                    }
                    OPEN => return None,
                    _ => {}
                }
            }
        }
    }
    Some(order)
}

/// What is known of a node of a map.
#[derive(Clone, Copy)]
struct NodeFacts {
    height: usize,
    count: i64,
    least: Value,
    most: Value,
}

/// Whether keys are in order, all leaves equally deep, nodes full enough and counts right.
fn maps_are_sound(heap: &Heap, offsets: &[usize], order: &[usize]) -> bool {
    let mut known = std::collections::HashMap::new();
    for at in order {
        match Kind::from_number(heap.words[*at] as u8) {
            Kind::MapNode => match node(heap, *at, &known) {
                Some(found) => {
                    known.insert(*at, found);
                }
                None => return false,
            },
            Kind::Map => {
                let count = heap.peek(*at, 1).as_small_int();
                let root = heap.peek(*at, 0).as_object(Kind::MapNode);
                if root.is_some_and(|root| known.get(&root).map(|node| node.count) != count) {
                    return false;
                }
            }
            _ => {}
        }
    }
    // Nodes below the root are at least half full.
    offsets.iter().filter(|at| heap.words[**at] as u8 == Kind::MapNode as u8).all(|at| {
        let (_, children) = Heap::map_node_parts(heap.payload(*at));
        children.unwrap_or(&[]).iter().all(|child| {
            let child = Value(*child).as_object(Kind::MapNode).unwrap_or(0);
            heap.peek(child, 0).as_small_int().unwrap_or(0) >= HALF as i64 - 1
        })
    })
}

fn node(heap: &Heap, at: usize, known: &std::collections::HashMap<usize, NodeFacts>) -> Option<NodeFacts> {
    let (pairs, children) = Heap::map_node_parts(heap.payload(at));
    let keys: Vec<Value> = pairs.iter().step_by(2).map(|word| Value(*word)).collect();
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return None;
    }
    let ascending = |a: Value, b: Value| heap.compare(a, b) == Ordering::Less;
    if !keys.windows(2).all(|pair| ascending(pair[0], pair[1])) {
        return None;
    }
    let mut found = NodeFacts { height: 0, count: keys.len() as i64, least: keys[0], most: keys[keys.len() - 1] };
    let Some(children) = children else { return Some(found) };
    for (place, child) in children.iter().enumerate() {
        let child = *known.get(&Value(*child).as_object(Kind::MapNode)?)?;
        if place > 0 && (!ascending(keys[place - 1], child.least) || child.height + 1 != found.height) {
            return None;
        }
        if place < keys.len() && !ascending(child.most, keys[place]) {
            return None;
        }
        found.height = child.height + 1;
        found.count += child.count;
        if place == 0 {
            found.least = child.least;
        }
        found.most = child.most;
    }
    Some(found)
}
