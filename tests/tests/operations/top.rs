//! `pgstrata top`, and a heavy tenant among many light ones wherever it is looked for. tests/drivers/top.py is the
//! terminal's side.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pgstrata_tests::program::{client_program, pgstrata, python, run};
use pgstrata_tests::stage::{free_port, http};
use pgstrata_tests::{Setup, Stage};
use serde_json::Value;
use tokio::process::Command;

const LIGHT: usize = 30;

/// One tenant with few requests that take all of PostgreSQL's time, and others with many.
async fn stage() -> Stage {
    let setup = Setup::new().servers(3).line("metrics", "tenants = 1");
    let stage = Stage::new(setup.user("name = 'watcher'\npassword = 'watcher'\nstats = true")).await;
    let make = format!(
        "DO $$ BEGIN FOR i IN 1..{LIGHT} LOOP EXECUTE format('CREATE SCHEMA %I', 'light_' || i); END LOOP; END $$"
    );
    stage.superuser().await.batch_execute(&make).await.unwrap();
    for i in 1..=LIGHT {
        let mut light = stage.wire(&format!("light_{i}")).await;
        for _ in 0..20 {
            assert_eq!(light.simple("SELECT 1").await.value(), "1");
        }
    }
    let mut heavy = stage.wire("acme_corp").await;
    for _ in 0..3 {
        assert_eq!(heavy.simple("SELECT count(*) FROM users, pg_sleep(1.5) AS secret").await.fault(), None);
    }
    stage
}

fn top(stage: &Stage) -> Command {
    let mut command = pgstrata();
    command.args(["top", "--once", "--url"]);
    command.arg(format!("postgresql://watcher@127.0.0.1:{}/pgstrata", stage.port()));
    command.env("PGPASSWORD", "watcher").env("COLUMNS", "200").env("LINES", "60");
    command
}

/// The line behind a head.
fn below<'a>(text: &'a str, head: &str) -> &'a str {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(head));
    lines.nth(2).unwrap_or_else(|| panic!("no {head} in\n{text}"))
}

async fn list(stage: &Stage, path: &str) -> Value {
    let url = format!("http://127.0.0.1:{}/api/v1/{path}", stage.http_port());
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--user", "watcher:watcher", &url]);
    serde_json::from_str(&run(curl).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_tenant_among_many_light_ones_is_named_everywhere() {
    const FORM: &str = "SELECT count(*) FROM users, pg_sleep(?) AS secret";
    let stage = stage().await;
    let frame = run(top(&stage)).await;
    assert!(below(&frame, "Tenants by").starts_with("acme_corp"), "{frame}");
    let heaviest = below(&frame, "Statements by");
    assert!(heaviest.starts_with("acme_corp") && heaviest.ends_with(FORM), "{frame}");
    let mut psql = client_program("psql");
    psql.args([
        "-XAtq",
        "-h",
        "127.0.0.1",
        "-p",
        &stage.port().to_string(),
        "-U",
        "watcher",
        "-c",
        "SHOW STATEMENTS",
    ]);
    let shown = run({
        psql.arg("pgstrata").env("PGPASSWORD", "watcher");
        psql
    })
    .await;
    let first = shown.lines().next().unwrap();
    assert!(first.starts_with("app|acme_corp|") && first.ends_with(FORM), "{shown}");
    // As the page asks.
    for (path, column) in [("tenants", "tenant"), ("statements", "tenant"), ("statements", "query")] {
        let listed = list(&stage, &format!("{path}?sort=query_time&order=desc&size=1")).await;
        let wanted = if column == "query" { FORM } else { "acme_corp" };
        assert_eq!(listed["rows"][0][column], wanted, "{path}");
    }
    // With one series to give away, it has it, although others have sent more.
    let page = http(stage.http_port(), "/metrics").await;
    let seconds = "pgstrata_tenant_query_seconds_total{database=\"app\",tenant=";
    assert!(page.contains(&format!("{seconds}\"acme_corp\"}}")), "{page}");
    assert!(!page.contains("tenant=\"light_1\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_finds_its_password_and_says_what_is_wrong() {
    let stage =
        Stage::new(Setup::new().servers(1).user("name = 'watcher'\npassword = 'watcher'\nstats = true"))
            .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    fs::write(&file, format!("*:*:other:*:wrong\n127.0.0.1:{}:pgstrata:watcher:watcher\n", stage.port()))
        .unwrap();
    let with_file = || {
        let mut command = top(&stage);
        command.env_remove("PGPASSWORD").env("PGPASSFILE", &file);
        command
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(run(with_file()).await.starts_with("pgstrata "));
    let mut narrow = with_file();
    narrow.env("COLUMNS", "40").env("LINES", "6");
    let frame = run(narrow).await;
    assert!(frame.lines().count() <= 6 && frame.lines().all(|line| line.chars().count() <= 40), "{frame}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    // As psql does it: a file that others may read is not read.
    let open = with_file().output().await.unwrap();
    let complaint = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(complaint.starts_with("pgstrata: warning: password file"), "{complaint}");
    let mut wrong = top(&stage);
    wrong.env("PGPASSWORD", "wrong");
    let mut nobody = pgstrata();
    nobody.args([
        "top",
        "--once",
        "--url",
        &format!("postgresql://watcher@127.0.0.1:{}/pgstrata", free_port()),
    ]);
    let mut live = pgstrata();
    live.args(["top", "--url", &format!("postgresql://watcher@127.0.0.1:{}/pgstrata", stage.port())]);
    for (mut command, said) in [
        (with_file(), "has group or world access"),
        (wrong, "password"),
        (nobody, "refused"),
        (live, "--once prints one frame"),
    ] {
        let output = command.output().await.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(complaint.starts_with("pgstrata: ") && complaint.contains(said), "{complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn top_lives_in_a_terminal_and_through_a_lost_connection() {
    let stage =
        Stage::new(Setup::new().servers(1).user("name = 'watcher'\npassword = 'watcher'\nstats = true"))
            .await;
    let mut acme = stage.wire("acme_corp").await;
    assert_eq!(acme.simple("SELECT 1").await.value(), "1");
    let mut program = python("top.py");
    program.arg(pgstrata().as_std().get_program()).arg(stage.port().to_string()).env_remove("NO_COLOR");
    assert_eq!(run(program).await, "well\n");
}
