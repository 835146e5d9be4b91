//! Texts that name the schema and that PostgreSQL parses only at run time: bodies of functions, constants.

use pgstrata_tenancy::ident::quoted;
use pgstrata_tenancy::lexer::{Lexer, Token, TokenKind};

use super::item::{Item, Kind, QUOTE, SCHEMA, SCHEMA_IN_FORMAT, SCHEMA_IN_STRING, filled};

/// A function's body with the tenant's schema in place of `source` wherever that qualifies a name, in the body itself
/// or in a string there, which it may execute; `None` if there is no such place.
pub(super) fn with_own_schema(body: &str, source: &str) -> Option<String> {
    replaced(body, source, Within::Body)
}

/// The quoted body of a function, which follows `AS`.
pub(super) fn quoted_body(body: &str) -> String {
    format!("{QUOTE}{body}{QUOTE}")
}

/// The context of a text, which determines how a name is written.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Body,
    /// `'..'`
    String,
    /// `format('..'`
    Format,
}

impl Within {
    /// The placeholder of the tenant's schema.
    fn placeholder(self) -> &'static str {
        match self {
            Self::Body => SCHEMA,
            Self::String => SCHEMA_IN_STRING,
            Self::Format => SCHEMA_IN_FORMAT,
        }
    }
}

fn replaced(text: &str, source: &str, within: Within) -> Option<String> {
    let tokens: Vec<Token> = Lexer::new(text.as_bytes(), true).collect();
    let (mut out, mut from) = (String::new(), 0);
    for (at, token) in tokens.iter().enumerate() {
        let this = text.get(token.span())?;
        let new = match token.kind {
            TokenKind::Word | TokenKind::Quoted
                if qualifies(&tokens, at) && is_name(token.kind, this, source, within) =>
            {
                within.placeholder().to_owned()
            }
            TokenKind::Str | TokenKind::EscapeStr if within == Within::Body => {
                let within = if is_format(text, &tokens, at) { Within::Format } else { Within::String };
                let inner = this.find('\'')? + 1..this.len().checked_sub(1)?;
                let Some(new) = replaced(this.get(inner.clone())?, source, within) else { continue };
                format!("{}{new}'", this.get(..inner.start)?)
            }
            _ => continue,
        };
        out.push_str(text.get(from..token.start as usize)?);
        out.push_str(&new);
        from = token.end as usize;
    }
    (from > 0).then(|| out + text.get(from..).unwrap_or_default())
}

/// Whether the token is the first of `schema.name`.
fn qualifies(tokens: &[Token], at: usize) -> bool {
    let is_dot = |at: Option<usize>| {
        at.and_then(|at| tokens.get(at)).is_some_and(|token| token.kind == TokenKind::Dot)
    };
    is_dot(Some(at + 1)) && !is_dot(at.checked_sub(1))
}

fn is_name(kind: TokenKind, this: &str, name: &str, within: Within) -> bool {
    match kind {
        TokenKind::Word => this.to_ascii_lowercase() == name,
        _ => this == filled(within.placeholder(), name),
    }
}

/// Whether the string is the first argument of `format`, in which `%` is special.
fn is_format(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some([function, open]) = at.checked_sub(2).and_then(|from| tokens.get(from..at)) else {
        return false;
    };
    let function = text.get(function.span()).unwrap_or_default();
    open.kind == TokenKind::Open && function.eq_ignore_ascii_case("format")
}

/// References to `source` that are not replaced: in a tenant they still refer to the source.
pub(super) fn remarks(items: &[Item], source: &str) -> Vec<String> {
    let silent = [Kind::Comment, Kind::Seed, Kind::Owner, Kind::Privilege, Kind::DefaultPrivilege];
    let said = items.iter().filter(|item| !silent.contains(&item.kind));
    let remark = |item: &Item| {
        let string = mention(&filled(&item.sql(), ""), source)?;
        Some(format!(
            "{} {} has the text {string}: where that names schema \"{source}\", it will do so in each tenant",
            item.kind, item.name
        ))
    };
    said.filter_map(remark).collect()
}

/// A string in `text`, or in a nested body, that contains `source` as a qualifier.
fn mention(text: &str, source: &str) -> Option<String> {
    Lexer::new(text.as_bytes(), true).filter(|token| token.kind.is_string()).find_map(|token| {
        let string = text.get(token.span())?;
        match token.kind {
            // Its contents are SQL.
            TokenKind::DollarStr => mention(undollared(string)?, source),
            _ => names(string, source).then(|| string.to_owned()),
        }
    })
}

/// The text between the tags of `$tag$ .. $tag$`.
fn undollared(string: &str) -> Option<&str> {
    let tag = string.get(1..)?.find('$')? + 2;
    string.get(tag..string.len().checked_sub(tag)?)
}

/// Whether a string contains `source.` or `"source".`, and not as the end of a longer name.
fn names(string: &str, source: &str) -> bool {
    let plain = source.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let spelt = [Some(quoted(source)), plain.then(|| source.to_owned())];
    spelt.into_iter().flatten().any(|name| {
        string.match_indices(&format!("{name}.")).any(|(at, _)| {
            let before = string.get(..at).and_then(|before| before.chars().next_back());
            !before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | '.' | '$'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(body: &str) -> String {
        with_own_schema(body, "src").map_or("-".into(), |body| filled(&body, "o'%"))
    }

    #[test]
    fn what_qualifies_a_name_is_replaced() {
        let own_names = r#"SELECT "o'%".f(a) FROM "o'%" . t, "o'%".u, "o'%".v"#;
        assert_eq!(own(r#"SELECT src.f(a) FROM src . t, "src".u, SRC.v"#), own_names);
        assert_eq!(own("x src.t%ROWTYPE; y src.t.a%TYPE"), r#"x "o'%".t%ROWTYPE; y "o'%".t.a%TYPE"#);
    }

    #[test]
    fn so_it_is_in_strings() {
        assert_eq!(own("nextval('src.s')"), r#"nextval('"o''%".s')"#);
        assert_eq!(own("EXECUTE format('TABLE src.%I', t)"), r#"EXECUTE format('TABLE "o''%%".%I', t)"#);
        assert_eq!(own(r#"E'\n"src".t WHERE a = ''x'''"#), r#"E'\n"o''%".t WHERE a = ''x'''"#);
    }

    #[test]
    fn what_was_replaced_is_found_again() {
        let body = "TABLE src.t; EXECUTE 'TABLE src.t'; EXECUTE format('TABLE src.%I', 't')";
        let once = with_own_schema(body, "src").unwrap();
        let odd = r#"o'%"\"#;
        assert_eq!(with_own_schema(&filled(&once, odd), odd).unwrap(), once);
    }

    #[test]
    fn what_does_not_is_left() {
        let others = [
            "SELECT src", "SELECT a.src.b", "1 -- src.t", r#""SRC".t"#, "'srcs.t'", "/* src.t */ 1", "'src'",
        ];
        for body in others {
            assert_eq!(own(body), "-", "{body}");
        }
    }

    #[test]
    fn strings_are_found_in_bodies_too() {
        let found = |text: &str| mention(text, "src");
        assert_eq!(found("DEFAULT nextval('src.s'::text)").as_deref(), Some("'src.s'"));
        assert_eq!(
            found("AS $f$ BEGIN EXECUTE 'TABLE \"src\".t'; END $f$").as_deref(),
            Some("'TABLE \"src\".t'")
        );
        assert_eq!(found("AS $f$ BEGIN EXECUTE $q$TABLE \"x\"$q$ || 'my_src.t'; END $f$"), None);
        assert_eq!(found("CHECK (kind IN ('src', 'other'))"), None);
    }
}
