//! Real applications' schemas: each is put up by the application itself, as a role that is no superuser,
//! then copied by another one, and then the application works in the copy.

use pgstrata_control::provision::{Ensured, Synced};
use pgstrata_control::{Control, Settings};
use pgstrata_tenancy::Pattern;
use pgstrata_tests::Ground;
use pgstrata_tests::dump::assert_alike;
use pgstrata_tests::ground::DATABASE;
use pgstrata_tests::program::{node, python, run};
use tokio_postgres::NoTls;

/// Role `owner`, which applications log in as, and role `keeper`, which makes tenants: both no superusers.
async fn ground() -> Ground {
    let ground = Ground::new().await;
    ground
        .run(&format!(
            "CREATE ROLE owner LOGIN PASSWORD 'owner'; CREATE ROLE keeper LOGIN; GRANT owner TO keeper;
             GRANT CREATE ON DATABASE {DATABASE} TO keeper, owner; CREATE SCHEMA template AUTHORIZATION owner"
        ))
        .await;
    ground
}

fn url(ground: &Ground, path: &str) -> String {
    let address = format!("127.0.0.1:{}", ground.cluster.port());
    format!("postgresql://owner:owner@{address}/{DATABASE}?options=-csearch_path%3D{path}")
}

async fn provisioned(ground: &Ground, seed: &[&str]) -> Synced {
    let mut login = ground.cluster.superuser(DATABASE);
    login.user("keeper");
    let seed = seed.iter().map(|pattern| Pattern::new(pattern)).collect();
    let settings = Settings { source: "template".into(), seed, ..Settings::default() };
    let control = Control::new(login, NoTls, 1, settings).unwrap();
    let mut told = Vec::new();
    let synced =
        control.sync_tenant_schemas(&["acme".into()], |_, ensured| told.push(ensured)).await.unwrap();
    assert_eq!(told, [Some(Ensured::Created)], "{synced:?}");
    synced
}

#[tokio::test(flavor = "multi_thread")]
async fn django_contrib() {
    let ground = ground().await;
    let django = |path: &str, what: &str| {
        let mut program = python("django_contrib.py");
        program.arg(url(&ground, path)).arg(what);
        run(program)
    };
    django("template", "migrate").await;
    let synced = provisioned(&ground, &[]).await;
    assert!(synced.remarks.is_empty(), "{synced:?}");
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
    // Django fills its tables while it migrates: a tenant gets none of it.
    django("acme", "use").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn procrastinate() {
    let ground = ground().await;
    let procrastinate = |path: &str, what: &str| {
        let mut program = python("procrastinate_jobs.py");
        program.arg(url(&ground, path)).arg(what);
        run(program)
    };
    procrastinate("template", "schema").await;
    let synced = provisioned(&ground, &[]).await;
    assert!(synced.remarks.is_empty(), "{synced:?}");
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
    procrastinate("acme", "work").await;
    procrastinate("template", "work").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_boss() {
    let ground = ground().await;
    let boss = |schema: &str, what: &str| {
        let mut program = node("pg_boss.js");
        program.arg(url(&ground, "public")).arg(schema).arg(what);
        run(program)
    };
    boss("template", "start").await;
    // It looks for its version before it does anything.
    let synced = provisioned(&ground, &["version"]).await;
    assert!(synced.remarks.is_empty(), "{synced:?}");
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
    // Its function makes a partition for each queue, by SQL that it puts together: the tenant's.
    let before = ground.inventory().await;
    boss("acme", "work").await;
    let after = ground.inventory().await;
    let made: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(!made.is_empty() && !made.iter().any(|line| line.contains("template")), "{made:#?}");
    boss("template", "work").await;
}
