//! Identifiers, quoted like the results of PostgreSQL's `quote_ident`.

/// The longest identifier that PostgreSQL keeps, in bytes (`NAMEDATALEN - 1`).
pub const MAX_BYTES: usize = 63;

/// Appends `name` in double quotes, inner quotes doubled.
///
/// Always quotes: a quoted identifier is never a keyword and never folded.
/// `name` must not contain a NUL (PostgreSQL cannot write one).
pub fn push_quoted(out: &mut String, name: &str) {
    out.push('"');
    for c in name.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

/// `name` in double quotes; see [`push_quoted`].
pub fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    push_quoted(&mut out, name);
    out
}

/// Appends `name` in double quotes and in ASCII: other characters are escaped (`U&"caf\00E9"`).
///
/// PostgreSQL reads a text in the session's `client_encoding`, whatever that is: such a name means the same in each.
///
/// ```
/// use pgstrata_tenancy::ident::ascii_quoted;
///
/// assert_eq!(ascii_quoted("acme"), r#""acme""#);
/// assert_eq!(ascii_quoted("café"), r#"U&"caf\00E9""#);
/// ```
pub fn push_ascii_quoted(out: &mut String, name: &str) {
    if name.is_ascii() {
        return push_quoted(out, name);
    }
    out.push_str("U&\"");
    for c in name.chars() {
        match (c, c as u32) {
            ('"' | '\\', _) => out.extend([c, c]),
            (_, 0..0x80) => out.push(c),
            (_, code @ ..0x1_0000) => push_code(out, "\\", code, 4),
            (_, code) => push_code(out, "\\+", code, 6),
        }
    }
    out.push('"');
}

/// `name` in double quotes and in ASCII; see [`push_ascii_quoted`].
pub fn ascii_quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    push_ascii_quoted(&mut out, name);
    out
}

/// Appends a character's number with `digits` hexadecimal digits.
fn push_code(out: &mut String, mark: &str, code: u32, digits: usize) {
    out.push_str(mark);
    for digit in (0..digits).rev() {
        let digit = char::from_digit((code >> (4 * digit)) & 0xF, 16);
        out.push(digit.unwrap_or('0').to_ascii_uppercase());
    }
}

/// A `search_path` value: the schemas quoted and separated by commas.
///
/// An empty list gives `""`, PostgreSQL's notation for an empty path.
pub fn search_path<'a>(schemas: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for schema in schemas {
        if !out.is_empty() {
            out.push_str(", ");
        }
        push_quoted(&mut out, schema);
    }
    if out.is_empty() {
        out.push_str("\"\"");
    }
    out
}

/// The schemas of a `search_path` value, as PostgreSQL's `SplitIdentifierString` reads it: what is not in
/// quotes is folded to lower case. `None` where it is no list of names.
pub fn split_path(path: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(|c: char| c == ',' || c.is_ascii_whitespace()).unwrap_or(rest.len());
                let (name, behind) = rest.split_at_checked(end)?;
                (name.to_ascii_lowercase(), behind)
            }
        };
        if name.is_empty() {
            return None;
        }
        names.push(name);
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => next.trim_start(),
            None if behind.is_empty() => behind,
            _ => return None,
        };
    }
    Some(names)
}

/// The name that starts behind a quote, and the rest behind its end.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut name, mut rest) = (String::new(), text);
    loop {
        let (piece, behind) = rest.split_once('"')?;
        name.push_str(piece);
        match behind.strip_prefix('"') {
            Some(next) => rest = next,
            None => return Some((name, behind)),
        }
        name.push('"');
    }
}

/// Appends `value` as a string literal that reads the same whatever
/// `standard_conforming_strings` says: `E'..'` as soon as there is a backslash.
pub fn push_literal(out: &mut String, value: &str) {
    if value.contains('\\') {
        out.push_str(" E");
    }
    out.push('\'');
    for c in value.chars() {
        if c == '\'' || c == '\\' {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
}

/// Appends `value` as a string literal in ASCII: other characters are escaped (`E'caf\u00E9'`). See
/// [`push_ascii_quoted`] for the reason.
///
/// ```
/// let mut out = String::new();
/// pgstrata_tenancy::ident::push_ascii_literal(&mut out, "café");
/// assert_eq!(out, r" E'caf\u00E9'");
/// ```
pub fn push_ascii_literal(out: &mut String, value: &str) {
    if value.is_ascii() {
        return push_literal(out, value);
    }
    out.push_str(" E'");
    for c in value.chars() {
        match (c, c as u32) {
            ('\'' | '\\', _) => out.extend([c, c]),
            (_, 0..0x80) => out.push(c),
            (_, code @ ..0x1_0000) => push_code(out, "\\u", code, 4),
            (_, code) => push_code(out, "\\U", code, 8),
        }
    }
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ascii_is_escaped() {
        assert_eq!(ascii_quoted(r#"a"b\c"#), r#""a""b\c""#);
        assert_eq!(ascii_quoted("é\"\\\u{1F600}x"), r#"U&"\00E9""\\\+01F600x""#);
        let mut out = String::new();
        push_ascii_literal(&mut out, "é'\\\u{1F600}x");
        assert_eq!(out, r" E'\u00E9''\\\U0001F600x'");
    }

    #[test]
    fn paths_are_read_as_postgresql_does() {
        let read = |path| split_path(path).map(|names| names.join("|"));
        assert_eq!(read(r#"Public, "Acme ""1""", "a,b""#).as_deref(), Some(r#"public|Acme "1"|a,b"#));
        assert_eq!(read("").as_deref(), Some(""));
        for bad in ["a,", ",a", "a b", "\"a", "\"\""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quoted("acme"), r#""acme""#);
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
    }

    #[test]
    fn path_of_nothing_is_an_empty_identifier() {
        assert_eq!(search_path([]), "\"\"");
        assert_eq!(search_path(["acme", "public"]), r#""acme", "public""#);
    }

    #[test]
    fn literal_with_backslash_is_an_escape_string() {
        let mut out = String::new();
        push_literal(&mut out, r"it's a \ ");
        assert_eq!(out, r" E'it''s a \\ '");
    }
}
