//! PostgreSQL's own grammar: what a text says, as PostgreSQL reads it.
//!
//! The parser is PostgreSQL's (libpg_query, version 18, by the crate `pg_raw_parse`): C code that allocates in
//! a memory context of its own, which goes with the [`Tree`]. It makes raw parse trees: no names are looked up.
//!
//! # Layout
//! - [`Tree`]: a text that was read, and its statements.
//! - [`Walk`]: all nodes of a statement with the place where each stands, and which names are CTEs there.
//!   No field of a node is left out: `children.rs` is made from the definition of the nodes.
//! - `oracle`, with the feature of this name: trees as JSON and the scanner's tokens, for tests and benchmarks.
//!
//! It knows nothing of tenants, tokens or messages.

mod children;
#[cfg(any(test, feature = "oracle"))]
pub mod oracle;
mod tree;
mod walk;

pub use pg_raw_parse::list::NodeList;
pub use pg_raw_parse::{ConstValue, Node, nodes};
pub use tree::{Statement, SyntaxError, Tree};
pub use walk::{Item, Place, Walk, untyped};

/// The version of PostgreSQL whose grammar this is.
pub const POSTGRES_MAJOR: u32 = 18;
