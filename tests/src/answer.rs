//! What a raw client got back.

use bytes::{Buf, Bytes, BytesMut};

/// One message of the server.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its type.
    pub tag: u8,
    /// What is behind type and length.
    pub body: Bytes,
}

impl Message {
    /// Takes the first message out of a buffer, if all of it is there.
    pub fn split_off(buffer: &mut BytesMut) -> Option<Self> {
        let length = buffer.get(1..5)?.try_into().ok()?;
        let total = usize::try_from(u32::from_be_bytes(length)).unwrap() + 1;
        if buffer.len() < total {
            return None;
        }
        let mut body = buffer.split_to(total).freeze();
        let tag = body.get_u8();
        body.advance(4);
        Some(Self { tag, body })
    }

    /// A `ParameterStatus`.
    pub fn parameter(&self) -> (String, String) {
        let mut texts = self.body.split(|byte| *byte == 0).map(text);
        (texts.next().unwrap(), texts.next().unwrap())
    }

    /// The values of a `DataRow`; NULL is `<null>`.
    fn row(&self) -> Vec<String> {
        let mut body = self.body.clone();
        (0..body.get_i16())
            .map(|_| match usize::try_from(body.get_i32()) {
                Ok(length) => text(&body.split_to(length)),
                Err(_) => "<null>".to_owned(),
            })
            .collect()
    }
}

/// An `ErrorResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The severity: `ERROR`, `FATAL` ...
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// What is known of the cause.
    pub detail: Option<String>,
    /// Where in the text, in characters from 1.
    pub position: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// Reads the fields of an error.
    pub fn read(message: &Message) -> Self {
        let fields = message.body.split(|byte| *byte == 0).filter_map(|field| field.split_first());
        let fields: Vec<(u8, String)> = fields.map(|(kind, value)| (*kind, text(value))).collect();
        let field = |kind| fields.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.clone());
        Self {
            severity: field(b'S').unwrap_or_default(),
            code: field(b'C').unwrap_or_default(),
            message: field(b'M').unwrap_or_default(),
            detail: field(b'D'),
            position: field(b'P'),
            hint: field(b'H'),
        }
    }
}

/// The messages of one answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// All of them, in order.
    pub messages: Vec<Message>,
}

impl Answer {
    pub(crate) fn new(messages: Vec<Message>) -> Self {
        Self { messages }
    }

    /// The types of the messages, without notices and parameters: `TDCZ`.
    pub fn tags(&self) -> String {
        let told = self.messages.iter().filter(|message| !b"NS".contains(&message.tag));
        told.map(|message| char::from(message.tag)).collect()
    }

    /// All rows.
    pub fn rows(&self) -> Vec<Vec<String>> {
        assert_eq!(self.fault(), None, "rows were expected");
        self.of(b'D').map(Message::row).collect()
    }

    /// The names of the columns, as the first `RowDescription` has them.
    pub fn columns(&self) -> Vec<String> {
        let Some(described) = self.of(b'T').next() else { return Vec::new() };
        let mut body = described.body.clone();
        let count = body.get_i16();
        (0..count)
            .map(|_| {
                let end = body.iter().position(|byte| *byte == 0).unwrap();
                let name = text(&body.split_to(end));
                // The NUL, and what there is to say of the column.
                body.advance(1 + 18);
                name
            })
            .collect()
    }

    /// The first column of all rows.
    pub fn column(&self) -> Vec<String> {
        self.rows().into_iter().map(|row| row.into_iter().next().unwrap()).collect()
    }

    /// The only value.
    pub fn value(&self) -> String {
        let column = self.column();
        assert_eq!(column.len(), 1, "one row was expected: {column:?}");
        column.into_iter().next().unwrap()
    }

    /// The texts of `CommandComplete`.
    pub fn commands(&self) -> Vec<String> {
        self.of(b'C').map(|message| text(message.body.split_last().unwrap().1)).collect()
    }

    /// The first error.
    pub fn fault(&self) -> Option<Fault> {
        self.of(b'E').next().map(Fault::read)
    }

    /// All errors, in order.
    pub fn faults(&self) -> Vec<Fault> {
        self.of(b'E').map(Fault::read).collect()
    }

    /// The data of `CopyData`, each as a text.
    pub fn copied(&self) -> Vec<String> {
        self.of(b'd').map(|message| text(&message.body)).collect()
    }

    /// The SQLSTATE of the first error; empty where there is none.
    pub fn code(&self) -> String {
        self.fault().map(|fault| fault.code).unwrap_or_default()
    }

    /// What `ReadyForQuery` says: `I`, `T` or `E`. `None`: the connection ended before.
    pub fn status(&self) -> Option<char> {
        self.of(b'Z').next_back().map(|message| char::from(message.body[0]))
    }

    fn of(&self, tag: u8) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.tag == tag)
    }
}

/// Bytes of a message as a text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
