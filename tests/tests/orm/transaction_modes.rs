//! What a transaction sees of others, and what it may do.

use std::sync::atomic::{AtomicU32, Ordering};

use pgstrata_orm::tokio_postgres::error::SqlState;
use pgstrata_orm::{EntityManager, Error, IsolationLevel, MetadataContext, Session, TransactionOptions};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{User, names};

const SERIALIZABLE: TransactionOptions =
    TransactionOptions::new().isolation_level(IsolationLevel::Serializable);
const STEADY: TransactionOptions = TransactionOptions::new().isolation_level(IsolationLevel::RepeatableRead);

async fn managers(shop: &Shop, connections: usize) -> Vec<EntityManager> {
    let mut managers = Vec::new();
    for strategy in STRATEGIES {
        for pipelined in [true, false] {
            let options = shop.options().tenant_strategy(strategy).pipelined(pipelined);
            managers.push(shop.manager(options.max_connections(connections)).await);
        }
    }
    managers
}

/// As PostgreSQL has them: isolation, read-only, deferrable.
async fn modes(session: &Session) -> [String; 3] {
    let sql = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'), \
               current_setting('transaction_deferrable')";
    let rows = session.query(sql, &[]).await.unwrap();
    [0, 1, 2].map(|column| rows[0].get(column))
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_is_as_it_was_asked_for_and_the_next_one_is_not() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop, 1).await {
        MetadataContext::run("acme", async {
            for (level, name) in [
                (IsolationLevel::ReadUncommitted, "read uncommitted"),
                (IsolationLevel::ReadCommitted, "read committed"),
                (IsolationLevel::RepeatableRead, "repeatable read"),
                (IsolationLevel::Serializable, "serializable"),
            ] {
                for (read_only, deferrable) in [(false, false), (true, false), (false, true), (true, true)] {
                    let on = |on| if on { "on" } else { "off" };
                    let options = TransactionOptions::new().isolation_level(level);
                    let options = options.read_only(read_only).deferrable(deferrable);
                    let expected = [name, on(read_only), on(deferrable)];
                    let tx = em.begin_with(options).await.unwrap();
                    assert_eq!(modes(&tx).await, expected);
                    assert_eq!(names(&tx).await, ["acme"]);
                    tx.commit().await.unwrap();
                    let seen = em.transaction_with(options, async |tx| Ok::<_, Error>(modes(tx).await)).await;
                    assert_eq!(seen.unwrap(), expected);
                    let tx = em.begin().await.unwrap();
                    assert_eq!(modes(&tx).await, ["read committed", "off", "off"]);
                    tx.rollback().await.unwrap();
                }
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_says_the_level_where_nothing_is_asked_for() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("ALTER DATABASE shop SET default_transaction_isolation = 'serializable'").await;
    for em in managers(&shop, 1).await {
        MetadataContext::run("acme", async {
            let reading = TransactionOptions::new().read_only(true);
            let tx = em.begin_with(reading).await.unwrap();
            assert_eq!(modes(&tx).await, ["serializable", "on", "off"]);
            tx.commit().await.unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_each_need_what_the_other_changes_one_is_given_up() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop, 2).await {
        MetadataContext::run("acme", async {
            // With less than that, both are through, and neither has seen the other.
            for (options, conflict) in [(STEADY, false), (SERIALIZABLE, true)] {
                let (one, other) =
                    (em.begin_with(options).await.unwrap(), em.begin_with(options).await.unwrap());
                assert_eq!(one.count::<User>().await.unwrap(), 1);
                assert_eq!(other.count::<User>().await.unwrap(), 1);
                one.save(&User::new("one")).await.unwrap();
                other.save(&User::new("other")).await.unwrap();
                one.commit().await.unwrap();
                let second = other.commit().await;
                if conflict {
                    let error = second.unwrap_err();
                    assert_eq!(error.sqlstate().unwrap().code(), "40001");
                    assert!(error.is_serialization_failure() && error.is_retryable());
                    let words = "committing: could not serialize access due to read/write dependencies";
                    assert!(error.to_string().starts_with(words), "{error}");
                    assert_eq!(names(&em).await, ["acme", "one"]);
                } else {
                    second.unwrap();
                    assert_eq!(names(&em).await, ["acme", "one", "other"]);
                }
                em.delete::<User>().where_(User::NAME.in_(["one", "other"])).await.unwrap();
            }
        })
        .await;
        assert_eq!(em.connections(), (2, 2), "they are as good as before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_counts_once() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop, 5).await {
        let tries = AtomicU32::new(0);
        // At first all have counted before one saves.
        let counted = tokio::sync::Barrier::new(5);
        let book = async |name: String| {
            loop {
                let is_first = tries.fetch_add(1, Ordering::Relaxed) < 5;
                let booked = em.transaction_with(SERIALIZABLE, async |tx| {
                    let guests = tx.count::<User>().await?;
                    if is_first {
                        counted.wait().await;
                    }
                    if guests < 4 { tx.save(&User::new(&name)).await.map(drop) } else { Ok(()) }
                });
                match booked.await {
                    Err(error) if error.is_retryable() => {}
                    booked => return booked,
                }
            }
        };
        MetadataContext::run("acme", async {
            let name = |n| format!("guest {n}");
            let booked =
                tokio::join!(book(name(1)), book(name(2)), book(name(3)), book(name(4)), book(name(5)));
            let booked = [booked.0, booked.1, booked.2, booked.3, booked.4];
            assert!(booked.iter().all(Result::is_ok), "{booked:?}");
            assert_eq!(em.count::<User>().await.unwrap(), 4);
            em.delete::<User>().where_(User::NAME.like("guest%")).await.unwrap();
        })
        .await;
        assert!(tries.into_inner() > 5, "nobody was in anybody's way");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_that_has_changed_since_cannot_be_changed_from_a_steady_view() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop, 2).await {
        MetadataContext::run("acme", async {
            let tx = em.begin_with(STEADY).await.unwrap();
            assert_eq!(tx.count::<User>().await.unwrap(), 1);
            em.update::<User>().set(User::ROLE, "x").everywhere().await.unwrap();
            em.save(&User::new("late")).await.unwrap();
            assert_eq!(names(&tx).await, ["acme"]);
            let late = tx.update::<User>().set(User::ROLE, "y").everywhere().await.unwrap_err();
            assert!(late.is_serialization_failure() && late.is_retryable(), "{late}");
            assert!(matches!(tx.commit().await, Err(Error::Aborted)));
            em.delete::<User>().where_(User::NAME.eq("late")).await.unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_only_reads_refuses_a_write() {
    let shop = Shop::new(&["acme"]).await;
    for em in managers(&shop, 1).await {
        MetadataContext::run("acme", async {
            let options = SERIALIZABLE.read_only(true).deferrable(true);
            let refused: Result<User, Error> =
                em.transaction_with(options, async |tx| tx.save(&User::new("two")).await).await;
            let tx = em.begin_with(TransactionOptions::new().read_only(true)).await.unwrap();
            let raw = tx.execute("DELETE FROM users", &[]).await;
            tx.rollback().await.unwrap();
            for error in [refused.unwrap_err(), raw.unwrap_err()] {
                assert_eq!(error.sqlstate(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION), "{error}");
                assert_eq!(error.sqlstate().unwrap().code(), "25006");
                assert!(!error.is_serialization_failure() && !error.is_retryable());
            }
            em.save(&User::new("two")).await.unwrap();
            assert_eq!(names(&em).await, ["acme", "two"]);
            em.delete::<User>().where_(User::NAME.eq("two")).await.unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlock_is_worth_another_try() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("ALTER DATABASE shop SET deadlock_timeout = '50ms'").await;
    let em = shop.manager(shop.options()).await;
    MetadataContext::run("acme", async {
        em.save_many(&[User::new("a"), User::new("b")]).await.unwrap();
        let touch = async |session: &Session, name: &str| {
            session.update::<User>().set(User::ROLE, "x").where_(User::NAME.eq(name)).await
        };
        let (one, other) = (em.begin().await.unwrap(), em.begin().await.unwrap());
        touch(&one, "a").await.unwrap();
        touch(&other, "b").await.unwrap();
        let (first, second) = tokio::join!(touch(&one, "b"), touch(&other, "a"));
        let errors: Vec<Error> = [first, second].into_iter().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].sqlstate().unwrap().code(), "40P01");
        assert!(errors[0].is_retryable() && !errors[0].is_serialization_failure());
    })
    .await;
}
