//! Drivers and ORMs of many languages: a process for each of two tenants, at once, over few servers, by each strategy.
//! Each program makes the same tables in both, and finds its own rows only. docs/drivers.md lists them.

use pgstrata_tests::program::{go, node, project, python, run, script, with_libpq};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::names;
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Setup, Stage};
use tokio::process::Command;

const IN_PUBLIC: &str =
    "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname";
const USERS: &str = "SELECT name FROM users ORDER BY id";

/// Runs a program for both tenants over so many servers.
async fn tenants(servers: usize, program: impl FnMut() -> Command) {
    run_tenants(servers, true, program).await;
}

/// The same, for both tenants at once or for one after the other.
async fn run_tenants(servers: usize, at_once: bool, mut program: impl FnMut() -> Command) {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(servers).hardened()).await;
        let superuser = stage.superuser().await;
        let before = names(&superuser, IN_PUBLIC).await;
        let mut one = |tenant| {
            let mut program = program();
            program.arg(stage.url(Some(tenant))).arg(tenant);
            run(program)
        };
        let (first, second) = (one("acme_corp"), one("globex"));
        if at_once {
            tokio::join!(first, second);
        } else {
            first.await;
            second.await;
        }
        assert_eq!(names(&superuser, IN_PUBLIC).await, before);
        assert_eq!(stage.public_users().await, PUBLIC);
        assert_eq!(names(&stage.client("acme_corp").await, USERS).await, ACME);
        assert_eq!(names(&stage.client("globex").await, USERS).await, GLOBEX);
    }
}

async fn of_python(library: &'static str) {
    tenants(2, || {
        let mut program = python("python_drivers.py");
        program.arg(library);
        program
    })
    .await;
}

async fn of_node(library: &'static str) {
    tenants(2, || {
        let mut program = node("node_orms.js");
        program.arg(library);
        program
    })
    .await;
}

/// As a command that was built is run again.
fn again(program: &Command) -> Command {
    Command::new(program.as_std().get_program())
}

#[tokio::test(flavor = "multi_thread")]
async fn php() {
    tenants(2, || script("php", "clients.php")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn perl() {
    tenants(2, || script("perl", "dbd_pg.pl")).await;
}

/// A migration holds an advisory lock on one connection and works on another: two servers for each tenant.
#[tokio::test(flavor = "multi_thread")]
async fn rails() {
    tenants(4, || script("ruby", "active_record.rb")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odbc() {
    tenants(2, || python("odbc_app.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn libpq_with_pipelines() {
    let folder = tempfile::tempdir().unwrap();
    let program = with_libpq("libpq_pipeline.c", folder.path()).await;
    tenants(2, || again(&program)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_with_pgx_and_pq() {
    let folder = tempfile::tempdir().unwrap();
    let program = go("go/pgx_and_pq.go", folder.path()).await;
    tenants(2, || again(&program)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg2() {
    of_python("psycopg2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg8000() {
    of_python("pg8000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peewee() {
    of_python("peewee").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tortoise() {
    of_python("tortoise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlmodel() {
    of_python("sqlmodel").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kysely() {
    // Its introspection reads all tables that the catalog shows, and fails where another tenant drops one meanwhile.
    run_tenants(2, false, || {
        let mut program = node("node_orms.js");
        program.arg("kysely");
        program
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drizzle() {
    of_node("drizzle").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sequelize() {
    of_node("sequelize").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn knex() {
    of_node("knex").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prisma() {
    let folder = tempfile::tempdir().unwrap();
    let program = || {
        let mut program = node("prisma_app.js");
        program.arg(folder.path());
        program
    };
    run(program()).await;
    tenants(2, program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_js() {
    of_node("postgres").await;
}

/// Each row of the document names its program, each program has a row, and versions are those that are installed.
#[test]
fn the_document_lists_each_program() {
    let read = |path: &str| std::fs::read_to_string(project().join(path)).unwrap();
    let document = read("docs/drivers.md");
    let table = document.lines().skip_while(|line| !line.starts_with("| client | version"));
    let rows = table.skip(2).take_while(|line| line.starts_with("| "));
    let (mut listed, mut wrong) = (Vec::new(), Vec::new());
    let pinned = format!("{}{}", read("scripts/setup"), read("tests/drivers/package.json"));
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, version, _, _, _, program] = cells[..] else { panic!("six cells: {row}") };
        let program = program.trim_matches('`').to_owned();
        if !project().join("tests").join(&program).is_file() {
            wrong.push(row.to_owned());
        }
        // What Debian or the Rust build brings has no pin of these.
        if let Some(pin) = version.strip_prefix("pinned ")
            && !pinned.contains(&format!("=={pin}"))
            && !pinned.contains(&format!("\"{pin}\""))
        {
            wrong.push(row.to_owned());
        }
        listed.push(program);
    }
    assert_eq!(wrong, Vec::<String>::new());
    for folder in ["tests/drivers", "tests/drivers/go"] {
        for file in std::fs::read_dir(project().join(folder)).unwrap() {
            let path = file.unwrap().path();
            let path = path.strip_prefix(project().join("tests")).unwrap().to_str().unwrap().to_owned();
            let is_program = [".py", ".js", ".php", ".pl", ".rb", ".c", ".go", ".java"]
                .iter()
                .any(|end| path.ends_with(end));
            // Clients of the console and of the page, not of a database, and what checks charts.
            let aside = ["console", "operator_page", "top.py", "chart", "manifests"];
            let aside = aside.iter().any(|word| path.to_ascii_lowercase().contains(word));
            assert!(!is_program || aside || listed.contains(&path), "{path} has no row in docs/drivers.md");
        }
    }
}
