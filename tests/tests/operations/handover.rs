//! A new process takes over (SIGUSR2), and nobody notices but by a moment's reconnect between two transactions.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgstrata::demo::postgres::Cluster;
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::stage::{connect, free_port, http};
use pgstrata_tests::wire::CANCEL_REQUEST;
use pgstrata_tests::{ACME, Process, Setup, Wire, database};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;
use tokio::time::sleep;

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const RESTARTED: &str = "terminating connection: the proxy was restarted";

/// A process, and those that take over from it. All of them are killed when this is dropped.
pub(crate) struct Line {
    pub(crate) first: Process,
    pub(crate) pids: Vec<i32>,
}

impl Line {
    pub(crate) async fn start(setup: &Setup, cluster: &Cluster, stderr: Stdio) -> Self {
        let setup = setup.clone().line("process", "pid_file = 'pgstrata.pid'");
        let first = Process::start(&setup, cluster.port(), stderr).await;
        let mut line = Self { first, pids: Vec::new() };
        let pid = line.first.child.id().unwrap().try_into().unwrap();
        // It takes clients a moment before.
        while line.newest() != Some(pid) {
            sleep(Duration::from_millis(10)).await;
        }
        line.pids.push(pid);
        line
    }

    /// What the PID file says.
    pub(crate) fn newest(&self) -> Option<i32> {
        std::fs::read_to_string(self.first.folder().join("pgstrata.pid")).ok()?.trim().parse().ok()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(*self.pids.last().unwrap()), signal).unwrap();
    }

    /// Has another process take over; done when it serves.
    pub(crate) async fn restart(&mut self) {
        self.signal(Signal::SIGUSR2);
        let before = *self.pids.last().unwrap();
        let newest = loop {
            match self.newest() {
                Some(pid) if pid != before => break pid,
                _ => sleep(Duration::from_millis(10)).await,
            }
        };
        self.pids.push(newest);
        // The new process's metrics are there, and the one before it has closed its sockets soon.
        while !http(self.first.http_port, "/healthz").await.contains("ok") {
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn runs(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for pid in &self.pids {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
}

/// One client: transactions one after the other, each with a number of its own; those that were acknowledged are counted.
struct Client {
    port: u16,
    number: u64,
    acknowledged: Arc<AtomicU64>,
    reconnects: Arc<AtomicU64>,
}

impl Client {
    async fn connect(&self) -> Wire {
        let options = [("options", "-ctenant=acme_corp")];
        Wire::login(self.port, "app", "app", &options).await.expect("logins are never refused")
    }

    async fn run(self, stop: Arc<AtomicBool>) {
        let mut wire = self.connect().await;
        let mut turn = 0;
        while !stop.load(Ordering::Relaxed) {
            let insert = format!("INSERT INTO ledger VALUES ({}, {turn})", self.number);
            // Some in one statement, some in several.
            let texts = match self.number % 2 {
                0 => vec![insert],
                _ => vec![
                    "BEGIN".to_owned(),
                    insert,
                    "SELECT count(*) FROM users".to_owned(),
                    "COMMIT".to_owned(),
                ],
            };
            for (index, text) in texts.iter().enumerate() {
                let answer = wire.simple(text).await;
                if answer.code() == "57P01" {
                    assert_eq!(index, 0, "only between transactions");
                    let fault = answer.fault().unwrap();
                    assert_eq!((&*fault.severity, &*fault.message), ("FATAL", RESTARTED));
                    self.reconnects.fetch_add(1, Ordering::Relaxed);
                    wire = self.connect().await;
                    break;
                }
                assert_eq!(answer.fault(), None);
                assert!(answer.status().is_some(), "no answer to {text}: {answer:?}");
                if index + 1 == texts.len() {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    turn += 1;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_lose_no_answer_over_several_restarts() {
    let cluster = database::cluster().await;
    let owner = connect(&cluster.superuser("app")).await.unwrap();
    let table = "CREATE TABLE acme_corp.ledger (client bigint, turn bigint, PRIMARY KEY (client, turn));
                 GRANT ALL ON acme_corp.ledger TO app, PUBLIC";
    owner.batch_execute(table).await.unwrap();
    let setup = Setup::new().servers(4).line("listen", "handover_timeout = '500ms'");
    let mut line = Line::start(&setup, &cluster, Stdio::null()).await;
    let (acknowledged, reconnects) = (Arc::default(), Arc::default());
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..16)
        .map(|number| {
            let (acknowledged, reconnects) = (Arc::clone(&acknowledged), Arc::clone(&reconnects));
            let client = Client { port: line.first.port, number, acknowledged, reconnects };
            tokio::spawn(client.run(Arc::clone(&stop)))
        })
        .collect();
    for restart in 1..=4 {
        let before = acknowledged.load(Ordering::Relaxed);
        while acknowledged.load(Ordering::Relaxed) < before + 100 {
            sleep(Duration::from_millis(10)).await;
        }
        line.restart().await;
        // All of them have come over before the next one.
        while reconnects.load(Ordering::Relaxed) < restart * 16 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let count = owner.query_one("SELECT count(*) FROM acme_corp.ledger", &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(u64::try_from(count).unwrap(), acknowledged.load(Ordering::Relaxed));
    // Those before have nothing left to do.
    for pid in &line.pids[..4] {
        while Line::runs(*pid) {
            sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(line.first.end().await.code(), Some(0));
}

/// Sends a cancel request, and waits until it is dealt with.
pub(crate) async fn cancel(port: u16, key: &[u8]) {
    let mut wire = Wire::connect(port).await;
    wire.packet(CANCEL_REQUEST, key).await;
    assert!(wire.receive().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_requests_find_clients_of_the_processes_before() {
    let cluster = database::cluster().await;
    let setup = Setup::new().servers(4).line("listen", "handover_timeout = '1h'");
    let mut line = Line::start(&setup, &cluster, Stdio::null()).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = line.first.wire("acme_corp").await;
        client.simple("BEGIN").await;
        clients.push(client);
        line.restart().await;
    }
    clients.push(line.first.wire("acme_corp").await);
    for client in &mut clients {
        client.query("SELECT pg_sleep(600)").flush().await;
    }
    let mut wrong = clients[0].key.to_vec();
    wrong[7] ^= 1;
    cancel(line.first.port, &wrong).await;
    for client in clients.iter_mut().rev() {
        let busy = client.key.clone();
        // It may come before the statement.
        loop {
            cancel(line.first.port, &busy).await;
            let answer = tokio::time::timeout(Duration::from_millis(200), client.answer()).await;
            if let Ok(answer) = answer {
                assert_eq!(answer.code(), "57014");
                break;
            }
        }
    }
    // A client in a transaction stays to its end; SIGTERM ends its process as ever.
    kill(Pid::from_raw(line.pids[0]), Signal::SIGTERM).unwrap();
    assert_eq!(clients[0].simple("ROLLBACK").await.commands(), ["ROLLBACK"]);
    assert_eq!(clients[0].until(b'Z').await.code(), "57P01");
    assert_eq!(line.first.end().await.code(), Some(0));
    assert_eq!(clients[1].simple("ROLLBACK").await.commands(), ["ROLLBACK"]);
    assert_eq!(clients[1].simple(NAMES).await.column(), ACME);
}

/// Reads the log up to a line with that word.
pub(crate) async fn line_with(lines: &mut Lines<BufReader<ChildStderr>>, word: &str) -> String {
    loop {
        let line = lines.next_line().await.unwrap().expect("it says so");
        if line.contains(word) {
            return line;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_fails_to_start_takes_nothing_over() {
    let cluster = database::cluster().await;
    let setup =
        Setup::new().line("listen", "handover_timeout = '0s'").line("process", "pid_file = 'pgstrata.pid'");
    let mut line =
        Line::start(&Setup::new().line("listen", "handover_timeout = '0s'"), &cluster, Stdio::piped()).await;
    let mut lines = BufReader::new(line.first.child.stderr.take().unwrap()).lines();
    let good = line.first.text(&setup);
    let mut client = line.first.wire("acme_corp").await;
    for (broken, why) in [
        ("[listen]\nadress = 'x'".to_owned(), "has ended before it served"),
        (good.replace("'pgstrata.pid'", "'missing/pgstrata.pid'"), "has ended before it served"),
    ] {
        line.first.write(&broken);
        line.signal(Signal::SIGUSR2);
        let said = line_with(&mut lines, "this one goes on").await;
        assert!(said.contains(why), "{said}");
        assert_eq!(client.simple(NAMES).await.column(), ACME);
        let mut late = line.first.wire("acme_corp").await;
        assert_eq!(late.simple(NAMES).await.column(), ACME);
        assert_eq!(line.newest(), Some(line.pids[0]));
    }
    // What a reload can't change, a new process does.
    let other = free_port();
    line.first
        .write(&good.replace(&format!("127.0.0.1:{}", line.first.http_port), &format!("127.0.0.1:{other}")));
    line.first.http_port = other;
    line.signal(Signal::SIGUSR2);
    line_with(&mut lines, "another process has taken over").await;
    assert_eq!(client.until(b'Z').await.fault().unwrap().message, RESTARTED);
    line.pids.push(line.newest().unwrap());
    assert!(http(other, "/metrics").await.contains("pgstrata_clients"));
    assert_eq!(line.first.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_which_process_is_the_one_and_may_hold_the_sockets() {
    let cluster = database::cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let next = || {
        let mut buffer = [0; 256];
        let length = notify.recv(&mut buffer).expect("it says something");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    // As systemd hands it over: made before the process, on an address that no file names.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let file = folder.path().join("pgstrata.toml");
    std::fs::write(&file, Setup::new().toml(free_port(), free_port(), cluster.port())).unwrap();
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", script])
        .arg(pgstrata().as_std().get_program())
        .args(["serve", "--config"])
        .arg(&file);
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()))).kill_on_drop(true);
    command
        .stderr(Stdio::null())
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .env("WATCHDOG_USEC", "60000000");
    let child = command.spawn().unwrap();
    let news = || std::iter::repeat_with(next).find(|said| said != "WATCHDOG=1").unwrap();
    assert_eq!(news(), "READY=1");
    let options = [("options", "-ctenant=acme_corp")];
    let mut client = Wire::login(port, "app", "app", &options).await.unwrap();
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGUSR2).unwrap();
    // The new process says that it is ready, and the old one which that is, in any order.
    let mut said = [news(), news()];
    said.sort();
    // The watchdog's time begins anew with the new process.
    let pid = said[0].strip_prefix("MAINPID=").and_then(|said| said.strip_suffix("\nWATCHDOG=1"));
    let pid: i32 = pid.expect("its number").parse().unwrap();
    assert_eq!(said[1], "READY=1");
    let mut late = Wire::login(port, "app", "app", &options).await.unwrap();
    assert_eq!(late.simple(NAMES).await.column(), ACME);
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    assert_eq!(news(), "STOPPING=1");
}
