//! `mode = "observe"`: nothing is routed or refused, and the log says, once for each shape of
//! statement, what would be.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::metrics::Metrics;
use crate::sql::lexer::Lexer;
use crate::sql::plan::{PinReason, Plan, Route, StatementKind};
use crate::sql::scope::Scope;

/// How many shapes are remembered as logged. One that was forgotten is logged again.
const REMEMBERED: usize = 10_000;

/// A shape is logged up to this length, in bytes.
const SHOWN: usize = 500;

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
            let shape = shape(text);
            let tenant = scope.tenant.as_deref();
            // By tenant as well: what is refused to one may be another's own.
            let key = self.hasher.hash_one((&shape, would, tenant));
            if self.seen.get(&key).is_none() {
                self.seen.insert(key, ());
                let (code, why) = match &plan.route {
                    Route::Refuse(refusal) => (Some(refusal.code), Some(&refusal.message)),
                    _ => (None, None),
                };
                tracing::info!(would, tenant, code, why, statement = shape, "observed");
            }
        }
        leave_alone(plan)
    }
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

/// The text with a `?` for each literal, and no comments: no value of it is logged.
fn shape(text: &[u8]) -> String {
    let mut out = String::new();
    let mut behind = 0;
    for token in Lexer::new(text, true) {
        if out.len() > SHOWN {
            out.push_str(" ...");
            break;
        }
        if token.start > behind && !out.is_empty() {
            out.push(' ');
        }
        match token.kind.is_literal() || !token.kind.is_closed() {
            true => out.push('?'),
            false => out.push_str(&String::from_utf8_lossy(token.of(text))),
        }
        behind = token.end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_no_values() {
        let text = "SELECT /* x */ a.b FROM t  WHERE c = 'secret' AND d = 42 -- end";
        assert_eq!(shape(text.as_bytes()), "SELECT a.b FROM t WHERE c = ? AND d = ?");
        assert_eq!(shape(b"SELECT 'never ends"), "SELECT ?");
        assert!(shape(&b"x,".repeat(10_000)).len() < 600);
    }
}
