//! Servers, turns at them, and what the console shows.

use pgstrata_tests::stage::eventually;
use pgstrata_tests::{ACME, Setup, Stage};

use super::{
    NAMES, WAITING, holders, limited, log_in, names_the_limit, run, send, start, tables,
    with_its_server_taken,
};

#[tokio::test]
async fn servers_are_as_many_as_the_narrowest_limit_says() {
    for ((setup, whose, table), others) in tables("max_servers = 2").into_iter().zip([true, false, false]) {
        let whose = match whose.split(' ').next() {
            Some("database") => "timed out after 200ms waiting for a server".to_owned(),
            Some("user") => format!("{whose} has all 2 servers that it may use at once"),
            _ => format!("{whose} has all 2 servers that one tenant may use at once"),
        };
        let stage = Stage::new(setup.servers(3).line("pool", "wait_timeout = '200ms'")).await;
        let mut held = holders(&stage, "acme_corp", 2).await;
        let mut wire = stage.wire("acme_corp").await;
        for extended in [false, true] {
            let fault = run(&mut wire, extended, NAMES).await.fault().expect("there is no server");
            let key = if table.starts_with("databases") { "pool.wait_timeout" } else { table };
            names_the_limit(&fault, "53300", &whose, key);
        }
        let mut other = stage.wire("globex").await;
        assert_eq!(other.simple("SELECT 1").await.code().is_empty(), others, "{table}");
        // Whom nothing but its user keeps back is served where that is another.
        let mut acme = log_in(stage.port(), "acme", "acme_corp").await.unwrap();
        assert_eq!(acme.simple("SELECT 1").await.code().is_empty(), table.starts_with("users"), "{table}");
        assert_eq!(held.pop().unwrap().simple("COMMIT").await.status(), Some('I'));
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test]
async fn limit_of_servers_that_is_raised_serves_who_waits() {
    let limit = |most: usize| {
        Setup::new()
            .servers(3)
            .line("pool", "wait_timeout = '10min'")
            .line("tenancy", format!("[tenants.'acme*'.limits]\nmax_servers = {most}"))
    };
    let (_cluster, process) = start(&limit(1)).await;
    let mut holder = process.wire("acme_corp").await;
    assert_eq!(holder.simple("BEGIN; SELECT 1").await.status(), Some('T'));
    let mut waits = process.wire("acme_corp").await;
    send(&mut waits, false, NAMES).await;
    eventually(1.0, async || process.metric(WAITING).await).await;
    process.reload(&limit(2)).await;
    assert_eq!(waits.answer().await.column(), ACME);
}

#[tokio::test]
async fn what_is_kept_for_a_tenant_is_its_own() {
    let kept = limited("[tenants.globex.limits]\nmin_servers = 1").servers(3);
    let stage = Stage::new(kept.line("pool", "wait_timeout = '200ms'")).await;
    let _held = holders(&stage, "acme_corp", 2).await;
    let mut third = stage.wire("acme_corp").await;
    let fault = third.simple(NAMES).await.fault().expect("the last one is kept");
    names_the_limit(
        &fault,
        "53300",
        "those that are left are reserved for other tenants",
        "pool.max_servers",
    );
    assert!(!fault.message.contains("globex"), "whose they are is no business of another tenant's");
    let mut globex = stage.wire("globex").await;
    for extended in [false, true] {
        assert_eq!(run(&mut globex, extended, "SELECT 1").await.code(), "");
    }
    // It is kept while it is in use, too, and no more than that.
    let _one = holders(&stage, "globex", 1).await;
    assert_eq!(globex.simple("SELECT 1").await.code(), "53300");
}

#[tokio::test]
async fn tenant_has_as_many_turns_as_it_weighs() {
    let setup = limited("[tenants.acme_corp.limits]\nweight = 3").line("pool", "wait_timeout = '10min'");
    let (stage, mut holder) = with_its_server_taken(setup).await;
    let mut waiting = Vec::new();
    // One server does one thing after the other: when it did each is their order.
    let now = "SELECT clock_timestamp()::text";
    for tenant in ["acme_corp", "globex"] {
        for _ in 0..4 {
            let mut wire = stage.wire(tenant).await;
            send(&mut wire, false, now).await;
            waiting.push((tenant, wire));
            let count = waiting.len() as f64;
            eventually(count, async || stage.metric(WAITING).await).await;
        }
    }
    holder.simple("COMMIT").await;
    let mut order = Vec::new();
    for (tenant, mut wire) in waiting {
        order.push((wire.answer().await.value(), tenant));
    }
    order.sort();
    let order: String = order.into_iter().map(|(_, tenant)| &tenant[..1]).collect();
    // Three to one in the first round, and in the next what is left of the three; within a round the order is free.
    let (first, second, rest) = (&order[..4], &order[4..6], &order[6..]);
    assert!(["aaag", "gaaa"].contains(&first) && ["ag", "ga"].contains(&second) && rest == "gg", "{order}");
}

#[tokio::test]
async fn console_shows_limits_and_what_is_used_of_them() {
    let lines = "[tenants.acme_corp.limits]\nmax_clients = 3\nmax_servers = 2\nquery_timeout = '5s'";
    let stage = Stage::new(limited(lines).admin()).await;
    let _held = holders(&stage, "acme_corp", 1).await;
    let url = format!("postgresql://app:app@127.0.0.1:{}/pgstrata", stage.port());
    let console = pgstrata_tests::stage::connect(&url.parse().unwrap()).await.unwrap();
    let rows = console.simple_query("SHOW LIMITS").await.unwrap();
    let mut shown = Vec::new();
    for row in rows {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = row {
            let of = |name: &str| row.get(name).unwrap_or("-").to_owned();
            if of("of") == "tenant" {
                shown.push(["name", "value", "used", "holder", "key", "unit"].map(of).join(" "));
            }
        }
    }
    assert_eq!(
        shown,
        [
            "max_clients 3 1 acme_corp tenants.acme_corp.limits.max_clients -",
            "max_servers 2 1 acme_corp tenants.acme_corp.limits.max_servers -",
            "query_timeout 5000 - acme_corp tenants.acme_corp.limits.query_timeout ms",
        ]
    );
}
