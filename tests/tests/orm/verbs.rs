//! All that can be asked of entities, in each way to reach a tenant.

use pgstrata_orm::{Condition, EntityManager, Error, MetadataContext, Strategy};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{Plan, Post, User, names};
use pgstrata_tests::stage::eventually;

/// Both strategies, each in one flight and step by step.
fn ways() -> impl Iterator<Item = (Strategy, bool)> {
    STRATEGIES.into_iter().flat_map(|strategy| [(strategy, true), (strategy, false)])
}

/// Runs the same work in each way, each time as a tenant that nobody has touched.
async fn each_way(work: impl AsyncFn(&EntityManager)) {
    let tenants = ["t0", "t1", "t2", "t3"];
    let shop = Shop::new(&tenants).await;
    for (tenant, (strategy, pipelined)) in tenants.into_iter().zip(ways()) {
        let em = shop.manager(shop.options().tenant_strategy(strategy).pipelined(pipelined)).await;
        // More often than a statement is seen before it is prepared.
        for _ in 0..3 {
            MetadataContext::run(tenant, async {
                em.delete::<Post>().everywhere().await.unwrap();
                em.delete::<User>().everywhere().await.unwrap();
                work(&em).await;
            })
            .await;
        }
        assert_eq!(names(&em).await, ["public"], "{strategy} {pipelined}");
        // A connection that was dropped in a transaction is closed when PostgreSQL looks at it next.
        eventually(Vec::<String>::new(), async || shop.busy().await).await;
    }
}

async fn users(em: &EntityManager, names: &[&str]) -> Vec<User> {
    let users: Vec<User> = names.iter().map(|name| User::new(name)).collect();
    em.save_many(&users).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn save_gives_the_row_as_the_database_has_it() {
    each_way(async |em| {
        let new = User { email: Some("a@x.example".into()), ..User::new("Alice") };
        let alice = em.save(&new).await.unwrap();
        assert!(alice.id > 0);
        assert_eq!(alice, User { id: alice.id, role: Some("member".into()), ..new });
        assert_eq!(em.find_by_pk::<User>(alice.id).await.unwrap().as_ref(), Some(&alice));
        // One with a key is changed, or inserted where it is gone.
        let changed = User { name: "Alicia".into(), email: None, ..alice.clone() };
        assert_eq!(em.save(&changed).await.unwrap(), changed);
        assert_eq!(names(em).await, ["Alicia"]);
        assert!(em.remove(&changed).await.unwrap());
        assert!(!em.remove(&changed).await.unwrap());
        assert_eq!(em.save(&changed).await.unwrap(), changed);
        let twin = em.save(&User::new("Alicia")).await.unwrap_err();
        assert!(twin.is_duplicate(), "{twin}");
        assert!(twin.to_string().contains("writing User of \"t"), "{twin}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn save_many_is_all_or_nothing_and_in_order() {
    each_way(async |em| {
        let saved = users(em, &["c", "a", "b"]).await;
        assert_eq!(saved.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
        assert!(saved.iter().all(|user| user.id > 0));
        let mixed = [User::new("d"), User { name: "changed".into(), ..saved[1].clone() }, User::new("e")];
        let mixed = em.save_many(&mixed).await.unwrap();
        assert_eq!(mixed[1].id, saved[1].id);
        assert_eq!(names(em).await, ["c", "changed", "b", "d", "e"]);
        let twins = [User::new("f"), User { name: "c".into(), ..saved[2].clone() }];
        assert!(em.save_many(&twins).await.unwrap_err().is_duplicate());
        assert_eq!(em.count::<User>().await.unwrap(), 5);
        assert_eq!(em.save_many::<User>(&[]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn save_many_takes_more_values_than_one_statement_can() {
    let shop = Shop::new(&["acme"]).await;
    let em = shop.manager(shop.options()).await;
    let many: Vec<User> = (0..20_000).map(|n| User::new(&format!("user {n}"))).collect();
    let saved = MetadataContext::run("acme", em.save_many(&many)).await.unwrap();
    assert!(saved.iter().zip(&many).all(|(saved, given)| saved.name == given.name));
    let count = MetadataContext::run("acme", async { em.count::<User>().await }).await.unwrap();
    assert_eq!(count, 20_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn find_with_conditions_order_and_page() {
    each_way(async |em| {
        users(em, &["Ann", "Bob", "Cid", "Dan", "Eve"]).await;
        em.update::<User>()
            .set(User::EMAIL, "x'; DROP TABLE users; --")
            .where_(User::NAME.eq("Cid"))
            .await
            .unwrap();
        let found = async |condition: Condition<User>| {
            let users = em.find::<User>().where_(condition).order_by(User::NAME.asc()).await.unwrap();
            users.into_iter().map(|user| user.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(User::NAME.eq("Bob")).await, "Bob");
        assert_eq!(found(User::NAME.ne("Bob").and(User::NAME.lt("Dan"))).await, "Ann Cid");
        assert_eq!(found(User::NAME.le("Bob").or(User::NAME.gt("Dan"))).await, "Ann Bob Eve");
        assert_eq!(found(User::NAME.ge("Dan")).await, "Dan Eve");
        assert_eq!(found(User::NAME.in_(["Eve", "Ann", "Zoe"])).await, "Ann Eve");
        assert_eq!(found(User::NAME.in_([""; 0])).await, "");
        assert_eq!(found(User::NAME.like("_a%")).await, "Dan");
        assert_eq!(found(User::NAME.ilike("ANN")).await, "Ann");
        assert_eq!(found(User::EMAIL.is_not_null()).await, "Cid");
        assert_eq!(found(User::EMAIL.is_null().and(!User::NAME.like("%n"))).await, "Bob Eve");
        assert_eq!(found(User::EMAIL.eq("x'; DROP TABLE users; --")).await, "Cid");
        assert_eq!(found(Condition::any([])).await, "");
        assert_eq!(found(Condition::all([])).await, "Ann Bob Cid Dan Eve");
        assert_eq!(found(User::ROLE.eq("member").and(User::NAME.eq("x' OR true --"))).await, "");

        let one = em.find_one::<User>().order_by(User::NAME.desc()).await.unwrap();
        assert_eq!(one.unwrap().name, "Eve");
        assert_eq!(em.find_one::<User>().where_(User::NAME.eq("Zoe")).await.unwrap(), None);
        assert_eq!(em.count::<User>().where_(User::NAME.gt("Bob")).await.unwrap(), 3);
        assert!(em.exists::<User>().where_(User::NAME.eq("Dan")).await.unwrap());
        assert!(!em.exists::<User>().where_(User::NAME.eq("dan")).await.unwrap());
        for (offset, page) in [(0, &["Eve", "Dan"][..]), (4, &["Ann"]), (9, &[])] {
            let asked = em.find_and_count::<User>().order_by(User::NAME.desc()).limit(2).offset(offset);
            let (found, count) = asked.await.unwrap();
            assert_eq!(found.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), page);
            assert_eq!(count, 5);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_counts_what_the_answer_is_made_of() {
    each_way(async |em| {
        let users = users(em, &["Ann", "Bob", "Cid"]).await;
        let posts = [(0, "one"), (0, "two"), (1, "three")].map(|(n, title)| Post::new(&users[n], title));
        em.save_many(&posts).await.unwrap();

        assert_eq!(em.count::<User>().limit(2).await.unwrap(), 2);
        assert_eq!(em.count::<User>().limit(9).offset(1).await.unwrap(), 2);
        let (page, of) = em.find_and_count::<User>().limit(2).await.unwrap();
        assert_eq!((page.len(), of), (2, 3));
        assert!(!em.exists::<User>().limit(1).offset(3).await.unwrap());
        let second = em.find_one::<User>().order_by(User::ID.asc()).limit(9).offset(1).await.unwrap();
        assert_eq!(second.as_ref(), Some(&users[1]));

        let by_id = || em.find::<User>().order_by(User::ID.asc()).limit(2);
        let pairs = by_id().join(User::POSTS).await.unwrap();
        assert_eq!(pairs.iter().map(|(user, _)| user.name.as_str()).collect::<Vec<_>>(), ["Ann", "Ann"]);
        assert_eq!(by_id().join(User::POSTS).limit(3).await.unwrap().len(), 3);
        let loaded = by_id().load(User::POSTS).await.unwrap();
        assert_eq!(loaded.iter().map(|(_, posts)| posts.len()).collect::<Vec<_>>(), [2, 1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_are_joined_loaded_and_asked_for() {
    each_way(async |em| {
        let users = users(em, &["Ann", "Bob", "Cid"]).await;
        let posts = [(0, "one"), (0, "two"), (1, "three")].map(|(n, title)| Post::new(&users[n], title));
        let posts = em.save_many(&posts).await.unwrap();

        let pairs = em.find::<Post>().join(Post::AUTHOR).order_by(Post::ID.asc()).await.unwrap();
        let pairs: Vec<_> =
            pairs.iter().map(|(post, user)| (post.title.as_str(), user.name.as_str())).collect();
        assert_eq!(pairs, [("one", "Ann"), ("two", "Ann"), ("three", "Bob")]);
        let asked = em.find::<User>().where_(User::NAME.ne("Bob")).join(User::POSTS);
        let pairs = asked.where_other(Post::TITLE.eq("two")).limit(5).await.unwrap();
        assert_eq!(pairs, [(users[0].clone(), posts[1].clone())]);

        let loaded = em.find::<User>().order_by(User::NAME.desc()).load(User::POSTS).await.unwrap();
        let loaded: Vec<_> = loaded.iter().map(|(user, posts)| (user.name.as_str(), posts.len())).collect();
        assert_eq!(loaded, [("Cid", 0), ("Bob", 1), ("Ann", 2)]);
        let page = em.find::<User>().order_by(User::NAME.asc()).limit(1).load(User::POSTS).await.unwrap();
        assert_eq!(page, [(users[0].clone(), posts[..2].to_vec())]);

        let writers = em.find::<User>().where_(User::POSTS.has_any()).order_by(User::ID.asc()).await.unwrap();
        assert_eq!(writers, users[..2]);
        let idle = em.find_one::<User>().where_(!User::POSTS.has_any()).await.unwrap();
        assert_eq!(idle.as_ref(), Some(&users[2]));
        // The other table has a column `id`, too: each is its own.
        let by_author = Post::AUTHOR.has(User::NAME.eq("Bob").and(User::POSTS.has(Post::TITLE.like("t%"))));
        assert_eq!(em.find::<Post>().where_(by_author).await.unwrap(), posts[2..]);
        assert_eq!(em.delete::<Post>().where_(Post::AUTHOR.has(User::NAME.eq("Ann"))).await.unwrap(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_delete_and_upsert() {
    each_way(async |em| {
        users(em, &["Ann", "Bob"]).await;
        let changed =
            em.update::<User>().set(User::ROLE, "admin").set_null(User::EMAIL).where_(User::NAME.eq("Ann"));
        assert_eq!(changed.await.unwrap(), 1);
        assert!(matches!(em.update::<User>().set(User::ROLE, "x").await, Err(Error::Unfiltered("User"))));
        assert!(matches!(em.update::<User>().everywhere().await, Err(Error::NothingSet("User"))));
        assert!(matches!(em.delete::<User>().await, Err(Error::Unfiltered("User"))));

        let ann = em.find_one::<User>().where_(User::NAME.eq("Ann")).await.unwrap().unwrap();
        assert_eq!(ann.role.as_deref(), Some("admin"));
        for email in [Some("ann@x.example".to_owned()), None] {
            let changed = em.update::<User>().set_option(User::EMAIL, email.clone());
            assert_eq!(changed.where_(User::ID.eq(ann.id)).await.unwrap(), 1);
            assert_eq!(em.find_by_pk::<User>(ann.id).await.unwrap().unwrap().email, email);
        }
        let new = User { email: Some("ann@x.example".into()), ..User::new("Ann") };
        let upserted = em.upsert(&new).on(User::NAME).await.unwrap();
        assert_eq!((upserted.id, upserted.email.as_deref()), (ann.id, Some("ann@x.example")));
        let cid = em.upsert(&User::new("Cid")).on(User::NAME).await.unwrap();
        assert!(cid.id > ann.id);
        assert!(em.delete_by_pk::<User>(cid.id).await.unwrap());
        assert!(!em.delete_by_pk::<User>(cid.id).await.unwrap());
        assert_eq!(em.delete::<User>().where_(User::NAME.like("%n%")).await.unwrap(), 1);
        assert_eq!(names(em).await, ["Bob"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_sql_means_the_tenants_tables() {
    each_way(async |em| {
        users(em, &["Ann", "Bob"]).await;
        for _ in 0..3 {
            let rows =
                em.query("SELECT name, $1::int FROM users WHERE name = $2", &[&7, &"Bob"]).await.unwrap();
            assert_eq!((rows[0].get::<_, String>(0), rows[0].get::<_, i32>(1)), ("Bob".into(), 7));
        }
        assert_eq!(em.execute("UPDATE users SET role = $1", &[&"raw"]).await.unwrap(), 2);
        let refused = em.query("COMMIT", &[]).await.unwrap_err();
        assert!(matches!(refused, Error::TransactionControl(_)), "{refused}");
        assert!(em.query("SELECT nonsense", &[]).await.is_err());
        assert!(em.query("SELECT $1::int", &[&"no number"]).await.is_err());
        assert_eq!(names(em).await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_entities_are_the_same_for_all() {
    let shop = Shop::new(&["acme", "globex"]).await;
    for (strategy, pipelined) in ways() {
        let em = shop.manager(shop.options().tenant_strategy(strategy).pipelined(pipelined)).await;
        let plan = Plan { country: "DE".into(), code: 1, price: 900 };
        MetadataContext::run("acme", em.save(&plan)).await.unwrap();
        let found = MetadataContext::run("globex", em.find_by_pk::<Plan>(("DE".into(), 1))).await.unwrap();
        assert_eq!(found, Some(plan.clone()));
        assert_eq!(em.find::<Plan>().where_(Plan::PRICE.gt(100)).await.unwrap(), std::slice::from_ref(&plan));
        assert!(em.delete_by_pk::<Plan>(plan.key()).await.unwrap());
    }
    let copied = "SELECT nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relname = 'plans'";
    assert_eq!(pgstrata_tests::stage::names(&shop.admin, copied).await, ["public"]);
}

use pgstrata_orm::Entity;
