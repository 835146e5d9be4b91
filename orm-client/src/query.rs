//! Typed queries: what is asked of which rows.
//!
//! # Layout
//! - [`Condition`] (`condition`): which rows. [`Order`], [`After`] (`order`): in which order, and from where on.
//! - [`Find`] (`find`): rows of one table. `answer`: what is asked of them.
//! - [`Selected`] (`select`): some of their columns. [`Aggregate`] (`aggregate`): what they come to together.
//! - [`Joined`], [`LeftJoined`] (`related`): rows with those that they belong to, or that belong to them, in pairs.
//! - [`Loaded`], [`Related`] (`load`): each row with all of them. `bridge`: from one table of a relation to the other.
//! - [`Update`], [`Delete`] (`bulk`): many rows at once. [`Change`] (`change`): by what their columns have.
//! - [`Upsert`] (`save`): one row, there or not.
//! - `node`: what a condition is made of. `writer`: conditions as SQL. `statement`: questions as SQL.
//!
//! ```
//! # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
//! # let em = manager();
//! let popular = em.find::<Post>().where_(Post::LIKES.ge(100).and(Post::TITLE.like("R%"))).limit(10);
//! assert!(popular.sql()?.ends_with(r#"WHERE ("likes" >= $1 AND "title" LIKE $2) LIMIT $3"#));
//! # Ok::<(), Error>(())
//! ```

mod aggregate;
mod answer;
mod bridge;
mod bulk;
mod change;
mod condition;
mod find;
mod load;
mod node;
mod order;
mod related;
pub(crate) mod save;
mod select;
mod statement;
mod writer;

use std::future::Future;
use std::pin::Pin;

pub use aggregate::{Aggregate, Comparable, Having, SelectedOrder, count};
pub(crate) use answer::Around;
pub use answer::{Count, Exists, Many, ManyAndCount, One};
pub use bulk::{Bulk, Delete, Update};
pub use change::{Change, Number};
pub use condition::Condition;
pub use find::{Find, Rows};
pub use load::{Loaded, Loads, Related};
pub use order::{After, Order};
pub use related::{Joined, LeftJoined};
pub use save::Upsert;
pub use select::{Items, Selected, Selection};

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
