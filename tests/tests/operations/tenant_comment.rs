//! PostgreSQL is told the tenant in front of each statement, where the configuration wants that.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Setup, Stage, Wire};

const ACME: &str = "/*tenant='acme_corp'*/ ";
const GLOBEX: &str = "/*tenant='globex'*/ ";
/// What PostgreSQL has of the text that it runs, from a statement that reaches the tenant's schema.
const MINE: &str = "SELECT current_query() FROM users LIMIT 1";
/// The same of one that does not.
const ANYBODYS: &str = "SELECT current_query()";

fn setup() -> Setup {
    Setup::new().servers(1).line("tenancy", "query_comment = true")
}

/// What PostgreSQL has seen of an unnamed statement, and of one with a name that is bound twice.
async fn extended(wire: &mut Wire, text: &str) -> [String; 3] {
    let unnamed = wire.extended(text, &[]).await.value();
    let name = format!("s{}", text.len());
    let first = wire.parse(&name, text).bind(&name, &[]).execute().sync().answer().await.value();
    let again = wire.bind(&name, &[]).execute().sync().answer().await.value();
    wire.close(&name).sync().answer().await;
    [unnamed, first, again]
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_stands_in_front_in_both_protocols_and_strategies() {
    for strategy in STRATEGIES {
        let stage = Stage::new(setup().strategy(strategy)).await;
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        // They take turns on one server.
        for _ in 0..3 {
            for (client, comment) in [(&mut acme, ACME), (&mut globex, GLOBEX)] {
                let seen = client.simple(MINE).await.value();
                assert!(seen.starts_with(comment) && seen.ends_with("LIMIT 1"), "{seen}");
                let seen = client.simple(&format!("SELECT 1; {ANYBODYS}")).await.rows()[1][0].clone();
                assert!(seen.starts_with(comment), "{seen}");
                for seen in extended(client, MINE).await {
                    assert!(seen.starts_with(comment), "{strategy:?}: {seen}");
                }
                // One that tenants may share names none of them; no statement names another.
                for seen in extended(client, ANYBODYS).await {
                    assert!(seen.starts_with(comment) || seen == ANYBODYS, "{seen}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unnamed_statements_that_come_again_name_their_own_tenant() {
    for strategy in STRATEGIES {
        let stage = Stage::new(setup().strategy(strategy)).await;
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for _ in 0..5 {
            for (client, comment) in [(&mut acme, ACME), (&mut globex, GLOBEX)] {
                for (text, wanted) in [(MINE, comment), (ANYBODYS, ANYBODYS)] {
                    client.parse("", text).bind("", &[]).execute();
                    let seen = client.sync().answer().await.value();
                    assert!(
                        seen.starts_with(wanted) || text == ANYBODYS && seen.starts_with(comment),
                        "{seen}"
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_sees_nothing_of_it() {
    let stage = Stage::new(setup()).await;
    let mut plain = stage.wire("acme_corp").await;
    plain.simple("SET application_name = 'mine'").await;
    assert_eq!(plain.simple("SHOW application_name").await.value(), "mine");
    let other = Stage::new(Setup::new().servers(1)).await;
    let mut without = other.wire("acme_corp").await;
    for text in
        ["SELECT nothing FROM users", "SELEKT 1", "SELECT 1 / 0", "SELECT * FROM users WHERE", "SELECT 'x"]
    {
        let fault = plain.simple(text).await.fault();
        assert!(fault.is_some() && fault == without.simple(text).await.fault(), "{text}: {fault:?}");
        let fault = plain.parse("", text).sync().answer().await.fault();
        assert_eq!(fault, without.parse("", text).sync().answer().await.fault(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_of_a_tenant_can_not_leave_the_comment() {
    let stage = Stage::new(setup()).await;
    let tenant = "*/ SELECT 1 --";
    stage.superuser().await.batch_execute(&format!("CREATE SCHEMA \"{tenant}\"")).await.unwrap();
    let options = format!("-ctenant={}", tenant.replace(' ', "\\ "));
    let mut wire = Wire::login(stage.port(), "app", "app", &[("options", &options)])
        .await
        .expect("the tenant is let in");
    let seen = wire.simple(ANYBODYS).await;
    assert_eq!(seen.rows().len(), 1);
    assert!(seen.value().starts_with("/*tenant='%2A%2F%20SELECT%201%20--'*/ "), "{}", seen.value());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_put_in_front_unless_it_is_wanted() {
    let stage = Stage::new(Setup::new().servers(1)).await;
    let mut acme = stage.wire("acme_corp").await;
    assert!(!acme.simple(ANYBODYS).await.value().contains("/*"));
    for seen in extended(&mut acme, ANYBODYS).await {
        assert_eq!(seen, ANYBODYS);
    }
}
