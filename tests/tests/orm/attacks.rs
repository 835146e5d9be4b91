//! All that goes wrong, at once: tasks that lose their context, calls that are dropped in the middle, panics, connections that are killed,
//! raw SQL that leads names astray, two tenants in one task. Nobody ever sees or changes a row of another's, and nothing half is kept.
//!
//! Each row is signed with its tenant's name, so a row in the wrong place is found wherever it is.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgstrata_orm::{
    EntityManager, Error, MetadataContext, MissingTenant, Options, Session, TenantColumnStrategy, Transaction,
};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{User, names, with_entities};
use pgstrata_tests::stage::eventually;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{sleep, timeout};

use crate::databases;

const TENANTS: [&str; 5] = ["acme", "globex", "Initech", "um\"brella", "hooli"];
const TASKS: u64 = 60;
const STEPS: usize = 12;

/// What leads the names of a transaction elsewhere, or takes away what is prepared.
const ASTRAY: [&str; 8] = [
    "SET search_path TO globex, public",
    "SELECT set_config('search_path', 'acme', true)",
    "SELECT set_config('search_path', 'hooli', false)",
    "DO $$ BEGIN PERFORM set_config('search_path', 'globex', true); END $$",
    "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$",
    "DEALLOCATE ALL",
    "CREATE TEMP TABLE IF NOT EXISTS users (id bigint, name text, \"e-mail \"\"address\"\"\" text, role text)",
    "UPDATE pg_settings SET setting = 'globex' WHERE name = 'search_path'",
];

fn signed(tenant: &str, name: String) -> User {
    User { role: Some(tenant.into()), ..User::new(&name) }
}

/// All that a session reads is signed by its tenant. An error is nobody's row.
async fn look(session: &Session, tenant: &str) {
    if let Ok(users) = session.find::<User>().await {
        assert!(!users.is_empty(), "{tenant}");
        assert!(users.iter().all(|user| user.role.as_deref() == Some(tenant)), "{tenant}: {users:?}");
    }
}

/// Runs a future to its end, or to its panic.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}

/// A transaction with something in it that goes wrong, and is not to be kept by half: both of a pair, or none.
async fn pair(session: &Session, tenant: &str, name: &str, wrong: u32) -> Result<(), Error> {
    let tx = session.begin().await?;
    tx.save(&signed(tenant, format!("left {name}"))).await?;
    match wrong {
        0 => {
            let part = tx.savepoint(async |tx: &Transaction| {
                tx.save(&signed(tenant, format!("lost {name}"))).await?;
                panic!("as it should");
            });
            let part: Option<Result<(), Error>> = caught(part).await;
            assert!(part.is_none_or(|part| part.is_err()));
        }
        1 => {
            let part = tx.savepoint(async |tx: &Transaction| {
                tx.save(&signed(tenant, format!("lost {name}"))).await?;
                sleep(Duration::from_secs(600)).await;
                Ok::<_, Error>(())
            });
            let _ = timeout(Duration::from_millis(5), part).await;
        }
        2 => {
            let _ = timeout(Duration::from_millis(2), tx.query("SELECT pg_sleep(600)", &[])).await;
        }
        _ => {}
    }
    look(&tx, tenant).await;
    tx.save(&signed(tenant, format!("right {name}"))).await?;
    tx.commit().await
}

/// Transactions that raw SQL tries to lead elsewhere.
async fn astray(em: &EntityManager, tenant: &str, name: &str, sql: &str) -> Result<(), Error> {
    let session: &Session = em;
    look(session, tenant).await;
    let alone = session.execute(sql, &[]).await;
    look(session, tenant).await;
    if matches!(alone, Err(Error::Unscoped(_))) {
        return without_scope(em, session, tenant, sql).await;
    }
    // A temporary table of the same name is in front of everything for PostgreSQL, and of no tenant's.
    if sql.contains("TEMP") {
        return Ok(());
    }
    let tx = session.begin().await?;
    tx.execute(sql, &[]).await?;
    look(&tx, tenant).await;
    tx.execute(sql, &[]).await?;
    tx.save(&signed(tenant, format!("raw {name}"))).await?;
    tx.execute(sql, &[]).await?;
    let raw = tx.query("SELECT role FROM users", &[]).await?;
    assert!(raw.iter().all(|row| row.get::<_, Option<&str>>(0) == Some(tenant)), "{tenant}: {sql}");
    tx.commit().await
}

/// The same by who may send it, where a column tells tenants apart: on connections that all of them share.
async fn without_scope(em: &EntityManager, session: &Session, tenant: &str, sql: &str) -> Result<(), Error> {
    let tx = session.begin().await?;
    assert!(matches!(tx.execute(sql, &[]).await, Err(Error::Unscoped(_))), "{sql}");
    look(&tx, tenant).await;
    // SQLite has one transaction that writes at a time.
    tx.commit().await?;
    em.without_tenant_scope(async |all| {
        let _ = all.execute(sql, &[]).await;
        // Nobody who has SQLite's one lock waits for a connection: those who have them wait for the lock.
        look(session, tenant).await;
        let within = all.begin().await?;
        let _ = within.execute(sql, &[]).await;
        within.commit().await
    })
    .await?;
    look(session, tenant).await;
    Ok(())
}

async fn step(em: &EntityManager, tenant: &str, name: &str, random: &mut StdRng) -> Result<(), Error> {
    let session = em.tenant(tenant);
    match random.random_range(0..8) {
        0 => look(em, tenant).await,
        1 => drop(em.save(&signed(tenant, format!("alone {name}"))).await?),
        2 => pair(&session, tenant, name, random.random_range(0..4)).await?,
        3 => astray(em, tenant, name, ASTRAY[random.random_range(0..ASTRAY.len())]).await?,
        4 => {
            // Dropped wherever it is by then.
            let pause = Duration::from_micros(random.random_range(0..3000));
            let user = signed(tenant, format!("perhaps {name}"));
            tokio::select! {
                () = sleep(pause) => {}
                _ = em.save(&user) => {}
            }
        }
        5 => {
            // A task without its context: an error, and never public's.
            let (em, user) = (em.clone(), signed(tenant, format!("stray {name}")));
            let stray = tokio::spawn(async move { em.save(&user).await }).await.unwrap();
            assert!(matches!(stray, Err(Error::NoTenant(_))), "{stray:?}");
        }
        6 => {
            // Two tenants in one task, side by side, and a query of the one that is awaited elsewhere.
            let other = TENANTS[random.random_range(0..TENANTS.len())];
            let (mine, session) = (em.find::<User>(), em.tenant(other));
            let (one, two) = tokio::join!(
                MetadataContext::run("public", async {
                    MetadataContext::run(other, em.count::<User>()).await
                }),
                session.find::<User>().into_future()
            );
            drop(one);
            let two = two.unwrap_or_default();
            assert!(two.iter().all(|user| user.role.as_deref() == Some(other)), "{other}: {two:?}");
            let mine = timeout(Duration::from_secs(60), mine.into_future()).await.unwrap()?;
            assert!(mine.iter().all(|user| user.role.as_deref() == Some(tenant)), "{mine:?}");
        }
        _ => {
            em.update::<User>().set(User::EMAIL, tenant).where_(User::ROLE.eq(tenant)).await?;
        }
    }
    Ok(())
}

/// Kills connections until it is told to stop.
async fn killer(shop: &Shop, stop: &AtomicBool) {
    let kill =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop' AND random() < 0.2";
    while !stop.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(40)).await;
        shop.run(kill).await;
    }
}

/// Tenants with schemas of their own, on a PostgreSQL whose connections are killed.
async fn attack(strategy: pgstrata_orm::Strategy, pipelined: bool, seed: u64) {
    let shop = Shop::new(&TENANTS).await;
    let options = shop.options().tenant_strategy(strategy).pipelined(pipelined);
    let em = shop.manager(guarded(options)).await;
    for tenant in TENANTS {
        let session = em.tenant(tenant);
        session.update::<User>().set(User::ROLE, tenant).everywhere().await.unwrap();
    }
    storm_and_kill(shop, &em, 8, seed).await;
}

fn guarded(options: Options) -> Options {
    options.missing_tenant(MissingTenant::Reject).max_connections(8)
}

async fn first_rows(em: &EntityManager) {
    for tenant in TENANTS {
        em.tenant(tenant).save(&signed(tenant, tenant.into())).await.unwrap();
    }
    em.public().save(&User::new("public")).await.unwrap();
}

async fn storm_and_kill(shop: Shop, em: &EntityManager, most: usize, seed: u64) {
    shop.run("ALTER SYSTEM SET deadlock_timeout = '100ms'").await;
    let (shop, stop) = (Arc::new(shop), Arc::new(AtomicBool::new(false)));
    let killing = {
        let (shop, stop) = (Arc::clone(&shop), Arc::clone(&stop));
        tokio::spawn(async move { killer(&shop, &stop).await })
    };
    storm(em, seed).await;
    stop.store(true, Ordering::Relaxed);
    killing.await.unwrap();
    nothing_is_mixed(em, most).await;
    eventually(Vec::<String>::new(), async || shop.busy().await).await;
}

/// All tasks at once, to their ends.
async fn storm(em: &EntityManager, seed: u64) {
    println!("seed {seed}");
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let em = em.clone();
            let tenant = TENANTS[task as usize % TENANTS.len()];
            tokio::spawn(MetadataContext::run(tenant, async move {
                let mut random = StdRng::seed_from_u64(seed ^ (task << 32));
                for n in 0..STEPS {
                    // Whatever fails, fails: what counts is what is there.
                    let _ = step(&em, tenant, &format!("{task}.{n}"), &mut random).await;
                }
            }))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn nothing_is_mixed(em: &EntityManager, most: usize) {
    for tenant in TENANTS {
        let users = em.tenant(tenant).find::<User>().await.unwrap();
        assert!(users.iter().all(|user| user.role.as_deref() == Some(tenant)), "{tenant}: {users:?}");
        let named = |word: &str| {
            let named = users.iter().filter_map(|user| user.name.strip_prefix(word)).map(str::to_owned);
            named.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(named("left "), named("right "), "{tenant}");
        assert!(named("lost ").is_empty() && named("stray ").is_empty(), "{tenant}: {users:?}");
    }
    assert_eq!(names(&em.public()).await, ["public"]);
    assert!(em.connections().0 <= most);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_by_the_search_path() {
    attack(pgstrata_orm::Strategy::SearchPath, true, rand::rng().random()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_by_qualified_names() {
    attack(pgstrata_orm::Strategy::SchemaQualified, true, rand::rng().random()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_step_by_step() {
    for strategy in STRATEGIES {
        attack(strategy, false, rand::rng().random()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_by_a_tenants_column() {
    for pipelined in [true, false] {
        let shop = Shop::new(&[]).await;
        shop.run("DROP TABLE public.posts, public.users, public.plans").await;
        let options = shop.options().tenant_strategy(TenantColumnStrategy::default()).pipelined(pipelined);
        let em = shop.manager(guarded(options).synchronize(true)).await;
        first_rows(&em).await;
        storm_and_kill(shop, &em, 8, rand::rng().random()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_by_databases() {
    let shop = Shop::new(&[]).await;
    databases::create(&shop, &TENANTS).await;
    let strategy = databases::strategy(&shop, &TENANTS);
    let options = shop.options().tenant_strategy(strategy).missing_tenant(MissingTenant::Reject);
    let em = shop.manager(options.max_connections(4).synchronize(true)).await;
    for tenant in TENANTS {
        em.synchronize_database(tenant).await.unwrap();
        em.tenant(tenant).save(&signed(tenant, tenant.into())).await.unwrap();
    }
    storm_and_kill(shop, &em, 4 * (1 + TENANTS.len()), rand::rng().random()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attacks_by_a_tenants_column_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("app.db").display());
    let options = with_entities(Options::url(&url).unwrap()).tenant_strategy(TenantColumnStrategy::default());
    let em = EntityManager::register(guarded(options).synchronize(true)).await.unwrap();
    first_rows(&em).await;
    storm(&em, rand::rng().random()).await;
    nothing_is_mixed(&em, 8).await;
}
