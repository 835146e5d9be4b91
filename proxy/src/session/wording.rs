//! PostgreSQL's errors in the words of the client's text: what the proxy has put into that is no business of the client's.

use std::borrow::Cow;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use crate::sql::guard::check;
use crate::sql::plan::Refusal;
use crate::wire::frame;

/// The text of an error.
const MESSAGE: u8 = b'M';

/// The schema of temporary tables.
pub(super) const TEMPORARY: &str = "pg_temp";

/// Of a relation that there is not.
const NO_RELATION: &[u8] = b"42P01";

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The refusal of a write to a relation that a temporary table might have been, and that is none: it is the
    /// catalog's or a shared schema's, which the client may read and not write.
    pub(super) fn refuses_missing(&self, code: &[u8], message: &[u8]) -> Option<Refusal> {
        let pinned = self.link.as_ref().is_some_and(|link| link.request.pins_temporary);
        let name = missing_temporary(message).filter(|_| pinned && code == NO_RELATION)?;
        let names = self.scope.names.as_deref()?;
        let shared = names.shared.iter().any(|held| held.relations.contains_key(name));
        let what = format!("write to \"{name}\", which is not the tenant's own");
        (shared || names.builtin.relations.contains(name))
            .then(|| check::denied(&self.scope, &what, Some(check::SHARED)))
    }
}

/// The name of a relation that there is not, in PostgreSQL's words: with `pg_temp` in front of it, or without.
fn missing_temporary(message: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(message).ok()?.split_once('"')?;
    let (name, _) = rest.rsplit_once("\" does not exist")?;
    Some(name.strip_prefix("pg_temp.").unwrap_or(name))
}

/// The error of a text with the tenant's schema in front of a name: PostgreSQL says the name with the schema, and the
/// client has written it without.
pub(super) fn without_schema<'a>(body: Cow<'a, [u8]>, schema: &str) -> Cow<'a, [u8]> {
    let prefix = format!("\"{schema}.");
    let message = frame::field(&body, MESSAGE).unwrap_or_default();
    if memchr::memmem::find(message, prefix.as_bytes()).is_none() {
        return body;
    }
    let (mut plain, mut done) = (Vec::with_capacity(message.len()), 0);
    for at in memchr::memmem::find_iter(message, prefix.as_bytes()) {
        plain.extend_from_slice(message.get(done..=at).unwrap_or_default());
        done = at + prefix.len();
    }
    plain.extend_from_slice(message.get(done..).unwrap_or_default());
    let mut out = Vec::with_capacity(body.len());
    for (code, value) in frame::fields(&body) {
        out.push(code);
        out.extend_from_slice(if code == MESSAGE { &plain } else { value });
        out.push(0);
    }
    out.push(0);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_temporary_table_is_found_by_its_name() {
        let missing = |message: &'static str| missing_temporary(message.as_bytes());
        assert_eq!(missing("relation \"pg_temp.Odd \"name\" does not exist"), Some("Odd \"name"));
        assert_eq!(missing("table \"plans\" does not exist"), Some("plans"));
        assert_eq!(missing("division by zero"), None);
    }
}
