//! Tenants take turns at the servers: one with many clients delays another's by one turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::Duration;

use pgstrata_tests::{Setup, Stage, Wire};

/// So many clients of one tenant, who never stop.
const FLOOD: usize = 30;

#[tokio::test]
async fn flood_of_one_tenant_delays_another_by_one_turn() {
    let stage = Stage::new(Setup::new().servers(1).line("pool", "wait_timeout = '60s'")).await;
    let served = Arc::new(AtomicUsize::new(0));
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..FLOOD {
        let mut wire = stage.wire("acme_corp").await;
        let served = Arc::clone(&served);
        flood.spawn(async move {
            loop {
                wire.simple("SELECT pg_sleep(0.02)").await;
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut quiet = stage.wire("globex").await;
    while served.load(Ordering::SeqCst) < 2 * FLOOD {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..10 {
        let before = served.load(Ordering::SeqCst);
        assert_eq!(quiet.simple("SELECT 1").await.status(), Some('I'));
        // Its turn comes behind the one that is served and at most one that was called; the
        // rest is what we may be late in seeing.
        let between = served.load(Ordering::SeqCst) - before;
        assert!(between < FLOOD / 3, "{between} of another tenant's were served first");
    }
    flood.shutdown().await;
}

/// Servers of the pool, and of them those that one tenant may have while others are about.
const SERVERS: usize = 4;
const SHARE: usize = 3;

/// How a client keeps its server.
const WAYS: [&str; 7] = [
    "idle in a transaction", "a long statement", "a temporary table", "an advisory lock",
    "a pipeline without Sync", "a stalled COPY IN", "a half-sent Bind",
];

/// Lets a client take a server, if it gets one, and keep it: sends what does that.
async fn hold(wire: &mut Wire, way: &str) {
    match way {
        "idle in a transaction" => _ = wire.query("BEGIN; SELECT 1"),
        "a long statement" => _ = wire.query("SELECT pg_sleep(600)"),
        "a temporary table" => _ = wire.query("CREATE TEMPORARY TABLE t (n int)"),
        "an advisory lock" => _ = wire.query("SELECT pg_advisory_lock_shared(1)"),
        "a pipeline without Sync" => {
            wire.parse("", "SELECT 1").bind("", &[]).execute().message(b'H', &[]);
        }
        "a stalled COPY IN" => _ = wire.query("COPY users (id, name) FROM STDIN"),
        // Longer than what is held until it is complete, so that its beginning is passed on.
        _ => _ = wire.parse("", "SELECT $1::text"),
    }
    wire.flush().await;
    if way == "a half-sent Bind" {
        let mut half = vec![b'B', 0x03, 0, 0, 0];
        half.extend(b"\0\0\0\0\0\x01\x02\0\0\0");
        half.resize(1 << 20, b'x');
        wire.raw(&half).await;
    }
}

/// With one tenant holding all the servers that it gets, another's client is served at once.
async fn others_are_served(stage: &Stage, way: &str) {
    let mut quiet = stage.wire("globex").await;
    assert_eq!(quiet.simple("SELECT 1").await.status(), Some('I'));
    let mut holders = Vec::new();
    for _ in 0..2 * SERVERS {
        let mut wire = stage.wire("acme_corp").await;
        hold(&mut wire, way).await;
        holders.push(wire);
    }
    // It has taken what it gets.
    pgstrata_tests::stage::eventually(SHARE as f64, async || stage.metric(ACTIVE).await).await;
    for _ in 0..20 {
        let served = tokio::time::timeout(Duration::from_secs(20), quiet.simple("SELECT 1"));
        assert_eq!(served.await.expect(way).status(), Some('I'), "{way}");
    }
    assert_eq!(stage.metric(ACTIVE).await, SHARE as f64, "{way}");
}

const ACTIVE: &str = "pgstrata_servers{database=\"app\",state=\"active\"}";

#[tokio::test]
async fn tenant_that_keeps_its_servers_leaves_some_to_others() {
    for way in WAYS {
        let setup = Setup::new().servers(SERVERS).line("pool", "wait_timeout = '10min'");
        others_are_served(&Stage::new(setup).await, way).await;
    }
}

#[tokio::test]
async fn tenant_that_keeps_its_servers_in_session_pooling_leaves_some_to_others() {
    let setup = Setup::new().servers(SERVERS).line("pool", "wait_timeout = '10min'\nmode = 'session'");
    let stage = Stage::new(setup).await;
    // The quiet one has its server at once, and keeps it: so it must be let go of again to be asked for.
    let mut quiet = stage.wire("globex").await;
    quiet.simple("SELECT 1").await;
    let mut holders = Vec::new();
    for _ in 0..2 * SERVERS {
        let mut wire = stage.wire("acme_corp").await;
        wire.query("SELECT 1").flush().await;
        holders.push(wire);
    }
    pgstrata_tests::stage::eventually(SERVERS as f64, async || stage.metric(ACTIVE).await).await;
    quiet.terminate().flush().await;
    pgstrata_tests::stage::eventually(SHARE as f64, async || stage.metric(ACTIVE).await).await;
    let mut next = stage.wire("globex").await;
    let served = tokio::time::timeout(Duration::from_secs(20), next.simple("SELECT 1")).await;
    assert_eq!(served.expect("served").status(), Some('I'));
}

#[tokio::test]
async fn tenant_alone_has_all_servers_and_a_limit_holds_for_it_too() {
    for (line, most) in [("", SERVERS), ("max_servers_per_tenant = 2", 2)] {
        let setup =
            Setup::new().servers(SERVERS).line("pool", "wait_timeout = '200ms'").line("tenancy", line);
        let stage = Stage::new(setup).await;
        let mut holders = Vec::new();
        for _ in 0..most {
            let mut wire = stage.wire("acme_corp").await;
            assert_eq!(wire.simple("BEGIN; SELECT 1").await.status(), Some('T'), "{line}");
            holders.push(wire);
        }
        let mut last = stage.wire("acme_corp").await;
        let fault = last.simple("SELECT 1").await.fault().expect("it has as many as it may have");
        assert_eq!(fault.code, "53300");
        let named = fault.message.contains("tenant \"acme_corp\" has all 2 servers");
        assert_eq!(named, most == 2, "{}", fault.message);
        // One that comes back is the next one's.
        holders.pop().unwrap().simple("COMMIT").await;
        assert_eq!(last.simple("SELECT 1").await.status(), Some('I'));
    }
}

/// Makes so many views that it takes PostgreSQL seconds to say what the schema holds.
const MANY_VIEWS: &str = "
    DO $$
    BEGIN
        FOR number IN 1..12000 LOOP
            EXECUTE format('CREATE VIEW acme_corp.view_%s AS SELECT id, upper(name) AS name FROM acme_corp.users', number);
            IF number % 500 = 0 THEN COMMIT; END IF;
        END LOOP;
    END $$";

/// What one tenant's schema holds is looked up beside others, if that takes long.
#[tokio::test]
async fn schema_that_takes_long_to_load_delays_nobody() {
    let stage = Stage::new(Setup::new().servers(4)).await;
    let server = stage.superuser().await;
    server.batch_execute(MANY_VIEWS).await.unwrap();
    let tell = "CREATE FUNCTION globex.tell() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 7; END";
    server.batch_execute(tell).await.unwrap();
    // What all tenants share is loaded for this one.
    stage.public_client().await.simple_query("SELECT 1").await.unwrap();
    let mut heavy = stage.wire("acme_corp").await;
    assert_eq!(heavy.simple("SELECT name FROM users").await.status(), Some('I'));
    // The attempt in which others wait ends after a second; this one goes on beside them.
    let load = "SELECT pid, query_start::text FROM pg_stat_activity WHERE application_name = 'pgstrata control' \
                AND state = 'active' AND query LIKE '%WITH RECURSIVE%' \
                AND clock_timestamp() - query_start > '1.2 s'";
    let loads = async || {
        let rows = server.query(load, &[]).await.unwrap();
        rows.iter().map(|row| (row.get::<_, i32>(0), row.get::<_, String>(1))).collect::<Vec<_>>()
    };
    let beside = loop {
        if let Some(load) = loads().await.pop() {
            break load;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut quiet = stage.wire("globex").await;
    assert_eq!(quiet.simple("SELECT tell()").await.value(), "7");
    assert!(loads().await.contains(&beside), "the other schema was loaded first");
}
