//! Shapes by the text that they are the shape of, in a bounded number of bytes.
//!
//! The key is the text itself with its literals and comments taken out, compared
//! byte by byte: a hash alone, however wide, would leave a chance (and, unkeyed, a
//! way for a client to look for it) that one statement runs with another's plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::CacheStats;
use super::shape::Shape;
use super::tokens::Tokens;

/// A key longer than this is not kept: it would push out thousands of common ones.
const MAX_KEY: usize = 32 * 1024;

/// Writes the key of a text, which is the text with its literals and comments taken out;
/// `false` where it is not to be kept.
pub fn key(t: &Tokens<'_>, key: &mut Vec<u8>) -> bool {
    key.clear();
    // NUL ends a word in the key, so none may be in it.
    if t.all.len() > MAX_KEY || memchr::memchr(0, t.text).is_some() {
        return false;
    }
    key.push(u8::from(t.conforming));
    for token in t.all {
        key.push(token.kind as u8);
        if token.kind.is_spelt() {
            let raw = token.of(t.text);
            if key.len() + raw.len() > MAX_KEY {
                return false;
            }
            key.extend_from_slice(raw);
            key.push(0);
        }
    }
    key.len() <= MAX_KEY
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Box<[u8]>, Arc<Shape>> for Bytes {
    fn weight(&self, key: &Box<[u8]>, shape: &Arc<Shape>) -> u64 {
        // What the cache itself keeps for an entry counts as well.
        key.len() as u64 + shape.weight() + 64
    }
}

/// Shapes by key.
pub struct Shapes {
    cache: Cache<Box<[u8]>, Arc<Shape>, Bytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Shapes {
    /// Room for `bytes` of shapes.
    pub fn new(bytes: u64) -> Self {
        let about = usize::try_from(bytes / 1024).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self {
            cache: Cache::with_weighter(about, bytes, Bytes),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The shape of `key`, counted as a hit or a miss.
    pub fn get(&self, key: &[u8]) -> Option<Arc<Shape>> {
        let found = self.cache.get(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a shape.
    pub fn insert(&self, key: &[u8], shape: Arc<Shape>) {
        self.cache.insert(key.into(), shape);
    }

    /// What was found and what it weighs.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.cache.weight(),
        }
    }
}
