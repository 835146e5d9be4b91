//! What counts together, and what is left when it does not.

use std::time::{Duration, Instant};

use pgstrata_orm::tokio_postgres::error::SqlState;
use pgstrata_orm::{EntityManager, Error, MetadataContext, Session, Transaction};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{User, names};
use pgstrata_tests::stage::eventually;
use pgstrata_tests::{Relay, Shop};

/// Managers of one connection, so that what one call leaves on it would meet the next.
async fn managers(shop: &Shop) -> Vec<EntityManager> {
    let mut managers = Vec::new();
    for strategy in STRATEGIES {
        for pipelined in [true, false] {
            let options = shop.options().tenant_strategy(strategy).pipelined(pipelined).max_connections(1);
            managers.push(shop.manager(options).await);
        }
    }
    managers
}

async fn count(session: &Session) -> u64 {
    session.count::<User>().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_counts_as_a_whole_or_not_at_all() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop).await {
        MetadataContext::run("acme", async {
            let committed = em.transaction(async |tx| {
                tx.save(&User::new("one")).await?;
                tx.save(&User::new("two")).await
            });
            committed.await.unwrap();
            assert_eq!(count(&em).await, 3);
            let undone: Result<(), Error> = em
                .transaction(async |tx| {
                    tx.save(&User::new("three")).await?;
                    assert_eq!(count(tx).await, 4);
                    tx.save(&User::new("one")).await.map(drop)
                })
                .await;
            assert!(undone.unwrap_err().is_duplicate());
            assert_eq!(count(&em).await, 3);
            // Who looks away from an error does not get half of it.
            let tx = em.begin().await.unwrap();
            tx.save(&User::new("four")).await.unwrap();
            assert!(tx.save(&User::new("one")).await.is_err());
            assert!(matches!(tx.commit().await, Err(Error::Aborted)));
            assert_eq!(count(&em).await, 3);
            assert_eq!(em.delete::<User>().where_(User::NAME.in_(["one", "two"])).await.unwrap(), 2);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoint_undoes_its_own_part() {
    let shop = Shop::new(&["acme"]).await;
    let em = shop.manager(shop.options()).await;
    MetadataContext::run("acme", async {
        let tx = em.begin().await.unwrap();
        tx.save(&User::new("kept")).await.unwrap();
        let undone: Result<(), Error> = tx
            .savepoint(async |tx: &Transaction| {
                tx.save(&User::new("undone")).await?;
                tx.save(&User::new("kept")).await.map(drop)
            })
            .await;
        assert!(undone.is_err());
        let inner = tx.savepoint(async |tx: &Transaction| tx.save(&User::new("inner")).await);
        inner.await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(names(&em).await, ["acme", "kept", "inner"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_works_in_a_task_of_its_own() {
    let shop = Shop::new(&["acme"]).await;
    let em = shop.manager(shop.options()).await;
    let task = tokio::spawn(MetadataContext::run("acme", async move {
        em.transaction(async |tx| {
            tx.save(&User::new("spawned")).await?;
            let found = tx.find::<User>().where_(User::NAME.eq("spawned")).await?;
            Ok::<_, Error>(found.len())
        })
        .await
    }));
    assert_eq!(task.await.unwrap().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_is_of_the_tenant_that_began_it() {
    let shop = Shop::new(&["acme", "globex"]).await;
    let em = shop.manager(shop.options()).await;
    let tx = MetadataContext::run("acme", em.begin()).await.unwrap();
    let moved = MetadataContext::run("globex", tx.save(&User::new("moved"))).await.unwrap_err();
    assert!(
        matches!(&moved, Error::TenantChanged { transaction, context }
        if transaction == "acme" && context == "globex"),
        "{moved}"
    );
    assert!(tx.find::<User>().await.is_err());
    MetadataContext::run("acme", tx.save(&User::new("stays"))).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(MetadataContext::run("acme", names(&em)).await, ["acme", "stays"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_is_dropped_gives_its_connection_back_clean() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop).await {
        MetadataContext::run("acme", async {
            let pid = async || em.query("SELECT pg_backend_pid()", &[]).await.unwrap()[0].get::<_, i32>(0);
            let before = pid().await;
            let tx = em.begin().await.unwrap();
            tx.save(&User::new("lost")).await.unwrap();
            drop(tx);
            assert_eq!(names(&em).await, ["acme"]);
            assert_eq!(pid().await, before, "a rollback is enough");
            // In the middle of a statement nobody knows how it stands: the connection is closed, and the statement stopped.
            let tx = em.begin().await.unwrap();
            tx.save(&User::new("lost")).await.unwrap();
            let sleep =
                tokio::time::timeout(Duration::from_millis(200), tx.query("SELECT pg_sleep(600)", &[]));
            assert!(sleep.await.is_err());
            assert!(matches!(tx.commit().await, Err(Error::Aborted)));
            assert_eq!(names(&em).await, ["acme"]);
            assert_ne!(pid().await, before);
        })
        .await;
        eventually(Vec::<String>::new(), async || shop.busy().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_is_dropped_leaves_nothing_open() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop).await {
        MetadataContext::run("acme", async {
            let slow = em.execute("INSERT INTO users (name) SELECT 'late' FROM pg_sleep(600)", &[]);
            assert!(tokio::time::timeout(Duration::from_millis(200), slow).await.is_err());
            assert_eq!(names(&em).await, ["acme"]);
        })
        .await;
        eventually(Vec::<String>::new(), async || shop.busy().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_raw_sql_sets_ends_with_it() {
    let shop = Shop::new(&["acme", "globex"]).await;
    for em in managers(&shop).await {
        let set = [
            "SET search_path TO globex",
            "SET statement_timeout = 1",
            "SET ROLE pg_monitor",
            "CREATE TEMP TABLE users (id bigint, name text)",
            "LISTEN news",
            "SELECT pg_advisory_lock(1)",
            "SET default_transaction_read_only = off",
        ];
        shop.run("GRANT pg_monitor TO shop").await;
        for sql in set {
            MetadataContext::run("acme", async {
                em.execute(sql, &[]).await.unwrap();
                assert_eq!(names(&em).await, ["acme"], "{sql}");
                let tx = em.begin().await.unwrap();
                tx.execute(sql, &[]).await.unwrap();
                tx.commit().await.unwrap();
                assert_eq!(names(&em).await, ["acme"], "{sql}");
                let left = "SELECT current_setting('search_path') || current_user || current_setting('statement_timeout') \
                            || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') \
                            || (SELECT count(*) FROM pg_listening_channels()) \
                            || coalesce(to_regclass('pg_temp.users')::text, '')";
                let left: String = em.query(left, &[]).await.unwrap()[0].get(0);
                assert_eq!(left, "acmeshop000", "{sql}");
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_on_its_own_is_nobodys() {
    let shop = Shop::new(&["acme"]).await;
    let relay = Relay::start(shop.cluster.port()).await;
    for strategy in STRATEGIES {
        let em =
            shop.manager(shop.options_on(relay.port()).tenant_strategy(strategy).max_connections(1)).await;
        MetadataContext::run("acme", async {
            // The path is that of the transaction; behind it, what a session finds by itself.
            let own: String = em.query("SELECT current_schemas(true)::text", &[]).await.unwrap()[0].get(0);
            assert_eq!(own, "{pg_catalog,acme}");
            em.find::<User>().await.unwrap();
        })
        .await;
        let pools = "SELECT count(*)::text FROM pg_stat_activity WHERE usename = 'shop' AND state = 'idle'";
        // Those that made the shop may be on their way out.
        eventually(vec!["1".to_owned()], async || pgstrata_tests::stage::names(&shop.admin, pools).await)
            .await;
        // Reset, as the end of each statement of somebody's own does it: no tables, and no writing.
        let reset = em.query("SELECT reset_val FROM pg_settings WHERE name IN ('search_path', 'default_transaction_read_only') ORDER BY name", &[]);
        let reset: Vec<String> = reset.await.unwrap().iter().map(|row| row.get(0)).collect();
        assert_eq!(reset, ["on", "pg_catalog"]);
        drop(em);
        eventually(vec!["0".to_owned()], async || pgstrata_tests::stage::names(&shop.admin, pools).await)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn query_timeout_stops_a_statement_and_nothing_else() {
    let shop = Shop::new(&["acme"]).await;
    for strategy in STRATEGIES {
        let options = shop.options().tenant_strategy(strategy).max_connections(1);
        let em = shop.manager(options.query_timeout(Duration::from_millis(500))).await;
        MetadataContext::run("acme", async {
            let begun = Instant::now();
            let slow = em.query("SELECT pg_sleep(600)", &[]).await.unwrap_err();
            assert!(slow.is_timeout(), "{slow}");
            assert!(begun.elapsed() < Duration::from_secs(300));
            let tx = em.begin().await.unwrap();
            assert!(tx.query("SELECT pg_sleep(600)", &[]).await.unwrap_err().is_timeout());
            drop(tx);
            assert_eq!(names(&em).await, ["acme"]);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statement_survives_ddl() {
    let shop = Shop::new(&["acme"]).await;
    for (n, em) in managers(&shop).await.into_iter().enumerate() {
        MetadataContext::run("acme", async {
            let all = async || em.query("SELECT * FROM users", &[]).await.unwrap()[0].len();
            for _ in 0..3 {
                assert_eq!(all().await, 4 + n);
                em.find::<User>().where_(User::NAME.like("a%")).await.unwrap();
            }
            shop.run(&format!("ALTER TABLE acme.users ADD COLUMN more_{n} int")).await;
            assert_eq!(all().await, 5 + n);
            // In a transaction of one's own there is no second try.
            let tx = em.begin().await.unwrap();
            assert_eq!(tx.query("SELECT * FROM users", &[]).await.unwrap()[0].len(), 5 + n);
            shop.run("DISCARD PLANS").await;
            tx.rollback().await.unwrap();
            em.execute("DEALLOCATE ALL", &[]).await.unwrap();
            assert_eq!(em.find::<User>().where_(User::NAME.like("a%")).await.unwrap().len(), 1);
            assert_eq!(all().await, 5 + n);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_two_tenants_may_differ() {
    let shop = Shop::new(&["acme", "globex"]).await;
    shop.run("ALTER TABLE globex.users ALTER COLUMN name TYPE varchar(100), ADD COLUMN more int").await;
    for em in managers(&shop).await {
        for _ in 0..4 {
            for tenant in ["acme", "globex"] {
                let found = MetadataContext::run(tenant, async {
                    em.query("SELECT * FROM users", &[]).await.unwrap();
                    names(&em).await
                });
                assert_eq!(found.await, [tenant]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deferred_constraint_that_fails_at_commit_undoes_the_write() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("ALTER TABLE acme.users DROP CONSTRAINT users_name_key, ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED").await;
    for em in managers(&shop).await {
        MetadataContext::run("acme", async {
            let twin = em.save(&User::new("acme")).await.unwrap_err();
            assert_eq!(twin.sqlstate(), Some(&SqlState::UNIQUE_VIOLATION));
            let tx = em.begin().await.unwrap();
            tx.save(&User::new("acme")).await.unwrap();
            assert!(tx.commit().await.unwrap_err().is_duplicate());
            assert_eq!(names(&em).await, ["acme"]);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_that_is_used_up_says_so() {
    let shop = Shop::new(&["acme"]).await;
    let options = shop.options().max_connections(1).wait_timeout(Duration::from_millis(100));
    let em = shop.manager(options).await;
    let tx = em.begin().await.unwrap();
    assert!(matches!(em.begin().await, Err(Error::Connect(_))));
    tx.rollback().await.unwrap();
    em.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connection_is_replaced() {
    let shop = Shop::new(&["acme"]).await;
    let relay = Relay::start(shop.cluster.port()).await;
    let em = shop.manager(shop.options_on(relay.port()).max_connections(2)).await;
    MetadataContext::run("acme", async {
        assert_eq!(names(&em).await, ["acme"]);
        let tx = em.begin().await.unwrap();
        tx.save(&User::new("lost")).await.unwrap();
        relay.drop_connections();
        assert!(tx.commit().await.is_err());
        eventually(true, async || em.find::<User>().await.is_ok_and(|users| users.len() == 1)).await;
    })
    .await;
}
