//! A statement that waits for a lock finds its names again when the lock is free. What was the tenant's own by then may
//! be gone, and the name would mean what all tenants share.

use pgstrata_tests::shared_tables::{Beside, Protocol, know, open, run, shared, ways};
use pgstrata_tests::stage::names;
use pgstrata_tests::{Setup, Stage, Wire};

/// Objects of the tenant's that have the names of shared ones.
const OWN: &str = "
    CREATE TABLE acme_corp.plans (LIKE public.plans);
    CREATE INDEX plans_by_name ON acme_corp.plans (name);
    CREATE SEQUENCE acme_corp.numbers;
    CREATE TYPE acme_corp.temper AS ENUM ('wild');
    CREATE FUNCTION acme_corp.fee(int) RETURNS int RETURN 2";

/// How the name of an object is taken away, and what another connection of the same tenant does to it meanwhile.
const CASES: &[(&str, &[&str])] = &[
    (
        "ALTER TABLE plans RENAME TO kept",
        &[
            "DROP TABLE IF EXISTS plans",
            "DROP TABLE IF EXISTS nothing, plans",
            "TRUNCATE plans",
            "TRUNCATE ONLY plans",
            "LOCK TABLE plans IN EXCLUSIVE MODE",
            "ALTER TABLE plans ADD COLUMN mine int",
            "ALTER TABLE IF EXISTS plans ADD COLUMN mine int",
            "ALTER TABLE IF EXISTS plans RENAME TO mine",
            "ALTER TABLE IF EXISTS plans RENAME COLUMN name TO mine",
            "COMMENT ON TABLE plans IS 'mine'",
            "COMMENT ON COLUMN plans.name IS 'mine'",
            "CREATE INDEX mine ON plans (name)",
            "CREATE INDEX IF NOT EXISTS mine ON plans (name)",
            "CREATE RULE mine AS ON DELETE TO plans DO NOTHING",
            "CREATE OR REPLACE RULE mine AS ON DELETE TO plans DO NOTHING",
            "GRANT SELECT ON plans TO PUBLIC",
            "INSERT INTO plans VALUES (9, 'mine', 0)",
            "DELETE FROM plans",
            "SELECT * FROM plans FOR SHARE",
            "VACUUM plans",
            "REINDEX TABLE CONCURRENTLY plans",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS mine ON plans (name)",
        ],
    ),
    (
        "ALTER INDEX plans_by_name RENAME TO kept; LOCK TABLE plans",
        &[
            "DROP INDEX IF EXISTS plans_by_name",
            "DROP INDEX CONCURRENTLY IF EXISTS plans_by_name",
            "REINDEX INDEX plans_by_name",
            "ALTER INDEX IF EXISTS plans_by_name RENAME TO mine",
            "COMMENT ON INDEX plans_by_name IS 'mine'",
        ],
    ),
    (
        "ALTER SEQUENCE numbers RENAME TO kept",
        &[
            "DROP SEQUENCE IF EXISTS numbers",
            "ALTER SEQUENCE IF EXISTS numbers RESTART 700",
            "ALTER SEQUENCE numbers RENAME TO mine",
        ],
    ),
    (
        "ALTER TYPE temper RENAME TO kept",
        &[
            "DROP TYPE IF EXISTS temper",
            "ALTER TYPE temper ADD VALUE 'mine'",
            "ALTER TYPE temper RENAME VALUE 'wild' TO 'mine'",
            "COMMENT ON TYPE temper IS 'mine'",
        ],
    ),
    (
        "ALTER FUNCTION fee(int) RENAME TO kept",
        &[
            "DROP FUNCTION IF EXISTS fee(int)",
            "DROP ROUTINE IF EXISTS fee",
            "ALTER FUNCTION fee(int) IMMUTABLE",
            "COMMENT ON FUNCTION fee(int) IS 'mine'",
        ],
    ),
];

/// What the waiting client has done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Nothing: its picture of the catalog is current.
    Nothing,
    /// DDL in the same transaction.
    Ddl,
    /// DDL in the same transaction, and a temporary table.
    Temporary,
    /// A path of its own, with its schema in front.
    Path,
}

/// Whether the statement may run in a transaction block.
fn runs_in_a_block(write: &str) -> bool {
    !write.starts_with("VACUUM") && !write.contains("CONCURRENTLY")
}

async fn prepare(wire: &mut Wire, before: Before, write: &str) {
    know(wire).await;
    let block = runs_in_a_block(write);
    match before {
        Before::Temporary => _ = wire.simple("CREATE TEMP TABLE scratch (a int)").await,
        Before::Path => _ = wire.simple("SET search_path = acme_corp, public").await,
        Before::Nothing | Before::Ddl => {}
    }
    if block {
        wire.simple("BEGIN").await;
    }
    if block && before != Before::Nothing {
        assert_eq!(wire.simple("CREATE TABLE made (a int)").await.code(), "");
    }
}

/// Runs `write` while the name in it is taken away, and gives its SQLSTATE.
async fn write_while_the_name_goes(
    stage: &Stage,
    other: &mut Wire,
    (protocol, before): (Protocol, Before),
    (change, write): (&str, &'static str),
) -> String {
    let mut wire = stage.wire("acme_corp").await;
    prepare(&mut wire, before, write).await;
    other.simple("BEGIN").await;
    let changed = other.simple(change).await;
    assert_eq!(changed.code(), "", "{change}: {changed:?}");
    let waiting = tokio::spawn(async move {
        let code = run(&mut wire, protocol, write).await.code().to_string();
        (wire, code)
    });
    let server = stage.superuser().await;
    let waits = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    // What takes no lock is through by then, or fails.
    while !waiting.is_finished() && names(&server, waits).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.simple("COMMIT").await.code(), "");
    let (mut wire, code) = waiting.await.unwrap();
    // What was done stays done, so that it is seen.
    wire.simple("COMMIT").await;
    wire.simple("DROP TABLE IF EXISTS made").await;
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn name_that_goes_while_a_statement_waits_for_it() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy).servers(6)).await;
        let beside = Beside::of(&stage, Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        let as_it_was = shared(&stage).await;
        for (change, writes) in CASES {
            for write in *writes {
                for before in [Before::Nothing, Before::Ddl, Before::Temporary, Before::Path] {
                    let mut other = beside.wire("acme_corp").await;
                    let made = other.simple(OWN).await;
                    assert_eq!(made.code(), "", "{made:?}");
                    let way = (protocol, before);
                    let code = write_while_the_name_goes(&stage, &mut other, way, (change, write)).await;
                    let case = format!("{strategy:?} {protocol:?} {before:?}: {change}; {write}: {code}");
                    assert_eq!(shared(&stage).await, as_it_was, "{case}");
                    assert_ne!(code, "40P01", "{case}");
                    // What is left of the tenant's, whatever it is called by now.
                    for kind in ["TABLE", "SEQUENCE", "TYPE", "ROUTINE"] {
                        for name in ["plans", "numbers", "temper", "fee", "kept", "mine"] {
                            _ = server
                                .batch_execute(&format!("DROP {kind} IF EXISTS acme_corp.{name}"))
                                .await;
                        }
                    }
                }
            }
        }
    }
}
