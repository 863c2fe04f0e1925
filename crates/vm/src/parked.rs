//! Fibers at rest.
//!
//! A [`Fiber`] is what runs: it has room to spare. A worker has one, and the fibers that do not run are [`Parked`]: their frames and objects
//! packed into one block of exactly their size, if they are small, so that millions fit.

use crate::code::Program;
use crate::fiber::{FIRST_STACK, Fiber, Limits, Then, TraceEntry};
use crate::heap::Heap;
use crate::heap::parcel::Parcel;
use crate::stack::WINDOW;

/// A fiber of at most this many words is packed; a larger one keeps its vectors.
const SMALL_WORDS_MAX: usize = 2048;
/// Room of at most this many words is kept by a worker for the next fiber it runs.
const SCRATCH_WORDS_MAX: usize = 1 << 20;
/// A heap below this many words is left as it is when its fiber waits.
const COMPACT_WORDS_MIN: usize = 96;

/// A fiber that does not run.
#[derive(Clone, Debug)]
pub struct Parked {
    memory: Memory,
    top: u32,
    /// Words its heap had after it was last compacted.
    live: u32,
    pub(crate) then: Then,
    pub(crate) fuel_used: u64,
}

#[derive(Clone, Debug)]
enum Memory {
    /// The fiber is elsewhere.
    None,
    /// It has not begun; this is what its [`Then`] refers to.
    Fresh(Vec<u64>),
    /// So many words of frames, then its heap.
    Small(Vec<u64>, u32),
    Large(Box<Large>),
}

#[derive(Clone, Debug)]
struct Large {
    stack: Vec<u64>,
    end: usize,
    heap: Vec<u64>,
    collect_at: usize,
}

/// A worker's room while it runs a large fiber that has its own.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    stack: Vec<u64>,
    words: Vec<u64>,
}

impl Parked {
    /// A fiber that will apply a function to `()`.
    pub fn apply(function: Parcel) -> Self {
        let (words, root) = function.into_parts();
        Self { memory: Memory::Fresh(words), top: 0, live: 0, then: Then::Apply(root), fuel_used: 0 }
    }

    /// What is left behind while the fiber runs.
    pub fn elsewhere() -> Self {
        Self { memory: Memory::None, top: 0, live: 0, then: Then::Idle, fuel_used: 0 }
    }

    /// Its frames, where the top one is, its objects.
    pub(crate) fn parts(&self) -> (&[u64], usize, &[u64]) {
        const NO_FRAMES: &[u64] = &[0, 0];
        match &self.memory {
            Memory::None => panic!("the fiber is elsewhere"),
            Memory::Fresh(words) => (NO_FRAMES, 0, words),
            Memory::Small(words, end) => {
                let (frames, objects) = words.split_at(*end as usize);
                (frames, self.top as usize, objects)
            }
            Memory::Large(large) => (&large.stack[..large.end], self.top as usize, &large.heap),
        }
    }

    /// A fiber of frames and objects.
    pub(crate) fn of_parts(frames: &[u64], top: usize, objects: &[u64], then: Then, fuel_used: u64) -> Self {
        let mut words = Vec::with_capacity(frames.len() + objects.len());
        words.extend_from_slice(frames);
        words.extend_from_slice(objects);
        let live = objects.len() as u32;
        Self { memory: Memory::Small(words, frames.len() as u32), top: top as u32, live, then, fuel_used }
    }

    /// The active calls, outermost first, and how many in the middle are left out.
    pub fn trace(&self, program: &Program) -> (Vec<TraceEntry>, usize) {
        match &self.memory {
            Memory::None => (Vec::new(), 0),
            Memory::Fresh(_) | Memory::Small(..) | Memory::Large(_) => {
                let (frames, top, _) = self.parts();
                crate::fiber::trace(program, frames, top)
            }
        }
    }

    /// Whether it waits for the answer to a request.
    pub fn waits(&self) -> bool {
        self.then == Then::Wait
    }

    /// Function entries it has made.
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// Words of its frames and objects.
    pub fn size_words(&self) -> usize {
        match &self.memory {
            Memory::None => 0,
            Memory::Fresh(words) | Memory::Small(words, _) => words.len(),
            Memory::Large(large) => large.end + large.heap.len(),
        }
    }
}

impl Fiber {
    /// Takes the fiber out, so that this can run another one. What a waiting fiber no longer needs is let go.
    pub fn park(&mut self, program: &Program) -> Parked {
        let end = self.frame_end(program, self.top);
        if self.then == Then::Wait && self.heap.words.len() > COMPACT_WORDS_MIN.max(2 * self.live) {
            self.heap.reclaim(program, &mut self.stack[..end], self.top, &mut []);
            self.live = self.heap.words.len();
        }
        self.heap.note_peak();
        let words = &mut self.heap.words;
        let memory = if end + words.len() <= SMALL_WORDS_MAX {
            // The block it came in is used again if it is not far too large.
            let needed = end + words.len();
            let mut packed = std::mem::take(&mut self.block);
            packed.clear();
            if packed.capacity() < needed || packed.capacity() > 2 * needed + 16 {
                // One that has waited before grows until it is compacted: it gets room for that.
                let more = if self.has_waited { COMPACT_WORDS_MIN / 2 } else { 0 };
                packed = Vec::with_capacity(needed + more);
            }
            packed.extend_from_slice(&self.stack[..end]);
            packed.extend_from_slice(words);
            if let Some(scratch) = self.scratch.take() {
                (self.stack, *words) = (scratch.stack, scratch.words);
            }
            Memory::Small(packed, end as u32)
        } else {
            let scratch = self.scratch.take().map_or_else(Scratch::default, |scratch| *scratch);
            let heap = std::mem::replace(words, scratch.words);
            let stack = std::mem::replace(&mut self.stack, scratch.stack);
            Memory::Large(Box::new(Large { stack, end, heap, collect_at: self.heap.collect_at }))
        };
        let then = std::mem::replace(&mut self.then, Then::Idle);
        Parked { memory, top: self.top as u32, live: self.live as u32, then, fuel_used: self.fuel_used }
    }

    /// Goes on with a fiber at rest; what was here before is gone.
    ///
    /// # Panics
    /// If the fiber is elsewhere.
    pub fn unpark(&mut self, parked: Parked, limits: Limits) {
        if let Some(scratch) = self.scratch.take() {
            (self.stack, self.heap.words) = (scratch.stack, scratch.words);
        } else if self.heap.words.capacity() + self.stack.capacity() > SCRATCH_WORDS_MAX {
            (self.stack, self.heap.words) = (Vec::new(), Vec::new());
        }
        self.set_limits(limits);
        let heap = &mut self.heap;
        heap.collect_at = Heap::first_limit(heap.stress).min(heap.most_words);
        self.top = parked.top as usize;
        self.live = parked.live as usize;
        self.then = parked.then;
        self.fuel_used = parked.fuel_used;
        let mut room = FIRST_STACK;
        match parked.memory {
            Memory::None => panic!("the fiber is elsewhere"),
            // A large parcel becomes the heap.
            Memory::Fresh(mut words) if words.len() > SMALL_WORDS_MAX => {
                words[0] = 0;
                heap.collect_at = heap.collect_at.max(2 * words.len()).min(heap.most_words);
                let words = std::mem::replace(&mut heap.words, words);
                let stack = std::mem::replace(&mut self.stack, vec![0; room]);
                self.scratch = Some(Box::new(Scratch { stack, words }));
            }
            Memory::Fresh(words) => {
                self.has_waited = false;
                heap.words.clear();
                heap.words.push(0);
                heap.words.extend_from_slice(words.get(1..).unwrap_or(&[]));
                self.block = words;
                self.stack.resize(room, 0);
                self.stack[..2].fill(0);
            }
            Memory::Small(words, end) => {
                let (frames, objects) = words.split_at(end as usize);
                heap.words.clear();
                heap.words.extend_from_slice(objects);
                room = room.max(frames.len() + WINDOW);
                self.stack.resize(room, 0);
                self.stack[..frames.len()].copy_from_slice(frames);
                self.block = words;
                self.has_waited = true;
            }
            Memory::Large(large) => {
                let words = std::mem::replace(&mut heap.words, large.heap);
                let stack = std::mem::replace(&mut self.stack, large.stack);
                self.scratch = Some(Box::new(Scratch { stack, words }));
                heap.collect_at = large.collect_at;
            }
        }
        heap.limit = heap.collect_at;
    }

    /// Starts over, with nothing to do yet.
    pub fn clear(&mut self, limits: Limits) {
        self.unpark(Parked { memory: Memory::Fresh(Vec::new()), ..Parked::elsewhere() }, limits);
    }
}
