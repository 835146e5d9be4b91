//! Relations of the catalog that hold other tenants' values.

use std::ops::Range;

use super::never;
use crate::keys;
use crate::lexer::TokenKind;
use crate::shape::Demand;
use crate::statistics;
use crate::tokens::Tokens;

/// Exact names; `*_all_*` and the like are covered by [`is_private`].
const PRIVATE: &[&str] = &[
    "pg_authid", "pg_file_settings", "pg_largeobject", "pg_locks", "pg_prepared_statements",
    "pg_prepared_xacts", "pg_sequences", "pg_shadow", "pg_statistic", "pg_statistic_ext_data", "pg_stats",
    "pg_user_mapping", "pg_user_mappings", "pg_ident_file_mappings", "pg_replication_slots",
    "pg_shmem_allocations", "pg_backend_memory_contexts", "pg_aios",
];
/// Of `information_schema`: the servers' role sees the passwords of its own user mappings there.
const PRIVATE_IN_INFORMATION_SCHEMA: &[&str] = &["_pg_user_mappings", "user_mapping_options"];
/// Beginnings of names. Views of statistics count rows and calls of all tenants.
const PREFIXES: &[&str] = &["pg_stats_", "pg_stat_", "pg_statio_", "pg_hba_", "pg_buffercache"];

pub(super) fn is_private(name: &str) -> bool {
    let is_in_catalog = || PRIVATE.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p));
    name.starts_with("pg_") && is_in_catalog() || PRIVATE_IN_INFORMATION_SCHEMA.contains(&name)
}

/// Refuses each name in `range` that is such a relation's, wherever it stands:
/// a view may hide in any position, and nothing else has such a name. Those of which the tenant has rows stand where a
/// filter does.
pub fn demands(t: &Tokens<'_>, range: &Range<usize>, out: &mut Vec<Demand>) {
    for i in range.clone() {
        let Some(name) = t.name(i).filter(|name| is_private(name)) else {
            continue;
        };
        if keys::prepared(t, i, range).is_some() {
            out.push(Demand::OwnPrepared);
            continue;
        }
        // The functions of the same names are judged as functions.
        if t.is(i + 1, TokenKind::Open) {
            continue;
        }
        // In front of a dot it is what stands for a relation that is judged where it stands.
        if statistics::find(&name).is_some() {
            out.extend((!t.is(i + 1, TokenKind::Dot)).then_some(Demand::Filtered(i as u32)));
        } else {
            out.push(never(format!("read {name}"), Some("It holds values of other tenants.")));
        }
    }
}
