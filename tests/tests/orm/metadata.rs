//! What a tenant overrides, and names of all kinds.

use pgstrata_orm::layers::{LayerError, Schema};
use pgstrata_orm::{EntityManager, EntityMetadata, Error, MetadataContext, Options};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{Plan, Post, User, names};

#[tokio::test(flavor = "multi_thread")]
async fn override_is_one_tenants_own() {
    let shop = Shop::new(&["enterprise", "acme"]).await;
    shop.run("CREATE TABLE enterprise.enterprise_users (LIKE enterprise.users INCLUDING ALL)").await;
    shop.run("ALTER TABLE enterprise.enterprise_users OWNER TO shop; ALTER TABLE enterprise.enterprise_users RENAME name TO full_name").await;
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy)).await;
        MetadataContext::run("enterprise", async {
            let store = em.metadata().unwrap();
            store
                .set("User", EntityMetadata::table("enterprise_users").with_column("name", "full_name"))
                .unwrap();
            // The other columns shine through from public.
            let saved = em.save(&User { email: Some("e@x".into()), ..User::new("other") }).await.unwrap();
            assert_eq!(names(&em).await, ["other"]);
            assert_eq!(em.find_by_pk::<User>(saved.id).await.unwrap(), Some(saved));
            let found = em.find::<User>().where_(User::NAME.eq("other")).order_by(User::NAME.asc()).await;
            assert_eq!(found.unwrap().len(), 1);
            em.update::<User>().set(User::NAME, "changed").where_(User::NAME.eq("other")).await.unwrap();
            em.upsert(&User::new("changed")).on(User::NAME).await.unwrap();
            assert!(em.find::<User>().load(User::POSTS).await.unwrap()[0].1.is_empty());
            assert!(em.find::<Post>().join(Post::AUTHOR).await.unwrap().is_empty());
            assert_eq!(em.delete::<User>().everywhere().await.unwrap(), 1);
        })
        .await;
        assert_eq!(MetadataContext::run("acme", names(&em)).await, ["acme"]);
        assert_eq!(names(&em).await, ["public"]);
        // Without it, the tenant's table is that of all.
        MetadataContext::run("enterprise", async {
            assert!(em.metadata().unwrap().unset("User").unwrap());
            assert_eq!(names(&em).await, ["enterprise"]);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn override_moves_a_table_to_another_schema() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("CREATE TABLE acme.plans (LIKE public.plans); ALTER TABLE acme.plans OWNER TO shop").await;
    shop.run("INSERT INTO acme.plans VALUES ('DE', 1, 5)").await;
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy)).await;
        MetadataContext::run("acme", async {
            assert_eq!(em.count::<Plan>().await.unwrap(), 0);
            let own = EntityMetadata::default().in_schema(Schema::Own);
            em.metadata().unwrap().set("Plan", own).unwrap();
            assert_eq!(em.count::<Plan>().await.unwrap(), 1);
            let shared = EntityMetadata::default().in_schema(Schema::Named("public".into()));
            em.metadata().unwrap().set("User", shared).unwrap();
            assert_eq!(names(&em).await, ["public"]);
        })
        .await;
        assert_eq!(em.count::<Plan>().await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_layer_is_read_only_once_entities_are_registered() {
    let shop = Shop::new(&[]).await;
    let em = shop.manager(shop.options()).await;
    let refused = em.metadata().unwrap().set("User", EntityMetadata::table("other"));
    assert_eq!(refused, Err(LayerError::ReadOnly("public".into())));
    assert_eq!(em.metadata().unwrap().all_in_context().len(), 3);
    assert_eq!(em.metadata().unwrap().search("P").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_all_kinds_are_names() {
    let tenants = [
        "Acme \"1\"",
        "a'b; DROP SCHEMA public; --",
        "größe, \"public\"",
        "back\\slash",
        "$usér",
        "SELECT",
        " blank ",
        &"x".repeat(63),
    ];
    let shop = Shop::new(&tenants).await;
    let odd = "ta\"ble'; $1 --";
    for tenant in tenants {
        let schema = pgstrata_tenancy::ident::quoted(tenant);
        let table = format!("{schema}.{}", pgstrata_tenancy::ident::quoted(odd));
        shop.run(&format!(
            "CREATE TABLE {table} (LIKE {schema}.users INCLUDING ALL); ALTER TABLE {table} OWNER TO shop"
        ))
        .await;
    }
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy)).await;
        for tenant in tenants {
            MetadataContext::run(tenant, async {
                assert_eq!(names(&em).await, [tenant]);
                em.save(&User::new("more")).await.unwrap();
                assert_eq!(em.query("SELECT * FROM users", &[]).await.unwrap().len(), 2);
                em.delete::<User>().where_(User::NAME.eq("more")).await.unwrap();
                em.metadata().unwrap().set("User", EntityMetadata::table(odd)).unwrap();
                em.save(&User::new(tenant)).await.unwrap();
                assert_eq!(em.delete::<User>().everywhere().await.unwrap(), 1);
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_can_be_no_tenants_are_errors() {
    let shop = Shop::new(&["acme"]).await;
    for strategy in STRATEGIES {
        let em = shop.manager(shop.options().tenant_strategy(strategy).shared_schemas(["extensions"])).await;
        for name in ["", "a\0b", &"x".repeat(64)] {
            let refused = MetadataContext::run(name, em.save(&User::new("x"))).await.unwrap_err();
            assert!(matches!(refused, Error::Tenant { .. }), "{refused}");
        }
        for name in ["pg_catalog", "information_schema", "pgstrata_control", "pg_temp", "$user", "extensions"]
        {
            let refused = MetadataContext::run(name, em.save(&User::new("x"))).await.unwrap_err();
            assert!(matches!(refused, Error::Reserved(_)), "{refused}");
        }
        // A tenant with no schema has no tables: public's are not its own.
        for missing in ["typo", "ACME"] {
            let outcome = MetadataContext::run(missing, em.save(&User::new("x"))).await.unwrap_err();
            assert_eq!(outcome.sqlstate().unwrap().code(), "42P01");
            assert!(MetadataContext::run(missing, em.query("SELECT * FROM users", &[])).await.is_err());
        }
        let metadata = EntityMetadata::table(&"x".repeat(64));
        let refused = MetadataContext::run("acme", async {
            em.metadata().unwrap().set("User", metadata).unwrap();
            em.find::<User>().await.unwrap_err()
        });
        assert!(matches!(refused.await, Error::Name { entity: "User", .. }));
        assert_eq!(names(&em).await, ["public"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entity_that_is_not_registered_is_an_error() {
    let shop = Shop::new(&[]).await;
    let options = Options::config(shop.config(shop.cluster.port())).entity::<User>();
    let em = EntityManager::register(options).await.unwrap();
    assert!(matches!(em.find::<Post>().await, Err(Error::Unregistered("Post"))));
    assert!(matches!(em.find::<User>().load(User::POSTS).await, Err(Error::Unregistered("Post"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn synchronize_creates_what_is_missing_and_changes_nothing() {
    let shop = Shop::new(&[]).await;
    let inventory = "SELECT string_agg(relname || relkind::text, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let before = pgstrata_tests::stage::names(&shop.admin, inventory).await;
    assert!(before[0].contains("users_role_name_idx") && before[0].contains("posts_id_seq"), "{before:?}");
    let again: Vec<_> = (0..4).map(|_| EntityManager::register(shop.options().synchronize(true))).collect();
    for one in again {
        one.await.unwrap();
    }
    assert_eq!(pgstrata_tests::stage::names(&shop.admin, inventory).await, before);
    let keys = "SELECT conname::text FROM pg_constraint WHERE contype = 'f'";
    assert_eq!(pgstrata_tests::stage::names(&shop.admin, keys).await, ["posts_user_id_fkey"]);
    shop.run("DROP TABLE public.posts; ALTER TABLE public.users DROP COLUMN role").await;
    let outdated = EntityManager::register(shop.options().synchronize(true)).await.unwrap_err();
    assert!(matches!(&outdated, Error::Outdated { columns, .. } if columns == &["role"]), "{outdated}");
    assert_eq!(
        pgstrata_tests::stage::names(
            &shop.admin,
            "SELECT count(*)::text FROM pg_class WHERE relname = 'posts'"
        )
        .await,
        ["0"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn synchronize_refuses_columns_that_are_not_as_the_entity_says() {
    let shop = Shop::new(&[]).await;
    for (change, undo, words) in [
        (
            "ALTER COLUMN role TYPE varchar(20)",
            "ALTER COLUMN role TYPE text",
            "role is character varying(20), where the entity says text",
        ),
        (
            "ALTER COLUMN id TYPE int",
            "ALTER COLUMN id TYPE bigint",
            "id is integer, where the entity says bigint",
        ),
        ("ALTER COLUMN name DROP NOT NULL", "ALTER COLUMN name SET NOT NULL", "name may be NULL"),
        ("ALTER COLUMN role SET NOT NULL", "ALTER COLUMN role DROP NOT NULL", "role is NOT NULL"),
    ] {
        shop.run(&format!("ALTER TABLE public.users {change}")).await;
        let refused = EntityManager::register(shop.options().synchronize(true)).await.unwrap_err();
        assert!(matches!(refused, Error::Differs { .. }) && refused.to_string().contains(words), "{refused}");
        shop.run(&format!("ALTER TABLE public.users {undo}")).await;
        EntityManager::register(shop.options().synchronize(true)).await.unwrap();
    }
}
