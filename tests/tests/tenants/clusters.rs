//! One database on two clusters: each tenant is served on the cluster where it lives, and on no other.

use std::time::Duration;

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::spread::{Spread, place, superuser};
use pgstrata_tests::stage::{eventually, names};
use pgstrata_tests::wire::CANCEL_REQUEST;
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Setup, Wire};
use tokio::time::timeout;

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const INSERT: &str = "INSERT INTO users (name, email) VALUES ('kept', clock_timestamp()::text)";
const PORT: &str = "SELECT current_setting('port')";

fn setup() -> Setup {
    Setup::new().tenant_switch()
}

/// How many rows were kept in a schema, past the proxy.
async fn kept(cluster: &pgstrata::demo::postgres::Cluster, schema: &str) -> usize {
    let sql = format!("SELECT name FROM {schema}.users WHERE name = 'kept'");
    names(&superuser(cluster).await, &sql).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_work_each_on_its_own_cluster() {
    for strategy in STRATEGIES {
        let spread = Spread::new(setup().strategy(strategy)).await;
        for (tenant, users, cluster) in [("acme_corp", &ACME[..], &spread.a), ("globex", &GLOBEX, &spread.b)]
        {
            let mut wire = spread.wire(tenant).await;
            assert_eq!(wire.simple(PORT).await.value(), cluster.port().to_string());
            assert_eq!(wire.simple(NAMES).await.column(), users);
            assert_eq!(wire.extended(NAMES, &[]).await.column(), users);
            // A statement that is prepared, and a pipeline.
            wire.parse("mine", NAMES).sync();
            assert_eq!(wire.answer().await.code(), "");
            wire.bind("mine", &[]).execute().bind("mine", &[]).execute().sync();
            assert_eq!(wire.answer().await.column(), [users, users].concat());
            wire.parse("", INSERT).bind("", &[]).execute().sync();
            assert_eq!(wire.answer().await.commands(), ["INSERT 0 1"]);
            // A transaction, with a savepoint in it.
            for (text, status) in [
                ("BEGIN", 'T'),
                (INSERT, 'T'),
                ("SAVEPOINT s", 'T'),
                (INSERT, 'T'),
                ("SELECT 1 / 0", 'E'),
                ("ROLLBACK TO s", 'T'),
                (INSERT, 'T'),
                ("COMMIT", 'I'),
            ] {
                assert_eq!(wire.simple(text).await.status(), Some(status), "{text}");
            }
            assert_eq!(kept(cluster, tenant).await, 3);
        }
        // Where a schema has the tenant's name and is not the tenant's, nothing was read or written.
        let decoy = names(&superuser(&spread.b).await, "SELECT name FROM acme_corp.users").await;
        assert_eq!(decoy, ["Wrong"]);
        let mut none = Wire::login(spread.process.port, "app", "app", &[]).await.unwrap();
        assert_eq!(none.simple(PORT).await.value(), spread.a.port().to_string());
        assert_eq!(none.simple(NAMES).await.column(), PUBLIC);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_goes_from_one_cluster_to_the_other_and_back() {
    for strategy in STRATEGIES {
        let spread = Spread::new(setup().strategy(strategy).servers(1)).await;
        let [a, b] = [&spread.a, &spread.b].map(|cluster| cluster.port().to_string());
        let mut wire = spread.wire("acme_corp").await;
        wire.parse("mine", NAMES).sync();
        wire.answer().await;
        wire.simple("SET work_mem = '7MB'").await;
        for (text, tenant, users, port) in [
            ("SET tenant = 'globex'", "globex", &GLOBEX[..], &b),
            ("RESET tenant", "acme_corp", &ACME, &a),
            ("SET tenant = 'globex'", "globex", &GLOBEX, &b),
            ("SET tenant = 'acme_corp'", "acme_corp", &ACME, &a),
        ] {
            assert_eq!(wire.simple(text).await.code(), "", "{text}");
            assert_eq!(wire.simple("SHOW tenant").await.value(), tenant);
            assert_eq!(wire.simple(PORT).await.value(), *port);
            assert_eq!(wire.simple(NAMES).await.column(), users);
            // Prepared statements and settings come along.
            wire.bind("mine", &[]).execute().sync();
            assert_eq!(wire.answer().await.column(), users);
            assert_eq!(wire.simple("SHOW work_mem").await.value(), "7MB");
        }
        // For one statement, in both protocols.
        let other = format!("/*tenant='globex'*/ {NAMES}");
        assert_eq!(wire.simple(&other).await.column(), GLOBEX);
        assert_eq!(wire.extended(&other, &[]).await.column(), GLOBEX);
        wire.parse("theirs", &other).sync();
        wire.answer().await;
        for _ in 0..2 {
            wire.bind("theirs", &[]).execute().sync();
            assert_eq!(wire.answer().await.column(), GLOBEX);
            assert_eq!(wire.simple(NAMES).await.column(), ACME);
        }
        // Two tenants, one after the other, in a text and before it.
        assert_eq!(wire.simple(&format!("SET tenant = 'globex'; {NAMES}")).await.column(), GLOBEX);
        assert_eq!(wire.simple("DISCARD ALL").await.code(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_is_on_one_cluster() {
    let spread = Spread::new(setup()).await;
    let mut wire = spread.wire("acme_corp").await;
    for begin in ["BEGIN", "BEGIN; SELECT 1"] {
        wire.simple(begin).await;
        let refused = wire.simple("SET LOCAL tenant = 'globex'").await.fault().unwrap();
        assert_eq!(refused.code, "25001", "{refused:?}");
        assert_eq!(wire.simple("ROLLBACK").await.status(), Some('I'));
    }
    // A temporary table can't come along.
    wire.simple("CREATE TEMPORARY TABLE t (a int)").await;
    assert_eq!(wire.simple("SET tenant = 'globex'").await.code(), "55000");
    assert_eq!(wire.simple("DISCARD ALL").await.code(), "");
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
    // In a pipeline the second statement would be on another server than the first.
    let other = format!("/*tenant='globex'*/ {NAMES}");
    wire.parse("", NAMES).bind("", &[]).execute().parse("", &other).bind("", &[]).execute().sync();
    let answer = wire.answer().await;
    assert_eq!((answer.code().as_str(), answer.status()), ("25001", Some('I')));
    assert_eq!(wire.simple("SET tenant = 'globex'").await.code(), "");
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_is_on_the_tenants_cluster() {
    let spread = Spread::new(setup().servers(1)).await;
    let mut wire = spread.wire("acme_corp").await;
    assert_eq!(wire.simple("LISTEN orders").await.commands(), ["LISTEN"]);
    wire.simple("SET tenant = 'globex'").await;
    assert_eq!(wire.simple("LISTEN orders").await.commands(), ["LISTEN"]);
    for (tenant, payload) in [("acme_corp", "from a"), ("globex", "from b")] {
        let mut sender = spread.wire(tenant).await;
        assert_eq!(sender.simple(&format!("NOTIFY orders, '{payload}'")).await.commands(), ["NOTIFY"]);
        assert_eq!(heard(&mut wire).await, payload);
    }
    // What it sends to itself comes in front of the answer's end.
    let answer = wire.simple("NOTIFY orders, 'mine'").await;
    assert!(answer.messages.iter().any(|message| message.tag == b'A'));
    assert_eq!(wire.simple("UNLISTEN *").await.commands(), ["UNLISTEN"]);
    for tenant in ["acme_corp", "globex"] {
        spread.wire(tenant).await.simple("NOTIFY orders, 'late'").await;
    }
    assert_eq!(wire.simple("SELECT 1").await.tags(), "TDCZ");
}

/// The payload of the next notification.
async fn heard(wire: &mut Wire) -> String {
    let answer = timeout(Duration::from_secs(20), wire.until(b'A')).await.expect("a notification");
    let body = &answer.messages.last().unwrap().body[4..];
    String::from_utf8(body.split(|byte| *byte == 0).nth(1).unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_reaches_the_cluster_that_runs_the_statement() {
    let spread = Spread::new(setup()).await;
    let mut wire = spread.wire("acme_corp").await;
    let to = [("globex", &spread.b), ("acme_corp", &spread.a), ("globex", &spread.b)];
    for (tenant, cluster) in to {
        wire.simple(&format!("SET tenant = '{tenant}'")).await;
        wire.query("SELECT name FROM users, pg_sleep(600)").flush().await;
        let server = superuser(cluster).await;
        let running = "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%'
                       AND state = 'active' AND pid <> pg_backend_pid()";
        eventually(vec!["1".to_owned()], async || names(&server, running).await).await;
        let mut cancel = Wire::connect(spread.process.port).await;
        cancel.packet(CANCEL_REQUEST, &wire.key).await;
        assert!(cancel.receive().await.is_none());
        let answer = wire.until(b'Z').await;
        assert_eq!((answer.code().as_str(), answer.status()), ("57014", Some('I')), "{tenant}");
    }
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn placement_that_leads_nowhere_is_refused() {
    let spread = Spread::new(setup()).await;
    let server = superuser(&spread.a).await;
    // On no cluster that is configured, in another database, and where it has no schema.
    place(&server, "initech", "nowhere").await;
    let refused = spread.try_wire("initech").await.unwrap_err();
    assert_eq!(refused.code, "08006");
    for words in ["\"initech\"", "cluster \"nowhere\"", "which is not configured"] {
        assert!(refused.message.contains(words), "{refused:?}");
    }
    let hint = refused.hint.expect("it says what to do");
    assert!(hint.contains("[databases.app]") && hint.contains("pgstrata_control.placements"), "{hint}");
    let elsewhere =
        "INSERT INTO pgstrata_control.placements (schema, cluster, database) VALUES ('umbrella', 'b', 'x')";
    server.batch_execute(elsewhere).await.unwrap();
    assert_eq!(spread.try_wire("umbrella").await.unwrap_err().code, "08006");
    place(&server, "hooli", "b").await;
    assert_eq!(spread.try_wire("hooli").await.unwrap_err().code, "28000");
    // A schema on the other cluster alone makes no tenant, whatever its name.
    let orphan = "CREATE SCHEMA orphan; CREATE TABLE orphan.users (id int, name text); GRANT USAGE ON SCHEMA orphan TO app";
    superuser(&spread.b).await.batch_execute(orphan).await.unwrap();
    assert_eq!(spread.try_wire("orphan").await.unwrap_err().code, "28000");
    let mut wire = spread.wire("acme_corp").await;
    assert_eq!(wire.simple("SET tenant = 'initech'").await.code(), "08006");
    assert_eq!(wire.simple("SET tenant = 'orphan'").await.code(), "42501");
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
    // Once it is configured, it is found.
    place(&server, "hooli", "a").await;
    assert_eq!(spread.try_wire("hooli").await.unwrap_err().code, "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_served_where_placements_can_not_be_read() {
    let spread = Spread::new(setup().tenant_cache("10ms")).await;
    let server = superuser(&spread.a).await;
    let mut wire = spread.wire("acme_corp").await;
    server.batch_execute("REVOKE SELECT ON pgstrata_control.placements FROM app").await.unwrap();
    // What was found before holds for as long as `tenant_cache` says.
    for tenant in ["globex", "acme_corp"] {
        let why = "tenant not served: the registry does not say on which cluster it lives";
        eventually(("08006".to_owned(), why.to_owned()), async || match spread.try_wire(tenant).await {
            Ok(_) => Default::default(),
            Err(refused) => (refused.code, refused.message),
        })
        .await;
    }
    server.batch_execute("GRANT SELECT ON pgstrata_control.placements TO app").await.unwrap();
    assert_eq!(spread.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_adds_a_cluster_and_takes_it_away() {
    let spread = Spread::on_one(setup()).await;
    let mut stays = spread.wire("acme_corp").await;
    assert_eq!(stays.simple("BEGIN").await.status(), Some('T'));
    assert_eq!(stays.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    let server = superuser(&spread.a).await;
    place(&server, "initech", "b").await;
    assert_eq!(spread.try_wire("initech").await.unwrap_err().code, "08006");
    let made =
        "SET ROLE app; CREATE SCHEMA initech; CREATE TABLE initech.users AS SELECT 1 AS id, 'Milton' AS name";
    superuser(&spread.b).await.batch_execute(made).await.unwrap();
    spread.reload(&spread.with_both(setup())).await;
    let mut wire = spread.wire("initech").await;
    assert_eq!(wire.simple(NAMES).await.column(), ["Milton"]);
    // A transaction that was open goes on, and its client stays.
    assert_eq!(stays.simple("COMMIT").await.commands(), ["COMMIT"]);
    assert_eq!(kept(&spread.a, "acme_corp").await, 1);
    stays.simple("SET tenant = 'initech'").await;
    assert_eq!(stays.simple(NAMES).await.column(), ["Milton"]);
    spread.reload(spread.first_setup()).await;
    for wire in [&mut wire, &mut stays] {
        assert_eq!(wire.simple(NAMES).await.code(), "08006");
    }
    assert_eq!(stays.simple("SET tenant = 'acme_corp'").await.code(), "");
    assert_eq!(stays.simple("SELECT count(*) FROM users").await.value(), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_away_stops_nobody_who_is_at_work() {
    let mut spread = Spread::new(setup().line("pool", "wait_timeout = '300ms'")).await;
    let mut wire = spread.wire("globex").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    spread.a.stop().unwrap();
    assert_eq!(wire.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    // Of a tenant that nobody has asked for, nobody knows where it lives.
    assert_eq!(spread.try_wire("hooli").await.unwrap_err().code, "08006");
    spread.a.restart().unwrap();
    spread.listens("app").await;
    assert_eq!(spread.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    assert_eq!(wire.simple("SELECT count(*) FROM users").await.value(), "3");
}

/// What the registry says of a tenant is changed by hand, and its schema goes with it.
pub(super) async fn go(spread: &Spread, to: &str) {
    let (from, there) = if to == "b" { (&spread.a, &spread.b) } else { (&spread.b, &spread.a) };
    superuser(from).await.batch_execute("ALTER SCHEMA initech RENAME TO gone").await.unwrap();
    superuser(there).await.batch_execute("ALTER SCHEMA gone RENAME TO initech").await.unwrap();
    let registry = superuser(&spread.a).await;
    match to {
        "b" => place(&registry, "initech", "b").await,
        _ => drop(
            registry.execute("DELETE FROM pgstrata_control.placements WHERE schema = 'initech'", &[]).await,
        ),
    }
}

pub(super) async fn two_schemas(spread: &Spread) {
    for (cluster, schema, name) in [(&spread.a, "initech", "on a"), (&spread.b, "gone", "on b")] {
        let made = format!(
            "SET ROLE app; CREATE SCHEMA {schema}; CREATE TABLE {schema}.users AS SELECT 1 AS id, '{name}' AS name"
        );
        superuser(cluster).await.batch_execute(&made).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_follows_a_tenant_that_is_placed_elsewhere() {
    for strategy in STRATEGIES {
        let spread = Spread::new(setup().strategy(strategy)).await;
        two_schemas(&spread).await;
        let mut wire = spread.wire("initech").await;
        let mut tied = spread.wire("acme_corp").await;
        wire.parse("mine", NAMES).sync();
        wire.answer().await;
        tied.parse("theirs", &format!("/*tenant='initech'*/ {NAMES}")).sync();
        tied.answer().await;
        for to in ["b", "a", "b"] {
            go(&spread, to).await;
            let expected = format!("on {to}");
            // Each of them may be the first to hear of it.
            let asked = async || {
                let simple = spread.wire("initech").await.simple(NAMES).await.column();
                simple.concat()
            };
            eventually(expected.clone(), asked).await;
            assert_eq!(wire.simple(NAMES).await.column(), [expected.as_str()]);
            wire.bind("mine", &[]).execute().sync();
            assert_eq!(wire.answer().await.column(), [expected.as_str()]);
            tied.bind("theirs", &[]).execute().sync();
            assert_eq!(tied.answer().await.column(), [expected.as_str()]);
            assert_eq!(tied.simple(NAMES).await.column(), ACME);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_does_not_outlive_the_place_of_its_tenant() {
    let spread = Spread::new(setup()).await;
    two_schemas(&spread).await;
    let mut open = spread.wire("initech").await;
    open.simple("BEGIN; SELECT 1").await;
    let mut listening = spread.wire("initech").await;
    listening.simple("LISTEN orders").await;
    go(&spread, "b").await;
    let asked = async || spread.wire("initech").await.simple(NAMES).await.column().concat();
    eventually("on b".to_owned(), asked).await;
    // What it has on a server of the old place can't go with it.
    for wire in [&mut open, &mut listening] {
        let last = wire.simple(NAMES).await;
        let fault = last.faults().pop().unwrap();
        assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"), "{fault:?}");
        assert!(fault.message.contains("has moved to another cluster"), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_find_the_cluster_of_a_tenant() {
    let spread = Spread::new(setup()).await;
    spread.tenant(&["create", "hooli", "initech", "--on", "b"]).await.ok();
    spread.tenant(&["create", "umbrella"]).await.ok();
    // Done again, it changes nothing.
    let again = spread.tenant(&["create", "hooli", "--on", "b", "--json"]).await.json();
    assert_eq!(again["skipped"], serde_json::json!(["hooli"]));
    let mut wire = spread.wire("hooli").await;
    assert_eq!(wire.simple(PORT).await.value(), spread.b.port().to_string());
    assert_eq!(wire.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    let listed = spread.tenant(&["list", "--json"]).await.json();
    let listed: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["tenant"].as_str().unwrap(),
                one["cluster"].as_str().unwrap(),
                one["placed"].as_bool().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("acme_corp", "a", true),
        ("acme_corp", "b", false),
        ("globex", "b", true),
        ("hooli", "b", true),
        ("initech", "b", true),
        ("umbrella", "a", true),
    ];
    assert_eq!(listed, expected);
    let table = spread.tenant(&["list"]).await.ok();
    assert!(table.contains("CLUSTER") && table.contains("not placed here"), "{table}");
    assert!(spread.tenant(&["show", "hooli"]).await.ok().contains("cluster     b"));
    // There is one of each name.
    spread.tenant(&["create", "hooli"]).await.failed(1, "is placed on another cluster");
    spread.tenant(&["create", "acme_corp", "--on", "b"]).await.failed(1, "is on the registry's cluster");
    spread.tenant(&["rename", "umbrella", "hooli"]).await.failed(1, "placed on another cluster");
    spread.tenant(&["clone", "hooli", "copy"]).await.failed(1, "placed on another cluster");
    spread.tenant(&["create", "x", "--on", "c"]).await.failed(2, "its clusters: a, b");
    spread
        .tenant(&["--database", "app@b", "drop", "hooli", "--yes"])
        .await
        .failed(2, "is for the whole database");
    // States are those of the tenant's own cluster.
    spread.tenant(&["suspend", "hooli"]).await.ok();
    eventually("57P03".to_owned(), async || wire.simple(NAMES).await.code()).await;
    spread.tenant(&["resume", "hooli"]).await.ok();
    eventually(String::new(), async || wire.simple(NAMES).await.code()).await;
    spread.tenant(&["drop", "hooli", "--yes"]).await.ok();
    assert_eq!(spread.try_wire("hooli").await.unwrap_err().code, "28000");
    // Its name is free again.
    spread.tenant(&["create", "hooli"]).await.ok();
    eventually(spread.a.port().to_string(), async || match spread.try_wire("hooli").await {
        Ok(mut wire) => wire.simple(PORT).await.value(),
        Err(refused) => refused.code,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creation_that_was_cut_off_is_finished_by_the_next() {
    let spread = Spread::new(setup()).await;
    let registry = superuser(&spread.a).await;
    // It is placed, and that was all.
    place(&registry, "hooli", "b").await;
    assert_eq!(spread.try_wire("hooli").await.unwrap_err().code, "28000");
    let listed = spread.tenant(&["list"]).await;
    assert!(listed.err.contains("is placed on cluster \"b\", where it has no schema"), "{listed:?}");
    spread.tenant(&["create", "hooli", "--on", "b"]).await.ok();
    eventually(spread.b.port().to_string(), async || match spread.try_wire("hooli").await {
        Ok(mut wire) => wire.simple(PORT).await.value(),
        Err(refused) => refused.code,
    })
    .await;
    // What can't be made is placed nowhere.
    superuser(&spread.b).await.batch_execute("DROP SCHEMA template CASCADE").await.unwrap();
    assert_ne!(spread.tenant(&["create", "initech", "--on", "b"]).await.code, 0);
    let placed = "SELECT schema::text FROM pgstrata_control.placements ORDER BY 1";
    assert_eq!(names(&registry, placed).await, ["globex", "hooli"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_that_is_made_by_itself_is_not_made_twice() {
    let auto = setup().line("provision", "auto = ['*']");
    let spread = Spread::new(auto).await;
    assert_eq!(spread.wire("hooli").await.simple(PORT).await.value(), spread.a.port().to_string());
    place(&superuser(&spread.a).await, "initech", "b").await;
    assert_eq!(spread.try_wire("initech").await.unwrap_err().code, "28000");
    let there = "SELECT nspname::text FROM pg_namespace WHERE nspname IN ('hooli', 'initech')";
    assert_eq!(names(&superuser(&spread.a).await, there).await, ["hooli"]);
}
