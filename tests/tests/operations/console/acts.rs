//! What the console does, and that nothing is lost by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pgstrata_tests::database::cluster;
use pgstrata_tests::stage::{eventually, tenant_option};
use pgstrata_tests::wire::CANCEL_REQUEST;
use pgstrata_tests::{Process, Stage, Wire};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{SOON, ask, console, log_in, number, setup, stage, value};

const APP: (&str, &str) = ("name", "app");

/// How many servers PostgreSQL has, as it says itself.
async fn servers(stage: &Stage, root: &mut Wire) -> i64 {
    // Those that the proxy itself uses are no servers of the pool.
    let pids = ask(root, "SHOW SERVERS").await.rows();
    let pids: Vec<String> = pids.into_iter().map(|row| row[16].clone()).collect();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid::text = ANY ($1)";
    stage.superuser().await.query_one(sql, &[&pids]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_under_load_loses_nothing() {
    let stage = Arc::new(Stage::new(setup().servers(3)).await);
    stage
        .superuser()
        .await
        .batch_execute("CREATE TABLE acme_corp.work (n bigint); GRANT ALL ON acme_corp.work TO app, PUBLIC")
        .await
        .unwrap();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let (stage, stop, done) = (Arc::clone(&stage), Arc::clone(&stop), Arc::clone(&done));
        clients.spawn(async move {
            let mut wire = stage.wire("acme_corp").await;
            while !stop.load(Ordering::Relaxed) {
                let text = match client % 2 {
                    0 => "INSERT INTO work VALUES (1)",
                    _ => "BEGIN; INSERT INTO work VALUES (1); COMMIT",
                };
                assert_eq!(wire.simple(text).await.fault(), None);
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut root = console(&stage).await;
    for _ in 0..5 {
        let before = done.load(Ordering::Relaxed);
        eventually(true, async || done.load(Ordering::Relaxed) > before).await;
        timeout(SOON, ask(&mut root, "PAUSE app")).await.expect("all servers come back");
        assert!(ask(&mut root, "SHOW SERVERS").await.rows().is_empty());
        assert_eq!(number(&mut root, "DATABASES", APP, "paused").await, 1);
        let paused = done.load(Ordering::Relaxed);
        eventually(8, async || number(&mut root, "POOLS", ("database", "app"), "cl_waiting").await).await;
        // Each had at most an answer on its way.
        assert!(done.load(Ordering::Relaxed) <= paused + 8);
        ask(&mut root, "RESUME app").await;
    }
    stop.store(true, Ordering::Relaxed);
    timeout(SOON, clients.join_all()).await.expect("all go on");
    let rows: i64 =
        stage.superuser().await.query_one("SELECT count(*) FROM acme_corp.work", &[]).await.unwrap().get(0);
    assert_eq!(u64::try_from(rows).unwrap(), done.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn request_waits_out_a_pause_that_is_longer_than_its_own_time() {
    let stage = Stage::new(setup().line("pool", "wait_timeout = '100ms'")).await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    ask(&mut root, "PAUSE").await;
    assert_eq!(ask(&mut root, "SHOW STATE").await.rows()[1], ["paused", "yes"]);
    assert_eq!(root.simple("PAUSE").await.code(), "55000");
    let waiting = tokio::spawn(async move { app.simple("SELECT 1").await.value() });
    eventually(true, async || number(&mut root, "POOLS", ("database", "app"), "maxwait_us").await > 300_000)
        .await;
    // Known settings need no server: a client gets in, and waits.
    let mut late = stage.wire("globex").await;
    ask(&mut root, "RESUME").await;
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap(), "1");
    assert_eq!(late.simple("SELECT 1").await.value(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_that_is_given_up_leaves_nothing_behind() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut holder = stage.wire("acme_corp").await;
    holder.simple("BEGIN; SELECT 1").await;
    // Its client hangs up.
    let mut leaver = console(&stage).await;
    leaver.query("PAUSE app").flush().await;
    eventually(1, async || number(&mut root, "DATABASES", APP, "paused").await).await;
    drop(leaver);
    eventually(0, async || number(&mut root, "DATABASES", APP, "paused").await).await;
    // Its client cancels it.
    let mut canceller = console(&stage).await;
    canceller.query("PAUSE app").flush().await;
    eventually(1, async || number(&mut root, "DATABASES", APP, "paused").await).await;
    let key = canceller.key.clone();
    Wire::connect(stage.port()).await.packet(CANCEL_REQUEST, &key).await;
    assert_eq!(timeout(SOON, canceller.until(b'Z')).await.unwrap().code(), "57014");
    assert_eq!(number(&mut root, "DATABASES", APP, "paused").await, 0);
    // Somebody resumes meanwhile.
    canceller.query("PAUSE app").flush().await;
    eventually(1, async || number(&mut root, "DATABASES", APP, "paused").await).await;
    ask(&mut root, "RESUME app").await;
    assert_eq!(timeout(SOON, canceller.until(b'Z')).await.unwrap().code(), "55000");
    // One pauses what another is about to: the first to give up takes nothing from the other.
    canceller.query("PAUSE app").flush().await;
    eventually(1, async || number(&mut root, "DATABASES", APP, "paused").await).await;
    let mut second = console(&stage).await;
    second.query("PAUSE app").flush().await;
    sleep(std::time::Duration::from_millis(100)).await;
    drop(canceller);
    eventually("no such row".to_owned(), async || value(&mut root, "CLIENTS", ("id", "999999"), "id").await)
        .await;
    holder.simple("COMMIT").await;
    assert_eq!(timeout(SOON, second.until(b'Z')).await.unwrap().commands(), ["PAUSE"]);
    assert_eq!(number(&mut root, "DATABASES", APP, "paused").await, 1);
    ask(&mut root, "RESUME app").await;
    assert_eq!(holder.simple("SELECT 1").await.value(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_ends_clients_and_servers_and_pauses() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut idle = stage.wire("globex").await;
    let mut open = stage.wire("acme_corp").await;
    open.simple("BEGIN; UPDATE users SET name = 'x'").await;
    let mut busy = stage.wire("acme_corp").await;
    busy.query("SELECT pg_sleep(600)").flush().await;
    eventually(2, async || number(&mut root, "POOLS", ("database", "app"), "sv_active").await).await;
    let pid = value(&mut root, "SERVERS", ("state", "active"), "remote_pid").await;
    timeout(SOON, ask(&mut root, "KILL app")).await.expect("it is done at once");
    for wire in [&mut idle, &mut open, &mut busy] {
        let fault = timeout(SOON, wire.until(b'Z')).await.unwrap().fault().unwrap();
        assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"));
        assert_eq!(fault.message, "terminating connection due to administrator command");
    }
    assert!(ask(&mut root, "SHOW SERVERS").await.rows().is_empty());
    let left = "SELECT count(*) FROM pg_stat_activity WHERE pid::text = $1";
    eventually(0i64, async || stage.superuser().await.query_one(left, &[&pid]).await.unwrap().get(0)).await;
    assert_eq!(number(&mut root, "DATABASES", APP, "paused").await, 1);
    ask(&mut root, "RESUME app").await;
    // What was open is undone.
    let mut app = stage.wire("acme_corp").await;
    assert_eq!(app.simple("SELECT name FROM users ORDER BY id").await.column(), pgstrata_tests::ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnect_replaces_servers_as_they_come_back() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let (mut one, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    one.simple("BEGIN").await;
    let held = one.simple("SELECT pg_backend_pid()").await.value();
    let idle = other.simple("SELECT pg_backend_pid()").await.value();
    assert_eq!(servers(&stage, &mut root).await, 2);
    ask(&mut root, "RECONNECT app").await;
    assert_eq!(value(&mut root, "SERVERS", ("remote_pid", &idle), "state").await, "no such row");
    assert_eq!(number(&mut root, "SERVERS", ("remote_pid", &held), "close_needed").await, 1);
    let mut waiter = console(&stage).await;
    waiter.query("WAIT_CLOSE app").flush().await;
    let new = other.simple("SELECT pg_backend_pid()").await.value();
    assert!(new != idle && new != held);
    assert_eq!(number(&mut root, "SERVERS", ("remote_pid", &new), "close_needed").await, 0);
    // The transaction goes on where it is.
    assert_eq!(one.simple("SELECT pg_backend_pid()").await.value(), held);
    one.simple("COMMIT").await;
    assert_eq!(timeout(SOON, waiter.until(b'Z')).await.unwrap().commands(), ["WAIT_CLOSE"]);
    assert_eq!(value(&mut root, "SERVERS", ("remote_pid", &held), "state").await, "no such row");
    assert_eq!(other.simple("SELECT pg_backend_pid()").await.value(), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_database_takes_no_new_clients_and_keeps_the_others() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    ask(&mut root, "DISABLE app").await;
    assert_eq!(number(&mut root, "DATABASES", APP, "disabled").await, 1);
    let option = tenant_option("acme_corp");
    let fault = Wire::login(stage.port(), "app", "app", &[("options", &option)]).await.unwrap_err();
    assert_eq!(fault.code, "55000");
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    ask(&mut root, "ENABLE app").await;
    stage.wire("acme_corp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_clients_are_cancelled_and_ended() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut busy = stage.wire("acme_corp").await;
    let mut other = stage.wire("globex").await;
    busy.query("SELECT pg_sleep(600)").flush().await;
    let acme = ("tenant", "acme_corp");
    eventually("active".to_owned(), async || value(&mut root, "CLIENTS", acme, "state").await).await;
    let id = value(&mut root, "CLIENTS", acme, "id").await;
    // It may not have reached PostgreSQL yet.
    let cancelled = async {
        loop {
            ask(&mut root, &format!("CANCEL {id}")).await;
            if let Ok(answer) = timeout(std::time::Duration::from_millis(300), busy.until(b'Z')).await {
                return answer;
            }
        }
    };
    let answer = timeout(SOON, cancelled).await.unwrap();
    assert_eq!((answer.code().as_str(), answer.status()), ("57014", Some('I')));
    busy.query("SELECT pg_sleep(600)").flush().await;
    eventually("active".to_owned(), async || value(&mut root, "CLIENTS", acme, "state").await).await;
    ask(&mut root, &format!("KILL_CLIENT {id}")).await;
    assert_eq!(timeout(SOON, busy.until(b'Z')).await.unwrap().code(), "57P01");
    assert_eq!(other.simple("SELECT 1").await.value(), "1");
    // A tenant's clients, and no other's.
    let mut acme_again = stage.wire("acme_corp").await;
    let answer = ask(&mut root, "KILL TENANT acme_corp").await;
    assert_eq!(answer.commands(), ["KILL TENANT"]);
    assert_eq!(timeout(SOON, acme_again.until(b'Z')).await.unwrap().code(), "57P01");
    assert_eq!(other.simple("SELECT 1").await.value(), "1");
    // A console can be ended like others.
    let mut victim = log_in(stage.port(), "watcher", "pgstrata").await.unwrap();
    let id = value(&mut root, "CLIENTS", ("user", "watcher"), "id").await;
    ask(&mut root, &format!("KILL_CLIENT {id}")).await;
    assert_eq!(timeout(SOON, victim.until(b'Z')).await.unwrap().code(), "57P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_tenant_is_refused_until_it_is_resumed() {
    let cluster = cluster().await;
    let admin = "CREATE ROLE keeper LOGIN PASSWORD 'keeper' SUPERUSER";
    pgstrata_tests::stage::connect(&cluster.superuser("app"))
        .await
        .unwrap()
        .batch_execute(admin)
        .await
        .unwrap();
    let control = "control = { user = 'keeper', password = 'keeper' }";
    let stage = Stage::on(cluster, setup().line("databases.app", control)).await;
    let registry = pgstrata_tests::Registry::install(&stage).await;
    registry.set("acme_corp", "active").await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    timeout(SOON, ask(&mut root, "SUSPEND TENANT acme_corp")).await.unwrap();
    eventually("57P03".to_owned(), async || app.simple("SELECT * FROM users").await.code()).await;
    assert_eq!(value(&mut root, "LOCKED", ("tenant", "acme_corp"), "state").await, "suspended");
    assert_eq!(value(&mut root, "TENANTS", ("tenant", "acme_corp"), "state").await, "suspended");
    timeout(SOON, ask(&mut root, "RESUME TENANT acme_corp IN app")).await.unwrap();
    eventually(String::new(), async || app.simple("SELECT * FROM users").await.code()).await;
    assert_eq!(root.simple("SUSPEND TENANT nobody").await.code(), "55000");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_leaves_a_line_for_audits() {
    let cluster = cluster().await;
    let mut process = Process::start(&setup(), cluster.port(), std::process::Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let mut root = log_in(process.port, "root", "pgstrata").await.unwrap();
    let mut watcher = log_in(process.port, "watcher", "pgstrata").await.unwrap();
    ask(&mut root, "PAUSE app").await;
    ask(&mut root, "SHOW STATS").await;
    assert_eq!(root.simple("PAUSE\nnobody").await.code(), "3D000");
    watcher.simple("RESUME app").await;
    ask(&mut root, "RESUME app").await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap();
        if line.contains("audit") {
            seen.push(line);
        }
    }
    for (line, parts) in seen.iter().zip([
        ["user=\"root\"", "command=\"PAUSE app\"", "outcome=\"done\""],
        ["user=\"root\"", "command=\"PAUSE\\nnobody\"", "outcome=\"3D000\""],
        ["user=\"root\"", "command=\"RESUME app\"", "outcome=\"done\""],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)) && line.contains("peer=127.0.0.1:"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_waits_for_what_it_says() {
    let cluster = cluster().await;
    let start = async || Process::start(&setup(), cluster.port(), std::process::Stdio::null()).await;
    let refused =
        async |process: &Process| tokio::net::TcpStream::connect(("127.0.0.1", process.port)).await.is_err();
    // At once.
    let mut process = start().await;
    let mut app = process.wire("acme_corp").await;
    app.simple("BEGIN; SELECT 1").await;
    let mut root = log_in(process.port, "root", "pgstrata").await.unwrap();
    ask(&mut root, "SHUTDOWN").await;
    assert!(timeout(SOON, process.end()).await.unwrap().success());
    // For transactions: shutdown_timeout, a second here, is over long before.
    let mut process = start().await;
    let (mut app, mut idle) = (process.wire("acme_corp").await, process.wire("globex").await);
    app.simple("BEGIN; SELECT 1").await;
    let mut root = log_in(process.port, "root", "pgstrata").await.unwrap();
    ask(&mut root, "SHUTDOWN WAIT_FOR_SERVERS").await;
    assert_eq!(timeout(SOON, idle.until(b'Z')).await.unwrap().code(), "57P01");
    sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    assert!(refused(&process).await);
    app.simple("COMMIT").await;
    assert!(timeout(SOON, process.end()).await.unwrap().success());
    // For clients: they leave when they like, and the console goes on until then.
    let mut process = start().await;
    let mut app = process.wire("acme_corp").await;
    let mut root = log_in(process.port, "root", "pgstrata").await.unwrap();
    ask(&mut root, "SHUTDOWN WAIT_FOR_CLIENTS").await;
    eventually(true, async || refused(&process).await).await;
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    ask(&mut root, "SHOW CLIENTS").await;
    assert!(pgstrata_tests::stage::http(process.http_port, "/readyz").await.contains("503"));
    drop(app);
    assert!(timeout(SOON, process.end()).await.unwrap().success());
}
