//! Handshakes, with TLS.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::accept::AcceptContext;
use super::error::OpenError;
use super::login::Login;
use super::testing::{context, log_in_as, serve};
use super::tls::from_chain;
use crate::config::{Database, Secret, ServerTls};
use crate::net::tls::{client_tls_config, end_point};
use crate::pool::connect::ConnectError;
use crate::pool::login::Ready;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn context_with_tls(signature: &'static rcgen::SignatureAlgorithm) -> AcceptContext {
    let key = rcgen::KeyPair::generate_for(signature).unwrap();
    let names = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = names.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = from_chain(vec![certificate.der().clone()], key).unwrap();
    AcceptContext { tls: Some(tls), tls_required: true, ..context() }
}

fn client() -> ClientConfig {
    let database = Database {
        host: "localhost".to_owned(),
        port: 5432,
        database: None,
        user: "app".to_owned(),
        password: Secret::default(),
        tls: ServerTls::Require,
        tls_ca: None,
        control: Default::default(),
        limits: Default::default(),
        cluster: None,
    };
    ClientConfig::clone(&client_tls_config(&database).unwrap().unwrap())
}

async fn handshake(client: ClientConfig, stream: DuplexStream) -> TlsStream<DuplexStream> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap()
}

/// How the client asks for TLS.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    SslRequest,
    Direct,
}

/// Which certificate SCRAM is tied to.
#[derive(Clone, Copy, PartialEq)]
enum Binding {
    None,
    ToServer,
    ToAnother,
}

async fn visit(
    context: &AcceptContext,
    client: ClientConfig,
    way: Way,
    user: &str,
    binding: Binding,
) -> (Result<Ready, ConnectError>, Result<Login<DuplexStream>, OpenError>) {
    let (mut stream, server) = tokio::io::duplex(64 * 1024);
    let talk = async {
        if way == Way::SslRequest {
            stream.write_all(&SSL_REQUEST).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'S');
        }
        let mut stream = handshake(client, stream).await;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let hash = match binding {
            Binding::None => None,
            Binding::ToServer => end_point(&certificate),
            Binding::ToAnother => Some(vec![0; 32]),
        };
        log_in_as(&mut stream, user, Some("secret"), hash, &[("database", "shop")]).await
    };
    tokio::join!(talk, serve(server, context))
}

#[tokio::test]
async fn tls_after_a_request_and_direct() {
    let context = context_with_tls(&rcgen::PKCS_ECDSA_P256_SHA256);
    for way in [Way::SslRequest, Way::Direct] {
        for user in ["app", "old", "plain"] {
            let (ready, login) = visit(&context, client(), way, user, Binding::None).await;
            ready.unwrap();
            assert!(login.unwrap().is_tls());
        }
    }
}

#[tokio::test]
async fn channel_binding_is_checked() {
    let context = context_with_tls(&rcgen::PKCS_ECDSA_P384_SHA384);
    let (ready, _) = visit(&context, client(), Way::SslRequest, "app", Binding::ToServer).await;
    ready.unwrap();
    let (ready, login) = visit(&context, client(), Way::SslRequest, "app", Binding::ToAnother).await;
    assert!(matches!(ready, Err(ConnectError::Refused { .. })));
    assert!(matches!(login, Err(OpenError::Refused(_))));
}

#[tokio::test]
async fn certificate_without_a_hash_gives_scram_without_binding() {
    let context = context_with_tls(&rcgen::PKCS_ED25519);
    let (ready, _) = visit(&context, client(), Way::SslRequest, "app", Binding::ToServer).await;
    ready.unwrap();
}

#[tokio::test]
async fn direct_tls_must_name_the_protocol() {
    let context = context_with_tls(&rcgen::PKCS_ECDSA_P256_SHA256);
    let silent = || {
        let mut config = client();
        config.alpn_protocols.clear();
        config
    };
    let (ready, login) = visit(&context, silent(), Way::Direct, "app", Binding::None).await;
    assert!(ready.is_err());
    assert!(matches!(login, Err(OpenError::Refused(refusal)) if refusal.code == "08P01"));
    let (ready, _) = visit(&context, silent(), Way::SslRequest, "app", Binding::None).await;
    ready.unwrap();
}

#[tokio::test]
async fn client_hello_in_pieces_is_put_together() {
    let context = context_with_tls(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (stream, near) = tokio::io::duplex(64 * 1024);
    let (far, server) = tokio::io::duplex(64 * 1024);
    let talk = async {
        let mut stream = handshake(client(), stream).await;
        log_in_as(&mut stream, "app", Some("secret"), None, &[("database", "shop")]).await
    };
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let crumble = async {
        let mut piece = [0; 7];
        while let Ok(length @ 1..) = near_read.read(&mut piece).await {
            far_write.write_all(&piece[..length]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let back = tokio::io::copy(&mut far_read, &mut near_write);
    let (ready, login, (), _) = tokio::join!(talk, serve_and_close(server, &context), crumble, back);
    ready.unwrap();
    login.unwrap();
}

async fn serve_and_close(server: DuplexStream, context: &AcceptContext) -> Result<(), OpenError> {
    serve(server, context).await.map(drop)
}

#[tokio::test]
async fn request_inside_tls_is_answered_no() {
    let context = context_with_tls(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (stream, server) = tokio::io::duplex(64 * 1024);
    let talk = async {
        let mut stream = handshake(client(), stream).await;
        stream.write_all(&SSL_REQUEST).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'N');
        log_in_as(&mut stream, "app", Some("secret"), None, &[("database", "shop")]).await
    };
    let (ready, _) = tokio::join!(talk, serve(server, &context));
    ready.unwrap();
}

#[tokio::test]
async fn what_is_no_tls_ends_the_opening() {
    let context = context_with_tls(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (mut stream, server) = tokio::io::duplex(64 * 1024);
    stream.write_all(b"\x16\x03\x01\x00\x05hello, this is no handshake").await.unwrap();
    assert!(matches!(serve(server, &context).await, Err(OpenError::Tls(_))));
}
