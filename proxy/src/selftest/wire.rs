//! A client that keeps all received bytes, and never waits without a limit.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::pool::connect::{ConnectError, connect};
use crate::pool::target::Target;
use crate::wire::{frame, message};

/// The time limit of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection.
pub struct Raw {
    stream: crate::stream::ServerStream,
    buffer: BytesMut,
    out: BytesMut,
    /// The number of outstanding `ReadyForQuery`.
    owed: usize,
}

/// The answer to the sent messages.
#[derive(Debug, Default)]
pub struct Answer {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// Its rows only.
    pub rows: Vec<u8>,
    /// The number of errors in it.
    pub errors: usize,
    /// Why it is incomplete: a time-out, or the end of the connection.
    pub broken: Option<&'static str>,
}

impl Answer {
    /// Whether it contains these bytes.
    pub fn holds(&self, text: &str) -> bool {
        memchr::memmem::find(&self.bytes, text.as_bytes()).is_some()
    }

    /// A readable form for the report.
    pub fn shown(&self) -> String {
        let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { ' ' };
        let text: String = self.bytes.iter().map(printable).collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").chars().take(300).collect()
    }
}

impl Raw {
    /// Logs in, with these parameters in the start-up packet.
    pub async fn login(target: &Target, parameters: &[(&str, &str)]) -> Result<Self, ConnectError> {
        let connected = match timeout(PATIENCE, connect(target, parameters)).await {
            Ok(connected) => connected?,
            Err(_) => return Err(ConnectError::Closed),
        };
        Ok(Self { stream: connected.stream, buffer: connected.buffer, out: BytesMut::new(), owed: 0 })
    }

    /// A `Query`.
    pub fn query(&mut self, text: &str) -> &mut Self {
        message::query(&mut self.out, &[text.as_bytes()]);
        self.owed += 1;
        self
    }

    /// A statement of the extended protocol: `Parse`, `Bind`, `Execute`, without `Sync`.
    pub fn statement(&mut self, text: &str) -> &mut Self {
        self.prepared("", text)
    }

    /// The same, with a name.
    pub fn prepared(&mut self, name: &str, text: &str) -> &mut Self {
        message::parse(&mut self.out, name.as_bytes(), text.as_bytes(), &[0, 0]);
        message::bind_nothing(&mut self.out, b"", name.as_bytes());
        message::execute(&mut self.out, b"");
        self
    }

    /// A statement with a row limit of one, without `Sync`.
    pub fn part(&mut self, text: &str) -> &mut Self {
        message::parse(&mut self.out, b"", text.as_bytes(), &[0, 0]);
        message::bind_nothing(&mut self.out, b"", b"");
        message::execute_part(&mut self.out, b"", 1);
        self
    }

    /// A `Bind` of a missing statement.
    pub fn bind_missing(&mut self) -> &mut Self {
        message::bind_nothing(&mut self.out, b"", b"missing");
        self
    }

    /// A `Sync`.
    pub fn sync(&mut self) -> &mut Self {
        message::sync(&mut self.out);
        self.owed += 1;
        self
    }

    /// Sends all messages in one write, and reads the answer.
    pub async fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        match timeout(PATIENCE, self.exchange(&mut answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => answer.broken = Some("the connection ended"),
            Err(_) => answer.broken = Some("there was no answer"),
        }
        self.owed = 0;
        answer
    }

    async fn exchange(&mut self, answer: &mut Answer) -> std::io::Result<()> {
        let out = self.out.split();
        self.stream.write_all(&out).await?;
        self.stream.flush().await?;
        while self.owed > 0 {
            let ended = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            let header = frame::header(&self.buffer).map_err(|_| ended())?;
            match header.filter(|header| self.buffer.len() >= header.total) {
                Some(header) => {
                    answer.errors += usize::from(header.tag == b'E');
                    self.owed -= usize::from(header.tag == b'Z');
                    let message = self.buffer.get(..header.total).unwrap_or_default();
                    answer.bytes.extend(message);
                    answer.rows.extend(message.iter().filter(|_| header.tag == b'D'));
                    self.buffer.advance(header.total);
                }
                None if self.stream.read_buf(&mut self.buffer).await? == 0 => return Err(ended()),
                None => {}
            }
        }
        Ok(())
    }
}
