//! The dashboard, the alerts and Prometheus' own configuration, tried with a real Prometheus.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgstrata_tests::monitor::{Prometheus, promtool};
use pgstrata_tests::program::{client_program, run};
use pgstrata_tests::{Registry, Setup, Stage, Wire};
use serde_json::Value;
use tokio::time::sleep;

const CONFIGURATION: &str = include_str!("../../../config/prometheus.yml");
const ALERTS: &str = include_str!("../../../config/alerts.yml");
const DASHBOARD: &str = include_str!("../../../config/grafana/pgstrata.json");

/// What a dashboard's rate looks back at here: many scrapes of one second.
const WINDOW: &str = "1m";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The names of all alerts.
fn alerts() -> Vec<&'static str> {
    let names = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.collect()
}

/// Each expression of the dashboard, with the title of its panel.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(panel["type"] == "row" || !targets.is_empty(), "{title} asks nothing");
        for target in targets {
            queries.push((title.to_owned(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    queries
}

/// An expression as Grafana would send it, with all chosen.
fn filled_in(expression: &str) -> String {
    let filled = expression.replace("$__rate_interval", WINDOW);
    let filled = filled.replace("$instance", ".+").replace("$database", ".+");
    assert!(!filled.contains('$'), "an unknown variable is in {filled}");
    filled
}

/// pgbench with a script of its own, as a tenant's client.
async fn pgbench(stage: &Stage, tenant: &str, script: &Path) {
    let mut command = client_program("pgbench");
    command
        .args(["-n", "-M", "prepared", "-c", "4", "-t", "50", "-f"])
        .arg(script)
        .arg(stage.url(Some(tenant)));
    run(command).await;
}

/// psql, whose statements may fail.
async fn psql(stage: &Stage, tenant: &str, statements: &[&str]) {
    let mut command = client_program("psql");
    command.arg("-X").arg(stage.url(Some(tenant)));
    for statement in statements {
        command.args(["-c", statement]);
    }
    run(command).await;
}

/// Waits until Prometheus has scraped the proxy twice from now on.
async fn scraped_again(prometheus: &Prometheus) {
    let count = "sum(count_over_time(up{job=\"pgstrata\"}[10m]))";
    let before = value(prometheus, count).await;
    // One may be on its way.
    while value(prometheus, count).await < before + 3.0 {
        sleep(Duration::from_millis(100)).await;
    }
}

/// The first sample of an answer; 0 where there is none.
async fn value(prometheus: &Prometheus, expression: &str) -> f64 {
    let samples = prometheus.query(expression).await.unwrap();
    samples.first().and_then(|sample| sample["value"][1].as_str()).map_or(0.0, |value| value.parse().unwrap())
}

/// A proxy that is watched while two tenants work, one of them with an error, a refusal and a pin.
async fn watched() -> (Stage, Prometheus, Vec<Wire>) {
    let stage = Stage::new(Setup::new().servers(6)).await;
    let registry = Registry::install(&stage).await;
    registry.set("acme_corp", "active").await;
    registry.set("globex", "active").await;
    let configuration = CONFIGURATION
        .replace("pgstrata:9187", &format!("127.0.0.1:{}", stage.http_port()))
        .replace("interval: 15s", "interval: 1s");
    let prometheus = Prometheus::start(&configuration, ALERTS).await;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.sql");
    let text = "SELECT name FROM users WHERE id = 1;\nUPDATE users SET name = name WHERE id = 1;\n";
    std::fs::write(&script, text).unwrap();
    // A rate needs to know how it was before, and a tenant's series begin with its first requests.
    for _ in 0..2 {
        tokio::join!(pgbench(&stage, "acme_corp", &script), pgbench(&stage, "globex", &script));
        scraped_again(&prometheus).await;
    }
    psql(&stage, "globex", &["SELECT name FROM users"]).await;
    // These stay, and one of them is tied to its server.
    let mut clients = vec![stage.wire("acme_corp").await, stage.wire("globex").await];
    for client in &mut clients {
        assert_eq!(client.simple("SELECT * FROM nowhere").await.code(), "42P01");
        assert_eq!(client.simple("SELECT * FROM initech.users").await.code(), "42501");
        assert!(client.simple("SELECT name FROM users").await.fault().is_none());
    }
    assert_eq!(clients[0].simple("CREATE TEMP TABLE t (a int)").await.commands(), ["CREATE TABLE"]);
    // What was there for the first time has to be seen twice.
    scraped_again(&prometheus).await;
    while value(&prometheus, "count(pgstrata_tenants{state=\"active\"})").await < 1.0 {
        sleep(Duration::from_millis(100)).await;
    }
    (stage, prometheus, clients)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_of_the_dashboard_has_an_answer() {
    let (_stage, prometheus, _clients) = watched().await;
    let queries = queries();
    assert!(queries.len() > 50, "{}", queries.len());
    let mut empty = Vec::new();
    for (title, expression) in &queries {
        let samples = prometheus.query(&filled_in(expression)).await;
        let samples = samples.unwrap_or_else(|error| panic!("{title}: {expression}: {error}"));
        let is_number = |sample: &Value| sample["value"][1].as_str().is_some_and(|value| value != "NaN");
        if !samples.iter().any(is_number) {
            empty.push(format!("{title}: {expression}: {samples:?}"));
        }
    }
    assert!(empty.is_empty(), "{}", empty.join("\n"));
    for (what, expression) in [
        ("two tenants", "count(pgstrata_tenant_requests_total{tenant=~\"acme_corp|globex\"} > 200) == 2"),
        ("the error", "pgstrata_errors_total{class=\"42\"} > 0"),
        ("the refusal", "pgstrata_statements_refused_total{code=\"42501\"} > 0"),
        ("the pin", "pgstrata_clients_pinned{reason=\"temp_table\"} == 1"),
    ] {
        assert_eq!(prometheus.query(expression).await.unwrap().len(), 1, "{what}");
    }
    variables_find_values(&prometheus).await;
    alerts_are_evaluated(&prometheus).await;
}

/// The variables of the dashboard are made from series that are there.
async fn variables_find_values(prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let asked = variables.iter().filter_map(|variable| variable["definition"].as_str());
    let mut count = 0;
    for definition in asked {
        let inside = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (series, label) = inside.unwrap().rsplit_once(", ").unwrap();
        let found = prometheus.query(&format!("count by ({label}) ({})", filled_in(series))).await.unwrap();
        assert!(!found.is_empty() && found[0]["metric"][label].is_string(), "{definition}: {found:?}");
        count += 1;
    }
    assert_eq!(count, 2);
}

/// Prometheus has evaluated each rule, and none of them fires in a healthy run.
async fn alerts_are_evaluated(prometheus: &Prometheus) {
    loop {
        let answer = prometheus.api("/api/v1/rules?type=alert").await;
        let groups = answer["data"]["groups"].as_array().unwrap();
        let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
        let names: Vec<&str> = rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
        assert_eq!(names, alerts());
        if rules.iter().all(|rule| rule["health"] == "ok") {
            assert!(rules.iter().all(|rule| rule["state"] != "firing"), "{rules:?}");
            return;
        }
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn promtool_takes_the_configuration_and_the_rules() {
    for (what, file) in [("config", "prometheus.yml"), ("rules", "alerts.yml")] {
        let file = project().join("config").join(file);
        promtool(&["check", what, file.to_str().unwrap()], "").await;
    }
}

#[tokio::test]
async fn alerts_fire_when_they_should_and_only_then() {
    let cases = project().join("tests/alerts.yml");
    promtool(&["test", "rules", cases.to_str().unwrap()], "").await;
    let cases = std::fs::read_to_string(cases).unwrap();
    assert!(alerts().len() > 10);
    for alert in alerts() {
        assert!(
            cases.contains(&format!("alertname=\"{alert}\"")),
            "nothing makes {alert} fire in tests/alerts.yml"
        );
    }
}

#[test]
fn each_alert_has_a_runbook_and_stands_in_the_documents() {
    let documents = include_str!("../../../docs/operations.md");
    let rules: Vec<&str> = ALERTS.split("- alert: ").skip(1).collect();
    for rule in rules {
        let name = rule.lines().next().unwrap();
        for part in ["expr:", "severity:", "summary:", "runbook:"] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        assert!(documents.contains(&format!("| `{name}` |")), "docs/operations.md lacks {name}");
    }
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let documents = include_str!("../../../docs/operations.md");
    let asked =
        queries().into_iter().map(|(_, expression)| expression).collect::<Vec<_>>().join("\n") + ALERTS;
    let words = asked.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let metrics = words.filter(|word| word.starts_with("pgstrata_"));
    let mut count = 0;
    for metric in metrics {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
        let known = |name: &str| documents.contains(&format!("| `{name}` |"));
        assert!(known(metric) || family.is_some_and(known), "there is no metric {metric}");
        count += 1;
    }
    assert!(count > 80, "{count}");
}
