//! SHOW PINS, PLANS, PREPARED: what sessions take.

use super::{Shown, int4, int8, numeric, text};
use crate::admin::console::table::{Cell, Row, moment, text_or_null};

/// So much of a statement's text is shown.
const SHOWN_TEXT: usize = 1000;

pub(super) const PINS: Shown = Shown::new(
    "PINS",
    "each reason of a pin, with the number of pinned clients",
    &[
        int4("id"),
        text("user"),
        text("database"),
        text("tenant"),
        text("reason"),
        text("request_time"),
        int4("server"),
    ],
    |shared, _| {
        let mut rows = Vec::new();
        for client in shared.clients.all() {
            for reason in client.pins() {
                rows.push(vec![
                    client.id.into(),
                    client.who.user.name.as_str().into(),
                    (*client.who.database).into(),
                    text_or_null(client.place().tenant.as_deref()),
                    reason.as_str().into(),
                    moment(client.requested_at()),
                    client.server().map_or(Cell::Null, Cell::from),
                ]);
            }
        }
        rows
    },
);

pub(super) const PLANS: Shown = Shown::new(
    "PLANS",
    "the plan cache",
    &[int8("plans"), numeric("hits"), numeric("misses"), int8("bytes"), int8("max_bytes")],
    |shared, _| {
        let stats = shared.engine.stats();
        vec![vec![
            stats.plans.into(),
            stats.hits.into(),
            stats.misses.into(),
            stats.bytes.into(),
            shared.now.config.limits.plan_cache_bytes.into(),
        ]]
    },
);

pub(super) const PREPARED: Shown = Shown::new(
    "PREPARED",
    "each statement that clients have prepared by name",
    &[int8("id"), int4("clients"), text("path"), text("role"), int4("bytes"), text("query")],
    |shared, _| {
        let row = |statement: &crate::shared::statements::Held| -> Row {
            let identity = &statement.prepared.identity;
            let text = String::from_utf8_lossy(&identity.text);
            let shown: String = text.chars().take(SHOWN_TEXT).collect();
            vec![
                statement.prepared.id.into(),
                statement.holders.into(),
                (*identity.path).into(),
                text_or_null(identity.role.as_ref().map(pgstrata_tenancy::RoleName::as_str)),
                identity.text.len().into(),
                shown.into(),
            ]
        };
        shared.store.all().iter().map(row).collect()
    },
)
.for_admins();
