//! A client that speaks the protocol message by message.

use std::io;
use std::net::Ipv4Addr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::{Answer, Fault, Message};

/// Protocol 3.0.
pub const V3_0: i32 = 196_608;
/// Protocol 3.2.
pub const V3_2: i32 = 196_610;
/// `SSLRequest`
pub const SSL_REQUEST: i32 = 80_877_103;
/// `GSSENCRequest`
pub const GSSENC_REQUEST: i32 = 80_877_104;
/// `CancelRequest`
pub const CANCEL_REQUEST: i32 = 80_877_102;

/// A connection. Dropped, it is closed with no word, as if the client was killed.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
    out: BytesMut,
    /// `BackendKeyData`: process id and secret key.
    pub key: Bytes,
    /// `ParameterStatus` since the start.
    pub parameters: Vec<(String, String)>,
}

impl Wire {
    /// Connects and says nothing yet.
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: BytesMut::new(),
            out: BytesMut::new(),
            key: Bytes::new(),
            parameters: Vec::new(),
        }
    }

    /// Logs in to database `app`; the error is the one that turned the client away.
    pub async fn login(
        port: u16,
        user: &str,
        password: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self, Fault> {
        let mut wire = Self::connect(port).await;
        let mut all = vec![("user", user), ("database", "app")];
        all.extend(parameters);
        wire.startup(V3_0, &all).await;
        wire.authenticate(password).await?;
        Ok(wire)
    }

    /// Sends a start-up packet.
    pub async fn startup(&mut self, version: i32, parameters: &[(&str, &str)]) {
        let mut body = BytesMut::new();
        for (name, value) in parameters {
            put_text(&mut body, name);
            put_text(&mut body, value);
        }
        body.put_u8(0);
        self.packet(version, &body).await;
    }

    /// Sends a packet without a type: code and body.
    pub async fn packet(&mut self, code: i32, body: &[u8]) {
        let mut packet = BytesMut::new();
        packet.put_i32(i32::try_from(body.len() + 8).unwrap());
        packet.put_i32(code);
        packet.put_slice(body);
        self.raw(&packet).await;
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        // Whoever has hung up has said why: the test reads it.
        let _ = self.stream.write_all(bytes).await;
    }

    /// From now on the other side gets a reset where this one is dropped.
    pub fn reset(&mut self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// One byte from outside any message: the answer to `SSLRequest`.
    pub async fn byte(&mut self) -> u8 {
        self.stream.read_u8().await.unwrap()
    }

    /// Answers what is asked until the first `ReadyForQuery`.
    pub async fn authenticate(&mut self, password: &str) -> Result<(), Fault> {
        let mut scram = None;
        loop {
            let mut message = self.receive().await.expect("an answer to the login");
            match message.tag {
                b'E' => return Err(Fault::read(&message)),
                b'K' => self.key = message.body.clone(),
                b'Z' => return Ok(()),
                b'R' => match message.body.get_i32() {
                    0 | 12 => {}
                    10 => {
                        let mechanism = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                        let first = scram_first(mechanism.message());
                        self.message(b'p', &first).flush().await;
                        scram = Some(mechanism);
                    }
                    11 => {
                        let mechanism = scram.as_mut().expect("SCRAM was begun");
                        mechanism.update(&message.body).expect("the server's SCRAM message fits");
                        let last = mechanism.message().to_owned();
                        self.message(b'p', &last).flush().await;
                    }
                    other => panic!("authentication request {other} is not expected"),
                },
                _ => {}
            }
        }
    }

    /// Adds a message to what the next [`Wire::flush`] sends.
    pub fn message(&mut self, tag: u8, body: &[u8]) -> &mut Self {
        self.out.put_u8(tag);
        self.out.put_i32(i32::try_from(body.len() + 4).unwrap());
        self.out.put_slice(body);
        self
    }

    /// `Query`
    pub fn query(&mut self, text: &str) -> &mut Self {
        self.message(b'Q', format!("{text}\0").as_bytes())
    }

    /// `Parse`
    pub fn parse(&mut self, name: &str, text: &str) -> &mut Self {
        self.message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
    }

    /// `Bind` to the unnamed portal, with parameters in text.
    pub fn bind(&mut self, statement: &str, values: &[&str]) -> &mut Self {
        let mut body = BytesMut::new();
        put_text(&mut body, "");
        put_text(&mut body, statement);
        body.put_i16(0);
        body.put_i16(i16::try_from(values.len()).unwrap());
        for value in values {
            body.put_i32(i32::try_from(value.len()).unwrap());
            body.put_slice(value.as_bytes());
        }
        body.put_i16(0);
        self.message(b'B', &body)
    }

    /// `Describe` of a statement.
    pub fn describe(&mut self, statement: &str) -> &mut Self {
        self.message(b'D', format!("S{statement}\0").as_bytes())
    }

    /// `Execute` of the unnamed portal, all rows.
    pub fn execute(&mut self) -> &mut Self {
        self.message(b'E', b"\0\0\0\0\0")
    }

    /// `Execute` of the unnamed portal, so many rows.
    pub fn execute_some(&mut self, rows: i32) -> &mut Self {
        let mut body = BytesMut::new();
        put_text(&mut body, "");
        body.put_i32(rows);
        self.message(b'E', &body)
    }

    /// `Close` of a statement.
    pub fn close(&mut self, statement: &str) -> &mut Self {
        self.message(b'C', format!("S{statement}\0").as_bytes())
    }

    /// `CopyData`
    pub fn copy_data(&mut self, data: &str) -> &mut Self {
        self.message(b'd', data.as_bytes())
    }

    /// `CopyDone`
    pub fn copy_done(&mut self) -> &mut Self {
        self.message(b'c', b"")
    }

    /// `CopyFail`
    pub fn copy_fail(&mut self, reason: &str) -> &mut Self {
        self.message(b'f', format!("{reason}\0").as_bytes())
    }

    /// `Terminate`
    pub fn terminate(&mut self) -> &mut Self {
        self.message(b'X', b"")
    }

    /// `Sync`
    pub fn sync(&mut self) -> &mut Self {
        self.message(b'S', b"")
    }

    /// Sends what was put together, in one write.
    pub async fn flush(&mut self) {
        let out = self.out.split();
        self.raw(&out).await;
    }

    /// The next message; `None` where the other side has hung up.
    pub async fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = Message::split_off(&mut self.buffer) {
                if message.tag == b'S' {
                    self.parameters.push(message.parameter());
                }
                return Some(message);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return None,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("reading failed: {error}"),
                Ok(_) => {}
            }
        }
    }

    /// What came of a message that is not complete.
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// Reads up to and with a message of this type.
    pub async fn until(&mut self, tag: u8) -> Answer {
        self.until_any(&[tag]).await
    }

    /// Reads up to and with a message of one of these types.
    pub async fn until_any(&mut self, tags: &[u8]) -> Answer {
        let mut messages = Vec::new();
        while let Some(message) = self.receive().await {
            let last = tags.contains(&message.tag);
            messages.push(message);
            if last {
                break;
            }
        }
        Answer::new(messages)
    }

    /// Sends, and reads up to `ReadyForQuery` or the end.
    pub async fn answer(&mut self) -> Answer {
        self.flush().await;
        self.until(b'Z').await
    }

    /// A query in the simple protocol, and its answer.
    pub async fn simple(&mut self, text: &str) -> Answer {
        self.query(text).answer().await
    }

    /// A query in the extended protocol, unnamed, and its answer.
    pub async fn extended(&mut self, text: &str, values: &[&str]) -> Answer {
        self.parse("", text).bind("", values).execute().sync().answer().await
    }
}

fn scram_first(data: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    put_text(&mut body, SCRAM_SHA_256);
    body.put_i32(i32::try_from(data.len()).unwrap());
    body.put_slice(data);
    body
}

fn put_text(body: &mut BytesMut, text: &str) {
    body.put_slice(text.as_bytes());
    body.put_u8(0);
}
