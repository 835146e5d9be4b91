//! Names, values and calls that mean something in the world of the fuzzers, in all their spellings.

use super::random::Random;

/// What the tenant's schema holds, and what it may read of others.
const RELATIONS: &[&str] = &[
    "users", "users", "users", "items", "items", "posts", "cheap", "summary", "parts", "parts_a", "tickets",
    "plans", "plans", "notices", "\"Odd Name\"", "made", "made2", "pg_class", "pg_settings", "pg_namespace",
];
/// What another tenant has.
const OTHERS: &[&str] = &[
    "users", "users", "ledger", "users_id_seq", "tokens", "peek", "mood", "tell", "summary", "===", "by_name",
];
const COLUMNS: &[&str] = &[
    "id", "id", "name", "name", "secret", "user_id", "title", "price", "tags", "data", "kind", "note",
    "made", "ctid", "xmin", "tableoid",
];
const SIMPLE: &[&str] = &[
    "a", "b", "t", "x", "made", "made2", "users", "items", "globex", "acme_corp", "public", "u", "g",
    "cheap", "f", "\"Q\"", "\"sel;ect\"", "\"a\"\"b\"", "é", "_", "p", "c1", "tenant", "search_path", "role",
    "app",
];
const TYPES: &[&str] = &[
    "int", "int4", "bigint", "text", "text", "varchar(9)", "numeric", "bool", "date", "timestamptz", "jsonb",
    "xml", "regclass", "regproc", "regtype", "regnamespace", "oid", "bytea", "int4range", "int[]", "text[]",
    "mood", "small", "users", "record", "tsvector", "name", "\"char\"", "uuid", "interval", "point",
];
const FUNCTIONS: &[&str] = &[
    "lower", "count", "max", "length", "tell", "title_count", "now", "coalesce2", "generate_series",
    "nextval", "set_config", "current_setting", "query_to_xml", "to_regclass", "pg_notify", "note", "md5",
    "unnest", "int4pl", "int4in", "textcat", "lastval", "pg_sleep", "json_agg", "add_up", "range_sub",
    "btint4cmp", "int4eq", "pg_get_viewdef",
];
const KEYWORDS: &[&str] = &[
    "case", "end", "begin", "atomic", "select", "from", "table", "as", "on", "in", "set", "to", "only",
    "values", "with", "window", "union", "trigger", "language", "return", "returns", "do", "execute", "into",
    "copy", "stdin", "not", "null", "array", "row", "user", "grouping", "lateral", "isnull", "over",
    "filter", "collate", "is", "when", "then", "else", "for", "update", "using", "merge", "matched",
    "commit", "rollback", "function", "procedure",
];
const OPERATORS: &[&str] = &[
    "=", "<>", "<", ">", "+", "-", "*", "/", "||", "~", "~*", "@>", "->", "->>", "#>", "&&", "|/", "!!",
    "@-@", "?", "===", "<->", "^", "%", "&", "|", "#", "!=", ">=", "-|-", "@@", "+ +", "- -", "*-", "/ *",
    "<@", "?|",
];

/// A blank, in one of its forms.
pub fn blank(random: &mut Random) -> &'static str {
    match random.below(40) {
        0 => "\n",
        1 => "\t",
        2 => "/**/",
        3 => "/* ; ' */",
        4 => "-- ' ; \"\n",
        5 => "/* /* ; */ */ ",
        6 => "\r\n",
        7 => "\u{b}",
        _ => " ",
    }
}

/// The other tenant's schema, in one of its spellings.
pub fn other(random: &mut Random) -> &'static str {
    const SPELLINGS: &[&str] = &[
        "globex", "globex", "globex", "\"globex\"", "GLOBEX", "Globex", "U&\"globex\"", "u&\"glob\\0065x\"",
        "app.globex", "\"app\".\"globex\"", "U&\"!0067lobex\" UESCAPE '!'", "U&\"glob\\+000065x\"",
    ];
    random.pick(SPELLINGS)
}

/// Between the parts of a name.
fn dot(random: &mut Random) -> &'static str {
    const DOTS: &[&str] = &[".", ".", ".", ".", ".", " . ", ".\n", "/**/.", ". --;\n ", "./*'*/"];
    random.pick(DOTS)
}

/// Something of the other tenant's, with its schema.
pub fn others(random: &mut Random) -> String {
    format!("{}{}{}", other(random), dot(random), random.pick(OTHERS))
}

/// Now and then in front of a name.
fn schema(random: &mut Random, named: &str) -> String {
    let schema = match random.below(100) {
        0..83 => return named.to_owned(),
        83..89 => "acme_corp",
        89..92 => "public",
        92..95 => "pg_catalog",
        95..97 => "pg_temp",
        _ => other(random),
    };
    format!("{schema}{}{named}", dot(random))
}

/// A relation's name.
pub fn relation(random: &mut Random) -> String {
    if random.chance(2) {
        return others(random);
    }
    let named = random.pick(RELATIONS);
    schema(random, named)
}

/// The name of anything that can be in a schema.
pub fn any(random: &mut Random) -> String {
    let named = match random.below(6) {
        0 => random.pick(RELATIONS),
        1 => random.pick(FUNCTIONS),
        2 => random.pick(OTHERS),
        _ => random.pick(SIMPLE),
    };
    schema(random, named)
}

/// A function's name.
pub fn function(random: &mut Random) -> String {
    let named = random.pick(FUNCTIONS);
    schema(random, named)
}

/// A type's name.
pub fn data_type(random: &mut Random) -> String {
    let named = random.pick(TYPES);
    schema(random, named)
}

/// A column, or an alias and a column.
pub fn column(random: &mut Random) -> String {
    let named = random.pick(COLUMNS);
    match random.below(12) {
        0 => format!("u.{named}"),
        1 => format!("users.{named}"),
        2 => "*".to_owned(),
        3 if random.chance(20) => format!("{}.{named}", others(random)),
        4 => "u.*".to_owned(),
        _ => named.to_owned(),
    }
}

/// A name with no dots, a keyword now and then.
pub fn simple(random: &mut Random) -> String {
    match random.below(100) {
        0..8 => keyword(random).to_owned(),
        8..12 => format!("\"{}\"", keyword(random)),
        12 => "n".repeat(62 + random.below(4)),
        _ => random.pick(SIMPLE).to_owned(),
    }
}

/// A word of the grammar.
pub fn keyword(random: &mut Random) -> &'static str {
    random.pick(KEYWORDS)
}

/// An operator.
pub fn operator(random: &mut Random) -> &'static str {
    random.pick(OPERATORS)
}

/// A role's name.
pub fn role(random: &mut Random) -> &'static str {
    const ROLES: &[&str] =
        &["app", "tenant_globex", "tenant_acme_corp", "public", "current_user", "session_user", "none"];
    random.pick(ROLES)
}

/// A string, which often names something, in one of its spellings.
pub fn string(random: &mut Random) -> String {
    const TEXTS: &[&str] = &[
        "globex.users",
        "globex.users",
        "globex.users_id_seq",
        "globex.tell()",
        "globex",
        "globex,public",
        "search_path",
        "role",
        "users",
        "tickets",
        "users_id_seq",
        "select secret from globex.users",
        "select 1",
        "a",
        "",
        "1",
        "{1,2}",
        "2026-01-01",
        "on",
        "sql",
        "plpgsql",
        "it's",
        "\\",
        "{\"a\":1}",
        "[1,2]",
        "pg_settings",
        "{globex.users}",
        "english",
        "globex.===(int,int)",
        "tenant_globex",
        "$.a",
        "<a/>",
        "app.secret",
        "orders",
        "off",
        "none",
        "serializable",
    ];
    let text = random.pick(TEXTS);
    spelt(random, text)
}

/// A string that names something of the other tenant's.
pub fn strange(random: &mut Random) -> String {
    const TEXTS: &[&str] = &[
        "globex.users",
        "globex.users_id_seq",
        "globex.tokens",
        "globex.tell()",
        "globex",
        "globex.mood",
        "globex.===(int4,int4)",
        "select secret from globex.users",
        "\"globex\".\"users\"",
        "{globex.users}",
        "globex, public",
    ];
    let text = random.pick(TEXTS);
    spelt(random, text)
}

/// A string of this value.
pub fn spelt(random: &mut Random, text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match random.below(20) {
        0 => format!("E'{}'", doubled.replace('\\', "\\\\")),
        1 => format!("$${text}$$"),
        2 => format!("$q${text}$q$"),
        3 => format!("U&'{}'", doubled.replace('\\', "\\\\").replace('x', "\\0078")),
        4 if text.len() > 2 && text.is_ascii() && !text.contains('\'') => {
            format!("'{}'\n'{}'", &text[..text.len() / 2], &text[text.len() / 2..])
        }
        5 => format!("N'{doubled}'"),
        6 if !text.contains('\'') && text.len() > 2 && text.is_ascii() => {
            format!("'{}' || '{}'", &text[..2], &text[2..])
        }
        7 => format!("text '{doubled}'"),
        8 => format!("'{doubled}'::regclass"),
        9 => format!("cast('{doubled}' as text)"),
        _ => format!("'{doubled}'"),
    }
}

/// A number.
pub fn number(random: &mut Random) -> &'static str {
    const NUMBERS: &[&str] = &["1", "1", "2", "0", "3", "10", "100", "7", "1", "5", "2147483647", "-1"];
    random.pick(NUMBERS)
}
