//! A tenant that was provisioned is like the source.

use pgstrata_control::provision::Ensured;
use pgstrata_control::{Control, SchemaName, Settings};
use pgstrata_tests::Ground;
use pgstrata_tests::dump::{Description, assert_alike, assert_same_rows, leaks};
use pgstrata_tests::ground::{DATABASE, ensure};

/// The tenant is like the source, a tenant of that tenant is so too, and neither is said to differ.
async fn alike(ground: &Ground, source: &str) {
    let before = Description::of(&ground.cluster, DATABASE, source).await;
    let control = ground.control_of(source);
    create(&control, "acme").await;
    assert_alike(&ground.cluster, DATABASE, source, "acme", &[]).await;
    let tenant = SchemaName::new("acme", control.settings()).unwrap();
    let differences = control.diff(&tenant, &control.structure().await.unwrap()).await.unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
    create(&ground.control_of("acme"), "Ac\"me's 2nd").await;
    assert_alike(&ground.cluster, DATABASE, source, "Ac\"me's 2nd", &[]).await;
    assert_eq!(leaks(&ground.cluster, DATABASE, source, &[]).await, [""; 0]);
    assert_eq!(Description::of(&ground.cluster, DATABASE, source).await, before, "the source is as it was");
}

async fn create(control: &Control, tenant: &str) {
    match ensure(control, tenant).await {
        Ok(ensured) => assert_eq!(ensured, Ensured::Created),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_from_public() {
    alike(&Ground::with_everything("public").await, "public").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_from_template() {
    alike(&Ground::with_everything("template").await, "template").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_from_an_odd_name() {
    alike(&Ground::with_everything("Weird \"src\"").await, "Weird \"src\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_schema_with_the_same_names_is_not_taken_for_the_tenants() {
    let ground = Ground::with_everything("template").await;
    ground
        .source(
            "public",
            &["CREATE TABLE people (); CREATE TYPE mood AS ENUM (); CREATE SEQUENCE plain_numbers;
        CREATE FUNCTION is_short(text) RETURNS boolean LANGUAGE sql RETURN true;
        CREATE FUNCTION same_text(text, text) RETURNS boolean LANGUAGE sql RETURN true;
        CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same_text, COMMUTATOR = ===)"],
        )
        .await;
    let before = ground.inventory().await;
    let control = ground.control(Settings { source: "template".into(), ..Settings::default() });
    create(&control, "acme").await;
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
    let after = ground.inventory().await;
    assert!(before.iter().all(|line| after.contains(line)), "what was there is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_has_all_rows_too() {
    let ground = Ground::with_everything("template").await;
    let control = ground.control_of("template");
    create(&control, "acme").await;
    ground.source("acme", &[include_str!("../../schemas/everything/rows.sql")]).await;
    // Their rows do not obey them: such they were before the constraint came.
    ground
        .source(
            "acme",
            &["ALTER TABLE keys DROP CONSTRAINT unproven; INSERT INTO keys (a, b, c, e) VALUES (7, 8, 9, 0);
        ALTER TABLE keys ADD CONSTRAINT unproven CHECK (e <> 0) NOT VALID"],
        )
        .await;
    let [acme, copy] = ["acme", "co\"py"].map(|name| SchemaName::new(name, control.settings()).unwrap());
    control.clone_schema(&acme, &copy).await.unwrap_or_else(|error| panic!("{error}"));
    assert_same_rows(&ground.cluster, DATABASE, "acme", "co\"py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_source_stay_there() {
    let ground = Ground::with_everything("template").await;
    ground.source("template", &[include_str!("../../schemas/everything/rows.sql")]).await;
    create(&ground.control_of("template"), "acme").await;
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
    let filled = ground
        .names(
            "SELECT relname::text FROM pg_class c WHERE relnamespace = 'acme'::regnamespace AND relkind = 'r'
        AND pg_relation_size(oid) > 0",
        )
        .await;
    assert_eq!(filled, [""; 0]);
}
