//! Repeated texts on this thread, with their tokens and shapes.
//!
//! Drivers send the same bytes for each execution of a statement with parameters; such a text need not be tokenized
//! again. A text is kept when it comes for the second time. So texts with literals, each of which differs, cost only
//! their hash.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::lexer::Token;
use super::shape::Shape;

/// A power of two. With [`MAX_TEXT`] it bounds the memory of a thread to about 3 MiB.
const SLOTS: usize = 256;
/// A longer text is tokenized each time, which costs little compared with its execution.
const MAX_TEXT: usize = 1024;

/// The texts of one thread.
pub struct Recent {
    slots: Vec<Slot>,
    hasher: foldhash::fast::FixedState,
}

/// At most one text; another text with the same slot replaces it.
#[derive(Default)]
struct Slot {
    /// The hash of the last text, which is not kept yet.
    candidate: u64,
    engine: u64,
    conforming: bool,
    text: Vec<u8>,
    tokens: Vec<Token>,
    shape: Option<Arc<Shape>>,
}

/// A text as an engine reads it.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// The engine that reads it.
    pub engine: u64,
    /// Its bytes.
    pub text: &'a [u8],
    /// The session's `standard_conforming_strings`.
    pub conforming: bool,
}

/// Where a text is or may be kept.
#[derive(Clone, Copy)]
pub struct Place {
    slot: usize,
    hash: u64,
}

impl Recent {
    /// An empty table with a random hash key.
    pub fn new() -> Self {
        let seed = RandomState::new().hash_one(0);
        Self { slots: Vec::new(), hasher: foldhash::fast::FixedState::with_seed(seed) }
    }

    /// The slot of `key`; `None` for a text that is too long.
    pub fn place(&mut self, key: Key<'_>) -> Option<Place> {
        if key.text.len() > MAX_TEXT {
            return None;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        let hash = self.hasher.hash_one((key.engine, key.conforming, key.text));
        Some(Place { slot: hash as usize % SLOTS, hash })
    }

    /// The tokens and the shape of `key`, if they are kept.
    pub fn get(&self, key: Key<'_>, place: Place) -> Option<(&[Token], &Shape)> {
        let slot = self.slots.get(place.slot)?;
        let same = slot.text == key.text && slot.conforming == key.conforming && slot.engine == key.engine;
        slot.shape.as_deref().filter(|_| same).map(|shape| (slot.tokens.as_slice(), shape))
    }

    /// Records the result for `key`; keeps it from the second time on.
    pub fn note(&mut self, key: Key<'_>, place: Place, tokens: &[Token], shape: &Arc<Shape>) {
        let Some(slot) = self.slots.get_mut(place.slot) else { return };
        if slot.candidate != place.hash {
            slot.candidate = place.hash;
            return;
        }
        (slot.engine, slot.conforming) = (key.engine, key.conforming);
        slot.text.clear();
        slot.text.extend_from_slice(key.text);
        slot.tokens.clear();
        slot.tokens.extend_from_slice(tokens);
        slot.shape = Some(Arc::clone(shape));
    }
}
