//! What each call waits for, counted between the ORM and PostgreSQL; connecting is one.
//!
//! One thread, so that what is sent at once is counted as one, always.

use std::time::Duration;

use pgstrata_orm::{
    DatabaseKind, EntityManager, Error, IsolationLevel, MetadataContext, Options, Strategy,
    TransactionOptions,
};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{Plan, User};
use pgstrata_tests::{Relay, Shop};

/// A shop that logs each statement, and a relay in front of it.
async fn shop() -> (Shop, Relay) {
    let shop = Shop::new(&["acme_corp"]).await;
    shop.run("ALTER DATABASE shop SET log_statement = 'all'").await;
    let relay = Relay::start(shop.cluster.port()).await;
    (shop, relay)
}

/// What a call costs the first time, with the connect, and each time once the pool is warm.
async fn cost(
    (shop, relay): &(Shop, Relay),
    configure: impl Fn(Options) -> Options,
    tenant: &str,
    call: impl AsyncFn(&EntityManager),
) -> (u64, u64) {
    let em = shop.manager(configure(shop.options_on(relay.port()))).await;
    let before = relay.round_trips();
    MetadataContext::run(tenant, call(&em)).await;
    let first = relay.round_trips() - before;
    // A statement may be prepared meanwhile: that must not cost anything, either.
    let before = relay.round_trips();
    for _ in 0..10 {
        MetadataContext::run(tenant, call(&em)).await;
    }
    let ten = relay.round_trips() - before;
    assert_eq!(ten % 10, 0, "{ten} round trips for ten calls");
    assert_eq!(em.connections(), (1, 1));
    (first, ten / 10)
}

/// The statements of the ORM that PostgreSQL has logged since the last time.
fn logged(shop: &Shop, seen: &mut usize) -> Vec<String> {
    let log = shop.cluster.log();
    let new = log[*seen..].to_owned();
    *seen = log.len();
    let lines = new.lines().filter_map(|line| {
        let line = line.split_once("LOG:  ")?.1;
        let rest = line
            .strip_prefix("statement: ")
            .or_else(|| Some(line.strip_prefix("execute ")?.split_once(": ")?.1))?;
        Some(rest.to_owned())
    });
    lines.collect()
}

async fn read(em: &EntityManager) {
    assert_eq!(em.find::<User>().await.unwrap().len(), 1);
}

async fn write(em: &EntityManager) {
    assert_eq!(em.update::<User>().set(User::ROLE, "x").everywhere().await.unwrap(), 1);
}

const PIPELINED: fn(Options) -> Options = |options| options;

#[tokio::test]
async fn tenant_read() {
    let stage = shop().await;
    for (strategy, naive, pipelined) in
        [(Strategy::SearchPath, (5, 4), (2, 1)), (Strategy::SchemaQualified, (2, 1), (2, 1))]
    {
        let step_by_step = |options: Options| options.tenant_strategy(strategy).pipelined(false);
        assert_eq!(cost(&stage, step_by_step, "acme_corp", read).await, naive, "{strategy}");
        let at_once = |options: Options| options.tenant_strategy(strategy);
        assert_eq!(cost(&stage, at_once, "acme_corp", read).await, pipelined, "{strategy}");
    }
    // What is said if nothing is said.
    assert_eq!(cost(&stage, PIPELINED, "acme_corp", read).await, (2, 1));
}

#[tokio::test]
async fn non_tenant_read() {
    let stage = shop().await;
    let pinned = async |em: &EntityManager| assert_eq!(em.count::<Plan>().await.unwrap(), 0);
    for strategy in STRATEGIES {
        for pipelined in [false, true] {
            let configure = |options: Options| options.tenant_strategy(strategy).pipelined(pipelined);
            assert_eq!(cost(&stage, configure, "public", read).await, (2, 1), "{strategy}");
            // A table that is the same for all is no tenant's, whoever reads it.
            assert_eq!(cost(&stage, configure, "acme_corp", pinned).await, (2, 1), "{strategy}");
        }
    }
}

#[tokio::test]
async fn read_is_sent_as_the_strategy_says() {
    let stage = shop().await;
    let columns = r#""id", "name", "e-mail ""address""", "role""#;
    let mut seen = 0;
    for (strategy, expected) in [
        (
            Strategy::SearchPath,
            vec![
                "BEGIN READ ONLY".to_owned(),
                "SET LOCAL search_path TO \"acme_corp\"".to_owned(),
                format!("SELECT {columns} FROM \"users\""),
                "COMMIT".to_owned(),
            ],
        ),
        (Strategy::SchemaQualified, vec![format!("SELECT {columns} FROM \"acme_corp\".\"users\"")]),
    ] {
        let options = stage.0.options().tenant_strategy(strategy).pipelined(false);
        let em = stage.0.manager(options).await;
        // The first time PostgreSQL is asked, in the same flight, what the name stands for.
        MetadataContext::run("acme_corp", read(&em)).await;
        logged(&stage.0, &mut seen);
        MetadataContext::run("acme_corp", read(&em)).await;
        assert_eq!(logged(&stage.0, &mut seen), expected);
    }
}

#[tokio::test]
async fn write_is_a_transaction_under_both() {
    let stage = shop().await;
    let mut seen = 0;
    for (strategy, table) in
        [(Strategy::SearchPath, "\"users\""), (Strategy::SchemaQualified, "\"acme_corp\".\"users\"")]
    {
        let step_by_step = |options: Options| options.tenant_strategy(strategy).pipelined(false);
        assert_eq!(cost(&stage, step_by_step, "acme_corp", write).await, (5, 4), "{strategy}");
        logged(&stage.0, &mut seen);
        let at_once = |options: Options| options.tenant_strategy(strategy);
        assert_eq!(cost(&stage, at_once, "acme_corp", write).await, (2, 1), "{strategy}");
        let logged = logged(&stage.0, &mut seen);
        let expected = [
            "BEGIN READ WRITE; SET LOCAL search_path TO \"acme_corp\"",
            &format!("UPDATE {table} AS t0 SET \"role\" = $1"),
            "COMMIT",
        ];
        assert_eq!(logged[..3], expected);
    }
}

#[tokio::test]
async fn query_timeout_is_a_transaction_under_both() {
    let stage = shop().await;
    let mut seen = 0;
    for strategy in STRATEGIES {
        for (call, begin) in [(true, "BEGIN READ ONLY"), (false, "BEGIN READ WRITE")] {
            let call = async |em: &EntityManager| if call { read(em).await } else { write(em).await };
            let limited = |options: Options| {
                options.tenant_strategy(strategy).query_timeout(Duration::from_secs(20)).pipelined(false)
            };
            logged(&stage.0, &mut seen);
            assert_eq!(cost(&stage, limited, "acme_corp", call).await, (5, 4), "{strategy}");
            let statements = logged(&stage.0, &mut seen);
            let path = "SET LOCAL search_path TO \"acme_corp\"; SET LOCAL statement_timeout = 20000";
            assert_eq!(statements[..2], [begin, path], "{strategy}");
            assert_eq!(
                cost(&stage, |options| limited(options).pipelined(true), "acme_corp", call).await,
                (2, 1)
            );
        }
    }
}

#[tokio::test]
async fn transaction_of_the_application() {
    let stage = shop().await;
    let call = async |em: &EntityManager| {
        let tx = em.begin().await.unwrap();
        assert_eq!(tx.find::<User>().await.unwrap().len(), 1);
        tx.commit().await.unwrap();
    };
    for strategy in STRATEGIES {
        assert_eq!(
            cost(&stage, |options| options.tenant_strategy(strategy), "acme_corp", call).await,
            (4, 3)
        );
    }
}

#[tokio::test]
async fn modes_of_a_transaction_go_with_its_begin() {
    let stage = shop().await;
    let mut seen = 0;
    let options = TransactionOptions::new().isolation_level(IsolationLevel::Serializable).read_only(true);
    let begun = async |em: &EntityManager| {
        let tx = em.begin_with(options).await.unwrap();
        assert_eq!(tx.find::<User>().await.unwrap().len(), 1);
        tx.commit().await.unwrap();
    };
    let closed = async |em: &EntityManager| {
        let found = em.transaction_with(options, async |tx| tx.find::<User>().await).await;
        assert_eq!(found.unwrap().len(), 1);
    };
    for strategy in STRATEGIES {
        let at_once = |options: Options| options.tenant_strategy(strategy);
        logged(&stage.0, &mut seen);
        assert_eq!(cost(&stage, at_once, "acme_corp", begun).await, (4, 3), "{strategy}");
        let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY; SET LOCAL search_path TO \"acme_corp\"";
        assert_eq!(logged(&stage.0, &mut seen)[0], begin, "{strategy}");
        assert_eq!(cost(&stage, at_once, "acme_corp", closed).await, (4, 3), "{strategy}");
    }
}

#[tokio::test]
async fn statements_of_one_transaction_go_in_one_flight() {
    let stage = shop().await;
    let batch = async |em: &EntityManager| {
        let tx = em.begin().await.unwrap();
        let (users, count, plans, any) = tokio::join!(
            tx.find::<User>().into_future(),
            tx.count::<User>().into_future(),
            tx.find_by_pk::<Plan>(("NZ".into(), 1)),
            tx.exists::<User>().into_future(),
        );
        assert_eq!((users.unwrap().len(), count.unwrap(), plans.unwrap(), any.unwrap()), (1, 1, None, true));
        tx.commit().await.unwrap();
    };
    for strategy in STRATEGIES {
        assert_eq!(
            cost(&stage, |options| options.tenant_strategy(strategy), "acme_corp", batch).await,
            (4, 3)
        );
    }
}

#[tokio::test]
async fn raw_query_takes_one_once_its_types_are_known() {
    let (shop, relay) = shop().await;
    let em = shop.manager(shop.options_on(relay.port())).await;
    let mut costs = Vec::new();
    for _ in 0..4 {
        let before = relay.round_trips();
        let asked = em.query("SELECT name FROM users WHERE name = $1", &[&"acme_corp"]);
        assert_eq!(MetadataContext::run("acme_corp", asked).await.unwrap().len(), 1);
        costs.push(relay.round_trips() - before);
    }
    assert_eq!(costs, [3, 1, 1, 1]);
}

#[tokio::test]
async fn mysql_is_refused() {
    for strategy in STRATEGIES {
        assert_eq!(DatabaseKind::MySql.strategy(strategy), None);
        let options = Options::url("mysql://root@localhost/app").unwrap().tenant_strategy(strategy);
        let refused = EntityManager::register(options).await.unwrap_err();
        assert!(matches!(refused, Error::Unsupported(DatabaseKind::MySql)), "{refused}");
    }
}
