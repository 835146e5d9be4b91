//! A model of PostgreSQL: as much of it as a pooler can get wrong.
//!
//! # Layout
//! - [`sql`]: the statements that it knows.
//! - [`session`]: settings, transactions, savepoints, temporary tables, prepared statements, portals.
//! - [`backend`]: messages in, messages out, one statement after the other.
//! - [`run`]: what each statement does and is answered with.
//! - [`postmaster`]: connections, each with its backend; cancel requests; deaths.

pub mod backend;
pub mod postmaster;
pub mod run;
pub mod session;
pub mod sql;
