//! The tier `role`.

use pgstrata_tenancy::Tier;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn own_rows() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).tier(Tier::Role).servers(1)).await;
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for _ in 0..3 {
            assert_eq!(acme.simple(NAMES).await.column(), ACME);
            assert_eq!(globex.simple(NAMES).await.column(), GLOBEX);
            assert_eq!(acme.extended(NAMES, &[]).await.column(), ACME);
            assert_eq!(globex.extended(NAMES, &[]).await.column(), GLOBEX);
            assert_eq!(acme.simple("SELECT current_user").await.value(), "tenant_acme_corp");
            assert_eq!(globex.extended("SELECT current_user", &[]).await.value(), "tenant_globex");
            assert_eq!(acme.simple("VACUUM users").await.code(), "");
            assert_eq!(globex.extended("VACUUM users", &[]).await.code(), "");
        }
    }
}
