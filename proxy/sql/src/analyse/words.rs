//! Keywords: which words belong to the grammar, and which cannot be names.

use crate::lexer::TokenKind;
use crate::tokens::Tokens;

/// Words of the grammar of the analysed statements, in upper case and sorted. Any other word that the walk does not
/// reach makes a statement unproven.
const GRAMMAR: &[&str] = &[
    "ALL", "AND", "ANY", "ARRAY", "AS", "ASC", "ASYMMETRIC", "AT", "BERNOULLI", "BETWEEN", "BIGINT", "BIT",
    "BOOL", "BOOLEAN", "BOTH", "BY", "BYTEA", "CASE", "CAST", "CHAR", "CHARACTER", "COLLATE", "CONFLICT",
    "CONSTRAINT", "CROSS", "CUBE", "CURRENT", "CURRENT_CATALOG", "CURRENT_DATE", "CURRENT_TIME",
    "CURRENT_TIMESTAMP", "DATE", "DAY", "DEC", "DECIMAL", "DEFAULT", "DELETE", "DESC", "DISTINCT", "DO",
    "DOUBLE", "ELSE", "END", "ESCAPE", "EXCEPT", "EXISTS", "EXTRACT", "FALSE", "FETCH", "FILTER", "FIRST",
    "FLOAT", "FLOAT4", "FLOAT8", "FOLLOWING", "FOR", "FROM", "FULL", "GROUP", "GROUPING", "GROUPS", "HAVING",
    "HOUR", "ILIKE", "IN", "INNER", "INSERT", "INT", "INT2", "INT4", "INT8", "INTEGER", "INTERSECT",
    "INTERVAL", "INTO", "IS", "ISNULL", "JOIN", "JSON", "JSONB", "KEY", "LAST", "LATERAL", "LEADING", "LEFT",
    "LIKE", "LIMIT", "LOCALTIME", "LOCALTIMESTAMP", "LOCKED", "MATCHED", "MATERIALIZED", "MERGE", "MINUTE",
    "MONTH", "NATURAL", "NEXT", "NO", "NOT", "NOTHING", "NOTNULL", "NOWAIT", "NULL", "NULLS", "NUMERIC",
    "OF", "OFFSET", "ON", "ONLY", "OR", "ORDER", "ORDINALITY", "OUTER", "OVER", "OVERLAPS", "OVERLAY",
    "OVERRIDING", "PARTITION", "PLACING", "POSITION", "PRECEDING", "PRECISION", "RANGE", "REAL", "RECURSIVE",
    "REPEATABLE", "RETURNING", "RIGHT", "ROLLUP", "ROW", "ROWS", "SECOND", "SELECT", "SET", "SETS", "SHARE",
    "SIMILAR", "SKIP", "SMALLINT", "SOME", "SUBSTRING", "SYMMETRIC", "SYSTEM", "TABLESAMPLE", "TEXT", "THEN",
    "TIES", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMETZ", "TO", "TRAILING", "TRIM", "TRUE", "TSQUERY",
    "TSVECTOR", "UNBOUNDED", "UNION", "UNIQUE", "UNKNOWN", "UPDATE", "USING", "UUID", "VALUE", "VALUES",
    "VARBIT", "VARCHAR", "VARIADIC", "VARYING", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN", "WITHOUT",
    "YEAR", "ZONE",
];

/// Whether a word may belong to the grammar rather than be a name.
pub(super) fn is_grammar(raw: &[u8]) -> bool {
    let upper = raw.to_ascii_uppercase();
    GRAMMAR.binary_search_by(|word| word.as_bytes().cmp(&upper)).is_ok()
}

/// Words that PostgreSQL takes for no column and no relation, sorted; those that stand for
/// a value (`CURRENT_USER`, `DEFAULT`) are left out.
/// Source: <https://www.postgresql.org/docs/current/sql-keywords-appendix.html>
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "as", "asc", "asymmetric", "both", "case", "cast", "check",
    "collate", "column", "constraint", "create", "deferrable", "desc", "distinct", "do", "else", "end",
    "except", "false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in", "initially",
    "intersect", "into", "lateral", "leading", "limit", "not", "null", "offset", "on", "only", "or", "order",
    "placing", "primary", "references", "returning", "select", "some", "symmetric", "table", "then", "to",
    "trailing", "true", "union", "unique", "using", "variadic", "when", "where", "window", "with",
];

/// Words that may name only functions and types, sorted.
const FUNCTION_OR_TYPE: &[&str] = &[
    "authorization", "binary", "collation", "concurrently", "cross", "freeze", "full", "ilike", "inner",
    "is", "isnull", "join", "left", "like", "natural", "notnull", "outer", "overlaps", "right", "similar",
    "tablesample", "verbose",
];

/// Whether PostgreSQL cannot read word `i` as a name at its place, whatever sqlparser does.
pub(super) fn is_no_name(t: &Tokens<'_>, i: usize) -> bool {
    let before = i.wrapping_sub(1);
    // Behind a dot and behind AS, any word is a label.
    if !t.is(i, TokenKind::Word) || t.is(before, TokenKind::Dot) || t.kw(before, "as") {
        return false;
    }
    let lower = t.raw(i).to_ascii_lowercase();
    let among = |list: &[&str]| list.binary_search_by(|word| word.as_bytes().cmp(&lower)).is_ok();
    among(RESERVED) || among(FUNCTION_OR_TYPE) && !t.is(i + 1, TokenKind::Open)
}

#[cfg(test)]
#[test]
fn words_are_sorted() {
    assert!([GRAMMAR, RESERVED, FUNCTION_OR_TYPE].iter().all(|list| list.is_sorted()));
}
