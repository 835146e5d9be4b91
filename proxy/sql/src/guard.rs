//! Statements that a tenant may not run; they are refused with 42501 before PostgreSQL sees them. It fails closed.
//!
//! # Layout
//! - [`chains`]: dotted names: each must start with a schema that the tenant may name, unless it is proven to be a
//!   column.
//! - [`functions`], [`relations`]: functions and relations with effects on all tenants, whatever the schema.
//! - `sequences`: how sequence functions name a sequence.
//! - `called`: functions that are not known functions of PostgreSQL.
//! - [`commands`]: statements that are refused, or restricted to the tenant.
//! - [`targets`]: the objects that a statement creates, changes or drops; `kinds`: the kinds of these. The witness
//!   adds the relations that the statement writes.
//! - [`bodies`]: functions that must not be in code that runs later.
//! - [`check`]: evaluates the demands in a scope; [`aims`]: the demands about written objects.

pub mod aims;
mod bodies;
mod called;
pub mod chains;
pub mod check;
mod clauses;
pub mod commands;
pub mod functions;
mod kinds;
pub mod relations;
pub(super) mod sequences;
pub mod targets;
#[cfg(test)]
mod tests;

use super::analyse::Names;
use super::shape::{Demand, StatementShape};
use super::tokens::Tokens;

/// The beginning of each demand of one kind is built in one place.
pub(crate) fn never(what: impl Into<Box<str>>, hint: Option<&'static str>) -> Demand {
    Demand::Never { what: what.into(), hint }
}

/// The demands of one statement. `names` has the names of the tree, if it could be parsed.
pub fn demands(t: &Tokens<'_>, statement: &StatementShape, names: Option<&Names>) -> Vec<Demand> {
    let mut out = Vec::new();
    commands::demands(t, statement, &mut out);
    chains::demands(t, statement, names, &mut out);
    functions::demands(t, statement, &mut out);
    relations::demands(t, &statement.tokens, &mut out);
    bodies::demands(t, statement, &mut out);
    targets::demands(t, statement, &mut out);
    out
}
