//! Reclaims a heap by copying what lives (Cheney 1970) into a new vector: no recursion, time in proportion to what lives.
//!
//! It runs when a function is entered: the live values are then the parameters of the top frame and, for every other frame, the
//! registers its resume point lists. Room that lists and strings have for growing is kept only for their owner.

use crate::code::Program;
use crate::heap::{Heap, Stress, header, size_of};
use crate::stack;
use crate::value::{Kind, Value};

/// Header kind of an object that was moved; the size field holds the new offset.
const MOVED: u64 = 0xff;

/// Room of at most this many words is kept for the next collection.
const SPARE_WORDS_MAX: usize = 1 << 16;

impl Heap {
    /// Reclaims everything that neither the frames nor `roots` reach.
    pub(crate) fn reclaim(&mut self, program: &Program, frames: &mut [u64], top: usize, roots: &mut [Value]) {
        self.note_peak();
        let expected = self.words.len() / 4;
        let mut room = std::mem::take(&mut self.spare);
        room.clear();
        room.reserve(expected.max(64));
        let old = std::mem::replace(&mut self.words, room);
        self.words.push(0);
        let mut space = Space { old, new: &mut self.words };
        stack::for_each_value(frames, top, program, &mut |word| *word = space.keep(*word));
        for root in roots {
            *root = Value(space.keep(root.0));
        }
        let mut at = 1;
        while at < space.new.len() {
            at = space.scan(at, program);
        }
        if space.old.capacity() <= SPARE_WORDS_MAX {
            self.spare = space.old;
        }
        self.stats.collections += 1;
        self.stats.moved_words += self.words.len() as u64;
        let live = self.words.len() + frames.len() / 2;
        self.collect_at = match self.stress {
            Stress::Collect => 0,
            Stress::None | Stress::Copy => {
                Self::first_limit(Stress::None).max(live * 3).min(self.most_words.max(self.words.len()))
            }
        };
    }
}

/// The payload words to keep: someone who owns an object with room is growing it, and would have to make the room again.
fn room_kept(value: Value, used: usize, room: usize) -> usize {
    if value.is_owned() { room.min(used * 2) } else { used }
}

struct Space<'a> {
    old: Vec<u64>,
    new: &'a mut Vec<u64>,
}

impl Space<'_> {
    /// The word that refers to the moved object.
    fn keep(&mut self, word: u64) -> u64 {
        let value = Value(word);
        let Some((kind, offset)) = value.as_reference() else { return word };
        if offset == 0 {
            return word;
        }
        let head = self.old[offset];
        if head & 0xff == MOVED {
            return value.moved_to(size_of(head)).0;
        }
        let to = self.new.len();
        let payload = &self.old[offset + 1..offset + 1 + size_of(head)];
        match kind {
            Kind::List => {
                let (start, length) = (payload[0] as u32 as usize, (payload[0] >> 32) as usize);
                let room = room_kept(value, 1 + length, payload.len() - start);
                self.new.push(header(kind, room));
                self.new.push((length as u64) << 32);
                self.new.extend_from_slice(&payload[1 + start..1 + start + length]);
                self.new.resize(to + 1 + room, 0);
            }
            Kind::Text | Kind::Bytes => {
                let used = 1 + (payload[0] as u32 as usize).div_ceil(8);
                let room = room_kept(value, used, payload.len());
                self.new.push(header(kind, room));
                self.new.extend_from_slice(&payload[..used]);
                self.new.resize(to + 1 + room, 0);
            }
            _ => {
                self.new.push(head);
                self.new.extend_from_slice(payload);
            }
        }
        self.old[offset] = (to as u64) << 32 | MOVED;
        value.moved_to(to).0
    }

    /// Keeps what the moved object at `at` refers to; gives the offset of the next object.
    fn scan(&mut self, at: usize, program: &Program) -> usize {
        let head = self.new[at];
        let end = at + 1 + size_of(head);
        let first = match Kind::from_number(head as u8) {
            Kind::Int | Kind::Float | Kind::Text | Kind::Bytes => end,
            // Room behind the items is zero words, which refer to nothing.
            Kind::List => at + 2,
            Kind::Continuation => {
                let mut frames = self.new[at + 3..end].to_vec();
                let top = Value(self.new[at + 2]).as_small_int().unwrap_or(0) as usize;
                stack::for_each_value(&mut frames, top, program, &mut |word| *word = self.keep(*word));
                self.new[at + 3..end].copy_from_slice(&frames);
                end
            }
            _ => at + 1,
        };
        for field in first..end {
            let word = self.new[field];
            self.new[field] = self.keep(word);
        }
        end
    }
}
