//! What is measured.
//!
//! # Layout
//! - [`load`]: all that pgbench can do: selects in three modes, TPC-B, large results, a connection each time.
//! - [`calls`]: system calls.
//! - [`copy`]: COPY, out and in.
//! - [`idle`]: memory of clients that do nothing.
//! - [`tenants`]: a thousand tenants.
//! - [`trips`]: one tenant's read, by the distance to PostgreSQL.

pub mod calls;
pub mod copy;
pub mod idle;
pub mod load;
pub mod tenants;
pub mod trips;
