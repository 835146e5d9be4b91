//! The operator's page: in a browser, and the guard before it and its lists. tests/drivers/operator_page.js is the
//! browser's side.

use pgstrata_tests::program::{node, run};
use pgstrata_tests::stage::{eventually, http};
use pgstrata_tests::{Setup, Stage, Wire};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A name of a tenant, and of an application, that a page must not take for markup.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";
const CROWD: usize = 120;
// watcher:watcher, app:app, watcher:wrong
const WATCHER: &str = "Authorization: Basic d2F0Y2hlcjp3YXRjaGVy\r\n";
const APP: &str = "Authorization: Basic YXBwOmFwcA==\r\n";
const WRONG: &str = "Authorization: Basic d2F0Y2hlcjp3cm9uZw==\r\n";

fn setup() -> Setup {
    Setup::new().servers(3).user("name = 'watcher'\npassword = 'watcher'\nstats = true")
}

/// What the HTTP side answers: its head in lower case, and its body.
async fn answer(stage: &Stage, path: &str, host: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", stage.http_port())).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// What the watcher is answered.
async fn list(stage: &Stage, path: &str) -> (u16, Value) {
    let (status, _, body) = answer(stage, path, "localhost", WATCHER).await;
    (status, serde_json::from_str(&body).unwrap())
}

async fn client(stage: &Stage, tenant: &str) -> Wire {
    let escaped = tenant.replace(' ', "\\ ");
    let options = [("options", format!("-ctenant={escaped}")), ("application_name", HOSTILE.to_owned())];
    let options: Vec<_> = options.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Wire::login(stage.port(), "app", "app", &options).await.expect("the tenant is let in")
}

/// Tenants that have had a client each, all of them gone.
async fn crowd(stage: &Stage) {
    let make = format!(
        "CREATE SCHEMA \"{HOSTILE}\";
         DO $$ BEGIN FOR i IN 1..{CROWD} LOOP
             EXECUTE format('CREATE SCHEMA %I', 't' || lpad(i::text, 4, '0'));
         END LOOP; END $$"
    );
    stage.superuser().await.batch_execute(&make).await.unwrap();
    for i in 1..=CROWD {
        assert_eq!(client(stage, &format!("t{i:04}")).await.simple("SELECT 1").await.value(), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_in_a_browser() {
    let stage = Stage::new(setup()).await;
    crowd(&stage).await;
    let refused = client(&stage, HOSTILE).await.simple("SELECT * FROM globex.users").await;
    assert!(refused.fault().is_some());
    let mut pinned = client(&stage, "acme_corp").await;
    for text in ["CREATE TEMP TABLE scratch (id int)", "BEGIN"] {
        assert_eq!(pinned.simple(text).await.fault(), None, "{text}");
    }
    let mut program = node("operator_page.js");
    program.arg(stage.http_port().to_string()).arg((CROWD + 2).to_string());
    println!("{}", run(program).await);
    assert_eq!(pinned.simple("COMMIT").await.fault(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_and_tables_are_behind_one_guard() {
    let stage = Stage::new(setup()).await;
    let others = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n";
    for path in ["/", "/page/main.js", "/api/v1/health", "/api/v1/tenants", "/api/v1/show/tenants"] {
        for (status, host, headers) in [
            (200, "localhost", WATCHER.to_owned()),
            (200, "127.0.0.1:9187", WATCHER.to_owned()),
            (401, "localhost", String::new()),
            (401, "localhost", WRONG.to_owned()),
            (403, "localhost", APP.to_owned()),
            (421, "rebound.example", WATCHER.to_owned()),
            (403, "localhost", format!("{WATCHER}{others}")),
        ] {
            let (got, head, body) = answer(&stage, path, host, &headers).await;
            assert_eq!(got, status, "{path} {host} {headers}");
            assert_eq!(head.contains("www-authenticate: basic"), status == 401, "{head}");
            assert!(status == 200 || body.starts_with("{\"error\":"), "{body}");
            for header in [
                "cache-control: no-store",
                "x-content-type-options: nosniff",
                "referrer-policy: no-referrer",
                "x-frame-options: deny",
                "cross-origin-resource-policy: same-origin",
            ] {
                assert!(head.contains(header), "{path} {status} has no {header}: {head}");
            }
        }
    }
    let (_, head, _) = answer(&stage, "/", "localhost", WATCHER).await;
    assert!(
        head.contains(
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
        ),
        "{head}"
    );
    // Probes name the proxy as they like, and have no password.
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(answer(&stage, path, "pgstrata.internal", "").await.0, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slowed_as_those_of_logins_are() {
    let pauses = setup()
        .line("http", "timeout = '300ms'")
        .line("listen", "login_timeout = '1h'\nfailed_login_pause = '10min'");
    let stage = Stage::new(pauses).await;
    let ask = async |login: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", stage.http_port())).await.unwrap();
        let request =
            format!("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n{login}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    assert!(ask(WATCHER).await.contains("200 OK"));
    let mut guesses = 0;
    while ask(WRONG).await.contains(" 401 ") {
        guesses += 1;
        assert!(guesses < 30, "none was slowed");
    }
    assert!(guesses >= 5, "who mistypes does not wait: {guesses}");
    // The pause grows beyond the time of a request: the right password is not looked at either. Without one, none waits.
    assert_eq!(ask(WATCHER).await, "");
    assert!(ask("").await.contains(" 401 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_console_is_there_where_others_reach_the_port() {
    let outside = setup().replace("[http]\naddress = '127.0.0.1:", "[http]\naddress = '0.0.0.0:");
    let stage = Stage::new(outside).await;
    for path in ["/", "/page/main.js", "/api/v1/health", "/api/v1/tenants", "/api/v1/show/tenants"] {
        let (status, _, body) = answer(&stage, path, "localhost", WATCHER).await;
        assert_eq!((status, &*body), (404, ""), "{path}");
    }
    assert!(http(stage.http_port(), "/healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_searched_sorted_and_cut_by_the_proxy() {
    let stage = Stage::new(setup()).await;
    for (tenant, requests) in [("acme_corp", 3), ("globex", 5)] {
        let mut client = client(&stage, tenant).await;
        for _ in 0..requests {
            assert_eq!(client.simple("SELECT 1").await.value(), "1");
        }
    }
    let (_, all) = list(&stage, "/api/v1/tenants?sort=requests&order=desc&size=1").await;
    assert_eq!(
        (&all["total"], &all["matched"], all["rows"].as_array().unwrap().len()),
        (&2.into(), &2.into(), 1)
    );
    assert_eq!(all["rows"][0]["tenant"], "globex");
    let (_, second) = list(&stage, "/api/v1/tenants?sort=requests&order=desc&size=1&page=2").await;
    assert_eq!(second["rows"][0]["tenant"], "acme_corp");
    let (_, found) = list(&stage, "/api/v1/tenants?search=ACME").await;
    assert_eq!((&found["matched"], &found["rows"][0]["requests"]), (&1.into(), &3.into()));
    for (path, error) in [
        ("tenants?size=0", "must be from 1 to 200"),
        ("tenants?size=201", "must be from 1 to 200"),
        ("tenants?page=0", "the first page is 1"),
        ("tenants?sort=nothing", "there is no column \\\"nothing\\\""),
        ("tenants?order=up", "up"),
        ("tenants?serach=acme", "serach"),
        ("limits?tenant=acme_corp", "there is no column \\\"tenant\\\""),
        ("tenant?search=acme", "is no list"),
    ] {
        let (status, said) = list(&stage, &format!("/api/v1/{path}")).await;
        assert_eq!(status, 400, "{path}");
        assert!(said["error"].to_string().contains(error), "{path}: {said}");
    }
    assert_eq!(list(&stage, "/api/v1/nothing").await.0, 404);
    assert_eq!(list(&stage, "/api/v1/prepared").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_names_what_can_not_be_reached() {
    let stage = Stage::new(setup().relay()).await;
    let database = async || list(&stage, "/api/v1/health").await.1["databases"][0].clone();
    let reached = async || database().await["reachable"].clone();
    eventually(Value::from(true), reached).await;
    assert_eq!((&database().await["name"], &database().await["limit"]), (&"app".into(), &3.into()));
    stage.relay().stall(true);
    eventually(Value::from(false), reached).await;
    stage.relay().stall(false);
    eventually(Value::from(true), reached).await;
}
