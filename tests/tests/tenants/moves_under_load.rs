//! A tenant that is moved while its clients work: each acknowledged commit is there once, and no statement fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgstrata_tests::Wire;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::spread::{Spread, superuser};
use pgstrata_tests::stage::names;
use tokio::time::sleep;

use super::moves::setup;

const CLIENTS: usize = 8;
const TABLE: &str = "CREATE TABLE written (client int, n int, how text)";
const HOW_MANY: &str = "SELECT count(*) FROM written WHERE client = $1";

fn insert(client: usize, n: usize, how: &str) -> String {
    format!("INSERT INTO written VALUES ({client}, {n}, '{how}')")
}

/// Runs one text, which must go well.
async fn run(wire: &mut Wire, text: &str, command: &str) {
    let answer = wire.simple(text).await;
    assert_eq!(answer.commands(), [command], "{text}: {:?}", answer.faults());
}

/// Works until it is to stop. Returns how many rows were acknowledged.
async fn work(mut wire: Wire, client: usize, stop: Arc<AtomicBool>) -> usize {
    let mut n = 0;
    wire.parse("count", HOW_MANY).parse("put", "INSERT INTO written VALUES ($1, $2, 'prepared')").sync();
    assert_eq!(wire.answer().await.code(), "");
    while !stop.load(Ordering::Relaxed) {
        run(&mut wire, &insert(client, n, "alone"), "INSERT 0 1").await;
        wire.bind("put", &[&client.to_string(), &(n + 1).to_string()]).execute().sync();
        let answer = wire.answer().await;
        assert_eq!(answer.commands(), ["INSERT 0 1"], "{:?}", answer.faults());
        run(&mut wire, "BEGIN", "BEGIN").await;
        run(&mut wire, &insert(client, n + 2, "first"), "INSERT 0 1").await;
        run(&mut wire, "SAVEPOINT s", "SAVEPOINT").await;
        run(&mut wire, &insert(client, n + 3, "undone"), "INSERT 0 1").await;
        run(&mut wire, "ROLLBACK TO s", "ROLLBACK").await;
        run(&mut wire, &insert(client, n + 3, "second"), "INSERT 0 1").await;
        run(&mut wire, "COMMIT", "COMMIT").await;
        n += 4;
        wire.bind("count", &[&client.to_string()]).execute().sync();
        let answer = wire.answer().await;
        assert_eq!(answer.value(), n.to_string(), "{:?}", answer.faults());
        sleep(Duration::from_millis(5)).await;
    }
    n
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_under_load_is_moved_back_and_forth() {
    for strategy in STRATEGIES {
        let spread = Spread::new(setup().strategy(strategy)).await;
        spread.tenant(&["create", "initech"]).await.ok();
        assert_eq!(spread.wire("initech").await.simple(TABLE).await.code(), "");
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let wire = spread.wire("initech").await;
            clients.push(tokio::spawn(work(wire, client, Arc::clone(&stop))));
        }
        let mut neighbour = spread.wire("acme_corp").await;
        for to in ["b", "a", "b", "a", "b"] {
            sleep(Duration::from_millis(300)).await;
            let said = spread
                .tenant(&[
                    "move", "initech", "--to", to, "--verify", "--max-pause", "25s", "--pin-timeout", "20s",
                    "--json",
                ])
                .await;
            assert_eq!((said.code, said.json()["terminated"].as_u64()), (0, Some(0)), "{said:?}");
            assert_eq!(neighbour.simple("SELECT 1").await.value(), "1");
        }
        sleep(Duration::from_millis(300)).await;
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for (client, working) in clients.into_iter().enumerate() {
            let rows = working.await.expect("no statement fails");
            assert!(rows > 0);
            acknowledged.extend((0..rows).map(|n| format!("{client} {n}")));
        }
        acknowledged.sort();
        let written = "SELECT client || ' ' || n FROM initech.written WHERE how <> 'undone'";
        let mut there = names(&superuser(&spread.b).await, written).await;
        there.sort();
        assert_eq!(there, acknowledged, "each acknowledged row is there once");
    }
}

/// A writer that no fence stops, as a proxy that has not heard of the move: it knows the old place alone. Returns the rows
/// that were acknowledged.
async fn write_past_the_fence(spread: &Spread, stop: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let options = [("options", "-csearch_path=initech")];
    let mut wire = Wire::login(spread.a.port(), "app", "app", &options).await.unwrap();
    wire.parse("put", "INSERT INTO written VALUES (99, $1, 'prepared')").sync();
    wire.answer().await;
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let ended = match n % 3 {
            0 => wire.simple(&format!("INSERT INTO initech.written VALUES (99, {n}, 'named')")).await,
            1 => {
                wire.bind("put", &[&n.to_string()]).execute().sync();
                wire.answer().await
            }
            _ => {
                wire.simple("BEGIN").await;
                wire.simple(&insert(99, n, "open")).await;
                wire.simple("COMMIT").await
            }
        };
        // What fails in a transaction is a rollback at its end.
        if ended.faults().is_empty() && ended.commands() != ["ROLLBACK"] {
            acknowledged.push(n.to_string());
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_that_has_not_heard_of_the_move_writes_nothing_to_the_old_place() {
    let spread = Spread::new(setup()).await;
    spread.tenant(&["create", "initech"]).await.ok();
    assert_eq!(spread.wire("initech").await.simple(TABLE).await.code(), "");
    let stop = AtomicBool::new(false);
    let moving = async {
        sleep(Duration::from_millis(200)).await;
        let said = spread.tenant(&["move", "initech", "--to", "b", "--verify", "--max-pause", "30s"]).await;
        sleep(Duration::from_millis(200)).await;
        stop.store(true, Ordering::Relaxed);
        said
    };
    let (said, acknowledged) = tokio::join!(moving, write_past_the_fence(&spread, &stop));
    said.ok();
    assert!(!acknowledged.is_empty());
    let written = "SELECT n::text FROM initech.written ORDER BY written.n";
    assert_eq!(
        names(&superuser(&spread.b).await, written).await,
        acknowledged,
        "all went along, and none came later"
    );
    let kept = written.replace("initech", "pgstrata_moved_1");
    assert_eq!(names(&superuser(&spread.a).await, &kept).await, acknowledged);
}
