//! Peers that fall silent, connections that are killed, prepared statements that are taken away.

use std::time::Duration;

use pgstrata_orm::tokio_postgres::error::SqlState;
use pgstrata_orm::{EntityManager, Error, Session};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{User, names};
use pgstrata_tests::stage::eventually;
use pgstrata_tests::{Relay, Shop};

/// So long that only what hangs takes it.
const FOREVER: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_millis(200);

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(FOREVER, work).await.expect("it hangs")
}

/// Ends all sessions of the ORM, and is through when PostgreSQL was told.
async fn kill(shop: &Shop) {
    shop.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_peer_ends_with_the_query_timeout() {
    let shop = Shop::new(&["acme"]).await;
    for strategy in STRATEGIES {
        let relay = Relay::start(shop.cluster.port()).await;
        let options = shop.options_on(relay.port()).tenant_strategy(strategy).query_timeout(SHORT);
        let em = shop.manager(options.max_connections(1)).await;
        let acme = em.tenant("acme");
        assert_eq!(names(&acme).await, ["acme"]);

        relay.stall(true);
        let silent = in_time(acme.find::<User>().into_future()).await.unwrap_err();
        assert!(matches!(silent, Error::Timeout { .. }) && silent.is_timeout(), "{strategy}: {silent}");
        relay.stall(false);
        // The connection was closed, and another one is made.
        assert_eq!(in_time(names(&acme)).await, ["acme"]);

        let tx = acme.begin().await.unwrap();
        tx.save(&User::new("lost")).await.unwrap();
        relay.stall(true);
        assert!(in_time(tx.query("SELECT 1", &[])).await.unwrap_err().is_timeout(), "{strategy}");
        assert!(matches!(in_time(tx.commit()).await, Err(Error::Aborted)));
        relay.stall(false);

        let tx = acme.begin().await.unwrap();
        tx.save(&User::new("lost")).await.unwrap();
        relay.stall(true);
        let unknown = in_time(tx.commit()).await.unwrap_err();
        assert!(matches!(unknown, Error::CommitUnknown { .. }) && unknown.is_timeout(), "{unknown}");
        relay.drop_connections();
        relay.stall(false);
        assert_eq!(in_time(names(&acme)).await, ["acme"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_on_a_connection_that_was_killed_is_tried_again() {
    let shop = Shop::new(&["acme"]).await;
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy).max_connections(4)).await;
        let acme = em.tenant("acme");
        for _ in 0..20 {
            // Several idle ones, all of which are lost at once.
            let reads = (names(&acme), names(&acme), names(&acme), names(&acme));
            let four = tokio::join!(reads.0, reads.1, reads.2, reads.3);
            assert_eq!(four.3, ["acme"]);
            kill(&shop).await;
            assert_eq!(names(&acme).await, ["acme"], "{strategy}");
        }
        // A new connection that is refused is no reason to ask for ever.
        shop.run("ALTER ROLE shop NOLOGIN").await;
        kill(&shop).await;
        let refused = in_time(acme.find::<User>().into_future()).await.unwrap_err();
        assert!(matches!(refused, Error::Connect(_)), "{refused}");
        shop.run("ALTER ROLE shop LOGIN").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commit_on_a_connection_that_was_killed_says_what_became_of_it() {
    let shop = Shop::new(&["acme"]).await;
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy)).await;
        let acme = em.tenant("acme");
        let tx = acme.begin().await.unwrap();
        tx.save(&User::new("lost")).await.unwrap();
        kill(&shop).await;
        let lost = in_time(tx.commit()).await.unwrap_err();
        assert!(matches!(lost, Error::Aborted | Error::CommitUnknown { .. }), "{lost}");
        assert!(lost.to_string().contains("connection was lost"), "{lost}");

        let tx = acme.begin().await.unwrap();
        tx.save(&User::new("lost")).await.unwrap();
        kill(&shop).await;
        let failed = tx.save(&User::new("lost, too")).await.unwrap_err();
        assert!(failed.is_disconnected(), "{failed}");
        assert!(matches!(tx.commit().await, Err(Error::Aborted)));
        eventually(vec!["acme".to_owned()], async || names(&acme).await).await;
    }
}

async fn moods(session: &Session, mood: &str) -> u64 {
    let sql = format!("SELECT id FROM moods WHERE {mood} = '{mood}'");
    session.query(&sql, &[]).await.unwrap().len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_that_are_taken_away_come_back() {
    let shop = Shop::new(&["acme"]).await;
    // The driver prepares questions of its own about types that it does not know, and keeps them for good.
    for name in ["first", "second", "third", "fourth", "fifth"] {
        shop.run(&format!("CREATE TYPE public.{name}_type AS ENUM ('{name}')")).await;
    }
    shop.run(
        "CREATE TABLE acme.moods (id int, first public.first_type, second public.second_type, \
         third public.third_type, fourth public.fourth_type, fifth public.fifth_type); \
         INSERT INTO acme.moods VALUES (1, 'first', 'second', 'third', 'fourth', 'fifth'); GRANT SELECT ON acme.moods TO shop",
    )
    .await;
    for strategy in STRATEGIES {
        for away in
            ["DEALLOCATE ALL", " /* all */ deallocate all", "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"]
        {
            let em = shop.manager(shop.options().tenant_strategy(strategy).max_connections(1)).await;
            let acme = em.tenant("acme");
            for mood in ["first", "second", "third"] {
                for _ in 0..3 {
                    assert_eq!(moods(&acme, mood).await, 1);
                    assert_eq!(acme.query("SELECT first FROM moods", &[]).await.unwrap().len(), 1);
                    assert_eq!(names(&acme).await, ["acme"]);
                    acme.update::<User>().set(User::ROLE, "x").everywhere().await.unwrap();
                }
                acme.execute(away, &[]).await.unwrap();
                let select = format!("SELECT {mood}, fourth, fifth FROM moods");
                assert_eq!(acme.query(&select, &[]).await.unwrap().len(), 1, "{strategy} {away}");
                assert_eq!(names(&acme).await, ["acme"], "{strategy} {away}");
            }
            // In a transaction it may be an error, and never again behind it.
            let tx = acme.begin().await.unwrap();
            assert_eq!(names(&tx).await, ["acme"]);
            tx.execute(away, &[]).await.unwrap();
            let _ = tx.find::<User>().await;
            let _ = tx.query("SELECT first FROM moods", &[]).await;
            let _ = tx.commit().await;
            assert_eq!(acme.query("SELECT fourth FROM moods", &[]).await.unwrap().len(), 1);
            assert_eq!(names(&acme).await, ["acme"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn write_on_a_connection_that_was_killed_is_not_done_twice() {
    let shop = Shop::new(&["acme"]).await;
    let em: EntityManager = shop.manager(shop.options().max_connections(1)).await;
    let acme = em.tenant("acme");
    let sql = "UPDATE users SET role = coalesce(role, '') || '+' WHERE name = 'acme'";
    acme.execute("UPDATE users SET role = ''", &[]).await.unwrap();
    let mut done = 0;
    for _ in 0..20 {
        kill(&shop).await;
        match acme.execute(sql, &[]).await {
            Ok(1) => done += 1,
            Ok(count) => panic!("{count}"),
            Err(error) => assert!(
                error.is_disconnected() || error.sqlstate() == Some(&SqlState::ADMIN_SHUTDOWN),
                "{error}"
            ),
        }
    }
    let user = acme.find_one::<User>().where_(User::NAME.eq("acme")).await.unwrap().unwrap();
    assert_eq!(user.role.unwrap().len(), done);
}
