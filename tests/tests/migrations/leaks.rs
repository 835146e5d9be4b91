//! What a file leaves on its connection does not reach the next one.

use pgstrata_tests::{Schemas, schemas};

/// Each of these leaves something behind; each of them, run behind itself, would notice.
const LEAVES: &[&str] = &[
    "SET search_path TO public",
    "SELECT set_config('search_path', 'public', false)",
    "SET ROLE app",
    "SET SESSION AUTHORIZATION app",
    "SET LOCAL ROLE app; SET LOCAL search_path TO public",
    "SET lock_timeout TO '1h'; SET standard_conforming_strings TO off",
    "CREATE TEMP TABLE users (temporary int)",
    "PREPARE left_behind AS SELECT 1",
    "SELECT pg_advisory_lock(1)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "LISTEN acme",
    "SET default_transaction_read_only TO on",
    "SET default_transaction_isolation TO serializable",
];

#[tokio::test(flavor = "multi_thread")]
async fn each_file_finds_a_connection_as_new() {
    // One worker: all of it goes over one connection, were it kept.
    let tenants: Vec<String> = (0..3).map(|i| format!("t{i}")).collect();
    let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
    let schemas = Schemas::with(schemas::settings(), 1, &tenants).await;
    schemas.run("CREATE TABLE public.seen (it text); GRANT ALL ON public.seen TO app").await;
    for (n, leaves) in LEAVES.iter().enumerate() {
        let looks = format!(
            "INSERT INTO public.seen SELECT concat_ws(' ', current_setting('search_path') = format('%I, public', current_schema()),
                 current_user, session_user, current_setting('lock_timeout'), current_setting('standard_conforming_strings'),
                 to_regclass('pg_temp.users'), (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
                 (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
                 (SELECT count(*) FROM pg_cursors WHERE is_holdable), (SELECT count(*) FROM pg_listening_channels()),
                 current_setting('transaction_isolation'));
             CREATE TABLE made_{n} (id int); {leaves}"
        );
        schemas.file(&format!("{n}_leaves.sql"), looks);
    }
    schemas.bring().await;
    let seen = schemas.values("SELECT it || ' ' || count(*) FROM public.seen GROUP BY it").await;
    let each = LEAVES.len() * 4;
    assert_eq!(seen, [format!("t postgres postgres 50ms on 0 1 0 0 read committed {each}")]);
    let made = "SELECT count(*) FROM pg_tables WHERE tablename ~ '^made_' AND tableowner = 'postgres' GROUP BY schemaname";
    let all = LEAVES.len().to_string();
    assert_eq!(schemas.values(made).await, [all.as_str(); 4]);
    // Nor is it found by those who use the pool otherwise.
    assert_eq!(schemas.control.versions().await.unwrap().counts.len(), 1);
}

/// A role that its login has by default is what migrations run as, whatever files set.
#[tokio::test(flavor = "multi_thread")]
async fn default_role_holds_for_each_file() {
    let schemas = Schemas::new(&[]).await;
    schemas
        .run("CREATE ROLE owner; CREATE ROLE deploy LOGIN SUPERUSER; ALTER ROLE deploy SET role = 'owner'")
        .await;
    schemas.run("GRANT ALL ON SCHEMA template, pgstrata_control TO owner").await;
    schemas.run("GRANT ALL ON ALL TABLES IN SCHEMA pgstrata_control TO owner").await;
    let mut config = schemas.cluster.superuser("app");
    config.user("deploy");
    let control = schemas::control(config, schemas::settings(), 1);
    schemas.file("1_a.sql", "CREATE TABLE a (id int); SET ROLE NONE; CREATE TABLE b (id int)");
    schemas.file("2_b.sql", "CREATE TABLE c (id int)");
    let report = control.migrate(&schemas.migrations(), &Default::default()).await.unwrap();
    assert!(report.is_ok(), "{report:#?}");
    let owners = "SELECT tableowner FROM pg_tables WHERE schemaname = 'template' ORDER BY tablename";
    assert_eq!(schemas.values(owners).await, ["owner", "deploy", "owner"]);
}
