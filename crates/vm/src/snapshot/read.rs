//! Reading: into objects and frames of this executor.

use super::check::{Expect, check_data};
use super::{tag, then};
use crate::code::Program;
use crate::fiber::Then;
use crate::heap::{header, parcel::Parcel};
use crate::parked::Parked;
use crate::stack::FrameKind;
use crate::value::{Immediate, Kind, Value};
use qualm_ir::hash::FunctionHash;
use qualm_ir::limits::{FUNCTIONS_MAX, SYMBOL_BYTES_MAX, TEXT_BYTES_MAX};
use qualm_ir::types::Type;
use qualm_ir::wire::{Reader, WireError};
use std::sync::Arc;

mod frames;
mod objects;

type Read<T> = Result<T, WireError>;

/// Frames and objects of a fiber, or objects of a value, may have this many words: offsets have 32 bits.
const WORDS_MAX: usize = u32::MAX as usize >> 1;

/// Words of frames that a snapshot may need beyond what its size accounts for. A frame with few live registers takes a few bytes in a snapshot, and
/// many here; this bounds how much memory a small snapshot can ask for.
const FRAME_WORDS_FREE: usize = 1 << 27;
const FRAME_WORDS_PER_BYTE: usize = 16;

/// Reads fibers and values.
#[derive(Debug)]
pub struct Decoder<'a> {
    program: &'a Program,
    /// The handle of a process of the snapshot, by its number there.
    processes: fn(u64) -> Option<u64>,
    input: Reader<'a>,
    symbols: Table<u32>,
    functions: Table<u32>,
    texts: Table<Arc<str>>,
    shapes: Table<Vec<u64>>,
    /// Words of frames that may still be made: for all fibers, and for the one that is read.
    frame_room: usize,
    fiber_room: usize,
}

/// Things that are named by number, each for the first time in its turn.
#[derive(Debug)]
struct Table<T> {
    all: Vec<T>,
    used: usize,
    what: &'static str,
}

impl<T: Clone> Table<T> {
    fn new(what: &'static str) -> Self {
        Self { all: Vec::new(), used: 0, what }
    }

    fn get(&mut self, input: &Reader<'_>, number: u64) -> Read<T> {
        if number > self.used as u64 || number >= self.all.len() as u64 {
            return input.error(format!("{} {number}, of which there are {} so far", self.what, self.used));
        }
        self.used = self.used.max(number as usize + 1);
        Ok(self.all[number as usize].clone())
    }

    fn all_used(&self, input: &Reader<'_>) -> Read<()> {
        if self.used == self.all.len() {
            return Ok(());
        }
        input.error(format!("{} of {} {} are never used", self.all.len() - self.used, self.all.len(), self.what))
    }
}

/// Where a word is that refers to an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    Word(usize),
    Frame(usize),
    Root(usize),
}

/// The objects of one heap while they are read.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) words: Vec<u64>,
    pub(super) frames: Vec<u64>,
    roots: Vec<u64>,
    /// Where each object is.
    pub(super) offsets: Vec<usize>,
    /// How often each is referred to.
    counts: Vec<u32>,
    /// Words that refer to objects, to be filled in.
    references: Vec<(Spot, u32)>,
    /// Numbers that do not fit in a word, to be made objects.
    wide: Vec<(Spot, Kind, u64)>,
    pub(super) expectations: Vec<(Spot, Expect, usize)>,
}

impl Section {
    fn new() -> Self {
        Self { words: vec![0], ..Self::default() }
    }

    pub(super) fn at(&self, spot: Spot) -> Value {
        Value(match spot {
            Spot::Word(at) => self.words[at],
            Spot::Frame(at) => self.frames[at],
            Spot::Root(at) => self.roots[at],
        })
    }

    fn set(&mut self, spot: Spot, value: Value) {
        match spot {
            Spot::Word(at) => self.words[at] = value.0,
            Spot::Frame(at) => self.frames[at] = value.0,
            Spot::Root(at) => self.roots[at] = value.0,
        }
    }

    /// Fills in what refers to objects, now that it is known where they are.
    fn resolve(&mut self) {
        for (spot, kind, bits) in std::mem::take(&mut self.wide) {
            let offset = self.words.len();
            self.words.extend([header(kind, 1), bits]);
            self.set(spot, Value::owned(kind, offset));
        }
        for (spot, number) in std::mem::take(&mut self.references) {
            let offset = self.offsets[number as usize];
            let value = Value::owned(Kind::from_number(self.words[offset] as u8), offset);
            let only = self.counts[number as usize] == 1;
            self.set(spot, if only { value } else { value.shared() });
        }
    }
}

impl<'a> Decoder<'a> {
    /// The symbols that a snapshot names, which its program must know, and where the rest begins.
    ///
    /// # Errors
    /// If the bytes are not the start of a snapshot.
    pub fn symbols(bytes: &[u8]) -> Read<Vec<Arc<str>>> {
        read_symbols(&mut Reader::new(bytes))
    }

    /// The hashes of the functions that a snapshot names.
    ///
    /// # Errors
    /// If the bytes are not the start of a snapshot.
    pub fn functions(bytes: &[u8]) -> Read<Vec<FunctionHash>> {
        let mut input = Reader::new(bytes);
        read_symbols(&mut input)?;
        read_hashes(&mut input)
    }

    /// Reads the tables of a snapshot.
    ///
    /// # Errors
    /// If the bytes are no snapshot, or name what the program does not have.
    pub fn new(bytes: &'a [u8], program: &'a Program, processes: fn(u64) -> Option<u64>) -> Read<Self> {
        let mut input = Reader::new(bytes);
        let mut symbols = Table::new("symbols");
        for name in read_symbols(&mut input)? {
            match program.statics.find_symbol(&name) {
                Some(symbol) => symbols.all.push(symbol),
                None => return input.error(format!("the program has no symbol `{name}`")),
            }
        }
        let mut functions = Table::new("functions");
        for hash in read_hashes(&mut input)? {
            match program.names().numbers.get(&hash) {
                Some(function) => functions.all.push(*function),
                None => return input.error(format!("the function {hash} is not here")),
            }
        }
        let mut texts = Table::new("string constants");
        for _ in 0..input.count(usize::MAX, "the number of string constants")? {
            texts.all.push(Arc::from(input.text(TEXT_BYTES_MAX, "a string constant")?));
        }
        refuse_twice(&input, &texts.all)?;
        let mut shapes = Table::new("record shapes");
        for _ in 0..input.count(usize::MAX, "the number of record shapes")? {
            let count = input.count(usize::MAX, "the number of fields")?;
            let names: Read<Vec<u64>> = (0..count).map(|_| input.unsigned()).collect();
            shapes.all.push(names?);
        }
        refuse_twice(&input, &shapes.all)?;
        let frame_room = FRAME_WORDS_FREE.saturating_add(bytes.len().saturating_mul(FRAME_WORDS_PER_BYTE));
        let fiber_room = frame_room;
        Ok(Self { program, processes, input, symbols, functions, texts, shapes, frame_room, fiber_room })
    }

    /// For what whoever made the snapshot wrote between fibers and values.
    pub fn input(&mut self) -> &mut Reader<'a> {
        &mut self.input
    }

    /// To be called at the end.
    ///
    /// # Errors
    /// If more follows, or something was named that is not used.
    pub fn finish(self) -> Read<()> {
        self.symbols.all_used(&self.input)?;
        self.functions.all_used(&self.input)?;
        self.texts.all_used(&self.input)?;
        self.shapes.all_used(&self.input)?;
        if self.input.remaining() > 0 {
            return self.input.error("the snapshot should end here");
        }
        Ok(())
    }

    /// Reads a value.
    ///
    /// # Errors
    /// If it is none.
    pub fn parcel(&mut self) -> Read<Parcel> {
        let mut section = Section::new();
        self.root(&mut section)?;
        self.objects(&mut section)?;
        let root = Value(section.roots[0]);
        Ok(Parcel::of_parts(if root.is_reference() { section.words } else { Vec::new() }, root))
    }

    /// Reads a fiber, which may have so many words of frames.
    ///
    /// # Errors
    /// If it is none, or none that this program could have made, or it needs more memory.
    pub fn fiber(&mut self, words: usize) -> Read<Parked> {
        self.fiber_room = words;
        let mut section = Section::new();
        let fuel_used = self.input.unsigned()?;
        section.frames = vec![0, 0];
        let (top, kind, at_entry) = self.frames(&mut section, true)?;
        let start = self.input.offset();
        let tag = self.input.byte()?;
        let enters = matches!(tag, then::RUN | then::ENTER);
        if enters != at_entry || (tag == then::APPLY) != (kind == FrameKind::Bottom) {
            return Err(WireError {
                offset: start,
                message: "a fiber cannot go on like this from its top frame".into(),
            });
        }
        let then = match tag {
            then::RUN => Then::Run,
            then::ENTER => Then::Enter,
            then::DELIVER | then::RAISE | then::APPLY => {
                self.root(&mut section)?;
                Then::Wait
            }
            then::PERFORM => {
                let effect = self.symbol()?;
                self.root(&mut section)?;
                Then::Perform(effect, Value::UNIT)
            }
            then::WAIT => Then::Wait,
            other => return self.input.error(format!("{other} is not how a fiber goes on")),
        };
        self.objects(&mut section)?;
        let root = section.roots.first().map(|word| Value(*word));
        let then = match (tag, then, root) {
            (then::DELIVER, _, Some(value)) => Then::Deliver(value),
            (then::RAISE, _, Some(value)) => Then::Raise(value),
            (then::APPLY, _, Some(value)) => Then::Apply(value),
            (_, Then::Perform(effect, _), Some(value)) => Then::Perform(effect, value),
            (_, then, _) => then,
        };
        Ok(Parked::of_parts(&section.frames, top, &section.words, then, fuel_used))
    }

    // ---- values

    /// Counts words of frames before they are made.
    fn take_room(&mut self, words: usize) -> Read<()> {
        let left = |room: usize| room.checked_sub(words);
        match (left(self.frame_room), left(self.fiber_room)) {
            (Some(all), Some(fiber)) => (self.frame_room, self.fiber_room) = (all, fiber),
            (_, None) => {
                return self.input.error("the frames of this fiber need more memory than it may use (--memory)");
            }
            (None, _) => {
                return self.input.error("the frames of all fibers need far more memory than the snapshot has bytes");
            }
        }
        Ok(())
    }

    fn symbol(&mut self) -> Read<u32> {
        let number = self.input.unsigned()?;
        self.symbols.get(&self.input, number)
    }

    /// A function that can be a value: it takes and gives values only.
    fn function(&mut self) -> Read<u32> {
        let function = self.any_function()?;
        let signature = &self.program.module.functions[function as usize].signature;
        if signature.result != Type::Val || signature.params.iter().any(|param| *param != Type::Val) {
            return self.input.error("a function that takes or gives unboxed numbers is no value");
        }
        Ok(function)
    }

    fn any_function(&mut self) -> Read<u32> {
        let number = self.input.unsigned()?;
        self.functions.get(&self.input, number)
    }

    fn root(&mut self, section: &mut Section) -> Read<()> {
        let spot = Spot::Root(section.roots.len());
        section.roots.push(0);
        self.value(section, spot)
    }

    fn value(&mut self, section: &mut Section, spot: Spot) -> Read<()> {
        let value = match self.input.byte()? {
            tag::UNIT => Value::UNIT,
            tag::FALSE => Value::FALSE,
            tag::TRUE => Value::TRUE,
            tag::EMPTY => Value::EMPTY,
            tag::INT => {
                let number = self.input.signed()?;
                match Value::small_int(number) {
                    Some(value) => value,
                    None => {
                        section.wide.push((spot, Kind::Int, number as u64));
                        return Ok(());
                    }
                }
            }
            tag::FLOAT => {
                let number = self.float()?;
                match Value::small_float(number) {
                    Some(value) => value,
                    None => {
                        section.wide.push((spot, Kind::Float, number.to_bits()));
                        return Ok(());
                    }
                }
            }
            tag::SYMBOL => Value::symbol(self.symbol()?),
            tag::FUNCTION => Value::immediate(Immediate::Function, self.function()?),
            tag::TEXT => {
                let number = self.input.unsigned()?;
                let text = self.texts.get(&self.input, number)?;
                match self.program.statics.find_text(&text) {
                    Some(number) => Value::immediate(Immediate::StaticText, number),
                    None => return self.input.error(format!("the program has no string constant {text:?}")),
                }
            }
            tag::PROCESS => {
                let number = self.input.unsigned()?;
                match (self.processes)(number) {
                    Some(handle) => Value::fiber(handle),
                    None => return self.input.error(format!("there is no process {number}")),
                }
            }
            tag::NEW => {
                section.counts.push(0);
                return self.refer(section, spot, section.counts.len() as u64 - 1);
            }
            tag::OBJECT => {
                let number = self.input.unsigned()?;
                let met = section.counts.len() as u64;
                if number >= met || met - number <= number {
                    return self.input.error(format!("object {number} after {met} cannot be written like this"));
                }
                return self.refer(section, spot, number);
            }
            tag::RECENT => {
                let distance = self.input.unsigned()?;
                let met = section.counts.len() as u64;
                if distance == 0 || distance > met || distance > met - distance {
                    return self.input.error(format!("the object {distance} before {met} cannot be written like this"));
                }
                return self.refer(section, spot, met - distance);
            }
            other => return self.input.error(format!("{other} is not the tag of a value")),
        };
        section.set(spot, value);
        Ok(())
    }

    fn refer(&self, section: &mut Section, spot: Spot, number: u64) -> Read<()> {
        if number > u64::from(u32::MAX) {
            return self.input.error("too many objects");
        }
        let count = &mut section.counts[number as usize];
        *count = count.saturating_add(1);
        section.references.push((spot, number as u32));
        Ok(())
    }

    fn float(&mut self) -> Read<f64> {
        let bytes = self.input.raw(8)?;
        let number = f64::from_bits(u64::from_le_bytes(bytes.try_into().expect("eight bytes were read")));
        if number.is_nan() {
            return self.input.error("a float is a number");
        }
        Ok(number)
    }
}

fn read_symbols(input: &mut Reader<'_>) -> Read<Vec<Arc<str>>> {
    let mut symbols: Vec<Arc<str>> = Vec::new();
    for _ in 0..input.count(usize::MAX, "the number of symbols")? {
        symbols.push(Arc::from(input.text(SYMBOL_BYTES_MAX, "a symbol")?));
    }
    refuse_twice(input, &symbols)?;
    Ok(symbols)
}

fn read_hashes(input: &mut Reader<'_>) -> Read<Vec<FunctionHash>> {
    let mut hashes = Vec::new();
    for _ in 0..input.count(FUNCTIONS_MAX, "the number of functions")? {
        let group = input.raw(32)?.try_into().expect("32 bytes were read");
        let member = input.at_most(FUNCTIONS_MAX, "a member of a group")? as u32;
        hashes.push(FunctionHash { group, member });
    }
    refuse_twice(input, &hashes)?;
    Ok(hashes)
}

fn refuse_twice<T: Eq + std::hash::Hash>(input: &Reader<'_>, all: &[T]) -> Read<()> {
    let mut seen = std::collections::HashSet::new();
    match all.iter().position(|one| !seen.insert(one)) {
        Some(at) => input.error(format!("entry {at} of a table is there twice")),
        None => Ok(()),
    }
}

fn push_bytes(section: &mut Section, length: u64, bytes: &[u8]) {
    section.words.push(length);
    let at = section.words.len();
    section.words.resize(at + bytes.len().div_ceil(8), 0);
    bytemuck::cast_slice_mut::<u64, u8>(&mut section.words[at..])[..bytes.len()].copy_from_slice(bytes);
}
