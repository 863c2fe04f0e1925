//! Objects, in the order in which they were named.

use super::{Decoder, Expect, Read, Section, Spot, WORDS_MAX, check_data, push_bytes};
use crate::data::map::KEYS_MAX;
use crate::effect::{CROSSES, USED};
use crate::fiber::{THUNK_DONE, THUNK_FAILED, THUNK_FORCED, THUNK_SUSPENDED};
use crate::heap::{Heap, header};
use crate::value::{Immediate, Kind, Value};

impl Decoder<'_> {
    /// Reads the objects that were named so far and those that these name, and puts all together.
    pub(super) fn objects(&mut self, section: &mut Section) -> Read<()> {
        while section.offsets.len() < section.counts.len() {
            self.object(section)?;
            if section.words.len() + section.frames.len() > WORDS_MAX {
                return self.input.error("a heap has at most 2^31 words");
            }
        }
        section.resolve();
        check_data(section, self.program, self.input.offset())
    }

    pub(super) fn expect(&self, section: &mut Section, spot: Spot, what: Expect) {
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

    pub(super) fn params(&self, function: u32) -> usize {
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
}
