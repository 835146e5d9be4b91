//! The search path under which a client's names are resolved.

use std::borrow::Cow;
use std::sync::Arc;

use pgstrata_tenancy::ident;

use super::tenant::Tenancy;
use crate::pool::settings::{LOCAL_PATH, SEARCH_PATH, Settings};
use crate::sql::guard::check;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::name;
use crate::sql::plan::Setting;

/// The text of the prepared statement that sets the path for the transaction. Its parameter is a path in the form of
/// [`ident::search_path`].
pub const STATEMENT_TEXT: &[u8] = b"SELECT pg_catalog.set_config('search_path', $1, true)";

/// One parameter, of type `text`.
pub const STATEMENT_TYPES: &[u8] = &[0, 1, 0, 0, 0, 25];

/// The path for the texts that are sent now.
#[derive(Clone)]
pub struct Effective {
    /// The path to set before names are resolved; empty if the baseline is right.
    pub path: Arc<str>,
    /// The same path in the form of `SHOW` and `set_config`.
    pub shown: Arc<str>,
    /// The client has set it.
    pub own: bool,
    /// The tenant of the path.
    pub tenancy: Arc<Tenancy>,
    /// The settings that it follows from; the default if it is predicted.
    of: Arc<Settings>,
}

impl Effective {
    /// The path that follows from the client's settings. A path that the client set for another tenant does not apply.
    pub fn of(settings: &Arc<Settings>, tenancy: &Arc<Tenancy>) -> Self {
        let own = settings.get(LOCAL_PATH).or_else(|| settings.get(SEARCH_PATH));
        let path = match own.filter(|path| tenancy.allows_path(path)) {
            Some(path) => Self::new(Arc::from(path), true, tenancy),
            None => Self::home(tenancy, false),
        };
        Self { of: Arc::clone(settings), ..path }
    }

    /// Whether it follows from these settings, for this tenant.
    pub fn is_of(&self, settings: &Arc<Settings>, tenancy: &Arc<Tenancy>) -> bool {
        Arc::ptr_eq(&self.of, settings) && Arc::ptr_eq(&self.tenancy, tenancy)
    }

    /// A statement in progress may change it: it is computed again when the request is over.
    pub fn doubt(&mut self) {
        self.of = Arc::default();
    }

    /// The tenant's own path.
    pub fn home(tenancy: &Arc<Tenancy>, own: bool) -> Self {
        let (path, shown) = (Arc::clone(&tenancy.home), Arc::clone(&tenancy.shown));
        Self { path, shown, own, tenancy: Arc::clone(tenancy), of: Arc::default() }
    }

    /// The path that must be set. If the baseline is the right one, it is set only if code may have set another
    /// (`doubts`), and if clients are restricted to it.
    pub fn due<'a>(&'a self, baseline: Option<&'a Arc<str>>, doubts: bool) -> &'a Arc<str> {
        match baseline {
            Some(baseline) if doubts && self.path.is_empty() => baseline,
            _ => &self.path,
        }
    }

    /// A path of this tenant.
    pub fn new(path: Arc<str>, own: bool, tenancy: &Arc<Tenancy>) -> Self {
        let shown = shown(&path).map_or_else(|| Arc::clone(&path), Arc::from);
        // The tenant's own path changes nothing.
        let own = own && *path != *tenancy.home;
        Self { path, shown, own, tenancy: Arc::clone(tenancy), of: Arc::default() }
    }
}

/// The path that a setting of `search_path` in `text` sets, in the form of [`ident::search_path`].
pub fn of_setting(setting: &Setting, text: &[u8]) -> Option<String> {
    match &setting.given {
        Some(value) => Some(ident::search_path(check::search_path(value)?.iter().map(String::as_str))),
        None => parse_list(std::str::from_utf8(text.get(setting.value.clone())?).ok()?),
    }
}

/// A path in which only names are quoted that need quotes.
pub fn shown(path: &str) -> Option<String> {
    let is_first = |c: char| c.is_ascii_lowercase() || c == '_';
    let plain =
        |name: &str| name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit());
    let names = check::search_path(path).filter(|names| !names.is_empty())?;
    let names: Vec<_> = names.into_iter().map(|n| if plain(&n) { n } else { ident::quoted(&n) }).collect();
    Some(names.join(", "))
}

/// A path for a `SET`, in ASCII. PostgreSQL accepts no empty identifier there.
pub fn in_sql(path: &str) -> Cow<'_, str> {
    let odd = !path.is_ascii() || path.contains("\"\"");
    let names = if odd { check::search_path(path) } else { None };
    let is_odd = |name: &String| name.is_empty() || !name.is_ascii();
    match names.filter(|names| names.is_empty() || names.iter().any(is_odd)) {
        Some(names) => {
            let each = |name: &String| if name.is_empty() { "''".into() } else { ident::ascii_quoted(name) };
            let names: Vec<_> = names.iter().map(each).collect();
            Cow::Owned(if names.is_empty() { "''".into() } else { names.join(", ") })
        }
        // Not a list of names: the empty path is better than one in an unknown encoding.
        None if !path.is_ascii() => Cow::Borrowed("''"),
        None => Cow::Borrowed(path),
    }
}

/// Whether names under this path may denote objects of another schema before those of this one.
///
/// Under the empty path they denote objects of PostgreSQL only, and nothing can be created.
pub fn strays(path: &str, schema: &str) -> bool {
    path != "\"\"" && !begins_with(path, schema)
}

/// Whether a path begins with this schema.
fn begins_with(path: &str, schema: &str) -> bool {
    let rest = path.strip_prefix(&ident::quoted(schema));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
}

/// The path in the value of a `SET search_path`, in the form of [`ident::search_path`].
///
/// `None` if the value is no plain list of names and strings.
pub fn parse_list(value: &str) -> Option<String> {
    let text = value.as_bytes();
    let mut names = Vec::new();
    let mut tokens = Lexer::new(text, true);
    loop {
        let token = tokens.next()?;
        names.push(match token.kind.is_word() {
            true => name::decode(token.kind, token.of(text)),
            // Not with a backslash, whose meaning depends on the session.
            false => name::plain_string(token.kind, token.of(text), false)?,
        });
        match tokens.next() {
            Some(comma) if comma.kind == TokenKind::Comma => {}
            None => return Some(ident::search_path(names.iter().map(|name| &**name))),
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_shown_as_postgresql_shows_it() {
        let shown = |path: &str| shown(path).unwrap();
        assert_eq!(shown(r#""acme_corp", "public""#), "acme_corp, public");
        assert_eq!(shown(r#""Acme", "a""b", "1x", "$user""#), r#""Acme", "a""b", "1x", "$user""#);
        assert_eq!(shown("\"\""), "\"\"");
    }

    #[test]
    fn empty_path_does_not_stray() {
        let strays = |list: &str| strays(&parse_list(list).unwrap(), "acme");
        assert!(!strays("''") && !strays("acme") && !strays("acme, public"));
        assert!(strays("public") && strays("'', public") && strays("acme2") && strays("pg_catalog"));
    }

    #[test]
    fn empty_names_are_strings_in_sql() {
        for (path, sql) in [
            ("\"\"", "''"),
            ("\"\", \"acme\"", "'', \"acme\""),
            ("\"a\"\"b\", \"c\"", "\"a\"\"b\", \"c\""),
            ("\"acme\"", "\"acme\""),
            ("\"caf\u{e9}\", \"public\"", "U&\"caf\\00E9\", \"public\""),
            ("\"\u{1f600}\", \"\"", "U&\"\\+01F600\", ''"),
        ] {
            assert_eq!(in_sql(path), sql);
        }
    }

    #[test]
    fn lists_are_read_as_postgresql_reads_them() {
        assert_eq!(parse_list("acme, Public").unwrap(), r#""acme", "public""#);
        assert_eq!(parse_list(r#"'a b', "C""d""#).unwrap(), r#""a b", "C""d""#);
        assert_eq!(parse_list("''").unwrap(), "\"\"");
        assert_eq!(parse_list(r#""$user", public"#).unwrap(), r#""$user", "public""#);
        let long = "a".repeat(70);
        assert_eq!(parse_list(&long).unwrap(), format!("\"{}\"", &long[..63]));
        assert_eq!(parse_list("a\u{a0}").unwrap(), "\"a\u{a0}\"");
        for bad in ["", "1", "007", "a b", "a,", "'open", "a; select 1", "f(x)", r"'a\'"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }
}
