//! The few messages that the proxy builds, appended to a write buffer.
//!
//! Formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use bytes::{BufMut, BytesMut};

/// Appends a message with this type byte; `body` writes the part behind the length.
fn message(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    body(out);
    let length = (out.len() - at) as u32;
    if let Some(word) = out.get_mut(at..at + 4) {
        word.copy_from_slice(&length.to_be_bytes());
    }
}

/// `pg_type.oid` of text.
const TEXT_OID: u32 = 25;

fn put_cstr(out: &mut BytesMut, text: &[u8]) {
    out.put_slice(text);
    out.put_u8(0);
}

/// A message with an existing body.
pub fn raw(out: &mut BytesMut, tag: u8, body: &[u8]) {
    message(out, tag, |out| out.put_slice(body));
}

/// `Query` with the parts of its text in order.
pub fn query(out: &mut BytesMut, parts: &[&[u8]]) {
    message(out, b'Q', |out| {
        for part in parts {
            out.put_slice(part);
        }
        out.put_u8(0);
    });
}

/// `Parse`; `types` is the end of the message: a count and the type oids.
pub fn parse(out: &mut BytesMut, name: &[u8], text: &[u8], types: &[u8]) {
    message(out, b'P', |out| {
        put_cstr(out, name);
        put_cstr(out, text);
        out.put_slice(types);
    });
}

/// `Bind` without parameters, with results in text format.
pub fn bind_nothing(out: &mut BytesMut, portal: &[u8], statement: &[u8]) {
    message(out, b'B', |out| {
        put_cstr(out, portal);
        put_cstr(out, statement);
        out.put_slice(&[0; 6]);
    });
}

/// `Bind` of a few text parameters, `None` for NULL, with results in text format.
pub fn bind_texts(out: &mut BytesMut, portal: &[u8], statement: &[u8], values: &[Option<&str>]) {
    message(out, b'B', |out| {
        put_cstr(out, portal);
        put_cstr(out, statement);
        out.put_u16(0);
        out.put_u16(values.len() as u16);
        for value in values {
            match value {
                Some(value) => {
                    out.put_u32(value.len() as u32);
                    out.put_slice(value.as_bytes());
                }
                None => out.put_i32(-1),
            }
        }
        out.put_u16(0);
    });
}

/// The head of a `Bind`; the remaining `rest` bytes follow unchanged.
pub fn bind_head(out: &mut BytesMut, portal: &[u8], statement: &[u8], rest: usize) {
    out.put_u8(b'B');
    out.put_u32((4 + portal.len() + statement.len() + 2 + rest) as u32);
    put_cstr(out, portal);
    put_cstr(out, statement);
}

/// Not SQL: PostgreSQL's parser refuses it before it resolves any name.
pub const NO_SQL: &[u8] = b"pgstrata: refused";

/// `Parse` of text that is not SQL: it fails, and so does its pipeline. It has a name, because an unnamed one would
/// first replace the client's unnamed statement.
pub fn fail(out: &mut BytesMut) {
    parse(out, NO_SQL, NO_SQL, &[0, 0]);
}

/// `Execute` with no row limit.
pub fn execute(out: &mut BytesMut, portal: &[u8]) {
    execute_part(out, portal, 0);
}

/// `Execute` of at most this number of rows; 0 means all.
pub fn execute_part(out: &mut BytesMut, portal: &[u8], rows: u32) {
    message(out, b'E', |out| {
        put_cstr(out, portal);
        out.put_u32(rows);
    });
}

/// `Describe` of a statement.
pub fn describe_statement(out: &mut BytesMut, name: &[u8]) {
    message(out, b'D', |out| {
        out.put_u8(b'S');
        put_cstr(out, name);
    });
}

/// `Close` of a statement (`S`) or portal (`P`).
pub fn close(out: &mut BytesMut, what: u8, name: &[u8]) {
    message(out, b'C', |out| {
        out.put_u8(what);
        put_cstr(out, name);
    });
}

/// `Sync`.
pub fn sync(out: &mut BytesMut) {
    message(out, b'S', |_| {});
}

/// `Flush`.
pub fn flush(out: &mut BytesMut) {
    message(out, b'H', |_| {});
}

/// `CopyFail`.
pub fn copy_fail(out: &mut BytesMut, reason: &[u8]) {
    message(out, b'f', |out| put_cstr(out, reason));
}

/// `Terminate`.
pub fn terminate(out: &mut BytesMut) {
    message(out, b'X', |_| {});
}

/// `ReadyForQuery` with the transaction status `I`, `T` or `E`.
pub fn ready_for_query(out: &mut BytesMut, status: u8) {
    message(out, b'Z', |out| out.put_u8(status));
}

/// `CommandComplete`.
pub fn command_complete(out: &mut BytesMut, tag: &str) {
    message(out, b'C', |out| put_cstr(out, tag.as_bytes()));
}

/// `RowDescription` of one column of type text, and a `DataRow` for each of `rows`.
pub fn text_table<'a>(out: &mut BytesMut, column: &str, rows: impl IntoIterator<Item = &'a str>) {
    text_column(out, column);
    for row in rows {
        message(out, b'D', |out| {
            out.put_i16(1);
            out.put_u32(row.len() as u32);
            out.put_slice(row.as_bytes());
        });
    }
}

/// `RowDescription` of one column of type text.
pub fn text_column(out: &mut BytesMut, column: &str) {
    message(out, b'T', |out| {
        out.put_i16(1);
        put_cstr(out, column.as_bytes());
        // No table; type text, any length, no modifier, text format.
        out.put_i32(0);
        out.put_i16(0);
        out.put_u32(TEXT_OID);
        out.put_i16(-1);
        out.put_i32(-1);
        out.put_i16(0);
    });
}

/// `ParameterDescription` of a statement without parameters.
pub fn no_parameters(out: &mut BytesMut) {
    message(out, b't', |out| out.put_i16(0));
}

/// `NotificationResponse`.
pub fn notification(out: &mut BytesMut, pid: i32, channel: &[u8], payload: &[u8]) {
    message(out, b'A', |out| {
        out.put_i32(pid);
        put_cstr(out, channel);
        put_cstr(out, payload);
    });
}

/// `ParameterStatus`.
pub fn parameter_status(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    message(out, b'S', |out| {
        put_cstr(out, name);
        put_cstr(out, value);
    });
}

/// `AuthenticationOk`.
pub fn authentication_ok(out: &mut BytesMut) {
    message(out, b'R', |out| out.put_u32(0));
}

/// `BackendKeyData`.
pub fn backend_key_data(out: &mut BytesMut, pid: u32, key: &[u8]) {
    message(out, b'K', |out| {
        out.put_u32(pid);
        out.put_slice(key);
    });
}

/// `ParseComplete` (`1`), `CloseComplete` (`3`) and other messages without a body.
pub fn empty(out: &mut BytesMut, tag: u8) {
    message(out, tag, |_| {});
}

/// `ErrorResponse` (or with tag `N` a notice) from its fields, in order.
pub fn fields<'a>(out: &mut BytesMut, tag: u8, fields: impl IntoIterator<Item = (u8, &'a [u8])>) {
    message(out, tag, |out| {
        for (code, value) in fields {
            out.put_u8(code);
            // A NUL in a value would end the field early.
            out.extend(value.iter().copied().filter(|b| *b != 0));
            out.put_u8(0);
        }
        out.put_u8(0);
    });
}

/// The severity of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
    /// No error.
    Warning,
    /// No error, and no warning.
    Notice,
}

/// `ErrorResponse`; a warning or notice is a `NoticeResponse`.
pub fn error(out: &mut BytesMut, severity: Severity, code: &str, text: &str, hint: Option<&str>) {
    let (tag, severity): (u8, &[u8]) = match severity {
        Severity::Error => (b'E', b"ERROR"),
        Severity::Fatal => (b'E', b"FATAL"),
        Severity::Warning => (b'N', b"WARNING"),
        Severity::Notice => (b'N', b"NOTICE"),
    };
    let head = [(b'S', severity), (b'V', severity), (b'C', code.as_bytes()), (b'M', text.as_bytes())];
    fields(out, tag, head.into_iter().chain(hint.map(|h| (b'H', h.as_bytes()))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn length_counts_itself_and_the_body() {
        let mut out = BytesMut::new();
        query(&mut out, &[b"select ", b"1"]);
        assert_eq!(&out[..], b"Q\0\0\0\x0dselect 1\0");
        assert_eq!(frame::header(&out).unwrap().unwrap().total, out.len());
    }

    #[test]
    fn nul_in_a_message_cannot_forge_a_field() {
        let mut out = BytesMut::new();
        error(&mut out, Severity::Fatal, "28000", "a\0Cb", None);
        let body = &out[frame::HEADER..];
        assert_eq!(frame::field(body, b'M'), Some(&b"aCb"[..]));
        assert_eq!(frame::fields(body).count(), 4);
    }
}
