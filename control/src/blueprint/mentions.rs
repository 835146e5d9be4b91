//! Where texts name the schema that PostgreSQL does not read before they are run: bodies of functions, constants.

use pgstrata_tenancy::ident::quoted;
use pgstrata_tenancy::lexer::{Lexer, Token, TokenKind};

use super::item::{Item, Kind, QUOTE, SCHEMA, filled};

/// A function's body with the tenant's schema in the place of `source` wherever that qualifies a name;
/// `None` where it does nowhere.
pub(super) fn with_own_schema(body: &str, source: &str) -> Option<String> {
    let tokens: Vec<Token> = Lexer::new(body.as_bytes(), true).collect();
    let mut out = String::new();
    let mut from = 0;
    for (at, token) in tokens.iter().enumerate() {
        if !qualifies(&tokens, at) || !is_name(token, body, source) {
            continue;
        }
        out.push_str(body.get(from..token.start as usize)?);
        out.push_str(SCHEMA);
        from = token.end as usize;
    }
    (from > 0).then(|| out + body.get(from..).unwrap_or_default())
}

/// What `AS` is followed by in a function whose body is `body`.
pub(super) fn quoted_body(body: &str) -> String {
    format!("{QUOTE}{body}{QUOTE}")
}

/// Whether the token is the first of `schema.name`.
fn qualifies(tokens: &[Token], at: usize) -> bool {
    let is_dot = |at: Option<usize>| {
        at.and_then(|at| tokens.get(at)).is_some_and(|token| token.kind == TokenKind::Dot)
    };
    is_dot(Some(at + 1)) && !is_dot(at.checked_sub(1))
}

fn is_name(token: &Token, text: &str, name: &str) -> bool {
    let spelt = text.get(token.span()).unwrap_or_default();
    match token.kind {
        TokenKind::Word => spelt.to_ascii_lowercase() == name,
        TokenKind::Quoted => spelt == quoted(name),
        _ => false,
    }
}

/// What the items still say of `source` in words that are not replaced: in a tenant they mean the source, too.
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

/// A string in `text`, or in a body there, that has `source` in it as the schema of something.
fn mention(text: &str, source: &str) -> Option<String> {
    Lexer::new(text.as_bytes(), true).filter(|token| token.kind.is_string()).find_map(|token| {
        let string = text.get(token.span())?;
        match token.kind {
            // What it holds is SQL again.
            TokenKind::DollarStr => mention(undollared(string)?, source),
            _ => names(string, source).then(|| string.to_owned()),
        }
    })
}

/// What is in `$tag$ .. $tag$`.
fn undollared(string: &str) -> Option<&str> {
    let tag = string.get(1..)?.find('$')? + 2;
    string.get(tag..string.len().checked_sub(tag)?)
}

/// Whether `source.` or `"source".` is in a string, and not as the end of a longer name.
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
        with_own_schema(body, "src").map_or("-".into(), |body| body.replace(SCHEMA, "@"))
    }

    #[test]
    fn what_qualifies_a_name_is_replaced() {
        assert_eq!(
            own("SELECT src.f(a) FROM src . t, \"src\".u, SRC.v"),
            "SELECT @.f(a) FROM @ . t, @.u, @.v"
        );
        assert_eq!(own("DECLARE x src.t%ROWTYPE; y src.t.a%TYPE"), "DECLARE x @.t%ROWTYPE; y @.t.a%TYPE");
    }

    #[test]
    fn what_does_not_is_left() {
        for body in [
            "SELECT src", "SELECT a.src.b", "SELECT 'src.t' -- src.t", "\"SRC\".t", "srcs.t",
            "/* src.t */ 1", "$$src.t$$",
        ] {
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
