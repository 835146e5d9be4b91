//! More of libpg_query, for tests and benchmarks: a tree as JSON, and where PostgreSQL's scanner ends its tokens.
//!
//! `pg_raw_parse` links all of libpg_query, and hands on a part of it. What is declared here stands in the
//! `pg_query.h` of the one version (=0.1.0) that Cargo.toml allows.

mod comments;
mod message;

use std::ffi::{CStr, CString, c_char, c_void};

pub use comments::without_comments;
use message::Token;

/// `PgQueryParseResult`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ParseResult {
    parse_tree: *mut c_char,
    stderr_buffer: *mut c_char,
    error: *mut c_void,
}

/// `PgQueryScanResult`, with the fields of the `PgQueryProtobuf` that it starts with.
#[repr(C)]
#[derive(Clone, Copy)]
struct ScanResult {
    length: usize,
    data: *mut c_char,
    stderr_buffer: *mut c_char,
    error: *mut c_void,
}

// SAFETY: as `pg_query.h` declares them. Errors of PostgreSQL are caught in C: none jumps over a Rust frame.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn pg_query_parse(input: *const c_char) -> ParseResult;
    fn pg_query_free_parse_result(result: ParseResult);
    fn pg_query_scan(input: *const c_char) -> ScanResult;
    fn pg_query_free_scan_result(result: ScanResult);
}

/// Frees what libpg_query has allocated, once.
struct Freed<T: Copy>(T, unsafe extern "C" fn(T));

impl<T: Copy> Drop for Freed<T> {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the function is the one that `pg_query.h` has for this result, and the result's owner is dropped.
        unsafe { (self.1)(self.0) }
    }
}

/// The raw parse trees of `text` as libpg_query writes them: `{"version": .., "stmts": [{"stmt": {"SelectStmt": ..}}]}`.
///
/// A node that may be of several types stands in an object with its type as the one key. Enumerations are strings.
/// Zeros, `false`, empty texts and missing nodes are left out. `None` where PostgreSQL's grammar refuses the text.
#[allow(unsafe_code)]
pub fn json(text: &str) -> Option<String> {
    let text = CString::new(&*without_comments(text)).ok()?;
    // SAFETY: the argument is a C string that outlives the call.
    let result = Freed(unsafe { pg_query_parse(text.as_ptr()) }, pg_query_free_parse_result);
    if !result.0.error.is_null() || result.0.parse_tree.is_null() {
        return None;
    }
    // SAFETY: without an error, `parse_tree` is a C string, which lives until `result` is dropped.
    let tree = unsafe { CStr::from_ptr(result.0.parse_tree) };
    Some(tree.to_string_lossy().into_owned())
}

/// A token, as PostgreSQL's scanner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannedToken {
    /// Its first byte.
    pub start: usize,
    /// The byte behind its last one.
    pub end: usize,
    /// What it is.
    pub kind: ScannedKind,
}

/// What a token is, as far as tests must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScannedKind {
    /// `U&".."`
    UnicodeName,
    /// `U&'..'`
    UnicodeString,
    /// `NCHAR`, or the `N` of `N'..'`.
    Nchar,
    /// `UESCAPE`
    Uescape,
    /// Any other: its number in libpg_query's `Token`.
    Other(u64),
}

impl ScannedKind {
    /// By its number in libpg_query's `Token`.
    fn of(number: u64) -> Self {
        match number {
            259 => Self::UnicodeName,
            262 => Self::UnicodeString,
            538 => Self::Nchar,
            717 => Self::Uescape,
            other => Self::Other(other),
        }
    }
}

/// The tokens of `text`; comments are none. `None` where PostgreSQL's scanner refuses the text.
///
/// # Panics
/// Where the answer of libpg_query is not the message that it is known to be.
pub fn scan(text: &str) -> Option<Vec<ScannedToken>> {
    let tokens = scanned(&without_comments(text))?;
    let tokens = tokens.into_iter().filter(|token| !comments::is_comment(token.number));
    let kind = ScannedKind::of;
    Some(tokens.map(|Token { start, end, number }| ScannedToken { start, end, kind: kind(number) }).collect())
}

/// The tokens of `text` as libpg_query has them. `None` where its scanner refuses the text.
#[allow(unsafe_code)]
fn scanned(text: &str) -> Option<Vec<Token>> {
    let text = CString::new(text).ok()?;
    // SAFETY: the argument is a C string that outlives the call.
    let result = Freed(unsafe { pg_query_scan(text.as_ptr()) }, pg_query_free_scan_result);
    if !result.0.error.is_null() || result.0.data.is_null() {
        return None;
    }
    // SAFETY: without an error, `data` has `length` bytes, which live until `result` is dropped.
    let message = unsafe { std::slice::from_raw_parts(result.0.data.cast::<u8>(), result.0.length) };
    let Some(tokens) = message::tokens(message) else { panic!("libpg_query's scanner answers {message:?}") };
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_written_as_json() {
        let tree = json("select f(a) from t").unwrap();
        assert!(tree.starts_with(r#"{"version":18"#), "{tree}");
        assert!(tree.contains(r#"{"FuncCall":{"funcname":[{"String":{"sval":"f"}}]"#), "{tree}");
        assert!(tree.contains(r#"{"RangeVar":{"relname":"t","inh":true,"relpersistence":"p""#), "{tree}");
        assert_eq!(json("-- c"), Some(format!(r#"{{"version":{},"stmts":[]}}"#, &tree[11..17])));
    }

    #[test]
    fn comments_are_in_no_ones_way() {
        assert_eq!(json("select a not /* b */ in (1)"), json("select a not         in (1)"));
        let text = "'a' -- b\n'c' /* */ d";
        let found: Vec<_> = scan(text).unwrap().iter().map(|t| &text[t.start..t.end]).collect();
        assert_eq!(found, ["'a' -- b\n'c'", "d"]);
    }

    #[test]
    fn texts_that_postgresql_refuses_have_no_tree() {
        for text in ["select from from", "select E'\\xff'", "select '", "select\0 1"] {
            assert_eq!(json(text), None, "{text:?}");
        }
    }

    #[test]
    fn tokens_are_where_they_stand() {
        use ScannedKind::*;
        let text = "N'é' U&\"b\" U&'c' uescape nchar -- d\n/* e */";
        let found: Vec<_> = scan(text).unwrap().iter().map(|t| (&text[t.start..t.end], t.kind)).collect();
        let (string, kinds): (Vec<_>, Vec<_>) =
            found.iter().filter(|(text, _)| *text == "'é'").copied().unzip();
        assert_eq!((string.len(), matches!(kinds[..], [Other(_)])), (1, true), "{found:?}");
        let known: Vec<_> = found.into_iter().filter(|(_, kind)| !matches!(kind, Other(_))).collect();
        let wanted = [
            ("N", Nchar),
            ("U&\"b\"", UnicodeName),
            ("U&'c'", UnicodeString),
            ("uescape", Uescape),
            ("nchar", Nchar),
        ];
        assert_eq!(known, wanted);
        assert_eq!(scan(""), Some(Vec::new()));
    }

    #[test]
    fn places_beyond_a_byte_are_read() {
        let text = format!("{}select", " ".repeat(70_000));
        let tokens = scan(&text).unwrap();
        assert!(matches!(tokens[..], [ScannedToken { start: 70_000, end: 70_006, .. }]), "{tokens:?}");
    }

    #[test]
    fn texts_that_the_scanner_refuses_have_no_tokens() {
        for text in ["select '", "/* a", "select E'\\xff'", "a\0b"] {
            assert_eq!(scan(text), None, "{text:?}");
        }
        // The grammar's objections are not the scanner's.
        assert!(scan("from from").is_some());
    }
}
