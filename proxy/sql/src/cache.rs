//! Shapes by the text that they are the shape of, in a bounded number of bytes.
//!
//! The key is the text itself with its literals and comments taken out, compared
//! byte by byte: a hash alone, however wide, would leave a chance (and, unkeyed, a
//! way for a client to look for it) that one statement runs with another's plan.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::CacheStats;
use super::lexer::TokenKind;
use super::shape::Shape;
use super::tokens::Tokens;

/// A key longer than this is not kept: it would push out thousands of common ones.
const MAX_KEY: usize = 32 * 1024;

/// A literal stands in the key as its kind, above the blanks and below all that starts a token.
const LITERAL: u8 = 0x10;

/// Writes the key of a text: the text with each literal replaced by its kind, and each comment
/// or run of blanks by one blank. `false` where it is not to be kept.
///
/// Read again, a key gives the tokens of the text with the literals' values left out, so no
/// two texts that differ in more than that have the same.
pub fn key(t: &Tokens<'_>, key: &mut Vec<u8>) -> bool {
    key.clear();
    key.push(u8::from(t.conforming));
    let mut copy = |range: Range<usize>, sign: u8| {
        let room = key.len() + range.len() < MAX_KEY;
        if room {
            key.extend_from_slice(t.text.get(range).unwrap_or_default());
            key.push(sign);
        }
        room
    };
    // What stands from here on is not in the key yet.
    let mut from = 0;
    let mut behind = 0;
    for token in t.all {
        let Range { start, end } = token.span();
        // A blank is in the key as it is, unless there is more of them, or a comment.
        if start > behind + 1 {
            if !copy(from..behind, b' ') {
                return false;
            }
            from = start;
        }
        if token.kind.is_literal() {
            if !copy(from..start, LITERAL | token.kind as u8) {
                return false;
            }
            from = end;
        } else if matches!(token.kind, TokenKind::Other | TokenKind::Error) {
            // PostgreSQL refuses it; and it may be the very byte that a literal leaves.
            return false;
        }
        behind = end;
    }
    copy(from..behind, b' ')
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

    /// The shape of `key`, counted as a hit.
    pub fn get(&self, key: &[u8]) -> Option<Arc<Shape>> {
        let found = self.cache.get(key)?;
        self.count_hit();
        Some(found)
    }

    /// Counts a hit that did not come here.
    pub fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps a shape that had to be made, which is counted as a miss.
    pub fn insert(&self, key: &[u8], shape: Arc<Shape>) {
        self.misses.fetch_add(1, Ordering::Relaxed);
        self.cache.insert(key.into(), shape);
    }

    /// What was found and what it weighs.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.cache.weight(),
            plans: self.cache.len(),
        }
    }
}
