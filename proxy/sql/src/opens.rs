//! Functions of the catalog that open what their argument names, and keep its locks until the transaction ends: a
//! view's definition locks all relations in it. Their argument becomes NULL where it is another tenant's, so that
//! no tenant delays another's DDL by reading about it.
//!
//! So it is with functions of sequences that take an expression: which sequence that is, only PostgreSQL knows, when
//! it runs. Another tenant's does not exist, as one that nobody has made does not.

use super::hidden;
use super::lexer::TokenKind;
use super::scope::Scope;
use super::statistics;
use super::tokens::Tokens;

/// What the first argument of a function names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// A relation, by its oid or by its name in a text.
    Relation,
    /// A relation, by its oid as `regclass`.
    Class,
    /// A rule, by its oid.
    Rule,
    /// A function, by its oid.
    Function,
    /// A relation whose uses are counted, by its oid.
    Counted,
    /// A function, likewise.
    Called,
    /// A sequence that is read or drawn from, by its name in a text or by its oid.
    Sequence,
    /// A sequence that is set.
    Setting,
    /// A table whose sequence is asked for, by its name in a text.
    Owner,
}

/// What the function of `pg_catalog` with this name opens for good.
pub fn by(name: &str) -> Option<Opens> {
    Some(match name {
        "pg_get_viewdef" => Opens::Relation,
        "pg_partition_tree" => Opens::Class,
        "pg_get_ruledef" => Opens::Rule,
        "pg_get_functiondef" | "pg_get_function_sqlbody" => Opens::Function,
        name if statistics::counts_relation(name) => Opens::Counted,
        name if statistics::counts_function(name) => Opens::Called,
        _ => return None,
    })
}

/// What the call at token `i` opens.
pub fn of(t: &Tokens<'_>, i: usize, name: &str) -> Option<Opens> {
    by(name).filter(|_| is_builtin(t, i))
}

/// Whether no other schema than `pg_catalog` is written in front of the name at token `i`.
pub fn is_builtin(t: &Tokens<'_>, i: usize) -> bool {
    let qualified = i >= 2 && t.is(i - 1, TokenKind::Dot);
    !qualified || t.name(i - 2).is_some_and(|schema| schema == "pg_catalog")
}

impl Opens {
    /// What stands around the argument. It is evaluated once, in a subquery of its own without a FROM, where no name
    /// in it can be taken for one of ours.
    pub fn around(self, scope: &Scope) -> (String, String) {
        match self {
            Self::Sequence => by_name(&hidden::own_schemas(scope), "", ""),
            Self::Setting => by_name(&hidden::written_schemas(scope), "", ""),
            Self::Owner => {
                // Where all of the catalog is shown, it is read table by table: others' have no sequence then.
                let other = " WHEN pg_catalog.to_regclass(w.x) IS NOT NULL THEN NULL";
                let other = if scope.hide_others { "" } else { other };
                by_name(&hidden::own_schemas(scope), "::pg_catalog.text", other)
            }
            _ => self.or_null(scope),
        }
    }

    /// The argument, or NULL if it is another tenant's.
    fn or_null(self, scope: &Scope) -> (String, String) {
        // Text is cast to `regclass` as a name alone; `bpchar` is read as what is written, a number too.
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
            // What is counted of the catalog itself is of all tenants.
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

/// What stands around a relation's name or oid, to get it as `regclass` and `cast` if it is in one of these schemas. `other` is
/// what else may come of it; all that is left does not exist (42P01), whether another tenant has it or nobody.
///
/// A cast to `regclass` is what raises that. Where it finds something under the name, a sequence that is not to be
/// set, it is tried with a word behind the name that says so.
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
