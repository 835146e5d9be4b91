//! The table of tenants over HTTP, with 50,000 of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::listener::HttpThread;
use crate::config::Config;
use crate::shared::Shared;

const CROWD: usize = 50_000;

// Nobody listens at the port of the database: nothing here asks for it.
const CONFIG: &str = "
[databases.app]
host = '127.0.0.1'
port = 9
user = 'app'
password = 'app'
tls = 'disable'
[[users]]
name = 'ops'
password = 'ops'
stats = true
";

/// The answer, as `ops`.
fn ask(port: u16, path: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = "Host: localhost\r\nAuthorization: Basic b3BzOm9wcw==\r\nConnection: close\r\n";
    write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    assert!(body.len() < 100_000, "{} bytes", body.len());
    serde_json::from_str(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_tenants_come_a_page_at_a_time() {
    let config = Config::parse(CONFIG, Path::new("pgstrata.toml")).unwrap();
    let limits = config.http.clone();
    let shared = Shared::new(config).unwrap();
    let _held: Vec<_> = (0..CROWD).map(|i| shared.metrics.tally("app", &format!("tenant_{i:05}"))).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port();
    let (_stop, stopping) = watch::channel(false);
    let router = super::router(Arc::clone(&shared), stopping, address);
    let http = HttpThread::start(listener, router, &limits).unwrap();
    for (question, matched, first) in [
        ("sort=requests&order=desc&size=50", CROWD, "tenant_00000"),
        ("sort=tenant&order=desc&size=200", CROWD, "tenant_49999"),
        ("sort=tenant&size=50&page=1000", CROWD, "tenant_49950"),
        ("search=TENANT_123&sort=tenant", 100, "tenant_12300"),
    ] {
        let begun = Instant::now();
        let answer = ask(port, &format!("/api/v1/tenants?{question}"));
        println!("{question}: {:?}", begun.elapsed());
        assert_eq!((&answer["total"], &answer["matched"]), (&CROWD.into(), &matched.into()), "{question}");
        assert_eq!(answer["rows"][0]["tenant"], first, "{question}");
    }
    drop(http);
}
