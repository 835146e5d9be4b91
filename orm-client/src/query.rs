//! Typed queries: what is asked of which rows.
//!
//! # Layout
//! - [`Condition`] (`condition`): which rows.
//! - [`Find`] (`find`): rows of one table.
//! - [`Joined`], [`Loaded`] (`related`): rows with those that they belong to, or that belong to them.
//! - [`Update`], [`Delete`] (`change`): many rows at once.
//! - [`Upsert`] (`save`): one row, there or not.

mod change;
mod condition;
mod find;
mod related;
pub(crate) mod save;

use std::future::Future;
use std::pin::Pin;

pub use change::{Delete, Update};
pub use condition::{Condition, Order};
pub(crate) use find::by_key;
pub use find::{Count, Exists, Find, Many, ManyAndCount, One};
pub use related::{Joined, Loaded};
pub use save::Upsert;

/// What a query is when it is awaited.
pub type Asked<'s, T> = Pin<Box<dyn Future<Output = Result<T, crate::Error>> + Send + 's>>;
