//! Everything at once, and everything breaks. `make chaos TIME=600` runs it for longer;
//! `PGSTRATA_CHAOS_SEED` repeats what the clients of a run did.

use pgstrata_tenancy::Strategy;
use pgstrata_tests::chaos::{Plan, run};

/// Of each strategy, unless the environment says otherwise.
const SECONDS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn chaos_with_search_path() {
    run(Plan::from_env(Strategy::SearchPath, SECONDS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_with_schema_qualified() {
    run(Plan::from_env(Strategy::SchemaQualified, SECONDS)).await;
}
