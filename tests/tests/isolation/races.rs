//! A check and the statement behind it find the same object, whatever other sessions do while they wait for locks, and
//! however old the transaction's picture of the catalog is.

use std::time::Duration;

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shared_tables::{open, shared, somebody_waits};
use pgstrata_tests::{Setup, Wire};
use tokio::time::sleep;

const A_MOMENT: Duration = Duration::from_millis(300);

/// Two writes around one of `plans`: each lets the other sessions go on at a moment of their own.
const WRITES: &str = "WITH a AS (INSERT INTO first VALUES (1)), b AS (INSERT INTO plans VALUES (666, 'mine', 0)) \
                      INSERT INTO last VALUES (1)";

async fn done(wire: &mut Wire, text: &str) {
    let answer = wire.simple(text).await;
    assert_eq!(answer.code(), "", "{text}: {answer:?}");
}

/// The check is analysed while `plans` is the shared table, and runs while it is the tenant's, which is dropped before the
/// write is analysed.
#[tokio::test(flavor = "multi_thread")]
async fn check_that_waits_checks_what_it_has_locked() {
    for strategy in STRATEGIES {
        let stage =
            open(Setup::new().strategy(strategy).servers(8).line("tenancy", "max_servers_per_tenant = 8"))
                .await;
        let before = shared(&stage).await;
        let mut writer = stage.wire("acme_corp").await;
        let (mut owner, mut first, mut last) =
            (stage.wire("acme_corp").await, stage.wire("acme_corp").await, stage.wire("acme_corp").await);
        let own = "CREATE TABLE plans (id int, name text, price int)";
        done(&mut owner, &format!("CREATE TABLE first (n int); CREATE TABLE last (n int); {own}")).await;
        done(&mut writer, &format!("PREPARE p AS {WRITES}")).await;
        done(&mut owner, "DROP TABLE plans").await;
        done(&mut last, "BEGIN; LOCK TABLE last IN ACCESS EXCLUSIVE MODE").await;
        done(&mut first, "BEGIN; LOCK TABLE first IN SHARE MODE").await;
        writer.query("EXECUTE p").flush().await;
        somebody_waits(&stage).await;
        done(&mut owner, own).await;
        done(&mut last, "COMMIT").await;
        // The check goes on, and the write waits for `first` if it is sent.
        sleep(A_MOMENT).await;
        done(&mut owner, "DROP TABLE plans").await;
        done(&mut first, "COMMIT").await;
        let answer = writer.answer().await;
        assert_ne!(answer.code(), "", "{strategy}: {answer:?}");
        assert_eq!(shared(&stage).await, before, "{strategy}");
    }
}

/// In an old snapshot, the catalog has no rows of what an administrator has created since.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_than_the_snapshot_is_not_changed() {
    for strategy in STRATEGIES {
        let stage = open(Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        let mut wire = stage.wire("acme_corp").await;
        done(&mut wire, "CREATE TEMP TABLE scratch (n int)").await;
        done(&mut wire, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM users; CREATE TABLE own (n int)")
            .await;
        server
            .batch_execute(
                "CREATE TABLE public.late (n int); ALTER TABLE public.late OWNER TO app;
                 CREATE INDEX late_index ON public.plans (name); CREATE SEQUENCE public.late_sequence;
                 ALTER SEQUENCE public.late_sequence OWNER TO app; CREATE TYPE public.late_type AS ENUM ('a');
                 ALTER TYPE public.late_type OWNER TO app; CREATE VIEW public.late_view AS SELECT 1 AS n;
                 ALTER VIEW public.late_view OWNER TO app",
            )
            .await
            .unwrap();
        let before = shared(&stage).await;
        for text in [
            "DROP INDEX late_index",
            "ALTER INDEX late_index RENAME TO mine",
            "ALTER INDEX late_index SET (fillfactor = 50)",
            "COMMENT ON INDEX late_index IS 'mine'",
            "DROP TABLE late",
            "ALTER TABLE late ADD COLUMN m int",
            "CREATE INDEX ON late (n)",
            "GRANT SELECT ON late TO PUBLIC",
            "DROP SEQUENCE late_sequence",
            "DROP VIEW late_view",
            "ALTER VIEW late_view RENAME TO mine",
            "DROP TYPE late_type",
            "INSERT INTO late VALUES (1)",
        ] {
            done(&mut wire, "SAVEPOINT s").await;
            let answer = wire.simple(text).await;
            assert_ne!(answer.code(), "", "{strategy} {text}: {answer:?}");
            done(&mut wire, "ROLLBACK TO s").await;
        }
        done(&mut wire, "COMMIT").await;
        assert_eq!(shared(&stage).await, before, "{strategy}");
    }
}
