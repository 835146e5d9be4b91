//! Migrations of the source and of every tenant.
//!
//! Each migration of each schema is one transaction, together with its row in the ledger and the schema's version. So
//! each schema gets each migration once, whenever a run is interrupted and however often it is repeated.
//!
//! # Layout
//! - [`Migrations`]: the migrations, from a `folder` or from code; `script`: the statements of a file.
//! - [`Options`]: the options of a run. [`Report`] and [`Event`]: its results.
//! - `survey`: the pending migrations, in one query. `run`: the order of schemas.
//! - `schema`: one schema, `step`: one migration, `outside`: one that cannot run in a transaction.
//! - `session`, `ledger`, `pause`: the connection, the begin and end of the transaction, the time between attempts.
//! - `fence`: makes clients wait meanwhile.
//! - [`Versions`]: the version of each schema. `baseline`: marks migrations as applied.

mod baseline;
mod fence;
mod folder;
mod ledger;
mod migration;
mod options;
mod outside;
mod pause;
mod report;
mod run;
mod schema;
mod script;
mod session;
mod step;
mod survey;
mod versions;

pub use migration::{CodeError, CodeFuture, Invalid, Migration, Migrations, Transaction};
pub use options::{Mode, Options, Unfinished};
pub use report::{Applied, Ended, Event, Failure, Outcome, Report, Stage, Watch};
pub use script::Place;
pub use versions::{Count, Standing, Versions};
