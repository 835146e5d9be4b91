//! The text of a search path: how PostgreSQL reads it, shows it, and takes it in a `SET`.

use std::borrow::Cow;

use pgstrata_tenancy::ident;

use crate::sql::guard::check;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::name;
use crate::sql::plan::Setting;

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
