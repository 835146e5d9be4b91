//! `pgstrata selftest`, the real program against a real deployment.

use std::process::Output;

use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata_tenancy::Tier;
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::{Setup, database, stage};
use tokio_postgres::Client;

/// Runs it against `cluster` with what `setup` says of the deployment.
async fn selftest(cluster: &Cluster, setup: Setup, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgstrata.toml");
    std::fs::write(&file, setup.toml(stage::free_port(), stage::free_port(), cluster.port())).unwrap();
    let mut program = pgstrata();
    program.arg("selftest").arg("--config").arg(file).args(arguments);
    program.output().await.unwrap()
}

/// What a run said, and whether it ended well.
async fn said(cluster: &Cluster, setup: Setup, arguments: &[&str]) -> (String, bool) {
    let output = selftest(cluster, setup, arguments).await;
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.success())
}

/// With a login that makes schemas and roles, and is no superuser.
fn with_control(setup: Setup) -> Setup {
    setup.line("databases.app", "[databases.app.control]\nuser = 'keeper'\npassword = 'keeper'")
}

async fn keeper(admin: &Client) {
    let keeper = "CREATE ROLE keeper LOGIN PASSWORD 'keeper' CREATEROLE; GRANT CREATE ON DATABASE app TO keeper;
                  GRANT app TO keeper; GRANT CONNECT ON DATABASE app TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC";
    admin.batch_execute(keeper).await.unwrap();
}

async fn nothing_is_left(admin: &Client) {
    let left = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE '%selftest%'
                UNION ALL SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '%selftest%'";
    assert!(stage::names(admin, left).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn deployment_holds_and_nothing_is_left_of_the_test() {
    let cluster = database::hardened_cluster().await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    let (refused, ended_well) = said(&cluster, Setup::new(), &[]).await;
    assert!(!ended_well && refused.lines().count() == 1, "{refused}");
    assert!(refused.contains("[databases.app.control]"), "{refused}");

    keeper(&admin).await;
    let (text, ended_well) = said(&cluster, with_control(Setup::new()), &[]).await;
    assert!(ended_well && text.contains(" 0 broken,"), "{text}");
    assert!(text.contains("held    another schema by name (112 attempts)"), "{text}");
    for class in [
        "texts that PostgreSQL reads in another way",
        "objects of other sessions by name",
        "outdated knowledge of the catalog",
        "tracked state of sessions",
        "load on other tenants",
    ] {
        assert!(text.contains(&format!("held    {class} (")), "{class}: {text}");
    }
    assert!(text.contains("missing_tenant is \"public\"") && !text.contains("the servers' role"), "{text}");
    nothing_is_left(&admin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_deployment_is_warned_of() {
    let cluster = database::cluster_like(Options::default(), false).await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    admin.batch_execute("ALTER ROLE app SUPERUSER; GRANT CREATE ON SCHEMA public TO app").await.unwrap();
    let user =
        "name = 'migrations'\npassword = 'x'\ntenants = ['*']\ndynamic_sql = 'allow'\ntenant_switch = true";
    let (text, _) =
        said(&cluster, with_control(Setup::new()).user(user), &["--admin-url", &url(&admin, &cluster).await])
            .await;
    for warning in [
        "is a superuser",
        "user \"migrations\" has dynamic_sql",
        "user \"migrations\" has tenant_switch",
        "user \"app\" has statements = \"all\"",
        "may create objects in schema \"public\"",
        "may use large objects",
        "pgstrata sql harden",
    ] {
        assert!(text.contains(warning), "{warning}: {text}");
    }
}

/// Another login than the file's, a superuser.
async fn url(admin: &Client, cluster: &Cluster) -> String {
    admin.batch_execute("CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'admin'").await.unwrap();
    format!("postgresql://admin:admin@127.0.0.1:{}/app", cluster.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tier_of_the_file_is_tested_with_roles_that_go_again() {
    let cluster = database::hardened_cluster().await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    keeper(&admin).await;
    if database::install().major < 16 {
        admin.batch_execute("ALTER ROLE app NOINHERIT").await.unwrap();
    }
    let setup =
        with_control(Setup::new().tier(Tier::Role).line("tenancy", "[tenants.other]\ntier = 'login'"));
    let output = selftest(&cluster, setup, &["--json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && report["broken"] == 0, "{report:#}");
    let classes = report["classes"].as_array().unwrap();
    let attempts =
        |name: &str| classes.iter().find(|class| class["class"] == name).unwrap()["attempts"].clone();
    assert_eq!(attempts("another schema by name"), 2 * 112);
    assert!(attempts("refusals of PostgreSQL itself").as_u64().unwrap() > 100, "{report:#}");
    let warnings = report["warnings"].to_string();
    assert!(!warnings.contains("was not tested"), "{warnings}");
    nothing_is_left(&admin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tier_that_can_not_be_tested_is_told() {
    let cluster = database::cluster().await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    // Who may make no role tests what can be tested.
    admin.batch_execute("GRANT CREATE ON DATABASE app TO app").await.unwrap();
    let (text, ended_well) = said(&cluster, Setup::new().tier(Tier::Role), &[]).await;
    assert!(ended_well && text.contains(" 0 broken,"), "{text}");
    assert!(text.contains("tier \"role\" was not tested, and \"names\" was tested instead: "), "{text}");
    assert!(text.contains("permission denied to create role"), "{text}");
    nothing_is_left(&admin).await;
}

/// A report over all tenants, as an administrator may have put it into the database for somebody else.
const REPORT: &str = "
    CREATE FUNCTION public.all_rows() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE tenant regclass;
    BEGIN
        FOR tenant IN SELECT oid FROM pg_class WHERE relname = 'secrets' LOOP
            RETURN QUERY EXECUTE format('SELECT t::text FROM %s t', tenant);
        END LOOP;
    END $$;
    CREATE VIEW public.everything AS SELECT * FROM public.all_rows() AS row;
    GRANT SELECT ON public.everything TO PUBLIC";

#[tokio::test(flavor = "multi_thread")]
async fn deployment_that_leaks_is_shown_to_be_broken() {
    let cluster = database::hardened_cluster().await;
    let admin = stage::connect(&cluster.superuser("app")).await.unwrap();
    keeper(&admin).await;
    admin.batch_execute(REPORT).await.unwrap();
    if database::install().major < 16 {
        admin.batch_execute("ALTER ROLE app NOINHERIT").await.unwrap();
    }
    let (text, ended_well) = said(&cluster, with_control(Setup::new().tier(Tier::Role)), &[]).await;
    assert!(!ended_well && text.contains("classes of attacks succeeded"), "{text}");
    assert!(text.contains("BROKEN  views of shared schemas (2 attempts)"), "{text}");
    assert!(text.contains("by role, search_path: public.everything"), "{text}");
    assert!(text.contains("held    another schema by name"), "what the proxy holds, it holds: {text}");
    nothing_is_left(&admin).await;
}
