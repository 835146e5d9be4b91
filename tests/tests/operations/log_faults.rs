//! Whoever reads the log is gone, stalled, or its disk is full: clients notice nothing of it.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use pgstrata_tests::{ACME, Process, Setup, Wire, database};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const DROPPED: &str = "pgstrata_log_lines_dropped_total";

/// Logins with a wrong password: each is refused in the client's own words, and leaves a line in the log.
async fn refused(process: &Process, count: usize) {
    for _ in 0..count {
        let refused = Wire::login(process.port, "app", "wrong", &[("options", "-ctenant=acme_corp")]).await;
        assert_eq!(refused.unwrap_err().code, "28P01");
    }
}

/// All that a server does which logs, and what its clients get: refusals, a full house, a way out.
async fn works_with_no_log(mut process: Process) {
    refused(&process, 3).await;
    let mut client = let_in(&process, "acme_corp").await;
    let second = let_in(&process, "globex").await;
    // The third is one too many, and told so.
    let third = Wire::login(process.port, "app", "app", &[("options", "-ctenant=acme_corp")]).await;
    assert_eq!(third.unwrap_err().code, "53300");
    assert!(process.metric(DROPPED).await >= 4.0);
    assert_eq!(client.simple("BEGIN").await.status(), Some('T'));
    process.signal(Signal::SIGTERM);
    while TcpStream::connect(("127.0.0.1", process.port)).await.is_ok() {}
    assert_eq!(client.simple(NAMES).await.column(), ACME, "a transaction goes on to its end");
    assert_eq!(client.simple("COMMIT").await.commands(), ["COMMIT"]);
    drop((client, second));
    assert_eq!(process.end().await.code(), Some(0));
}

/// A client that is let in as soon as those are gone that were refused before.
async fn let_in(process: &Process, tenant: &str) -> Wire {
    let options = format!("-ctenant={tenant}");
    loop {
        match Wire::login(process.port, "app", "app", &[("options", &options)]).await {
            Ok(wire) => return wire,
            Err(fault) => assert_eq!(fault.code, "53300"),
        }
    }
}

fn setup() -> Setup {
    Setup::new().replace("shutdown_timeout = '1s'", "shutdown_timeout = '60s'")
}

/// Each client that leaves before it has proven who it is has a line, with its name: those have no bound in number.
fn chatty() -> Setup {
    setup().line("log", "level = 'info,pgstrata_auth=debug'")
}

/// Lines of 9 KB. Each of them is written, or dropped, when this is done.
async fn long_lines(process: &Process, count: usize) {
    let mut packet = [0, 3, 0, 0].to_vec();
    packet.extend_from_slice(format!("user\0{}\0\0", "x".repeat(9_000)).as_bytes());
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", process.port)).await.unwrap();
        stream.write_all(&u32::try_from(packet.len() + 4).unwrap().to_be_bytes()).await.unwrap();
        stream.write_all(&packet).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
}

fn two_clients() -> Setup {
    setup().line("listen", "max_clients = 2")
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_of_the_log_is_gone() {
    let cluster = database::cluster().await;
    let mut process = Process::start(&two_clients(), cluster.port(), Stdio::piped()).await;
    drop(process.child.stderr.take());
    works_with_no_log(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_of_the_log_is_full() {
    let cluster = database::cluster().await;
    let full = File::options().write(true).open("/dev/full").unwrap();
    let process = Process::start(&two_clients(), cluster.port(), full).await;
    works_with_no_log(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_of_the_log_stalls_and_comes_back() {
    let cluster = database::cluster().await;
    let setup = chatty().line("listen", "login_timeout = '60s'");
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    // More than a pipe and the queue hold.
    long_lines(&process, 300).await;
    let dropped = process.metric(DROPPED).await;
    assert!(dropped > 0.0);
    let mut client = process.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    drop(client);
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let told = loop {
        let line = lines.next_line().await.unwrap().expect("it says what is missing");
        if line.contains("log lines were dropped") {
            break line;
        }
    };
    assert!(told.contains(&format!("total={dropped}")), "{told}");
    process.signal(Signal::SIGTERM);
    let mut rest = String::new();
    lines.into_inner().read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("shutting down"), "the last lines are written: {rest}");
    assert_eq!(process.end().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_waits_for_no_reader() {
    let cluster = database::cluster().await;
    let mut process = Process::start(&chatty(), cluster.port(), Stdio::piped()).await;
    long_lines(&process, 20).await;
    process.signal(Signal::SIGTERM);
    let end = tokio::time::timeout(Duration::from_secs(60), process.end()).await;
    assert_eq!(end.expect("it ends").code(), Some(0));
}
