//! A tenant tries to get at another tenant's rows.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Setup, Stage};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// Each strategy with the proxy alone, and with a hardened database behind it.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        let setup = Setup::new().strategy(strategy).servers(1);
        stages.push(Stage::new(setup.clone()).await);
        stages.push(Stage::new(setup.hardened()).await);
    }
    stages
}

/// Each text is refused with 42501 in both protocols, and the client goes on as itself.
async fn all_refused(texts: &[&str]) {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        // Until the catalog is loaded a shared table is not found where it may not be written.
        while client.extended("UPDATE plans SET name = name", &[]).await.code() != "42501" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        for text in texts {
            let simple = client.simple(text).await;
            assert_eq!(simple.code(), "42501", "simple: {text}\n{simple:?}");
            assert_eq!(simple.status(), Some('I'), "{text}");
            let extended = client.extended(text, &[]).await;
            assert_eq!(extended.code(), "42501", "extended: {text}\n{extended:?}");
            // Behind a path that was refused nothing is read.
            client.simple("RESET search_path").await;
            assert_eq!(client.simple(NAMES).await.column(), ACME, "after {text}");
        }
        let mut neighbour = stage.wire("globex").await;
        assert_eq!(neighbour.simple(NAMES).await.column(), GLOBEX);
        assert_eq!(stage.public_users().await, PUBLIC);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_by_name() {
    all_refused(&[
        "SELECT name FROM globex.users",
        "SELECT name FROM \"globex\".users",
        "SELECT name FROM GLOBEX . \"users\"",
        "SELECT name FROM globex/* a comment */./**/users",
        "SELECT name FROM U&\"glob\\0065x\".users",
        "SELECT name FROM app.globex.users",
        "SELECT (SELECT max(name) FROM globex.users)",
        "WITH theirs AS (SELECT * FROM globex.users) SELECT * FROM theirs",
        "SELECT 1 FROM users WHERE EXISTS (SELECT FROM globex.users)",
        "TABLE globex.users",
        "INSERT INTO globex.users (name, email) VALUES ('x', 'x')",
        "UPDATE users SET name = g.name FROM globex.users g",
        "DELETE FROM globex.users",
        "EXPLAIN SELECT * FROM globex.users",
        "CREATE VIEW spy AS SELECT * FROM globex.users",
        "CREATE TABLE spy AS TABLE globex.users",
        "CREATE TABLE spy (LIKE globex.users)",
        "CREATE TABLE spy () INHERITS (globex.users)",
        "TRUNCATE globex.users",
        "DROP TABLE globex.users",
        "ALTER TABLE users SET SCHEMA globex",
        "LOCK TABLE globex.users",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_in_copy() {
    all_refused(&["COPY globex.users TO STDOUT", "COPY (SELECT * FROM globex.users) TO STDOUT"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_path_of_another_tenant() {
    all_refused(&[
        "SET search_path TO globex",
        "SET search_path = 'acme_corp', 'globex'",
        "SET SESSION search_path TO globex",
        "SET \"search_path\" TO globex",
        "SET SCHEMA 'globex'",
        "SELECT set_config('search_path', 'globex', false)",
        "SELECT set_config('search' || '_path', 'globex', true)",
        "UPDATE pg_settings SET setting = 'globex' WHERE name = 'search_path'",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn path_set_and_used_in_one_batch() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        let answer = client.simple("SET search_path TO globex; SELECT name FROM users").await;
        assert_eq!(answer.code(), "42501");
        client.parse("", "SET search_path TO globex").bind("", &[]).execute();
        client.parse("", NAMES).bind("", &[]).execute();
        let answer = client.sync().answer().await;
        assert_eq!(answer.code(), "42501");
        assert!(!answer.tags().contains('D'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_sessions() {
    all_refused(&[
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "CREATE SCHEMA mine",
        "DROP SCHEMA globex CASCADE",
        "ALTER ROLE app SET search_path TO globex",
        "ALTER DATABASE app SET search_path TO globex",
        "DROP OWNED BY app",
        "SELECT pg_terminate_backend(1)",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_values() {
    all_refused(&[
        "SELECT query_to_xml('SELECT * FROM globex.users', true, true, '')",
        "SELECT schema_to_xml('globex', true, true, '')",
        "SELECT table_to_xml('globex.users', true, true, '')",
        "SELECT nextval('globex.posts_id_seq')",
        "SELECT 'globex.users'::regclass",
        "SELECT * FROM ts_stat('SELECT to_tsvector(name) FROM globex.users')",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_in_strings() {
    all_refused(&[
        "DO $$ BEGIN PERFORM * FROM globex.users; END $$",
        "DO $$ BEGIN EXECUTE 'SELECT * FROM glo' || 'bex.users'; END $$",
        "CREATE FUNCTION spy() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'x'; END $$",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_schemas_are_read_only() {
    all_refused(&[
        "INSERT INTO plans VALUES (4, 'x', 0)",
        "UPDATE public.users SET name = 'x'",
        "CREATE TABLE public.planted (id integer)",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_tables_by_full_name() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        assert_eq!(client.simple("SELECT name FROM acme_corp.users ORDER BY id").await.column(), ACME);
        assert_eq!(client.simple("SELECT name FROM plans ORDER BY id LIMIT 1").await.column(), ["free"]);
        assert_eq!(
            client.simple("SELECT name FROM public.plans ORDER BY id LIMIT 1").await.column(),
            ["free"]
        );
        assert_eq!(client.simple("SELECT current_schema()").await.value(), "acme_corp");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_made_at_run_time_are_the_tenants() {
    for stage in stages().await {
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for (client, value) in [(&mut acme, "mine"), (&mut globex, "theirs")] {
            assert_eq!(client.simple("CREATE TABLE notes (id serial, text text)").await.fault(), None);
            let insert = format!("INSERT INTO notes (text) VALUES ('{value}')");
            assert_eq!(client.simple(&insert).await.commands(), ["INSERT 0 1"]);
        }
        assert_eq!(acme.simple("SELECT text FROM notes").await.column(), ["mine"]);
        assert_eq!(globex.simple("SELECT text FROM notes").await.column(), ["theirs"]);
        assert_eq!(acme.simple("DROP TABLE notes").await.fault(), None);
        assert_eq!(acme.simple("SELECT text FROM notes").await.code(), "42P01");
        assert_eq!(globex.simple("SELECT text FROM notes").await.column(), ["theirs"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_kept_elsewhere_are_found() {
    let tables =
        "[tenants.acme_corp.tables]\nusers = 'enterprise_users'\n[tenancy.tables]\nplans = 'public.plans'";
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).line("tenancy", tables)).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE TABLE acme_corp.enterprise_users (id int PRIMARY KEY, name text);
                 INSERT INTO acme_corp.enterprise_users VALUES (1, 'moved');
                 CREATE TABLE acme_corp.plans (name text);
                 INSERT INTO acme_corp.plans VALUES ('not this one');
                 GRANT ALL ON ALL TABLES IN SCHEMA acme_corp TO app",
            )
            .await
            .unwrap();
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        let theirs = globex.simple("SELECT name FROM users ORDER BY 1").await.column();
        assert!(!theirs.is_empty() && !theirs.contains(&"moved".to_owned()));
        for text in [
            "SELECT users.name FROM users",
            "SELECT u.name FROM users AS u",
            "SELECT u.name FROM \"users\" u",
        ] {
            assert_eq!(acme.simple(text).await.column(), ["moved"], "{text}");
            assert_eq!(acme.extended(text, &[]).await.column(), ["moved"], "{text}");
        }
        let write =
            "INSERT INTO users VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = users.name || '!'";
        assert_eq!(acme.simple(write).await.commands(), ["INSERT 0 1"]);
        assert_eq!(acme.simple("SELECT name FROM acme_corp.enterprise_users").await.column(), ["moved!"]);
        let plans = globex.simple("SELECT name FROM plans ORDER BY 1").await.column();
        assert_eq!(acme.simple("SELECT name FROM plans ORDER BY 1").await.column(), plans);
        // The caret stands where the mistake is, behind what was put in.
        let fault = acme.simple("SELECT name FROM users WHERE nothing = 1").await;
        assert_eq!(fault.fault().unwrap().position.as_deref(), Some("30"));
        assert_eq!(acme.simple("ALTER TABLE users ADD COLUMN x int").await.code(), "0A000");
        assert_eq!(globex.simple("SELECT name FROM users ORDER BY 1").await.column(), theirs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_point_at_the_clients_own_text() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        let cases = [
            ("SELECT * FROM missing", "42P01", "15"),
            ("SELECT nothing FROM users", "42703", "8"),
            ("SELECT name FROM users WHERE 'ü' = nothing", "42703", "36"),
            ("SELECT name FROM users, posts WHERE user_id = users.nothing", "42703", "47"),
        ];
        for (text, code, position) in cases {
            for answer in [client.simple(text).await, client.extended(text, &[]).await] {
                let fault = answer.fault().expect(text);
                assert_eq!(
                    (fault.code.as_str(), fault.position.as_deref()),
                    (code, Some(position)),
                    "{text}"
                );
            }
        }
    }
}

/// As pg_dump does, and each script that it writes.
#[tokio::test]
async fn empty_path_is_followed() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        for set in [
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "SET search_path TO ''",
            "SET search_path TO '', public",
        ] {
            let mut wire = stage.wire("acme_corp").await;
            wire.simple(set).await;
            for _ in 0..2 {
                assert_eq!(
                    wire.simple("SELECT pg_catalog.pg_is_in_recovery()").await.column(),
                    ["f"],
                    "{set}"
                );
                assert_eq!(wire.simple("SELECT count(*) > 0 FROM acme_corp.users").await.column(), ["t"]);
                assert_eq!(
                    wire.extended("SELECT count(*) > 0 FROM acme_corp.users", &[]).await.column(),
                    ["t"]
                );
            }
            let unqualified = wire.simple("SELECT * FROM orders").await;
            assert_eq!(unqualified.fault().unwrap().code, "42P01", "{set}");
            wire.simple("BEGIN").await;
            assert_eq!(wire.simple("SELECT current_schemas(false)::text").await.column().len(), 1);
            wire.simple("VACUUM").await;
            wire.simple("ROLLBACK").await;
            assert!(wire.simple("VACUUM acme_corp.users").await.fault().is_none(), "{set}");
            wire.simple("RESET search_path").await;
            assert_eq!(wire.simple("SELECT current_schema()").await.column(), ["acme_corp"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_over_shared_tables_are_not_written_through() {
    let stage = Stage::new(Setup::new()).await;
    let server = stage.superuser().await;
    server.batch_execute("GRANT ALL ON public.plans TO app").await.unwrap();
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("CREATE VIEW outward AS SELECT * FROM plans; CREATE VIEW inward AS SELECT * FROM users")
        .await;
    wire.simple("CREATE VIEW further AS SELECT * FROM outward").await;
    for text in [
        "DELETE FROM outward",
        "UPDATE further SET id = id",
        "INSERT INTO acme_corp.outward SELECT * FROM plans",
        "DELETE FROM ONLY (plans)",
        "SET search_path TO public; CREATE TABLE planted (a int)",
    ] {
        assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
    }
    assert_eq!(wire.simple("UPDATE inward SET name = name").await.commands(), ["UPDATE 3"]);
    assert_eq!(wire.simple("SELECT count(*) > 0 FROM further").await.value(), "t");
    assert_eq!(wire.simple("DROP VIEW outward CASCADE").await.code(), "");
}
