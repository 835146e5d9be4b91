//! What is known of PostgreSQL's own functions.

/// Calls that the grammar makes: no schema can hold a function of that name that
/// an unqualified call would reach.
pub fn is_grammar(name: &str) -> bool {
    matches!(
        name,
        "coalesce"
            | "nullif"
            | "greatest"
            | "least"
            | "grouping"
            | "row"
            | "array"
            | "current_date"
            | "current_time"
            | "current_timestamp"
            | "current_user"
            | "current_role"
            | "current_catalog"
            | "session_user"
            | "user"
            | "localtime"
            | "localtimestamp"
    )
}

/// Functions of `pg_` names that read no names.
const FREE: &[&str] = &[
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_backend_pid",
    "pg_client_encoding",
    "pg_column_compression",
    "pg_column_size",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "pg_is_in_recovery",
    "pg_postmaster_start_time",
    "pg_size_bytes",
    "pg_size_pretty",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
];

/// Functions whose result depends on the path, or whose arguments are names that
/// it gives a meaning to.
const BOUND: &[&str] = &[
    "current_schema",
    "current_schemas",
    "current_setting",
    "set_config",
    "nextval",
    "currval",
    "setval",
    "lastval",
    "format_type",
    "row_security_active",
    "get_current_ts_config",
    "plainto_tsquery",
    "phraseto_tsquery",
    "to_tsquery",
    "to_tsvector",
    "websearch_to_tsquery",
    "array_to_tsvector",
    "json_to_tsvector",
    "jsonb_to_tsvector",
    "currtid2",
    "regclass",
    "regproc",
    "regprocedure",
    "regtype",
    "regoper",
    "regoperator",
    "regconfig",
    "regdictionary",
    "regcollation",
    "regnamespace",
    "regrole",
    "obj_description",
    "shobj_description",
    "col_description",
    "aclexplode",
    "makeaclitem",
    "tsvector_update_trigger",
    "tsvector_update_trigger_column",
];
const BOUND_PREFIXES: &[&str] =
    &["pg_", "has_", "to_reg", "ts_", "binary_upgrade_", "index_", "amvalidate", "lo_"];

/// Whether a function of `pg_catalog` answers differently under another path.
pub fn depends_on_path(name: &str) -> bool {
    if FREE.contains(&name) {
        return false;
    }
    BOUND.contains(&name)
        || name.ends_with("_to_xml")
        || BOUND_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether values of this type are read or shown as names.
pub fn is_name_type(name: &str) -> bool {
    name.starts_with("reg") || name.starts_with("_reg") || matches!(name, "aclitem" | "_aclitem")
}
