//! PostgreSQL's errors with the names of the client's text, without additions of the proxy.

use std::borrow::Cow;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use crate::sql::guard::check;
use crate::sql::plan::Refusal;
use crate::wire::frame;

/// The field of the message.
const MESSAGE: u8 = b'M';

/// The schema of temporary tables.
pub(super) const TEMPORARY: &str = "pg_temp";

/// How a message about a routine begins.
const ROUTINES: [&[u8]; 4] = [b"function ", b"procedure ", b"aggregate ", b"routine "];

/// A part of the messages about a routine of another kind, which begin with its name.
const NOT_A: &[u8] = b") is not a";

/// The SQLSTATE for a missing relation.
const NO_RELATION: &[u8] = b"42P01";

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The refusal of a write to a relation that could have been a temporary table, and is none: it belongs to the
    /// catalog or to a shared schema, and the client may only read it.
    pub(super) fn refuses_missing(&self, code: &[u8], message: &[u8]) -> Option<Refusal> {
        let pinned = self.link.as_ref().is_some_and(|link| link.request.pins_temporary);
        let name = missing_temporary(message).filter(|_| pinned && code == NO_RELATION)?;
        let names = self.scope.names.as_deref()?;
        let shared = names.shared.iter().any(|held| held.relations.contains_key(name));
        let what = format!("write to \"{name}\", which is outside of the tenant's schema");
        (shared || names.builtin.relations.contains(name))
            .then(|| check::denied(&self.scope, &what, Some(check::SHARED)))
    }
}

/// The name of a missing relation in PostgreSQL's message, with or without `pg_temp` in front.
fn missing_temporary(message: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(message).ok()?.split_once('"')?;
    let (name, _) = rest.rsplit_once("\" does not exist")?;
    Some(name.strip_prefix("pg_temp.").unwrap_or(name))
}

/// An error about a name that the proxy has qualified with the tenant's schema, with the name as the client wrote it.
pub(super) fn without_schema<'a>(body: Cow<'a, [u8]>, schema: &str) -> Cow<'a, [u8]> {
    let message = frame::field(&body, MESSAGE).unwrap_or_default();
    // A routine has no quotes around its name: `function acme.f(integer) does not exist`, `acme.f(integer) is not a
    // procedure`.
    let of_routine = ROUTINES.iter().any(|kind| message.starts_with(kind));
    let (quoted, bare) = (format!("\"{schema}."), format!(" {schema}."));
    let leads =
        memchr::memmem::find(message, NOT_A).is_some() && message.starts_with(bare.trim_start().as_bytes());
    let first = if leads { bare.len() - 1 } else { 0 };
    let bare = memchr::memmem::find_iter(message, &bare).filter(|_| of_routine);
    let mut found: Vec<usize> = memchr::memmem::find_iter(message, &quoted).chain(bare).collect();
    if found.is_empty() && first == 0 {
        return body;
    }
    found.sort_unstable();
    let (mut plain, mut done) = (Vec::with_capacity(message.len()), first);
    for at in found {
        plain.extend_from_slice(message.get(done..=at).unwrap_or_default());
        done = at + quoted.len();
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
    fn schema_that_was_put_in_front_is_not_said() {
        let said = |message: &str| {
            let body = [b"M", message.as_bytes(), b"\0\0"].concat();
            let told = without_schema(Cow::Owned(body), "acme").into_owned();
            String::from_utf8(frame::field(&told, MESSAGE).unwrap().to_vec()).unwrap()
        };
        assert_eq!(said("type \"acme.t\" does not exist"), "type \"t\" does not exist");
        assert_eq!(said("function acme.f(integer) does not exist"), "function f(integer) does not exist");
        assert_eq!(said("procedure name \"acme.f\" is not unique"), "procedure name \"f\" is not unique");
        assert_eq!(said("acme.f(integer) is not a procedure"), "f(integer) is not a procedure");
        assert_eq!(said("acme.f is odd"), "acme.f is odd");
        assert_eq!(said("invalid input: x acme.f"), "invalid input: x acme.f");
    }

    #[test]
    fn missing_temporary_table_is_found_by_its_name() {
        let missing = |message: &'static str| missing_temporary(message.as_bytes());
        assert_eq!(missing("relation \"pg_temp.Odd \"name\" does not exist"), Some("Odd \"name"));
        assert_eq!(missing("table \"plans\" does not exist"), Some("plans"));
        assert_eq!(missing("division by zero"), None);
    }
}
