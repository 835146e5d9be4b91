//! How a run is to be.

use std::fmt;
use std::time::Duration;

use super::report::{Event, Watch};

/// How a run is to be.
#[derive(Clone)]
pub struct Options {
    /// What is done.
    pub mode: Mode,
    /// Tenants that come before all others, one after the other. If one fails, nothing else begins.
    pub canary: Vec<String>,
    /// Only these tenants, behind the source and the canaries; empty: all that the registry knows.
    pub only: Vec<String>,
    /// After so many tenants that failed, no other begins.
    pub max_failures: usize,
    /// Active tenants' clients wait while it is their turn. It begins so long after the proxies were told.
    pub fence: Option<Duration>,
    /// What is done about a migration that was stopped in the middle, outside of a transaction.
    pub unfinished: Unfinished,
    /// Files that were changed after they had been applied are taken as they are now; nothing is run again.
    pub accept_changed: bool,
    /// How long another command that is at work on a schema is waited for; without: to its end.
    pub patience: Option<Duration>,
    /// Is told what happens.
    pub watch: Option<Watch>,
}

/// What a run does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It migrates.
    #[default]
    Apply,
    /// It says what would run where.
    Plan,
    /// It runs everything and rolls it back, each schema in one transaction.
    Rehearse,
}

/// What is done about a migration that was stopped in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unfinished {
    /// The tenant fails: somebody has to look.
    #[default]
    Refuse,
    /// It runs again, from its first statement on.
    Redo,
    /// It counts as done.
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
