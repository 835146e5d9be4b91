//! How the proxy learns of what becomes of tenants: told, or found out; and that it never serves one that
//! is gone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pgstrata::catalog::{Catalog, Control, TenantDirectory};
use pgstrata::config::Config;
use pgstrata::install::Sql;
use pgstrata::metrics::Metrics;
use pgstrata_control::registry::State;
use pgstrata_tenancy::TenantId;
use pgstrata_tests::database::cluster;
use pgstrata_tests::program::{pgstrata, run};
use pgstrata_tests::registry::{GRANT, INSTALL};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::{connect, eventually, free_port, http, names};
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Registry, Relay, Setup, Stage, Wire};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const LISTENERS: &str = "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'pgstrata listener'";
const LISTENING: &str = "pgstrata_tenants_listening{database=\"app\"}";
const SOON: Duration = Duration::from_secs(30);

async fn stage(setup: Setup) -> (Stage, Registry) {
    let stage = Stage::new(setup).await;
    let registry = Registry::install(&stage).await;
    (stage, registry)
}

/// Asks until the SQLSTATE is this one; each answer before must be one that `other` takes.
async fn comes_to(wire: &mut Wire, code: &str, other: impl Fn(&[String]) -> bool) {
    let asking = async {
        loop {
            let answer = wire.simple(NAMES).await;
            match answer.fault() {
                Some(fault) if fault.code == code => return,
                Some(fault) => panic!("{fault:?}"),
                None => assert!(other(&answer.column()), "{:?}", answer.column()),
            }
        }
    };
    timeout(SOON, asking).await.unwrap_or_else(|_| panic!("it never comes to {code}"));
}

/// Whether a login as this tenant is let in.
async fn let_in(stage: &Stage, tenant: &str) -> bool {
    Wire::login(stage.port(), "app", "app", &[("options", &format!("-ctenant={tenant}"))]).await.is_ok()
}

/// Returns once the proxy has heard of all that was done so far: what is told comes in its order, and by
/// age nothing is seen in a test's time.
async fn caught_up(stage: &Stage, server: &Client) {
    server.batch_execute("CREATE SCHEMA IF NOT EXISTS marker").await.unwrap();
    for (state, expected) in [("active", true), ("suspended", false)] {
        let sql = "INSERT INTO pgstrata_control.schemas (schema, state) VALUES ('marker', $1)
                   ON CONFLICT (schema) DO UPDATE SET state = excluded.state";
        server.execute(sql, &[&state]).await.unwrap();
        eventually(expected, async || let_in(stage, "marker").await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_that_is_gone_means_no_shared_table() {
    for strategy in STRATEGIES {
        let (stage, registry) = stage(Setup::new().strategy(strategy).servers(4)).await;
        let (mut simple, mut extended, mut begun, mut working, mut none) = (
            stage.wire("globex").await,
            stage.wire("globex").await,
            stage.wire("globex").await,
            stage.wire("acme_corp").await,
            Wire::login(stage.port(), "app", "app", &[]).await.unwrap(),
        );
        // What is prepared, and a transaction that has only begun: PostgreSQL would look the names up anew.
        extended.parse("s", NAMES).bind("s", &[]).execute().sync();
        assert_eq!(extended.answer().await.column(), GLOBEX);
        begun.parse("s", NAMES).sync().answer().await;
        assert_eq!(begun.simple("BEGIN").await.status(), Some('T'));
        registry.set("globex", "active").await;
        registry.drop("globex").await;
        caught_up(&stage, &registry.server).await;
        for (wire, prepared) in [(&mut simple, false), (&mut extended, true), (&mut begun, true)] {
            match prepared {
                true => wire.bind("s", &[]).execute().sync(),
                false => wire.query(NAMES),
            };
            let answer = wire.answer().await;
            let fault = answer.fault().unwrap_or_else(|| panic!("{:?}", answer.column()));
            assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"));
            assert_eq!(fault.message, "terminating connection: tenant \"globex\" is gone");
            assert!(wire.receive().await.is_none(), "it is closed");
        }
        assert!(!let_in(&stage, "globex").await);
        assert_eq!(working.simple(NAMES).await.column(), ACME);
        assert_eq!(none.simple(NAMES).await.column(), PUBLIC);
        // One of that name that is made later is another tenant's: it is found at once.
        registry.run("CREATE SCHEMA globex AUTHORIZATION app").await;
        registry.set("globex", "active").await;
        eventually(true, async || let_in(&stage, "globex").await).await;
    }
}

/// A rename takes no lock of a table: what has read may go on to read, and must not.
#[tokio::test(flavor = "multi_thread")]
async fn transaction_ends_with_its_schema() {
    for strategy in STRATEGIES {
        let (stage, registry) = stage(Setup::new().strategy(strategy)).await;
        let mut wire = stage.wire("globex").await;
        registry.set("globex", "active").await;
        wire.simple("BEGIN").await;
        assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
        registry
            .run(
                "BEGIN; ALTER SCHEMA globex RENAME TO initech;
                 UPDATE pgstrata_control.schemas SET schema = 'initech' WHERE schema = 'globex'; COMMIT",
            )
            .await;
        caught_up(&stage, &registry.server).await;
        let fault = wire.simple(NAMES).await.fault().unwrap();
        assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"));
        assert_eq!(stage.wire("initech").await.simple(NAMES).await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_clients_of_a_running_proxy() {
    let stage = Stage::new(Setup::new()).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Setup::new().toml(stage.port(), stage.http_port(), stage.cluster.port()))
        .unwrap();
    let socket = stage.cluster.socket_dir().display().to_string().replace('/', "%2F");
    let admin = format!("postgresql://postgres@{socket}:{}/app", stage.cluster.port());
    let tenant = async |arguments: &[&str]| {
        let mut command = pgstrata();
        command.arg("tenant").arg("--config").arg(file.path()).args(["--admin-url", &admin]).args(arguments);
        run(command).await;
    };
    let mut wire = stage.wire("globex").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    tenant(&["adopt", "globex"]).await;
    tenant(&["suspend", "globex"]).await;
    comes_to(&mut wire, "57P03", |names| names == GLOBEX).await;
    tenant(&["resume", "globex"]).await;
    eventually(true, async || wire.simple(NAMES).await.fault().is_none()).await;
    tenant(&["create", "umbrella"]).await;
    let mut new = stage.wire("umbrella").await;
    assert_eq!(new.simple("SELECT current_schema()").await.value(), "umbrella");
    let server = stage.superuser().await;
    tenant(&["rename", "globex", "initech"]).await;
    caught_up(&stage, &server).await;
    assert_eq!(wire.simple(NAMES).await.code(), "57P01");
    let mut wire = stage.wire("initech").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    tenant(&["drop", "initech", "--yes"]).await;
    caught_up(&stage, &server).await;
    assert_eq!(wire.simple(NAMES).await.code(), "57P01");
    assert!(!let_in(&stage, "initech").await && !let_in(&stage, "globex").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_that_is_gone_with_no_word_is_found_out() {
    for told in [false, true] {
        let setup = match told {
            true => Setup::new().line("tenancy", "catalog_notify = true"),
            false => Setup::new().tenant_cache("100ms"),
        };
        let stage = Stage::new(setup).await;
        let server = stage.superuser().await;
        if told {
            server.batch_execute(&Sql::EventTrigger { drop: false }.text().unwrap()).await.unwrap();
        }
        let (mut wire, mut prepared, mut neighbour) =
            (stage.wire("globex").await, stage.wire("globex").await, stage.wire("acme_corp").await);
        prepared.parse("s", NAMES).bind("s", &[]).execute().sync();
        assert_eq!(prepared.answer().await.column(), GLOBEX);
        server.batch_execute("DROP SCHEMA globex CASCADE").await.unwrap();
        // Until then names may mean what is shared.
        comes_to(&mut wire, "57P01", |names| names == GLOBEX || names == PUBLIC).await;
        let gone = prepared.bind("s", &[]).execute().sync().answer().await;
        assert_eq!(gone.code(), "57P01");
        assert_eq!(neighbour.simple(NAMES).await.column(), ACME);
        // A schema that was renamed is gone, too.
        server.batch_execute("ALTER SCHEMA acme_corp RENAME TO acme").await.unwrap();
        comes_to(&mut neighbour, "57P01", |names| names == ACME || names == PUBLIC).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_noticed_when_the_listener_is_back() {
    let (stage, registry) = stage(Setup::new()).await;
    let (mut wire, mut neighbour) = (stage.wire("globex").await, stage.wire("acme_corp").await);
    registry.set("globex", "suspended").await;
    comes_to(&mut wire, "57P03", |names| names == GLOBEX).await;
    registry.set("globex", "active").await;
    eventually(true, async || wire.simple(NAMES).await.fault().is_none()).await;
    // What is connected stays connected, but for the listener.
    registry.run("ALTER ROLE app NOLOGIN").await;
    let [pid] = names(&registry.server, LISTENERS).await.try_into().unwrap();
    registry.run(&format!("SELECT pg_terminate_backend({pid})")).await;
    eventually(0.0, async || stage.metric(LISTENING).await).await;
    let told = stage.metric("pgstrata_tenants_notifications_total").await;
    registry.set("globex", "suspended").await;
    registry.run("ALTER ROLE app LOGIN").await;
    comes_to(&mut wire, "57P03", |names| names == GLOBEX).await;
    eventually(1.0, async || stage.metric(LISTENING).await).await;
    assert_eq!(neighbour.simple(NAMES).await.column(), ACME);
    assert_eq!(stage.metric("pgstrata_tenants_notifications_total").await, told);
    let now = names(&registry.server, LISTENERS).await;
    assert!(now.len() == 1 && now != [pid]);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_seen_while_nobody_listens() {
    let (stage, registry) = stage(Setup::new().tenant_cache("100ms")).await;
    let mut wire = stage.wire("globex").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    registry.run("ALTER ROLE app NOLOGIN").await;
    let [pid] = names(&registry.server, LISTENERS).await.try_into().unwrap();
    registry.run(&format!("SELECT pg_terminate_backend({pid})")).await;
    eventually(0.0, async || stage.metric(LISTENING).await).await;
    for (state, code) in [("suspended", "57P03"), ("active", ""), ("suspended", "57P03")] {
        registry.set("globex", state).await;
        eventually(code.to_owned(), async || wire.simple(NAMES).await.code()).await;
    }
    // One that waits is looked at again, be there a word or not.
    registry.set("globex", "migrating").await;
    eventually(1.0, async || {
        wire.query(NAMES).flush().await;
        let answer = timeout(Duration::from_millis(500), wire.until(b'Z')).await;
        if answer.is_err() { stage.metric("pgstrata_clients_held").await } else { 0.0 }
    })
    .await;
    registry.set("globex", "active").await;
    assert_eq!(timeout(SOON, wire.until(b'Z')).await.unwrap().column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_that_is_not_there_or_not_to_be_read_changes_nothing() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("globex").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    assert!(!http(stage.http_port(), "/metrics").await.contains("pgstrata_tenants{"));
    // It comes while the proxy runs.
    let registry = Registry::install(&stage).await;
    registry.set("globex", "suspended").await;
    comes_to(&mut wire, "57P03", |names| names == GLOBEX).await;
    registry.set("acme_corp", "suspended").await;
    eventually(false, async || let_in(&stage, "acme_corp").await).await;
    // It can be read no longer.
    registry.run(&GRANT.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")).await;
    eventually(true, async || wire.simple(NAMES).await.fault().is_none()).await;
    eventually(true, async || let_in(&stage, "acme_corp").await).await;
    // And again, and is gone.
    registry.run(GRANT).await;
    registry.set("globex", "suspended").await;
    comes_to(&mut wire, "57P03", |names| names == GLOBEX).await;
    registry.run("DROP SCHEMA pgstrata_control CASCADE").await;
    eventually(true, async || wire.simple(NAMES).await.fault().is_none()).await;
    assert!(let_in(&stage, "acme_corp").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_is_not_known_is_not_served() {
    let (stage, registry) = stage(Setup::new()).await;
    let mut wire = stage.wire("globex").await;
    registry.run("ALTER TABLE pgstrata_control.schemas DROP CONSTRAINT schemas_state_check").await;
    registry.set("globex", "hibernating").await;
    comes_to(&mut wire, "08006", |names| names == GLOBEX).await;
    assert!(!let_in(&stage, "globex").await && let_in(&stage, "acme_corp").await);
    registry.set("globex", "active").await;
    eventually(true, async || wire.simple(NAMES).await.fault().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_one_tenant_costs_the_others_nothing() {
    for strategy in STRATEGIES {
        let (stage, registry) = stage(Setup::new().strategy(strategy).relay()).await;
        let mut wires = vec![stage.wire("acme_corp").await, stage.wire("globex").await];
        for wire in &mut wires {
            for _ in 0..3 {
                wire.simple(NAMES).await;
            }
        }
        // The first count is over; the next is a minute away.
        eventually(0.0, async || stage.metric("pgstrata_tenants{database=\"app\"").await).await;
        for _ in 0..3 {
            registry.set("globex", "active").await;
            registry.set("initech", "active").await;
        }
        eventually(6.0, async || stage.metric("pgstrata_tenants_notifications_total").await).await;
        stage.relay().settle().await;
        let before = stage.relay().round_trips();
        for _ in 0..5 {
            assert_eq!(wires[0].simple(NAMES).await.column(), ACME);
        }
        stage.relay().settle().await;
        assert_eq!(stage.relay().round_trips() - before, 5, "{strategy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_counted_in_few_series() {
    let (stage, registry) = stage(Setup::new()).await;
    registry
        .run(
            "INSERT INTO pgstrata_control.schemas (schema, state, version)
             SELECT 'tenant_' || n, CASE WHEN n <= 100 THEN 'suspended' ELSE 'active' END,
               CASE WHEN n > 10 THEN 1000 + n % 50 + n % 7 END FROM generate_series(1, 10000) n;
             INSERT INTO pgstrata_control.schemas (schema, state, version) VALUES ('template', 'source', 7)",
        )
        .await;
    // Ten thousand news, and none of them in the way of anybody.
    let mut wire = stage.wire("globex").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    eventually(9900.0, async || stage.metric("pgstrata_tenants{database=\"app\",state=\"active\"}").await)
        .await;
    let page = http(stage.http_port(), "/metrics").await;
    let of = |name: &str| -> Vec<(String, f64)> {
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    };
    let states = of("pgstrata_tenants{");
    assert_eq!(
        (states.len(), states.iter().map(|(_, count)| count).sum::<f64>()),
        (5, 10_000.0),
        "{states:?}"
    );
    assert!(page.contains("pgstrata_tenants{database=\"app\",state=\"suspended\"} 100\n"), "{states:?}");
    let versions = of("pgstrata_tenants_by_version{");
    assert_eq!(
        (versions.len(), versions.iter().map(|(_, count)| count).sum::<f64>()),
        (21, 10_000.0),
        "{versions:?}"
    );
    assert!(versions.iter().any(|(name, _)| name.contains("version=\"other\"")));
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
}

/// Clients of two tenants work while the states change: each answer is right, or a word of the state.
#[tokio::test(flavor = "multi_thread")]
async fn states_that_change_all_the_time() {
    let setup = Setup::new().servers(3).line("pool", "wait_timeout = '60s'").line("limits", "threads = 2");
    let (stage, registry) = stage(setup).await;
    let mut clients = JoinSet::new();
    for number in 0..12 {
        let (tenant, right) =
            if number % 3 == 0 { ("acme_corp", &ACME[..]) } else { ("globex", &GLOBEX[..]) };
        let mut wire = stage.wire(tenant).await;
        wire.parse("s", NAMES).sync().answer().await;
        clients.spawn(async move {
            let mut served = 0;
            for round in 0..200 {
                let answer = match (number + round) % 4 {
                    0 => wire.simple(NAMES).await,
                    1 => wire.extended(NAMES, &[]).await,
                    2 => wire.bind("s", &[]).execute().sync().answer().await,
                    _ => {
                        let begun = wire.simple("BEGIN").await;
                        let answer = wire.simple(NAMES).await;
                        let ended = wire.simple("COMMIT").await;
                        if begun.status() == Some('T') {
                            assert_eq!(
                                (answer.column(), ended.status()),
                                (right.iter().map(|name| (*name).to_owned()).collect(), Some('I'))
                            );
                        }
                        answer
                    }
                };
                match answer.fault() {
                    Some(fault) => assert!(tenant == "globex" && fault.code == "57P03", "{fault:?}"),
                    None => {
                        assert_eq!(answer.column(), right);
                        served += 1;
                    }
                }
            }
            served
        });
    }
    while !clients.is_empty() {
        for state in ["migrating", "active", "suspended", "active"] {
            registry.set("globex", state).await;
            sleep(Duration::from_millis(5)).await;
        }
        while let Some(done) = clients.try_join_next() {
            assert!(done.unwrap() > 0);
        }
    }
    eventually(0.0, async || stage.metric("pgstrata_servers{database=\"app\",state=\"active\"}").await).await;
    eventually(0.0, async || stage.metric("pgstrata_clients_held").await).await;
    assert_eq!(stage.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tenants_cost_a_few_questions() {
    let cluster = cluster().await;
    let server = connect(&cluster.superuser("app")).await.unwrap();
    let fill = "INSERT INTO pgstrata_control.schemas (schema, state)
                SELECT 'tenant_' || n, 'provisioning' FROM generate_series(1, 10000) n";
    server.batch_execute(&format!("{INSTALL}; {GRANT}; {fill}")).await.unwrap();
    let relay = Relay::start(cluster.port()).await;
    let text = Setup::new().toml(free_port(), free_port(), relay.port());
    let config = Config::parse(&text, Path::new("pgstrata.toml")).unwrap();
    let control = Control::new("app", &config.databases["app"], None).unwrap();
    let (catalog, _) = Catalog::new(control.clone(), &[], Duration::from_secs(60), Arc::new(Metrics::new(1)));
    let (directory, lookups) = TenantDirectory::new(control, &config, catalog);
    tokio::spawn(lookups.run());
    let (directory, config) = (Arc::new(directory), Arc::new(config));
    for _ in 0..3 {
        // As many sessions look again when the listener is back.
        directory.invalidate_all();
        let before = relay.round_trips();
        let mut looks = JoinSet::new();
        for number in 0..20_000 {
            let (directory, config) = (Arc::clone(&directory), Arc::clone(&config));
            looks.spawn(async move {
                let tenant = TenantId::new(&format!("tenant_{}", number / 2 + 1)).unwrap();
                let schema = config.schemas.candidate(&tenant).unwrap();
                directory.look(&schema).await.unwrap().look.state
            });
        }
        while let Some(state) = looks.join_next().await {
            assert_eq!(state.unwrap(), Some(State::Provisioning));
        }
        let cost = relay.round_trips() - before;
        assert!(cost < 200, "{cost} round trips");
    }
}
