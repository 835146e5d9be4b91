//! What is counted: that it is right, that Prometheus reads it, and that each metric is documented.

use std::collections::BTreeSet;

use pgstrata_tests::monitor::promtool;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::http;
use pgstrata_tests::{Setup, Stage, Wire};

const READ: &str = "SELECT name FROM users WHERE id = 1";

async fn page(stage: &Stage, path: &str) -> String {
    let answer = http(stage.http_port(), path).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    body.to_owned()
}

/// All samples of a name and these labels, summed up.
async fn sum(stage: &Stage, name: &str) -> f64 {
    let page = page(stage, "/metrics").await;
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// How much a metric grows while something is done.
async fn growth(stage: &Stage, name: &str, work: impl AsyncFnOnce()) -> f64 {
    let before = sum(stage, name).await;
    work().await;
    sum(stage, name).await - before
}

/// Does some of everything: reads, writes, an error, a refusal, a pin, prepared statements.
async fn some_of_everything(stage: &Stage) -> Vec<Wire> {
    let mut clients = Vec::new();
    for tenant in ["acme_corp", "globex"] {
        let mut client = stage.wire(tenant).await;
        client.simple(READ).await;
        client.simple("UPDATE users SET name = name").await;
        client.simple("SELECT 1 / 0").await;
        client.simple("SELECT * FROM initech.users").await;
        client.parse("p", READ).bind("p", &[]).execute().sync().answer().await;
        clients.push(client);
    }
    clients[0].simple("CREATE TEMP TABLE t (a int)").await;
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_wrong() {
    let stage = Stage::new(Setup::new().servers(4)).await;
    let _clients = some_of_everything(&stage).await;
    for path in ["/metrics", "/metrics?tenant=acme_corp"] {
        let said = promtool(&["check", "metrics"], &page(&stage, path).await).await;
        assert_eq!(said, "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_metric_has_a_help_and_stands_in_the_documents() {
    let stage = Stage::new(Setup::new().servers(4).line("tenancy", "catalog_notify = true")).await;
    let _clients = some_of_everything(&stage).await;
    // A probe is what one of them comes of.
    page(&stage, "/readyz").await;
    let documents = include_str!("../../../docs/operations.md");
    let mut told = BTreeSet::new();
    for path in ["/metrics", "/metrics?tenant=acme_corp"] {
        let page = page(&stage, path).await;
        let words = |what: &str| -> BTreeSet<String> {
            let heads = page.lines().filter_map(|line| line.strip_prefix(what));
            heads.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
        };
        let types = words("# TYPE ");
        assert_eq!(types, words("# HELP "), "{path}");
        told.extend(types);
    }
    assert!(told.len() > 40, "{told:?}");
    let rows = documents.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let metrics = rows.filter(|name| name.starts_with("pgstrata_") || name.starts_with("process_"));
    let documented: BTreeSet<String> = metrics.map(ToOwned::to_owned).collect();
    let missing: Vec<_> = told.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/operations.md lacks {missing:?}");
    // These come about in other deployments: in observe mode, with limits, with a registry of tenants, and with certificates.
    let elsewhere = [
        "pgstrata_limited_total",
        "pgstrata_observed_total",
        "pgstrata_tenants",
        "pgstrata_tenants_by_version",
        "pgstrata_tls_certificate_expiry_seconds",
    ];
    let gone: Vec<_> =
        documented.difference(&told).filter(|name| !elsewhere.contains(&name.as_str())).collect();
    assert!(gone.is_empty(), "docs/operations.md has {gone:?}, and the proxy has not");
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_round_trips_are_those_of_begin_set_local_and_commit() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let mut client = stage.wire("acme_corp").await;
        // What the schemas hold is loaded now.
        client.simple(READ).await;
        let name = "pgstrata_saved_round_trips_total";
        let mut saved = async |texts: &[&str]| {
            growth(&stage, name, async || {
                for text in texts {
                    client.simple(text).await;
                }
            })
            .await
        };
        assert_eq!(saved(&[READ]).await, 3.0, "{strategy:?}: alone");
        assert_eq!(saved(&["UPDATE users SET name = name"]).await, 3.0, "{strategy:?}: a write");
        assert_eq!(saved(&["SELECT 1", "SHOW work_mem"]).await, 0.0, "{strategy:?}: no tenant's");
        assert_eq!(saved(&["BEGIN", READ, READ, "COMMIT"]).await, 1.0, "{strategy:?}: a transaction");
        assert_eq!(
            saved(&["BEGIN", "SELECT 1", "COMMIT"]).await,
            0.0,
            "{strategy:?}: one that needs no path"
        );
        let block = format!("BEGIN; {READ}; COMMIT");
        assert_eq!(saved(&[&block]).await, 1.0, "{strategy:?}: one in a single text");
        assert_eq!(
            saved(&["BEGIN", "SELECT * FROM nowhere", "ROLLBACK"]).await,
            1.0,
            "{strategy:?}: one that fails"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_saves_no_round_trips() {
    let stage = Stage::new(Setup::new().servers(1).line("pool", "mode = 'session'")).await;
    let mut client = stage.wire("acme_corp").await;
    let saved = growth(&stage, "pgstrata_saved_round_trips_total", async || {
        client.simple(READ).await;
    });
    assert_eq!(saved.await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trips_of_one_request_are_told_by_their_number() {
    let stage = Stage::new(Setup::new().servers(1)).await;
    let mut client = stage.wire("acme_corp").await;
    let one = r#"pgstrata_request_round_trips_bucket{le="1"}"#;
    let ones = growth(&stage, one, async || {
        for _ in 0..5 {
            client.simple(READ).await;
        }
    });
    assert_eq!(ones.await, 5.0);
    // A pipeline that is read in between waits twice.
    client.parse("", READ).bind("", &[]).message(b'H', &[]).flush().await;
    client.until(b'2').await;
    let two = growth(&stage, r#"pgstrata_request_round_trips_bucket{le="2"}"#, async || {
        client.execute().sync().answer().await;
    });
    assert_eq!(two.await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_split_into_wait_postgresql_and_proxy() {
    let stage = Stage::new(Setup::new().servers(1)).await;
    let mut client = stage.wire("acme_corp").await;
    let mut other = stage.wire("globex").await;
    client.simple(READ).await;
    let names =
        ["pgstrata_server_wait_seconds_sum", "pgstrata_query_seconds_sum", "pgstrata_proxy_seconds_sum"];
    let mut before = Vec::new();
    for name in names {
        before.push(sum(&stage, name).await);
    }
    // The one sleeps in PostgreSQL, the other waits for the only server meanwhile.
    tokio::join!(client.simple("SELECT pg_sleep(0.3)"), other.simple("SELECT pg_sleep(0.3)"));
    let mut took = Vec::new();
    for (name, before) in names.into_iter().zip(before) {
        took.push(sum(&stage, name).await - before);
    }
    let [wait, query, own] = took[..] else { unreachable!() };
    assert!(wait >= 0.25, "{wait}");
    assert!(query >= 0.6, "{query}");
    // What is the proxy's is neither of the two.
    assert!(own > 0.0 && own < query, "{own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_by_their_code() {
    let stage = Stage::new(Setup::new()).await;
    let mut client = stage.wire("acme_corp").await;
    client.simple("SELECT * FROM globex.users").await;
    client.simple("SET standard_conforming_strings = off").await;
    for code in ["42501", "0A000"] {
        let name = format!("pgstrata_statements_refused_total{{code=\"{code}\"}}");
        assert_eq!(sum(&stage, &name).await, 1.0, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_told_apart_and_the_rest_together() {
    let stage = Stage::new(Setup::new().servers(2).line("metrics", "tenants = 1")).await;
    let mut acme = stage.wire("acme_corp").await;
    let mut globex = stage.wire("globex").await;
    for _ in 0..20 {
        acme.simple(READ).await;
    }
    globex.simple(READ).await;
    globex.simple("SELECT * FROM acme_corp.users").await;
    globex.simple("SELECT 1 / 0").await;
    for (name, tenant, expected) in [
        ("requests", "acme_corp", 20.0),
        ("requests", "other", 2.0),
        ("errors", "acme_corp", 0.0),
        ("errors", "other", 2.0),
        ("statements_refused", "other", 1.0),
        ("saved_round_trips", "acme_corp", 60.0),
    ] {
        let name = format!("pgstrata_tenant_{name}_total{{database=\"app\",tenant=\"{tenant}\"}}");
        assert_eq!(sum(&stage, &name).await, expected, "{name}");
    }
    let clients = |tenant| format!("pgstrata_tenant_clients{{database=\"app\",tenant=\"{tenant}\"}}");
    assert_eq!(sum(&stage, &clients("acme_corp")).await, 1.0);
    assert_eq!(sum(&stage, &clients("other")).await, 1.0);
    let bytes = r#"pgstrata_tenant_received_bytes_total{database="app",tenant="acme_corp"}"#;
    assert!(sum(&stage, bytes).await > 20.0 * "Alice".len() as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_is_told_in_full_when_it_is_asked_for() {
    let stage = Stage::new(Setup::new().servers(2).line("metrics", "tenants = 0")).await;
    let mut client = stage.wire("globex").await;
    client.simple(READ).await;
    client.simple("SELECT * FROM nowhere").await;
    let page = page(&stage, "/metrics?tenant=globex").await;
    for line in [
        r#"pgstrata_tenant_requests_total{database="app",tenant="globex",kind="tenant_read"} 2"#,
        r#"pgstrata_tenant_errors_total{database="app",tenant="globex",class="42"} 1"#,
        r#"pgstrata_tenant_query_seconds_count{database="app",tenant="globex"} 2"#,
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("acme_corp"));
    for unknown in ["/metrics?tenant=acme_corp", "/metrics?tenant=", "/metrics?tenant=%22%0a"] {
        assert!(http(stage.http_port(), unknown).await.starts_with("HTTP/1.1 404"), "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_count_for_the_tenant_that_is_switched_to() {
    let stage = Stage::new(Setup::new().tenant_switch()).await;
    let mut client = stage.wire("acme_corp").await;
    client.simple("SET tenant = 'globex'").await;
    for _ in 0..4 {
        assert_eq!(client.simple(READ).await.value(), "Hank");
    }
    let name = |tenant| format!("pgstrata_tenant_requests_total{{database=\"app\",tenant=\"{tenant}\"}}");
    assert_eq!(sum(&stage, &name("globex")).await, 4.0);
    assert_eq!(sum(&stage, &name("acme_corp")).await, 0.0);
    // For one statement, in both protocols.
    let tied = format!("/* tenant='acme_corp' */ {READ}");
    assert_eq!(client.simple(&tied).await.value(), "Alice");
    assert_eq!(client.extended(&tied, &[]).await.value(), "Alice");
    assert_eq!(sum(&stage, &name("acme_corp")).await, 2.0);
    assert_eq!(sum(&stage, &name("globex")).await, 4.0);
}
