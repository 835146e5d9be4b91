//! Tenants take turns at the servers: one with many clients delays another's by one turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pgstrata_tests::{Setup, Stage};

/// So many clients of one tenant, who never stop.
const FLOOD: usize = 30;

#[tokio::test]
async fn flood_of_one_tenant_delays_another_by_one_turn() {
    let stage = Stage::new(Setup::new().servers(1).line("pool", "wait_timeout = '60s'")).await;
    let served = Arc::new(AtomicUsize::new(0));
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..FLOOD {
        let mut wire = stage.wire("acme_corp").await;
        let served = Arc::clone(&served);
        flood.spawn(async move {
            loop {
                wire.simple("SELECT pg_sleep(0.02)").await;
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut quiet = stage.wire("globex").await;
    while served.load(Ordering::SeqCst) < 2 * FLOOD {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for _ in 0..10 {
        let before = served.load(Ordering::SeqCst);
        assert_eq!(quiet.simple("SELECT 1").await.status(), Some('I'));
        // Its turn comes behind the one that is served and at most one that was called; the
        // rest is what we may be late in seeing.
        let between = served.load(Ordering::SeqCst) - before;
        assert!(between < FLOOD / 3, "{between} of another tenant's were served first");
    }
    flood.shutdown().await;
}
