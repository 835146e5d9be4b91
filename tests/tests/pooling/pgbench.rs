//! pgbench's own transaction, in its three modes, for two tenants at once.

use pgstrata_tenancy::Strategy::{self, SchemaQualified, SearchPath};
use pgstrata_tests::program::{client_program, run};
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::{Setup, Stage};
use tokio::process::Command;

const TENANTS: [&str; 2] = ["acme_corp", "globex"];
const CLIENTS: i64 = 4;
const TRANSACTIONS: i64 = 25;

fn pgbench(stage: &Stage, tenant: &str) -> Command {
    let mut program = client_program("pgbench");
    program.env("PGHOST", "127.0.0.1").env("PGPORT", stage.port().to_string());
    program.env("PGUSER", "app").env("PGPASSWORD", "app").env("PGDATABASE", "app");
    program.env("PGOPTIONS", tenant_option(tenant));
    program
}

async fn initialise(stage: &Stage, tenant: &str) {
    let mut program = pgbench(stage, tenant);
    program.args(["--initialize", "--scale=1", "--quiet"]);
    run(program).await;
}

async fn load(stage: &Stage, tenant: &str, mode: &str) {
    let mut program = pgbench(stage, tenant);
    let clients = CLIENTS.to_string();
    program.args(["--no-vacuum", "--protocol", mode, "--transactions", &TRANSACTIONS.to_string()]);
    // A thread for each client: pgbench prepares with a call that blocks its thread, so that a
    // client which waits for a server would keep the one which has it from ever giving it back.
    program.args(["--client", &clients, "--jobs", &clients]);
    run(program).await;
}

/// What was booked is what the accounts hold: no transaction lost, none in another tenant.
async fn check(stage: &Stage, tenant: &str, modes: i64) {
    let server = stage.superuser().await;
    let query = format!(
        "SELECT (SELECT count(*) FROM {tenant}.pgbench_history),
                (SELECT sum(delta)::bigint FROM {tenant}.pgbench_history),
                (SELECT sum(abalance)::bigint FROM {tenant}.pgbench_accounts),
                (SELECT sum(tbalance)::bigint FROM {tenant}.pgbench_tellers)"
    );
    let row = server.query_one(&query, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), CLIENTS * TRANSACTIONS * modes);
    let sum: i64 = row.get(1);
    assert_eq!((sum, sum), (row.get(2), row.get(3)));
}

async fn all_modes(strategy: Strategy) {
    let stage = Stage::new(Setup::new().strategy(strategy)).await;
    tokio::join!(initialise(&stage, TENANTS[0]), initialise(&stage, TENANTS[1]));
    for (done, mode) in ["simple", "extended", "prepared"].into_iter().enumerate() {
        tokio::join!(load(&stage, TENANTS[0], mode), load(&stage, TENANTS[1], mode));
        for tenant in TENANTS {
            check(&stage, tenant, i64::try_from(done).unwrap() + 1).await;
        }
    }
    let public = "SELECT to_regclass('public.pgbench_accounts') IS NULL";
    assert!(stage.superuser().await.query_one(public, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_by_search_path() {
    all_modes(SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_by_qualified_names() {
    all_modes(SchemaQualified).await;
}
