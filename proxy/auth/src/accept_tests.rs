//! Handshakes, without TLS.

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::accept::{Opening, open};
use super::error::OpenError;
use super::testing::{PEER, context, context_of, knock, refusal, user, visit};
use crate::config::{AuthMethod, Listen};
use crate::net::socket::Peer;

/// A start-up packet, or one of the requests that look like it.
fn packet(code: u32, body: &[u8]) -> BytesMut {
    let mut packet = BytesMut::new();
    packet.put_u32(u32::try_from(body.len() + 8).unwrap());
    packet.put_u32(code);
    packet.put_slice(body);
    packet
}

const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// All that is answered to `sent`, and how the opening ends.
async fn say(sent: &[u8]) -> (Vec<u8>, Result<Opening<DuplexStream>, OpenError>) {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let context = context();
    client.write_all(sent).await.unwrap();
    client.shutdown().await.unwrap();
    let opening = open(server, PEER, &context).await;
    let mut answer = Vec::new();
    // An opening that went well still holds its end.
    if opening.is_err() {
        client.read_to_end(&mut answer).await.unwrap();
    }
    (answer, opening)
}

/// The SQLSTATE of the refusal that `answer` ends with.
fn code(answer: &[u8]) -> &str {
    let text = answer.split(|byte| *byte == 0).find(|field| field.first() == Some(&b'C'));
    std::str::from_utf8(&text.expect("an SQLSTATE")[1..]).unwrap()
}

#[tokio::test]
async fn client_that_says_nothing_is_no_error_worth_a_word() {
    let (answer, opening) = say(b"").await;
    assert!(matches!(opening, Err(OpenError::Closed)));
    assert!(answer.is_empty());
}

#[tokio::test]
async fn requests_for_encryption_are_answered_no() {
    let (mut client, server) = tokio::io::duplex(1024);
    let context = context();
    let talk = async {
        for code in [GSS, SSL] {
            client.write_all(&packet(code, b"")).await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'N');
        }
        client.write_all(&packet(3 << 16, b"user\0trusty\0database\0shop\0\0")).await.unwrap();
    };
    let (opening, ()) = tokio::join!(open(server, PEER, &context), talk);
    let Opening::Session(login) = opening.unwrap() else { panic!("no session") };
    assert_eq!(login.user.name, "trusty");
    assert!(!login.is_tls());
}

#[tokio::test]
async fn bytes_sent_ahead_of_the_answer_are_refused() {
    for request in [SSL, GSS] {
        let mut sent = packet(request, b"");
        sent.put(packet(3 << 16, b"user\0trusty\0database\0shop\0\0"));
        let (answer, opening) = say(&sent).await;
        assert!(matches!(opening, Err(OpenError::Refused(_))));
        assert_eq!(code(&answer), "08P01");
    }
}

#[tokio::test]
async fn encryption_is_asked_for_once() {
    let (mut client, server) = tokio::io::duplex(1024);
    let context = context();
    let talk = async {
        for _ in 0..2 {
            client.write_all(&packet(SSL, b"")).await.unwrap();
            client.read_u8().await.unwrap();
        }
    };
    let (opening, ()) = tokio::join!(open(server, PEER, &context), talk);
    assert_eq!(refusal(opening).code, "0A000");
}

#[tokio::test]
async fn cancel_request_comes_out_with_its_key() {
    let (_, opening) = say(&packet(CANCEL, b"\0\0\0\x2akey-of-many-bytes")).await;
    let Ok(Opening::Cancel { request, .. }) = opening else { panic!("no cancel") };
    assert_eq!((request.pid, request.key.as_ref()), (42, &b"key-of-many-bytes"[..]));
}

#[tokio::test]
async fn protocol_2_is_refused_in_its_own_form() {
    let (answer, opening) = say(&packet(2 << 16, &[0; 288])).await;
    assert_eq!(refusal(opening).code, "0A000");
    let text = "EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.2\n\0";
    assert_eq!(answer, text.as_bytes());
}

#[tokio::test]
async fn newer_protocol_is_negotiated() {
    let body = b"user\0nobody\0database\0shop\0_pq_.x\x001\0\0";
    let (answer, _) = say(&packet((3 << 16) | 9999, body)).await;
    let mut answer = answer.as_slice();
    assert_eq!((answer.get_u8(), answer.get_u32()), (b'v', 19));
    assert_eq!((answer.get_u32(), answer.get_u32()), ((3 << 16) | 2, 1));
    assert!(answer.starts_with(b"_pq_.x\0R"));
}

#[tokio::test]
async fn what_is_no_startup_packet_is_refused() {
    for (sent, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "08P01"),
        (&packet(3 << 16, b"user\0app\0"), "08P01"),
        (&packet(3 << 16, b"\0"), "28000"),
        (b"\x16\x03\x01", "08P01"),
    ] {
        let (answer, _) = say(sent).await;
        assert_eq!(code(&answer), expected, "{sent:?}");
    }
}

#[tokio::test]
async fn message_that_lies_about_its_length_is_refused() {
    for message in [
        &b"p\0\0\0\x03"[..],
        b"p\xff\xff\xff\xff",
        b"Q\0\0\0\x04",
        b"p\0\0\0\x16SCRAM-SHA-256\0\xff\xff\xff\xff",
        b"p\0\0\0\x16SCRAM-SHA-256\0\0\0\xff\xff",
        b"p\0\0\0\x12SCRAM-SHA-256\0",
        b"p\0\0\0\x11SCRAM-SHA-256",
        b"p\0\0\0\x1bSCRAM-SHA-256-PLUS\0\0\0\0\0",
        b"p\0\0\0\x18SCRAM-SHA-256\0\0\0\0\x02p=",
        b"p\0\0\0\x18SCRAM-SHA-256\0\0\0\0\x02\xff\xff",
    ] {
        let mut sent = packet(3 << 16, b"user\0app\0database\0shop\0\0");
        sent.put_slice(message);
        let (answer, _) = say(&sent).await;
        assert_eq!(code(&answer), "08P01", "{message:?}");
    }
}

#[tokio::test]
async fn tls_can_be_a_must() {
    let mut context = context();
    context.tls_required = true;
    let told = knock(&context, "app", Some("secret"), &[("database", "shop")]).await.unwrap_err();
    assert_eq!(told.0, "28000");
}

#[tokio::test]
async fn visitor_gets_all_that_it_asked_for() {
    let startup = [
        ("database", "shop"),
        ("options", "-ctenant=acme -c statement_timeout=5s"),
        ("application_name", "test"),
    ];
    let (ready, login) = visit(&context(), "app", Some("secret"), &startup).await;
    let ready = ready.unwrap();
    let login = login.unwrap();
    assert_eq!(ready.parameters, [("server_version".to_owned(), "18.0".to_owned())]);
    assert_eq!((ready.pid, ready.key.as_ref()), (42, &b"abcd"[..]));
    assert_eq!(login.tenant.unwrap().as_str(), "acme");
    assert_eq!(login.database, "shop");
    assert_eq!(login.settings.len(), 2);
}

#[tokio::test]
async fn tenant_that_is_missing_reads_as_one_that_is_forbidden() {
    let context = context();
    let mut told = Vec::new();
    // The first exists and is another's, the second does not exist at all, the third is allowed by its pattern.
    for tenant in ["globex", "nowhere", "pre_nowhere"] {
        let startup = [("database", "shop"), ("tenant", tenant)];
        let (code, message) = knock(&context, "app", Some("secret"), &startup).await.unwrap_err();
        told.push((code, message.replace(tenant, "TENANT")));
    }
    let expected = "tenant \"TENANT\" does not exist or user \"app\" may not use it";
    assert!(told.iter().all(|told| *told == ("28000".to_owned(), expected.to_owned())), "{told:?}");
}

#[tokio::test]
async fn tenant_by_pattern_is_admitted() {
    let startup = [("database", "shop"), ("tenant", "pre_1")];
    knock(&context(), "app", Some("secret"), &startup).await.unwrap();
    knock(&context(), "app.pre_1", Some("secret"), &[("database", "shop")]).await.unwrap();
}

#[tokio::test]
async fn unknown_database_is_told_to_who_has_proven_itself_only() {
    let context = context();
    let startup = [("database", "nowhere")];
    let (code, message) = knock(&context, "app", Some("secret"), &startup).await.unwrap_err();
    assert_eq!((code.as_str(), message.as_str()), ("3D000", "database \"nowhere\" does not exist"));
    let (code, _) = knock(&context, "app", Some("wrong"), &startup).await.unwrap_err();
    assert_eq!(code, "28P01");
}

#[tokio::test]
async fn administrator_without_a_proof_comes_from_this_machine() {
    let mut ops = user("ops", AuthMethod::Trust, "");
    ops.admin = true;
    let context = context_of(&[ops], &Listen::default());
    let knock = async |peer: &str| {
        let (mut client, server) = tokio::io::duplex(1024);
        let startup = packet(3 << 16, b"user\0ops\0database\0pgstrata\0\0");
        client.write_all(&startup).await.unwrap();
        open(server, Peer::Tcp(format!("{peer}:1").parse().unwrap()), &context).await
    };
    for peer in ["127.0.0.1", "127.8.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        assert!(matches!(knock(peer).await, Ok(Opening::Console(_))), "{peer}");
    }
    for peer in ["10.0.0.1", "[2001:db8::1]", "[::ffff:10.0.0.1]"] {
        let Err(OpenError::Refused(refusal)) = knock(peer).await else { panic!("{peer} is let in") };
        assert_eq!(refusal.code, "28000");
    }
}
