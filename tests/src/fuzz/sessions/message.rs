//! What a client sends, message by message.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::Wire;

/// One message of a client's, or what it does in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Send {
    /// `Query`
    Query(String),
    /// `Parse`: name and text.
    Parse(String, String),
    /// `Bind`: portal, statement and parameters.
    Bind(String, String, Vec<String>),
    /// `Describe` of a statement (`S`) or a portal (`P`).
    Describe(char, String),
    /// `Execute`: portal, and rows at most; 0 for all.
    Execute(String, i32),
    /// `Close` of a statement (`S`) or a portal (`P`).
    Close(char, String),
    /// `Flush`
    Flush,
    /// `Sync`
    Sync,
    /// `CopyData`
    CopyData(String),
    /// `CopyDone`
    CopyDone,
    /// `CopyFail`
    CopyFail,
    /// `FunctionCall` of a function by its number, with no arguments.
    Call(i32),
    /// `Terminate`, and the end of the connection.
    Terminate,
    /// The connection ends with no word, behind half of a message.
    Cut,
    /// The connection is reset.
    Reset,
    /// A cancel request with the client's own key, from another connection.
    Cancel,
}

impl Send {
    /// Whether PostgreSQL says `ReadyForQuery` to it.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Sync | Self::Call(_))
    }

    /// Whether the connection is over with it.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Terminate | Self::Cut | Self::Reset)
    }

    /// Puts it behind what will be sent.
    pub fn put(&self, wire: &mut Wire) {
        let mut body = BytesMut::new();
        let tag = match self {
            Self::Query(query) => (b'Q', text(&mut body, query)).0,
            Self::Parse(name, query) => {
                text(&mut body, name);
                text(&mut body, query);
                body.put_i16(0);
                b'P'
            }
            Self::Bind(portal, statement, values) => {
                text(&mut body, portal);
                text(&mut body, statement);
                body.put_i16(0);
                body.put_i16(i16::try_from(values.len()).unwrap());
                for value in values {
                    body.put_i32(i32::try_from(value.len()).unwrap());
                    body.put_slice(value.as_bytes());
                }
                body.put_i16(0);
                b'B'
            }
            Self::Describe(kind, name) | Self::Close(kind, name) => {
                body.put_u8(u8::try_from(*kind).unwrap());
                text(&mut body, name);
                if matches!(self, Self::Close(..)) { b'C' } else { b'D' }
            }
            Self::Execute(portal, rows) => {
                text(&mut body, portal);
                body.put_i32(*rows);
                b'E'
            }
            Self::CopyData(data) => {
                body.put_slice(data.as_bytes());
                b'd'
            }
            Self::CopyFail => (b'f', text(&mut body, "no")).0,
            Self::Call(number) => {
                body.put_i32(*number);
                body.put_i16(0);
                body.put_i16(0);
                body.put_i16(0);
                b'F'
            }
            Self::Flush => b'H',
            Self::Sync => b'S',
            Self::CopyDone => b'c',
            Self::Terminate => b'X',
            Self::Cut | Self::Reset | Self::Cancel => return,
        };
        wire.message(tag, &body);
    }
}

impl fmt::Display for Send {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(text) => write!(f, "Query {text:?}"),
            Self::Parse(name, text) => write!(f, "Parse {name:?} {text:?}"),
            Self::Bind(portal, statement, values) => write!(f, "Bind {portal:?} {statement:?} {values:?}"),
            Self::Describe(kind, name) => write!(f, "Describe {kind} {name:?}"),
            Self::Execute(portal, rows) => write!(f, "Execute {portal:?} {rows}"),
            Self::Close(kind, name) => write!(f, "Close {kind} {name:?}"),
            Self::CopyData(data) => write!(f, "CopyData {data:?}"),
            Self::Call(number) => write!(f, "FunctionCall {number}"),
            other => write!(f, "{other:?}"),
        }
    }
}

fn text(body: &mut BytesMut, text: &str) {
    body.put_slice(text.as_bytes());
    body.put_u8(0);
}
