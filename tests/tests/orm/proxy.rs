//! The same code, pointed at the proxy: one pool of the application's serves all tenants.

use std::time::Duration;

use pgstrata_orm::tokio_postgres::Config;
use pgstrata_orm::{
    EntityManager, Error, IsolationLevel, MetadataContext, Options, Session, TransactionOptions,
};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{Post, TABLES, User, names, with_entities};
use pgstrata_tests::{Setup, Stage};

/// The tenants' tables as the entities have them.
async fn stage(setup: Setup) -> Stage {
    let stage = Stage::new(setup.tenant_switch()).await;
    let admin = stage.superuser().await;
    for tenant in ["acme_corp", "globex"] {
        let make = format!(
            "SET ROLE app; SET search_path TO {tenant}; DROP TABLE posts, users; {TABLES}; RESET ALL; RESET ROLE"
        );
        admin.batch_execute(&make).await.unwrap();
    }
    stage
}

async fn manager(stage: &Stage) -> EntityManager {
    let options = with_entities(Options::config(stage.config(None))).through_proxy();
    EntityManager::register(options.max_connections(1)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_all_tenants() {
    for strategy in STRATEGIES {
        let stage = stage(Setup::new().strategy(strategy)).await;
        let em = manager(&stage).await;
        for round in 0..4 {
            for tenant in ["acme_corp", "globex"] {
                MetadataContext::run(tenant, async {
                    let name = format!("{tenant} {round}");
                    let user = em.save(&User::new(&name)).await.unwrap();
                    em.save(&Post::new(&user, tenant)).await.unwrap();
                    assert_eq!(em.find_by_pk::<User>(user.id).await.unwrap().unwrap().name, name);
                    let posts = em.find::<Post>().join(Post::AUTHOR).await.unwrap();
                    assert!(posts.iter().all(|(post, _)| post.title == tenant) && posts.len() == round + 1);
                    let pattern = format!("{tenant}%");
                    let raw = em.query("SELECT name FROM users WHERE name LIKE $1", &[&pattern]).await;
                    assert_eq!(raw.unwrap().len(), round + 1);
                    em.transaction(async |tx| {
                        tx.save(&User::new("undone")).await?;
                        tx.save(&User::new("undone")).await
                    })
                    .await
                    .unwrap_err();
                    let tx = em.begin().await.unwrap();
                    tx.save_many(&[User::new("a"), User::new("b")]).await.unwrap();
                    tx.delete::<User>().where_(User::NAME.in_(["a", "b"])).await.unwrap();
                    tx.commit().await.unwrap();
                    assert_eq!(names(&em).await.len(), round + 1);
                })
                .await;
            }
        }
        assert_eq!(em.connections(), (1, 1));
        // Nothing of a tenant's is left on the connection.
        let tenant: String = em.query("SHOW tenant", &[]).await.unwrap()[0].get(0);
        assert_eq!(tenant, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_that_is_unknown_or_not_the_users_is_refused() {
    let stage = stage(
        Setup::new().user("name = 'some'\npassword = 'some'\ntenants = ['acme_corp']\ntenant_switch = true"),
    )
    .await;
    let mut config = stage.config(None);
    config.user("some").password("some");
    let options = with_entities(Options::config(config)).through_proxy();
    let em = EntityManager::register(options.max_connections(1)).await.unwrap();
    MetadataContext::run("acme_corp", em.save(&User::new("one"))).await.unwrap();
    for tenant in ["globex", "nobody"] {
        // A write that is refused is not one for the tenant of before.
        let refused = MetadataContext::run(tenant, em.save(&User::new("two"))).await.unwrap_err();
        assert_eq!(refused.sqlstate().unwrap().code(), "42501", "{refused}");
        assert!(MetadataContext::run(tenant, em.begin()).await.is_err());
    }
    assert_eq!(MetadataContext::run("acme_corp", names(&em)).await, ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_raw_sql_sets_ends_with_it() {
    let stage = stage(Setup::new()).await;
    let em = manager(&stage).await;
    MetadataContext::run("acme_corp", em.save(&User::new("one"))).await.unwrap();
    for sql in ["SET statement_timeout = 1", "CREATE TEMP TABLE users (id bigint)", "SET tenant = 'globex'"] {
        let _ = MetadataContext::run("acme_corp", em.execute(sql, &[])).await;
        assert_eq!(MetadataContext::run("acme_corp", names(&em)).await, ["one"], "{sql}");
        assert_eq!(MetadataContext::run("globex", names(&em)).await, [""; 0], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_timeout_holds_behind_the_proxy() {
    let stage = stage(Setup::new()).await;
    let options = with_entities(Options::config(stage.config(None))).through_proxy();
    let em = EntityManager::register(options.query_timeout(Duration::from_millis(500))).await.unwrap();
    MetadataContext::run("acme_corp", async {
        em.save(&User::new("one")).await.unwrap();
        let slow = em.query("SELECT pg_sleep(600)", &[]).await.unwrap_err();
        assert!(matches!(&slow, Error::Postgres { .. }) && slow.is_timeout(), "{slow}");
        assert_eq!(names(&em).await, ["one"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_of_a_transaction_hold_behind_the_proxy() {
    for strategy in STRATEGIES {
        let stage = stage(Setup::new().strategy(strategy).servers(2)).await;
        let options = with_entities(Options::config(stage.config(None))).through_proxy();
        let em = EntityManager::register(options.max_connections(2)).await.unwrap();
        let serializable = TransactionOptions::new().isolation_level(IsolationLevel::Serializable);
        MetadataContext::run("acme_corp", async {
            let modes = async |session: &Session| {
                let sql = "SELECT current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only') \
                           || ' ' || current_setting('transaction_deferrable')";
                session.query(sql, &[]).await.unwrap()[0].get::<_, String>(0)
            };
            let report = serializable.read_only(true).deferrable(true);
            let seen = em.transaction_with(report, async |tx| Ok::<_, Error>(modes(tx).await)).await.unwrap();
            assert_eq!(seen, "serializable on on");
            let refused = em.transaction_with(report, async |tx| tx.save(&User::new("two")).await).await;
            assert_eq!(refused.unwrap_err().sqlstate().unwrap().code(), "25006");
            // Nothing of it is left on the server.
            assert_eq!(modes(&em).await, "read committed off off");
            // Each needs what the other changes.
            let (one, other) =
                (em.begin_with(serializable).await.unwrap(), em.begin_with(serializable).await.unwrap());
            assert_eq!(one.count::<User>().await.unwrap(), 0);
            assert_eq!(other.count::<User>().await.unwrap(), 0);
            one.save(&User::new("one")).await.unwrap();
            other.save(&User::new("other")).await.unwrap();
            one.commit().await.unwrap();
            let error = other.commit().await.unwrap_err();
            assert!(error.is_serialization_failure(), "{error}");
            assert_eq!(names(&em).await, ["one"]);
        })
        .await;
    }
}

#[tokio::test]
async fn modes_of_a_transaction_cost_no_round_trip_behind_the_proxy() {
    let stage = stage(Setup::new().servers(1).relay()).await;
    let options = with_entities(Options::config(stage.config(None))).through_proxy();
    let em = EntityManager::register(options.max_connections(1)).await.unwrap();
    let steady = TransactionOptions::new().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    MetadataContext::run("acme_corp", async {
        let mut costs = Vec::new();
        for options in [TransactionOptions::new(), steady, TransactionOptions::new(), steady] {
            stage.relay().settle().await;
            let before = stage.relay().round_trips();
            em.transaction_with(options, async |tx| tx.count::<User>().await).await.unwrap();
            costs.push(stage.relay().round_trips() - before);
        }
        assert_eq!(costs[2..], [costs[2]; 2], "{costs:?}");
    })
    .await;
}

#[tokio::test]
async fn read_is_one_round_trip_to_the_proxy_and_one_behind_it() {
    let stage = stage(Setup::new().servers(1).relay()).await;
    let front = pgstrata_tests::Relay::start(stage.port()).await;
    let mut through = Config::new();
    through.host("127.0.0.1").port(front.port()).user("app").password("app").dbname("app");
    let options = with_entities(Options::config(through)).through_proxy();
    let em = EntityManager::register(options.max_connections(1)).await.unwrap();
    MetadataContext::run("acme_corp", async {
        for _ in 0..4 {
            em.find::<User>().await.unwrap();
        }
        stage.relay().settle().await;
        // A statement that was planned before the schemas' names were known is prepared anew, and its columns compared.
        em.find::<User>().await.unwrap();
        let before = (front.round_trips(), stage.relay().round_trips());
        for _ in 0..10 {
            em.find::<User>().await.unwrap();
        }
        assert_eq!((front.round_trips() - before.0, stage.relay().round_trips() - before.1), (10, 10));
    })
    .await;
}
