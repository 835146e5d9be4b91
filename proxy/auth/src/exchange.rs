//! The proof: a client shows that it is who it says it is.
//!
//! See <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>
//! and <https://www.postgresql.org/docs/current/sasl-authentication.html>.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::error::PgWireError;
use pgwire::messages::startup::Authentication;
use postgres_protocol::authentication::sasl::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::certificate;
use super::credential::{Credential, Exchange};
use super::error::{OpenError, violation};
use super::peer;
use super::users::{Account, Users};
use super::verifier::{self, Verifier};
use crate::config::{AuthMethod, User};
use crate::net::socket::Process;
use crate::wire::refusal::{Refusal, sqlstate};
use crate::wire::startup::{put, take_text};

/// The longest message of a client that has not proven who it is.
const MAX_MESSAGE: usize = 64 * 1024;

/// Who wants in.
pub struct Candidate<'a> {
    /// The user's name in the configuration.
    pub user: &'a str,
    /// The name as the client wrote it, for the message that refuses it.
    pub as_sent: &'a str,
    /// The user, if there is one.
    pub account: Option<Account>,
    /// What those are asked for who do not exist.
    pub users: &'a Users,
    /// How it has to prove who it is, whatever its user's entry says.
    pub method: Option<AuthMethod>,
    /// What the client's certificate proves; `None`: it has shown none.
    pub certified: Option<bool>,
    /// SCRAM over the client's TLS; `None` without TLS.
    pub tls: Option<&'a ScramServerAuth>,
    /// Whether nobody else can read what the client sends.
    pub is_private: bool,
    /// The client's process, which has connected over a Unix socket.
    pub process: Option<Process>,
}

/// Asks for a proof and checks it. `AuthenticationOk` is not sent yet.
///
/// A user that does not exist goes through the same exchange as one that logs in by the configured default, and gets
/// the same answer as one with a wrong password. So does one that can prove nothing by its method.
pub async fn authenticate<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
) -> Result<Arc<User>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Candidate { users, user, .. } = *candidate;
    let account = candidate.account.as_ref();
    let own = || account.map_or_else(|| users.auth(), |account| account.user.rights.auth);
    let method = candidate.method.unwrap_or_else(own);
    let known = account.and_then(|account| Some((account, account.credential.exchange(method)?)));
    let proven = match &known {
        Some((account, exchange)) => prove(stream, buffer, candidate, &account.credential, exchange).await?,
        None => {
            // Nobody is let in without a proof who does not exist.
            let method = if method == AuthMethod::Trust { AuthMethod::ScramSha256 } else { method };
            let mock = users.mock(user, method);
            if let Some(exchange) = mock.exchange(method) {
                prove(stream, buffer, candidate, &mock, &exchange).await?;
            }
            false
        }
    };
    match known {
        Some((Account { user, .. }, _)) if proven => Ok(Arc::clone(user)),
        _ if method == AuthMethod::Peer => Err(peer::refusal(candidate.as_sent).into()),
        // Whoever has a certificate of that name hears no more of users than others.
        _ if method == AuthMethod::Cert => Err(certificate::refusal(true, candidate.as_sent).into()),
        _ => {
            users.doubt(user);
            Err(wrong_password(candidate.as_sent).into())
        }
    }
}

async fn prove<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
    credential: &Credential,
    exchange: &Exchange<'_>,
) -> Result<bool, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match exchange {
        Exchange::Trust => Ok(true),
        Exchange::Certificate => match candidate.certified {
            Some(true) => Ok(true),
            other => Err(certificate::refusal(other.is_some(), candidate.as_sent).into()),
        },
        Exchange::Peer => match candidate.account.as_ref().zip(candidate.process) {
            Some((account, process)) if peer::proves(process, &account.user).await => Ok(true),
            _ => Err(peer::refusal(candidate.as_sent).into()),
        },
        Exchange::Scram(verifier) => scram(stream, buffer, candidate, verifier).await,
        Exchange::Md5(credential) => md5(stream, buffer, candidate, credential).await,
        Exchange::Cleartext => {
            let password = cleartext(stream, buffer, candidate).await?;
            Ok(credential.fits(&password, candidate.user))
        }
    }
}

fn wrong_password(name: &str) -> Refusal {
    let message = format!("password authentication failed for user \"{name}\"");
    Refusal::new(sqlstate::INVALID_PASSWORD, message)
}

async fn scram<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
    verifier: &Verifier,
) -> Result<bool, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let plain = ScramServerAuth::new();
    let server = candidate.tls.unwrap_or(&plain);
    let binds = server.supports_channel_binding();
    let mut mechanisms = vec![SCRAM_SHA_256.to_owned()];
    if binds {
        mechanisms.insert(0, SCRAM_SHA_256_PLUS.to_owned());
    }
    send(stream, &Authentication::SASL(mechanisms)).await?;

    let first = client_first(receive(stream, buffer).await?, binds)?;
    let (challenge, waiting) = server
        .on_client_first_message_with_secret(&first, verifier::secret(verifier))
        .map_err(|_| malformed())?;
    send(stream, &Authentication::SASLContinue(challenge.into())).await?;

    let last = receive(stream, buffer).await?;
    match waiting.on_client_final_message(&last) {
        Ok(signature) => {
            send(stream, &Authentication::SASLFinal(signature.into())).await?;
            Ok(true)
        }
        Err(PgWireError::InvalidPassword(_)) => Ok(false),
        Err(_) => Err(malformed()),
    }
}

/// The data of a `SASLInitialResponse`, whose mechanism must be one that was offered
/// and must agree with the data on whether there is channel binding.
fn client_first(message: Bytes, binds: bool) -> Result<Bytes, OpenError> {
    let mut rest = message.as_ref();
    let mechanism = take_text(&mut rest).ok_or_else(malformed)?;
    let plus = mechanism == SCRAM_SHA_256_PLUS.as_bytes();
    if !(plus && binds || mechanism == SCRAM_SHA_256.as_bytes()) {
        return Err(violation("client selected an invalid SASL authentication mechanism"));
    }
    let length = rest.try_get_i32().ok().and_then(|length| usize::try_from(length).ok());
    if length != Some(rest.len()) || plus != rest.starts_with(b"p=") {
        return Err(malformed());
    }
    Ok(message.slice_ref(rest))
}

fn malformed() -> OpenError {
    violation("malformed SCRAM message")
}

async fn md5<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
    credential: &Credential,
) -> Result<bool, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let salt: [u8; 4] = rand::random();
    send(stream, &Authentication::MD5Password(salt.to_vec())).await?;
    let answer = password_text(&receive(stream, buffer).await?)?;
    // The client hashes the name that it sent, suffix and all.
    let expected = credential.md5_answer(candidate.as_sent, salt);
    Ok(expected.is_some_and(|expected| expected.as_bytes().ct_eq(answer.as_bytes()).into()))
}

async fn cleartext<S>(
    stream: &mut S,
    buffer: &mut BytesMut,
    candidate: &Candidate<'_>,
) -> Result<String, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if !candidate.is_private {
        let message = format!("user \"{}\" can log in over TLS only", candidate.as_sent);
        return Err(Refusal::new(sqlstate::INVALID_AUTHORIZATION, message)
            .hint("Its password is sent as it is. Use sslmode=require or stricter.")
            .into());
    }
    send(stream, &Authentication::CleartextPassword).await?;
    password_text(&receive(stream, buffer).await?)
}

/// The text of a `PasswordMessage`.
fn password_text(message: &[u8]) -> Result<String, OpenError> {
    let mut rest = message;
    let text = take_text(&mut rest).filter(|_| rest.is_empty());
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    text.map(str::to_owned).ok_or_else(|| violation("invalid password packet"))
}

/// The body of the next message, which must be of the password family.
async fn receive<S>(stream: &mut S, buffer: &mut BytesMut) -> Result<Bytes, OpenError>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(body) = take_password(buffer)? {
            return Ok(body);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(OpenError::Closed);
        }
    }
}

/// Takes a `p` message out of `buffer`; its length is judged before the rest is waited for.
fn take_password(buffer: &mut BytesMut) -> Result<Option<Bytes>, OpenError> {
    match buffer.first() {
        Some(b'p') | None => {}
        Some(other) => {
            return Err(violation(format!("expected password response, got message type {other}")));
        }
    }
    let Some(length) = buffer.get(1..).and_then(|rest| rest.first_chunk()) else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(4..=MAX_MESSAGE).contains(&length) {
        return Err(violation("invalid length of password message"));
    }
    if buffer.len() <= length {
        return Ok(None);
    }
    let mut message = buffer.split_to(length + 1).freeze();
    message.advance(5);
    Ok(Some(message))
}

async fn send<S>(stream: &mut S, message: &Authentication) -> Result<(), OpenError>
where
    S: AsyncWrite + Unpin,
{
    let mut out = BytesMut::new();
    put(message, &mut out);
    stream.write_all(&out).await?;
    Ok(stream.flush().await?)
}
