//! A thousand tasks of fifty tenants at once, over ten connections: nobody sees anything of another's, whatever happens to whom.

use std::time::Duration;

use pgstrata_orm::{EntityManager, EntityMetadata, MetadataContext, Options, Session, Strategy};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{TABLES, User, names, with_entities};
use pgstrata_tests::stage::eventually;
use pgstrata_tests::{Setup, Shop, Stage};
use rand::RngExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const TASKS: usize = 1000;
const TENANTS: usize = 50;
const CONNECTIONS: usize = 10;

fn tenants() -> Vec<String> {
    (0..TENANTS).map(|n| format!("Tenant \"{n:02}\"")).collect()
}

/// Each row that a tenant has is signed with its name.
fn signed(tenant: &str, name: &str) -> User {
    User { role: Some(tenant.into()), ..User::new(name) }
}

/// All rows are the context's own, and so is all else.
async fn look(session: &Session, tenant: &str) {
    assert_eq!(MetadataContext::current_tenant(), tenant);
    let users = session.find::<User>().await.unwrap();
    assert!(!users.is_empty());
    for user in users {
        assert_eq!(user.role.as_deref(), Some(tenant), "{user:?}");
    }
}

async fn metadata(em: &EntityManager, tenant: &str) {
    let store = em.metadata().unwrap();
    store.set("Note", EntityMetadata::table(tenant)).unwrap();
    tokio::task::yield_now().await;
    let seen = em.metadata().unwrap().get("Note").unwrap();
    assert_eq!(seen.table_name.as_deref(), Some(tenant));
}

/// What a task does; some panic in the middle, some are aborted.
async fn work(em: EntityManager, n: usize, tenant: String) {
    look(&em, &tenant).await;
    metadata(&em, &tenant).await;
    let pair = |half| signed(&tenant, &format!("{half} {n}"));
    match n % 5 {
        0 => {
            let raw = em.query("SELECT DISTINCT role FROM users", &[]).await.unwrap();
            assert_eq!(raw.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), [tenant.as_str()]);
        }
        1 => {
            em.save(&signed(&tenant, &format!("alone {n}"))).await.unwrap();
        }
        2 => {
            let tx = em.begin().await.unwrap();
            tx.save(&pair("left")).await.unwrap();
            look(&tx, &tenant).await;
            tx.save(&pair("right")).await.unwrap();
            tx.commit().await.unwrap();
        }
        3 => {
            let tx = em.begin().await.unwrap();
            tx.save(&pair("lost")).await.unwrap();
            panic!("as it should");
        }
        _ => loop {
            // Until it is aborted, wherever it is then.
            let tx = em.begin().await.unwrap();
            tx.save(&pair("lost")).await.unwrap();
            look(&tx, &tenant).await;
            if n.is_multiple_of(2) {
                tx.execute("SELECT set_config('application_name', $1, false)", &[&tenant]).await.unwrap();
            }
        },
    }
    // In between, another one's context is nothing to this one.
    MetadataContext::run("public", async { assert!(MetadataContext::current_tenant().is_public()) }).await;
    look(&em, &tenant).await;
}

/// Runs all of them, and looks at what is left.
async fn crowd(options: Options) {
    let em = EntityManager::register(options.max_connections(CONNECTIONS)).await.unwrap();
    let tenants = tenants();
    for tenant in &tenants {
        MetadataContext::run(tenant, em.save(&signed(tenant, "first"))).await.unwrap();
    }
    let tasks: Vec<(usize, JoinHandle<()>)> = (0..TASKS)
        .map(|n| {
            let tenant = &tenants[n % TENANTS];
            let work = work(em.clone(), n, tenant.clone());
            (n, tokio::spawn(MetadataContext::run(tenant, work)))
        })
        .collect();
    let mut doomed = Vec::new();
    for (n, task) in tasks {
        match n % 5 {
            4 => doomed.push(task),
            3 => assert!(task.await.unwrap_err().is_panic()),
            _ => task.await.unwrap(),
        }
        // One after the other, each wherever it is by now.
        if let Some(task) = doomed.pop_if(|_| n % 3 == 0) {
            let pause = rand::rng().random_range(0..2000);
            sleep(Duration::from_micros(pause)).await;
            task.abort();
        }
    }
    doomed.iter().for_each(JoinHandle::abort);
    for (n, tenant) in tenants.iter().enumerate() {
        let mut expected = vec!["first".to_owned()];
        for task in (n..TASKS).step_by(TENANTS) {
            match task % 5 {
                1 => expected.push(format!("alone {task}")),
                2 => expected.extend([format!("left {task}"), format!("right {task}")]),
                _ => {}
            }
        }
        let mut found = MetadataContext::run(tenant, names(&em)).await;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{tenant}");
    }
    assert!(em.connections().0 <= CONNECTIONS);
}

async fn direct(strategy: Strategy, pipelined: bool) {
    let tenants = tenants();
    let names: Vec<&str> = tenants.iter().map(String::as_str).collect();
    let shop = Shop::new(&names).await;
    shop.run("ALTER SYSTEM SET deadlock_timeout = '100ms'").await;
    let owner = shop.manager(shop.options()).await;
    for tenant in &tenants {
        // The one that a shop gives each of them is not signed.
        MetadataContext::run(tenant, async { owner.delete::<User>().everywhere().await }).await.unwrap();
    }
    crowd(shop.options().tenant_strategy(strategy).pipelined(pipelined)).await;
    eventually(Vec::<String>::new(), async || shop.busy().await).await;
    assert_eq!(pgstrata_tests::shop::names(&owner).await, ["public"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousand_tasks_by_the_search_path() {
    direct(Strategy::SearchPath, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousand_tasks_by_qualified_names() {
    direct(Strategy::SchemaQualified, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousand_tasks_step_by_step() {
    direct(Strategy::SearchPath, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousand_tasks_through_the_proxy() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().tenant_switch().strategy(strategy).servers(4)).await;
        let admin = stage.superuser().await;
        for tenant in tenants() {
            let name = pgstrata_tenancy::ident::quoted(&tenant);
            let make = format!(
                "CREATE SCHEMA {name} AUTHORIZATION app; SET ROLE app; SET search_path TO {name}; {TABLES}; RESET ALL; RESET ROLE"
            );
            admin.batch_execute(&make).await.unwrap();
        }
        let options = with_entities(Options::config(stage.config(None)));
        crowd(options.through_proxy()).await;
        let busy = "SELECT query FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle'";
        eventually(Vec::<String>::new(), async || pgstrata_tests::stage::names(&admin, busy).await).await;
        assert_eq!(stage.public_users().await, pgstrata_tests::PUBLIC);
    }
}
