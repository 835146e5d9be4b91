//! `mode = "observe"`: nothing is routed or refused, and the log says, once for each normalized
//! form of a statement, what would be.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::metrics::Metrics;
use crate::sql::form::{self, reason};
use crate::sql::plan::{PinReason, Plan, Route, StatementKind};
use crate::sql::scope::Scope;

/// How many forms are remembered as logged. One that was forgotten is logged again.
const REMEMBERED: usize = 10_000;

/// What has been seen.
pub struct Observer {
    seen: Cache<u64, ()>,
    hasher: RandomState,
    metrics: Arc<Metrics>,
}

impl Observer {
    /// One that has seen nothing.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { seen: Cache::new(REMEMBERED), hasher: RandomState::new(), metrics }
    }

    /// Notes what `plan` would do with `text`; answers a plan that sends it as it is.
    pub fn note(&self, text: &[u8], scope: &Scope, plan: Plan) -> Plan {
        let would = would(&plan.route);
        self.metrics.observed(would);
        if !matches!(plan.route, Route::Pass | Route::NeedNames) {
            let tenant = scope.tenant.as_deref();
            // By tenant as well: what is refused to one may be another's own.
            let key = self.hasher.hash_one((plan.form, would, tenant));
            if self.seen.get(&key).is_none() {
                self.seen.insert(key, ());
                log(text, tenant, would, &plan);
            }
        }
        leave_alone(plan)
    }
}

/// Logs a form, and nothing that may be a value.
fn log(text: &[u8], tenant: Option<&str>, would: &str, plan: &Plan) {
    let form = form::shown(text, plan.form);
    let (code, why) = match &plan.route {
        Route::Refuse(refusal) => {
            let why = reason::shown(&refusal.message, text, &form, tenant.unwrap_or_default());
            (Some(refusal.code), Some(why))
        }
        _ => (None, None),
    };
    tracing::info!(would, tenant, code, why, statement = form, "observed");
}

/// What would become of a text, as in logs and metrics.
fn would(route: &Route) -> &'static str {
    match route {
        Route::Pass => "pass",
        Route::Splice => "qualify",
        Route::SearchPath | Route::OwnTransaction => "set_path",
        Route::Refuse(_) => "refuse",
        Route::NeedNames => "unknown",
    }
}

/// The plan of a proxy that knows no tenants.
fn leave_alone(mut plan: Plan) -> Plan {
    if matches!(plan.route, Route::Refuse(_) | Route::NeedNames) {
        // What it leaves on its server is nobody else's to find.
        plan.opaque = true;
        for statement in &mut plan.statements {
            statement.pin = statement.pin.or(Some(PinReason::SessionState));
        }
    }
    for statement in &mut plan.statements {
        // Servers listen themselves, as with any pooler.
        if let StatementKind::Listen(_) = statement.kind {
            statement.pin = Some(PinReason::Listen);
        }
        if let StatementKind::Listen(_) | StatementKind::Unlisten(_) = statement.kind {
            statement.kind = StatementKind::Plain;
        }
    }
    plan.splices.clear();
    plan.checks.clear();
    // Under a path that the client has set itself, if there is one.
    plan.route = if plan.runs_alone { Route::OwnTransaction } else { Route::SearchPath };
    plan
}
