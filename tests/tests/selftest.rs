//! `pgstrata selftest`, the real program against a real deployment.

use std::process::Output;

use pgstrata::demo::postgres::Cluster;
use pgstrata_tenancy::Tier;
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::{Setup, database, stage};

/// Runs it against `cluster` with what `setup` says of the deployment.
async fn selftest(cluster: &Cluster, setup: Setup, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgstrata.toml");
    std::fs::write(&file, setup.toml(stage::free_port(), stage::free_port(), cluster.port())).unwrap();
    let mut program = pgstrata();
    program.arg("selftest").arg("--config").arg(file).args(arguments);
    program.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn deployment_holds_and_nothing_is_left_of_the_test() {
    let cluster = database::cluster().await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    let refused = selftest(&cluster, Setup::new(), &[]).await;
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.lines().count() == 1 && said.contains("GRANT CREATE"),
        "{said}"
    );

    admin.batch_execute("GRANT CREATE ON DATABASE app TO app").await.unwrap();
    let output = selftest(&cluster, Setup::new(), &[]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains(" 0 broken,"), "{said}");
    assert!(said.contains("held    another schema by name (112 attempts)"), "{said}");
    assert!(said.contains("missing_tenant is \"public\"") && !said.contains("superuser"), "{said}");

    let output = selftest(&cluster, Setup::new(), &["--json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["broken"], 0, "{report:#}");
    let left = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'pgstrata%'";
    assert!(stage::names(&admin, left).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_deployment_is_warned_of() {
    let cluster = database::cluster().await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    admin.batch_execute("ALTER ROLE app SUPERUSER; GRANT CREATE ON SCHEMA public TO app").await.unwrap();
    let user = "name = 'migrations'\npassword = 'x'\ntenants = ['*']\ndynamic_sql = 'allow'";
    let setup = Setup::new().line("tenancy", "shared_writes = true").user(user);
    let said = String::from_utf8(selftest(&cluster, setup, &[]).await.stdout).unwrap();
    for warning in ["is a superuser", "shared_writes is true", "user \"migrations\"", "may create objects"] {
        assert!(said.contains(warning), "{warning}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_are_tested_with_roles_that_go_again() {
    let cluster = database::cluster().await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    admin.batch_execute("GRANT CREATE ON DATABASE app TO app").await.unwrap();
    let url = format!("postgresql://admin:admin@127.0.0.1:{}/app", cluster.port());
    admin.batch_execute("CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'admin'").await.unwrap();
    for tier in [Tier::Role, Tier::Login] {
        let setup = || Setup::new().tier(tier);
        let output = selftest(&cluster, setup(), &["--admin-url", &url]).await;
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && said.contains(" 0 broken,"), "{tier}: {said}");
        assert!(!said.contains("was not tested"), "{tier}: {said}");
        let left = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE '%selftest%'
                    UNION ALL SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '%selftest%'";
        assert!(stage::names(&admin, left).await.is_empty());

        // Who may make no role tests what can be tested, and is told so.
        let output = selftest(&cluster, setup(), &[]).await;
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && said.contains(" 0 broken,"), "{tier}: {said}");
        let warning =
            format!("tier \"{tier}\" was not tested, but \"names\": permission denied to create role");
        assert!(said.contains(&warning), "{tier}: {said}");
        assert!(stage::names(&admin, left).await.is_empty());
    }
}
