//! Fuzzers: texts and sessions that nobody wrote, against a real PostgreSQL in which each value of another tenant
//! is marked.
//!
//! # Layout
//! - [`knobs`]: how long, from which seed.
//! - [`random`]: numbers that a seed decides.
//! - [`gram`], [`expand`]: statements grown from PostgreSQL's own grammar.
//! - [`regress`]: statements of PostgreSQL's regression SQL.
//! - [`names`], [`snippets`]: what exists in the world, and what reaches for another tenant.
//! - [`mutate`]: statements changed and crossed.
//! - [`compose`]: texts made of all these.
//! - [`world`]: the database, the proxy, and what must stay as it is.
//! - [`detect`]: marks in what a client is sent.
//! - [`split`]: our reading of a text against that of PostgreSQL's parser.
//! - [`drive`]: a session of texts.
//! - [`minimise`]: the least that still fails.
//! - [`found`]: sessions that went wrong once.
//! - [`texts`]: the differential fuzzer.
//! - [`sessions`]: the session fuzzer.

pub mod compose;
pub mod detect;
pub mod drive;
pub mod expand;
pub mod found;
pub mod gram;
pub mod knobs;
pub mod minimise;
pub mod mutate;
pub mod names;
pub mod random;
pub mod regress;
pub mod sessions;
pub mod snippets;
pub mod split;
pub mod texts;
pub mod world;
