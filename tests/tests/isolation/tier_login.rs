//! The tier `login`: pools of tenants' own, the way from one to another, and what they can't do even to themselves.

use pgstrata_tenancy::Tier;
use pgstrata_tests::database::cluster;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::http;
use pgstrata_tests::wire::CANCEL_REQUEST;
use pgstrata_tests::{Setup, Stage, Wire, roles};
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};
use tokio_postgres::Client;

const USER: &str = "SELECT current_user";
const WHO: &str = "SELECT current_user || ':' || name FROM users WHERE id = 1";
const ALICE: &str = "tenant_acme_corp:Alice";
const HANK: &str = "tenant_globex:Hank";
const PETER: &str = "app:Peter";

/// acme_corp logs in, globex has a role, initech is known to the proxy alone.
async fn mixed(setup: Setup) -> Stage {
    let setup = setup
        .tenant_switch()
        .tier(Tier::Login)
        .line("tenancy", "[tenants.globex]\ntier = 'role'\n[tenants.initech]\ntier = 'names'");
    let stage = Stage::new(setup.servers(1)).await;
    let made = "CREATE SCHEMA initech AUTHORIZATION app; SET ROLE app;
                CREATE TABLE initech.users AS SELECT 1 AS id, 'Peter' AS name";
    stage.superuser().await.batch_execute(made).await.unwrap();
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn from_tier_to_tier_on_an_open_connection() {
    for strategy in STRATEGIES {
        let user =
            "name = 'tool'\npassword = 'tool'\ntenants = ['*']\npool_mode = 'session'\ntenant_switch = true";
        let stage = mixed(Setup::new().strategy(strategy).user(user)).await;
        let turns = [
            ("globex", HANK),
            ("acme_corp", ALICE),
            ("initech", PETER),
            ("acme_corp", ALICE),
            ("globex", HANK),
        ];
        for user in ["app", "tool"] {
            for first in ["acme_corp", "globex", "initech"] {
                let option = format!("-ctenant={first}");
                let options = [("options", option.as_str()), ("application_name", "mover")];
                let mut wire = Wire::login(stage.port(), user, user, &options).await.unwrap();
                wire.simple("SET work_mem = '5MB'").await;
                wire.parse("who", WHO).sync().answer().await;
                for (tenant, who) in turns {
                    assert_eq!(wire.simple(&format!("SET tenant = '{tenant}'")).await.code(), "");
                    assert_eq!(wire.simple(WHO).await.value(), who);
                    assert_eq!(wire.extended(WHO, &[]).await.value(), who);
                    assert_eq!(wire.bind("who", &[]).execute().sync().answer().await.value(), who);
                    assert_eq!(wire.simple("SHOW work_mem").await.value(), "5MB", "settings go along");
                    assert_eq!(wire.simple("SHOW application_name").await.value(), "mover");
                    // The way there by a comment, in both protocols, and back again.
                    for (other, whose) in turns {
                        let text = format!("/* tenant='{other}' */ {WHO}");
                        assert_eq!(wire.simple(&text).await.value(), whose);
                        assert_eq!(wire.extended(&text, &[]).await.value(), whose);
                        let name = format!("{tenant}{other}");
                        wire.parse(&name, &text).sync().answer().await;
                        let answer = wire.bind(&name, &[]).execute().sync().answer().await;
                        assert_eq!(answer.value(), whose);
                        wire.close(&name).sync().answer().await;
                        assert_eq!(wire.simple(WHO).await.value(), who);
                    }
                    // In one message, and in one pipeline.
                    let text = format!("SET tenant = 'globex'; {WHO}");
                    assert_eq!(wire.simple(&text).await.value(), HANK);
                    wire.parse("", "SET tenant = 'acme_corp'").bind("", &[]).execute();
                    wire.parse("", WHO).bind("", &[]).execute().sync();
                    assert_eq!(wire.answer().await.value(), ALICE);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_runs_on_two_servers() {
    let stage = mixed(Setup::new()).await;
    for (from, to) in [("acme_corp", "globex"), ("globex", "acme_corp"), ("initech", "acme_corp")] {
        let mut wire = stage.wire(from).await;
        let user = wire.simple(USER).await.value();
        for text in [
            format!("SET LOCAL tenant = '{to}'"),
            format!("SET tenant = '{to}'"),
            format!("/* tenant='{to}' */ {USER}"),
        ] {
            for extended in [false, true] {
                wire.simple("BEGIN").await;
                let answer =
                    if extended { wire.extended(&text, &[]).await } else { wire.simple(&text).await };
                assert_eq!((answer.code().as_str(), answer.status()), ("25001", Some('E')), "{text}");
                wire.simple("ROLLBACK").await;
                assert_eq!(wire.simple(USER).await.value(), user);
            }
        }
        // Nor a pipeline, in which something was sent.
        wire.parse("", "SHOW work_mem").bind("", &[]).execute();
        wire.parse("", &format!("SET tenant = '{to}'")).bind("", &[]).execute();
        wire.parse("", USER).bind("", &[]).execute().sync();
        assert_eq!(wire.answer().await.code(), "25001");
        assert_eq!(wire.simple(USER).await.value(), user);
        wire.simple("CREATE TEMP TABLE mine (v int)").await;
        assert_eq!(wire.simple(&format!("SET tenant = '{to}'")).await.code(), "55000");
        let tied =
            wire.parse("", &format!("/* tenant='{to}' */ {USER}")).bind("", &[]).execute().sync().answer();
        assert!(["25001", "55000"].contains(&tied.await.code().as_str()));
        assert_eq!(wire.simple("SELECT count(*) FROM mine").await.value(), "0", "it is still there");
        wire.simple("DISCARD ALL").await;
        assert_eq!(wire.simple(&format!("SET tenant = '{to}'")).await.code(), "");
        assert_ne!(wire.simple(USER).await.value(), user);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_go_back_to() {
    // Only here a DO block, and what resets the role, finds no other one behind it.
    let attack = "DO $$ BEGIN RESET ROLE; RESET SESSION AUTHORIZATION; SET ROLE tenant_globex; END $$";
    let read = "DO $$ BEGIN RESET ROLE; SET ROLE tenant_globex; PERFORM name FROM globex.users; END $$";
    let user = "name = 'loose'\npassword = 'loose'\ntenants = ['*']\ndynamic_sql = 'allow'";
    for (tier, code) in [(Tier::Role, ""), (Tier::Login, "42501")] {
        let stage = Stage::new(Setup::new().tier(tier).user(user)).await;
        let options = [("options", "-ctenant=acme_corp")];
        let mut loose = Wire::login(stage.port(), "loose", "loose", &options).await.unwrap();
        assert_eq!(loose.simple(attack).await.code(), code, "{tier}");
        assert_eq!(loose.simple(read).await.code(), code, "{tier}");
        assert_eq!(loose.simple(WHO).await.value(), ALICE);
        // Without dynamic_sql the guard does not let it through.
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.simple(attack).await.code(), "42501");
        let user = if tier == Tier::Login { "tenant_acme_corp" } else { "app" };
        assert_eq!(wire.simple("SELECT session_user").await.value(), user);
    }
}

async fn count(server: &Client) -> i64 {
    let servers = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'tenant\\_%'";
    server.query_one(servers, &[]).await.unwrap().get(0)
}

/// The same, but where it is more than `bound`, the least within a moment: PostgreSQL counts a process that has been
/// told to end until it has.
async fn steady_count(server: &Client, bound: i64) -> i64 {
    let mut least = count(server).await;
    for _ in 0..50 {
        if least <= bound {
            break;
        }
        sleep(Duration::from_millis(20)).await;
        least = least.min(count(server).await);
    }
    least
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_bounded_each_and_together() {
    const TENANTS: usize = 8;
    let setup = Setup::new().tier(Tier::Login).servers(2).line("pool", "max_tenant_servers = 3");
    let stage = Stage::new(setup).await;
    let server = stage.superuser().await;
    for number in 0..TENANTS {
        let schema = format!("t{number}");
        let made = format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {schema}.users AS SELECT {number} AS id; {}",
            roles::sql(&schema)
        );
        server.batch_execute(&made).await.unwrap();
    }
    let mut clients = JoinSet::new();
    for number in 0..3 * TENANTS {
        let mut wire = stage.wire(&format!("t{}", number % TENANTS)).await;
        clients.spawn(async move {
            for _ in 0..10 {
                assert_eq!(wire.simple("SELECT id FROM users").await.value(), (number % TENANTS).to_string());
                wire.simple("BEGIN; SELECT 1").await;
                assert_eq!(wire.extended("SELECT id FROM users", &[]).await.code(), "");
                wire.simple("COMMIT").await;
            }
        });
    }
    let mut most = 0;
    while let Some(joined) = {
        most = most.max(steady_count(&server, 3).await);
        clients.join_next().await
    } {
        joined.unwrap();
    }
    assert!((1..=3).contains(&most), "{most} servers");

    // One tenant can't have all of them; those that work give nobody their place.
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut wire = stage.wire("t0").await;
        assert_eq!(wire.simple("BEGIN; SELECT id FROM users").await.code(), "");
        held.push(wire);
    }
    for tenant in ["t1", "t2", "t3"] {
        assert_eq!(stage.wire(tenant).await.simple("SELECT 1").await.value(), "1", "{tenant}");
    }
    assert!(steady_count(&server, 3).await <= 3);
    for mut wire in held {
        assert_eq!(wire.simple("COMMIT").await.status(), Some('I'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_place_that_there_is_not() {
    let setup =
        Setup::new().tier(Tier::Login).servers(1).line("pool", "max_tenant_servers = 1\nwait_timeout = '1s'");
    let stage = Stage::new(setup).await;
    let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    acme.simple("BEGIN").await;
    let fault = globex.simple(WHO).await.fault().unwrap();
    assert_eq!(fault.code, "53300", "{fault:?}");
    // Who waits is served as soon as the place is free.
    globex.query(WHO).flush().await;
    assert_eq!(acme.simple("COMMIT").await.status(), Some('I'));
    assert_eq!(globex.answer().await.value(), HANK);
    assert_eq!(acme.simple(WHO).await.value(), ALICE);
    // Tenants of other tiers are not held up.
    acme.simple("BEGIN").await;
    let mut public = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
    assert_eq!(public.simple(USER).await.value(), "app");
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_without_servers_are_forgotten() {
    let setup =
        Setup::new().tier(Tier::Login).line("pool", "idle_timeout = '1s'").line("metrics", "tenants = 0");
    let stage = Stage::new(setup).await;
    let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    for _ in 0..2 {
        assert_eq!(
            (acme.simple(WHO).await.value(), globex.simple(WHO).await.value()),
            (ALICE.into(), HANK.into())
        );
        let metrics = http(stage.http_port(), "/metrics").await;
        assert!(metrics.contains("pgstrata_tenant_pools{database=\"app\"} 2"), "{metrics}");
        assert!(
            !metrics.contains("acme") && !metrics.contains("tenant_globex"),
            "no series for each tenant: {metrics}"
        );
        while !http(stage.http_port(), "/metrics").await.contains("pgstrata_tenant_pools{database=\"app\"} 0")
        {
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(count(&stage.superuser().await).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn role_that_is_not_let_in() {
    let stage = Stage::new(Setup::new().tier(Tier::Login)).await;
    let server = stage.superuser().await;
    let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    assert_eq!(acme.simple(WHO).await.value(), ALICE);
    let end =
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'tenant_acme_corp'";
    for broken in ["ALTER ROLE tenant_acme_corp PASSWORD 'another'", "ALTER ROLE tenant_acme_corp NOLOGIN"] {
        server.batch_execute(broken).await.unwrap();
        server.batch_execute(end).await.unwrap();
        let told = Wire::login(
            stage.port(),
            "app",
            "app",
            &[("options", "-ctenant=acme_corp"), ("work_mem", "5MB")],
        )
        .await;
        let fault = told.unwrap_err();
        assert_eq!(fault.code, "08006", "{broken}");
        assert!(
            fault.message.starts_with("cannot connect to PostgreSQL: it refuses the proxy's login (28"),
            "{fault:?}"
        );
        let fault = acme.simple(WHO).await.fault().unwrap();
        assert_eq!(fault.code, "08006", "{broken}");
        assert_eq!(acme.extended(WHO, &[]).await.code(), "08006", "{broken}");
        assert_eq!(globex.simple(WHO).await.value(), HANK);
    }
    let password = pgstrata_control::role_password(roles::KEY.as_bytes(), "tenant_acme_corp");
    let mended = format!("ALTER ROLE tenant_acme_corp LOGIN PASSWORD '{password}'");
    server.batch_execute(&mended).await.unwrap();
    while acme.simple(WHO).await.fault().is_some() {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(acme.simple(WHO).await.value(), ALICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_judged_by_the_tenants_own_login() {
    let stage = Stage::new(Setup::new().tier(Tier::Login)).await;
    let grant = "GRANT SET ON PARAMETER log_min_messages TO tenant_acme_corp";
    stage.superuser().await.batch_execute(grant).await.unwrap();
    for (tenant, code) in [("acme_corp", ""), ("globex", "42501")] {
        let option = format!("-ctenant={tenant} -clog_min_messages=fatal");
        let told = Wire::login(stage.port(), "app", "app", &[("options", &option)]).await;
        assert_eq!(
            told.as_ref().err().map(|fault| fault.code.as_str()).unwrap_or_default(),
            code,
            "{tenant}"
        );
        if let Ok(mut wire) = told {
            assert_eq!(wire.simple("SHOW log_min_messages").await.value(), "fatal");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_reaches_a_server_of_a_tenants_own() {
    let stage = Stage::on(cluster().await, Setup::new().tier(Tier::Login)).await;
    let mut wire = stage.wire("acme_corp").await;
    let key = wire.key.clone();
    wire.query("SELECT pg_sleep(600)").flush().await;
    let server = stage.superuser().await;
    let sleeping =
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'tenant_acme_corp' AND wait_event = 'PgSleep'";
    while server.query_one(sleeping, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    Wire::connect(stage.port()).await.packet(CANCEL_REQUEST, &key).await;
    assert_eq!(wire.until(b'Z').await.code(), "57014");
    assert_eq!(wire.simple(WHO).await.value(), ALICE);
}
