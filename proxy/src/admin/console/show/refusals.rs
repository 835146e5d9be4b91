//! SHOW REFUSALS: which statements the guard has refused lately, and why.

use super::{Shown, numeric, text};
use crate::admin::console::table::moment;

pub(super) const REFUSALS: Shown = Shown::new(
    "REFUSALS",
    "each statement that was refused lately, by tenant, and why",
    &[
        text("database"),
        text("tenant"),
        text("queryid"),
        text("code"),
        numeric("count"),
        text("last_refusal"),
        text("reason"),
        text("query"),
    ],
    |shared, _| {
        let origin = shared.clients.origin();
        let all = shared.metrics.statements.refusals().into_iter();
        all.map(|((database, tenant), refused)| {
            vec![
                (*database).into(),
                (*tenant).into(),
                format!("{:016x}", refused.form.0).into(),
                refused.code.into(),
                refused.count.into(),
                moment(origin.time(refused.last)),
                (*refused.why).into(),
                (*refused.text).into(),
            ]
        })
        .collect()
    },
);
