//! Facts about PostgreSQL's own functions.

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

/// Functions with the prefix `pg_` that do not read names.
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

/// Functions that are not immutable, and do not resolve names: their results depend on the time, the session, other
/// settings, or random numbers. If they read or return composite values, the types of these are checked separately.
const STEADY: &[&str] = &[
    "age",
    "array_sample",
    "array_shuffle",
    "array_to_json",
    "array_to_string",
    "bernoulli",
    "clock_timestamp",
    "concat",
    "concat_ws",
    "convert",
    "convert_from",
    "convert_to",
    "current_database",
    "current_query",
    "date",
    "date_add",
    "date_part",
    "date_subtract",
    "date_trunc",
    "enum_first",
    "enum_last",
    "enum_range",
    "extract",
    "format",
    "gen_random_uuid",
    "generate_series",
    "getdatabaseencoding",
    "getpgusername",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "json_agg",
    "json_agg_strict",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "json_object_agg_strict",
    "json_object_agg_unique",
    "json_object_agg_unique_strict",
    "json_populate_record",
    "json_populate_recordset",
    "json_to_record",
    "json_to_recordset",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "jsonb_object_agg_strict",
    "jsonb_object_agg_unique",
    "jsonb_object_agg_unique_strict",
    "jsonb_path_exists_tz",
    "jsonb_path_match_tz",
    "jsonb_path_query_array_tz",
    "jsonb_path_query_first_tz",
    "jsonb_path_query_tz",
    "jsonb_populate_record",
    "jsonb_populate_record_valid",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "length",
    "make_timestamptz",
    "merge_action",
    "money",
    "mxid_age",
    "now",
    "numeric",
    "overlaps",
    "quote_literal",
    "quote_nullable",
    "random",
    "random_normal",
    "row_to_json",
    "setseed",
    "statement_timestamp",
    "system",
    "system_user",
    "time",
    "timeofday",
    "timestamp",
    "timestamptz",
    "timetz",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "transaction_timestamp",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
    "txid_status",
    "uuidv4",
    "uuidv7",
    "version",
    "xml",
    "xml_is_well_formed",
];

/// Functions whose result depends on the path, or that resolve names in their arguments by it.
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

/// Whether the result of a function of `pg_catalog` may depend on the path; `immutable`: all its forms are immutable.
///
/// A function that is not immutable may resolve names, unless this file lists it.
pub fn depends_on_path(name: &str, immutable: bool) -> bool {
    if FREE.contains(&name) {
        return false;
    }
    BOUND.contains(&name)
        || name.ends_with("_to_xml")
        || BOUND_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || !immutable && !STEADY.contains(&name)
}

/// Whether values of this type are read or shown as names.
pub fn is_name_type(name: &str) -> bool {
    name.starts_with("reg") || name.starts_with("_reg") || matches!(name, "aclitem" | "_aclitem")
}
