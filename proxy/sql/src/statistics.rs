//! Views of locks, counters, sessions and values: a tenant reads its own rows, with or without `hide_other_tenants`.
//!
//! Each is read through a filter, like the catalog ([`hidden`](super::hidden)). Where no filter is possible, the
//! statement is refused. Views that are not listed contain rows that no filter can separate, and are refused as well.

/// The rows of a view that belong to the tenant.
#[derive(Clone, Copy, Debug)]
enum Rows {
    /// Rows about objects in its own schema and in the shared ones: the column `schemaname`.
    Objects,
    /// Rows about objects in its own schema, which show their values: the column `schemaname`. A shared table may have
    /// partitions or children in the schemas of others.
    Own,
    /// Locks of its own session, and locks on relations in its own schema.
    Locks,
    /// The row of its own session: the column `pid`.
    Session,
    /// None: they are the server's.
    None,
}

const VIEWS: &[(&str, Rows)] = &[
    ("pg_locks", Rows::Locks),
    ("pg_replication_slots", Rows::None),
    ("pg_sequences", Rows::Own),
    ("pg_stat_all_indexes", Rows::Objects),
    ("pg_stat_all_tables", Rows::Objects),
    ("pg_stat_gssapi", Rows::Session),
    ("pg_stat_replication", Rows::None),
    ("pg_stat_ssl", Rows::Session),
    ("pg_stat_sys_indexes", Rows::Objects),
    ("pg_stat_sys_tables", Rows::Objects),
    ("pg_stat_user_functions", Rows::Objects),
    ("pg_stat_user_indexes", Rows::Objects),
    ("pg_stat_user_tables", Rows::Objects),
    ("pg_stat_xact_all_tables", Rows::Objects),
    ("pg_stat_xact_sys_tables", Rows::Objects),
    ("pg_stat_xact_user_functions", Rows::Objects),
    ("pg_stat_xact_user_tables", Rows::Objects),
    ("pg_statio_all_indexes", Rows::Objects),
    ("pg_statio_all_sequences", Rows::Objects),
    ("pg_statio_all_tables", Rows::Objects),
    ("pg_statio_sys_indexes", Rows::Objects),
    ("pg_statio_sys_sequences", Rows::Objects),
    ("pg_statio_sys_tables", Rows::Objects),
    ("pg_statio_user_indexes", Rows::Objects),
    ("pg_statio_user_sequences", Rows::Objects),
    ("pg_statio_user_tables", Rows::Objects),
    ("pg_stats", Rows::Own),
    ("pg_stats_ext", Rows::Own),
    ("pg_stats_ext_exprs", Rows::Own),
];

/// The number of a view.
pub fn find(name: &str) -> Option<usize> {
    VIEWS.binary_search_by(|(known, _)| (*known).cmp(name)).ok()
}

/// The name of a view.
pub fn name(index: usize) -> Option<&'static str> {
    VIEWS.get(index).map(|(name, _)| *name)
}

/// How many views there are.
pub fn count() -> usize {
    VIEWS.len()
}

/// The condition for the tenant's rows of a view. `visible`: the schemas whose objects it may see, its own first, as
/// an SQL array of names.
pub fn condition(index: usize, visible: &str) -> String {
    let rows = VIEWS.get(index).map_or(Rows::None, |(_, rows)| *rows);
    let own_session = "pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()";
    match rows {
        // The statistics of the catalog itself, and of TOAST tables of other tenants, cover all tenants.
        Rows::Objects => format!(
            "schemaname OPERATOR(pg_catalog.=) ANY ({visible}) AND schemaname OPERATOR(pg_catalog.<>) \
             ALL (ARRAY['pg_catalog','information_schema','pg_toast']::pg_catalog.name[])"
        ),
        Rows::Own => format!("schemaname OPERATOR(pg_catalog.=) ({visible})[1]"),
        // A relation's oid is valid in the database of the same row.
        Rows::Locks => format!(
            "{own_session} OR database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) \
             AND relation OPERATOR(pg_catalog.=) ANY (SELECT c.oid FROM pg_catalog.pg_class c, pg_catalog.pg_namespace n \
             WHERE n.oid OPERATOR(pg_catalog.=) c.relnamespace AND n.nspname OPERATOR(pg_catalog.=) ({visible})[1])"
        ),
        Rows::Session => own_session.into(),
        Rows::None => "false".into(),
    }
}

/// Whether a function returns statistics about a relation, given by oid.
pub fn counts_relation(name: &str) -> bool {
    counted(name).is_some_and(|what| RELATIONS.contains(&what))
}

/// The same of a function's oid.
pub fn counts_function(name: &str) -> bool {
    counted(name).is_some_and(|what| FUNCTIONS.contains(&what))
}

/// The subject of a statistics function, with or without the prefix for the current transaction.
fn counted(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("pg_stat_get_")?;
    Some(rest.strip_prefix("xact_").unwrap_or(rest))
}

const RELATIONS: &[&str] = &[
    "analyze_count", "autoanalyze_count", "autovacuum_count", "blocks_fetched", "blocks_hit", "dead_tuples",
    "ins_since_vacuum", "last_analyze_time", "last_autoanalyze_time", "last_autovacuum_time",
    "last_vacuum_time", "lastscan", "live_tuples", "mod_since_analyze", "numscans", "tuples_deleted",
    "tuples_fetched", "tuples_hot_updated", "tuples_inserted", "tuples_newpage_updated", "tuples_returned",
    "tuples_updated", "vacuum_count",
];

const FUNCTIONS: &[&str] = &["function_calls", "function_self_time", "function_total_time"];

#[cfg(test)]
#[test]
fn list_is_sorted() {
    assert!(VIEWS.is_sorted_by_key(|view| view.0));
}
