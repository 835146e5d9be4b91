//! The limits of a client: its three budgets, and the resulting limits.
//!
//! Budgets are looked up at the login, at a change of the tenant, and at a change of the configuration; a request uses
//! the result of that lookup.

use std::sync::Arc;
use std::time::Duration;

use humantime_serde::re::humantime;

use super::Session;
use crate::config::Time;
use crate::limits::budget::Met;
use crate::limits::places::Places;
use crate::limits::{Holder, Kind, Three};
use crate::metrics::Metrics;
use crate::pool::claim::{Claim, Hindrance};
use crate::shared::DatabaseHandle;
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Refusal;

/// The limits of a client.
pub(super) struct Allowance {
    /// The budgets of its tenant, its user and its database.
    budgets: Arc<Three>,
    /// The tenant and the user that its requests for servers count for.
    claim: Claim,
    times: Times,
    /// Whether its request rate is limited.
    rated: bool,
}

/// The time limits of its work; 0: no limit.
#[derive(Clone, Copy, Default)]
pub(super) struct Times {
    pub query_timeout: Duration,
    pub transaction_timeout: Duration,
    pub idle_transaction_timeout: Duration,
    pub client_idle_timeout: Duration,
    pub query_wait_timeout: Duration,
    pub wait_notice: Duration,
}

impl Times {
    fn of(budgets: &Three) -> Self {
        let time = |time: Time| budgets.narrowest(time).map_or(Duration::ZERO, |(limit, _)| limit.value);
        Self {
            query_timeout: time(|table| table.query_timeout.as_ref()),
            transaction_timeout: time(|table| table.transaction_timeout.as_ref()),
            idle_transaction_timeout: time(|table| table.idle_transaction_timeout.as_ref()),
            client_idle_timeout: time(|table| table.client_idle_timeout.as_ref()),
            query_wait_timeout: time(|table| table.query_wait_timeout.as_ref()),
            wait_notice: time(|table| table.wait_notice.as_ref()),
        }
    }
}

impl Allowance {
    /// The limits of a client of this user that works for this tenant.
    pub fn of(database: &DatabaseHandle, user: &str, tenancy: &Tenancy) -> Self {
        let budgets = Arc::new(Three {
            tenant: Arc::clone(&tenancy.budget),
            user: database.budgets.of_user(user),
            database: Arc::clone(database.budgets.of_database()),
        });
        let claim = Claim::new(Arc::clone(&budgets.tenant), Arc::clone(&budgets.user));
        Self { times: Times::of(&budgets), rated: budgets.are_rated(), claim, budgets }
    }

    /// The tenant and the user that its requests for servers count for.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Whether its request rate is limited.
    #[inline]
    pub fn is_rated(&self) -> bool {
        self.rated
    }

    /// The budgets, with that of another tenant for which the session works meanwhile.
    pub fn budgets_with(&self, tenancy: &Tenancy) -> Three {
        Three { tenant: Arc::clone(&tenancy.budget), ..Three::clone(&self.budgets) }
    }

    /// The time limits of its work.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// A time-out for a message: its value, its owner, and its key.
    pub fn in_words(&self, time: Time) -> String {
        match self.budgets.narrowest(time) {
            Some((limit, holder)) => {
                format!("{} for {holder} ({})", humantime::format_duration(limit.value), limit.key)
            }
            // A reload has removed the limit meanwhile.
            None => "the configuration has changed".to_owned(),
        }
    }

    /// A place for a client that logs in.
    pub fn admit(&self, metrics: &Metrics, tenancy: &Tenancy) -> Result<Places, Refusal> {
        Places::take(&self.budgets, Kind::Clients).map_err(|met| {
            note(&met, metrics, tenancy);
            refusal(&met)
        })
    }
}

impl<C> Session<C> {
    /// A place for the client among the waiting ones.
    pub(super) fn queue(&self) -> Result<Places, Refusal> {
        Places::take(&self.allowance.budgets, Kind::Waiting).map_err(|met| {
            note(&met, &self.shared.metrics, self.tenants.now());
            refusal(&met)
        })
    }

    /// Counts a limit of servers for which the client waits.
    pub(super) fn count_hindrance(&self) {
        if let Some(hindrance) = self.hindrance() {
            self.note_hindrance(&hindrance);
        }
    }

    /// Counts a limit that has delayed the client.
    pub(super) fn count_limit(&self, kind: Kind, holder: &Holder) {
        count(kind.as_str(), holder.level(), &self.shared.metrics, self.tenants.now());
    }

    /// The limit that keeps the client from a server. Servers of a tenant in the tier `login` are its own, so only its
    /// own limits count.
    fn hindrance(&self) -> Option<Hindrance> {
        let (claim, servers) = (&self.allowance.claim, &self.cluster().servers);
        // Usually there is no such limit, and the pool need not be locked.
        let is_limited =
            claim.most().is_some() || claim.limited_user().is_some() || servers.keeps_some_for_tenants();
        let shared = self.tenants.now().isolation.login().is_none();
        (shared && is_limited).then(|| servers.hindrance(claim)).flatten()
    }

    fn note_hindrance(&self, hindrance: &Hindrance) {
        let budgets = &self.allowance.budgets;
        match hindrance {
            // The default share is no configured limit.
            Hindrance::Tenant(_, _, None) => return,
            Hindrance::Tenant(..) => budgets.tenant.hold_up(Kind::Servers),
            Hindrance::User(..) => budgets.user.hold_up(Kind::Servers),
            Hindrance::Reserved => {}
        }
        count(Kind::Servers.as_str(), hindrance.by(), &self.shared.metrics, self.tenants.now());
    }

    /// Looks the budgets up again after a change of the tenant.
    pub(super) fn settle_allowance(&mut self) {
        if !Arc::ptr_eq(&self.allowance.budgets.tenant, &self.tenants.now().budget) {
            self.renew_allowance();
        }
    }

    /// Looks the budgets up again in any case.
    pub(super) fn renew_allowance(&mut self) {
        let (database, user) = (&self.identity.database, &self.identity.user.name);
        self.allowance = Allowance::of(database, user, self.tenants.now());
    }
}

/// The refusal of a client above a limit.
fn refusal(met: &Met) -> Refusal {
    let Met { kind, holder, value, key } = met;
    let (message, advice) = match kind {
        Kind::Clients | Kind::Servers | Kind::Rate => {
            (format!("sorry, too many clients already: {holder} may have {value} at once"), "Close some")
        }
        Kind::Waiting => (
            format!("too many clients wait already: {holder} may have {value} of them at once"),
            "Send fewer requests at once",
        ),
    };
    Refusal { code: "53300", message, hint: Some(format!("{advice}, or raise {key}.")) }
}

/// Counts a limit that was reached.
fn note(met: &Met, metrics: &Metrics, tenancy: &Tenancy) {
    count(met.kind.as_str(), met.holder.level(), metrics, tenancy);
}

fn count(limit: &'static str, by: &'static str, metrics: &Metrics, tenancy: &Tenancy) {
    metrics.limited(limit, by);
    if let Some(tally) = &tenancy.tally {
        tally.limited();
    }
}
