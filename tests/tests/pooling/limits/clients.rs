//! Clients, and those that wait.

use pgstrata_tests::stage::eventually;
use pgstrata_tests::{ACME, Setup, Stage};

use super::{NAMES, WAITING, limited, limited_by, log_in, names_the_limit, run, send, start, user_limited};

#[tokio::test]
async fn one_client_more_than_a_limit_is_refused() {
    for (setup, whose, key, others) in [
        (
            limited("[tenancy.limits]\nmax_clients = 2"),
            "tenant \"acme_corp\" may have 2",
            "tenancy.limits.max_clients",
            true,
        ),
        (
            limited("[tenancy.limits]\nmax_clients = 1\n[tenants.'acme*'.limits]\nmax_clients = 2"),
            "tenant \"acme_corp\" may have 2",
            "tenants.acme*.limits.max_clients",
            true,
        ),
        (user_limited("max_clients = 2"), "user \"app\" may have 2", "users.limits.max_clients", false),
        (
            limited("[databases.app.limits]\nmax_clients = 2"),
            "database \"app\" may have 2",
            "databases.app.limits.max_clients",
            false,
        ),
    ] {
        let stage = Stage::new(setup).await;
        let (first, mut second) = (stage.wire("acme_corp").await, stage.wire("acme_corp").await);
        let fault = log_in(stage.port(), "app", "acme_corp").await.unwrap_err();
        names_the_limit(&fault, "53300", whose, key);
        assert_eq!(fault.severity, "FATAL");
        assert_eq!(log_in(stage.port(), "app", "globex").await.is_ok(), others, "{key}");
        // Those that are in work on, and a place that is left is the next one's.
        assert_eq!(second.simple(NAMES).await.column(), ACME);
        drop(first);
        eventually(true, async || log_in(stage.port(), "app", "acme_corp").await.is_ok()).await;
    }
}

#[tokio::test]
async fn whoever_may_not_name_a_tenant_does_not_learn_of_its_limits() {
    let stage = Stage::new(limited("[tenants.globex.limits]\nmax_clients = 1")).await;
    let _only = stage.wire("globex").await;
    assert_eq!(log_in(stage.port(), "acme", "globex").await.unwrap_err().code, "28000");
    assert_eq!(log_in(stage.port(), "app", "globex").await.unwrap_err().code, "53300");
}

#[tokio::test]
async fn request_that_would_wait_behind_too_many_is_refused_at_once() {
    let waits = "[pool]\nwait_timeout = '10min'\n";
    for (setup, whose, key) in [
        (
            limited("[tenants.acme_corp.limits]\nmax_waiting = 1"),
            "tenant \"acme_corp\" may have 1",
            "tenants.acme_corp.limits.max_waiting",
        ),
        (user_limited("max_waiting = 1"), "user \"app\" may have 1", "users.limits.max_waiting"),
        (
            limited("[databases.app.limits]\nmax_waiting = 1"),
            "database \"app\" may have 1",
            "databases.app.limits.max_waiting",
        ),
    ] {
        let setup = setup.servers(1).line("pool", waits.trim_start_matches("[pool]\n"));
        let stage = Stage::new(setup).await;
        for extended in [false, true] {
            let mut holder = stage.wire("acme_corp").await;
            assert_eq!(holder.simple("BEGIN; SELECT 1").await.status(), Some('T'));
            let mut waits = stage.wire("acme_corp").await;
            send(&mut waits, extended, NAMES).await;
            eventually(1.0, async || stage.metric(WAITING).await).await;
            let mut refused = stage.wire("acme_corp").await;
            let fault = run(&mut refused, extended, NAMES).await.fault().expect("one too many waits");
            names_the_limit(&fault, "53300", whose, key);
            assert_eq!(fault.severity, "ERROR");
            holder.simple("COMMIT").await;
            assert_eq!(waits.answer().await.column(), ACME);
            // It may ask again.
            assert_eq!(run(&mut refused, extended, NAMES).await.column(), ACME);
        }
        assert_eq!(stage.metric(&limited_by("max_waiting", whose)).await, 2.0);
    }
}

#[tokio::test]
async fn limits_of_a_reload_hold_at_once() {
    let (_cluster, process) = start(&limited("[tenancy.limits]\nmax_clients = 1")).await;
    let mut first = process.wire("acme_corp").await;
    assert_eq!(log_in(process.port, "app", "acme_corp").await.unwrap_err().code, "53300");
    process
        .reload(&limited("[tenancy.limits]\nmax_clients = 1\n[tenants.acme_corp.limits]\nmax_clients = 2"))
        .await;
    let mut second = process.wire("acme_corp").await;
    assert_eq!(log_in(process.port, "app", "acme_corp").await.unwrap_err().code, "53300");
    // Who has more than a lower one allows keeps it.
    process.reload(&limited("[tenancy.limits]\nmax_clients = 1")).await;
    for wire in [&mut first, &mut second] {
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
    process.reload(&Setup::new()).await;
    assert!(log_in(process.port, "app", "acme_corp").await.is_ok());
}
