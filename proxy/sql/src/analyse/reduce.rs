//! Syntax that sqlparser does not know and does not need: it gets a simpler text with the same names.
//!
//! The removed or replaced parts contain no name that PostgreSQL would resolve: only keywords, literals, and names of
//! columns, cursors and aliases. If a part is removed wrongly, sqlparser may fail, and the statement then uses the
//! search path.

use std::ops::Range;

use sqlparser::tokenizer::Token as Fed;

use crate::lexer::TokenKind;
use crate::tokens::Tokens;

/// Replaces the tokens up to `end`.
pub(super) struct Reduced {
    pub(super) end: usize,
    pub(super) instead: &'static [Instead],
    /// The last replaced token is a bracket; the closing bracket is replaced by this.
    pub(super) closing: Option<&'static [Instead]>,
    /// Functions that are called in the replaced part.
    pub(super) calls: Vec<usize>,
}

/// The replacement of tokens.
pub(super) enum Instead {
    Word(&'static str),
    Star,
    One,
    Eq,
    Open,
    Close,
}

impl Instead {
    pub(super) fn token(&self) -> Fed {
        match self {
            Instead::Word(word) => Fed::make_word(word, None),
            Instead::Star => Fed::Mul,
            Instead::One => Fed::Number("1".into(), false),
            Instead::Eq => Fed::Eq,
            Instead::Open => Fed::LParen,
            Instead::Close => Fed::RParen,
        }
    }
}

const NOTHING: &[Instead] = &[];
const IS_NULL: &[Instead] = &[Instead::Word("IS"), Instead::Word("NULL")];
const TRUE: &[Instead] = &[Instead::Word("TRUE")];
const ONE: &[Instead] = &[Instead::One];
const EQUALS: &[Instead] = &[Instead::Eq];
const SELECT_ONE: &[Instead] = &[Instead::Word("SELECT"), Instead::One];
const SELECT_FROM: &[Instead] = &[Instead::Word("SELECT"), Instead::Star, Instead::Word("FROM")];
const CLOSE: &[Instead] = &[Instead::Close];
const CLOSE_BOTH: &[Instead] = &[Instead::Close, Instead::Close];
const OPEN_ONE: &[Instead] = &[Instead::Open, Instead::One];
const SUBQUERY: &[Instead] = &[Instead::Open, Instead::Word("SELECT"), Instead::One, Instead::Close];
const VALUES_QUERY: &[Instead] =
    &[Instead::Open, Instead::Word("SELECT"), Instead::Star, Instead::Word("FROM"), Instead::Open];
const MATCHED: &[Instead] = &[Instead::Word("MATCHED")];
const VALUES: &[Instead] = &[Instead::Word("VALUES"), Instead::Open, Instead::One, Instead::Close];
const ROWS: &[Instead] = &[Instead::Open, Instead::Word("SELECT"), Instead::One, Instead::Word("FROM")];

/// The part to remove or replace at token `i` of statement `range`.
pub(super) fn reduce(t: &Tokens<'_>, i: usize, range: &Range<usize>) -> Option<Reduced> {
    let at = At { t, i, hi: range.end };
    match t.kind(i)? {
        TokenKind::Word => at.word(),
        TokenKind::OpenBracket => at.subscript(),
        TokenKind::Open => at.open(),
        _ => None,
    }
}

struct At<'a> {
    t: &'a Tokens<'a>,
    i: usize,
    hi: usize,
}

/// Removes the tokens before `end`.
fn cut(end: usize) -> Option<Reduced> {
    put(end, NOTHING)
}

fn put(end: usize, instead: &'static [Instead]) -> Option<Reduced> {
    Some(Reduced { end, instead, closing: None, calls: Vec::new() })
}

impl At<'_> {
    /// Whether the token `n` further is this keyword.
    fn kw(&self, n: usize, keyword: &str) -> bool {
        self.i + n < self.hi && self.t.kw(self.i + n, keyword)
    }

    fn kws(&self, n: usize, keywords: &[&str]) -> bool {
        self.i + n + keywords.len() <= self.hi && self.t.kws(self.i + n, keywords)
    }

    fn any(&self, n: usize, keywords: &[&str]) -> bool {
        self.i + n < self.hi && self.t.any_kw(self.i + n, keywords)
    }

    fn kind(&self, n: usize) -> Option<TokenKind> {
        self.t.kind(self.i + n).filter(|_| self.i + n < self.hi)
    }

    fn is(&self, n: usize, kind: TokenKind) -> bool {
        self.kind(n) == Some(kind)
    }

    fn is_word(&self, n: usize) -> bool {
        self.kind(n).is_some_and(TokenKind::is_word)
    }

    fn before(&self) -> usize {
        self.i.wrapping_sub(1)
    }

    fn before_is(&self, keywords: &[&str]) -> bool {
        self.t.any_kw(self.before(), keywords)
    }

    /// `OPERATOR(pg_catalog.+)`: independent of the path.
    fn operator(&self) -> Option<Reduced> {
        let schema = self.t.name(self.i + 2).filter(|_| self.is(1, TokenKind::Open));
        let whole = self.is(3, TokenKind::Dot) && self.is(4, TokenKind::Op) && self.is(5, TokenKind::Close);
        (whole && schema.as_deref() == Some("pg_catalog")).then(|| put(self.i + 6, EQUALS))?
    }

    fn word(&self) -> Option<Reduced> {
        // Behind a dot, and behind AS, any keyword is a name.
        if self.t.is(self.before(), TokenKind::Dot) || self.before_is(&["as"]) {
            return None;
        }
        match self.t.raw(self.i).to_ascii_lowercase().as_slice() {
            b"for" => self.locking(),
            b"only" => self.only(),
            b"table" => self.table(),
            b"select" => self.select(),
            b"tablesample" => self.sample(),
            b"current" => self.current_of(),
            b"overriding" => {
                (self.any(1, &["system", "user"]) && self.kw(2, "value")).then(|| cut(self.i + 3))?
            }
            b"is" => self.is_something(),
            b"isnull" | b"notnull" => self.postfix(),
            b"overlaps" => (self.t.is(self.before(), TokenKind::Close) && self.is(1, TokenKind::Open))
                .then(|| put(self.i + 1, EQUALS))?,
            b"operator" => self.operator(),
            b"rows" => self.rows_from().or_else(|| self.offset_rows()),
            b"with" => self.ordinality(),
            b"search" | b"cycle" => self.behind_cte(),
            b"all" if self.before_is(&["like", "ilike"]) => cut(self.i + 1),
            b"distinct" | b"all" => (self.before_is(&["by"]) && self.t.kw(self.i.wrapping_sub(2), "group"))
                .then(|| cut(self.i + 1))?,
            b"limit" => self.kw(1, "all").then(|| cut(self.i + 2))?,
            b"fetch" => self.fetch(),
            b"row" => self.offset_rows(),
            b"interval" => self.interval(),
            b"any" | b"some" if self.before_is(&["like", "ilike"]) => cut(self.i + 1),
            b"symmetric" | b"asymmetric" if self.before_is(&["between"]) => cut(self.i + 1),
            b"exclude" if self.before_is(&["row", "following", "preceding"]) => self.exclusion(),
            b"variadic" => cut(self.i + 1),
            b"not" if self.kws(1, &["matched", "by", "source"]) => put(self.i + 4, MATCHED),
            b"by" if self.before_is(&["matched"]) && self.kw(1, "target") => cut(self.i + 2),
            b"default" if self.before_is(&["insert"]) && self.kw(1, "values") => put(self.i + 2, VALUES),
            b"current_date" | b"current_time" | b"current_timestamp" | b"current_user" | b"current_role"
            | b"session_user" | b"localtime" | b"localtimestamp"
                if self.before_is(&["from", "join", "lateral"]) =>
            {
                put(self.i + 1, SUBQUERY)
            }
            b"xmlelement" if self.is(1, TokenKind::Open) && self.kw(2, "name") && self.is_word(3) => {
                put(self.i + 4, OPEN_ONE)
            }
            b"cube" | b"rollup" if self.is_grouping_set() => cut(self.i + 1),
            _ => self.typed_literal(),
        }
    }

    /// `FOR UPDATE OF a, b NOWAIT`: the names are aliases.
    fn locking(&self) -> Option<Reduced> {
        let mut n = match () {
            () if self.any(1, &["update", "share"]) => 2,
            () if self.kws(1, &["key", "share"]) => 3,
            () if self.kws(1, &["no", "key", "update"]) => 4,
            () => return None,
        };
        if self.kw(n, "of") && self.is_word(n + 1) {
            n += 2;
            while self.is(n, TokenKind::Comma) && self.is_word(n + 1) {
                n += 2;
            }
        }
        n += usize::from(self.kw(n, "nowait")) + if self.kws(n, &["skip", "locked"]) { 2 } else { 0 };
        cut(self.i + n)
    }

    /// `ONLY t`, `ONLY (t)`; but not `FETCH FIRST ROW ONLY`.
    fn only(&self) -> Option<Reduced> {
        if self.before_is(&["row", "rows"]) {
            return None;
        }
        match self.is(1, TokenKind::Open) {
            true => Some(Reduced { closing: Some(NOTHING), ..cut(self.i + 2)? }),
            false => cut(self.i + 1),
        }
    }

    /// `TABLE t` is `SELECT * FROM t`.
    fn table(&self) -> Option<Reduced> {
        let named = self.kw(1, "only") || self.is_word(1) && !self.any(1, BEHIND_LABEL);
        named.then(|| put(self.i + 1, SELECT_FROM))?
    }

    /// A select list may be empty.
    fn select(&self) -> Option<Reduced> {
        let empty = matches!(self.kind(1), None | Some(TokenKind::Close)) || self.any(1, BEHIND_LABEL);
        empty.then(|| put(self.i + 1, SELECT_ONE))?
    }

    /// `TABLESAMPLE SYSTEM (10) REPEATABLE (1)`, with plain numbers.
    fn sample(&self) -> Option<Reduced> {
        let method = self.any(1, &["system", "bernoulli"]).then_some(2)?;
        let end = self.plain_brackets(method)?;
        match self.t.kw(end, "repeatable") {
            true => cut(self.plain_brackets(end + 1 - self.i)?),
            false => cut(end),
        }
    }

    /// Brackets that contain only numbers and parameters: the token behind them.
    fn plain_brackets(&self, n: usize) -> Option<usize> {
        let close =
            (n..n + 6).find(|&n| self.is(n, TokenKind::Close)).filter(|_| self.is(n, TokenKind::Open))?;
        (n + 1..close).all(|n| self.is_plain(n)).then_some(self.i + close + 1)
    }

    fn is_plain(&self, n: usize) -> bool {
        matches!(self.kind(n), Some(TokenKind::Number | TokenKind::Param | TokenKind::Op | TokenKind::Colon))
    }

    /// `WHERE CURRENT OF cursor`.
    fn current_of(&self) -> Option<Reduced> {
        (self.before_is(&["where"]) && self.kw(1, "of") && self.is_word(2)).then(|| put(self.i + 3, TRUE))?
    }

    /// `IS JSON OBJECT WITH UNIQUE KEYS`, `IS NFC NORMALIZED`, `IS DOCUMENT`.
    fn is_something(&self) -> Option<Reduced> {
        let n = 1 + usize::from(self.kw(1, "not"));
        let form = usize::from(self.any(n, &["nfc", "nfd", "nfkc", "nfkd"]));
        if self.kw(n + form, "normalized") {
            return put(self.i + n + form + 1, IS_NULL);
        }
        if self.kw(n, "document") {
            return put(self.i + n + 1, IS_NULL);
        }
        if !self.kw(n, "json") {
            return None;
        }
        let mut n = n + 1 + usize::from(self.any(n + 1, &["value", "array", "object", "scalar"]));
        if self.any(n, &["with", "without"]) && self.kw(n + 1, "unique") {
            n += 2 + usize::from(self.kw(n + 2, "keys"));
        }
        put(self.i + n, IS_NULL)
    }

    /// `a ISNULL`, `a NOTNULL`.
    fn postfix(&self) -> Option<Reduced> {
        use TokenKind::{Close, CloseBracket, Number, Param};
        let before = self.t.kind(self.before())?;
        let operand =
            before.is_word() || before.is_string() || matches!(before, Close | CloseBracket | Number | Param);
        (operand && !self.is(1, TokenKind::Open)).then(|| put(self.i + 1, IS_NULL))?
    }

    /// `ROWS FROM (f(), g())` has the same names as `(SELECT 1 FROM f(), g())`.
    fn rows_from(&self) -> Option<Reduced> {
        let list = self.t.is(self.before(), TokenKind::Comma) || self.before_is(&["from", "lateral", "join"]);
        (list && self.kw(1, "from") && self.is(2, TokenKind::Open))
            .then(|| put(self.i + 3, ROWS))
            .flatten()
            .map(|reduced| Reduced { closing: Some(CLOSE), ..reduced })
    }

    /// `f() WITH ORDINALITY`; a CTE may have that name.
    fn ordinality(&self) -> Option<Reduced> {
        let cte = self.is(2, TokenKind::Open)
            || self.kw(2, "as") && (self.is(3, TokenKind::Open) || self.any(3, &["materialized", "not"]));
        (self.t.is(self.before(), TokenKind::Close) && self.kw(1, "ordinality") && !cte)
            .then(|| cut(self.i + 2))?
    }

    /// `SEARCH DEPTH FIRST BY a, b SET c`, `CYCLE a, b SET c TO x DEFAULT y USING d`.
    fn behind_cte(&self) -> Option<Reduced> {
        let search = self.any(1, &["depth", "breadth"]) && self.kws(2, &["first", "by"]);
        let mut n = match () {
            () if !self.t.is(self.before(), TokenKind::Close) => return None,
            () if search => 4,
            () if self.kw(0, "cycle") => 1,
            () => return None,
        };
        while self.is_word(n) && self.is(n + 1, TokenKind::Comma) {
            n += 2;
        }
        let set = self.is_word(n) && self.kw(n + 1, "set") && self.is_word(n + 2);
        n += 3;
        match () {
            () if !set => None,
            () if search => cut(self.i + n),
            () => {
                // Two literals, each of them one token or a token with a prefix word.
                let to = self.kw(n, "to").then(|| (n..n + 7).find(|&n| self.kw(n, "using")));
                let using = to.unwrap_or(Some(n))?;
                (self.kw(using, "using") && self.is_word(using + 1)).then(|| cut(self.i + using + 2))?
            }
        }
    }

    /// `FETCH FIRST 5 ROWS WITH TIES`, with a plain number.
    fn fetch(&self) -> Option<Reduced> {
        let n = self.any(1, &["first", "next"]).then_some(2)?;
        let n = (n..n + 3).find(|&n| !self.is_plain(n)).filter(|&n| self.any(n, &["row", "rows"]))?;
        match () {
            () if self.kw(n + 1, "only") => cut(self.i + n + 2),
            () if self.kws(n + 1, &["with", "ties"]) => cut(self.i + n + 3),
            () => None,
        }
    }

    /// `OFFSET 5 ROWS`.
    fn offset_rows(&self) -> Option<Reduced> {
        self.t.kw(self.i.wrapping_sub(2), "offset").then(|| cut(self.i + 1))?
    }

    /// `EXCLUDE CURRENT ROW`, `EXCLUDE TIES` ...
    fn exclusion(&self) -> Option<Reduced> {
        match () {
            () if self.any(1, &["ties", "group"]) => cut(self.i + 2),
            () if self.kws(1, &["current", "row"]) || self.kws(1, &["no", "others"]) => cut(self.i + 3),
            () => None,
        }
    }

    /// In the brackets of GROUPING SETS.
    fn is_grouping_set(&self) -> bool {
        let mut depth = 0usize;
        let open = (0..self.i).rev().take(64).find(|&at| match self.t.kind(at) {
            Some(TokenKind::Close) => (depth += 1, false).1,
            Some(TokenKind::Open) if depth > 0 => (depth -= 1, false).1,
            Some(TokenKind::Open) => true,
            _ => false,
        });
        open.is_some_and(|open| self.t.kw(open.wrapping_sub(1), "sets"))
    }

    /// `INTERVAL '1-2' YEAR TO MONTH`, `INTERVAL '1' SECOND (3)`.
    fn interval(&self) -> Option<Reduced> {
        let fields = ["year", "month", "day", "hour", "minute", "second"];
        let mut n = (self.kind(1).is_some_and(TokenKind::is_string) && self.any(2, &fields)).then_some(3)?;
        if self.kw(n, "to") && self.any(n + 1, &fields) {
            n += 2;
        }
        put(self.plain_brackets(n).unwrap_or(self.i + n), ONE)
    }

    /// `int '1'`: a type of the grammar.
    fn typed_literal(&self) -> Option<Reduced> {
        let string = self.kind(1).is_some_and(TokenKind::is_string);
        (string && self.any(0, LITERAL_TYPES)).then(|| cut(self.i + 1))?
    }

    /// `a[1]`, `a[1:$2]`, `int[]`.
    fn subscript(&self) -> Option<Reduced> {
        use TokenKind::{Close, CloseBracket};
        let before = self.t.kind(self.before())?;
        let of = before.is_word() && !self.before_is(&["array"]) || matches!(before, Close | CloseBracket);
        let close = (1..8).find(|&n| !self.is_plain(n)).filter(|&n| self.is(n, CloseBracket))?;
        of.then(|| cut(self.i + close + 1))?
    }

    fn open(&self) -> Option<Reduced> {
        match () {
            () if self.before_is(&["conflict"]) => self.conflict_target(),
            // Both are subqueries at any place.
            () if self.kw(1, "values") && self.is(2, TokenKind::Open) || self.is_set_operation() => {
                Some(Reduced { closing: Some(CLOSE_BOTH), ..put(self.i + 1, VALUES_QUERY)? })
            }
            () => self.nothing_in_brackets(),
        }
    }

    /// `((SELECT ..) UNION (SELECT ..))`.
    fn is_set_operation(&self) -> bool {
        let first = (1..16).find(|&n| !self.is(n, TokenKind::Open)).unwrap_or(1);
        let behind = self.t.behind_close(self.i + 1, self.hi);
        first > 1
            && self.any(first, &["select", "with", "values", "table"])
            && behind < self.hi
            && self.t.any_kw(behind, &["union", "except", "intersect"])
    }

    /// An inference clause, with no types in it: `(lower(a), b COLLATE "C" text_pattern_ops) WHERE c IS NULL`.
    fn conflict_target(&self) -> Option<Reduced> {
        let end = (1..128).find(|&n| self.kw(n, "do") && self.any(n + 1, &["nothing", "update"]))?;
        let mut calls = Vec::new();
        for n in 1..end {
            let refused = matches!(self.kind(n), Some(TokenKind::Dot | TokenKind::Cast))
                || self.any(n, &["select", "cast"])
                // A word behind a name is an operator class, which is resolved by the path, like a type.
                || self.is_word(n) && self.is_word(n - 1) && !self.any(n, BETWEEN_OPERANDS) && !self.any(n - 1, BETWEEN_OPERANDS);
            if refused {
                return None;
            }
            if self.is_word(n) && self.is(n + 1, TokenKind::Open) && !self.any(n, BETWEEN_OPERANDS) {
                calls.push(self.i + n);
            }
        }
        Some(Reduced { calls, ..cut(self.i + end)? })
    }

    /// `GROUP BY ()`.
    fn nothing_in_brackets(&self) -> Option<Reduced> {
        let list = self.before_is(&["by"])
            || matches!(self.t.kind(self.before()), Some(TokenKind::Comma | TokenKind::Open));
        (list && self.is(1, TokenKind::Close)).then(|| put(self.i + 2, ONE))?
    }
}

/// Words in expressions that follow a name.
const BETWEEN_OPERANDS: &[&str] = &[
    "and", "or", "not", "in", "is", "null", "true", "false", "like", "ilike", "between", "where", "collate",
    "text_pattern_ops", "varchar_pattern_ops", "bpchar_pattern_ops",
];
/// Reserved words that may follow a label in a query: none of them is a name.
const BEHIND_LABEL: &[&str] = &[
    "from", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit", "offset",
    "fetch", "for", "into", "on", "returning",
];
const LITERAL_TYPES: &[&str] = &[
    "int", "integer", "smallint", "bigint", "real", "float", "decimal", "dec", "numeric", "boolean", "bit",
    "varbit", "char", "character", "varchar",
];
