//! What pgstrata is to keep to, and whether it does.

use crate::cases::{idle, load, tenants, trips};
use crate::peer::{BY_PATH, PGBOUNCER, QUALIFIED, RELAY};
use crate::pgbench::Mode;
use crate::samples::{Metric, Samples};

/// Processor time for one transaction, next to the bare relay's.
const CPU: f64 = 1.15;
/// KiB for an idle client.
const IDLE: f64 = 4.0;
/// A thousand tenants, next to one.
const MANY: f64 = 0.95;

/// One promise.
#[derive(Debug)]
struct Budget {
    what: String,
    limit: String,
    measured: f64,
    unit: &'static str,
    is_kept: bool,
}

/// A table with a line for each budget whose case was run.
pub fn table(samples: &Samples) -> String {
    let budgets = budgets(samples);
    if budgets.is_empty() {
        return String::new();
    }
    let mut out = "| budget | limit | measured | |\n| --- | --- | --- | --- |\n".to_owned();
    for Budget { what, limit, measured, unit, is_kept } in budgets {
        let verdict = if is_kept { "kept" } else { "**missed**" };
        out.push_str(&format!("| {what} | {limit} | {measured:.2}{unit} | {verdict} |\n"));
    }
    out
}

fn budgets(samples: &Samples) -> Vec<Budget> {
    let mut budgets = Vec::new();
    for ours in [BY_PATH, QUALIFIED] {
        for mode in Mode::ALL {
            let case = load::select(mode, load::SOME);
            let at_most = |value, limit| (value, value <= limit);
            if let Some(ratio) = samples.ratio(&case, Metric::Cpu, ours, RELAY) {
                let (measured, is_kept) = at_most(ratio, CPU);
                let what = format!("processor time next to the bare relay: {ours}, {}", mode.as_str());
                budgets.push(Budget { what, limit: format!("at most {CPU}x"), measured, unit: "x", is_kept });
            }
            if let Some(measured) = samples.ratio(&case, Metric::Rate, ours, PGBOUNCER) {
                let what = format!("throughput next to PgBouncer: {ours}, {}", mode.as_str());
                let limit = "at least 1x".to_owned();
                budgets.push(Budget { what, limit, measured, unit: "x", is_kept: measured >= 1.0 });
            }
        }
        for (case, when) in [(idle::FRESH, "logged in"), (idle::USED, "after a query")] {
            if let Some(measured) = samples.median(case, Metric::Memory, ours) {
                let what = format!("an idle client, {when}: {ours}");
                let limit = format!("below {IDLE} KiB");
                budgets.push(Budget { what, limit, measured, unit: " KiB", is_kept: measured < IDLE });
            }
        }
        if let Some(measured) = samples.median(&trips::case(0), Metric::Trips, ours) {
            let what = format!("round trips for a tenant's read: {ours}");
            let is_kept = measured <= 1.0;
            budgets.push(Budget { what, limit: "1".to_owned(), measured, unit: "", is_kept });
        }
    }
    if let Some(measured) = samples.ratio(tenants::CASE, Metric::Rate, BY_PATH, tenants::ONE) {
        let what = "throughput of 1,000 tenants next to one".to_owned();
        let limit = format!("at least {MANY}x");
        budgets.push(Budget { what, limit, measured, unit: "x", is_kept: measured >= MANY });
    }
    budgets
}
