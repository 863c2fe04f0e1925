//! Reading: into objects and frames of this executor.

use super::check::{Expect, check_data};
use super::{frame, tag, then};
use crate::code::{Point, Program};
use crate::data::map::KEYS_MAX;
use crate::effect::{APPLY_REST, BOUNDARY_MODE, CLAUSE, CROSSES, EFFECTS_VALUE, GUARD, USED};
use crate::fiber::{THUNK_DONE, THUNK_FAILED, THUNK_FORCED, THUNK_SUSPENDED, Then};
use crate::heap::{Heap, header, parcel::Parcel};
use crate::parked::Parked;
use crate::stack::{FrameKind, HEADER, link, place};
use crate::statics::Known;
use crate::value::{Immediate, Kind, Value};
use qualm_ir::hash::FunctionHash;
use qualm_ir::limits::{FUNCTIONS_MAX, SYMBOL_BYTES_MAX, TEXT_BYTES_MAX};
use qualm_ir::natives::Native;
use qualm_ir::types::Type;
use qualm_ir::wire::{Reader, WireError};
use std::sync::Arc;

type Read<T> = Result<T, WireError>;

/// Frames and objects of a fiber, or objects of a value, may have this many words: offsets have 32 bits.
const WORDS_MAX: usize = u32::MAX as usize >> 1;

/// Reads fibers and values.
#[derive(Debug)]
pub struct Decoder<'a> {
    program: &'a Program,
    /// The handles of the processes of the snapshot, by their numbers there.
    processes: &'a [u64],
    input: Reader<'a>,
    symbols: Table<u32>,
    functions: Table<u32>,
    texts: Table<Arc<str>>,
    shapes: Table<Vec<u64>>,
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
    pub fn new(bytes: &'a [u8], program: &'a Program, processes: &'a [u64]) -> Read<Self> {
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
        Ok(Self { program, processes, input, symbols, functions, texts, shapes })
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

    /// Reads a fiber.
    ///
    /// # Errors
    /// If it is none, or none that this program could have made.
    pub fn fiber(&mut self) -> Read<Parked> {
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
                let number = self.input.at_most(self.processes.len().saturating_sub(1), "a process")?;
                Value::fiber(self.processes.get(number).copied().unwrap_or(0))
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

    // ---- objects

    /// Reads the objects that were named so far and those that these name, and puts all together.
    fn objects(&mut self, section: &mut Section) -> Read<()> {
        while section.offsets.len() < section.counts.len() {
            self.object(section)?;
            if section.words.len() + section.frames.len() > WORDS_MAX {
                return self.input.error("a heap has at most 2^31 words");
            }
        }
        section.resolve();
        check_data(section, self.program, self.input.offset())
    }

    fn expect(&self, section: &mut Section, spot: Spot, what: Expect) {
        section.expectations.push((spot, what, self.input.offset()));
    }

    fn object(&mut self, section: &mut Section) -> Read<()> {
        let start = section.words.len();
        section.offsets.push(start);
        let number = self.input.byte()?;
        if number == 0 || number > Kind::Snapshot as u8 {
            return self.input.error(format!("{number} is not a kind of object"));
        }
        let kind = Kind::from_number(number);
        section.words.push(0);
        match kind {
            Kind::Int | Kind::Float | Kind::Shape => {
                return self.input.error(format!("{number} is not a kind of object"));
            }
            Kind::Text => {
                let text = self.input.text(usize::MAX >> 1, "a string")?;
                let chars = text.chars().count() as u64;
                if text.len() > u32::MAX as usize >> 1 {
                    return self.input.error("a string has at most 2^31 bytes");
                }
                push_bytes(section, chars << 32 | text.len() as u64, text.as_bytes());
            }
            Kind::Bytes => {
                let bytes = self.input.bytes(u32::MAX as usize >> 1, "bytes")?;
                push_bytes(section, bytes.len() as u64, bytes);
            }
            Kind::Tuple => {
                let count = self.counted(section)?;
                if count == 0 {
                    return self.input.error("a tuple has items");
                }
            }
            Kind::List => {
                let at = section.words.len();
                section.words.push(0);
                let count = self.counted(section)?;
                section.words[at] = (count as u64) << 32;
            }
            Kind::Record => self.record(section)?,
            Kind::Label => {
                let symbol = section.words.len();
                self.values(section, 2)?;
                self.expect(section, Spot::Word(symbol), Expect::Symbol);
                self.expect(section, Spot::Word(symbol + 1), Expect::Payload);
            }
            Kind::Map => {
                let root = section.words.len();
                self.values(section, 2)?;
                self.expect(section, Spot::Word(root), Expect::Map);
            }
            Kind::MapNode => self.map_node(section)?,
            Kind::Closure => {
                let function = self.function()?;
                section.words.push(Value::immediate(Immediate::Function, function).0);
                let held = self.counted(section)?;
                if held >= self.params(function) {
                    return self.input.error(format!("a closure holds {held} arguments, too many for its function"));
                }
            }
            Kind::Cell => self.values(section, 1)?,
            Kind::Thunk => self.thunk(section)?,
            Kind::Continuation => self.continuation(section)?,
            Kind::Range => {
                let from = section.words.len();
                self.values(section, 3)?;
                self.expect(section, Spot::Word(from), Expect::Integer);
                self.expect(section, Spot::Word(from + 1), Expect::Integer);
                self.expect(section, Spot::Word(from + 2), Expect::Boolean);
            }
            Kind::Coroutine => {
                let status = section.words.len();
                self.values(section, 2)?;
                self.expect(section, Spot::Word(status), Expect::Coroutine);
            }
            Kind::Snapshot => {
                let held = section.words.len();
                self.values(section, 1)?;
                self.expect(section, Spot::Word(held), Expect::Kind(Kind::Coroutine));
            }
        }
        let size = section.words.len() - start - 1;
        section.words[start] = header(kind, size);
        Ok(())
    }

    fn params(&self, function: u32) -> usize {
        self.program.code(function).params
    }

    fn values(&mut self, section: &mut Section, count: usize) -> Read<()> {
        for _ in 0..count {
            let spot = Spot::Word(section.words.len());
            section.words.push(0);
            self.value(section, spot)?;
        }
        Ok(())
    }

    fn counted(&mut self, section: &mut Section) -> Read<usize> {
        let count = self.input.count(WORDS_MAX, "the number of items")?;
        self.values(section, count)?;
        Ok(count)
    }

    fn record(&mut self, section: &mut Section) -> Read<()> {
        let number = self.input.unsigned()?;
        let first = number == self.shapes.used as u64;
        let names = self.shapes.get(&self.input, number)?;
        let mut symbols = Vec::with_capacity(names.len());
        for name in &names {
            if !first && *name >= self.symbols.used as u64 {
                return self.input.error("a record shape names a symbol out of turn");
            }
            symbols.push(self.symbols.get(&self.input, *name)?);
        }
        let ranks: Vec<u32> = symbols.iter().map(|symbol| self.program.statics.rank(*symbol)).collect();
        if !ranks.is_sorted_by(|a, b| a < b) {
            return self.input.error("the fields of a record are in the order of their names");
        }
        match self.program.statics.find_shape(&symbols) {
            Some(shape) => {
                section.words.push(Value::immediate(Immediate::StaticShape, shape).0);
                self.values(section, names.len())
            }
            None => {
                // The shape becomes an object behind all others; until then the record holds the place.
                section.words.push(0);
                let place = section.words.len() - 1;
                self.values(section, names.len())?;
                let symbols = symbols.into_iter().map(|symbol| Value::symbol(symbol).0).collect();
                self.expect(section, Spot::Word(place), Expect::Shape(symbols));
                Ok(())
            }
        }
    }

    fn map_node(&mut self, section: &mut Section) -> Read<()> {
        let count = self.input.at_most(KEYS_MAX, "the number of keys of a node")?;
        let inner = match self.input.byte()? {
            0 => false,
            1 => true,
            other => return self.input.error(format!("{other} is neither a leaf nor an inner node")),
        };
        let children = if inner { vec![0; count + 1] } else { Vec::new() };
        let at = section.words.len();
        section.words.extend(Heap::map_node_of(&vec![0; 2 * count], &children));
        for field in 0..2 * count {
            self.value(section, Spot::Word(at + 1 + field))?;
        }
        let first_child = at + Heap::map_node_of(&[], &[]).len();
        for child in 0..children.len() {
            self.value(section, Spot::Word(first_child + child))?;
            self.expect(section, Spot::Word(first_child + child), Expect::Kind(Kind::MapNode));
        }
        Ok(())
    }

    fn thunk(&mut self, section: &mut Section) -> Read<()> {
        let state = i64::from(self.input.byte()?);
        section.words.push(Value::index(state as usize).0);
        match state {
            THUNK_SUSPENDED => {
                let function = self.function()?;
                section.words.push(Value::immediate(Immediate::Function, function).0);
                let count = self.counted(section)?;
                if count != self.params(function) {
                    return self.input.error("a thunk holds as many arguments as its function takes");
                }
            }
            THUNK_FORCED => section.words.push(Value::UNIT.0),
            THUNK_DONE | THUNK_FAILED => {
                let spot = Spot::Word(section.words.len());
                self.values(section, 1)?;
                if state == THUNK_DONE {
                    self.expect(section, spot, Expect::NoThunk);
                }
            }
            other => return self.input.error(format!("{other} is not the state of a thunk")),
        }
        Ok(())
    }

    fn continuation(&mut self, section: &mut Section) -> Read<()> {
        let flags = i64::from(self.input.byte()?);
        if flags & !(USED | CROSSES) != 0 {
            return self.input.error("these are not the flags of a continuation");
        }
        section.words.extend([Value::index(flags as usize).0, Value::index(0).0]);
        if flags & USED != 0 {
            return Ok(());
        }
        // The frames are read beside those of the fiber, then put into the object.
        let outer = std::mem::take(&mut section.frames);
        let (references, wide) = (section.references.len(), section.wide.len());
        let expectations = section.expectations.len();
        let (top, ..) = self.frames(section, false)?;
        let frames = std::mem::replace(&mut section.frames, outer);
        let base = section.words.len();
        let moved = |spot: &mut Spot| {
            if let Spot::Frame(at) = spot {
                *spot = Spot::Word(base + *at);
            }
        };
        section.references[references..].iter_mut().for_each(|(spot, _)| moved(spot));
        section.wide[wide..].iter_mut().for_each(|(spot, ..)| moved(spot));
        section.expectations[expectations..].iter_mut().for_each(|(spot, ..)| moved(spot));
        section.words[base - 1] = Value::index(top).0;
        section.words.extend(frames);
        Ok(())
    }

    // ---- frames

    /// Reads frames behind those there are; gives the place and kind of the top one, and whether it is at the entry of its function.
    fn frames(&mut self, section: &mut Section, is_stack: bool) -> Read<(usize, FrameKind, bool)> {
        let count = self.input.count(WORDS_MAX, "the number of frames")?;
        if count == 0 && !is_stack {
            return self.input.error("a continuation has frames");
        }
        let mut below = FrameKind::Bottom;
        let mut last = 0;
        let mut at_entry = false;
        let mut places = Vec::new();
        for _ in 0..count {
            if at_entry {
                return self.input.error("only the top frame can be at the entry of its function");
            }
            let at = section.frames.len();
            let distance = if places.is_empty() && !is_stack { HEADER } else { at - last };
            let kind;
            (kind, at_entry) = self.frame(section, at, &places)?;
            section.frames[at] = link(distance, kind, below);
            places.push((at, kind));
            (below, last) = (kind, at);
            if section.frames.len() > WORDS_MAX {
                return self.input.error("a stack has at most 2^31 words");
            }
        }
        if at_entry && !is_stack {
            return self.input.error("a continuation waits for a value");
        }
        Ok((last, below, at_entry))
    }

    fn frame(&mut self, section: &mut Section, at: usize, places: &[(usize, FrameKind)]) -> Read<(FrameKind, bool)> {
        section.frames.extend([0, 0]);
        let kind = match self.input.byte()? {
            frame::CODE => return Ok((FrameKind::Code, self.code_frame(section, at)?)),
            frame::FORCE => {
                self.frame_values(section, 1)?;
                self.expect(section, Spot::Frame(at + HEADER), Expect::Kind(Kind::Thunk));
                section.frames[at + 1] = place(0, 1);
                FrameKind::Force
            }
            frame::APPLY => {
                let count = self.input.count(WORDS_MAX, "the number of arguments")?;
                if count == 0 {
                    return self.input.error("a frame that applies has arguments");
                }
                self.frame_values(section, count)?;
                section.frames[at + 1] = place(APPLY_REST, count);
                FrameKind::Await
            }
            frame::GUARD => {
                let distance = self.handler_below(places)?;
                let effect = self.symbol()?;
                section.frames.extend([Value::index(distance).0, Value::symbol(effect).0]);
                self.frame_values(section, 1)?;
                section.frames[at + 1] = place(GUARD, 3);
                FrameKind::Await
            }
            frame::CLAUSE => {
                let distance = self.handler_below(places)?;
                section.frames.push(Value::index(distance).0);
                section.frames[at + 1] = place(CLAUSE, 1);
                FrameKind::Await
            }
            frame::NATIVE => self.native_frame(section, at)?,
            frame::HANDLER => self.handler_frame(section, at)?,
            other => return self.input.error(format!("{other} is not the tag of a frame")),
        };
        Ok((kind, false))
    }

    fn frame_values(&mut self, section: &mut Section, count: usize) -> Read<()> {
        for _ in 0..count {
            let spot = Spot::Frame(section.frames.len());
            section.frames.push(0);
            self.value(section, spot)?;
        }
        Ok(())
    }

    /// The distance, from the frame under this one, to a handler so many frames below it.
    fn handler_below(&mut self, places: &[(usize, FrameKind)]) -> Read<usize> {
        let below = self.input.unsigned()?;
        let found = usize::try_from(below).ok().and_then(|below| places.len().checked_sub(below.checked_add(1)?));
        match (found.map(|found| places[found]), places.last()) {
            (Some((handler, FrameKind::Handler)), Some((last, _))) => Ok(last - handler),
            _ => self.input.error(format!("there is no handler {below} frames below")),
        }
    }

    fn native_frame(&mut self, section: &mut Section, at: usize) -> Read<FrameKind> {
        let name = self.input.text(SYMBOL_BYTES_MAX, "the name of a built-in")?;
        let (native, values) = match Native::from_name(name) {
            Some(native @ (Native::ListMap | Native::ListEach | Native::ListFilter | Native::ListFold)) => (native, 5),
            Some(native @ Native::MapUpdate) => (native, 2),
            _ => return self.input.error(format!("`{name}` is no built-in that can wait")),
        };
        let count = self.input.unsigned()?;
        if count != values {
            return self.input.error(format!("a frame of {name} holds {values} values"));
        }
        self.frame_values(section, values as usize)?;
        section.frames[at + 1] = place(native as u32, values as usize);
        if values == 5 {
            self.expect(section, Spot::Frame(at + HEADER + 2), Expect::Index);
        } else {
            self.expect(section, Spot::Frame(at + HEADER), Expect::Kind(Kind::Map));
        }
        Ok(FrameKind::Native)
    }

    fn handler_frame(&mut self, section: &mut Section, at: usize) -> Read<FrameKind> {
        let mode = usize::from(self.input.byte()?);
        if mode > BOUNDARY_MODE {
            return self.input.error(format!("{mode} is not a mode of a handler"));
        }
        self.frame_values(section, 3)?;
        section.frames.push(Value::index(mode).0);
        let count = self.input.count(WORDS_MAX, "the number of effects")?;
        let mut effects = Vec::new();
        for _ in 0..count {
            effects.push(self.symbol()?);
        }
        let boundary = [Known::YieldEffect.number(), Known::SwitchEffect.number()];
        let internal = effects.iter().any(|effect| boundary.contains(effect));
        if (mode == BOUNDARY_MODE) != (effects == boundary) || (internal && mode != BOUNDARY_MODE) {
            return self.input.error("yield and switch are for the boundaries of coroutines only");
        }
        if mode == BOUNDARY_MODE {
            self.expect(section, Spot::Frame(at + HEADER + 1), Expect::Kind(Kind::Coroutine));
        }
        section.frames.extend(effects.into_iter().map(|effect| Value::symbol(effect).0));
        section.frames[at + 1] = place(0, EFFECTS_VALUE + count);
        Ok(FrameKind::Handler)
    }

    fn code_frame(&mut self, section: &mut Section, at: usize) -> Read<bool> {
        let function = self.any_function()?;
        let number = self.input.at_most(u32::MAX as usize - 1, "a resume point")?;
        let op = if number == 0 { Point::ENTRY } else { number as u32 - 1 };
        let program = self.program;
        let points = &program.names().points[function as usize];
        let found = match op {
            Point::ENTRY => points.first(),
            _ => points[1..].binary_search_by_key(&op, |point| point.op).ok().map(|found| &points[1 + found]),
        };
        let Some(point) = found else {
            return self.input.error("the function cannot wait there");
        };
        let count = self.input.unsigned()?;
        if count != point.regs.len() as u64 {
            return self.input.error(format!("{count} live registers, the function has {} there", point.regs.len()));
        }
        section.frames[at + 1] = place(function, point.pc as usize);
        let frame = program.code(function).frame.max(HEADER);
        section.frames.resize(at + frame, 0);
        for reg in &point.regs {
            let spot = match reg.slot {
                Some(slot) => Spot::Frame(at + usize::from(slot)),
                // It has no slot: it is read to be compared with what it must be.
                None => {
                    section.roots.push(0);
                    Spot::Root(section.roots.len() - 1)
                }
            };
            if reg.is_val {
                self.value(section, spot)?;
            } else {
                let tag = self.input.byte()?;
                let word = match (tag, reg.is_float) {
                    (tag::RAW_INT, false) => self.input.signed()? as u64,
                    (tag::RAW_FLOAT, true) => self.float()?.to_bits(),
                    _ => return self.input.error("a register of another type"),
                };
                section.set(spot, Value(word));
            }
            if let Some(constant) = reg.constant
                && section.at(spot).0 != constant
            {
                return self.input.error("a register holds something else than the constant it is");
            }
            if matches!(spot, Spot::Root(_)) {
                section.roots.pop();
            }
        }
        Ok(point.op == Point::ENTRY)
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
