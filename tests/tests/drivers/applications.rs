//! Applications that know nothing of tenants, in two tenants at once over two servers, each strategy. The database
//! is hardened: nothing that is taken away there is missed.

use pgstrata_tenancy::Strategy::{self, SchemaQualified, SearchPath};
use pgstrata_tests::program::{client_program, java, node, python, run};
use pgstrata_tests::{PUBLIC, Setup, Stage};
use tokio::process::Command;

/// What is in `public`: relations, types and functions, seen past the proxy.
const IN_PUBLIC: &str = "
    SELECT array_to_string(array_agg(name ORDER BY name), ' ') FROM (
        SELECT 'r ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT 't ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
        UNION ALL SELECT 'f ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ) found (name)";

async fn in_public(stage: &Stage) -> String {
    stage.superuser().await.query_one(IN_PUBLIC, &[]).await.unwrap().get(0)
}

/// Runs an application with both tenants' URLs: nothing may come to be in public.
async fn application(mut program: Command, strategy: Strategy) {
    let stage = Stage::new(Setup::new().strategy(strategy).hardened()).await;
    let before = in_public(&stage).await;
    program.arg(stage.url(Some("acme_corp"))).arg(stage.url(Some("globex")));
    run(program).await;
    assert_eq!(in_public(&stage).await, before);
    assert_eq!(stage.public_users().await, PUBLIC);
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlalchemy_by_search_path() {
    application(python("sqlalchemy_app.py"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlalchemy_by_qualified_names() {
    application(python("sqlalchemy_app.py"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn django_by_search_path() {
    application(python("django_app.py"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn django_by_qualified_names() {
    application(python("django_app.py"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg_pool_by_search_path() {
    application(python("asyncpg_pool.py"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg_pool_by_qualified_names() {
    application(python("asyncpg_pool.py"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_by_search_path() {
    application(node("node_postgres_app.js"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_postgres_by_qualified_names() {
    application(node("node_postgres_app.js"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typeorm_by_search_path() {
    application(node("typeorm_app.js"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typeorm_by_qualified_names() {
    application(node("typeorm_app.js"), SchemaQualified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc_by_search_path() {
    application(java("JdbcApp.java"), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc_by_qualified_names() {
    application(java("JdbcApp.java"), SchemaQualified).await;
}

/// The clients of the PostgreSQL that is tested: pg_dump refuses a newer server.
fn pg_dump() -> Command {
    let mut program = python("pg_dump_tenant.py");
    let client = client_program("pg_dump");
    if let Some(folder) = std::path::Path::new(client.as_std().get_program()).parent() {
        program.env("PG_BIN", folder);
    }
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_dump_by_search_path() {
    application(pg_dump(), SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_dump_by_qualified_names() {
    application(pg_dump(), SchemaQualified).await;
}
