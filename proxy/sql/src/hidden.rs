//! The catalog for a tenant that must not see other tenants' objects: each relation is read through a filter on the
//! schema of the objects.
//!
//! Every relation of the catalog is either listed here or cannot be read. So a relation that a newer PostgreSQL adds
//! stays hidden until it is reviewed.

use std::sync::Arc;

use smallvec::SmallVec;

use pgstrata_tenancy::ident;

use super::guard::check::denied;
use super::lexer::TokenKind;
use super::plan::{Insert, Refusal, Splice};
use super::scope::Scope;
use super::shape::{Alias, Named, Shape, Way};
use super::statistics;
use super::tokens::Tokens;

/// The column by which the schema of a row's object is found.
#[derive(Clone, Copy, Debug)]
enum By {
    /// These columns hold schemas' names.
    Names(&'static [&'static str]),
    /// This column holds a schema's oid.
    Schema(&'static str),
    /// This column holds the oid of a relation.
    Relation(&'static str),
    /// This column holds the oid of a type.
    Type(&'static str),
    /// This column holds the oid of a function; functions of the system schemas are always shown.
    Function(&'static str),
    /// Like `Schema`; 0 means all schemas.
    SchemaOrAll(&'static str),
    /// It is the list of schemas.
    Own,
    /// An object of any kind: a class and an oid.
    Object,
}

const CATALOG: &str = "pg_catalog";
/// Contains a value from rows.
const ATTRIBUTES: &str = "pg_attribute";
const INFORMATION: &str = "information_schema";

/// Relations of `pg_catalog` that are filtered.
const CATALOG_BY: &[(&str, By)] = &[
    ("pg_aggregate", By::Function("aggfnoid")),
    ("pg_amproc", By::Function("amproc")),
    ("pg_attrdef", By::Relation("adrelid")),
    ("pg_attribute", By::Relation("attrelid")),
    ("pg_class", By::Schema("relnamespace")),
    ("pg_collation", By::Schema("collnamespace")),
    ("pg_constraint", By::Schema("connamespace")),
    ("pg_conversion", By::Schema("connamespace")),
    ("pg_default_acl", By::SchemaOrAll("defaclnamespace")),
    ("pg_description", By::Object),
    ("pg_enum", By::Type("enumtypid")),
    ("pg_foreign_table", By::Relation("ftrelid")),
    ("pg_index", By::Relation("indrelid")),
    ("pg_indexes", By::Names(&["schemaname"])),
    ("pg_inherits", By::Relation("inhrelid")),
    ("pg_matviews", By::Names(&["schemaname"])),
    ("pg_namespace", By::Own),
    ("pg_opclass", By::Schema("opcnamespace")),
    ("pg_operator", By::Schema("oprnamespace")),
    ("pg_opfamily", By::Schema("opfnamespace")),
    ("pg_partitioned_table", By::Relation("partrelid")),
    ("pg_policies", By::Names(&["schemaname"])),
    ("pg_policy", By::Relation("polrelid")),
    ("pg_proc", By::Schema("pronamespace")),
    ("pg_publication_namespace", By::Schema("pnnspid")),
    ("pg_publication_rel", By::Relation("prrelid")),
    ("pg_publication_tables", By::Names(&["schemaname"])),
    ("pg_range", By::Type("rngtypid")),
    ("pg_rewrite", By::Relation("ev_class")),
    ("pg_rules", By::Names(&["schemaname"])),
    ("pg_seclabel", By::Object),
    ("pg_sequence", By::Relation("seqrelid")),
    ("pg_statistic_ext", By::Schema("stxnamespace")),
    ("pg_subscription_rel", By::Relation("srrelid")),
    ("pg_tables", By::Names(&["schemaname"])),
    ("pg_trigger", By::Relation("tgrelid")),
    ("pg_ts_config", By::Schema("cfgnamespace")),
    ("pg_ts_dict", By::Schema("dictnamespace")),
    ("pg_ts_parser", By::Schema("prsnamespace")),
    ("pg_ts_template", By::Schema("tmplnamespace")),
    ("pg_type", By::Schema("typnamespace")),
    ("pg_views", By::Names(&["schemaname"])),
];

/// Relations of `pg_catalog` without objects of schemas.
const CATALOG_OPEN: &[&str] = &[
    "pg_am",
    "pg_amop",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_cast",
    "pg_config",
    "pg_cursors",
    "pg_database",
    "pg_db_role_setting",
    "pg_depend",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_group",
    "pg_init_privs",
    "pg_language",
    "pg_parameter_acl",
    "pg_publication",
    "pg_roles",
    "pg_settings",
    "pg_shdepend",
    "pg_shdescription",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_ts_config_map",
    "pg_user",
    "pg_wait_events",
];

/// Relations of `information_schema` that are filtered.
const INFORMATION_BY: &[(&str, By)] = &[
    ("attributes", By::Names(&["udt_schema"])),
    ("check_constraint_routine_usage", By::Names(&["constraint_schema", "specific_schema"])),
    ("check_constraints", By::Names(&["constraint_schema"])),
    ("collation_character_set_applicability", By::Names(&["collation_schema"])),
    ("collations", By::Names(&["collation_schema"])),
    ("column_column_usage", By::Names(&["table_schema"])),
    ("column_domain_usage", By::Names(&["domain_schema", "table_schema"])),
    ("column_options", By::Names(&["table_schema"])),
    ("column_privileges", By::Names(&["table_schema"])),
    ("column_udt_usage", By::Names(&["udt_schema", "table_schema"])),
    ("columns", By::Names(&["table_schema"])),
    ("constraint_column_usage", By::Names(&["table_schema", "constraint_schema"])),
    ("constraint_table_usage", By::Names(&["table_schema", "constraint_schema"])),
    ("data_type_privileges", By::Names(&["object_schema"])),
    ("domain_constraints", By::Names(&["domain_schema"])),
    ("domain_udt_usage", By::Names(&["domain_schema"])),
    ("domains", By::Names(&["domain_schema"])),
    ("element_types", By::Names(&["object_schema"])),
    ("foreign_table_options", By::Names(&["foreign_table_schema"])),
    ("foreign_tables", By::Names(&["foreign_table_schema"])),
    ("key_column_usage", By::Names(&["table_schema"])),
    ("parameters", By::Names(&["specific_schema"])),
    ("referential_constraints", By::Names(&["constraint_schema"])),
    ("role_column_grants", By::Names(&["table_schema"])),
    ("role_routine_grants", By::Names(&["routine_schema"])),
    ("role_table_grants", By::Names(&["table_schema"])),
    ("role_udt_grants", By::Names(&["udt_schema"])),
    ("role_usage_grants", By::Names(&["object_schema"])),
    ("routine_column_usage", By::Names(&["routine_schema", "table_schema"])),
    ("routine_privileges", By::Names(&["routine_schema"])),
    ("routine_routine_usage", By::Names(&["routine_schema", "specific_schema"])),
    ("routine_sequence_usage", By::Names(&["routine_schema", "sequence_schema"])),
    ("routine_table_usage", By::Names(&["routine_schema", "table_schema"])),
    ("routines", By::Names(&["routine_schema"])),
    ("schemata", By::Names(&["schema_name"])),
    ("sequences", By::Names(&["sequence_schema"])),
    ("table_constraints", By::Names(&["table_schema"])),
    ("table_privileges", By::Names(&["table_schema"])),
    ("tables", By::Names(&["table_schema"])),
    ("transforms", By::Names(&["udt_schema", "specific_schema"])),
    ("triggered_update_columns", By::Names(&["event_object_schema"])),
    ("triggers", By::Names(&["event_object_schema"])),
    ("udt_privileges", By::Names(&["udt_schema"])),
    ("usage_privileges", By::Names(&["object_schema"])),
    ("user_defined_types", By::Names(&["user_defined_type_schema"])),
    ("view_column_usage", By::Names(&["view_schema", "table_schema"])),
    ("view_routine_usage", By::Names(&["table_schema", "specific_schema"])),
    ("view_table_usage", By::Names(&["view_schema", "table_schema"])),
    ("views", By::Names(&["table_schema"])),
];

/// Relations of `information_schema` without objects of schemas.
const INFORMATION_OPEN: &[&str] = &[
    "administrable_role_authorizations",
    "applicable_roles",
    "character_sets",
    "enabled_roles",
    "foreign_data_wrapper_options",
    "foreign_data_wrappers",
    "foreign_server_options",
    "foreign_servers",
    "information_schema_catalog_name",
    "sql_features",
    "sql_implementation_info",
    "sql_parts",
    "sql_sizing",
];

/// Relations that compute definitions, or that contain them for `pg_get_expr`. PostgreSQL locks the objects in a
/// definition until the end of the transaction.
const DEFINITIONS: &[(&str, &str)] = &[
    (CATALOG, "pg_matviews"),
    (CATALOG, "pg_policies"),
    (CATALOG, "pg_policy"),
    (CATALOG, "pg_rewrite"),
    (CATALOG, "pg_rules"),
    (CATALOG, "pg_views"),
    (INFORMATION, "views"),
];

/// Whether a relation (with or without a written schema) computes definitions or counters. Its rows about other
/// tenants are always hidden, and no expression of the client's query is evaluated before the filter.
fn is_filtered_always(schema: Option<&str>, name: &str) -> bool {
    let defines =
        |(of, known): &(&str, &str)| *known == name && (schema.map_or(*of == CATALOG, |s| s == *of));
    DEFINITIONS.iter().any(defines)
        || schema.is_none_or(|schema| schema == CATALOG) && statistics::find(name).is_some()
}

/// The index of the first view of statistics, behind all other filters.
const FIRST_VIEW: usize = CATALOG_BY.len() + INFORMATION_BY.len();

/// How a relation is handled.
enum Cover {
    /// Read as it is.
    Open,
    /// Read through this filter.
    Filtered(u16),
    /// Refused.
    Closed,
}

fn cover(by: &[(&str, By)], open: &[&str], first: usize, name: &str) -> Cover {
    if open.binary_search(&name).is_ok() {
        return Cover::Open;
    }
    let found = by.binary_search_by(|(known, _)| (*known).cmp(name));
    found.ok().and_then(|i| u16::try_from(first + i).ok()).map_or(Cover::Closed, Cover::Filtered)
}

/// How a relation is handled, with or without a written schema.
fn cover_of(schema: Option<&str>, name: &str, scope: &Scope) -> Cover {
    let counts = statistics::find(name).filter(|_| schema.is_none_or(|schema| schema == CATALOG));
    if let Some(index) = counts.and_then(|view| u16::try_from(FIRST_VIEW + view).ok()) {
        return Cover::Filtered(index);
    }
    let is_builtin = || scope.names.as_ref().is_none_or(|names| names.builtin.relations.contains(name));
    match schema {
        Some(INFORMATION) => cover(INFORMATION_BY, INFORMATION_OPEN, CATALOG_BY.len(), name),
        Some(CATALOG) => cover(CATALOG_BY, CATALOG_OPEN, 0, name),
        None if name.starts_with("pg_") => match cover(CATALOG_BY, CATALOG_OPEN, 0, name) {
            // A table of the tenant.
            Cover::Closed if !is_builtin() => Cover::Open,
            known => known,
        },
        _ => Cover::Open,
    }
}

/// The splices that put a filter in front of each relation of the catalog that `shape` reads, in the order of the
/// text; or the reason why it cannot be read.
pub fn filters(shape: &Shape, t: &Tokens<'_>, scope: &Scope) -> Result<SmallVec<[Splice; 4]>, Refusal> {
    let (mut out, mut tableoid): (SmallVec<[Splice; 4]>, _) = (SmallVec::new(), None);
    match shape.way {
        Way::Free => {}
        Way::Names => {
            let bare = shape.relations.iter().map(|named| (None, named));
            let qualified = shape.qualified.iter().map(|q| (Some(&*q.schema), &q.named));
            for (schema, named) in bare.chain(qualified) {
                match cover_of(schema, &named.name, scope) {
                    Cover::Open => {}
                    Cover::Closed => return Err(refusal(&named.name, scope)),
                    Cover::Filtered(index) => {
                        let rows = Insert::Filtered(showing(
                            index,
                            *tableoid.get_or_insert_with(|| asks_for_tableoid(t)),
                        ));
                        let filter = filter(named, schema.is_some(), rows, t);
                        out.extend(filter.ok_or_else(|| refusal(&named.name, scope))?);
                    }
                }
            }
            if !out.is_empty() {
                out.extend((0..t.all.len()).filter_map(|i| bare_column(i, t, scope)));
            }
            out.sort_by_key(|splice| splice.at);
        }
        // The places of relations in the text are not known, so it must not name one.
        Way::Path | Way::Own => {
            let hidden = (0..t.all.len()).find_map(|i| hidden_at(i, t, scope));
            hidden.map_or(Ok(()), |name| Err(refusal(&name, scope)))?;
        }
    }
    Ok(out)
}

/// The splices that put a filter in front of each relation that computes definitions or counters, with or without
/// `hide_other_tenants`.
///
/// # Errors
/// If no filter is possible.
pub fn definitions(shape: &Shape, t: &Tokens<'_>, scope: &Scope) -> Result<SmallVec<[Splice; 4]>, Refusal> {
    let (mut out, mut tableoid): (SmallVec<[Splice; 4]>, _) = (SmallVec::new(), None);
    let refused = |name: &str| {
        let hint = "Read it in a plain SELECT: only then is it known to show nothing of others.";
        denied(scope, &format!("read \"{name}\" in this form"), Some(hint))
    };
    if matches!(shape.way, Way::Path | Way::Own) {
        let found = (0..t.all.len()).find_map(|i| defines_at(i, t));
        return found.map_or(Ok(out), |name| Err(refused(name)));
    }
    let bare = shape.relations.iter().map(|named| (None, named));
    let qualified = shape.qualified.iter().map(|q| (Some(&*q.schema), &q.named));
    for (schema, named) in
        bare.chain(qualified).filter(|(schema, named)| is_filtered_always(*schema, &named.name))
    {
        let rows = match cover_of(Some(schema.unwrap_or(CATALOG)), &named.name, scope) {
            Cover::Filtered(index) => {
                let tableoid = *tableoid.get_or_insert_with(|| asks_for_tableoid(t));
                Insert::Text(subquery(usize::from(showing(index, tableoid)), &visible(scope)).into())
            }
            _ => return Err(refused(&named.name)),
        };
        out.extend(filter(named, schema.is_some(), rows, t).ok_or_else(|| refused(&named.name))?);
    }
    if !out.is_empty() {
        let is_definition = |i: usize| {
            t.name(i)
                .zip(t.name(i + 2))
                .is_some_and(|(schema, name)| is_filtered_always(Some(&*schema), &name))
        };
        out.extend((0..t.all.len()).filter_map(|i| bare_column(i, t, scope).filter(|_| is_definition(i))));
        out.sort_by_key(|splice| splice.at);
    }
    Ok(out)
}

/// The relation at token `i` that computes definitions or counters, if the places of relations in the text are not
/// known.
fn defines_at(i: usize, t: &Tokens<'_>) -> Option<&'static str> {
    let name = t.name(i)?;
    let within = |schema: &str| i >= 2 && t.is(i - 1, TokenKind::Dot) && t.kw(i - 2, schema);
    if let Some(view) = statistics::find(&name).filter(|_| !t.is(i + 1, TokenKind::Open)) {
        return statistics::name(view);
    }
    let found = DEFINITIONS.iter().find(|(_, known)| *known == name)?;
    (found.0 == CATALOG || within(found.0)).then_some(found.1)
}

/// The splices that remove the values of other tenants' rows from `pg_attribute`, in a text that may show them.
///
/// # Errors
/// If the place of the relation in the text is not known.
pub fn missing_values(
    shape: &Shape,
    t: &Tokens<'_>,
    scope: &Scope,
) -> Result<SmallVec<[Splice; 4]>, Refusal> {
    let refused = || {
        let hint = "Name the columns that are wanted; attmissingval holds values of other tenants' rows.";
        denied(scope, "read all of pg_attribute in this form", Some(hint))
    };
    if shape.way != Way::Names {
        return Err(refused());
    }
    let tableoid = if asks_for_tableoid(t) { "tableoid, " } else { "" };
    let rows: Arc<str> = format!(
        "(SELECT {tableoid}* FROM pg_catalog.pg_attribute WHERE attmissingval IS NULL OR {}) ",
        among("attrelid", "pg_class", "rel", &schemas(&visible(scope)))
    )
    .into();
    let bare = shape.relations.iter().map(|named| (None, named));
    let qualified = shape.qualified.iter().map(|q| (Some(&*q.schema), &q.named));
    let mut out: SmallVec<[Splice; 4]> = SmallVec::new();
    for (schema, named) in bare.chain(qualified) {
        if &*named.name == ATTRIBUTES && matches!(schema, None | Some(CATALOG)) {
            let insert = Insert::Text(Arc::clone(&rows));
            out.extend(filter(named, schema.is_some(), insert, t).ok_or_else(refused)?);
        }
    }
    let is_attributes = |i: usize| t.name(i + 2).is_some_and(|name| name == ATTRIBUTES);
    let columns = (0..t.all.len()).filter_map(|i| bare_column(i, t, scope).filter(|_| is_attributes(i)));
    out.extend(columns);
    out.sort_by_key(|splice| splice.at);
    Ok(out)
}

/// `pg_catalog.pg_class.relname`: a subquery has no schema, so its columns cannot be qualified with one.
fn bare_column(i: usize, t: &Tokens<'_>, scope: &Scope) -> Option<Splice> {
    let schema = t.name(i).filter(|_| t.is(i + 1, TokenKind::Dot) && t.is(i + 3, TokenKind::Dot))?;
    let inside = i.checked_sub(1).is_some_and(|before| t.is(before, TokenKind::Dot));
    let filtered = matches!(cover_of(Some(&*schema), &t.name(i + 2)?, scope), Cover::Filtered(_));
    let (start, end) = (t.all.get(i)?.start, t.all.get(i + 2)?.start);
    (filtered && !inside).then(|| Splice {
        at: start as usize,
        cut: end - start,
        insert: Insert::Text("".into()),
    })
}

/// The name of the relation at token `i`, if it cannot be read as it is.
fn hidden_at(i: usize, t: &Tokens<'_>, scope: &Scope) -> Option<String> {
    let name = t.name(i)?;
    let (schema, name) = match &*name {
        INFORMATION if t.is(i + 1, TokenKind::Dot) => (Some(INFORMATION), t.name(i + 2)?),
        // A function's output does not depend on the name.
        _ if t.is(i + 1, TokenKind::Open) || t.is(i + 1, TokenKind::Dot) => return None,
        CATALOG | "pg_temp" | "pg_toast" => return None,
        _ => (None, name),
    };
    (!matches!(cover_of(schema, &name, scope), Cover::Open)).then(|| name.into_owned())
}

/// The splices that replace one relation by its filter; `None` if the grammar does not allow it there, or if a hidden
/// part could end the comment around it.
fn filter(named: &Named, qualified: bool, rows: Insert, t: &Tokens<'_>) -> Option<SmallVec<[Splice; 4]>> {
    let first = named.token as usize;
    let last = first + if qualified { 2 } else { 0 };
    let tokens = t.all.get(first..=last)?;
    let blank = |a: usize, b: usize| t.text.get(a..b).is_some_and(|gap| gap.trim_ascii().is_empty());
    let gaps = tokens.windows(2).all(|pair| match pair {
        [a, b] => blank(a.end as usize, b.start as usize),
        _ => false,
    });
    let plain = tokens.iter().all(|token| token.kind != TokenKind::UnicodeQuoted);
    if !gaps || !plain || first.checked_sub(1).is_some_and(|before| t.kw(before, "only")) {
        return None;
    }
    let (start, end) = (tokens.first()?.start as usize, tokens.last()?.end as usize);
    let name = tokens.last()?.start as usize;
    let splice = Splice::new;
    let mut out = SmallVec::from_iter([splice(start, rows)]);
    match named.alias {
        Alias::Name => {
            out.push(splice(start, Insert::As));
            if qualified {
                out.extend([splice(start, Insert::Open), splice(name, Insert::Close)]);
            }
        }
        Alias::Given => out.extend([splice(start, Insert::Open), splice(end, Insert::Close)]),
        Alias::None | Alias::Fixed => return None,
    }
    Some(out)
}

fn refusal(name: &str, scope: &Scope) -> Refusal {
    let who = match &scope.tenant {
        Some(tenant) => format!("tenant \"{tenant}\""),
        None => "a client with no tenant".into(),
    };
    Refusal {
        code: "42501",
        message: format!("permission denied: {who} may not read \"{name}\" in this form"),
        hint: Some("Other tenants' objects are hidden (tenancy.hide_other_tenants): the catalog is read in plain SELECTs.".into()),
    }
}

/// The number of filters: two for each relation, one of them with `tableoid`.
pub fn count() -> usize {
    2 * relations()
}

fn relations() -> usize {
    FIRST_VIEW + statistics::count()
}

/// Whether the text names `tableoid`. A subquery has no system columns, so the filter then returns it as an ordinary
/// column: `pg_dump` reads it.
fn asks_for_tableoid(t: &Tokens<'_>) -> bool {
    (0..t.all.len()).any(|i| t.name(i).is_some_and(|name| name == "tableoid"))
}

/// The index of a relation's filter, with or without `tableoid`.
fn showing(index: u16, tableoid: bool) -> u16 {
    let more = u16::try_from(relations()).ok().filter(|_| tableoid);
    index + more.unwrap_or(0)
}

/// The schemas whose objects a tenant may see, as an array of names in SQL.
pub fn visible(scope: &Scope) -> String {
    array(scope.path().chain([CATALOG, INFORMATION, "pg_toast"]))
}

fn array<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::from("ARRAY[");
    for (n, name) in names.enumerate() {
        if n > 0 {
            out.push(',');
        }
        ident::push_ascii_literal(&mut out, name);
    }
    out.push_str("]::pg_catalog.name[]");
    out
}

/// Whether a row of `pg_namespace` is one of these schemas, or a schema of temporary tables.
fn own(visible: &str) -> String {
    format!(
        "nspname OPERATOR(pg_catalog.=) ANY ({visible}) OR oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"
    )
}

/// The same as an expression of oids.
fn schemas(visible: &str) -> String {
    format!("ANY (ARRAY(SELECT oid FROM pg_catalog.pg_namespace WHERE {}))", own(visible))
}

/// The oids of the schemas whose objects a tenant may see, as an SQL expression.
pub fn own_schemas(scope: &Scope) -> String {
    schemas(&visible(scope))
}

/// The same for the schemas on its path only.
pub fn path_schemas(scope: &Scope) -> String {
    schemas(&array(scope.path()))
}

/// The same for the schemas whose objects a tenant may write.
pub fn written_schemas(scope: &Scope) -> String {
    schemas(&array(scope.path().filter(|schema| scope.may_write(schema))))
}

/// Whether the column is the oid of an object in these schemas, which `table` lists.
fn among(column: &str, table: &str, prefix: &str, schemas: &str) -> String {
    format!(
        "{column} OPERATOR(pg_catalog.=) ANY (SELECT oid FROM pg_catalog.{table} WHERE {prefix}namespace OPERATOR(pg_catalog.=) {schemas})"
    )
}

/// The subquery that replaces the relation with this index, with a blank behind it.
///
/// All names in it are qualified, so that no object on a tenant's path replaces them.
pub fn subquery(index: usize, visible: &str) -> String {
    let (index, shows_tableoid) = (index % relations(), index >= relations());
    let view = index.checked_sub(FIRST_VIEW).and_then(|view| Some((view, statistics::name(view)?)));
    if let Some((view, name)) = view {
        let condition = statistics::condition(view, visible);
        return format!("(SELECT * FROM {CATALOG}.{name} WHERE {condition} OFFSET 0) ");
    }
    let catalog = CATALOG_BY.get(index).map(|known| (CATALOG, known));
    let information = || INFORMATION_BY.get(index - CATALOG_BY.len()).map(|known| (INFORMATION, known));
    let Some((schema, (relation, by))) = catalog.or_else(information) else {
        return String::new();
    };
    let own = own(visible);
    let schemas = schemas(visible);
    let among = |column: &str, table: &str, prefix: &str| among(column, table, prefix, &schemas);
    let system = |column: &str| format!("{column} OPERATOR(pg_catalog.<) 16384::pg_catalog.oid");
    let condition = match *by {
        By::Names(columns) => {
            let each =
                columns.iter().map(|column| format!("{column} OPERATOR(pg_catalog.=) ANY ({visible})"));
            each.collect::<Vec<_>>().join(" AND ")
        }
        By::Schema(column) => format!("{column} OPERATOR(pg_catalog.=) {schemas}"),
        By::SchemaOrAll(column) => format!(
            "({column} OPERATOR(pg_catalog.=) 0::pg_catalog.oid OR {column} OPERATOR(pg_catalog.=) {schemas})"
        ),
        By::Relation(column) => among(column, "pg_class", "rel"),
        By::Type(column) => among(column, "pg_type", "typ"),
        By::Function(column) => {
            let column = format!("{column}::pg_catalog.oid");
            format!("({} OR {})", system(&column), among(&column, "pg_proc", "pro"))
        }
        By::Own => format!("({own})"),
        By::Object => {
            let of = |class: &str, test: String| {
                format!("classoid OPERATOR(pg_catalog.=) '{class}'::pg_catalog.regclass AND {test}")
            };
            let own = [("pg_class", "rel"), ("pg_type", "typ"), ("pg_proc", "pro"), ("pg_constraint", "con")]
                .map(|(table, prefix)| of(&format!("pg_catalog.{table}"), among("objoid", table, prefix)));
            format!(
                "({} OR {} OR {})",
                system("objoid"),
                own.join(" OR "),
                of("pg_catalog.pg_namespace", format!("objoid OPERATOR(pg_catalog.=) {schemas}"))
            )
        }
    };
    // No expression of the client's query is evaluated before the filter.
    let barrier = if is_filtered_always(Some(schema), relation) { " OFFSET 0" } else { "" };
    // Views have no `tableoid`.
    let tableoid = if shows_tableoid && !matches!(by, By::Names(_)) { "tableoid, " } else { "" };
    format!("(SELECT {tableoid}* FROM {schema}.{relation} WHERE {condition}{barrier}) ")
}

#[cfg(test)]
#[test]
fn lists_are_sorted() {
    assert!(CATALOG_BY.is_sorted_by_key(|known| known.0) && INFORMATION_BY.is_sorted_by_key(|known| known.0));
    assert!(CATALOG_OPEN.is_sorted() && INFORMATION_OPEN.is_sorted());
}
