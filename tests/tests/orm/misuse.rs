//! Code that is easily written and not meant: what it comes to is an error, or what was meant.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use pgstrata_orm::{EntityManager, Error, MetadataContext, MissingTenant, Strategy, Transaction};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{Plan, Post, User, names};

const NEVER: Duration = Duration::from_secs(120);

/// Managers by each strategy that takes nothing for public that does not say so.
async fn strict(shop: &Shop) -> Vec<(Strategy, EntityManager)> {
    let mut managers = Vec::new();
    for strategy in STRATEGIES {
        let options = shop.options().tenant_strategy(strategy).missing_tenant(MissingTenant::Reject);
        managers.push((strategy, shop.manager(options).await));
    }
    managers
}

#[tokio::test(flavor = "multi_thread")]
async fn task_that_lost_its_tenant_is_an_error() {
    let shop = Shop::new(&["acme"]).await;
    for (strategy, em) in strict(&shop).await {
        let lost = MetadataContext::run("acme", async {
            let em = em.clone();
            tokio::spawn(async move {
                assert!(matches!(em.find::<User>().await, Err(Error::NoTenant(_))));
                assert!(matches!(em.count::<User>().await, Err(Error::NoTenant(_))));
                assert!(matches!(
                    em.update::<User>().set(User::NAME, "x").everywhere().await,
                    Err(Error::NoTenant(_))
                ));
                assert!(matches!(em.delete::<User>().everywhere().await, Err(Error::NoTenant(_))));
                assert!(matches!(em.query("SELECT 1", &[]).await, Err(Error::NoTenant(_))));
                assert!(matches!(em.execute("DELETE FROM users", &[]).await, Err(Error::NoTenant(_))));
                let tx = em.begin().await.unwrap();
                assert!(matches!(tx.find::<User>().await, Err(Error::NoTenant(_))));
                drop(tx);
                em.save(&User::new("meant for acme")).await
            })
            .await
            .unwrap()
        });
        let lost = lost.await.unwrap_err();
        assert!(matches!(&lost, Error::NoTenant(what) if what == "User"), "{strategy}: {lost}");
        assert_eq!(names(&em.public()).await, ["public"], "{strategy}");
        // Said aloud, it is public's; what is pinned is everybody's, everywhere.
        assert_eq!(MetadataContext::run("public", names(&em)).await, ["public"]);
        let plan = Plan { country: "NZ".into(), code: 1, price: 5 };
        em.save(&plan).await.unwrap();
        assert_eq!(em.find_by_pk::<Plan>(("NZ".into(), 1)).await.unwrap(), Some(plan.clone()));
        let tx = em.begin().await.unwrap();
        assert!(tx.remove(&plan).await.unwrap());
        tx.commit().await.unwrap();
    }
    // What the reference says, where nothing else is said.
    let em = shop.manager(shop.options()).await;
    assert_eq!(tokio::spawn(async move { names(&em).await }).await.unwrap(), ["public"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn query_is_of_the_tenant_that_it_was_made_for() {
    let shop = Shop::new(&["acme", "globex"]).await;
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy)).await;
        let made = |tenant: &str| MetadataContext::run_sync(tenant, || em.find::<User>());
        for tenant in ["acme", "globex"] {
            assert_eq!(made(tenant).await.unwrap()[0].name, tenant);
        }
        // All of them at once, each polled outside of its context.
        let (acme, globex) = tokio::join!(made("acme").into_future(), made("globex").into_future());
        assert_eq!((&*acme.unwrap()[0].name, &*globex.unwrap()[0].name), ("acme", "globex"));
        let user = User::new("late");
        let acme = |code: &dyn Fn()| MetadataContext::run_sync("acme", code);
        acme(&|| {});
        let saved = MetadataContext::run_sync("acme", || em.save(&user)).await.unwrap();
        let many = MetadataContext::run_sync("acme", || em.save_many(std::slice::from_ref(&saved)));
        assert_eq!(many.await.unwrap(), std::slice::from_ref(&saved));
        let upserted = MetadataContext::run_sync("acme", || em.upsert(&user).on(User::NAME)).await.unwrap();
        assert_eq!(upserted.id, saved.id);
        let found = MetadataContext::run_sync("acme", || em.find_by_pk::<User>(saved.id)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&upserted));
        let changed = MetadataContext::run_sync("acme", || em.update::<User>().set(User::ROLE, "x"));
        assert_eq!(changed.where_(User::NAME.eq("late")).await.unwrap(), 1);
        let raw = MetadataContext::run_sync("acme", || em.query("SELECT name FROM users ORDER BY id", &[]));
        assert_eq!(raw.await.unwrap().len(), 2);
        let joined =
            MetadataContext::run_sync("acme", || em.find::<Post>().join(Post::AUTHOR)).await.unwrap();
        assert!(joined.is_empty());
        let tx = MetadataContext::run_sync("acme", || em.begin()).await.unwrap();
        assert_eq!(MetadataContext::run("acme", names(&tx)).await, ["acme", "late"]);
        drop(tx);
        let removed = MetadataContext::run_sync("acme", || em.remove(&saved)).await.unwrap();
        assert!(removed);
        // Made for one and awaited for another: nobody can tell which of them was meant.
        let mixed = MetadataContext::run("globex", made("acme")).await.unwrap_err();
        assert!(
            matches!(&mixed, Error::ContextChanged { made, awaited } if made == "acme" && awaited == "globex"),
            "{mixed}"
        );
        // Made for nobody in particular, it is of whoever awaits it.
        assert_eq!(MetadataContext::run("globex", em.find::<User>()).await.unwrap()[0].name, "globex");
        assert_eq!(names(&em).await, ["public"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_of_a_tenant_needs_no_context() {
    let shop = Shop::new(&["acme", "globex"]).await;
    for (strategy, em) in strict(&shop).await {
        let acme = em.tenant("acme");
        let task = tokio::spawn(async move {
            let found = MetadataContext::run("globex", names(&acme)).await;
            assert_eq!(found, ["acme"]);
            let made = acme
                .transaction(async |tx| {
                    let user = tx.save(&User::new("spawned")).await?;
                    tx.save(&Post::new(&user, "First")).await?;
                    tx.query("SELECT * FROM posts", &[]).await.map(|rows| rows.len())
                })
                .await;
            assert_eq!(made.unwrap(), 1);
            acme.delete::<Post>().everywhere().await.unwrap();
            acme.delete::<User>().where_(User::NAME.eq("spawned")).await.unwrap();
            acme.clone()
        });
        let acme = task.await.unwrap();
        assert_eq!(names(&acme).await, ["acme"], "{strategy}");
        assert_eq!(names(&em.tenant("globex")).await, ["globex"]);
        assert!(matches!(em.tenant("pg_catalog").find::<User>().await, Err(Error::Reserved(_))));
        assert!(matches!(em.tenant("").find::<User>().await, Err(Error::Tenant { .. })));
    }
}

/// Runs a future to its end, or to its panic.
async fn caught<F: Future>(future: F) -> std::thread::Result<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(panic)),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoint_that_nobody_ended_is_not_committed() {
    let shop = Shop::new(&["acme"]).await;
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy).max_connections(1)).await;
        let acme = em.tenant("acme");
        for panics in [false, true] {
            let tx = acme.begin().await.unwrap();
            tx.save(&User::new("before")).await.unwrap();
            let part = tx.savepoint(async |tx: &Transaction| {
                tx.save(&User::new("half")).await?;
                if panics {
                    panic!("as it should");
                }
                std::future::pending::<Result<(), Error>>().await
            });
            match panics {
                true => assert!(caught(part).await.is_err()),
                false => assert!(tokio::time::timeout(Duration::from_millis(300), part).await.is_err()),
            }
            // The rest of the transaction goes with it, and says so.
            let _ = tx.save(&User::new("behind")).await;
            assert!(matches!(tx.commit().await, Err(Error::Aborted)), "{strategy} {panics}");
            assert_eq!(names(&acme).await, ["acme"], "{strategy} {panics}");
        }
        // What undoes the savepoint around it undoes it as well.
        let tx = acme.begin().await.unwrap();
        tx.save(&User::new("kept")).await.unwrap();
        let outer: Result<(), Error> = tx
            .savepoint(async |tx: &Transaction| {
                let inner = tx.savepoint(async |tx: &Transaction| {
                    tx.save(&User::new("half")).await?;
                    std::future::pending::<Result<(), Error>>().await
                });
                assert!(tokio::time::timeout(Duration::from_millis(300), inner).await.is_err());
                Err(Error::NothingSet("User"))
            })
            .await;
        assert!(matches!(outer, Err(Error::NothingSet(_))));
        tx.commit().await.unwrap();
        assert_eq!(names(&acme).await, ["acme", "kept"]);
        acme.delete::<User>().where_(User::NAME.eq("kept")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoints_side_by_side_are_refused() {
    let shop = Shop::new(&["acme"]).await;
    let em = shop.manager(shop.options()).await;
    let acme = em.tenant("acme");
    let tx = acme.begin().await.unwrap();
    let gate = tokio::sync::Notify::new();
    let one = tx.savepoint(async |tx: &Transaction| {
        tx.save(&User::new("one")).await?;
        gate.notified().await;
        tx.save(&User::new("one more")).await
    });
    let other = async {
        // Until the first one is open.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let aside = tx.savepoint(async |tx: &Transaction| tx.save(&User::new("other")).await).await;
        assert!(matches!(aside, Err(Error::Interleaved)), "{aside:?}");
        // So is a statement that is in no savepoint, since it would be undone with the one that is open.
        assert!(matches!(tx.save(&User::new("aside")).await, Err(Error::Interleaved)));
        gate.notify_one();
    };
    let (one, ()) = tokio::join!(one, other);
    one.unwrap();
    // Another transaction in the middle of a savepoint is another one, and the first one goes on in it.
    let nested: Result<(), Error> = tx
        .savepoint(async |tx: &Transaction| {
            let globally = em.tenant("acme").begin().await?;
            globally
                .savepoint(async |other: &Transaction| {
                    other.count::<User>().await?;
                    tx.save(&User::new("nested")).await.map(drop)
                })
                .await?;
            globally.rollback().await
        })
        .await;
    nested.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(names(&acme).await, ["acme", "one", "one more", "nested"]);
}

/// What leads a transaction's names to another tenant, if nothing leads them back.
const ASTRAY: [&str; 6] = [
    "SET LOCAL search_path TO globex",
    "SET search_path TO globex",
    "SELECT set_config('search_path', 'globex', true)",
    "SELECT set_config('search_path', 'globex', false)",
    "DO $$ BEGIN PERFORM set_config('search_path', 'globex', true); END $$",
    "UPDATE pg_settings SET setting = 'globex' WHERE name = 'search_path'",
];

#[tokio::test(flavor = "multi_thread")]
async fn raw_sql_leads_no_later_call_astray() {
    let shop = Shop::new(&["acme", "globex"]).await;
    for strategy in STRATEGIES {
        for pipelined in [true, false] {
            let options = shop.options().tenant_strategy(strategy).pipelined(pipelined).max_connections(1);
            let em = shop.manager(options).await;
            let acme = em.tenant("acme");
            for astray in ASTRAY {
                let tx = acme.begin().await.unwrap();
                for _ in 0..3 {
                    tx.query(astray, &[]).await.unwrap();
                    assert_eq!(names(&tx).await, ["acme"], "{astray}");
                    tx.query(astray, &[]).await.unwrap();
                    let raw = tx.query("SELECT name FROM users", &[]).await.unwrap();
                    assert_eq!(raw[0].get::<_, &str>(0), "acme", "{astray}");
                    tx.query(astray, &[]).await.unwrap();
                    tx.update::<User>().set(User::ROLE, "acme's").everywhere().await.unwrap();
                }
                // What undoes a savepoint brings back the path of before it.
                let undone: Result<(), Error> = tx
                    .savepoint(async |tx: &Transaction| {
                        tx.query(astray, &[]).await?;
                        Err(Error::NothingSet("User"))
                    })
                    .await;
                assert!(undone.is_err());
                tx.save(&User::new("new")).await.unwrap();
                tx.commit().await.unwrap();
                acme.delete::<User>().where_(User::NAME.eq("new")).await.unwrap();
                let globex = em.tenant("globex").find::<User>().await.unwrap();
                assert_eq!(globex.len(), 1, "{astray}");
                assert_eq!(globex[0].role.as_deref(), Some("member"), "{astray}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_one_tenant_reach_no_other() {
    let shop = Shop::new(&["acme", "globex"]).await;
    let em = shop.manager(shop.options()).await;
    let acme = MetadataContext::run("acme", async { em.metadata().unwrap() }).await;
    MetadataContext::run("globex", async {
        // A handle stays that of the tenant that it was made for, wherever it goes.
        acme.set("User", pgstrata_orm::EntityMetadata::table("nowhere")).unwrap();
        assert_eq!(acme.tenant(), "acme");
        assert_eq!(names(&em).await, ["globex"]);
    })
    .await;
    assert!(em.tenant("acme").find::<User>().await.is_err());
    let public = em.metadata().unwrap().get("User").unwrap();
    assert_eq!(public.table_name.as_deref(), Some("users"));
    acme.unset("User").unwrap();
    let names = tokio::time::timeout(NEVER, names(&em.tenant("acme"))).await.unwrap();
    assert_eq!(names, ["acme"]);
}
