//! What ends the program, what does not, and who may hold it up.

use std::process::Stdio;

use nix::sys::signal::Signal;
use pgstrata_tests::wire::{SSL_REQUEST, V3_0};
use pgstrata_tests::{ACME, Process, Setup, Wire, database};
use tokio::io::{AsyncBufReadExt, BufReader};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_mean_nothing_are_ignored() {
    let cluster = database::cluster().await;
    let mut process = Process::start(&Setup::new(), cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let mut client = process.wire("acme_corp").await;
    for signal in
        [Signal::SIGUSR1, Signal::SIGVTALRM, Signal::SIGALRM, Signal::SIGPROF, Signal::SIGIO, Signal::SIGUSR1]
    {
        process.signal(signal);
        loop {
            let line = lines.next_line().await.unwrap().expect("a line for each of them");
            if line.contains(signal.as_str()) {
                break;
            }
        }
        assert_eq!(client.simple(NAMES).await.column(), ACME);
    }
    assert_eq!(client.simple("BEGIN").await.status(), Some('T'));
    process.signal(Signal::SIGTERM);
    // While clients leave, they mean nothing either.
    process.signal(Signal::SIGHUP);
    assert_eq!(client.simple("COMMIT").await.commands(), ["COMMIT"]);
    assert_eq!(process.end().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_have_not_logged_in_hold_up_no_exit() {
    let cluster = database::cluster().await;
    // Whoever waits for them waits longer than a test may take.
    let setup = Setup::new()
        .line("listen", "login_timeout = '1h'")
        .replace("shutdown_timeout = '1s'", "shutdown_timeout = '1h'");
    let mut process = Process::start(&setup, cluster.port(), Stdio::null()).await;
    let silent = Wire::connect(process.port).await;
    let mut half = Wire::connect(process.port).await;
    half.packet(SSL_REQUEST, b"").await;
    assert_eq!(half.byte().await, b'N');
    let mut asked = Wire::connect(process.port).await;
    let startup = [("user", "app"), ("database", "app"), ("options", "-ctenant=acme_corp")];
    asked.startup(V3_0, &startup).await;
    assert_eq!(asked.receive().await.expect("a request for a password").tag, b'R');
    process.signal(Signal::SIGTERM);
    assert_eq!(process.end().await.code(), Some(0));
    drop((silent, half, asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn fast_stop_gives_transactions_a_moment_and_quit_none() {
    let cluster = database::cluster().await;
    // Whoever waits for them waits longer than a test may take.
    let setup = Setup::new().replace("shutdown_timeout = '1s'", "shutdown_timeout = '1h'");
    for (signal, code) in [(Signal::SIGINT, 0), (Signal::SIGQUIT, 1)] {
        let mut process = Process::start(&setup, cluster.port(), Stdio::null()).await;
        let (mut idle, mut busy) = (process.wire("acme_corp").await, process.wire("acme_corp").await);
        assert_eq!(busy.simple("BEGIN; UPDATE users SET name = 'lost'").await.status(), Some('T'));
        process.signal(signal);
        let last_words = idle.until(b'Z').await;
        assert_eq!(last_words.code(), if signal == Signal::SIGINT { "57P01" } else { "" });
        assert_eq!(process.end().await.code(), Some(code));
        drop(busy);
    }
    let process = Process::start(&setup, cluster.port(), Stdio::null()).await;
    assert_eq!(process.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
}
