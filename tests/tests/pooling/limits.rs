//! Limits by database, tenant and user.

mod clients;
mod rate;
mod servers;
mod times;

use std::process::Stdio;

use pgstrata::demo::postgres::Cluster;
use pgstrata_tests::answer::Fault;
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::{Answer, Process, Setup, Stage, Wire, database};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// With these lines of a configuration behind its section `[tenancy]`.
fn limited(lines: &str) -> Setup {
    Setup::new().line("tenancy", lines)
}

/// User app with these limits.
fn user_limited(lines: &str) -> Setup {
    let limits = format!("tenants = ['*']\nlimits = {{ {} }}\n", lines.replace('\n', ", "));
    Setup::new().replace("tenants = ['*']\n", limits)
}

async fn start(setup: &Setup) -> (Cluster, Process) {
    let cluster = database::cluster().await;
    let process = Process::start(setup, cluster.port(), Stdio::inherit()).await;
    (cluster, process)
}

async fn log_in(port: u16, user: &str, tenant: &str) -> Result<Wire, Fault> {
    Wire::login(port, user, user, &[("options", &tenant_option(tenant))]).await
}

/// The error says whose limit it is, its value, and the key that sets it.
fn names_the_limit(fault: &Fault, code: &str, whose: &str, key: &str) {
    assert_eq!(fault.code, code, "{fault:?}");
    assert!(fault.message.contains(whose), "{fault:?}");
    assert!(fault.hint.as_deref().unwrap_or_default().contains(key), "{fault:?}");
}

/// A statement, in either protocol.
async fn run(wire: &mut Wire, extended: bool, text: &str) -> Answer {
    match extended {
        true => wire.extended(text, &[]).await,
        false => wire.simple(text).await,
    }
}

/// The same, of which the answer is not waited for.
async fn send(wire: &mut Wire, extended: bool, text: &str) {
    match extended {
        true => wire.parse("", text).bind("", &[]).execute().sync().flush().await,
        false => wire.query(text).flush().await,
    }
}

const WAITING: &str = "pgstrata_clients_waiting{database=\"app\"}";

/// The metric of a limit, whose first word says whose it is.
fn limited_by(limit: &str, whose: &str) -> String {
    let by = whose.split(' ').next().unwrap();
    format!("pgstrata_limited_total{{limit=\"{limit}\",by=\"{by}\"}}")
}

/// Tables that limit the clients of acme_corp, whose they are, and the key's beginning.
fn tables(key: &str) -> [(Setup, &'static str, &'static str); 3] {
    [
        (
            limited(&format!("[tenants.'acme*'.limits]\n{key}")),
            "tenant \"acme_corp\"",
            "tenants.acme*.limits.",
        ),
        (user_limited(key), "user \"app\"", "users.limits."),
        (limited(&format!("[databases.app.limits]\n{key}")), "database \"app\"", "databases.app.limits."),
    ]
}

/// One server, which this client has.
async fn with_its_server_taken(setup: Setup) -> (Stage, Wire) {
    let stage = Stage::new(setup.servers(1)).await;
    let mut holder = stage.wire("globex").await;
    assert_eq!(holder.simple("BEGIN; SELECT 1").await.status(), Some('T'));
    (stage, holder)
}

/// How many notices are in an answer.
fn notices_of(answer: &Answer) -> usize {
    answer.messages.iter().filter(|message| message.tag == b'N').count()
}

/// So many clients of a tenant, each with a server.
async fn holders(stage: &Stage, tenant: &str, count: usize) -> Vec<Wire> {
    let mut holders = Vec::new();
    for _ in 0..count {
        let mut wire = stage.wire(tenant).await;
        assert_eq!(wire.simple("BEGIN; SELECT 1").await.status(), Some('T'));
        holders.push(wire);
    }
    holders
}
