//! Text to plan: decides how a statement reaches its tenant's schema. No I/O, no runtime.
//!
//! # Layout
//! - [`plan`]: the result: a [`Route`], and the effects of each statement on its session.
//! - [`scope`]: the second input: tenant, schemas, permissions, and the catalog of the schemas.
//! - [`engine`]: the steps from text and scope to plan.
//! - [`lexer`] (of the tenancy crate), `rows`, [`tokens`], [`name`]: the text as PostgreSQL's scanner reads it.
//! - [`masked`]: texts that are not in UTF-8.
//! - [`statement`]: the kind of each statement, by its keywords.
//! - [`analyse`]: the names that a statement depends on, by sqlparser's tree.
//! - [`guard`]: statements that are refused; [`level`]: the kinds of statements that a user may run.
//! - [`fresh`]: checks of names that run in PostgreSQL, because the cached catalog may be outdated.
//! - [`form`]: the normalized query, the key of statistics.
//! - [`shape`], [`cache`]: the analysis of a normalized query; `recent`: the tokens of the same text.
//! - [`decide`], [`builtin`]: shape and scope to plan; `moved`: remapped tables; `hidden`: catalog filters;
//!   `statistics`: filters for locks and counters; [`keys`]: channels and locks that are private to the tenant.
//! - `bounds`: limits on the text to analyse.
//! - `marks`: sets of tokens; `steps`: the number of steps, counted in tests.
//! - [`rewrite`]: applies the splices of a plan, and maps error positions back.

pub mod analyse;
mod bounds;
pub mod builtin;
pub mod cache;
mod comments;
pub mod decide;
pub mod engine;
#[cfg(any(test, feature = "testing"))]
pub mod fixture;
pub mod form;
pub mod fresh;
pub mod guard;
mod hidden;
pub mod keys;
pub mod large_objects;
pub mod level;
pub mod limits;
mod marks;
pub mod masked;
mod moved;
pub mod name;
mod opens;
pub mod plan;
mod recent;
mod relations;
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
