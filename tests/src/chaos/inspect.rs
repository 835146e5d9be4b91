//! What must hold when all clients are gone.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::SERVERS;
use super::client::DEFAULTS;
use super::world::{TENANTS, World, foreign_name};
use crate::Stage;
use crate::stage::http;

/// How long what clients left behind may take to go.
const LIMIT: Duration = Duration::from_secs(30);

/// The connections that look up tenants and what their schemas hold, and the one that listens.
const CONTROL: usize = 3;

pub(super) async fn inspect(stage: &Stage, world: &World) {
    if !stage.is_running() {
        return world.problem("the proxy has ended".to_owned());
    }
    comes_to_rest(stage, world).await;
    world.audit(&stage.superuser().await).await;
    for round in 0..SERVERS {
        for tenant in TENANTS {
            serves(stage, world, tenant, round).await;
        }
    }
    comes_to_rest(stage, world).await;
}

/// No server is held, and nothing is left on any.
async fn comes_to_rest(stage: &Stage, world: &World) {
    let started = Instant::now();
    let mut left = leftovers(stage, world).await;
    while !left.is_empty() && started.elapsed() < LIMIT {
        sleep(Duration::from_millis(100)).await;
        left = leftovers(stage, world).await;
    }
    for what in left {
        world.problem(format!("left behind when all clients were gone: {what}"));
    }
}

async fn leftovers(stage: &Stage, world: &World) -> Vec<String> {
    let mut left = Vec::new();
    let metrics = http(stage.http_port(), "/metrics").await;
    let gauges = [
        "pgstrata_clients ",
        "pgstrata_clients_waiting{",
        "pgstrata_servers{database=\"app\",state=\"active\"}",
    ];
    for gauge in gauges {
        let line = metrics.lines().find(|line| line.starts_with(gauge));
        if !line.is_some_and(|line| line.ends_with(" 0")) {
            left.push(format!("{gauge}: {line:?}"));
        }
    }
    let server = stage.superuser().await;
    let scratch = format!(r"scratch\_{}\_%", world.crashes());
    let queries = [
        "SELECT 'a server that is not idle: ' || state || ', ' || query FROM pg_stat_activity \
         WHERE usename = 'app' AND state <> 'idle'",
        "SELECT 'a lock: ' || l::text || ', ' || query FROM pg_locks l JOIN pg_stat_activity USING (pid) \
         WHERE usename = 'app'",
    ];
    for query in queries {
        left.extend(server.query(query, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    }
    let tables =
        "SELECT 'a temporary table: ' || relname FROM pg_class WHERE relname LIKE $1 AND relkind = 'r'";
    left.extend(server.query(tables, &[&scratch]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    let servers: i64 = server.query_one(count, &[]).await.unwrap().get(0);
    if usize::try_from(servers).unwrap() > SERVERS + CONTROL {
        left.push(format!("{servers} connections for a pool of {SERVERS}"));
    }
    left
}

/// A new client of the tenant is served, and finds nothing of others.
async fn serves(stage: &Stage, world: &World, tenant: &'static str, round: usize) {
    let mut client = stage.wire(tenant).await;
    let columns =
        DEFAULTS.map(|(name, _)| format!("coalesce(current_setting('{name}', true), '')")).join(", ");
    let settings = client.simple(&format!("SELECT {columns}")).await;
    let right: Vec<&str> = DEFAULTS.iter().map(|(_, value)| *value).collect();
    if settings.fault().is_some() || settings.rows() != [right] {
        world.problem(format!("a new client of {tenant} has settings of others: {settings:?}"));
    }
    for text in ["SELECT name FROM whoami", "SELECT mine()", "SELECT current_schema()"] {
        for answer in [client.simple(text).await, client.extended(text, &[]).await] {
            if answer.fault().is_some() || answer.column() != [tenant] {
                world.problem(format!("{tenant} is served wrongly afterwards (round {round}): {answer:?}"));
            }
            let told = answer.messages.iter().find_map(|message| foreign_name(tenant, &message.body));
            if told.is_some() {
                world.problem(format!("{tenant} is told of another: {answer:?}"));
            }
        }
    }
}
