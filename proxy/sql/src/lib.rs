//! text -> plan: how a statement reaches its tenant's schema. No I/O, no runtime.
//!
//! # Layout
//! - [`plan`]: the answer: a [`Route`], and what each statement does to its session.
//! - [`scope`]: the question's other half: whose SQL it is, and what its schemas hold.
//! - [`engine`]: the way from one to the other, which the rest are steps of.
//! - [`lexer`] (of the tenancy crate), `rows`, [`tokens`], [`name`]: the text as PostgreSQL's scanner sees it.
//! - [`masked`]: what can be read of a text that is not in UTF-8.
//! - [`statement`]: what each statement is, by its keywords.
//! - [`analyse`]: which names it depends on, by its tree.
//! - [`guard`]: what it may not do; [`level`]: and what its user may do at most.
//! - [`fresh`]: what PostgreSQL itself is asked about names, where the catalog's picture may be old.
//! - [`shape`], [`cache`]: what was found, kept for all texts of the same shape; `recent`: for the very same text.
//! - [`decide`], [`builtin`]: a shape and a scope make a plan; `moved`: of tables that are kept elsewhere;
//!   `hidden`: of a catalog that shows the tenant's own objects only; `statistics`: and its own locks and counts;
//!   [`keys`]: of channels and locks that are the tenant's own.
//! - `bounds`: how much of a text is looked at.
//! - `marks`: sets of tokens; `steps`: what is done, counted in tests.
//! - [`rewrite`]: the plan's prefixes put in, error positions brought back.

pub mod analyse;
mod bounds;
pub mod builtin;
pub mod cache;
mod comments;
pub mod decide;
pub mod engine;
#[cfg(any(test, feature = "testing"))]
pub mod fixture;
pub mod fresh;
pub mod guard;
mod hidden;
pub mod keys;
pub mod level;
pub mod limits;
mod marks;
pub mod masked;
mod moved;
pub mod name;
mod opens;
pub mod plan;
mod recent;
pub mod rewrite;
mod rows;
pub mod scope;
pub mod shape;
pub mod statement;
mod statistics;
mod steps;
#[cfg(test)]
mod tests;
pub mod tokens;
mod witness;

pub use engine::{CacheStats, Engine};
pub use pgstrata_tenancy::lexer;
pub use plan::{Plan, Refusal, Route, Splice, Statement, StatementKind};
pub use scope::{Scope, TextMode};
