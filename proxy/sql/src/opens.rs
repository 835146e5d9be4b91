//! Functions of the catalog that open the object in their argument, and hold its locks until the end of the
//! transaction. For example, reading a view's definition locks all relations in it. For another tenant's object, the
//! argument becomes NULL, so that no tenant delays another tenant's DDL.
//!
//! The same applies to sequence functions with an expression as the argument: only PostgreSQL knows the sequence, at
//! run time. Another tenant's sequence does not exist, like one that was never created.

use super::hidden;
use super::lexer::TokenKind;
use super::scope::Scope;
use super::statistics;
use super::tokens::Tokens;

/// The object in the first argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// A relation, by its oid or by its name in a string.
    Relation,
    /// A relation, by its oid as `regclass`.
    Class,
    /// A rule, by its oid.
    Rule,
    /// A function, by its oid.
    Function,
    /// A relation whose statistics are read, by its oid.
    Counted,
    /// A function whose statistics are read, by its oid.
    Called,
    /// A sequence that is read or advanced, by its name in a string or by its oid.
    Sequence,
    /// A sequence that is set.
    Setting,
    /// A table whose sequence is returned, by its name in a string.
    Owner,
}

/// The kind of object that the function of `pg_catalog` with this name opens.
pub fn by(name: &str) -> Option<Opens> {
    Some(match name {
        "pg_get_viewdef" => Opens::Relation,
        "pg_partition_tree" | "pg_get_partition_constraintdef" => Opens::Class,
        "pg_get_ruledef" => Opens::Rule,
        "pg_get_functiondef" | "pg_get_function_sqlbody" => Opens::Function,
        name if statistics::counts_relation(name) => Opens::Counted,
        name if statistics::counts_function(name) => Opens::Called,
        _ => return None,
    })
}

/// The kind of object that the call at token `i` opens.
pub fn of(t: &Tokens<'_>, i: usize, name: &str) -> Option<Opens> {
    by(name).filter(|_| is_builtin(t, i))
}

/// Whether the name at token `i` has no written schema, or `pg_catalog`.
pub fn is_builtin(t: &Tokens<'_>, i: usize) -> bool {
    let qualified = i >= 2 && t.is(i - 1, TokenKind::Dot);
    !qualified || t.name(i - 2).is_some_and(|schema| schema == "pg_catalog")
}

impl Opens {
    /// The SQL around the argument. The argument is evaluated once, in a separate subquery without a FROM, so that
    /// its names cannot refer to the proxy's.
    pub fn around(self, scope: &Scope) -> (String, String) {
        match self {
            Self::Sequence => by_name(&hidden::own_schemas(scope), "", ""),
            Self::Setting => by_name(&hidden::written_schemas(scope), "", ""),
            Self::Owner => {
                // If the whole catalog is visible, it is read table by table: tables of others then have no sequence.
                let other = " WHEN pg_catalog.to_regclass(w.x) IS NOT NULL THEN NULL";
                let other = if scope.hide_others { "" } else { other };
                by_name(&hidden::own_schemas(scope), "::pg_catalog.text", other)
            }
            _ => self.or_null(scope),
        }
    }

    /// The argument, or NULL if it is another tenant's.
    fn or_null(self, scope: &Scope) -> (String, String) {
        // Text is cast to `regclass` as a name only; `bpchar` keeps the written form, numbers included.
        let (read, table, schema) = match self {
            Self::Relation => (
                "::pg_catalog.text::pg_catalog.bpchar::pg_catalog.regclass::pg_catalog.oid",
                "pg_class",
                "relnamespace",
            ),
            Self::Class => ("::pg_catalog.regclass::pg_catalog.oid", "pg_class", "relnamespace"),
            Self::Rule => ("::pg_catalog.oid", "pg_rewrite", ""),
            Self::Counted => ("::pg_catalog.oid", "pg_class", "relnamespace"),
            _ => ("::pg_catalog.oid", "pg_proc", "pronamespace"),
        };
        let schemas = match self {
            // The statistics of the catalog itself cover all tenants.
            Self::Counted | Self::Called => hidden::path_schemas(scope),
            _ => hidden::own_schemas(scope),
        };
        let own = match self {
            Self::Rule => format!(
                "EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r, pg_catalog.pg_class c WHERE r.oid \
                 OPERATOR(pg_catalog.=) w.x AND c.oid OPERATOR(pg_catalog.=) r.ev_class \
                 AND c.relnamespace OPERATOR(pg_catalog.=) {schemas})"
            ),
            _ => format!(
                "EXISTS (SELECT 1 FROM pg_catalog.{table} o WHERE o.oid OPERATOR(pg_catalog.=) w.x \
                 AND o.{schema} OPERATOR(pg_catalog.=) {schemas})"
            ),
        };
        ("(SELECT w.x FROM (SELECT (".into(), format!("){read} AS x OFFSET 0) AS w WHERE {own})"))
    }
}

/// The SQL around a relation's name or oid. It returns the relation as `regclass` and `cast` if it is in one of these
/// schemas. `other` is an additional case; every other relation does not exist (42P01), whether it belongs to another
/// tenant or to none.
///
/// A cast to `regclass` raises that error. If the cast would find a relation with the name, such as a sequence that
/// must not be set, a suffix makes the name one that does not exist.
fn by_name(schemas: &str, cast: &str, other: &str) -> (String, String) {
    let fails =
        |name: &str| format!(" WHEN pg_catalog.quote_ident({name})::pg_catalog.regclass IS NULL THEN NULL");
    let name = "pg_catalog.replace(w.x, '\"', '')";
    let (missing, barred) = (fails(name), fails(&format!("pg_catalog.concat({name}, ' (not your own)')")));
    let begin = format!(
        "(SELECT CASE WHEN o.oid IS NOT NULL THEN o.oid::pg_catalog.regclass{cast}{other}\
         {missing}{barred} END FROM (SELECT ("
    );
    let end = format!(
        ")::pg_catalog.text COLLATE pg_catalog.\"C\" AS x OFFSET 0) AS w LEFT JOIN pg_catalog.pg_class AS o \
         ON o.oid OPERATOR(pg_catalog.=) CASE WHEN w.x OPERATOR(pg_catalog.~) '^[0-9]+$' THEN w.x::pg_catalog.oid \
         ELSE pg_catalog.to_regclass(w.x)::pg_catalog.oid END AND o.relnamespace OPERATOR(pg_catalog.=) {schemas})"
    );
    (begin, end)
}
