//! Why a tenant's clients are not served now, according to the registry, and how long they wait.

use std::sync::Arc;
use std::time::Duration;

use pgstrata_control::registry::State;
use tokio::time::Instant;
use tokio::time::{sleep, timeout};

use crate::catalog::CatalogError;
use crate::chance;
use crate::error_text::with_sources;
use crate::metrics::Metrics;
use crate::shared::{DatabaseHandle, Located};
use crate::sql::plan::Refusal;

/// The time between two attempts to find a client's tenant.
const PAUSE: Duration = Duration::from_millis(250);

/// The interval of lookups of a tenant for which clients wait, without a notification.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a tenant's clients are not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    /// They are served when it is migrated.
    Migrating,
    /// They are served when it is created.
    Provisioning,
    /// They are served when it is resumed.
    Suspended,
    /// The tenant does not exist, or is in a state that admits no clients.
    Gone,
}

impl Unserved {
    /// For a tenant in this state; `None`: it does not exist. Returns `None` if it is served.
    pub(super) fn of(state: Option<State>) -> Option<Self> {
        match state {
            Some(State::Active) => None,
            Some(State::Migrating) => Some(Self::Migrating),
            Some(State::Provisioning) => Some(Self::Provisioning),
            Some(State::Suspended) => Some(Self::Suspended),
            Some(State::Source | State::Dropping) | None => Some(Self::Gone),
        }
    }

    /// The error for its clients.
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

/// The message of the FATAL error for a client whose tenant is gone.
pub(super) fn gone(tenant: &str) -> String {
    format!("terminating connection: tenant \"{tenant}\" is gone")
}

/// The error of a cancelled request.
pub(super) fn cancelled() -> Refusal {
    Refusal { code: "57014", message: "canceling statement due to user request".into(), hint: None }
}

/// The error of a failed lookup. The log has the cause.
pub(super) fn no_answer(error: &CatalogError, database: &DatabaseHandle) -> Refusal {
    let database = &database.name;
    tracing::warn!(database, error = %with_sources(error), "tenant lookup failed");
    let message = match error {
        CatalogError::State(..) => "tenant not served: its state in the registry is unknown to this version",
        CatalogError::NoPlacements { .. } => {
            "tenant not served: the registry does not say on which cluster it lives"
        }
        CatalogError::NoCluster { schema, cluster, database: there, .. } => {
            let message = format!(
                "tenant not served: its schema \"{schema}\" is placed in database \"{there}\" on cluster \
                 \"{cluster}\", which is not configured"
            );
            let hint = format!(
                "An administrator can add the cluster to \"clusters\" in [databases.{database}] and reload the \
                 configuration, or mend the row of the tenant in pgstrata_control.placements."
            );
            return Refusal { code: "08006", message, hint: Some(hint) };
        }
        error if error.is_passing() => "tenant lookup timed out: PostgreSQL does not answer",
        _ => "tenant lookup failed: PostgreSQL refuses the proxy",
    };
    Refusal { code: "08006", message: message.into(), hint: None }
}

/// Repeats `work` while PostgreSQL cannot be reached, up to `until`; at least once.
pub(super) async fn patiently<T>(
    until: Instant,
    ask: impl AsyncFn() -> Result<T, Arc<CatalogError>>,
) -> Result<T, Arc<CatalogError>> {
    loop {
        match ask().await {
            Err(error) if error.is_passing() && Instant::now() < until => {
                sleep(PAUSE.mul_f64(chance::between(0.5..1.5))).await;
            }
            other => return other,
        }
    }
}

/// A client that waits until its tenant is served; counted until this value is dropped.
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

/// Waits while a tenant is not served yet, up to `until`; returns its place and state then.
pub(super) async fn wait_until_served(
    database: &DatabaseHandle,
    schema: &Arc<str>,
    mut place: Located,
    until: Instant,
) -> Result<Located, Arc<CatalogError>> {
    loop {
        // Created before the lookup, so that a change during the lookup counts.
        let news = database.home.directory.news(schema);
        let left = || until.saturating_duration_since(Instant::now());
        match timeout(left(), database.locate(schema)).await {
            Ok(Ok(now)) => place = now,
            Ok(Err(error)) if !error.is_passing() => return Err(error),
            // PostgreSQL cannot be reached: the last known state holds until it is back.
            Ok(Err(_)) | Err(_) => {}
        }
        if !place.look.is_passing() || left().is_zero() {
            return Ok(place);
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
