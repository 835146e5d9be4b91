//! Tables that are behind their entities: what is written for them, and what a migration makes of it.

use pgstrata_orm::control::migrate::{Migration, Migrations, Options as MigrateOptions};
use pgstrata_orm::{EntityManager, Error, Options, PostgresTenantMigrationRunner};
use pgstrata_tests::Shop;
use pgstrata_tests::shop::{Plan, Post, User};

const BEHIND: &str = "ALTER TABLE users DROP COLUMN role; ALTER TABLE users ALTER COLUMN name DROP NOT NULL; \
     ALTER TABLE users ALTER COLUMN \"e-mail \"\"address\"\"\" TYPE varchar(40); ALTER TABLE users ADD COLUMN old text; \
     ALTER TABLE users DROP CONSTRAINT users_name_key; DROP TABLE posts";

#[tokio::test(flavor = "multi_thread")]
async fn diff_brings_the_source_and_all_tenants_to_the_entities() {
    let shop = Shop::new(&["acme", "globex"]).await;
    let em = shop.manager(shop.options()).await;
    assert_eq!(em.diff().await.unwrap().tenants(), "");
    assert!(em.diff().await.unwrap().is_empty());
    for schema in ["public", "acme", "globex"] {
        shop.run(&format!("SET search_path TO {schema}; {BEHIND}; RESET search_path")).await;
    }
    shop.run("ALTER TABLE public.plans ALTER COLUMN price DROP NOT NULL").await;
    let diff = em.diff().await.unwrap();
    assert_eq!(diff.shared(), "ALTER TABLE \"public\".\"plans\" ALTER COLUMN \"price\" SET NOT NULL;\n");
    shop.run(diff.shared()).await;
    assert!(diff.tenants().contains("CREATE TABLE IF NOT EXISTS \"posts\""), "{}", diff.tenants());
    // Nothing is lost without somebody's word.
    assert!(diff.tenants().contains("-- no field has it: ALTER TABLE \"users\" DROP COLUMN \"old\";"));
    migrate(&em, diff.tenants()).await;
    assert!(em.diff().await.unwrap().is_empty(), "{}", em.diff().await.unwrap().tenants());
    EntityManager::register(shop.options().synchronize(true)).await.unwrap();
    for tenant in ["acme", "globex"] {
        let session = em.tenant(tenant);
        let user = session.save(&User::new("new")).await.unwrap();
        assert_eq!(user.role.as_deref(), Some("member"));
        assert!(session.save(&User::new("new")).await.unwrap_err().is_duplicate());
        session.save(&Post::new(&user, "first")).await.unwrap();
        let nobodys = Post { user_id: 99_999, ..Post::new(&user, "nobody's") };
        assert!(session.save(&nobodys).await.is_err());
    }
}

async fn migrate(em: &EntityManager, sql: &str) {
    let mut migrations = Migrations::new();
    migrations.add(Migration::sql(20_261_130_120_000, "entities", sql).unwrap()).unwrap();
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    let report = runner.control().migrate(&migrations, &MigrateOptions::default()).await.unwrap();
    assert!(report.is_ok(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_of_an_empty_database_creates_all_of_it() {
    let shop = Shop::new(&[]).await;
    shop.run("DROP TABLE public.posts, public.users, public.plans").await;
    let em = shop.manager(shop.options()).await;
    let diff = em.diff().await.unwrap();
    shop.run(&format!("SET ROLE shop; SET search_path TO public; {}{}", diff.shared(), diff.tenants())).await;
    assert!(em.diff().await.unwrap().is_empty());
    let public = em.public();
    assert_eq!((public.count::<User>().await.unwrap(), public.count::<Plan>().await.unwrap()), (0, 0));
    let sqlite = EntityManager::register(Options::url("sqlite::memory:").unwrap()).await.unwrap();
    assert!(matches!(sqlite.diff().await, Err(Error::Unsupported(_))));
}
