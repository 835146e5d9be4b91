//! A move that is interrupted at each of its steps, or takes too long: one place serves, and nothing is lost.

use std::time::Duration;

use pgstrata_tests::spread::{Spread, superuser};
use pgstrata_tests::stage::{eventually, names};
use pgstrata_tests::{ACME, Wire};
use tokio::time::timeout;

use super::moves::{all_of, setup};

const STEPS: [&str; 10] =
    ["plan", "fence", "drain", "structure", "data", "compare", "leave", "switch", "arrive", "keep"];
const INSERT: &str = "INSERT INTO users (name, email) VALUES ('kept', clock_timestamp()::text)";
const PORT: &str = "SELECT current_setting('port')";

/// The clusters that have the tenant's schema.
async fn places(spread: &Spread) -> Vec<usize> {
    let there = all_of(spread, "SELECT nspname::text FROM pg_namespace WHERE nspname = 'initech'").await;
    there.iter().map(Vec::len).collect()
}

/// Nothing is left of a move but what is kept.
async fn nothing_is_left(spread: &Spread) {
    let left = "SELECT schema::text FROM pgstrata_control.copies
        UNION ALL SELECT schema::text FROM pgstrata_control.moves WHERE step <> 'kept'
        UNION ALL SELECT schema::text FROM pgstrata_control.schemas WHERE state IN ('migrating', 'provisioning')";
    assert_eq!(all_of(spread, left).await, [[""; 0], [""; 0]]);
}

async fn kill_at_each_step(back: bool) {
    let spread = Spread::new(setup()).await;
    spread.tenant(&["create", "initech"]).await.ok();
    // Both clusters have a registry.
    spread.tenant(&["list"]).await.ok();
    let ports = [&spread.a, &spread.b].map(|cluster| cluster.port().to_string());
    let mut wire = spread.wire("initech").await;
    let mut rows = 0;
    // There and back: the registry's cluster is left, and entered.
    for (from, to) in [(0, 1), (1, 0)] {
        for step in STEPS {
            let to_name = ["a", "b"][to];
            assert_eq!(wire.simple(INSERT).await.commands(), ["INSERT 0 1"], "{step} to {to_name}");
            rows += 1;
            let killed = spread.tenant_until(step, &["move", "initech", "--to", to_name]).await;
            let left_at_once = from == 0 && step == "switch";
            assert_eq!(killed.code, if left_at_once { 0 } else { -1 }, "{step} to {to_name}: {killed:?}");
            // A client asks meanwhile, and is answered once there is somebody to answer.
            wire.query(INSERT).flush().await;
            rows += 1;
            let next = match back {
                true => spread.tenant(&["move", "--abort", "initech"]).await,
                false => spread.tenant(&["move", "initech", "--to", to_name]).await,
            };
            // There is nothing to abort before the beginning, and behind the end.
            let begun = step != "plan" && !left_at_once;
            assert_eq!(
                next.code != 0,
                back && !begun || !back && left_at_once,
                "{step} to {to_name}: {next:?}"
            );
            let answer = timeout(Duration::from_secs(30), wire.until(b'Z')).await.expect("an answer");
            assert_eq!(answer.commands(), ["INSERT 0 1"], "{step} to {to_name}: {:?}", answer.fault());
            nothing_is_left(&spread).await;
            let has_moved = !back || matches!(step, "arrive" | "keep") || left_at_once;
            // From a cluster without the registry, the placement is changed by a step of its own.
            let at = if has_moved { to } else { from };
            let mut expected = vec![0, 0];
            expected[at] = 1;
            assert_eq!(places(&spread).await, expected, "{step} to {to_name}");
            assert_eq!(wire.simple(PORT).await.value(), ports[at], "{step} to {to_name}");
            assert_eq!(wire.simple("SELECT count(*) FROM users").await.value(), rows.to_string(), "{step}");
            if has_moved {
                let home = ["a", "b"][from];
                spread.tenant(&["move", "initech", "--to", home, "--keep-source", "drop"]).await.ok();
            }
        }
        spread.tenant(&["move", "initech", "--to", ["a", "b"][to], "--keep-source", "drop"]).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn move_that_was_killed_is_finished_or_begun_anew_by_the_next() {
    kill_at_each_step(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn move_that_was_killed_is_taken_back_on_demand() {
    kill_at_each_step(true).await;
}

/// A transaction of the tenant that has written, and is open.
async fn open(spread: &Spread) -> Wire {
    let mut wire = spread.wire("initech").await;
    assert_eq!(wire.simple("BEGIN").await.status(), Some('T'));
    assert_eq!(wire.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    wire
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_that_takes_too_long_ends_with_the_service_as_before() {
    let spread = Spread::new(setup()).await;
    spread.tenant(&["create", "initech"]).await.ok();
    let mut open = open(&spread).await;
    let arguments = ["move", "initech", "--to", "b", "--max-pause", "1s", "--pin-timeout", "30s"];
    let said = spread.tenant(&arguments).await;
    assert!(
        said.err.contains("served on cluster \"a\" as before") && said.err.contains("--max-pause"),
        "{said:?}"
    );
    assert_eq!(said.code, 1);
    nothing_is_left(&spread).await;
    assert_eq!(places(&spread).await, [1, 0]);
    assert_eq!(open.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    assert_eq!(open.simple("COMMIT").await.commands(), ["COMMIT"]);
    let mut other = spread.wire("initech").await;
    assert_eq!(other.simple("SELECT count(*) FROM users").await.value(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_does_not_end_in_time_is_ended_and_others_are_not() {
    let spread = Spread::new(setup().servers(4)).await;
    spread.tenant(&["create", "initech"]).await.ok();
    let mut late = open(&spread).await;
    let mut neighbour = spread.wire("acme_corp").await;
    neighbour.simple("BEGIN").await;
    assert_eq!(neighbour.simple("UPDATE users SET name = name").await.code(), "");
    let arguments = ["move", "initech", "--to", "b", "--pin-timeout", "300ms", "--json"];
    let said = spread.tenant(&arguments).await;
    assert_eq!(said.json()["terminated"], 1, "{said:?}");
    assert_eq!(late.simple("SELECT 1").await.faults().pop().unwrap().code, "57P01");
    assert_eq!(neighbour.simple("COMMIT").await.commands(), ["COMMIT"]);
    assert_eq!(spread.wire("initech").await.simple("SELECT count(*) FROM users").await.value(), "0");
    assert_eq!(spread.wire("initech").await.simple(PORT).await.value(), spread.b.port().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn open_transaction_is_waited_for_while_other_tenants_notice_nothing() {
    let spread = Spread::new(setup().servers(4)).await;
    spread.tenant(&["create", "initech"]).await.ok();
    let mut open = open(&spread).await;
    let mut idle = spread.wire("initech").await;
    let mut neighbour = spread.wire("acme_corp").await;
    let moving = async {
        spread.tenant(&["move", "initech", "--to", "b", "--pin-timeout", "60s", "--max-pause", "60s"]).await
    };
    let meanwhile = async {
        let fenced = "SELECT state FROM pgstrata_control.schemas WHERE schema = 'initech'";
        let server = superuser(&spread.a).await;
        eventually(vec!["migrating".to_owned()], async || names(&server, fenced).await).await;
        idle.query(INSERT).flush().await;
        for _ in 0..20 {
            assert_eq!(neighbour.simple("SELECT name FROM users ORDER BY id").await.column(), ACME);
            assert_eq!(neighbour.simple("UPDATE users SET name = name").await.code(), "");
        }
        assert_eq!(open.simple(INSERT).await.commands(), ["INSERT 0 1"]);
        assert_eq!(open.simple("COMMIT").await.commands(), ["COMMIT"]);
    };
    let (said, ()) = tokio::join!(moving, meanwhile);
    said.ok();
    assert_eq!(idle.until(b'Z').await.commands(), ["INSERT 0 1"]);
    for wire in [&mut open, &mut idle] {
        assert_eq!(wire.simple("SELECT count(*) FROM users").await.value(), "3");
        assert_eq!(wire.simple(PORT).await.value(), spread.b.port().to_string());
    }
}
