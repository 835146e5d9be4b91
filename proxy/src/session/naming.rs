//! The tenant that a comment in front of a statement names.

use std::borrow::Cow;

use super::command::legible;
use crate::sql::plan::Refusal;

/// The begin of the tenant's key in a comment.
const KEY: &str = "tenant=";

/// The tenant that a comment at the very beginning of the text names, in the form of sqlcommenter:
/// `/*tenant='acme_corp'*/`, with other keys next to it, and values encoded as in a URL; `utf8`: the text is in UTF-8.
pub(super) fn commented(text: &[u8], utf8: bool) -> Result<Option<String>, Refusal> {
    let comment = text.trim_ascii_start().strip_prefix(b"/*").unwrap_or_default();
    let end = memchr::memmem::find(comment, b"*/").unwrap_or_default();
    let comment = comment.get(..end).unwrap_or_default();
    // A comment may be long, and most comments name no tenant.
    if memchr::memmem::find(comment, KEY.as_bytes()).is_none() {
        return Ok(None);
    }
    let comment = String::from_utf8_lossy(comment);
    let Some(value) = value_for_tenant(&comment) else { return Ok(None) };
    legible(value.as_bytes(), utf8)?;
    let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    Ok(inner.and_then(decode).map(Cow::into_owned))
}

/// Whether a comment at the very beginning of the text names a tenant.
pub(super) fn names_tenant(text: &[u8]) -> bool {
    !matches!(commented(text, true), Ok(None))
}

/// The value of the tenant's key in a comment, which is first or behind a comma.
fn value_for_tenant(comment: &str) -> Option<&str> {
    let is_key = |at: &usize| {
        let before = comment.get(..*at).unwrap_or_default().trim_end();
        before.is_empty() || before.ends_with(',')
    };
    let key = comment.match_indices(KEY).map(|(at, _)| at).find(is_key)?;
    comment.get(key + KEY.len()..)?.split(',').next().map(str::trim)
}

/// A value of sqlcommenter: `%XX` for bytes, a backslash in front of quotes.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains(['%', '\\']) {
        return Some(Cow::Borrowed(value));
    }
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            b'\\' => out.push(bytes.next()?),
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_name_tenants_as_sqlcommenter_writes_them() {
        for (text, tenant) in [
            ("/*tenant='globex'*/ select 1", Some("globex")),
            ("  /* action='x y', tenant='a%20b\\'c' ,z='1' */select 1", Some("a b'c")),
            ("/*tenant=globex*/ select 1", None),
            ("/*mytenant='globex'*/ select 1", None),
            ("/*a=tenant='globex'*/ select 1", None),
            ("/*mytenant='a',\u{a0}\x0btenant='globex',tenant='b'*/ select 1", Some("globex")),
            ("/*tenant =='a',tenant=b,tenant='c'*/ select 1", None),
            ("select 1 /*tenant='globex'*/", None),
            ("-- tenant='globex'\nselect 1", None),
            ("/*tenant='glo%zz'*/ select 1", None),
            ("/* tenant='never ends", None),
        ] {
            assert_eq!(commented(text.as_bytes(), false).unwrap().as_deref(), tenant, "{text}");
        }
        let named = "/*a='\u{e9}',tenant='caf\u{e9}'*/".as_bytes();
        assert_eq!(commented(named, true).unwrap().as_deref(), Some("caf\u{e9}"));
        assert_eq!(commented(named, false).unwrap_err().code, "0A000");
        assert_eq!(commented(b"/*tenant='caf\xe9'*/", false).unwrap_err().code, "0A000");
        assert_eq!(commented(b"/*other='caf\xe9'*/", false), Ok(None));
    }
}
