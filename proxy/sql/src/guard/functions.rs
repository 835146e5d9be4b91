//! Functions with effects on all tenants, and functions whose arguments are names.

use std::ops::Range;
use std::sync::LazyLock;

use foldhash::{HashMap, HashSet};

use super::never;
use super::sequences::{self, Named};
use crate::builtin;
use crate::keys;
use crate::large_objects;
use crate::lexer::TokenKind;
use crate::opens;
use crate::plan::StatementKind;
use crate::shape::{ConfigPlace, Demand, KeyKind, StatementShape, Way};
use crate::statistics;
use crate::tokens::Tokens;

/// The reason to check a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Accesses files, backends, or the server itself.
    Server,
    /// Works on large objects.
    LargeObject,
    /// Runs text as SQL.
    Dynamic,
    /// `set_config`.
    SetConfig,
    /// `nextval`, `currval`.
    Sequence,
    /// `setval`.
    SetSequence,
    /// `pg_get_serial_sequence`.
    Serial,
    /// Its string arguments name objects.
    Names,
    /// Its string arguments name schemas.
    Schemas,
    /// Its last string argument names a type; a value precedes it.
    Type,
    /// Its argument is a name or number that the whole database shares.
    Key(KeyKind),
    /// It opens the object in its argument, which [`opens`] restricts to the tenant's and shared objects.
    Opens,
}

const SERVER: &[&str] = &[
    "pg_read_file",
    "pg_read_binary_file",
    "pg_stat_file",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_promote",
    "pg_switch_wal",
    "pg_switch_xlog",
    "pg_create_restore_point",
    "pg_start_backup",
    "pg_stop_backup",
    "pg_export_snapshot",
    "pg_current_logfile",
    "pg_log_backend_memory_contexts",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_show_all_file_settings",
    "pg_lock_status",
    "pg_prepared_xact",
    "pg_prepared_statement",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_drop_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_copy_logical_replication_slot",
    "pg_sync_replication_slots",
    "pg_signal_backend",
    "pg_import_system_collations",
    "pg_nextoid",
    "pg_stop_making_pinned_objects",
    "pg_extension_config_dump",
    "pg_sequence_last_value",
    "pg_get_sequence_data",
    "currtid2",
    "pg_restore_relation_stats",
    "pg_clear_relation_stats",
    "pg_restore_attribute_stats",
    "pg_clear_attribute_stats",
    "pg_tablespace_databases",
    "pg_blocking_pids",
    "pg_isolation_test_session_is_blocked",
    "pg_wal_replay_pause",
    "pg_wal_replay_resume",
    "pg_mcv_list_items",
    "pg_get_object_address",
];
const SERVER_PREFIXES: &[&str] = &[
    "pg_ls_", "lo_", "pg_stat_", "pg_logical_", "pg_replication_", "pg_backup_", "pg_walfile_", "pg_file_",
    "pg_get_shmem", "pg_get_backend", "pg_get_replication", "pg_get_wal_", "pg_stat_statements",
    "binary_upgrade_", "brin_summarize", "brin_desummarize", "gin_clean_", "be_lo", "pg_wal_",
    "pg_buffercache", "pg_prewarm", "pgstat",
];
const DYNAMIC: &[&str] = &["ts_stat", "connectby", "xpath_table"];
const DYNAMIC_PREFIXES: &[&str] = &[
    "query_to_xml", "table_to_xml", "schema_to_xml", "database_to_xml", "cursor_to_xml", "dblink", "crosstab",
];
const NAMES: &[&str] = &[
    "to_regclass", "to_regproc", "to_regprocedure", "to_regtype", "to_regtypemod", "to_regoper",
    "to_regoperator", "to_regcollation", "regclass", "regproc", "regprocedure", "regtype", "regoper",
    "regoperator", "regconfig", "regdictionary", "regcollation", "pg_relation_size",
    "pg_total_relation_size", "pg_table_size", "pg_indexes_size", "pg_relation_filenode",
    "pg_relation_filepath", "pg_get_viewdef", "pg_partition_tree", "pg_partition_root",
    "pg_partition_ancestors", "has_table_privilege", "has_any_column_privilege", "has_column_privilege",
    "has_sequence_privilege", "has_function_privilege", "has_type_privilege", "row_security_active",
    "pgstattuple", "pgstatindex",
];
const SCHEMAS: &[&str] = &["has_schema_privilege", "to_regnamespace", "regnamespace"];
/// Types whose values are parsed as names.
pub(crate) const NAME_TYPES: &[&str] = &[
    "regclass", "regproc", "regprocedure", "regtype", "regoper", "regoperator", "regconfig", "regdictionary",
    "regcollation",
];

pub(crate) fn class(name: &str) -> Option<Class> {
    let begins = |list: &[&str]| list.iter().any(|p| name.starts_with(p));
    Some(match name {
        "set_config" => Class::SetConfig,
        "pg_notify" => Class::Key(KeyKind::Channel),
        _ if large_objects::is_function(name) => Class::LargeObject,
        _ if keys::is_lock(name) => Class::Key(KeyKind::Lock),
        "nextval" | "currval" => Class::Sequence,
        "setval" => Class::SetSequence,
        "pg_get_serial_sequence" => Class::Serial,
        "pg_input_is_valid" | "pg_input_error_info" => Class::Type,
        _ => match listed(name) {
            Some(class) if class != Class::Server => class,
            _ if begins(DYNAMIC_PREFIXES) => Class::Dynamic,
            Some(class) => class,
            None if opens::by(name).is_some() => Class::Opens,
            // A relation, and no function.
            None if statistics::find(name).is_some() => return None,
            None if begins(SERVER_PREFIXES) => Class::Server,
            None => return None,
        },
    })
}

/// Functions of `pg_catalog` that need no check except that of [`class`].
static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("known_functions.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// Whether a function of `pg_catalog` is reviewed, or called by the grammar.
pub(crate) fn is_known(name: &str) -> bool {
    KNOWN.contains(name) || builtin::is_grammar(name)
}

/// The class of a listed function. It is looked up for each call of a text.
fn listed(name: &str) -> Option<Class> {
    static LISTED: LazyLock<HashMap<&str, Class>> = LazyLock::new(|| {
        let lists = [
            (SERVER, Class::Server),
            (DYNAMIC, Class::Dynamic),
            (SCHEMAS, Class::Schemas),
            (NAMES, Class::Names),
        ];
        // If a name is in two lists, the last one applies.
        lists.into_iter().flat_map(|(names, class)| names.iter().map(move |name| (*name, class))).collect()
    });
    LISTED.get(name).copied()
}

/// The demands of the functions and of the casts to name types in `range`.
pub fn demands(t: &Tokens<'_>, statement: &StatementShape, out: &mut Vec<Demand>) {
    let range = &statement.tokens;
    supports(t, range, out);
    for i in range.clone() {
        casts(t, i, out);
        let call = t.is(i + 1, TokenKind::Open);
        // `(x).f` calls `f` as well.
        let field = i > range.start && t.is(i - 1, TokenKind::Dot) && !is_type(t, i);
        let Some(name) = (call || field).then(|| t.name(i)).flatten() else { continue };
        let Some(class) = class(&name) else {
            if call && name == "ts_rewrite" {
                rewrite(t, i, range.end, out);
            }
            continue;
        };
        let arguments = i + 2..if call { t.behind_close(i + 1, range.end).saturating_sub(1) } else { i + 2 };
        if call && keys::sequence_data(t, i).is_some() {
            continue;
        }
        if let Some((_, _, literal)) = keys::pinned_setting(t, range).filter(|_| class == Class::SetConfig) {
            out.push(Demand::Config { token: literal, place: ConfigPlace::Known });
        } else if class == Class::SetConfig && call {
            out.push(Demand::Config { token: arguments.start as u32, place: place(t, statement) });
        }
        let held = sequences::opens(t, i, &arguments, range.start).is_some();
        judge(t, class, (&name, call, held), arguments, out);
    }
}

/// `CREATE AGGREGATE`, `OPERATOR` and similar statements name functions that run whenever the object is used, without
/// brackets behind the name, or even in a string.
fn supports(t: &Tokens<'_>, range: &Range<usize>, out: &mut Vec<Demand>) {
    let kind = range.start + 1 + if t.kws(range.start + 1, &["or", "replace"]) { 2 } else { 0 };
    if !t.any_kw(range.start, &["create", "alter"])
        || !t.any_kw(kind, &["aggregate", "operator", "type", "conversion"])
    {
        return;
    }
    for i in range.clone().filter(|&i| t.op(i, "=") || t.kw(i, "from")) {
        if t.op(i, "=") && t.name(i - 1).is_some_and(|option| !takes_function(&option)) {
            continue;
        }
        let mut last = i + 1;
        while t.is(last + 1, TokenKind::Dot) {
            last += 2;
        }
        if let Some(name) = t.name(last).filter(|name| class(name).is_some() || name == "ts_rewrite") {
            out.push(never(format!("define what runs {name}"), None));
        }
        // `SFUNC = 'name'` is equivalent to `SFUNC = name`.
        if t.op(i, "=") && t.is_string(i + 1) {
            out.push(never("write a function's name as a string", Some("Write it without quotes.")));
        }
    }
}

/// Whether an option of `CREATE AGGREGATE`, `OPERATOR` or `TYPE` may contain a function's name.
pub(crate) fn takes_function(option: &str) -> bool {
    const OTHERS: &[&str] = &[
        "alignment", "basetype", "category", "collatable", "collation", "commutator", "default", "delimiter",
        "element", "finalfunc_modify", "initcond", "initcond1", "internallength", "leftarg", "like",
        "mfinalfunc_modify", "minitcond", "msspace", "mstype", "multirange_type_name", "negator", "parallel",
        "preferred", "rightarg", "sortop", "sspace", "storage", "stype", "stype1", "subtype",
        "subtype_opclass",
    ];
    !OTHERS.contains(&option)
}

/// `::pg_catalog.regtype`: a type, not a call.
fn is_type(t: &Tokens<'_>, i: usize) -> bool {
    i >= 3
        && (t.is(i - 3, TokenKind::Cast) || t.kw(i - 3, "as"))
        && t.kind(i - 2).is_some_and(TokenKind::is_word)
}

/// The demand of a call of a function of this class, or of its name if `call` is false. `held`: its first argument is
/// checked in PostgreSQL.
fn judge(
    t: &Tokens<'_>,
    class: Class,
    (name, call, held): (&str, bool, bool),
    args: Range<usize>,
    out: &mut Vec<Demand>,
) {
    match class {
        Class::Server => out.push(never(format!("call {name}"), None)),
        Class::LargeObject => out.push(Demand::LargeObject(name.into())),
        Class::Dynamic => out.push(Demand::Dynamic(format!("call {name}, which runs text as SQL").into())),
        _ if !call => out.push(never(format!("call {name} in this form"), None)),
        _ if held => {}
        Class::Key(kind) => out.push(Demand::Keys(kind)),
        Class::SetConfig | Class::Opens => {}
        Class::Sequence => sequence(t, name, &args, false, out),
        Class::SetSequence => sequence(t, name, &args, true, out),
        Class::Serial | Class::Names => strings(t, args).for_each(|i| out.push(object(i, false))),
        // The checks of a domain run, so the type must be recognizable.
        Class::Type => match args.end.checked_sub(1).filter(|last| t.is_string(*last)) {
            Some(last) if t.is(last.wrapping_sub(1), TokenKind::Comma) => out.push(object(last, false)),
            _ => out.push(never(format!("call {name} with a type that is no plain literal"), None)),
        },
        Class::Schemas => strings(t, args).for_each(|i| out.push(Demand::SchemaLiteral(i as u32))),
    }
}

fn object(token: usize, write: bool) -> Demand {
    Demand::ObjectLiteral { token: token as u32, write, by_name: false }
}

/// A sequence that is advanced or set. It must be given by name, because an oid does not show its schema.
fn drawn(token: usize, write: bool) -> Demand {
    Demand::ObjectLiteral { token: token as u32, write, by_name: true }
}

/// The strings among the arguments; strings in nested brackets belong to another call.
fn strings<'a>(t: &'a Tokens<'a>, range: Range<usize>) -> impl Iterator<Item = usize> + 'a {
    let mut at = range.start;
    std::iter::from_fn(move || {
        while at < range.end {
            let i = at;
            // A bracket without a name in front of it only groups.
            let nested =
                t.is(i, TokenKind::Open) && t.kind(i.wrapping_sub(1)).is_some_and(TokenKind::is_word);
            at = if nested { t.behind_close(i, range.end) } else { i + 1 };
            if t.is_string(i) {
                return Some(i);
            }
        }
        None
    })
}

/// `ts_rewrite(query, 'select ..')` runs its text; with three arguments it runs none.
fn rewrite(t: &Tokens<'_>, i: usize, end: usize, out: &mut Vec<Demand>) {
    let close = t.behind_close(i + 1, end);
    let (mut at, mut commas, mut brackets) = (i + 2, 0, 0usize);
    while at < close {
        match t.kind(at) {
            Some(TokenKind::OpenBracket) => brackets += 1,
            Some(TokenKind::CloseBracket) => brackets = brackets.saturating_sub(1),
            Some(TokenKind::Comma) if brackets == 0 => commas += 1,
            _ => {}
        }
        at = if t.is(at, TokenKind::Open) { t.behind_close(at, close) } else { at + 1 };
    }
    if commas != 2 {
        out.push(Demand::Dynamic("call ts_rewrite, which runs text as SQL".into()));
    }
}

fn place(t: &Tokens<'_>, statement: &StatementShape) -> ConfigPlace {
    match statement.kind {
        StatementKind::SetConfig { name, .. } if statement.way == Way::Free && t.is_string(name + 2) => {
            ConfigPlace::Alone
        }
        StatementKind::SetConfig { name, local: false }
            if statement.way == Way::Free && t.is(name + 2, TokenKind::Param) =>
        {
            ConfigPlace::Bound
        }
        StatementKind::SetConfig { name, local: true }
            if statement.way == Way::Free && t.is(name + 2, TokenKind::Param) =>
        {
            ConfigPlace::BoundLocally
        }
        _ if t.kw(statement.tokens.start, "create") => ConfigPlace::Body,
        _ => ConfigPlace::Inside,
    }
}

/// `nextval('s')`: unless the sequence is checked in PostgreSQL, it must be recognizable.
fn sequence(t: &Tokens<'_>, name: &str, args: &Range<usize>, write: bool, out: &mut Vec<Demand>) {
    match sequences::named(t, args) {
        Named::Literal(token) => out.push(drawn(token, write)),
        // For reading, its literals are checked where it is called.
        Named::Serial(table) => out.extend(write.then(|| drawn(table, true))),
        Named::Expression => out.push(not_plain(name)),
    }
}

/// A call of a sequence function that cannot be checked.
pub(crate) fn not_plain(name: &str) -> Demand {
    Demand::Dynamic(format!("call {name} with a sequence that is no plain literal").into())
}

/// `'x'::regclass`, `regclass 'x'`, `CAST('x' AS regclass)`.
fn casts(t: &Tokens<'_>, i: usize, out: &mut Vec<Demand>) {
    // The type may be written as `pg_catalog.regclass`.
    let qualified = i >= 2 && t.is(i - 1, TokenKind::Dot);
    let first = if qualified { i - 2 } else { i };
    let is_prefix = t.is_string(i + 1);
    if !is_prefix && !(first >= 1 && (t.is(first - 1, TokenKind::Cast) || t.kw(first - 1, "as"))) {
        return;
    }
    let Some(name) = t.name(i) else { return };
    let schema = name == "regnamespace";
    if !schema && !NAME_TYPES.contains(&name.as_ref()) {
        return;
    }
    if let Some(at) = if is_prefix { Some(i + 1) } else { behind_cast_chain(t, first - 1) } {
        out.push(if schema { Demand::SchemaLiteral(at as u32) } else { object(at, false) });
    }
}

/// The literal under the casts in front of `at`.
fn behind_cast_chain(t: &Tokens<'_>, mut at: usize) -> Option<usize> {
    // Anything further back counts as an expression: it reaches no rows.
    for _ in 0..32 {
        at = at.checked_sub(1)?;
        if t.is_string(at) {
            return Some(at);
        }
        // Over `)`, and over `::type`.
        if !t.is(at, TokenKind::Close) {
            if !t.kind(at).is_some_and(TokenKind::is_word) || !t.is(at.checked_sub(1)?, TokenKind::Cast) {
                return None;
            }
            at -= 1;
        }
    }
    None
}
