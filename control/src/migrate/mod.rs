//! Changes for the source and for every tenant.
//!
//! Each migration of each schema is one transaction, together with its row in the ledger and the
//! schema's version: whoever is stopped, and however often it is run again, each schema gets it once.
//!
//! # Layout
//! - [`Migrations`]: what there is, from a `folder` or from code; `script`: a file's statements.
//! - [`Options`]: how a run is to be. [`Report`] and [`Event`]: what it says.
//! - `survey`: what there is to do, in one query. `run`: who comes when.
//! - `schema`: one schema, `step`: one migration, `outside`: one that can't run in a transaction.
//! - `session`, `ledger`, `pause`: the connection, the transaction's two ends, the time between tries.
//! - `fence`: clients that wait meanwhile.
//! - [`Versions`]: who is where. `baseline`: who has something from before.

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
