//! What a session knows of the statements that it runs: its portals, and the calls of those that have not ended.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::metrics::statements::{Call, Entry};

/// So many portals with names are told apart in a transaction; what others run is not counted by statement.
const MAX_NAMED: usize = 16;
/// So many portals with some of their rows left are told apart; each further one ends the oldest one's call.
const MAX_SUSPENDED: usize = MAX_NAMED + 1;

/// A statement that PostgreSQL runs.
#[derive(Debug)]
pub(super) struct Run {
    /// What is counted of it.
    pub entry: Arc<Entry>,
    /// The number of its portal, and that of the portal's prepared statement; 0 for a `Query`.
    pub portal: u64,
    /// See [`Run::portal`].
    pub statement: u64,
    /// Its client waited so long for a server.
    pub wait: Duration,
    /// So many rows were asked for; 0: all.
    pub limit: u64,
}

/// A portal that the client has bound.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// Among those of the session.
    pub number: u64,
    /// The number of its prepared statement.
    pub statement: u64,
    /// What is counted of that.
    pub entry: Arc<Entry>,
}

/// The call of a portal that has given some of its rows.
#[derive(Debug)]
struct Suspended {
    portal: u64,
    entry: Arc<Entry>,
    so_far: Call,
}

/// The calls of portals that have given some of their rows, the oldest first.
#[derive(Debug, Default)]
pub(super) struct SuspendedCalls(Vec<Suspended>);

impl SuspendedCalls {
    /// Another page of a portal: `call` is of this page alone. `ends`: there are no more.
    pub fn add(&mut self, Run { entry, portal, .. }: Run, mut call: Call, ends: bool) {
        let known = self.0.iter().position(|one| one.portal == portal);
        if let Some(known) = known {
            call.add(&self.0.remove(known).so_far);
        }
        if ends {
            return entry.record(&call);
        }
        if self.0.len() >= MAX_SUSPENDED {
            let oldest = self.0.remove(0);
            oldest.entry.record(&oldest.so_far);
        }
        self.0.push(Suspended { portal, entry, so_far: call });
    }

    /// Counts all of them.
    fn end(&mut self) {
        self.0.drain(..).for_each(|one| one.entry.record(&one.so_far));
    }
}

impl Drop for SuspendedCalls {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a session knows of the statements that it runs.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// How many portals the client has bound.
    portals: u64,
    /// The unnamed portal.
    unnamed: Option<Bound>,
    /// Other portals, by their names.
    named: Vec<(Bytes, Bound)>,
    /// The calls of those that have given some of their rows.
    pub suspended: SuspendedCalls,
    /// The client has waited so long for the server that runs its next statement.
    waited: Duration,
}

impl Accounts {
    /// The client had to wait for a server.
    pub fn wait(&mut self, took: Duration) {
        self.waited += took;
    }

    /// The number of the portal that is bound next.
    pub fn next_portal(&mut self) -> u64 {
        self.portals += 1;
        self.portals
    }

    /// How long the client has waited since its last statement.
    pub fn take_wait(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// A portal is bound: another one of its name is gone. `None`: what it runs is not counted.
    pub fn bind(&mut self, portal: &[u8], bound: Option<Bound>) {
        if portal.is_empty() {
            self.unnamed = bound;
            return;
        }
        self.named.retain(|(open, _)| open != portal);
        if let Some(bound) = bound.filter(|_| self.named.len() < MAX_NAMED) {
            self.named.push((Bytes::copy_from_slice(portal), bound));
        }
    }

    /// The transaction is over, and with it all portals.
    pub fn close_portals(&mut self) {
        self.unnamed = None;
        self.named.clear();
        self.suspended.end();
    }

    /// The portal of this name.
    pub fn bound(&self, portal: &[u8]) -> Option<&Bound> {
        match portal.is_empty() {
            true => self.unnamed.as_ref(),
            false => self.named.iter().find(|(open, _)| open == portal).map(|(_, bound)| bound),
        }
    }

    /// The portal of this number.
    pub fn by_number(&self, number: u64) -> Option<&Bound> {
        let named = self.named.iter().map(|(_, bound)| bound);
        self.unnamed.iter().chain(named).find(|bound| bound.number == number)
    }
}
