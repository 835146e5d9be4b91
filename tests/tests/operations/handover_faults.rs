//! A process that can't take over, or dies when it has: clients are served all the same, by the one before it.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::stage::{connect, eventually, free_port, http};
use pgstrata_tests::{ACME, Process, Setup, database};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::handover::{Line, cancel, line_with};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn old_process_goes_on_though_its_pid_file_is_lost() {
    let cluster = database::cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let pid_file = format!("pid_file = '{}'", folder.path().join("pgstrata.pid").display());
    let setup = Setup::new().line("process", pid_file);
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let mut client = process.wire("acme_corp").await;
    line_with(&mut lines, "ready").await;
    folder.close().unwrap();
    // Neither process can write it: the new one ends, when the old one has stopped to accept.
    for _ in 0..2 {
        process.signal(Signal::SIGUSR2);
        line_with(&mut lines, "failed to write process.pid_file again").await;
        line_with(&mut lines, "this one goes on").await;
        assert_eq!(client.simple(NAMES).await.column(), ACME);
        assert_eq!(process.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    }
    process.signal(Signal::SIGTERM);
    assert_eq!(process.end().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_dies_when_it_has_taken_over_is_stood_in_for() {
    let cluster = database::cluster().await;
    let setup = Setup::new().servers(4).line("listen", "handover_timeout = '1h'");
    let mut line = Line::start(&setup, &cluster, Stdio::piped()).await;
    let mut lines = BufReader::new(line.first.child.stderr.take().unwrap()).lines();
    let mut stays = line.first.wire("acme_corp").await;
    stays.simple("BEGIN").await;
    for _ in 0..2 {
        line.restart().await;
        line_with(&mut lines, "another process has taken over").await;
        kill(Pid::from_raw(line.pids.pop().unwrap()), Signal::SIGKILL).unwrap();
        line_with(&mut lines, "this one serves again").await;
        eventually(Some(line.pids[0]), async || line.newest()).await;
        // All of it is there again: clients, cancels, HTTP, the next hand-over.
        let mut late = line.first.wire("acme_corp").await;
        assert_eq!(late.simple(NAMES).await.column(), ACME);
        let key = late.key.clone();
        late.query("SELECT pg_sleep(600)").flush().await;
        loop {
            cancel(line.first.port, &key).await;
            let answer = tokio::time::timeout(Duration::from_millis(200), late.answer()).await;
            if let Ok(answer) = answer {
                assert_eq!(answer.code(), "57014");
                break;
            }
        }
        assert!(http(line.first.http_port, "/readyz").await.contains("ready"));
    }
    // One that is told to end is not stood in for.
    line.restart().await;
    line_with(&mut lines, "another process has taken over").await;
    line.signal(Signal::SIGTERM);
    while TcpStream::connect(("127.0.0.1", line.first.port)).await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stays.simple("SELECT 1").await.column(), ["1"]);
    kill(Pid::from_raw(line.pids[0]), Signal::SIGTERM).unwrap();
    assert_eq!(stays.simple("COMMIT").await.commands(), ["COMMIT"]);
    assert_eq!(line.first.end().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_process_hears_signals_while_another_starts() {
    let cluster = database::cluster().await;
    let mut process = Process::start_by_name(&Setup::new(), cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let program = process.program();
    let replace = |text: &str, mode: u32| {
        fs::remove_file(&program).unwrap();
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (text, mode, why) in [
        ("no program", 0o644, "can not start"),
        ("#!/bin/sh\nexit 3", 0o755, "exit status: 3"),
        ("#!/bin/sh\necho hello >&0\nexec sleep 1000", 0o755, "the new process says \"hello\""),
    ] {
        replace(text, mode);
        process.signal(Signal::SIGUSR2);
        let said = line_with(&mut lines, "this one goes on").await;
        assert!(said.contains(why), "{said}");
        assert_eq!(process.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    }
    let started = process.folder().join("started");
    replace(
        &format!("#!/bin/sh\necho $$ > {0}.tmp; mv {0}.tmp {0}; exec sleep 1000", started.display()),
        0o755,
    );
    process.signal(Signal::SIGUSR2);
    while !started.exists() {
        sleep(Duration::from_millis(10)).await;
    }
    let silent: i32 = fs::read_to_string(&started).unwrap().trim().parse().unwrap();
    process.signal(Signal::SIGUSR2);
    assert!(line_with(&mut lines, "signal ignored").await.contains("SIGUSR2"));
    assert!(process.hang_up().await);
    assert_eq!(process.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.end().await.code(), Some(0));
    while Line::runs(silent) {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_of_a_port_does_not_change_over_a_hand_over() {
    let cluster = database::cluster().await;
    let setup = Setup::new();
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let listen = format!("[listen]\naddress = '127.0.0.1:{}", process.port);
    let text = process.text(&setup);
    process.write(&text.replace(&listen, &listen.replace("127.0.0.1", "0.0.0.0")));
    process.signal(Signal::SIGUSR2);
    let said = line_with(&mut lines, "can not listen on").await;
    let held = format!("listens on 127.0.0.1:{} for clients. A hand-over can not change", process.port);
    assert!(said.contains(&held), "{said}");
    line_with(&mut lines, "this one goes on").await;
    assert_eq!(process.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_the_old_process_go_as_they_become_idle() {
    let cluster = database::cluster().await;
    let setup = Setup::new().servers(4).line("listen", "handover_timeout = '0s'");
    let setup = setup.replace("shutdown_timeout = '1s'", "shutdown_timeout = '1h'");
    let mut line = Line::start(&setup, &cluster, Stdio::null()).await;
    let owner = connect(&cluster.superuser("app")).await.unwrap();
    let mut pids = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = line.first.wire("acme_corp").await;
        client.simple("BEGIN").await;
        pids.push(client.simple("SELECT pg_backend_pid()").await.column()[0].parse::<i32>().unwrap());
        clients.push(client);
    }
    line.restart().await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)";
    let there = async || owner.query_one(count, &[&pids]).await.unwrap().get::<_, i64>(0);
    assert_eq!(there().await, 2);
    // The time of the clients is over; one of them goes on, and the other's server is of no use.
    let mut leaves = clients.pop().unwrap();
    assert_eq!(leaves.simple("COMMIT").await.commands(), ["COMMIT"]);
    eventually(1, there).await;
    assert_eq!(clients[0].simple("SELECT 1").await.column(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_is_there_only_on_a_socket_of_this_machine() {
    let cluster = database::cluster().await;
    for (address, answer) in [("127.0.0.1:0", "401 Unauthorized"), ("0.0.0.0:0", "404 Not Found")] {
        let clients = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let page = std::net::TcpListener::bind(address).unwrap();
        let port = page.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgstrata.toml");
        // The file names an address of this machine either way.
        fs::write(&file, Setup::new().toml(free_port(), free_port(), cluster.port())).unwrap();
        let script = "exec 3<&0 4<&1 0</dev/null 1>&2;
                      LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=clients:http exec \"$0\" \"$@\"";
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", script]).arg(pgstrata().as_std().get_program());
        command.args(["serve", "--config"]).arg(&file).kill_on_drop(true).stderr(Stdio::null());
        command.stdin(OwnedFd::from(clients)).stdout(OwnedFd::from(page));
        let _child = command.spawn().unwrap();
        assert!(http(port, "/healthz").await.contains("200 OK"));
        for path in ["/api/v1/health", "/api/v1/tenants", "/api/v1/show/users"] {
            let said = http(port, path).await;
            assert!(said.contains(answer), "{address} {path}: {said}");
        }
    }
}
