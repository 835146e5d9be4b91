//! The HTTP port under those who mean it no good: clients, and probes, notice nothing of them.

use std::process::Stdio;

use pgstrata_tests::stage::http;
use pgstrata_tests::{ACME, Process, Setup, Stage, Wire, database};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// A connection to the HTTP port that has said so much.
async fn begun(port: u16, said: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // It may have been closed already.
    let _ = stream.write_all(said.as_bytes()).await;
    stream
}

/// Waits until the other side has closed it; what came before that.
async fn closed(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut said).await;
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_keep_nobody_out() {
    let cluster = database::cluster().await;
    let setup = Setup::new().line("listen", "max_clients = 50").line("http", "timeout = '1h'");
    let process = Process::start_with(&setup, cluster.port(), Stdio::null(), Some("ulimit -n 256")).await;
    let mut half = Vec::new();
    for _ in 0..300 {
        half.push(begun(process.http_port, "GET /metrics HTTP/1.1\r\nHost: ").await);
    }
    let mut client = process.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    assert!(http(process.http_port, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(process.metric("process_open_fds").await < 100.0);
    drop(half);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_closes_the_oldest() {
    let stage = Stage::new(Setup::new().line("http", "max_connections = 2\ntimeout = '1h'")).await;
    let oldest = begun(stage.http_port(), "").await;
    let second = begun(stage.http_port(), "GET").await;
    let third = begun(stage.http_port(), "GET").await;
    assert_eq!(closed(oldest).await, "");
    assert!(http(stage.http_port(), "/healthz").await.starts_with("HTTP/1.1 200"));
    assert_eq!(closed(second).await, "");
    drop(third);
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_ends_when_its_time_is_over() {
    let stage = Stage::new(Setup::new().line("http", "timeout = '200ms'")).await;
    for said in ["", "GET /metrics HTTP/1.1\r\nHost: "] {
        assert_eq!(closed(begun(stage.http_port(), said).await).await, "", "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_serves_one_request() {
    let stage = Stage::new(Setup::new().line("http", "timeout = '1h'")).await;
    let said = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    let answer = closed(begun(stage.http_port(), &said).await).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_leave_descriptors_to_probes_and_servers() {
    let cluster = database::cluster().await;
    let setup = Setup::new().line("listen", "login_timeout = '1h'");
    let mut process =
        Process::start_with(&setup, cluster.port(), Stdio::piped(), Some("ulimit -n 256")).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("it warns");
        if line.contains("allows fewer clients than listen.max_clients") {
            assert!(line.contains("max_clients=10000") && line.contains("open_files=256"), "{line}");
            break;
        }
    }
    let mut first = process.wire("acme_corp").await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(Wire::connect(process.port).await);
    }
    assert!(http(process.http_port, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert_eq!(first.simple(NAMES).await.column(), ACME, "there is a descriptor for its server");
    drop(crowd);
    let mut clients = Vec::new();
    let refused = loop {
        assert!(clients.len() < 300, "somebody is one too many");
        match Wire::login(process.port, "app", "app", &[("options", "-ctenant=acme_corp")]).await {
            Ok(client) => clients.push(client),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code, "53300");
    assert!(http(process.http_port, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert_eq!(clients[0].simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let cluster = database::cluster().await;
    let limit = Some("ulimit -Sn 128");
    let process = Process::start_with(&Setup::new(), cluster.port(), Stdio::null(), limit).await;
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!(process.metric("process_max_fds").await, hard as f64);
}
