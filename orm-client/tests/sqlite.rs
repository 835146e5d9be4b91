//! The ORM on SQLite: all that can be asked, in transactions and out of them; contexts, layers and overrides hold, and a strategy has no effect.

// A helper of tests fails loudly, as they do.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures_util::TryStreamExt;
use pgstrata_orm::query::count;
use pgstrata_orm::{
    Condition, DatabaseKind, Entity, EntityManager, EntityMetadata, Error, MetadataContext, MissingTenant,
    Options, PostgresTenantMigrationRunner, Session, Strategy, Transaction, TransactionOptions,
};
use serde_json::json;
use uuid::Uuid;

const STRATEGIES: [Strategy; 2] = [Strategy::SearchPath, Strategy::SchemaQualified];

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "users", index(columns(role, name)), has_many(posts: Post, column = user_id))]
struct User {
    #[column(primary_key, generated)]
    id: i64,
    #[column(unique)]
    name: String,
    #[column(name = "e-mail \"address\"")]
    email: Option<String>,
    #[column(default = "'member'")]
    role: Option<String>,
}

impl User {
    fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "posts", belongs_to(author: User, column = user_id))]
struct Post {
    #[column(primary_key, generated)]
    id: i64,
    user_id: i64,
    title: String,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "plans", schema = "public")]
struct Plan {
    #[column(primary_key)]
    country: String,
    #[column(primary_key)]
    code: i32,
    price: i32,
}

/// A column of each type.
#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "specimens")]
struct Specimen {
    #[column(primary_key, generated)]
    id: Uuid,
    truth: bool,
    small: i16,
    single: f32,
    double: f64,
    bytes: Vec<u8>,
    moment: SystemTime,
    instant: DateTime<Utc>,
    day: NaiveDate,
    time: NaiveTime,
    document: serde_json::Value,
    numbers: Vec<i64>,
    words: Option<Vec<Option<String>>>,
    #[column(default = "now()")]
    made: Option<DateTime<Utc>>,
}

fn entities(url: &str) -> Options {
    let options = Options::url(url).unwrap().entity::<User>().entity::<Post>().entity::<Plan>();
    options.entity::<Specimen>().synchronize(true)
}

async fn memory() -> EntityManager {
    EntityManager::register(entities("sqlite::memory:")).await.unwrap()
}

/// A file of its own, with its folder.
async fn file(configure: impl Fn(Options) -> Options) -> (tempfile::TempDir, EntityManager) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("app.db").display());
    let em = EntityManager::register(configure(entities(&url))).await.unwrap();
    (folder, em)
}

async fn names(session: &Session) -> Vec<String> {
    let users = session.find::<User>().order_by(User::ID.asc()).await.unwrap();
    users.into_iter().map(|user| user.name).collect()
}

#[tokio::test]
async fn rows_are_saved_found_changed_and_deleted() {
    for strategy in STRATEGIES {
        let em =
            EntityManager::register(entities("sqlite::memory:").tenant_strategy(strategy)).await.unwrap();
        for tenant in ["public", "acme"] {
            MetadataContext::run(tenant, async {
                let new = User { email: Some("a@x.example".into()), ..User::new("Alice") };
                let alice = em.save(&new).await.unwrap();
                assert!(alice.id > 0);
                assert_eq!(alice, User { id: alice.id, role: Some("member".into()), ..new });
                assert_eq!(em.find_by_pk::<User>(alice.id).await.unwrap().as_ref(), Some(&alice));
                let changed = User { name: "Alicia".into(), email: None, ..alice.clone() };
                assert_eq!(em.save(&changed).await.unwrap(), changed);
                let twin = em.save(&User::new("Alicia")).await.unwrap_err();
                assert!(twin.is_duplicate(), "{twin}");
                let many = em
                    .save_many(&[User::new("b"), User { role: Some("x".into()), ..User::new("c") }])
                    .await
                    .unwrap();
                assert_eq!(many[0].role.as_deref(), Some("member"));
                assert_eq!(many[1].role.as_deref(), Some("x"));
                let twins = [User::new("d"), User { id: alice.id, name: "b".into(), ..User::default() }];
                assert!(em.save_many(&twins).await.unwrap_err().is_duplicate());
                assert_eq!(names(&em).await, ["Alicia", "b", "c"], "{strategy} {tenant}");
                assert_eq!(em.upsert(&User::new("b")).on(User::NAME).await.unwrap().id, many[0].id);

                let found = em
                    .find::<User>()
                    .where_(User::NAME.in_(["b", "c", "z"]))
                    .order_by(User::NAME.desc())
                    .limit(1);
                assert_eq!(found.await.unwrap()[0].name, "c");
                assert!(em.find::<User>().where_(User::ID.in_::<i64>([])).await.unwrap().is_empty());
                assert_eq!(em.count::<User>().where_(User::NAME.like("a%")).await.unwrap(), 0);
                assert_eq!(em.count::<User>().where_(User::NAME.ilike("a%")).await.unwrap(), 1);
                assert_eq!(em.count::<User>().limit(2).await.unwrap(), 2);
                assert!(
                    em.exists::<User>().where_(User::EMAIL.is_null().and(!User::ROLE.eq("x"))).await.unwrap()
                );
                assert!(!em.exists::<User>().where_(Condition::any([])).await.unwrap());
                let one = em.find_one::<User>().order_by(User::ID.asc()).offset(1).await.unwrap();
                assert_eq!(one.unwrap().name, "b");
                let last = em.find::<User>().order_by(User::ID.asc()).offset(2).await.unwrap();
                assert_eq!(last[0].name, "c");
                let (page, of) =
                    em.find_and_count::<User>().order_by(User::ID.asc()).limit(1).offset(1).await.unwrap();
                assert_eq!((page[0].name.as_str(), of), ("b", 3));

                assert_eq!(
                    em.update::<User>().set(User::ROLE, "y").where_(User::NAME.eq("b")).await.unwrap(),
                    1
                );
                assert_eq!(em.update::<User>().set_null(User::ROLE).everywhere().await.unwrap(), 3);
                assert!(matches!(em.delete::<User>().await, Err(Error::Unfiltered("User"))));
                assert!(em.remove(&changed).await.unwrap() && !em.remove(&changed).await.unwrap());
                assert_eq!(em.delete::<User>().everywhere().await.unwrap(), 2);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn null_is_sorted_as_elsewhere() {
    let em = memory().await;
    em.save_many(&[User::new("none"), User { email: Some("b".into()), ..User::new("b") }]).await.unwrap();
    let sorted = async |order| {
        let users: Vec<User> = em.find::<User>().order_by(order).await.unwrap();
        users.into_iter().map(|user| user.name).collect::<Vec<_>>()
    };
    assert_eq!(sorted(User::EMAIL.asc()).await, ["b", "none"]);
    assert_eq!(sorted(User::EMAIL.desc()).await, ["none", "b"]);
}

#[tokio::test]
async fn relations_are_joined_loaded_and_checked() {
    let em = memory().await;
    let [alice, bob]: [User; 2] =
        em.save_many(&[User::new("Alice"), User::new("Bob")]).await.unwrap().try_into().unwrap();
    for title in ["one", "two"] {
        em.save(&Post { id: 0, user_id: alice.id, title: title.into() }).await.unwrap();
    }
    let pairs =
        em.find::<Post>().join(Post::AUTHOR).where_other(User::NAME.eq("Alice")).order_by(Post::ID.desc());
    let pairs = pairs.await.unwrap();
    assert_eq!((pairs[0].0.title.as_str(), pairs[0].1.name.as_str(), pairs.len()), ("two", "Alice", 2));
    let loaded = em.find::<User>().order_by(User::ID.asc()).load(User::POSTS).await.unwrap();
    assert_eq!(
        loaded.iter().map(|(user, posts)| (user.name.as_str(), posts.len())).collect::<Vec<_>>(),
        [("Alice", 2), ("Bob", 0)]
    );
    let silent = em.find::<User>().where_(!User::POSTS.has_any()).await.unwrap();
    assert_eq!(silent, [bob]);
    let nobody = em.save(&Post { id: 0, user_id: 99, title: "nobody's".into() }).await.unwrap_err();
    assert!(matches!(nobody, Error::Sqlite { .. }), "{nobody}");
}

#[tokio::test]
async fn each_type_goes_there_and_back() {
    let em = memory().await;
    let specimen = Specimen {
        id: Uuid::nil(),
        truth: true,
        small: -3,
        single: 0.5,
        double: 1e300,
        bytes: vec![0, 1, 255],
        moment: SystemTime::UNIX_EPOCH + Duration::from_micros(1_234_567_890_123_456),
        instant: "2026-11-30T01:02:03.000004Z".parse().unwrap(),
        day: NaiveDate::from_ymd_opt(1969, 2, 28).unwrap(),
        time: NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap(),
        document: json!({ "a": [1, null, "x"] }),
        numbers: vec![1, -2, i64::MAX],
        words: Some(vec![Some("a,\"b\"".into()), None]),
        made: None,
    };
    let saved = em.save(&specimen).await.unwrap();
    assert_ne!(saved.id, Uuid::nil());
    assert_eq!(saved.id.get_version_num(), 4);
    let made = saved.made.unwrap();
    assert!((Utc::now() - made).num_seconds().abs() < 600, "{made}");
    assert_eq!(saved, Specimen { id: saved.id, made: Some(made), ..specimen.clone() });
    let found = em.find::<Specimen>().where_(
        Specimen::TRUTH
            .eq(true)
            .and(Specimen::MOMENT.le(specimen.moment))
            .and(Specimen::INSTANT.ge(specimen.instant))
            .and(Specimen::DAY.lt(NaiveDate::from_ymd_opt(1969, 3, 1).unwrap()))
            .and(Specimen::ID.in_([saved.id])),
    );
    assert_eq!(found.await.unwrap(), [saved]);
    // A document that is a number is no number.
    let number = Specimen { document: json!(5), words: None, ..specimen };
    let number = em.save(&number).await.unwrap();
    assert_eq!((number.document, number.words), (json!(5), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_counts_as_a_whole_or_not_at_all() {
    let (_folder, em) = file(|options| options.max_connections(3)).await;
    let committed = em.transaction(async |tx| {
        tx.save(&User::new("one")).await?;
        tx.save(&User::new("two")).await
    });
    committed.await.unwrap();
    let undone: Result<(), Error> = em
        .transaction(async |tx| {
            tx.save(&User::new("three")).await?;
            tx.save(&User::new("one")).await.map(drop)
        })
        .await;
    assert!(undone.unwrap_err().is_duplicate());
    let tx = em.begin().await.unwrap();
    tx.save(&User::new("four")).await.unwrap();
    assert!(tx.save(&User::new("one")).await.is_err());
    assert!(matches!(tx.commit().await, Err(Error::Aborted)));
    for _ in 0..5 {
        drop(async { em.begin().await.unwrap().save(&User::new("dropped")).await.unwrap() }.await);
    }
    assert_eq!(names(&em).await, ["one", "two"]);

    let tx = em.begin().await.unwrap();
    let part: Result<(), Error> = tx
        .savepoint(async |tx: &Transaction| {
            tx.save(&User::new("undone")).await?;
            tx.save(&User::new("one")).await.map(drop)
        })
        .await;
    assert!(part.is_err());
    tx.savepoint(async |tx: &Transaction| tx.save(&User::new("kept")).await).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(names(&em).await, ["one", "two", "kept"]);

    let reading = em.begin_with(TransactionOptions::new().read_only(true)).await.unwrap();
    assert!(reading.save(&User::new("five")).await.is_err());
    drop(reading);
    em.save(&User::new("six")).await.unwrap();
    assert!(matches!(em.execute("COMMIT", &[]).await, Err(Error::TransactionControl(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_lose_nothing() {
    let (_folder, em) = file(|options| options.max_connections(4)).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let acme = em.tenant("acme");
            tokio::spawn(async move {
                for n in 0..20 {
                    let name = format!("{task}.{n}");
                    let tx = acme.begin().await.unwrap();
                    tx.save(&User::new(&name)).await.unwrap();
                    match n % 4 {
                        0 => drop(tx),
                        1 => tx.rollback().await.unwrap(),
                        _ => tx.commit().await.unwrap(),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(em.count::<User>().await.unwrap(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_that_takes_too_long_is_stopped() {
    let (_folder, em) =
        file(|options| options.max_connections(1).query_timeout(Duration::from_millis(200))).await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let stopped = tokio::time::timeout(Duration::from_secs(100), em.query(endless, &[])).await.unwrap();
    assert!(stopped.unwrap_err().is_timeout());
    em.save(&User::new("next")).await.unwrap();
    let tx = em.begin().await.unwrap();
    tx.save(&User::new("lost")).await.unwrap();
    assert!(tx.query(endless, &[]).await.unwrap_err().is_timeout());
    assert!(matches!(tx.commit().await, Err(Error::Aborted)));
    assert_eq!(names(&em).await, ["next"]);
}

#[tokio::test]
async fn layers_and_contexts_hold() {
    let em = EntityManager::register(entities("sqlite::memory:").missing_tenant(MissingTenant::Reject))
        .await
        .unwrap();
    let public = em.public();
    public.execute("CREATE TABLE enterprise_users (id INTEGER PRIMARY KEY AUTOINCREMENT, full_name TEXT NOT NULL UNIQUE, \"e-mail \"\"address\"\"\" TEXT, role TEXT)", &[])
        .await
        .unwrap();
    let enterprise = em.tenant("enterprise");
    let own = EntityMetadata::table("enterprise_users").with_column("name", "full_name");
    enterprise.metadata().unwrap().set("User", own).unwrap();
    enterprise.save(&User::new("theirs")).await.unwrap();
    em.tenant("acme").save(&User::new("everybody's")).await.unwrap();
    assert_eq!(names(&enterprise).await, ["theirs"]);
    // All tenants have the same tables, but where a layer says that they have not.
    assert_eq!(names(&em.tenant("globex")).await, ["everybody's"]);
    assert!(matches!(em.find::<User>().await, Err(Error::NoTenant(_))));
    let plan = Plan { country: "NZ".into(), code: 1, price: 5 };
    assert_eq!(em.save(&plan).await.unwrap(), plan);
    assert_eq!(em.find_by_pk::<Plan>(("NZ".into(), 1)).await.unwrap(), Some(plan));
    let query = MetadataContext::run_sync("enterprise", || em.find::<User>());
    assert!(matches!(MetadataContext::run("acme", query).await, Err(Error::ContextChanged { .. })));
    assert!(matches!(em.tenant("pg_catalog").find::<User>().await, Err(Error::Reserved(_))));
}

#[tokio::test]
async fn strategies_have_no_effect_and_schemas_are_unsupported() {
    let statement = async |strategy: Strategy| {
        let em =
            EntityManager::register(entities("sqlite::memory:").tenant_strategy(strategy)).await.unwrap();
        assert_eq!(em.driver().kind(), DatabaseKind::Sqlite);
        let refused = PostgresTenantMigrationRunner::new(em.driver()).unwrap_err();
        assert!(matches!(refused, Error::Unsupported(DatabaseKind::Sqlite)), "{refused}");
        em.tenant("acme").find::<User>().where_(User::ID.eq(1)).sql().unwrap()
    };
    let [one, other] = STRATEGIES.map(statement);
    let (one, other) = (one.await, other.await);
    assert_eq!(one, r#"SELECT "id", "name", "e-mail ""address""", "role" FROM "users" WHERE "id" = $1"#);
    assert_eq!(one, other);
}

#[tokio::test]
async fn raw_sql_gives_rows_of_any_type() {
    let em = memory().await;
    let rows = em
        .query("SELECT $2 AS text, $1 AS number, NULL AS none_of_it, 1.5 AS real", &[&7i64, &"seven"])
        .await
        .unwrap();
    let row = &rows[0];
    assert_eq!((row.get::<_, i64>("number"), row.get::<_, &str>("text")), (7, "seven"));
    assert_eq!((row.get::<_, Option<String>>(2), row.get::<_, f64>(3), row.len()), (None, 1.5, 4));
    assert!(row.try_get::<_, i64>("text").is_err() && row.try_get::<_, i64>("missing").is_err());
    assert!(row.try_get::<_, i64>(2).is_err());
    em.save(&User::new("one")).await.unwrap();
    assert_eq!(em.execute("UPDATE users SET role = $1", &[&None::<String>]).await.unwrap(), 1);
    assert!(em.query("SELECT $1", &[]).await.is_err());
}

#[tokio::test]
async fn synchronize_makes_what_is_missing_and_refuses_what_differs() {
    let (folder, em) = file(|options| options).await;
    em.save(&User::new("kept")).await.unwrap();
    let url = format!("sqlite:{}", folder.path().join("app.db").display());
    let again = EntityManager::register(entities(&url)).await.unwrap();
    assert_eq!(names(&again).await, ["kept"]);
    again.execute("ALTER TABLE users DROP COLUMN \"e-mail \"\"address\"\"\"", &[]).await.unwrap();
    let outdated = EntityManager::register(entities(&url)).await.unwrap_err();
    assert!(matches!(outdated, Error::Outdated { .. }), "{outdated}");
    again.execute("ALTER TABLE users ADD COLUMN \"e-mail \"\"address\"\"\" INTEGER", &[]).await.unwrap();
    let differs = EntityManager::register(entities(&url)).await.unwrap_err();
    assert!(matches!(differs, Error::Differs { .. }), "{differs}");
}

#[tokio::test]
async fn more_than_rows_is_asked() {
    let em = memory().await;
    let users = em.save_many(&["Alice", "Bob", "Carol"].map(User::new)).await.unwrap();
    for (user, title) in [(0, "a"), (0, "b"), (1, "c")] {
        em.insert(&Post { id: 0, user_id: users[user].id, title: title.into() }).await.unwrap();
    }
    assert!(em.insert(&users[0]).await.unwrap_err().is_duplicate());
    let renamed = User { name: "Alicia".into(), ..users[0].clone() };
    assert_eq!(em.save_changes(&users[0], &renamed).await.unwrap(), renamed);
    let gone = User { id: 99, ..users[0].clone() };
    assert!(matches!(em.save_changes(&gone, &renamed).await, Err(Error::Stale("User"))));
    em.update::<User>().change(User::NAME.append("!")).where_(User::ID.eq(users[1].id)).await.unwrap();
    em.update::<Post>().change(Post::USER_ID.add(1)).where_(Post::TITLE.eq("c")).await.unwrap();

    let posts = em.find::<Post>().select((Post::USER_ID, count(), Post::ID.max())).group_by(Post::USER_ID);
    let posts = posts.order_by(count().desc()).having(count().gt(0)).await.unwrap();
    assert_eq!(
        posts.iter().map(|(user, posts, _)| (*user, *posts)).collect::<Vec<_>>(),
        [(users[0].id, 2), (users[2].id, 1)]
    );
    let ids: i64 = users.iter().map(|user| user.id).sum();
    let sums =
        em.find::<User>().select((User::ID.sum(), User::ID.avg(), User::EMAIL.count(), User::ROLE.min()));
    assert_eq!(sums.await.unwrap(), [(Some(ids), Some(ids as f64 / 3.0), 0, Some("member".into()))]);
    assert_eq!(em.find::<User>().select(User::ROLE).distinct().await.unwrap(), [Some("member".to_owned())]);
    let pairs = em.find::<User>().order_by(User::ID.asc()).left_join(User::POSTS).await.unwrap();
    let pairs: Vec<_> = pairs.iter().map(|(user, post)| (user.name.as_str(), post.is_some())).collect();
    assert_eq!(pairs, [("Alicia", true), ("Alicia", true), ("Bob!", false), ("Carol", true)]);
    let next =
        em.find::<User>().after(User::NAME.asc_after("Alicia")).after(User::ID.asc_after(0)).await.unwrap();
    assert_eq!(next.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["Alicia", "Bob!", "Carol"]);
    let all: Vec<User> = em.find::<User>().stream().try_collect().await.unwrap();
    assert_eq!(all.len(), 3);
    let named: Vec<(i64, String)> = em.query_as("SELECT id, name FROM users ORDER BY id", &[]).await.unwrap();
    assert_eq!(named[1].1, "Bob!");
    assert_eq!(em.copy_in(&["x", "y"].map(User::new)).await.unwrap(), 2);
    assert!(em.copy_in(&["z", "x"].map(User::new)).await.unwrap_err().is_duplicate());
    assert_eq!(em.count::<User>().await.unwrap(), 5);
    let plan = em.find::<User>().where_(User::NAME.eq("Alicia")).explain().await.unwrap();
    assert!(plan[0].contains("users"), "{plan:?}");
    let tx = em.begin().await.unwrap();
    assert_eq!(tx.find::<User>().for_update().skip_locked().await.unwrap().len(), 5);
}

#[tokio::test]
async fn what_raw_sql_leaves_on_a_connection_is_taken_away() {
    let (folder, em) = file(|options| options.max_connections(1)).await;
    em.save(&User::new("one")).await.unwrap();
    let other = folder.path().join("other.db");
    let attach = format!("ATTACH '{}' AS other", other.display());
    let columns = "(id INTEGER, name TEXT, \"e-mail \"\"address\"\"\" TEXT, role TEXT)";
    for left in [
        format!("CREATE TEMP TABLE users {columns}"),
        "CREATE TEMP VIEW users AS SELECT 7 AS id, 'x' AS name, 'x' AS \"e-mail \"\"address\"\"\", 'x' AS role".into(),
        attach,
        "PRAGMA foreign_keys = OFF".into(),
        "PRAGMA query_only = ON".into(),
    ] {
        em.execute(&left, &[]).await.unwrap();
        assert_eq!(names(&em).await, ["one"], "{left}");
    }
    let tx = em.begin().await.unwrap();
    tx.execute(&format!("CREATE TEMP TABLE users {columns}"), &[]).await.unwrap();
    tx.commit().await.unwrap();
    let dropped = em.begin().await.unwrap();
    dropped.execute(&format!("CREATE TEMP TABLE posts {columns}"), &[]).await.unwrap();
    drop(dropped);
    assert_eq!(names(&em).await, ["one"]);
    let databases: Vec<(String,)> = em.query_as("SELECT name FROM pragma_database_list", &[]).await.unwrap();
    assert!(!databases.iter().any(|(name,)| name == "other"), "{databases:?}");
    let nobodys = em.save(&Post { id: 0, user_id: 99, title: "nobody's".into() }).await;
    assert!(nobodys.is_err(), "foreign keys hold");
}
