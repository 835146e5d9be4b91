//! Behind a tenant's own DDL, and at its first statement, the proxy does not know what the tenant's schema holds: no
//! statement waits for that, and none reaches more than it may.
//!
//! The servers' role may write the shared tables here: what stops a tenant is the proxy, or what it had PostgreSQL do.

use pgstrata_tenancy::Strategy;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::{eventually, names};
use pgstrata_tests::{ACME, Answer, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// Rounds of DDL of the tests that count.
const ROUNDS: usize = 100;

/// What a statement may be answered that reaches for what is not the tenant's.
const REFUSED: [&str; 5] = ["42501", "42P01", "42704", "42883", "42809"];

/// In which way a client sends its statements.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Simple,
    Extended,
}

fn ways() -> impl Iterator<Item = (Strategy, Protocol)> {
    STRATEGIES
        .into_iter()
        .flat_map(|strategy| [Protocol::Simple, Protocol::Extended].map(|protocol| (strategy, protocol)))
}

async fn run(wire: &mut Wire, protocol: Protocol, text: &str) -> Answer {
    match protocol {
        Protocol::Simple => wire.simple(text).await,
        Protocol::Extended => wire.extended(text, &[]).await,
    }
}

/// Runs DDL of the tenant's, behind which nothing that the proxy knows of its schema is current.
async fn overtake(wire: &mut Wire) {
    let answer = wire.simple("CREATE TABLE passing (a int); DROP TABLE passing").await;
    assert_eq!(answer.code(), "", "{answer:?}");
}

/// Lets the proxy know what the tenant's schema holds now.
async fn know(wire: &mut Wire) {
    assert_eq!(wire.simple("EXPLAIN ROUTE SELECT name FROM users").await.code(), "");
}

/// A stage on which PostgreSQL lets the servers' role do anything to `public.plans`.
async fn open(strategy: Strategy) -> Stage {
    let stage = Stage::new(Setup::new().strategy(strategy).servers(4).admin()).await;
    let grants = "GRANT ALL ON SCHEMA public TO app; GRANT ALL ON ALL TABLES IN SCHEMA public TO app; \
                  ALTER TABLE public.plans OWNER TO app";
    stage.superuser().await.batch_execute(grants).await.unwrap();
    stage
}

/// All of the shared tables, as one text: whatever changes in it is a leak.
async fn shared(stage: &Stage) -> Vec<String> {
    let query = "
        SELECT 'plans ' || p::text FROM public.plans p
        UNION ALL SELECT 'users ' || u::text FROM public.users u
        UNION ALL SELECT concat_ws(' ', c.relkind, c.relname, c.relacl, c.relhastriggers, c.relhasrules,
            c.relhassubclass, obj_description(c.oid, 'pg_class'), a.attname)
          FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
          WHERE c.relnamespace = 'public'::regnamespace
        ORDER BY 1";
    names(&stage.superuser().await, query).await
}

async fn waits(stage: &Stage) -> f64 {
    stage.metric("pgstrata_catalog_waits_total").await
}

async fn loads(stage: &Stage) -> f64 {
    stage.metric("pgstrata_catalog_loads_total").await
}

/// What a migration does to one table.
fn migration(table: usize) -> [String; 8] {
    [
        format!("CREATE TABLE made_{table} (id int PRIMARY KEY, name text)"),
        format!("CREATE INDEX ON made_{table} (name)"),
        format!("ALTER TABLE made_{table} ADD COLUMN since date DEFAULT '2026-01-01'"),
        format!("INSERT INTO made_{table} VALUES (1, 'one')"),
        format!("UPDATE made_{table} SET name = 'two'"),
        format!("SELECT name FROM made_{table}"),
        format!("ALTER TABLE made_{table} DROP COLUMN since, ALTER COLUMN name SET NOT NULL"),
        format!("DROP TABLE made_{table}"),
    ]
}

/// Each statement commits by itself, so each DDL overtakes what is known.
#[tokio::test(flavor = "multi_thread")]
async fn ddl_is_followed_by_a_few_loads_and_nothing_waits_for_one() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let mut wire = stage.wire("acme_corp").await;
        know(&mut wire).await;
        let before = (waits(&stage).await, loads(&stage).await);
        for round in 0..ROUNDS {
            for text in migration(round) {
                let answer = run(&mut wire, protocol, &text).await;
                assert_eq!(answer.code(), "", "{strategy} {protocol:?} {text}: {answer:?}");
                if text.starts_with("SELECT") {
                    assert_eq!(answer.value(), "two");
                }
            }
        }
        assert_eq!(waits(&stage).await, before.0, "{strategy} {protocol:?}");
        let loaded = loads(&stage).await - before.1;
        assert!(loaded <= 20.0, "{strategy} {protocol:?}: {loaded} loads");
        // In the end it is known what is there now.
        know(&mut wire).await;
        assert_eq!(run(&mut wire, protocol, NAMES).await.column(), ACME);
    }
}

/// All of it in one transaction, as frameworks run it.
#[tokio::test(flavor = "multi_thread")]
async fn ddl_of_one_transaction_waits_for_nothing() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let mut wire = stage.wire("acme_corp").await;
        know(&mut wire).await;
        let before = waits(&stage).await;
        wire.simple("BEGIN").await;
        for text in (0..10).flat_map(migration) {
            let answer = run(&mut wire, protocol, &text).await;
            assert_eq!(answer.code(), "", "{strategy} {protocol:?} {text}: {answer:?}");
        }
        assert_eq!(wire.simple("COMMIT").await.code(), "");
        assert_eq!(run(&mut wire, protocol, NAMES).await.column(), ACME);
        assert_eq!(waits(&stage).await, before, "{strategy} {protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_statement_of_a_tenant_waits_for_nothing() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let server = stage.superuser().await;
        // What all tenants share is known by then.
        know(&mut stage.wire("acme_corp").await).await;
        for (number, (text, tag)) in [
            ("SELECT name FROM users", "SELECT 2"),
            ("UPDATE users SET name = name", "UPDATE 2"),
            ("INSERT INTO users VALUES (3, 'x')", "INSERT 0 1"),
            ("ALTER TABLE users ADD COLUMN x int", "ALTER TABLE"),
            ("CREATE TABLE plans (id int)", "CREATE TABLE"),
            ("VACUUM users", "VACUUM"),
            ("SELECT * FROM users FOR UPDATE", "SELECT 2"),
        ]
        .into_iter()
        .enumerate()
        {
            let schema = format!(
                "CREATE SCHEMA new_{number} AUTHORIZATION app; SET ROLE app;
                 CREATE TABLE new_{number}.users (id int PRIMARY KEY, name text);
                 INSERT INTO new_{number}.users VALUES (1, 'a'), (2, 'b'); RESET ROLE"
            );
            server.batch_execute(&schema).await.unwrap();
            let before = waits(&stage).await;
            let mut wire = stage.wire(&format!("new_{number}")).await;
            let answer = run(&mut wire, protocol, text).await;
            assert_eq!(answer.commands(), [tag], "{strategy} {protocol:?} {text}: {answer:?}");
            assert_eq!(waits(&stage).await, before, "{strategy} {protocol:?} {text}");
        }
    }
}

/// What writes, locks or changes the table of this name.
fn attacks(table: &str) -> Vec<String> {
    let texts = [
        "INSERT INTO {} VALUES (9, 'x', 0)",
        "UPDATE {} SET name = 'x'",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "COPY {} TO STDOUT; COPY {} FROM STDIN",
        "SELECT * FROM {} FOR UPDATE",
        "WITH w AS (DELETE FROM {} RETURNING *) SELECT count(*) FROM w",
        "EXPLAIN ANALYZE DELETE FROM {}",
        "ALTER TABLE {} ADD COLUMN x int",
        "ALTER TABLE {} RENAME TO x",
        "ALTER TABLE {} RENAME COLUMN name TO x",
        "CREATE INDEX x ON {} (name)",
        "CREATE RULE r AS ON INSERT TO {} DO NOTHING",
        "COMMENT ON TABLE {} IS 'x'",
        "COMMENT ON COLUMN {}.name IS 'x'",
        "GRANT ALL ON {} TO PUBLIC",
        "CREATE TABLE x () INHERITS ({})",
        "DROP TABLE {}",
        "VACUUM {}",
        "ANALYZE {}",
    ];
    texts.iter().map(|text| text.replace("{}", table)).collect()
}

/// Each attack right behind DDL of the tenant's, and as the first thing that the proxy sees of the tenant.
async fn all_are_refused(stage: &Stage, protocol: Protocol, table: &str) {
    let before = shared(stage).await;
    let mut wire = stage.wire("acme_corp").await;
    for text in attacks(table) {
        if matches!(protocol, Protocol::Extended) && (text.contains("; ") || text.starts_with("COPY")) {
            continue;
        }
        overtake(&mut wire).await;
        let answer = run(&mut wire, protocol, &text).await;
        assert!(REFUSED.contains(&&*answer.code()), "{protocol:?} {text}: {answer:?}");
        wire.simple("BEGIN; CREATE TABLE within (a int)").await;
        let answer = run(&mut wire, protocol, &text).await;
        let block = ["25001", "42P01"].contains(&&*answer.code());
        assert!(block || REFUSED.contains(&&*answer.code()), "{protocol:?} in a block: {text}: {answer:?}");
        wire.simple("ROLLBACK").await;
        assert_eq!(shared(stage).await, before, "{protocol:?} {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_table_that_an_administrator_makes_meanwhile() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let mut wire = stage.wire("acme_corp").await;
        know(&mut wire).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE TABLE public.news (id int PRIMARY KEY, name text, price_cents int);
                 INSERT INTO public.news VALUES (1, 'shared', 0);
                 GRANT ALL ON public.news TO app; ALTER TABLE public.news OWNER TO app",
            )
            .await
            .unwrap();
        all_are_refused(&stage, protocol, "news").await;
        overtake(&mut wire).await;
        assert_eq!(run(&mut wire, protocol, "SELECT name FROM news").await.value(), "shared");
        // Of that name the tenant may have its own.
        assert_eq!(run(&mut wire, protocol, "CREATE TABLE news (id int, name text)").await.code(), "");
        assert_eq!(run(&mut wire, protocol, "INSERT INTO news VALUES (1, 'own')").await.code(), "");
        assert_eq!(run(&mut wire, protocol, "SELECT name FROM news").await.value(), "own");
        assert_eq!(names(&server, "SELECT name FROM public.news").await, ["shared"]);
        assert_eq!(run(&mut wire, protocol, "DROP TABLE news").await.code(), "");
        assert_eq!(run(&mut wire, protocol, "SELECT name FROM news").await.value(), "shared");
        all_are_refused(&stage, protocol, "news").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_table_goes_and_the_shared_one_is_found() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let mut wire = stage.wire("acme_corp").await;
        let before = shared(&stage).await;
        let read = "SELECT count(*) FROM plans";
        for _ in 0..3 {
            let made = "CREATE TABLE plans (id int, name text, price_cents int)";
            assert_eq!(run(&mut wire, protocol, made).await.code(), "");
            assert_eq!(run(&mut wire, protocol, "INSERT INTO plans VALUES (1, 'own', 0)").await.code(), "");
            assert_eq!(run(&mut wire, protocol, read).await.value(), "1");
            know(&mut wire).await;
            assert_eq!(run(&mut wire, protocol, "DROP TABLE plans").await.code(), "");
            assert_eq!(run(&mut wire, protocol, read).await.value(), "3");
            let write = run(&mut wire, protocol, "DELETE FROM plans").await;
            assert!(REFUSED.contains(&&*write.code()), "{write:?}");
        }
        assert_eq!(shared(&stage).await, before);
        all_are_refused(&stage, protocol, "plans").await;
    }
}

/// Directly, past every proxy: a table is the tenant's own, a view may lead to what is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_past_the_proxy_meanwhile() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let mut wire = stage.wire("acme_corp").await;
        know(&mut wire).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE TABLE acme_corp.extra (id int, name text);
                 CREATE VIEW acme_corp.outward AS SELECT * FROM public.plans;
                 CREATE VIEW acme_corp.theirs AS SELECT id, name, 0 AS price_cents FROM globex.users;
                 CREATE VIEW acme_corp.settings AS SELECT name, setting FROM pg_settings;
                 GRANT ALL ON ALL TABLES IN SCHEMA acme_corp TO app;
                 ALTER TABLE acme_corp.extra OWNER TO app",
            )
            .await
            .unwrap();
        overtake(&mut wire).await;
        assert_eq!(
            run(&mut wire, protocol, "INSERT INTO extra VALUES (1, 'x')").await.commands(),
            ["INSERT 0 1"]
        );
        overtake(&mut wire).await;
        assert_eq!(run(&mut wire, protocol, "ALTER TABLE extra ADD y int").await.code(), "");
        let before = shared(&stage).await;
        for text in [
            "DELETE FROM outward",
            "DELETE FROM acme_corp.outward",
            "UPDATE theirs SET name = 'x'",
            "SELECT * FROM theirs FOR UPDATE",
            "UPDATE settings SET setting = 'globex' WHERE name = 'search_path'",
        ] {
            overtake(&mut wire).await;
            let answer = run(&mut wire, protocol, text).await;
            assert_eq!(answer.code(), "42501", "{strategy} {protocol:?} {text}: {answer:?}");
            assert_eq!(wire.simple(NAMES).await.column(), ACME, "{text}");
        }
        assert_eq!(shared(&stage).await, before);
        assert_eq!(stage.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_over_settings_that_the_tenant_makes_itself() {
    let update = "UPDATE v SET setting = 'globex' WHERE name = 'search_path'";
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let mut wire = stage.wire("acme_corp").await;
        know(&mut wire).await;
        for made in [
            "CREATE VIEW v AS SELECT name, setting FROM pg_settings",
            "CREATE TEMP VIEW v AS SELECT name, setting FROM pg_settings",
        ] {
            for ends in ["", "COMMIT"] {
                wire.simple("BEGIN").await;
                assert_eq!(run(&mut wire, protocol, made).await.code(), "");
                wire.simple(ends).await;
                let answer = run(&mut wire, protocol, update).await;
                assert!(matches!(&*answer.code(), "42501" | "55000"), "{made}: {answer:?}");
                wire.simple("ROLLBACK; DROP VIEW IF EXISTS v").await;
                assert_eq!(wire.simple(NAMES).await.column(), ACME, "{made}");
            }
        }
        // A table takes the name of a view, and a view that of a table.
        wire.simple("CREATE VIEW v AS SELECT name, setting FROM pg_settings").await;
        know(&mut wire).await;
        wire.simple("DROP VIEW v; CREATE TABLE v (name text, setting text)").await;
        assert_eq!(run(&mut wire, protocol, "INSERT INTO v VALUES ('a', 'b')").await.code(), "");
        know(&mut wire).await;
        wire.simple("ALTER TABLE v RENAME TO kept; CREATE VIEW v AS SELECT name, setting FROM pg_settings")
            .await;
        let answer = run(&mut wire, protocol, update).await;
        assert!(matches!(&*answer.code(), "42501" | "55000"), "{answer:?}");
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_stand_in_front() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let before = shared(&stage).await;
        let mut wire = stage.wire("acme_corp").await;
        let mut beside = stage.wire("acme_corp").await;
        for table in ["plans", "users"] {
            let made = format!("CREATE TEMP TABLE {table} (id int, name text)");
            assert_eq!(run(&mut wire, protocol, &made).await.code(), "");
            overtake(&mut beside).await;
            for text in [
                format!("INSERT INTO {table} VALUES (1, 'temporary')"),
                format!("UPDATE {table} SET name = 'temporary'"),
                format!("ALTER TABLE {table} ADD COLUMN x int"),
            ] {
                overtake(&mut beside).await;
                let answer = run(&mut wire, protocol, &text).await;
                assert_eq!(answer.code(), "", "{strategy} {protocol:?} {text}: {answer:?}");
            }
            let read = format!("SELECT name FROM {table}");
            assert_eq!(run(&mut wire, protocol, &read).await.value(), "temporary");
            assert_eq!(beside.simple(NAMES).await.column(), ACME);
            let drop = format!("DROP TABLE {table}");
            assert_eq!(run(&mut wire, protocol, &drop).await.code(), "");
        }
        // It is gone, and the names mean what they meant.
        for text in ["DELETE FROM plans", "ALTER TABLE plans ADD COLUMN x int", "DROP TABLE plans"] {
            overtake(&mut beside).await;
            let answer = run(&mut wire, protocol, text).await;
            assert!(REFUSED.contains(&&*answer.code()), "{strategy} {protocol:?} {text}: {answer:?}");
        }
        assert_eq!(run(&mut wire, protocol, "UPDATE users SET name = name").await.commands(), ["UPDATE 3"]);
        assert_eq!(shared(&stage).await, before);
    }
}

/// Code whose arguments nobody can judge stays refused, under its name and under another.
#[tokio::test(flavor = "multi_thread")]
async fn code_of_an_administrators_is_held() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE FUNCTION acme_corp.peek(text) RETURNS text LANGUAGE internal AS 'upper';
                 ALTER FUNCTION acme_corp.peek(text) OWNER TO app",
            )
            .await
            .unwrap();
        let mut wire = stage.wire("acme_corp").await;
        // Known, overtaken and, in the end, the first statement that the proxy sees of the tenant.
        know(&mut wire).await;
        for text in [
            "SELECT peek('x')",
            "SELECT acme_corp.peek('x')",
            "ALTER FUNCTION peek(text) RENAME TO poke",
            "ALTER ROUTINE acme_corp.peek(text) RENAME TO poke",
            "CREATE FUNCTION poke() RETURNS text LANGUAGE sql RETURN peek('x')",
        ] {
            overtake(&mut wire).await;
            let answer = run(&mut wire, protocol, text).await;
            assert_eq!(answer.code(), "42501", "{strategy} {protocol:?} {text}: {answer:?}");
        }
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let peek = "CREATE FUNCTION acme_corp.peek(text) RETURNS text LANGUAGE internal AS 'upper'";
        stage.superuser().await.batch_execute(peek).await.unwrap();
        let answer = run(&mut stage.wire("acme_corp").await, protocol, "SELECT peek('x')").await;
        assert_eq!(answer.code(), "42501", "{strategy} {protocol:?}: {answer:?}");
    }
}

/// An overload of the tenant's is called as soon as it is there: nothing is taken for PostgreSQL's own by what was known.
#[tokio::test(flavor = "multi_thread")]
async fn functions_that_the_tenant_has_just_made_are_found() {
    for (strategy, protocol) in ways() {
        let stage = open(strategy).await;
        let mut wire = stage.wire("acme_corp").await;
        know(&mut wire).await;
        let made = "CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql RETURN 'own'";
        assert_eq!(run(&mut wire, protocol, made).await.code(), "");
        assert_eq!(run(&mut wire, protocol, "SELECT lower(1)").await.value(), "own", "{strategy}");
        eventually("own".to_owned(), async || wire.simple("SELECT lower(1)").await.value().to_string()).await;
    }
}
