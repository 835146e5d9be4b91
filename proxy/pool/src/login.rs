//! The start-up conversation with PostgreSQL, from our side.
//!
//! See <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>.

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, ErrorResponseBody, Header, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::connect::ConnectError;

/// Longer messages than that do not come before `ReadyForQuery`.
const MAX_MESSAGE: i32 = 64 * 1024;

/// Who we are.
pub struct Credentials<'a> {
    /// The role.
    pub user: &'a str,
    /// Its password.
    pub password: Option<&'a str>,
    /// Whether nobody else can read the connection: TLS, or a Unix socket.
    pub is_private: bool,
    /// The hash of the server's certificate, for channel binding.
    pub end_point: Option<Vec<u8>>,
}

/// What the server told between the proof and `ReadyForQuery`.
#[derive(Debug)]
pub struct Ready {
    /// `ParameterStatus`, in its order.
    pub parameters: Vec<(String, String)>,
    /// `BackendKeyData`: the process.
    pub pid: i32,
    /// `BackendKeyData`: the key.
    pub key: Bytes,
}

/// Sends the start-up packet with `startup` in it, proves who we are, waits for `ReadyForQuery`.
pub async fn log_in<'a, S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    credentials: &Credentials<'_>,
    startup: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Ready, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk { stream, buffer, out: BytesMut::with_capacity(256) };
    frontend::startup_message(startup, &mut talk.out)?;
    talk.send().await?;
    talk.prove(credentials).await?;
    talk.ready().await
}

struct Talk<'a, S> {
    stream: &'a mut S,
    buffer: &'a mut BytesMut,
    out: BytesMut,
}

impl<S> Talk<'_, S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    async fn send(&mut self) -> Result<(), ConnectError> {
        self.stream.write_all(&self.out).await?;
        self.stream.flush().await?;
        self.out.clear();
        Ok(())
    }

    /// The next message; errors end the conversation, notices do not count.
    async fn receive(&mut self) -> Result<Message, ConnectError> {
        loop {
            let header = Header::parse(self.buffer).map_err(garbage)?;
            if header.is_some_and(|header| header.len() > MAX_MESSAGE) {
                return Err(ConnectError::Protocol("a message is too long".into()));
            }
            match Message::parse(self.buffer).map_err(garbage)? {
                Some(Message::ErrorResponse(body)) => return Err(refused(&body)),
                Some(Message::NoticeResponse(_)) => {}
                Some(message) => return Ok(message),
                None if self.stream.read_buf(self.buffer).await? == 0 => {
                    return Err(ConnectError::Closed);
                }
                None => {}
            }
        }
    }

    async fn prove(&mut self, credentials: &Credentials<'_>) -> Result<(), ConnectError> {
        let password = || credentials.password.ok_or(ConnectError::NoPassword);
        match self.receive().await? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword if credentials.is_private => {
                frontend::password_message(password()?.as_bytes(), &mut self.out)?;
            }
            Message::AuthenticationCleartextPassword => return Err(ConnectError::InsecurePassword),
            Message::AuthenticationMd5Password(body) => {
                let user = credentials.user.as_bytes();
                let hash = md5_hash(user, password()?.as_bytes(), body.salt());
                frontend::password_message(hash.as_bytes(), &mut self.out)?;
            }
            Message::AuthenticationSasl(body) => {
                return self.scram(&body, password()?, credentials.end_point.as_deref()).await;
            }
            _ => return Err(ConnectError::UnsupportedAuth),
        }
        self.send().await?;
        self.proven().await
    }

    /// SCRAM-SHA-256. The server proves itself too: without its signature there is no login.
    async fn scram(
        &mut self,
        offer: &AuthenticationSaslBody,
        password: &str,
        end_point: Option<&[u8]>,
    ) -> Result<(), ConnectError> {
        let (mechanism, binding) = choose(offer, end_point)?;
        let mut scram = ScramSha256::new(password.as_bytes(), binding);
        frontend::sasl_initial_response(mechanism, scram.message(), &mut self.out)?;
        self.send().await?;

        let Message::AuthenticationSaslContinue(body) = self.receive().await? else {
            return Err(unexpected("the SCRAM exchange broke off"));
        };
        scram.update(body.data()).map_err(garbage)?;
        frontend::sasl_response(scram.message(), &mut self.out)?;
        self.send().await?;

        let Message::AuthenticationSaslFinal(body) = self.receive().await? else {
            return Err(unexpected("the SCRAM exchange has no end"));
        };
        scram.finish(body.data()).map_err(garbage)?;
        self.proven().await
    }

    async fn proven(&mut self) -> Result<(), ConnectError> {
        match self.receive().await? {
            Message::AuthenticationOk => Ok(()),
            _ => Err(unexpected("AuthenticationOk is missing")),
        }
    }

    async fn ready(&mut self) -> Result<Ready, ConnectError> {
        let mut ready = Ready { parameters: Vec::new(), pid: 0, key: Bytes::new() };
        loop {
            match self.receive().await? {
                Message::ParameterStatus(body) => {
                    let (name, value) = (body.name().map_err(garbage)?, body.value().map_err(garbage)?);
                    ready.parameters.push((name.to_owned(), value.to_owned()));
                }
                Message::BackendKeyData(body) => {
                    ready.pid = body.process_id();
                    ready.key = Bytes::copy_from_slice(&body.secret_key().to_be_bytes());
                }
                Message::ReadyForQuery(_) => return Ok(ready),
                _ => {
                    return Err(unexpected("a message that does not belong in front of ReadyForQuery"));
                }
            }
        }
    }
}

/// The best mechanism that both sides have.
fn choose(
    offer: &AuthenticationSaslBody,
    end_point: Option<&[u8]>,
) -> Result<(&'static str, ChannelBinding), ConnectError> {
    let offered: Vec<_> = offer.mechanisms().map(|name| Ok(name.to_owned())).collect().map_err(garbage)?;
    let has = |mechanism: &str| offered.iter().any(|name| name == mechanism);
    match end_point {
        Some(hash) if has(SCRAM_SHA_256_PLUS) => {
            Ok((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash.to_vec())))
        }
        _ if !has(SCRAM_SHA_256) => Err(ConnectError::UnsupportedAuth),
        // We could, the server says that it can not: it finds out if somebody in between said so.
        Some(_) => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
        None => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
    }
}

fn refused(body: &ErrorResponseBody) -> ConnectError {
    let (mut code, mut message) = (String::new(), String::new());
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = value(),
            b'M' => message = value(),
            _ => {}
        }
    }
    ConnectError::Refused { code, message }
}

fn garbage(error: std::io::Error) -> ConnectError {
    ConnectError::Protocol(error.to_string())
}

fn unexpected(what: &str) -> ConnectError {
    ConnectError::Protocol(what.to_owned())
}
