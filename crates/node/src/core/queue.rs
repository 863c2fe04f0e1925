//! Messages in the order in which they came.

use qualm_vm::heap::parcel::Parcel;
use std::collections::VecDeque;

/// Messages in one piece. A queue that grows is never copied, and gives back what was taken from it piece by piece.
const CHUNK: usize = 1 << 10;

/// A first-in-first-out queue of which any message can be taken.
#[derive(Default, Debug)]
pub(crate) struct Queue {
    /// The oldest ones; empty only if there are none.
    first: VecDeque<Parcel>,
    /// The others, in pieces that are not empty.
    rest: VecDeque<VecDeque<Parcel>>,
    /// How many there are in `rest`.
    later: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.later
    }

    pub(crate) fn push(&mut self, message: Parcel) {
        if self.rest.is_empty() && self.first.len() < CHUNK {
            return self.first.push_back(message);
        }
        self.later += 1;
        match self.rest.back_mut() {
            Some(last) if last.len() < CHUNK => last.push_back(message),
            _ => {
                let mut piece = VecDeque::with_capacity(CHUNK);
                piece.push_back(message);
                self.rest.push_back(piece);
            }
        }
    }

    /// The message at a place.
    pub(crate) fn get(&self, at: usize) -> Option<&Parcel> {
        let mut before = 0;
        for piece in std::iter::once(&self.first).chain(&self.rest) {
            match piece.get(at - before) {
                Some(message) => return Some(message),
                None => before += piece.len(),
            }
        }
        None
    }

    /// Takes the message at a place.
    pub(crate) fn take(&mut self, at: usize) -> Option<Parcel> {
        if at < self.first.len() {
            let message = if at == 0 { self.first.pop_front() } else { self.first.remove(at) };
            if self.first.is_empty()
                && let Some(next) = self.rest.pop_front()
            {
                self.later -= next.len();
                self.first = next;
            }
            return message;
        }
        let mut before = self.first.len();
        let place = self.rest.iter().position(|piece| {
            let here = at < before + piece.len();
            before += if here { 0 } else { piece.len() };
            here
        })?;
        let message = self.rest[place].remove(at - before)?;
        self.later -= 1;
        if self.rest[place].is_empty() {
            self.rest.remove(place);
        }
        Some(message)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Parcel> {
        self.first.iter().chain(self.rest.iter().flatten())
    }

    /// Whether it keeps more room than a few messages need.
    pub(crate) fn is_roomy(&self) -> bool {
        const FEW: usize = 64;
        self.first.capacity() > FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qualm_vm::value::Value;

    /// The same as a vector, whatever is taken.
    #[test]
    fn messages_are_taken_from_anywhere() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20 {
            let (mut queue, mut model) = (Queue::default(), Vec::new());
            for number in 0..20_000 {
                let grows = random.usize(..5_000) > model.len() || random.bool();
                if grows {
                    queue.push(Parcel::of(Value::index(number)));
                    model.push(Value::index(number));
                } else if !model.is_empty() {
                    let at = if random.bool() { 0 } else { random.usize(..model.len()) };
                    let expected = model.remove(at);
                    assert!(queue.get(at).is_some_and(|message| message.is(expected)));
                    assert!(queue.take(at).is_some_and(|message| message.is(expected)));
                }
                assert_eq!(queue.len(), model.len());
            }
            assert!(queue.get(model.len()).is_none() && queue.take(model.len()).is_none());
            assert!(queue.iter().zip(&model).all(|(message, value)| message.is(*value)));
        }
    }
}
