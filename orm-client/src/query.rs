//! Typed queries: what is asked of which rows.
//!
//! # Layout
//! - [`Condition`] (`condition`): which rows.
//! - [`Find`] (`find`): rows of one table.
//! - [`Selected`] (`select`): some of their columns, and what they come to together.
//! - [`Joined`], [`LeftJoined`], [`Loaded`] (`related`): rows with those that they belong to, or that belong to them.
//! - [`Update`], [`Delete`] (`change`): many rows at once.
//! - [`Upsert`] (`save`): one row, there or not.
//!
//! ```
//! # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
//! # let em = manager();
//! let popular = em.find::<Post>().where_(Post::LIKES.ge(100).and(Post::TITLE.like("R%"))).limit(10);
//! assert!(popular.sql()?.ends_with(r#"WHERE ("likes" >= $1 AND "title" LIKE $2) LIMIT $3"#));
//! # Ok::<(), Error>(())
//! ```

mod change;
mod condition;
mod find;
mod related;
pub(crate) mod save;
mod select;

use std::future::Future;
use std::pin::Pin;

pub use change::{Change, Delete, Number, Update};
pub use condition::{After, Condition, Order};
pub(crate) use find::by_key;
pub use find::{Count, Exists, Find, Many, ManyAndCount, One, Rows};
pub use related::{Joined, LeftJoined, Loaded};
pub use save::Upsert;
pub use select::{Aggregate, Comparable, Having, Items, Selected, SelectedOrder, Selection, count};

/// What a query is when it is awaited.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::Asked;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let questions: [Asked<'_, u64>; 2] = [em.count::<User>().into_future(), em.count::<Post>().into_future()];
/// let counts: Vec<u64> = futures_util::future::try_join_all(questions).await?;
/// # Ok(())
/// # }
/// ```
pub type Asked<'s, T> = Pin<Box<dyn Future<Output = Result<T, crate::Error>> + Send + 's>>;
