//! Limits by database, tenant and user, as they hold while the proxy runs.
//!
//! Each database has three kinds of budgets, one in the other: its own, one for each tenant, one for each user. A client
//! has one of each, and each of them holds. A session takes up its budgets when it logs in, when its tenant changes and
//! when the configuration does; what it asks of them are atomic operations, with no lock.
//!
//! # Layout
//! - [`budget`]: what one database, tenant or user may take, and what it takes now.
//! - [`budgets`]: those of one database: who has one has it as long as somebody uses it.
//! - `rate`: requests in a second.
//! - [`places`]: clients, and those among them that wait, counted in their three budgets.

#![warn(unreachable_pub)]

pub mod budget;
pub mod budgets;
pub mod places;
mod rate;

use pgstrata_config as config;

pub use budget::{Budget, Holder, Kind, Tenant};
pub use budgets::{Budgets, Three};
