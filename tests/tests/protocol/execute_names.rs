//! The names in a statement of SQL `PREPARE` mean at its `EXECUTE` what they mean on PostgreSQL itself, whatever the
//! proxy knew of the catalog at its `PREPARE`.

use pgstrata_tests::compare::{about_portal, compare};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Answer, Setup, Stage, Wire};

/// A proxy with each strategy, each in front of a PostgreSQL of its own.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(Setup::new().strategy(strategy).servers(2)).await);
    }
    stages
}

/// The statements, with the table that each of them needs in `ledger`'s place.
const WRITES: [&str; 5] = [
    "INSERT INTO ledger (note) VALUES ('x') RETURNING note",
    "UPDATE ledger SET note = 'y' RETURNING note",
    "DELETE FROM ledger RETURNING note",
    "WITH w AS (INSERT INTO ledger (note) VALUES ('z') RETURNING note) SELECT count(*) FROM w",
    "SELECT note FROM ledger ORDER BY note FOR UPDATE",
];

/// How `EXECUTE w` is sent.
async fn execute(wire: &mut Wire, out: &mut Vec<Answer>) {
    for text in ["EXECUTE w", "BEGIN; EXECUTE w; COMMIT", "EXPLAIN (COSTS OFF) EXECUTE w"] {
        out.push(wire.simple(text).await);
    }
    wire.parse("", "EXECUTE w").bind("", &[]);
    about_portal(wire, b'D', "");
    out.push(wire.execute().sync().answer().await);
    out.push(wire.describe("w").bind("w", &[]).execute().sync().answer().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_table_hides_the_tenants_from_a_prepared_statement() {
    let stages = stages().await;
    for known in [false, true] {
        for write in WRITES {
            compare(&stages, &format!("known: {known}, {write}"), async |wire| {
                wire.simple("DROP TABLE IF EXISTS ledger").await;
                let mut out = vec![wire.simple("CREATE TABLE ledger (note text, more int)").await];
                if known {
                    // Past the proxy it is no statement.
                    wire.simple("EXPLAIN ROUTE SELECT name FROM users").await;
                }
                out.push(wire.simple("INSERT INTO ledger VALUES ('own', 1)").await);
                out.push(wire.simple(&format!("PREPARE w AS {write}")).await);
                execute(wire, &mut out).await;
                out.push(wire.simple("CREATE TEMP TABLE ledger (note text)").await);
                out.push(wire.simple("INSERT INTO ledger VALUES ('temporary')").await);
                execute(wire, &mut out).await;
                out.push(wire.simple("SELECT note FROM pg_temp.ledger ORDER BY 1").await);
                out.push(wire.simple("SELECT note FROM acme_corp.ledger ORDER BY 1").await);
                out.push(wire.simple("DROP TABLE pg_temp.ledger").await);
                execute(wire, &mut out).await;
                out.push(wire.simple("SELECT note FROM ledger ORDER BY 1").await);
                // In the text of its PREPARE.
                let text =
                    format!("DEALLOCATE w; PREPARE w AS {write}; CREATE TEMP TABLE ledger (note text)");
                out.push(wire.simple(&format!("{text}; EXECUTE w; DROP TABLE ledger; EXECUTE w")).await);
                out.push(wire.simple("DROP TABLE ledger").await);
                out
            })
            .await;
        }
    }
}
