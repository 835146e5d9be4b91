//! The plan cache: shapes by normalized query, with a bounded size in bytes.
//!
//! The key is the text itself without its literals and comments, compared byte by byte. With a hash alone, two texts
//! could collide, by chance or by intent, and one statement would run with another's plan.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::CacheStats;
use super::lexer::TokenKind;
use super::shape::Shape;
use super::tokens::Tokens;

/// A longer key is not cached: it would evict thousands of common ones.
const MAX_KEY: usize = 32 * 1024;

/// The key contains the kind of each literal; this offset keeps the byte above blanks and below the first byte of any
/// token.
const LITERAL: u8 = 0x10;

/// Writes the key of a text: each literal is replaced by its kind, and each comment or run of blanks by one blank.
/// `false` if the text must not be cached.
///
/// Tokenizing a key gives the tokens of the text without the literals' values. So two texts that differ in anything
/// else have different keys.
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
    // The text from here on is not in the key yet.
    let mut from = 0;
    let mut behind = 0;
    for token in t.all {
        let Range { start, end } = token.span();
        // A single blank is copied; longer runs and comments are replaced.
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
            // PostgreSQL refuses the byte, and it could be mistaken for a literal's kind.
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
        // Includes the cache's own overhead for an entry.
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
    /// A cache with a maximum size of `bytes`.
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

    /// Counts a hit that did not need the cache.
    pub fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Inserts a newly analysed shape, counted as a miss.
    pub fn insert(&self, key: &[u8], shape: Arc<Shape>) {
        self.misses.fetch_add(1, Ordering::Relaxed);
        self.cache.insert(key.into(), shape);
    }

    /// The counters and the size.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.cache.weight(),
            plans: self.cache.len(),
        }
    }
}
