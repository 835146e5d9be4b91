//! text -> plan: how a statement reaches its tenant's schema. No I/O in here.
//!
//! # Layout
//! - [`plan`]: the answer: a [`Route`], and what each statement does to its session.
//! - [`scope`]: the question's other half: whose SQL it is, and what its schemas hold.

pub mod plan;
pub mod scope;

pub use plan::{Plan, Refusal, Route, Splice, Statement, StatementKind};
pub use scope::{Scope, TextMode};

/// Turns the text of a statement into a plan, from its cache where it has seen the shape.
pub struct Engine {}

/// How often the plan cache was asked, and how often it knew.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheStats {
    /// Shapes found.
    pub hits: u64,
    /// Shapes that had to be analysed.
    pub misses: u64,
    /// What the cached shapes weigh now, in bytes.
    pub bytes: u64,
}

impl Engine {
    /// An engine whose plan cache holds at most `cache_bytes`.
    pub fn new(cache_bytes: u64) -> Self {
        let _ = cache_bytes;
        Self {}
    }

    /// What `text` (the client's bytes, without the closing NUL) needs.
    ///
    /// Never fails: a text that can't be understood goes by the search path,
    /// where PostgreSQL says what is wrong with it, unless the guard refuses it.
    pub fn plan(&self, text: &[u8], scope: &Scope, mode: TextMode) -> Plan {
        let _ = (text, scope, mode);
        Plan { route: Route::SearchPath, statements: Default::default() }
    }

    /// What the plan cache has done so far.
    pub fn stats(&self) -> CacheStats {
        CacheStats::default()
    }
}
