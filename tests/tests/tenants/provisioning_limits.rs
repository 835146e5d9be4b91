//! Many at once, all or nothing, parts of a source, and what a tenant does once it is there.

use pgstrata_control::provision::Ensured;
use pgstrata_control::registry::State;
use pgstrata_control::{Control, SchemaName, Settings};
use pgstrata_tenancy::Pattern;
use pgstrata_tests::Ground;
use pgstrata_tests::dump::assert_alike;
use pgstrata_tests::ground::{DATABASE, ensure};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

#[tokio::test(flavor = "multi_thread")]
async fn eight_make_it_at_once_and_one_has_made_it() {
    let ground = Ground::with_everything("template").await;
    // The registry is made by them, too.
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let control = ground.control_of("template");
        all.spawn(async move { ensure(&control, "acme").await.unwrap() });
    }
    let made = all.join_all().await;
    assert_eq!(made.iter().filter(|ensured| **ensured == Ensured::Created).count(), 1, "{made:?}");
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
    let control = ground.control_of("template");
    let shown = control.tenant(&SchemaName::new("acme", control.settings()).unwrap()).await.unwrap();
    assert_eq!(shown.tenant.state, State::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_counts_by_itself_and_finds_its_own() {
    let ground = Ground::with_everything("template").await;
    let control = ground.control_of("template");
    for tenant in ["acme", "globex"] {
        assert_eq!(ensure(&control, tenant).await.unwrap(), Ensured::Created);
    }
    let found = async |schema: &str| {
        let calls = "standard() AS standard, own_path(), by_name(), by_name(0) - 0, by_path()";
        ground.run(&format!("SET search_path = {schema}")).await;
        let row = ground.admin.query_one(&format!("SELECT {calls}"), &[]).await.unwrap();
        (0..5).map(|at| row.get::<_, i64>(at)).collect::<Vec<_>>()
    };
    for (schema, people) in [("template", 0), ("acme", 2), ("globex", 1)] {
        ground
            .source(schema, &["INSERT INTO companies DEFAULT VALUES; INSERT INTO companies DEFAULT VALUES"])
            .await;
        for _ in 0..people {
            let insert = "ALTER TABLE people DISABLE TRIGGER USER; INSERT INTO people (name, employer) SELECT 'p', id FROM companies LIMIT 1";
            ground.source(schema, &[insert]).await;
        }
        let ids =
            format!("SELECT concat_ws(' ', id, number, \"Serial\") FROM {schema}.companies ORDER BY id");
        assert_eq!(ground.names(&ids).await, ["100 1 1", "110 2 2"], "{schema}");
        let codes =
            format!("SELECT concat_ws(' ', id, code, other_code, number) FROM {schema}.people ORDER BY id");
        let expected: Vec<String> = (0..people)
            .map(|at| format!("{} C{} p{} {}", at + 1, 2 * at + 1, 2 * at + 2, 15 + 5 * at))
            .collect();
        assert_eq!(ground.names(&codes).await, expected, "{schema}");
    }
    for (schema, people) in [("template", 0), ("acme", 2), ("globex", 1)] {
        // By their names it is people with each of the two companies.
        assert_eq!(found(schema).await, [people, people, 2 * people, 2 * people, people], "{schema}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_privilege_nothing_is_made() {
    let ground = Ground::new().await;
    ground
        .run(&format!(
            "CREATE ROLE keeper LOGIN; GRANT CREATE ON DATABASE {DATABASE} TO keeper;
             GRANT app TO keeper; CREATE SCHEMA template AUTHORIZATION app;
             CREATE TYPE public.secret AS ENUM ('x'); REVOKE USAGE ON TYPE public.secret FROM PUBLIC"
        ))
        .await;
    let tables = "CREATE TABLE a (id serial); CREATE TABLE z (s public.secret); ALTER TABLE a OWNER TO app; ALTER TABLE z OWNER TO app";
    ground.source("template", &[tables]).await;
    let keeper = || {
        let mut login = ground.cluster.superuser(DATABASE);
        login.user("keeper");
        let settings = Settings { source: "template".into(), ..Settings::default() };
        Control::new(login, NoTls, 1, settings).unwrap()
    };
    keeper().tenants().await.unwrap();
    let before = ground.inventory().await;
    let said = ensure(&keeper(), "acme").await.unwrap_err().to_string();
    assert!(said.contains("table \"z\": permission denied for type secret (42501)"), "{said}");
    assert_eq!(ground.inventory().await, before);
    ground.run("GRANT USAGE ON TYPE public.secret TO keeper").await;
    assert_eq!(ensure(&keeper(), "acme").await.unwrap(), Ensured::Created);
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &["public"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_something_in_public_can_use_it_in_a_tenant() {
    let ground = Ground::new().await;
    ground
        .run(&format!(
            "CREATE ROLE keeper LOGIN; CREATE ROLE reader; CREATE ROLE stranger; GRANT app TO keeper;
             GRANT CREATE ON DATABASE {DATABASE} TO keeper; GRANT CREATE ON SCHEMA public TO app; SET ROLE app"
        ))
        .await;
    let sql = "CREATE TABLE t (id serial); CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t; GRANT SELECT ON t TO reader;
        CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'";
    ground.run(&format!("SET search_path = public; {sql}")).await;
    // They are whose they are, whoever may make something there now.
    ground.run("RESET ROLE; REVOKE CREATE ON SCHEMA public FROM app").await;
    let mut login = ground.cluster.superuser(DATABASE);
    login.user("keeper");
    let control = Control::new(login, NoTls, 1, Settings::default()).unwrap();
    assert_eq!(ensure(&control, "acme").await.unwrap(), Ensured::Created);
    assert_alike(&ground.cluster, DATABASE, "public", "acme", &[]).await;
    ground
        .run(
            "SET ROLE app; SET search_path = acme; INSERT INTO t DEFAULT VALUES; REFRESH MATERIALIZED VIEW m",
        )
        .await;
    assert_eq!(ground.names("SELECT count::text || f() FROM acme.m").await, ["11"]);
    for (role, may) in [("app", "USAGE"), ("reader", "USAGE"), ("stranger", "")] {
        let asked = format!("SELECT concat_ws(' ', CASE WHEN has_schema_privilege('{role}', 'acme', 'USAGE') THEN 'USAGE' END,
            CASE WHEN has_schema_privilege('{role}', 'acme', 'CREATE') THEN 'CREATE' END)");
        assert_eq!(ground.names(&asked).await, [may], "{role}");
    }
}

/// Tables that go with each other, and views and functions over some of them.
const PARTS: &str = "
    CREATE TABLE plans (code text PRIMARY KEY, price integer); INSERT INTO plans VALUES ('free', 0), ('pro', 9);
    CREATE TABLE users (id serial PRIMARY KEY, name text); INSERT INTO users (name) VALUES ('a'), ('b');
    CREATE TABLE users_log (id integer GENERATED ALWAYS AS IDENTITY, at date) PARTITION BY RANGE (at);
    CREATE TABLE users_log_1 PARTITION OF users_log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE users_log_2 PARTITION OF users_log DEFAULT;
    INSERT INTO users_log (at) VALUES ('2020-02-02'), ('2022-02-02'), ('2023-02-02');
    CREATE TABLE import_tmp (id serial, line text); INSERT INTO import_tmp (line) VALUES ('x');
    CREATE VIEW names AS SELECT name FROM users;
    CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM users; END;
    COMMENT ON TABLE import_tmp IS 'Nobody''s'; GRANT SELECT ON import_tmp TO PUBLIC;";

fn patterns(patterns: &[&str]) -> Vec<Pattern> {
    patterns.iter().map(|pattern| Pattern::new(pattern)).collect()
}

const TABLES: &str = "SELECT relname::text FROM pg_class WHERE relnamespace = 'acme'::regnamespace AND relkind IN ('r', 'p', 'S') ORDER BY 1";

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_left_out_and_rows_come_along() {
    for source in ["public", "template"] {
        let ground = Ground::with(source, PARTS).await;
        let control = ground.control(Settings {
            source: source.into(),
            exclude: patterns(&["*_tmp"]),
            seed: patterns(&["plans", "users_log", "import*"]),
            ..Settings::default()
        });
        control.tenants().await.unwrap();
        let before = ground.inventory().await;
        assert_eq!(ensure(&control, "acme").await.unwrap(), Ensured::Created, "{source}");
        let there =
            ["plans", "users", "users_id_seq", "users_log", "users_log_1", "users_log_2", "users_log_id_seq"];
        let mut there: Vec<&str> = there.to_vec();
        // Before 17 each partition has a sequence of its own: what is copied is what is there.
        let partitions = format!(
            "SELECT relname::text FROM pg_class WHERE relnamespace = '{source}'::regnamespace AND relkind = 'S' AND relname ~ 'log_._id'"
        );
        let partitions = ground.names(&partitions).await;
        there.extend(partitions.iter().map(String::as_str));
        there.sort_unstable();
        assert_eq!(ground.names(TABLES).await, there, "{source}");
        assert_eq!(
            ground.names("SELECT concat_ws(' ', code, price) FROM acme.plans ORDER BY 1").await,
            ["free 0", "pro 9"]
        );
        assert_eq!(
            ground
                .names("SELECT concat_ws(' ', tableoid::regclass, id) FROM acme.users_log ORDER BY 1")
                .await,
            ["acme.users_log_1 1", "acme.users_log_2 2", "acme.users_log_2 3"]
        );
        ground.run("INSERT INTO acme.users (name) VALUES ('first'); INSERT INTO acme.users_log (at) VALUES ('2020-03-03')").await;
        assert_eq!(ground.names("SELECT id || name || acme.how_many() FROM acme.users").await, ["1first1"]);
        assert_eq!(ground.names("SELECT max(id)::text FROM acme.users_log").await, ["4"]);
        let after = ground.inventory().await;
        assert!(before.iter().all(|line| after.contains(line)), "the source is as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_tables_are_taken() {
    let ground = Ground::with("public", PARTS).await;
    let settings = Settings { include: patterns(&["pl*", "users"]), ..Settings::default() };
    assert_eq!(ensure(&ground.control(settings), "acme").await.unwrap(), Ensured::Created);
    assert_eq!(ground.names(TABLES).await, ["plans", "users", "users_id_seq"]);
    // What is not in it, and not shared, is needed by a view.
    let settings = Settings { exclude: patterns(&["users"]), shared: Vec::new(), ..Settings::default() };
    let said = ensure(&ground.control(settings), "globex").await.unwrap_err().to_string();
    assert!(said.contains("need objects that are left out: table public.users"), "{said}");
}
