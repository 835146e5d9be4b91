//! Code that DDL of one session adds while a statement of another waits: no plan knows of it. It leaves nothing to other
//! tenants, and changes path and role for its own statement only. Proxies tell each other of DDL.

use std::process::Stdio;
use std::time::Duration;

use pgstrata_tenancy::Tier;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shared_tables::{know, somebody_waits};
use pgstrata_tests::{ACME, GLOBEX, Process, Setup, Stage, Wire};
use tokio::time::sleep;

const SERVERS: usize = 3;

/// In which a notification arrives.
const A_MOMENT: Duration = Duration::from_millis(500);

/// An administrator's functions that leave something in the session: a table, a setting; another role and path.
const FUNCTIONS: &str = "
    CREATE FUNCTION public.summary() RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        CREATE TEMP TABLE IF NOT EXISTS users (id int, name text);
        INSERT INTO pg_temp.users VALUES (1, 'planted');
        PERFORM set_config('app.who', 'acme', false), set_config('datestyle', 'german', false), setseed(0.5);
        RETURN 'x';
    END $$;
    CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM public.summary();
        RETURN NEW;
    END $$;";

const AWAY: &str = "
    CREATE FUNCTION public.away() RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenant_globex') THEN
            PERFORM set_config('role', 'tenant_globex', false);
        END IF;
        PERFORM set_config('search_path', 'globex', false);
        RETURN 'x';
    END $$";

/// What the tenant's other session changes, and the statement that waits for it.
const CASES: [(&str, &str); 4] = [
    ("ALTER TABLE t ALTER b SET DEFAULT public.summary()", "INSERT INTO t (a) VALUES (1)"),
    ("CREATE OR REPLACE VIEW v AS SELECT public.summary() AS b", "SELECT * FROM v"),
    (
        "CREATE TRIGGER touched BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION public.touch()",
        "INSERT INTO t (a) VALUES (1)",
    ),
    ("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS a, public.summary() AS b", "SELECT * FROM t"),
];

async fn done(wire: &mut Wire, text: &str) {
    let answer = wire.simple(text).await;
    assert_eq!(answer.code(), "", "{text}: {answer:?}");
}

/// A proxy that knows of the tenant's table and view, which run no code.
async fn stage(setup: Setup, functions: &str) -> (Stage, Wire) {
    let stage = Stage::new(
        setup.admin().servers(SERVERS).line("tenancy", format!("max_servers_per_tenant = {SERVERS}")),
    )
    .await;
    stage.superuser().await.batch_execute(functions).await.unwrap();
    let mut wire = stage.wire("acme_corp").await;
    done(&mut wire, "CREATE TABLE t (a int, b text); CREATE VIEW v AS SELECT 'x'::text AS b").await;
    know(&mut wire).await;
    (stage, wire)
}

/// What another tenant sees on each of the servers.
async fn all_servers_are_clean(stage: &Stage, when: &str) {
    let mut wires = Vec::new();
    for _ in 0..SERVERS {
        let mut wire = stage.wire("globex").await;
        done(&mut wire, "BEGIN").await;
        assert_eq!(wire.simple("SELECT name FROM users ORDER BY id").await.column(), GLOBEX, "{when}");
        let left = "SELECT current_setting('app.who', true), current_setting('datestyle'), to_regclass('pg_temp.users')";
        let rows = wire.simple(left).await.rows();
        assert!(["", "<null>"].contains(&&*rows[0][0]), "{when}: {rows:?}");
        assert!(rows[0][1].starts_with("ISO"), "{when}: {rows:?}");
        wires.push(wire);
    }
    for wire in &mut wires {
        done(wire, "COMMIT").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_waiting_statement_meets_leaves_nothing() {
    for setup in STRATEGIES
        .map(|strategy| Setup::new().strategy(strategy))
        .into_iter()
        .chain([Setup::new().tier(Tier::Role)])
    {
        for (ddl, statement) in CASES {
            for extended in [false, true] {
                let (stage, mut waiting) = stage(setup.clone(), FUNCTIONS).await;
                all_servers_are_clean(&stage, "before").await;
                let mut owner = stage.wire("acme_corp").await;
                done(&mut owner, &format!("BEGIN; {ddl}")).await;
                match extended {
                    true => waiting.parse("", statement).bind("", &[]).execute().sync().flush().await,
                    false => waiting.query(statement).flush().await,
                };
                somebody_waits(&stage).await;
                done(&mut owner, "COMMIT").await;
                waiting.until(b'Z').await;
                all_servers_are_clean(&stage, &format!("{ddl} {extended}")).await;
            }
        }
    }
}

/// The statements behind it in the transaction run with the tenant's path and role.
#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_waiting_statement_meets_moves_nothing() {
    for setup in STRATEGIES
        .map(|strategy| Setup::new().strategy(strategy))
        .into_iter()
        .chain([Setup::new().tier(Tier::Role)])
    {
        let (stage, mut waiting) = stage(setup, AWAY).await;
        for extended in [false, true] {
            let names = "SELECT name FROM users ORDER BY id";
            let mut owner = stage.wire("acme_corp").await;
            done(&mut owner, "ALTER TABLE t ALTER b DROP DEFAULT").await;
            know(&mut waiting).await;
            done(&mut waiting, "BEGIN").await;
            assert_eq!(waiting.simple(names).await.column(), ACME);
            done(&mut owner, "BEGIN; ALTER TABLE t ALTER b SET DEFAULT public.away()").await;
            let insert = "INSERT INTO t (a) VALUES (1)";
            match extended {
                true => waiting.parse("", insert).bind("", &[]).execute().sync().flush().await,
                false => waiting.query(insert).flush().await,
            };
            somebody_waits(&stage).await;
            done(&mut owner, "COMMIT").await;
            waiting.until(b'Z').await;
            let answer = waiting.simple(names).await;
            assert!(answer.code() == "25P02" || answer.column() == ACME, "{answer:?}");
            done(&mut waiting, "ROLLBACK").await;
            assert_eq!(waiting.simple(names).await.column(), ACME);
        }
    }
}

/// By themselves, both proxies would ask PostgreSQL again in an hour.
#[tokio::test(flavor = "multi_thread")]
async fn code_that_another_proxy_adds_leaves_nothing() {
    for strategy in STRATEGIES {
        let setup = Setup::new().strategy(strategy);
        let (stage, mut here) = stage(setup.clone(), FUNCTIONS).await;
        let there = Process::start(&setup, stage.cluster.port(), Stdio::null()).await;
        let mut there =
            Wire::login(there.port, "app", "app", &[("options", "-ctenant=acme_corp")]).await.unwrap();
        all_servers_are_clean(&stage, "before").await;
        let insert = "INSERT INTO t (a) VALUES (1)";
        // While it waits.
        done(&mut there, "BEGIN; ALTER TABLE t ALTER b SET DEFAULT public.summary()").await;
        here.query(insert).flush().await;
        somebody_waits(&stage).await;
        sleep(A_MOMENT).await;
        done(&mut there, "COMMIT").await;
        here.until(b'Z').await;
        all_servers_are_clean(&stage, "waited").await;
        // And behind it.
        done(&mut there, "ALTER TABLE t ALTER b DROP DEFAULT").await;
        sleep(A_MOMENT).await;
        know(&mut here).await;
        done(&mut here, insert).await;
        all_servers_are_clean(&stage, "without").await;
        done(&mut there, "ALTER TABLE t ALTER b SET DEFAULT public.summary()").await;
        sleep(A_MOMENT).await;
        done(&mut here, insert).await;
        all_servers_are_clean(&stage, "behind it").await;
    }
}
