//! Frames, from the lowest to the top one.

use super::{Decoder, Expect, Read, Section, Spot, WORDS_MAX};
use crate::code::Point;
use crate::effect::{APPLY_REST, BOUNDARY_MODE, CLAUSE, EFFECTS_VALUE, GUARD};
use crate::snapshot::{frame, tag};
use crate::stack::{FrameKind, HEADER, link, place};
use crate::statics::Known;
use crate::value::{Kind, Value};
use qualm_ir::limits::SYMBOL_BYTES_MAX;
use qualm_ir::natives::Native;

impl Decoder<'_> {
    // ---- frames

    /// Reads frames behind those there are; gives the place and kind of the top one, and whether it is at the entry of its function.
    pub(super) fn frames(&mut self, section: &mut Section, is_stack: bool) -> Read<(usize, FrameKind, bool)> {
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
        self.take_room(frame)?;
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
