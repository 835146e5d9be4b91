//! What a tenant may not do, said in 42501 before PostgreSQL sees it. It fails closed.
//!
//! # Layout
//! - [`chains`]: names with dots: each must start with a schema that may be named,
//!   unless it is proven to be a column.
//! - [`functions`], [`relations`]: what reaches over tenants whatever the schema.
//! - `sequences`: how functions of sequences name one.
//! - `called`: functions that are none of those of PostgreSQL that are known.
//! - [`commands`]: statements that are refused, or held within the tenant.
//! - [`targets`]: the objects that a statement makes, changes or drops; `kinds`: of which kind those are. The
//!   second witness adds the relations that it writes.
//! - [`bodies`]: what may not stand in what is run later, where nobody looks.
//! - [`check`]: the demands that those make, held against a scope; [`aims`]: of them, those for what is written.

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

/// The string in front of every demand of the same kind is built in one place.
pub(crate) fn never(what: impl Into<Box<str>>, hint: Option<&'static str>) -> Demand {
    Demand::Never { what: what.into(), hint }
}

/// All that the guard asks of one statement. `names` is what the tree proved, if it could be read.
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
