//! Logging in to a real PostgreSQL by every method, with and without TLS.

// A test may fail loudly; clippy knows that of its functions only, not of its helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod postgres;

use std::time::Duration;

use pgstrata::config::Database;
use pgstrata::pool::cancel::send_cancel;
use pgstrata::pool::connect::{ConnectError, Connected, connect};
use pgstrata::pool::target::Target;
use pgstrata::wire::stream::ServerStream;
use postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TLS: [&str; 2] = ["tls = 'disable'", "tls = 'require'"];
const PASSWORD: &str = "password = 'pass word'";

/// `[databases.entry]` for that server; `more` is more lines of it.
fn database(postgres: &Postgres, user: &str, more: &str) -> Database {
    let port = postgres.port;
    let text = format!(
        "host = 'localhost'\nport = {port}\ndatabase = 'postgres'\nuser = '{user}'\n{more}"
    );
    toml::from_str(&text).unwrap()
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
            let database = database(&postgres, user, &format!("{PASSWORD}\n{tls}"));
            let mut server = log_in(&database).await.unwrap();
            assert!(ask(&mut server, "select current_user").await.contains(user));
        }
    }
    let trusted = log_in(&database(&postgres, "by_trust", "")).await.unwrap();
    let reported = |name| &trusted.parameters.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(reported("application_name"), "a test");
    assert_eq!(reported("client_encoding"), "UTF8");
    assert!(trusted.pid > 0 && trusted.key.len() == 4 && trusted.buffer.is_empty());
}

#[tokio::test]
async fn clear_password_is_sent_over_tls_only() {
    let postgres = Postgres::start();
    let [plain, tls] =
        TLS.map(|tls| database(&postgres, "by_password", &format!("{PASSWORD}\n{tls}")));
    let refused = log_in(&plain).await;
    assert!(matches!(refused, Err(ConnectError::InsecurePassword)), "{refused:?}");
    log_in(&tls).await.unwrap();
}

#[tokio::test]
async fn refusal_keeps_its_sqlstate_and_tells_no_password() {
    let postgres = Postgres::start();
    let wrong = |user| database(&postgres, user, "password = 'hunter2'");
    let mut nowhere = wrong("by_trust");
    nowhere.database = Some("nowhere".to_owned());
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
    let error = log_in(&database(&postgres, "by_scram", "")).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoPassword));
}

#[tokio::test]
async fn tls_modes_are_those_of_libpq() {
    let postgres = Postgres::start();
    let known = postgres.certificate("authority.pem");
    let stranger = postgres.certificate("stranger.pem");
    for (host, tls, authority, works) in [
        ("localhost", "prefer", &stranger, true),
        ("localhost", "require", &stranger, true),
        ("localhost", "verify-ca", &known, true),
        ("localhost", "verify-ca", &stranger, false),
        ("localhost", "verify-full", &known, true),
        ("localhost", "verify-full", &stranger, false),
        // The certificate is for localhost alone.
        ("127.0.0.1", "verify-ca", &known, true),
        ("127.0.0.1", "verify-full", &known, false),
    ] {
        let more = format!("{PASSWORD}\ntls = '{tls}'\ntls_ca = '{authority}'");
        let mut database = database(&postgres, "by_scram", &more);
        database.host = host.to_owned();
        let connected = log_in(&database).await;
        match &connected {
            Ok(server) => assert!(matches!(server.stream, ServerStream::Tls(_))),
            Err(error) => assert!(matches!(error, ConnectError::Tls { .. }), "{error}"),
        }
        assert_eq!(connected.is_ok(), works, "{host} {tls} {authority}: {connected:?}");
    }
}

#[tokio::test]
async fn server_without_tls_is_used_as_the_mode_says() {
    let postgres = Postgres::start_without_tls();
    let plain = log_in(&database(&postgres, "by_trust", "tls = 'prefer'")).await.unwrap();
    assert!(matches!(plain.stream, ServerStream::Plain(_)));
    let refused = log_in(&database(&postgres, "by_trust", "tls = 'require'")).await;
    assert!(matches!(refused, Err(ConnectError::NoTls)));
}

#[tokio::test]
async fn unix_socket_is_a_host_that_begins_with_a_slash() {
    let postgres = Postgres::start();
    let mut database = database(&postgres, "by_scram", PASSWORD);
    database.host = postgres.socket_directory();
    let mut server = log_in(&database).await.unwrap();
    assert!(matches!(server.stream, ServerStream::Unix(_)));
    assert!(ask(&mut server, "select 'here'").await.contains("here"));
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_address() {
    let port = postgres::free_port();
    let text = format!("host = '127.0.0.1'\nport = {port}\nuser = 'x'");
    let error = log_in(&toml::from_str(&text).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn cancel_reaches_the_query_of_its_key_only() {
    let postgres = Postgres::start();
    for tls in TLS {
        let database = database(&postgres, "by_trust", tls);
        let target = Target::new("entry", &database).unwrap();
        let mut server = log_in(&database).await.unwrap();
        let mut watcher = log_in(&database).await.unwrap();
        let (pid, key) = (server.pid, server.key.clone());
        let running =
            format!("select 'runs' from pg_stat_activity where pid = {pid} and state = 'active'");
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
