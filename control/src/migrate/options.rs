//! The options of a run.

use std::fmt;
use std::time::Duration;

use super::report::{Event, Watch};

/// The options of a run.
#[derive(Clone)]
pub struct Options {
    /// The kind of run.
    pub mode: Mode,
    /// Tenants that come before all others, one after the other. If one fails, nothing else begins.
    pub canary: Vec<String>,
    /// Only these tenants, after the source and the canaries; empty: all registered tenants.
    pub only: Vec<String>,
    /// After this number of failed tenants, no other begins.
    pub max_failures: usize,
    /// The clients of active tenants wait during their migration. The migration begins this long after the
    /// notification.
    pub fence: Option<Duration>,
    /// The handling of a migration outside of a transaction that was interrupted.
    pub unfinished: Unfinished,
    /// Files that changed after they were applied are accepted as they are; nothing runs again.
    pub accept_changed: bool,
    /// How long to wait for another command on the same schema; `None`: to its end.
    pub patience: Option<Duration>,
    /// A callback for events.
    pub watch: Option<Watch>,
}

/// The kind of run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Applies the migrations.
    #[default]
    Apply,
    /// Reports the pending migrations.
    Plan,
    /// Runs everything and rolls it back, each schema in one transaction.
    Rehearse,
}

/// The handling of an interrupted migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unfinished {
    /// The tenant fails and must be inspected.
    #[default]
    Refuse,
    /// The migration runs again from its first statement.
    Redo,
    /// The migration counts as done.
    Done,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            canary: Vec::new(),
            only: Vec::new(),
            max_failures: 1,
            fence: None,
            unfinished: Unfinished::default(),
            accept_changed: false,
            patience: None,
            watch: None,
        }
    }
}

impl Options {
    pub(super) fn tell(&self, event: &Event<'_>) {
        if let Some(watch) = &self.watch {
            watch(event);
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mode", &self.mode)
            .field("canary", &self.canary)
            .field("only", &self.only)
            .field("max_failures", &self.max_failures)
            .field("fence", &self.fence)
            .field("unfinished", &self.unfinished)
            .field("accept_changed", &self.accept_changed)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
