//! Moves a tenant from one cluster to another, while its clients wait.
//!
//! # Steps
//! 1. `plan`: whatever could not be carried is reported; nothing is changed.
//! 2. `fence`: the tenant's state is `migrating`, so its clients wait in the proxy.
//! 3. `drain`: the transactions that are open at the source end.
//! 4. `structure`, `data`, `compare`: one transaction at the source holds all tables against writes, and one at the
//!    target creates the copy and is committed if it equals the source.
//! 5. `leave`: the transaction at the source renames the schema, so that no proxy can write there under its name.
//! 6. `switch`: the placement is that of the target; `arrive`: the target serves; `keep`: the source's schema is kept for
//!    some time.
//!
//! # What must hold
//! - The source accepts writes up to `leave`, and the target from `arrive` on: never both. Between them neither does.
//! - Each step can be the last one of a process. What it leaves is in the registry's table `moves` before it happens, so
//!   the next run finishes the move or takes it back.
//!
//! # Layout
//! - [`record`]: the rows of `moves`.
//! - `site`: the clusters of one move, each with its lock.
//! - [`plan`]: the findings in front of a move.
//! - `drain`: transactions that are open at the source.
//! - `copy`: structure, rows, sequences; `compare`: whether both are equal.
//! - `run`: the steps in order; `settle`: finishes what was interrupted, or takes it back.

mod compare;
mod copy;
mod drain;
pub mod plan;
pub mod record;
mod run;
mod settle;
mod site;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::Control;
use crate::error::Error;
use crate::name::SchemaName;

pub use plan::Plan;
pub use record::{Move, Recorded};
pub use settle::Settled;

/// The clusters of one database.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// The name of the one with the registry.
    pub registry: String,
    /// All of them, by name.
    pub all: BTreeMap<String, Control>,
}

impl Clusters {
    /// The cluster of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&Control, Error> {
        self.all.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.all.keys().map(String::as_str).collect();
            Error::Refused(format!(
                "the database is not on cluster \"{name}\"; its clusters: {}",
                known.join(", ")
            ))
        })
    }

    /// The cluster with the registry.
    pub(crate) fn registry(&self) -> Result<&Control, Error> {
        self.get(&self.registry)
    }

    /// The name of the cluster that the tenant of `schema` is on.
    pub async fn home_of(&self, schema: &SchemaName) -> Result<String, Error> {
        let placement = self.registry()?.placement(schema).await?;
        Ok(placement.map_or_else(|| self.registry.clone(), |placement| placement.cluster))
    }
}

/// What is done in a move, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Looks for whatever cannot be carried.
    Plan,
    /// Lets the tenant's clients wait.
    Fence,
    /// Waits for open transactions.
    Drain,
    /// Creates the schema at the target.
    Structure,
    /// Copies rows and the values of sequences.
    Data,
    /// Compares both, and commits the copy.
    Compare,
    /// Renames the schema at the source.
    Leave,
    /// Changes the placement.
    Switch,
    /// Serves the tenant at the target.
    Arrive,
    /// Keeps the source's schema for some time.
    Keep,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// Called at the beginning of each step.
pub type OnStep = Arc<dyn Fn(Step) + Send + Sync>;

/// How a tenant is moved.
#[derive(Clone)]
pub struct Options {
    /// How long clients may wait, from the fence on. A move that is not ready to leave by then is taken back.
    pub max_pause: Duration,
    /// How long transactions that are open at the source have to end. Afterwards their servers are terminated.
    pub pin_timeout: Duration,
    /// For how long the source's schema is kept; zero: it is dropped at once.
    pub keep: Duration,
    /// Compares the contents of all tables, not only the numbers of rows.
    pub verify: bool,
    /// Called at the beginning of each step.
    pub on_step: OnStep,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_pause, pin_timeout, keep, verify, .. } = self;
        f.debug_struct("Options")
            .field("max_pause", max_pause)
            .field("pin_timeout", pin_timeout)
            .field("keep", keep)
            .field("verify", verify)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_pause: Duration::from_secs(10),
            pin_timeout: Duration::from_secs(5),
            keep: Duration::from_secs(24 * 60 * 60),
            verify: false,
            on_step: Arc::new(|_| {}),
        }
    }
}

/// A finished move.
#[derive(Clone, Debug, Serialize)]
pub struct Moved {
    /// The tenant's schema.
    pub schema: String,
    /// The cluster that it has left.
    pub from: String,
    /// The cluster that it is on.
    pub to: String,
    /// How long clients waited, in milliseconds; `None` if an earlier run had begun the move.
    pub pause_ms: Option<u64>,
    /// The number of copied tables, without partitioned ones.
    pub tables: usize,
    /// The number of copied rows.
    pub rows: u64,
    /// The transactions at the source that were ended because they did not end in time.
    pub terminated: usize,
    /// The name of the source's schema as long as it is kept.
    pub kept_as: Option<String>,
    /// The time at which the kept schema may be dropped, in PostgreSQL's format.
    pub drop_after: Option<String>,
    /// An earlier move of the tenant that was interrupted was taken back first.
    pub took_back: bool,
    /// What the administrator should know.
    pub warnings: Vec<String>,
}
