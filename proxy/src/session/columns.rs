//! What a client was told of a statement's parameters and columns must stay so, or it would read
//! rows by what is no longer true.
//!
//! PostgreSQL sees to that where it has the statement ("cached plan must not change result type"). Where
//! a statement is prepared anew, as DDL has overtaken it, we do: it is described again, and the client
//! gets that error if the answer is another.

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

/// What a client knows of a statement's parameters and columns, as a hash of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// Nothing: it has not asked.
    #[default]
    Untold,
    /// What is so.
    Told(Shape),
    /// What was so before the statement was prepared anew.
    Doubtful(Shape),
    /// What is no longer so.
    Changed(Shape),
}

/// Parameters and columns, as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// 0 where it is not known: of a portal, PostgreSQL tells the columns alone.
    parameters: u64,
    columns: u64,
    count: u16,
}

impl Shape {
    /// What a `RowDescription` or `NoData` with this body says, behind those parameters.
    pub fn of(parameters: u64, body: &[u8]) -> Self {
        let count = body.first_chunk().copied().map_or(0, u16::from_be_bytes);
        Self { parameters, columns: columns(body), count }
    }

    /// Whether a client that was told the one can read by the other.
    fn fits(self, other: Self) -> bool {
        let known = self.parameters != 0 && other.parameters != 0;
        self.columns == other.columns && (!known || self.parameters == other.parameters)
    }
}

impl Columns {
    /// How many columns the client was told of.
    pub fn count(self) -> Option<u16> {
        match self {
            Self::Untold => None,
            Self::Told(shape) | Self::Doubtful(shape) | Self::Changed(shape) => Some(shape.count),
        }
    }

    /// The same for the statement that is prepared anew.
    pub fn in_doubt(self) -> Self {
        match self {
            Self::Untold => Self::Untold,
            Self::Told(shape) | Self::Doubtful(shape) | Self::Changed(shape) => Self::Doubtful(shape),
        }
    }

    /// What becomes of it once the statement is described: `asked` by the client, or by us.
    fn described(self, shape: Shape, asked: bool) -> Self {
        match self {
            Self::Doubtful(told) if !asked && !told.fits(shape) => Self::Changed(told),
            Self::Doubtful(told) if !asked => Self::Told(told),
            _ => Self::Told(shape),
        }
    }
}

/// `ParameterDescription`: the types. Never 0, which stands for what is not known.
pub fn parameters(body: &[u8]) -> u64 {
    FixedState::default().hash_one(body).max(1)
}

/// `RowDescription`: names and types; not which table they are from.
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
    /// The statement of the client's with that name and number was described: told it, or asked by us (`client` is
    /// false). By now the name may be another's.
    pub(super) fn note_columns(&mut self, (name, id): (&[u8], u64), shape: Shape, client: bool) {
        if let Some(statement) = self.statements.get_mut(name).filter(|known| known.prepared.id == id) {
            statement.columns = statement.columns.described(shape, client);
        }
        self.checking &= client;
    }

    /// Asks what a statement's columns are now. The message at hand waits for the answer.
    pub(super) fn check_columns(&mut self, name: &[u8], on_server: &Prepared) -> Step {
        let Some(link) = &mut self.link else { return Step::NeedServer };
        message::describe_statement(&mut link.lease.outbuf, on_server.name.as_bytes());
        link.flush();
        link.owe(Expect::Describe {
            statement: Some((Bytes::copy_from_slice(name), on_server.id)),
            client: false,
            parameters: 0,
        });
        self.checking = true;
        Step::Wait
    }
}

const CHANGED: &str = "cached plan must not change result type";

/// As PostgreSQL says it.
pub(super) fn changed() -> Refusal {
    Refusal { code: "0A000", message: CHANGED.into(), hint: None }
}

/// Whether PostgreSQL refuses a statement because its columns are no longer those that it was planned for.
pub(super) fn is_overtaken(body: &[u8], code: &[u8]) -> bool {
    code == b"0A000" && frame::field(body, b'R') == Some(b"RevalidateCachedQuery")
}

/// Whether PostgreSQL refuses a `Bind` that names a result format for each of the `told` columns, of a statement that
/// has another number of columns by now: its server has prepared it since.
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

/// Whether it is this one.
pub(super) fn is_changed(refusal: &Refusal) -> bool {
    refusal.message == CHANGED
}

/// Drivers know it by the routine that raises it.
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
        assert_eq!(Columns::Untold.in_doubt(), Columns::Untold);
        let doubtful = Columns::Told(one).in_doubt();
        assert_eq!(doubtful.described(one, false), Columns::Told(one));
        assert_eq!(doubtful.described(two, false), Columns::Changed(one));
        // A client that asks anew knows anew.
        assert_eq!(doubtful.described(two, true), Columns::Told(two));
        assert_eq!(Columns::Changed(one).in_doubt().described(one, false), Columns::Told(one));
    }
}
