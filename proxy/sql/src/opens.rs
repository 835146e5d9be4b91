//! Functions of the catalog that open what their argument names, and keep its locks until the transaction ends: a
//! view's definition locks all relations in it. Their argument becomes NULL where it is another tenant's, so that
//! no tenant delays another's DDL by reading about it.

use super::hidden;
use super::lexer::TokenKind;
use super::scope::Scope;
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
}

/// What the function of `pg_catalog` with this name opens for good.
pub fn by(name: &str) -> Option<Opens> {
    Some(match name {
        "pg_get_viewdef" => Opens::Relation,
        "pg_partition_tree" => Opens::Class,
        "pg_get_ruledef" => Opens::Rule,
        "pg_get_functiondef" | "pg_get_function_sqlbody" => Opens::Function,
        _ => return None,
    })
}

/// What the call at token `i` opens, where no other schema than `pg_catalog` is written in front of `name`.
pub fn of(t: &Tokens<'_>, i: usize, name: &str) -> Option<Opens> {
    let opens = by(name)?;
    let qualified = i >= 2 && t.is(i - 1, TokenKind::Dot);
    (!qualified || t.name(i - 2).is_some_and(|schema| schema == "pg_catalog")).then_some(opens)
}

impl Opens {
    /// What stands around the argument. It is evaluated once, in a subquery of its own without a FROM, where no name
    /// in it can be taken for one of ours.
    pub fn around(self, scope: &Scope) -> (String, String) {
        // Text is cast to `regclass` as a name alone; `bpchar` is read as what is written, a number too.
        let (read, table, schema) = match self {
            Self::Relation => (
                "::pg_catalog.text::pg_catalog.bpchar::pg_catalog.regclass::pg_catalog.oid",
                "pg_class",
                "relnamespace",
            ),
            Self::Class => ("::pg_catalog.regclass::pg_catalog.oid", "pg_class", "relnamespace"),
            Self::Rule => ("::pg_catalog.oid", "pg_rewrite", ""),
            Self::Function => ("::pg_catalog.oid", "pg_proc", "pronamespace"),
        };
        let schemas = hidden::own_schemas(scope);
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
