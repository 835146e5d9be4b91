//! Texts that nobody wrote. A few seconds each here; `make fuzz` goes on for longer.

use pgstrata_tenancy::{Strategy, Tier};
use pgstrata_tests::fuzz::compose::{Form, Text};
use pgstrata_tests::fuzz::drive::{Tally, session};
use pgstrata_tests::fuzz::knobs::Knobs;
use pgstrata_tests::fuzz::texts::run;
use pgstrata_tests::fuzz::world::{Conditions, World};

/// What each test tries, unless the environment says otherwise.
const SEED: u64 = 17;
const TEXTS: u64 = 400;

/// The fuzzer sees what goes wrong: these texts are let through for a user whose SQL may carry SQL.
#[tokio::test(flavor = "multi_thread")]
async fn texts_that_reach_another_tenant_are_found() {
    let conditions =
        Conditions { strategy: Strategy::SearchPath, tier: Tier::Names, hide: false, user: "tool" };
    let mut world = World::new(conditions).await;
    for (body, kind) in [
        ("perform 1", None),
        ("raise notice '%', (select name from globex.users limit 1)", Some("leak")),
        ("raise exception '%', (select max(id) from globex.users)", Some("leak")),
        ("insert into globex.ledger (note) values ('x')", Some("changed")),
        ("perform from globex.users for update", Some("changed")),
        ("create table globex.made ()", Some("changed")),
        ("comment on column globex.users.id is 'x'", Some("changed")),
        ("grant select on globex.users to public", Some("changed")),
        ("perform nextval('globex.tokens')", Some("changed")),
        ("analyze globex.notes", Some("changed")),
        ("perform lo_create(0)", Some("changed")),
        ("update public.plans set name = name", Some("changed")),
        ("create type globex.made as enum ()", Some("changed")),
        ("drop table globex.zq_hidden_table", Some("changed")),
    ] {
        for form in [Form::Simple, Form::Extended] {
            let text = Text { form, parts: vec![format!("do $$ begin {body}; end $$")] };
            assert_eq!(session_of(&world, &[text]).await, kind, "{body}");
            world.restore().await;
        }
    }
}

async fn session_of(world: &World, texts: &[Text]) -> Option<&'static str> {
    session(world, texts, &mut Tally::default()).await.err().map(|wrong| wrong.kind())
}

async fn with(strategy: Strategy, tier: Tier, hide: bool) {
    run(Conditions { strategy, tier, hide, user: "acme" }, Knobs::from_env(SEED, TEXTS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_path_in_tier_names() {
    with(Strategy::SearchPath, Tier::Names, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_qualified_in_tier_names() {
    with(Strategy::SchemaQualified, Tier::Names, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_path_in_tier_role() {
    with(Strategy::SearchPath, Tier::Role, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_qualified_in_tier_role() {
    with(Strategy::SchemaQualified, Tier::Role, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_path_with_a_catalog_that_hides() {
    with(Strategy::SearchPath, Tier::Names, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_qualified_with_a_catalog_that_hides() {
    with(Strategy::SchemaQualified, Tier::Role, true).await;
}
