//! Logging in to a real PostgreSQL by every method, with and without TLS.

// A test may fail loudly; clippy knows that of its functions only, not of its helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod postgres;

use std::time::Duration;

use pgstrata::config::{Database, Secret, ServerTls};
use pgstrata::pool::cancel::send_cancel;
use pgstrata::pool::connect::{ConnectError, Connected, connect};
use pgstrata::pool::target::Target;
use pgstrata::stream::ServerStream;
use postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TLS: [ServerTls; 2] = [ServerTls::Disable, ServerTls::Require];
const PASSWORD: &str = "pass word";

/// That server, for a user who has the password and no TLS; tests change what they are about.
fn database(postgres: &Postgres, user: &str) -> Database {
    Database {
        host: "localhost".to_owned(),
        port: postgres.port,
        database: Some("postgres".to_owned()),
        user: user.to_owned(),
        password: Secret::new(PASSWORD),
        tls: ServerTls::Disable,
        tls_ca: None,
        control: Default::default(),
        limits: Default::default(),
        cluster: None,
    }
}

async fn log_in(database: &Database) -> Result<Connected, ConnectError> {
    let target = Target::new("entry", database).unwrap();
    connect(&target, &[("application_name", "a test"), ("client_encoding", "UTF8")]).await
}

/// The answer to a query, as it comes.
async fn ask(server: &mut Connected, query: &str) -> String {
    let mut out = bytes::BytesMut::new();
    postgres_protocol::message::frontend::query(query, &mut out).unwrap();
    server.stream.write_all(&out).await.unwrap();
    server.stream.flush().await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"Z\0\0\0\x05I") {
        assert_ne!(server.stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn every_method_logs_in() {
    let postgres = Postgres::start();
    for user in ["by_scram", "by_md5"] {
        for tls in TLS {
            let database = Database { tls, ..database(&postgres, user) };
            let mut server = log_in(&database).await.unwrap();
            assert!(ask(&mut server, "select current_user").await.contains(user));
        }
    }
    let trusted = log_in(&database(&postgres, "by_trust")).await.unwrap();
    let reported = |name| &trusted.parameters.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(reported("application_name"), "a test");
    assert_eq!(reported("client_encoding"), "UTF8");
    assert!(trusted.pid > 0 && trusted.key.len() == 4 && trusted.buffer.is_empty());
}

#[tokio::test]
async fn clear_password_is_sent_over_tls_only() {
    let postgres = Postgres::start();
    let [plain, tls] = TLS.map(|tls| Database { tls, ..database(&postgres, "by_password") });
    let refused = log_in(&plain).await;
    assert!(matches!(refused, Err(ConnectError::InsecurePassword)), "{refused:?}");
    log_in(&tls).await.unwrap();
}

#[tokio::test]
async fn refusal_keeps_its_sqlstate_and_tells_no_password() {
    let postgres = Postgres::start();
    let wrong = |user| Database { password: Secret::new("hunter2"), ..database(&postgres, user) };
    let nowhere = Database { database: Some("nowhere".to_owned()), ..wrong("by_trust") };
    for (database, expected) in [
        (wrong("by_scram"), "28P01"),
        (wrong("by_md5"), "28P01"),
        (wrong("nobody"), "28000"),
        (nowhere, "3D000"),
    ] {
        let error = log_in(&database).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(
            matches!(&error, ConnectError::Refused { code, message } if code == expected && !message.is_empty()),
            "{error}"
        );
    }
    let silent = Database { password: Secret::default(), ..database(&postgres, "by_scram") };
    let error = log_in(&silent).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoPassword));
}

#[tokio::test]
async fn tls_modes_are_those_of_libpq() {
    let postgres = Postgres::start();
    let known = postgres.certificate("authority.pem");
    let stranger = postgres.certificate("stranger.pem");
    for (host, tls, authority, works) in [
        ("localhost", ServerTls::Prefer, &stranger, true),
        ("localhost", ServerTls::Require, &stranger, true),
        ("localhost", ServerTls::VerifyCa, &known, true),
        ("localhost", ServerTls::VerifyCa, &stranger, false),
        ("localhost", ServerTls::VerifyFull, &known, true),
        ("localhost", ServerTls::VerifyFull, &stranger, false),
        // The certificate is for localhost alone.
        ("127.0.0.1", ServerTls::VerifyCa, &known, true),
        ("127.0.0.1", ServerTls::VerifyFull, &known, false),
    ] {
        let database = Database {
            host: host.to_owned(),
            tls,
            tls_ca: Some(authority.into()),
            ..database(&postgres, "by_scram")
        };
        let connected = log_in(&database).await;
        match &connected {
            Ok(server) => assert!(matches!(server.stream, ServerStream::Tls(_))),
            Err(error) => assert!(matches!(error, ConnectError::Tls { .. }), "{error}"),
        }
        assert_eq!(connected.is_ok(), works, "{host} {tls:?} {authority}: {connected:?}");
    }
}

#[tokio::test]
async fn server_without_tls_is_used_as_the_mode_says() {
    let postgres = Postgres::start_without_tls();
    let with = |tls| Database { tls, ..database(&postgres, "by_trust") };
    let plain = log_in(&with(ServerTls::Prefer)).await.unwrap();
    assert!(matches!(plain.stream, ServerStream::Plain(_)));
    let refused = log_in(&with(ServerTls::Require)).await;
    assert!(matches!(refused, Err(ConnectError::NoTls)));
}

#[tokio::test]
async fn unix_socket_is_a_host_that_begins_with_a_slash() {
    let postgres = Postgres::start();
    let database = Database { host: postgres.socket_directory(), ..database(&postgres, "by_scram") };
    let mut server = log_in(&database).await.unwrap();
    assert!(matches!(server.stream, ServerStream::Unix(_)));
    assert!(ask(&mut server, "select 'here'").await.contains("here"));
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_address() {
    let postgres = Postgres::start();
    let port = postgres::free_port();
    let host = "127.0.0.1".to_owned();
    let nobody = Database { host, port, ..database(&postgres, "by_trust") };
    let error = log_in(&nobody).await.unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn cancel_reaches_the_query_of_its_key_only() {
    let postgres = Postgres::start();
    for tls in TLS {
        let database = Database { tls, ..database(&postgres, "by_trust") };
        let target = Target::new("entry", &database).unwrap();
        let mut server = log_in(&database).await.unwrap();
        let mut watcher = log_in(&database).await.unwrap();
        let (pid, key) = (server.pid, server.key.clone());
        let running = format!("select 'runs' from pg_stat_activity where pid = {pid} and state = 'active'");
        let cancel = async {
            while !ask(&mut watcher, &running).await.contains("runs") {}
            let mut forged = key.to_vec();
            forged[0] ^= 1;
            send_cancel(&target, pid, &forged).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(ask(&mut watcher, &running).await.contains("runs"));
            send_cancel(&target, pid, &key).await.unwrap();
        };
        let (answer, ()) = tokio::join!(ask(&mut server, "select pg_sleep(600)"), cancel);
        assert!(answer.contains("57014"), "{answer}");
    }
}
