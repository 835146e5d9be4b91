//! Sessions that nobody wrote. A few seconds each here; `make fuzz-sessions` goes on for longer.

use pgstrata_tenancy::{Strategy, Tier};
use pgstrata_tests::fuzz::knobs::Knobs;
use pgstrata_tests::fuzz::sessions::neutral::{PATIENCE, difference, look};
use pgstrata_tests::fuzz::sessions::run;
use pgstrata_tests::fuzz::world::{Conditions, World};

/// What each test tries, unless the environment says otherwise.
const SEED: u64 = 17;
const REQUESTS: u64 = 300;

/// The fuzzer sees what differs.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_not_as_new_are_found() {
    let conditions =
        Conditions { strategy: Strategy::SearchPath, tier: Tier::Names, hide: false, user: "acme" };
    let world = World::new(conditions).await;
    let (_, usual) = look(&world, "globex", false, PATIENCE).await.unwrap();
    let (_, same) = look(&world, "globex", true, PATIENCE).await.unwrap();
    assert_eq!(difference(&usual, &same), None);
    for (setting, name) in [("work_mem = '5MB'", "work_mem"), ("app.user_id = 'x'", "app.user_id")] {
        world.server().batch_execute(&format!("ALTER ROLE app SET {setting}")).await.unwrap();
        world.close_servers().await;
        let (_, seen) = look(&world, "globex", false, PATIENCE).await.unwrap();
        let found = difference(&usual, &seen).unwrap();
        assert!(found.starts_with(name) || found.contains(&format!("; {name}")), "{found}");
    }
}

async fn with(strategy: Strategy, tier: Tier) {
    run(Conditions { strategy, tier, hide: false, user: "acme" }, Knobs::from_env(SEED, REQUESTS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_path_in_tier_names() {
    with(Strategy::SearchPath, Tier::Names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_qualified_in_tier_names() {
    with(Strategy::SchemaQualified, Tier::Names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_path_in_tier_role() {
    with(Strategy::SearchPath, Tier::Role).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_qualified_in_tier_role() {
    with(Strategy::SchemaQualified, Tier::Role).await;
}
