//! Reload after reload under load: no transaction fails, no connection is left, memory stays as it is.
//! `make soak-reload` runs it for long, against a release build.

use std::process::Stdio;
use std::time::{Duration, Instant};

use pgstrata_tests::program::{client_program, run};
use pgstrata_tests::stage::{connect, tenant_option};
use pgstrata_tests::{Process, Setup, Wire, database, stage};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Between two reloads.
const PAUSE: Duration = Duration::from_millis(200);
/// Clients of each pgbench.
const CLIENTS: usize = 3;
/// Servers at most, now and then.
const SERVERS: [usize; 2] = [8, 3];
/// Those that are in no pool: tenants, what schemas hold, what is listened to; of two databases.
const CONTROL: i64 = 6;

fn pgbench(process: &Process, tenant: &str) -> Command {
    let mut program = client_program("pgbench");
    program.env("PGHOST", "127.0.0.1").env("PGPORT", process.port.to_string());
    program.env("PGUSER", "app").env("PGPASSWORD", "app").env("PGDATABASE", "app");
    program.env("PGOPTIONS", tenant_option(tenant)).env("PGSSLMODE", "prefer");
    program
}

fn certificate(process: &Process) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(process.folder().join("proxy.crt"), made.cert.pem()).unwrap();
    std::fs::write(process.folder().join("proxy.key"), made.signing_key.serialize_pem()).unwrap();
}

/// The configuration of that turn: a user, a limit, the pool, the log, a tenant and a database come and go.
fn turn(process: &Process, turn: usize, server: u16) -> String {
    let odd = turn % 2 == 1;
    let setup = Setup::new()
        .servers(SERVERS[turn % 2])
        .line("log", format!("level = '{}'", if odd { "warn" } else { "error" }))
        .line("limits", format!("max_prepared_statements_per_client = {}", 1000 + turn))
        .line("pool", format!("wait_timeout = '{}s'", 30 + turn % 3))
        .line("listen", "tls = 'optional'\ntls_certificate = 'proxy.crt'\ntls_key = 'proxy.key'")
        .user(format!("name = 'u{}'\npassword = 'secret {turn}'\ntenants = ['*']", turn % 5));
    let mut text = process.text(&setup);
    if odd {
        text += &format!(
            "[databases.other]\nhost = '127.0.0.1'\nport = {server}\nuser = 'app'\npassword = 'app'\n\
             database = 'app'\ntls = 'disable'\n[tenants.another]\nstrategy = 'schema_qualified'\n"
        );
    }
    text
}

/// What of the process is in memory, in KiB.
fn resident(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_lose_no_transaction() {
    let seconds = std::env::var("PGSTRATA_RELOAD_SECONDS").ok().map_or(15, |text| text.parse().unwrap());
    let cluster = database::cluster().await;
    let mut process = Process::start(&Setup::new(), cluster.port(), Stdio::inherit()).await;
    for tenant in ["acme_corp", "globex"] {
        let mut program = pgbench(&process, tenant);
        program.args(["--initialize", "--scale=1", "--quiet"]);
        run(program).await;
    }
    certificate(&process);
    let clients = CLIENTS.to_string();
    let mut working = JoinSet::new();
    for (tenant, mode, each) in [
        ("acme_corp", "simple", false),
        ("acme_corp", "extended", false),
        ("globex", "prepared", false),
        // Each transaction logs in.
        ("globex", "simple", true),
    ] {
        let mut program = pgbench(&process, tenant);
        program.args(["--no-vacuum", "--protocol", mode, "--time", &seconds.to_string()]);
        program.args(["--client", &clients, "--jobs", &clients, "--builtin", "simple-update"]);
        if each {
            program.arg("--connect");
        }
        working.spawn(run(program));
    }
    let (begun, mut turns, mut at_first) = (Instant::now(), 0, None);
    while !working.is_empty() {
        process.write(&turn(&process, turns, cluster.port()));
        if turns % 5 == 0 {
            certificate(&process);
        }
        assert!(process.hang_up().await, "turn {turns}");
        turns += 1;
        // When all that is made once is made.
        if begun.elapsed() > Duration::from_secs(seconds / 3) {
            at_first.get_or_insert_with(|| resident(&process));
        }
        tokio::time::sleep(PAUSE).await;
        while let Some(ended) = working.try_join_next() {
            let said = ended.unwrap();
            assert!(said.contains("number of failed transactions: 0 "), "{said}");
        }
    }
    let (at_first, at_last) = (at_first.unwrap(), resident(&process));
    eprintln!(
        "{turns} reloads in {seconds} s: {at_first} KiB resident after a third, {at_last} KiB at the end"
    );
    assert!(at_last < at_first + at_first / 4 + (8 << 10), "from {at_first} KiB to {at_last} KiB");
    process.reload(&Setup::new().servers(SERVERS[1])).await;
    let server = connect(&cluster.superuser("app")).await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    let most = i64::try_from(SERVERS[1]).unwrap() + CONTROL;
    stage::eventually(true, async || server.query_one(open, &[]).await.unwrap().get::<_, i64>(0) <= most)
        .await;
    let option = tenant_option("acme_corp");
    let mut last = Wire::login(process.port, "app", "app", &[("options", &option)]).await.unwrap();
    let booked =
        "SELECT (SELECT sum(delta) FROM pgbench_history) = (SELECT sum(abalance) FROM pgbench_accounts)";
    assert_eq!(last.simple(booked).await.value(), "t");
    drop(last);
    process.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(process.end().await.success());
}
