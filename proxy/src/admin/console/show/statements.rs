//! SHOW STATEMENTS: what each tenant runs.

use super::{Shown, numeric, text};
use crate::admin::console::table::{Cell, Row, moment};
use crate::metrics::statements;
use crate::sql::form::FormId;

/// So many rows are shown, those with most of PostgreSQL's time.
pub const MOST: usize = 1000;

pub(super) const STATEMENTS: Shown = Shown::new(
    "STATEMENTS",
    "each normalized statement of each tenant, or of one, by PostgreSQL's time",
    &[
        text("database"),
        text("tenant"),
        text("queryid"),
        numeric("calls"),
        numeric("errors"),
        numeric("query_time"),
        numeric("avg_time"),
        numeric("p99_time"),
        numeric("max_time"),
        numeric("wait_time"),
        numeric("rows"),
        numeric("bytes_received"),
        numeric("bytes_sent"),
        text("last_call"),
        text("query"),
    ],
    |shared, tenant| {
        let tenant = Some(tenant).filter(|tenant| !tenant.is_empty());
        let origin = shared.clients.origin();
        let last = |at: u64| if at == 0 { Cell::Null } else { moment(origin.time(at)) };
        let row = |row: statements::Row| -> Row {
            let sums = row.sums;
            let known = row.form != FormId::NONE;
            vec![
                (*row.database).into(),
                (*row.tenant).into(),
                if known { format!("{:016x}", row.form.0).into() } else { Cell::Null },
                sums.calls.into(),
                sums.errors.into(),
                (sums.time / 1000).into(),
                (sums.time / 1000 / sums.calls.max(1)).into(),
                (sums.p99 / 1000).into(),
                (sums.longest / 1000).into(),
                (sums.wait / 1000).into(),
                sums.rows.into(),
                sums.sent.into(),
                sums.received.into(),
                last(sums.last),
                if known { (*row.text).into() } else { "(evicted)".into() },
            ]
        };
        shared.metrics.statements.rows(tenant, MOST).into_iter().map(row).collect()
    },
)
.of_one_or_all();
