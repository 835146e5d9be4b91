//! The parameters and columns of a statement that a client has described must stay the same, or the client would decode
//! rows wrongly.
//!
//! PostgreSQL checks that for a statement on its server ("cached plan must not change result type"). If the proxy
//! prepares a statement again, after DDL, the proxy checks it: it describes the statement again, and the client gets
//! that error if the description differs.

use std::hash::{BuildHasher, Hash, Hasher};

use bytes::{Buf, Bytes, BytesMut};
use foldhash::quality::FixedState;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use super::expect::Expect;
use super::request::Step;
use super::statements::Prepared;
use crate::sql::plan::Refusal;
use crate::wire::{frame, message};

/// The client's description of a statement, as a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// The client has not described the statement.
    #[default]
    Undescribed,
    /// The client has the current description.
    Described(Shape),
    /// The description is of before the statement was prepared again.
    Doubtful(Shape),
    /// The description has changed since.
    Changed(Shape),
}

/// Hashes of parameters and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// 0 if unknown: for a portal, PostgreSQL describes the columns only.
    parameters: u64,
    columns: u64,
    count: u16,
}

impl Shape {
    /// The description in a `RowDescription` or `NoData` with this body, with those parameters.
    pub fn of(parameters: u64, body: &[u8]) -> Self {
        let count = body.first_chunk().copied().map_or(0, u16::from_be_bytes);
        Self { parameters, columns: columns(body), count }
    }

    /// Whether a client with the one description can decode rows of the other.
    fn fits(self, other: Self) -> bool {
        let known = self.parameters != 0 && other.parameters != 0;
        self.columns == other.columns && (!known || self.parameters == other.parameters)
    }
}

impl Columns {
    /// The number of columns in the client's description.
    pub fn count(self) -> Option<u16> {
        match self {
            Self::Undescribed => None,
            Self::Described(shape) | Self::Doubtful(shape) | Self::Changed(shape) => Some(shape.count),
        }
    }

    /// The same for a statement that is prepared again.
    pub fn in_doubt(self) -> Self {
        match self {
            Self::Undescribed => Self::Undescribed,
            Self::Described(shape) | Self::Doubtful(shape) | Self::Changed(shape) => Self::Doubtful(shape),
        }
    }

    /// The state after a description, which the client requested (`asked`) or the proxy.
    fn described(self, shape: Shape, asked: bool) -> Self {
        match self {
            Self::Doubtful(told) if !asked && !told.fits(shape) => Self::Changed(told),
            Self::Doubtful(told) if !asked => Self::Described(told),
            _ => Self::Described(shape),
        }
    }
}

/// `ParameterDescription`: a hash of the types. Never 0, which stands for unknown.
pub fn parameters(body: &[u8]) -> u64 {
    FixedState::default().hash_one(body).max(1)
}

/// `RowDescription`: a hash of names and types, without the tables of the columns.
fn columns(mut body: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    body.advance(body.len().min(2));
    while let Some((name, mut rest)) = frame::cstr(body) {
        if rest.len() < 18 {
            break;
        }
        name.hash(&mut hasher);
        rest.advance(6);
        (rest.get_i32(), rest.get_i16(), rest.get_i32()).hash(&mut hasher);
        rest.advance(2);
        body = rest;
    }
    hasher.finish()
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Records the description of the statement with that name and number, for the client or for the proxy itself
    /// (`client` is false). By now the name may belong to another statement.
    pub(super) fn note_columns(&mut self, (name, id): (&[u8], u64), shape: Shape, client: bool) {
        if let Some(statement) = self.statements.get_mut(name).filter(|known| known.prepared.id == id) {
            statement.columns = statement.columns.described(shape, client);
        }
        if !client {
            self.framing.end_wait();
        }
    }

    /// Requests the current description of a statement. The message at hand waits for it.
    pub(super) fn check_columns(&mut self, name: &[u8], on_server: &Prepared) -> Step {
        if let Some(statement) = self.statements.get(name).cloned() {
            self.ask_to_analyse(&statement, on_server.id);
        }
        let Some(link) = &mut self.link else { return Step::NeedServer };
        message::describe_statement(&mut link.lease.outbuf, on_server.name.as_bytes());
        link.flush();
        link.expect_reply(Expect::Describe {
            statement: Some((Bytes::copy_from_slice(name), on_server.id)),
            client: false,
            parameters: 0,
        });
        self.framing.await_description();
        Step::Wait
    }
}

const CHANGED: &str = "cached plan must not change result type";

/// PostgreSQL's error.
pub(super) fn changed() -> Refusal {
    Refusal { code: "0A000", message: CHANGED.into(), hint: None }
}

/// Whether PostgreSQL refuses a statement because its columns have changed since it was planned.
pub(super) fn is_overtaken(body: &[u8], code: &[u8]) -> bool {
    code == b"0A000" && frame::field(body, b'R') == Some(b"RevalidateCachedQuery")
}

/// Whether PostgreSQL refuses a `Bind` with a result format for each of the `told` columns, because the statement has
/// another number of columns since it was prepared again.
///
/// The routine and the first number are the same in each language of the message.
pub(super) fn is_outnumbered(body: &[u8], code: &[u8], told: Option<u16>) -> bool {
    let message = || frame::field(body, b'M').unwrap_or_default();
    let first = |message: &[u8]| -> Option<u16> {
        let digits = message.iter().skip_while(|byte| !byte.is_ascii_digit());
        let digits: Vec<u8> = digits.take_while(|byte| byte.is_ascii_digit()).copied().collect();
        std::str::from_utf8(&digits).ok()?.parse().ok()
    };
    code == b"08P01"
        && frame::field(body, b'R') == Some(b"PortalSetResultFormat")
        && told.is_some_and(|told| first(message()) == Some(told))
}

/// Whether it is this error.
pub(super) fn is_changed(refusal: &Refusal) -> bool {
    refusal.message == CHANGED
}

/// Drivers recognize the error by the routine that raises it.
pub(super) fn put_changed(out: &mut BytesMut) {
    let fields: [(u8, &[u8]); 5] = [
        (b'S', b"ERROR"),
        (b'V', b"ERROR"),
        (b'C', b"0A000"),
        (b'M', CHANGED.as_bytes()),
        (b'R', b"RevalidateCachedQuery"),
    ];
    message::fields(out, b'E', fields);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[(&str, i32, i32)]) -> Vec<u8> {
        let mut body = (fields.len() as i16).to_be_bytes().to_vec();
        for (name, table, oid) in fields {
            body.extend(name.as_bytes());
            body.push(0);
            body.extend(table.to_be_bytes());
            body.extend([0, 1]);
            body.extend(oid.to_be_bytes());
            body.extend([0, 4, 255, 255, 255, 255, 0, 0]);
        }
        body
    }

    #[test]
    fn columns_are_told_apart_by_name_and_type_only() {
        let shape = |fields: &[(&str, i32, i32)]| Shape::of(1, &row(fields));
        let fields = [("id", 10, 23), ("name", 10, 25)];
        let told = shape(&fields);
        assert!(told.fits(shape(&[("id", 11, 23), ("name", 11, 25)])));
        for other in [
            &[("id", 10, 20), ("name", 10, 25)][..],
            &[("id", 10, 23), ("title", 10, 25)],
            &[("id", 10, 23)],
            &[("id", 10, 23), ("name", 10, 25), ("more", 10, 25)],
        ] {
            assert!(!told.fits(shape(other)));
        }
        assert!(!told.fits(Shape::of(2, &row(&fields))));
        assert!(told.fits(Shape::of(0, &row(&fields))), "of a portal only the columns are known");
    }

    #[test]
    fn only_what_was_told_can_change() {
        let [one, two] = [1, 2].map(|columns| Shape { parameters: 1, columns, count: 1 });
        assert_eq!(Columns::Undescribed.in_doubt(), Columns::Undescribed);
        let doubtful = Columns::Described(one).in_doubt();
        assert_eq!(doubtful.described(one, false), Columns::Described(one));
        assert_eq!(doubtful.described(two, false), Columns::Changed(one));
        // A client that describes the statement again has the current description.
        assert_eq!(doubtful.described(two, true), Columns::Described(two));
        assert_eq!(Columns::Changed(one).in_doubt().described(one, false), Columns::Described(one));
    }
}
