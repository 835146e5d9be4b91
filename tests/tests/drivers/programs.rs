//! Real drivers, two tenants at once over two servers, each strategy, on a hardened database.

use pgstrata_tenancy::Strategy::{self, SchemaQualified, SearchPath};
use pgstrata_tests::program::{client_program, node, python, run};
use pgstrata_tests::stage::names;
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Setup, Stage};
use tokio::process::Command;

async fn stage(strategy: Strategy) -> Stage {
    Stage::new(Setup::new().strategy(strategy).hardened()).await
}

/// Runs a driver's program with both tenants' URLs, and looks at public after it.
async fn drive(mut program: Command, strategy: Strategy) {
    let stage = stage(strategy).await;
    program.arg(stage.url(Some("acme_corp"))).arg(stage.url(Some("globex")));
    run(program).await;
    assert_eq!(stage.public_users().await, PUBLIC);
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_by_search_path() {
    drive(python("psycopg_tenants.py"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_by_qualified_names() {
    drive(python("psycopg_tenants.py"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg_by_search_path() {
    drive(python("asyncpg_tenants.py"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg_by_qualified_names() {
    drive(python("asyncpg_tenants.py"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_by_search_path() {
    drive(node("node_tenants.js"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_by_qualified_names() {
    drive(node("node_tenants.js"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_by_search_path() {
    psql(SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_by_qualified_names() {
    psql(SchemaQualified).await;
}

async fn psql(strategy: Strategy) {
    let stage = stage(strategy).await;
    let tenants = [(Some("acme_corp"), &ACME[..]), (Some("globex"), &GLOBEX), (None, &PUBLIC)];
    for (tenant, expected) in tenants {
        let mut program = client_program("psql");
        program.args([
            "--no-psqlrc",
            "-v",
            "ON_ERROR_STOP=1",
            "-At",
            "-c",
            "SELECT name FROM users ORDER BY id",
        ]);
        program.arg(stage.url(tenant));
        assert_eq!(run(program).await.lines().collect::<Vec<_>>(), expected);
    }
    for command in [r"\d", r"\d users", r"\dt+", r"\df", r"\copy users to stdout"] {
        let mut program = client_program("psql");
        program.args(["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-c", command]);
        program.arg(stage.url(Some("globex")));
        let said = run(program).await;
        assert!(!said.contains("acme"), "{command}:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_by_search_path() {
    tokio_postgres_interleaved(SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokio_postgres_by_qualified_names() {
    tokio_postgres_interleaved(SchemaQualified).await;
}

async fn tokio_postgres_interleaved(strategy: Strategy) {
    let stage = stage(strategy).await;
    let mut acme = stage.client("acme_corp").await;
    let globex = stage.client("globex").await;
    let one = "SELECT name FROM users WHERE id = $1";
    let mine = acme.prepare(one).await.unwrap();
    let theirs = globex.prepare(one).await.unwrap();
    for _ in 0..10 {
        let (left, right) =
            tokio::join!(acme.query_one(&mine, &[&1i32]), globex.query_one(&theirs, &[&1i32]));
        assert_eq!(left.unwrap().get::<_, &str>(0), "Alice");
        assert_eq!(right.unwrap().get::<_, &str>(0), "Hank");
    }
    let transaction = acme.transaction().await.unwrap();
    transaction.execute("INSERT INTO users (name, email) VALUES ('Dora', 'd')", &[]).await.unwrap();
    assert_eq!(names(&globex, "SELECT name FROM users ORDER BY id").await, GLOBEX);
    transaction.rollback().await.unwrap();
    assert_eq!(names(&acme, "SELECT name FROM users ORDER BY id").await, ACME);
    assert_eq!(stage.public_users().await, PUBLIC);
}
