//! DDL that goes past the proxy, with what `pgstrata sql event-trigger` prints in the database.

use pgstrata_tenancy::Strategy;
use pgstrata_tests::program::{client_program, pgstrata, run};
use pgstrata_tests::stage::{connect, eventually, names};
use pgstrata_tests::{ACME, Setup, Stage};
use tokio_postgres::{AsyncMessage, Client, NoTls};

const NAMES: &str = "SELECT name FROM users ORDER BY name";

/// What is the listener's doing, seen by PostgreSQL.
const LISTENERS: &str = "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'pgstrata listener'";

/// A proxy that believes what it knows for an hour, unless it is told.
async fn stage() -> Stage {
    let setup = Setup::new().strategy(Strategy::SchemaQualified).line("tenancy", "catalog_notify = true");
    let stage = Stage::new(setup).await;
    install(&stage, &[]).await;
    listening(&stage, 1.0).await;
    stage
}

/// As an administrator does it: `pgstrata sql event-trigger | psql`.
async fn install(stage: &Stage, flags: &[&str]) {
    let mut sql = pgstrata();
    sql.args(["sql", "event-trigger"]).args(flags);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, run(sql).await).unwrap();
    let mut psql = client_program("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "app", "-f"]).arg(file.path());
    psql.arg("-h").arg(stage.cluster.socket_dir()).args(["-p", &stage.cluster.port().to_string()]);
    run(psql).await;
}

/// Waits until the metrics say so.
async fn listening(stage: &Stage, expected: f64) {
    eventually(expected, async || stage.metric("pgstrata_catalog_listening{database=\"app\"}").await).await;
}

/// What a connection past the proxy gets by the tenant's path.
async fn direct(stage: &Stage, query: &str) -> Vec<String> {
    let mut config = stage.cluster.superuser("app");
    let client = connect(config.options("-c search_path=acme_corp,public")).await.unwrap();
    names(&client, query).await
}

/// A client of acme_corp, of which the proxy knows what its schema holds: PostgreSQL gets the schema's name.
async fn client_that_is_known(stage: &Stage) -> Client {
    let client = stage.client("acme_corp").await;
    let server = stage.superuser().await;
    let seen =
        "SELECT query FROM pg_stat_activity WHERE usename = 'app' AND query LIKE '%\"acme_corp\".users%'";
    eventually(true, async || {
        assert_eq!(names(&client, NAMES).await, ACME);
        !names(&server, seen).await.is_empty()
    })
    .await;
    client
}

/// The proxy's answer becomes PostgreSQL's own.
async fn follows(stage: &Stage, client: &Client, query: &str) {
    let expected = direct(stage, query).await;
    // Errors too: until the news is there, it may ask for a table that is gone.
    eventually(Some(expected), async || {
        let rows = client.query(query, &[]).await.ok()?;
        Some(rows.iter().map(|row| row.get(0)).collect())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_that_was_dropped_past_the_proxy() {
    let stage = stage().await;
    let client = client_that_is_known(&stage).await;
    stage.superuser().await.batch_execute("DROP TABLE acme_corp.users CASCADE").await.unwrap();
    assert_eq!(direct(&stage, NAMES).await, ["Template"]);
    follows(&stage, &client, NAMES).await;
    assert!(stage.metric("pgstrata_catalog_notifications_total").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn view_that_took_a_tables_place_past_the_proxy() {
    let stage = stage().await;
    let client = client_that_is_known(&stage).await;
    let server = stage.superuser().await;
    server
        .batch_execute(
            "BEGIN;
             ALTER TABLE acme_corp.users RENAME TO people;
             CREATE TABLE acme_corp.names (name text);
             INSERT INTO acme_corp.names VALUES ('by the path');
             CREATE TABLE public.names (name text);
             INSERT INTO public.names VALUES ('not by the path');
             CREATE FUNCTION acme_corp.who() RETURNS SETOF text LANGUAGE plpgsql STABLE
               AS $$ BEGIN RETURN QUERY SELECT name FROM names; END $$;
             CREATE VIEW acme_corp.users AS SELECT who AS name FROM acme_corp.who();
             GRANT SELECT ON ALL TABLES IN SCHEMA acme_corp, public TO app;
             COMMIT",
        )
        .await
        .unwrap();
    assert_eq!(direct(&stage, NAMES).await, ["by the path"]);
    follows(&stage, &client, NAMES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_moved_past_the_proxy() {
    let stage = stage().await;
    let client = client_that_is_known(&stage).await;
    let server = stage.superuser().await;
    server.batch_execute("CREATE SCHEMA attic").await.unwrap();
    for (table, command) in [
        ("users", "ALTER TABLE acme_corp.users SET SCHEMA attic"),
        // Nobody can see the word, from inside of an event trigger.
        ("posts", "DO $$ BEGIN EXECUTE 'ALTER TABLE acme_corp.posts SET SCH' || 'EMA attic'; END $$"),
    ] {
        let query = format!("SELECT count(*)::text FROM {table}");
        let before = names(&client, &query).await;
        server.batch_execute(command).await.unwrap();
        assert_ne!(direct(&stage, &query).await, before);
        follows(&stage, &client, &query).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_came_and_went_past_the_proxy() {
    let stage = stage().await;
    let server = stage.superuser().await;
    let let_in = async |tenant: &str| connect(&stage.config(Some(tenant))).await.is_ok();
    assert!(let_in("acme_corp").await && let_in("globex").await);
    server.batch_execute("ALTER SCHEMA globex RENAME TO initech").await.unwrap();
    eventually(false, async || let_in("globex").await).await;
    assert!(let_in("initech").await);
    server.batch_execute("DROP SCHEMA acme_corp CASCADE").await.unwrap();
    eventually(false, async || let_in("acme_corp").await).await;
    // The functions' own schema is nobody's.
    assert!(!let_in("pgstrata").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_noticed_when_the_listener_is_back() {
    let stage = stage().await;
    let client = client_that_is_known(&stage).await;
    let server = stage.superuser().await;
    // What is connected stays connected, but for the listener.
    server.batch_execute("ALTER ROLE app NOLOGIN").await.unwrap();
    let [pid] = names(&server, LISTENERS).await.try_into().unwrap();
    server.batch_execute(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    listening(&stage, 0.0).await;
    assert!(names(&server, LISTENERS).await.is_empty());
    server.batch_execute("DROP TABLE acme_corp.users CASCADE").await.unwrap();
    server.batch_execute("ALTER ROLE app LOGIN").await.unwrap();
    follows(&stage, &client, NAMES).await;
    listening(&stage, 1.0).await;
    let now = names(&server, LISTENERS).await;
    assert!(now.len() == 1 && now != [pid]);
    assert_eq!(stage.metric("pgstrata_catalog_notifications_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_on_the_channel_does_no_harm() {
    let stage = stage().await;
    let client = stage.client("acme_corp").await;
    let server = stage.superuser().await;
    server
        .batch_execute(
            "SELECT pg_notify('pgstrata_catalog', CASE i % 4 WHEN 0 THEN i::text WHEN 1 THEN 'acme_corp'
               WHEN 2 THEN repeat('x', 7000) || i ELSE '\";''--\\' || i END) FROM generate_series(1, 5000) i",
        )
        .await
        .unwrap();
    // Equal ones of a transaction are one: 'acme_corp'.
    eventually(3751.0, async || stage.metric("pgstrata_catalog_notifications_total").await).await;
    assert_eq!(names(&client, NAMES).await, ACME);
    listening(&stage, 1.0).await;
}

/// What each command announces: payloads, `*` for the empty one.
const ANNOUNCED: [(&str, &str); 22] = [
    ("CREATE SCHEMA a", "a"),
    ("CREATE SCHEMA \"B \\ 'c\" CREATE TABLE t (id serial) CREATE VIEW v AS SELECT 1", "B \\ 'c"),
    ("CREATE TABLE a.t (id serial PRIMARY KEY, parent int REFERENCES a.t)", "a"),
    ("ALTER TABLE a.t RENAME TO u", "a"),
    ("CREATE INDEX CONCURRENTLY i ON a.u (id)", "a"),
    ("REINDEX INDEX CONCURRENTLY a.i", ""),
    ("DROP INDEX CONCURRENTLY a.i", "a"),
    ("GRANT SELECT ON a.u TO app; COMMENT ON TABLE a.u IS 'x'", ""),
    ("CREATE FUNCTION a.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'", "a"),
    ("CREATE TRIGGER g BEFORE INSERT ON a.u FOR EACH ROW EXECUTE FUNCTION a.f()", "a"),
    ("CREATE POLICY p ON a.u USING (true)", "a"),
    ("CREATE RULE r AS ON DELETE TO a.u DO INSTEAD NOTHING", "a"),
    ("DROP TRIGGER g ON a.u", "a"),
    ("DROP POLICY p ON a.u", "a"),
    ("DROP RULE r ON a.u", "a"),
    ("ALTER TABLE a.u ALTER COLUMN id DROP DEFAULT", "a"),
    ("CREATE TEMP TABLE t (id serial, x text); ALTER TABLE t ADD y int; DROP TABLE t", ""),
    ("SELECT 1 AS x INTO a.s; DROP TABLE a.s, \"B \\ 'c\".t", "B \\ 'c a"),
    ("BEGIN; CREATE TABLE a.v (); ROLLBACK", ""),
    ("DROP SCHEMA \"B \\ 'c\" CASCADE", "B \\ 'c"),
    ("ALTER SCHEMA a RENAME TO b", "*"),
    ("DROP SCHEMA b CASCADE", "b"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_command_announces_its_schemas() {
    let stage = Stage::new(Setup::new()).await;
    // Twice: it replaces what is there, for an owner who is not to be trusted.
    let server = stage.superuser().await;
    server
        .batch_execute(
            "CREATE SCHEMA pgstrata AUTHORIZATION app; SET ROLE app;
             CREATE FUNCTION pgstrata.notify_catalog() RETURNS event_trigger LANGUAGE plpgsql
               AS 'BEGIN RAISE EXCEPTION ''planted''; END'; RESET ROLE",
        )
        .await
        .unwrap();
    install(&stage, &[]).await;
    install(&stage, &[]).await;
    let owners = "SELECT DISTINCT r.rolname::text FROM pg_roles r, pg_namespace n, pg_proc p
                  WHERE n.nspname = 'pgstrata' AND p.pronamespace = n.oid AND r.oid IN (n.nspowner, p.proowner)";
    assert_eq!(names(&server, owners).await, ["postgres"]);
    let (listener, mut connection) = stage.cluster.superuser("app").connect(NoTls).await.unwrap();
    let (heard, mut news) = tokio::sync::mpsc::channel(1024);
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                heard.send(notification.payload().to_owned()).await.unwrap();
            }
        }
    });
    listener.batch_execute("LISTEN pgstrata_catalog; LISTEN mark").await.unwrap();
    for (command, expected) in ANNOUNCED {
        server.batch_execute(command).await.unwrap_or_else(|error| panic!("{command}: {error:?}"));
        server.batch_execute("NOTIFY mark, 'the end'").await.unwrap();
        let mut payloads = Vec::new();
        while let Some(payload) = news.recv().await.filter(|payload| payload != "the end") {
            payloads.push(if payload.is_empty() { "*".to_owned() } else { payload });
        }
        payloads.sort_unstable();
        payloads.dedup();
        assert_eq!(payloads.join(" "), expected, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_role_may_run_ddl_and_nothing_is_left_behind() {
    let stage = Stage::new(Setup::new()).await;
    install(&stage, &[]).await;
    let server = stage.superuser().await;
    // Neither rights nor tables of these names are in a user's way.
    server
        .batch_execute("REVOKE EXECUTE ON FUNCTION pg_notify, pg_event_trigger_ddl_commands FROM PUBLIC")
        .await
        .unwrap();
    let client = stage.client("acme_corp").await;
    client.batch_execute("CREATE TABLE mine (id int); DROP TABLE mine").await.unwrap();

    install(&stage, &["--drop"]).await;
    install(&stage, &["--drop"]).await;
    let left = "SELECT evtname::text FROM pg_event_trigger
                UNION ALL SELECT nspname::text FROM pg_namespace WHERE nspname = 'pgstrata'";
    assert!(names(&server, left).await.is_empty());
}
