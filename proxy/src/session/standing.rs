//! Why a tenant's clients are not served now, as the registry has it, and how long they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pgstrata_control::registry::State;
use tokio::time::{sleep, timeout};

use super::start::with_sources;
use crate::catalog::directory::Look;
use crate::catalog::{CatalogError, TenantDirectory};
use crate::metrics::Metrics;
use crate::shared::DatabaseHandle;
use crate::sql::plan::Refusal;

/// Between two attempts to find a client's tenant.
const PAUSE: Duration = Duration::from_millis(250);

/// One that is waited for is looked at so often, if nobody tells of it.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a tenant's clients are not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    /// They will be when it is migrated.
    Migrating,
    /// They will be when it is made.
    Provisioning,
    /// They will be when somebody resumes it.
    Suspended,
    /// There is no such tenant, or none that clients are let in to.
    Gone,
}

impl Look {
    /// Whether its clients are not served now and will be before long.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.state, Some(State::Provisioning | State::Migrating))
    }
}

impl Unserved {
    /// For a tenant that fares so, `None`: that is not there. Gives `None` where it is served.
    pub(super) fn of(state: Option<State>) -> Option<Self> {
        match state {
            Some(State::Active) => None,
            Some(State::Migrating) => Some(Self::Migrating),
            Some(State::Provisioning) => Some(Self::Provisioning),
            Some(State::Suspended) => Some(Self::Suspended),
            Some(State::Source | State::Dropping) | None => Some(Self::Gone),
        }
    }

    /// What its clients are told.
    pub(super) fn refusal(self, tenant: &str) -> Refusal {
        let (code, message, hint) = match self {
            Self::Migrating => (
                "57P03",
                format!("tenant \"{tenant}\" is being migrated"),
                "Try again when the migration is over.",
            ),
            Self::Provisioning => {
                ("57P03", format!("tenant \"{tenant}\" is being provisioned"), "Try again in a moment.")
            }
            Self::Suspended => (
                "57P03",
                format!("tenant \"{tenant}\" is suspended"),
                "It is served again once an administrator resumes it.",
            ),
            Self::Gone => ("57P01", gone(tenant), "Connect to another tenant."),
        };
        Refusal { code, message, hint: Some(hint.into()) }
    }
}

/// The last words to a client whose tenant is no longer there.
pub(super) fn gone(tenant: &str) -> String {
    format!("terminating connection: tenant \"{tenant}\" is gone")
}

/// The client gave its request up.
pub(super) fn cancelled() -> Refusal {
    Refusal { code: "57014", message: "canceling statement due to user request".into(), hint: None }
}

/// The tenant can't be looked up. The log has why.
pub(super) fn no_answer(error: &CatalogError, database: &DatabaseHandle) -> Refusal {
    let database = &database.name;
    tracing::warn!(database, error = %with_sources(error), "tenant lookup failed");
    let message = match error {
        CatalogError::State(..) => "tenant not served: its state in the registry is unknown to this version",
        error if error.is_passing() => "tenant lookup timed out: PostgreSQL does not answer",
        _ => "tenant lookup failed: PostgreSQL refuses the proxy",
    };
    Refusal { code: "08006", message: message.into(), hint: None }
}

/// Asks again while PostgreSQL can't be reached, up to `until`; once at least.
pub(super) async fn patiently<T>(
    until: Instant,
    ask: impl AsyncFn() -> Result<T, Arc<CatalogError>>,
) -> Result<T, Arc<CatalogError>> {
    loop {
        match ask().await {
            Err(error) if error.is_passing() && Instant::now() < until => {
                sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
            }
            other => return other,
        }
    }
}

/// When a tenant was last known to be served; all of its sessions share it.
#[derive(Debug, Default)]
pub struct Served {
    /// [`TenantDirectory::changes`] then; 0: never.
    changes: AtomicU64,
    /// [`TenantDirectory::epoch`] then.
    epoch: AtomicU64,
}

impl Served {
    /// Whether nothing has changed since.
    #[inline]
    pub(super) fn holds(&self, directory: &TenantDirectory) -> bool {
        self.changes.load(Ordering::Relaxed) == directory.changes()
    }

    /// Whether nothing of this tenant's has.
    #[cold]
    pub(super) fn still_holds(&self, directory: &TenantDirectory, schema: &str) -> bool {
        // In this order: what changes meanwhile makes the first too old.
        let changes = directory.changes();
        let same = self.changes.load(Ordering::Relaxed) != 0
            && self.epoch.load(Ordering::Relaxed) == directory.epoch(schema);
        if same {
            self.changes.store(changes, Ordering::Relaxed);
        }
        same
    }

    /// It is served, as of a look that was begun then.
    pub(super) fn note(&self, changes: u64, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
        self.changes.store(changes, Ordering::Relaxed);
    }
}

/// A client that waits until its tenant is served; counted until this is dropped.
pub(super) struct Held<'a>(&'a Metrics);

impl<'a> Held<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        metrics.held();
        Self(metrics)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// Waits while a tenant is not served yet, up to `until`; gives how it fares then.
pub(super) async fn outwait(
    directory: &TenantDirectory,
    schema: &Arc<str>,
    mut look: Look,
    until: Instant,
) -> Result<Look, Arc<CatalogError>> {
    loop {
        // Before the look: news that comes during it must count.
        let news = directory.news(schema);
        let left = || until.saturating_duration_since(Instant::now());
        match timeout(left(), directory.look(schema)).await {
            Ok(Ok(now)) => look = now,
            Ok(Err(error)) if !error.is_passing() => return Err(error),
            // PostgreSQL is away: what was so holds until it is back.
            Ok(Err(_)) | Err(_) => {}
        }
        if !look.is_passing() || left().is_zero() {
            return Ok(look);
        }
        tokio::select! {
            () = news => {}
            () = sleep(left().min(LOOK_AGAIN)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_is_served_as_the_registry_has_it() {
        for (state, unserved) in [
            (Some(State::Active), None),
            (Some(State::Migrating), Some(Unserved::Migrating)),
            (Some(State::Provisioning), Some(Unserved::Provisioning)),
            (Some(State::Suspended), Some(Unserved::Suspended)),
            (Some(State::Dropping), Some(Unserved::Gone)),
            (Some(State::Source), Some(Unserved::Gone)),
            (None, Some(Unserved::Gone)),
        ] {
            assert_eq!(Unserved::of(state), unserved, "{state:?}");
        }
    }
}
