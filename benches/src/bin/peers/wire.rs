//! A client that costs next to nothing: thousands of them fit beside what they measure.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Outcome;
use crate::ground::{DATABASE, USER};

/// The longest message that a benchmark's answer may hold.
const LONGEST: usize = 1 << 20;
/// What one read takes at most.
const BUFFER: usize = 8 * 1024;
/// Tag and length.
const HEADER: usize = 5;

/// A connection that is logged in, with no password.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects to `port` and logs in; `options` is what libpq takes from `PGOPTIONS`.
    pub async fn login(port: u16, database: &str, options: &str) -> Outcome<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream };
        let mut body = 196_608_i32.to_be_bytes().to_vec();
        let parameters = [("user", USER), ("database", database), ("options", options)];
        for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            for text in [name, value] {
                body.extend_from_slice(text.as_bytes());
                body.push(0);
            }
        }
        body.push(0);
        client.send(None, &body).await?;
        client.until_ready().await?;
        Ok(client)
    }

    /// As [`Client::login`], to the database of the benchmarks.
    pub async fn app(port: u16, options: &str) -> Outcome<Self> {
        Self::login(port, DATABASE, options).await
    }

    /// Sends a text as one `Query` and reads its answer to the end: how many rows there were.
    pub async fn query(&mut self, text: &str) -> Outcome<usize> {
        let mut body = text.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body).await?;
        self.until_ready().await
    }

    async fn send(&mut self, tag: Option<u8>, body: &[u8]) -> Outcome<()> {
        let length = i32::try_from(body.len() + 4)?.to_be_bytes();
        let message: Vec<u8> = tag.into_iter().chain(length).chain(body.iter().copied()).collect();
        Ok(self.stream.write_all(&message).await?)
    }

    async fn until_ready(&mut self) -> Outcome<usize> {
        let mut unread: Vec<u8> = Vec::new();
        let mut buffer = [0; BUFFER];
        let (mut rows, mut complaint) = (0, None);
        loop {
            let mut rest = unread.as_slice();
            while let Some((message, behind)) = Message::split(rest)? {
                rest = behind;
                let Message { tag, body } = message;
                match tag {
                    b'D' => rows += 1,
                    b'E' => complaint = Some(readable(body)),
                    b'Z' => return complaint.map_or(Ok(rows), |complaint| Err(complaint.into())),
                    // Only `AuthenticationOk` needs no answer.
                    b'R' if body != [0; 4] => return Err("a password is asked for".into()),
                    _ => {}
                }
            }
            let used = unread.len() - rest.len();
            unread.drain(..used);
            match self.stream.read(&mut buffer).await? {
                0 => return Err(complaint.unwrap_or_else(|| "the connection was closed".into()).into()),
                count => unread.extend(buffer.iter().take(count)),
            }
        }
    }
}

/// What PostgreSQL sends.
struct Message<'a> {
    tag: u8,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first whole message, if there is one, and what is behind it.
    fn split(bytes: &'a [u8]) -> Outcome<Option<(Self, &'a [u8])>> {
        let Some((&[tag, a, b, c, d], rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes([a, b, c, d]))?;
        let length = length.checked_sub(4).filter(|length| *length <= LONGEST).ok_or("no such message")?;
        Ok(rest.split_at_checked(length).map(|(body, behind)| (Self { tag, body }, behind)))
    }
}

/// The fields of an error that people read.
fn readable(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0).filter_map(|field| field.split_first());
    let wanted = fields.filter(|(name, _)| matches!(name, b'C' | b'M'));
    let texts: Vec<_> = wanted.map(|(_, text)| String::from_utf8_lossy(text)).collect();
    texts.join(" ")
}
