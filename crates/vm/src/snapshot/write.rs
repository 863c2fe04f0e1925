//! Writing: a trace from the roots, breadth first.

use super::{frame, tag, then};
use crate::code::{Point, Program};
use crate::effect::{APPLY_REST, GUARD, MODE_VALUE};
use crate::fiber::{THUNK_DONE, THUNK_FAILED, THUNK_SUSPENDED, Then};
use crate::heap::{Heap, parcel::Parcel, size_of};
use crate::parked::Parked;
use crate::stack::{FrameKind, HEADER, distance_of, kind_of, place_of};
use crate::value::{Immediate, Kind, Tag, Value};
use qualm_ir::hash::FunctionHash;
use qualm_ir::natives::Native;
use qualm_ir::wire::Writer;
use std::collections::{BTreeSet, HashMap};

/// Writes fibers and values; what they name is collected and comes first in the end.
#[derive(Debug)]
pub struct Encoder<'p> {
    program: &'p Program,
    /// The numbers that processes have in the snapshot.
    processes: &'p HashMap<u64, u64>,
    /// Processes that were met and have no number.
    unknown: BTreeSet<u64>,
    out: Writer,
    symbols: Numbers<u32>,
    functions: Numbers<FunctionHash>,
    texts: Numbers<u32>,
    shapes: Numbers<Vec<u64>>,
}

/// Things numbered in the order in which they are met.
#[derive(Debug)]
struct Numbers<T> {
    numbers: HashMap<T, u64>,
    all: Vec<T>,
}

impl<T: Clone + Eq + std::hash::Hash> Numbers<T> {
    fn new() -> Self {
        Self { numbers: HashMap::new(), all: Vec::new() }
    }

    fn of(&mut self, thing: T) -> u64 {
        let next = self.all.len() as u64;
        let all = &mut self.all;
        *self.numbers.entry(thing).or_insert_with_key(|thing| {
            all.push(thing.clone());
            next
        })
    }
}

/// The objects of one heap that were met.
struct Met<'h> {
    words: &'h [u64],
    /// By offset: the number, plus one.
    numbers: Vec<u32>,
    order: Vec<usize>,
}

impl<'h> Met<'h> {
    fn new(words: &'h [u64]) -> Self {
        Self { words, numbers: vec![0; words.len()], order: Vec::new() }
    }
}

impl<'p> Encoder<'p> {
    /// An empty snapshot of things of a program. Processes not among these are written as 0, and remembered.
    pub fn new(program: &'p Program, processes: &'p HashMap<u64, u64>) -> Self {
        Self {
            program,
            processes,
            unknown: BTreeSet::new(),
            out: Writer::default(),
            symbols: Numbers::new(),
            functions: Numbers::new(),
            texts: Numbers::new(),
            shapes: Numbers::new(),
        }
    }

    /// For numbers of whoever makes the snapshot, between fibers and values.
    pub fn out(&mut self) -> &mut Writer {
        &mut self.out
    }

    /// The processes that were met and have no number.
    pub fn unknown(&self) -> &BTreeSet<u64> {
        &self.unknown
    }

    /// Writes a value outside any heap.
    pub fn parcel(&mut self, parcel: &Parcel) {
        let (words, root) = parcel.parts();
        let mut met = Met::new(words);
        self.value(&mut met, root);
        self.objects(&mut met);
    }

    /// Writes a fiber at rest.
    ///
    /// # Panics
    /// If it is elsewhere or over.
    pub fn fiber(&mut self, parked: &Parked) {
        let (stack, top, words) = parked.parts();
        let mut met = Met::new(words);
        self.out.unsigned(parked.fuel_used);
        self.frames(&mut met, stack, top, true);
        match parked.then {
            Then::Run => self.out.byte(then::RUN),
            Then::Enter => self.out.byte(then::ENTER),
            Then::Deliver(value) => {
                self.out.byte(then::DELIVER);
                self.value(&mut met, value);
            }
            Then::Raise(value) => {
                self.out.byte(then::RAISE);
                self.value(&mut met, value);
            }
            Then::Perform(effect, payload) => {
                self.out.byte(then::PERFORM);
                self.symbol(effect);
                self.value(&mut met, payload);
            }
            Then::Apply(function) => {
                self.out.byte(then::APPLY);
                self.value(&mut met, function);
            }
            Then::Wait => self.out.byte(then::WAIT),
            Then::Idle | Then::Done => panic!("the fiber is elsewhere or over"),
        }
        self.objects(&mut met);
    }

    /// The tables of what was named, then everything that was written.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Writer::default();
        let statics = &self.program.statics;
        let mut symbols = self.symbols;
        let shapes: Vec<Vec<u64>> = self.shapes.all;
        out.length(symbols.all.len());
        for symbol in symbols.all.drain(..) {
            out.bytes(statics.symbol(symbol).as_bytes());
        }
        out.length(self.functions.all.len());
        for hash in &self.functions.all {
            out.raw(&hash.group);
            out.unsigned(u64::from(hash.member));
        }
        out.length(self.texts.all.len());
        for text in &self.texts.all {
            out.bytes(statics.text(*text).text.as_bytes());
        }
        out.length(shapes.len());
        for shape in &shapes {
            out.length(shape.len());
            shape.iter().for_each(|symbol| out.unsigned(*symbol));
        }
        out.raw(&self.out.into_bytes());
        out.into_bytes()
    }

    // ---- values

    fn symbol(&mut self, symbol: u32) {
        let number = self.symbols.of(symbol);
        self.out.unsigned(number);
    }

    fn function(&mut self, function: u32) {
        let hash = self.program.names().hashes[function as usize];
        let number = self.functions.of(hash);
        self.out.unsigned(number);
    }

    fn value(&mut self, met: &mut Met<'_>, value: Value) {
        match value.tag() {
            Tag::Int(number) => self.int(tag::INT, number),
            Tag::Float(number) => self.float(tag::FLOAT, number),
            Tag::Immediate(what, number) => match what {
                Immediate::Unit => self.out.byte(tag::UNIT),
                Immediate::False => self.out.byte(tag::FALSE),
                Immediate::True => self.out.byte(tag::TRUE),
                Immediate::Empty | Immediate::StaticShape => self.out.byte(tag::EMPTY),
                Immediate::Symbol => {
                    self.out.byte(tag::SYMBOL);
                    self.symbol(number);
                }
                Immediate::Function => {
                    self.out.byte(tag::FUNCTION);
                    self.function(number);
                }
                Immediate::StaticText => {
                    self.out.byte(tag::TEXT);
                    let number = self.texts.of(number);
                    self.out.unsigned(number);
                }
                Immediate::Fiber => {
                    self.out.byte(tag::PROCESS);
                    let id = value.as_fiber().unwrap_or(0);
                    let number = self.processes.get(&id).copied().unwrap_or_else(|| {
                        self.unknown.insert(id);
                        0
                    });
                    self.out.unsigned(number);
                }
            },
            // A zero word is what was never written.
            Tag::Reference(_, 0) => self.out.byte(tag::EMPTY),
            Tag::Reference(Kind::Int, offset) => self.int(tag::INT, met.words[offset + 1] as i64),
            Tag::Reference(Kind::Float, offset) => self.float(tag::FLOAT, f64::from_bits(met.words[offset + 1])),
            Tag::Reference(_, offset) => self.reference(met, offset),
        }
    }

    fn int(&mut self, tag: u8, number: i64) {
        self.out.byte(tag);
        self.out.signed(number);
    }

    fn float(&mut self, tag: u8, number: f64) {
        self.out.byte(tag);
        self.out.raw(&number.to_bits().to_le_bytes());
    }

    fn reference(&mut self, met: &mut Met<'_>, offset: usize) {
        let next = met.order.len() as u64;
        match met.numbers[offset] {
            0 => {
                met.order.push(offset);
                met.numbers[offset] = met.order.len() as u32;
                self.out.byte(tag::NEW);
            }
            known => {
                let number = u64::from(known) - 1;
                // The smaller of the two, so that a change far away changes nothing here.
                let distance = next - number;
                let (tag, number) = if distance <= number { (tag::RECENT, distance) } else { (tag::OBJECT, number) };
                self.out.byte(tag);
                self.out.unsigned(number);
            }
        }
    }

    fn values(&mut self, met: &mut Met<'_>, words: &[u64]) {
        words.iter().for_each(|word| self.value(met, Value(*word)));
    }

    // ---- objects

    /// Writes the objects that were met, and those that these lead to.
    fn objects(&mut self, met: &mut Met<'_>) {
        let mut at = 0;
        while let Some(offset) = met.order.get(at).copied() {
            self.object(met, offset);
            at += 1;
        }
    }

    fn object(&mut self, met: &mut Met<'_>, offset: usize) {
        let words = met.words;
        let head = words[offset];
        let kind = Kind::from_number(head as u8);
        let payload = &words[offset + 1..offset + 1 + size_of(head)];
        self.out.byte(kind as u8);
        match kind {
            Kind::Int | Kind::Float | Kind::Shape => {}
            Kind::Text => {
                let length = payload[0] as u32 as usize;
                self.out.bytes(&bytemuck::cast_slice::<u64, u8>(&payload[1..])[..length]);
            }
            Kind::Bytes => {
                let length = payload[0] as usize;
                self.out.bytes(&bytemuck::cast_slice::<u64, u8>(&payload[1..])[..length]);
            }
            Kind::Tuple => self.counted(met, payload),
            Kind::List => {
                let (start, length) = (payload[0] as u32 as usize, (payload[0] >> 32) as usize);
                self.counted(met, &payload[1 + start..1 + start + length]);
            }
            Kind::Record => {
                self.shape(words, Value(payload[0]));
                self.values(met, &payload[1..]);
            }
            Kind::Label | Kind::Map | Kind::Cell | Kind::Range | Kind::Coroutine | Kind::Snapshot => {
                self.values(met, payload);
            }
            Kind::MapNode => self.map_node(met, payload),
            Kind::Closure => {
                self.function(Value(payload[0]).as_immediate(Immediate::Function).unwrap_or(0));
                self.counted(met, &payload[1..]);
            }
            Kind::Thunk => {
                let state = Value(payload[0]).as_small_int().unwrap_or(0);
                self.out.byte(state as u8);
                match state {
                    THUNK_SUSPENDED => {
                        self.function(Value(payload[1]).as_immediate(Immediate::Function).unwrap_or(0));
                        self.counted(met, &payload[2..]);
                    }
                    THUNK_DONE | THUNK_FAILED => self.value(met, Value(payload[1])),
                    _ => {}
                }
            }
            Kind::Continuation => {
                let flags = Value(payload[0]).as_small_int().unwrap_or(0);
                self.out.byte(flags as u8);
                if flags & crate::effect::USED == 0 {
                    let top = Value(payload[1]).as_small_int().unwrap_or(0) as usize;
                    self.frames(met, &payload[2..], top, false);
                }
            }
        }
    }

    fn counted(&mut self, met: &mut Met<'_>, words: &[u64]) {
        self.out.length(words.len());
        self.values(met, words);
    }

    /// A record's names, in order.
    fn shape(&mut self, words: &[u64], shape: Value) {
        let names: Vec<u32> = match shape.tag() {
            Tag::Immediate(Immediate::StaticShape, number) => self.program.statics.shape(number).to_vec(),
            Tag::Reference(_, offset) => {
                let names = &words[offset + 1..offset + 1 + size_of(words[offset])];
                names.iter().map(|word| Value(*word).as_immediate(Immediate::Symbol).unwrap_or(0)).collect()
            }
            _ => Vec::new(),
        };
        let names: Vec<u64> = names.into_iter().map(|name| self.symbols.of(name)).collect();
        let number = self.shapes.of(names);
        self.out.unsigned(number);
    }

    fn map_node(&mut self, met: &mut Met<'_>, payload: &[u64]) {
        let (pairs, children) = Heap::map_node_parts(payload);
        self.out.length(pairs.len() / 2);
        self.out.byte(u8::from(children.is_some()));
        self.values(met, pairs);
        self.values(met, children.unwrap_or(&[]));
    }

    // ---- frames

    /// Frames from the lowest to the top one; the lowest of a stack, which waits for nothing, is not written.
    fn frames(&mut self, met: &mut Met<'_>, frames: &[u64], top: usize, is_stack: bool) {
        let mut places = Vec::new();
        let mut at = top;
        loop {
            places.push(at);
            let distance = distance_of(frames[at]);
            if distance == 0 || distance > at {
                break;
            }
            at -= distance;
        }
        places.reverse();
        let places = if is_stack { &places[1..] } else { &places[..] };
        self.out.length(places.len());
        for (number, at) in places.iter().enumerate() {
            self.frame(met, frames, places, number, *at);
        }
    }

    fn frame(&mut self, met: &mut Met<'_>, frames: &[u64], places: &[usize], number: usize, at: usize) {
        let (step, count) = place_of(frames[at + 1]);
        let kind = kind_of(frames[at]);
        if kind == FrameKind::Code {
            return self.code_frame(met, frames, at);
        }
        let values = &frames[at + HEADER..at + HEADER + count];
        // How many frames below the one under this frame the handler is.
        let handler = || {
            let below = at - distance_of(frames[at]);
            let place = below - Value(values[0]).as_small_int().unwrap_or(0) as usize;
            let of = places.binary_search(&place).unwrap_or(0);
            (number - 1 - of) as u64
        };
        match kind {
            FrameKind::Force => {
                self.out.byte(frame::FORCE);
                self.values(met, values);
            }
            FrameKind::Await if step == APPLY_REST => {
                self.out.byte(frame::APPLY);
                self.counted(met, values);
            }
            FrameKind::Await if step == GUARD => {
                self.out.byte(frame::GUARD);
                self.out.unsigned(handler());
                self.symbol(Value(values[1]).as_immediate(Immediate::Symbol).unwrap_or(0));
                self.value(met, Value(values[2]));
            }
            FrameKind::Await => {
                self.out.byte(frame::CLAUSE);
                self.out.unsigned(handler());
            }
            FrameKind::Native => {
                self.out.byte(frame::NATIVE);
                self.out.bytes(Native::ALL[step as usize].name().as_bytes());
                self.counted(met, values);
            }
            _ => {
                self.out.byte(frame::HANDLER);
                self.out.byte(Value(values[MODE_VALUE]).as_small_int().unwrap_or(0) as u8);
                self.values(met, &values[..MODE_VALUE]);
                let effects = &values[MODE_VALUE + 1..];
                self.out.length(effects.len());
                effects.iter().for_each(|word| self.symbol(Value(*word).as_immediate(Immediate::Symbol).unwrap_or(0)));
            }
        }
    }

    fn code_frame(&mut self, met: &mut Met<'_>, frames: &[u64], at: usize) {
        let (function, pc) = place_of(frames[at + 1]);
        self.out.byte(frame::CODE);
        self.function(function);
        let points = &self.program.names().points[function as usize];
        let point = &points[points.binary_search_by_key(&(pc as u32), |point| point.pc).unwrap_or(0)];
        self.out.unsigned(if point.op == Point::ENTRY { 0 } else { u64::from(point.op) + 1 });
        self.out.length(point.regs.len());
        for reg in &point.regs {
            let word = match (reg.constant, reg.slot) {
                (Some(word), _) => word,
                (None, Some(slot)) => frames[at + usize::from(slot)],
                (None, None) => Value::EMPTY.0,
            };
            if reg.is_val {
                self.value(met, Value(word));
            } else if reg.is_float {
                self.float(tag::RAW_FLOAT, f64::from_bits(word));
            } else {
                self.int(tag::RAW_INT, word as i64);
            }
        }
    }
}
