//! What names mean behind the names of a statement: both strategies give the same, or an error.

use pgstrata_orm::{Entity, EntityManager, Error, Options, Strategy};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{Plan, Post, User, names};

/// A view, whose function names a table without its schema.
#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "totals")]
struct Total {
    #[column(primary_key)]
    id: i64,
    users: i64,
}

/// Compared by operators that an extension has.
#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "accounts", has_many(logins: Login, column = email))]
struct Account {
    #[column(primary_key, type = "citext")]
    email: String,
    #[column(type = "citext")]
    nick: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "logins", belongs_to(account: Account, column = email))]
struct Login {
    #[column(primary_key)]
    id: i64,
    #[column(type = "citext")]
    email: String,
}

fn all(options: Options) -> Options {
    options.entity::<Total>().entity::<Account>().entity::<Login>()
}

async fn managers(shop: &Shop, configure: impl Fn(Options) -> Options) -> Vec<(Strategy, EntityManager)> {
    let mut managers = Vec::new();
    for strategy in STRATEGIES {
        for pipelined in [true, false] {
            let options = shop.options().tenant_strategy(strategy).pipelined(pipelined);
            managers.push((strategy, shop.manager(configure(all(options))).await));
        }
    }
    managers
}

const VIEW: &str = "CREATE FUNCTION NAME.users_now() RETURNS bigint LANGUAGE plpgsql STABLE AS \
     $$ BEGIN RETURN (SELECT count(*) FROM users); END $$; \
     CREATE VIEW NAME.totals AS SELECT 1::bigint AS id, NAME.users_now() AS users; \
     ALTER VIEW NAME.totals OWNER TO shop; ALTER FUNCTION NAME.users_now() OWNER TO shop";

#[tokio::test(flavor = "multi_thread")]
async fn view_whose_function_names_a_table_is_the_tenants_by_both_strategies() {
    let shop = Shop::new(&["acme", "globex"]).await;
    // A schema that all share has a table of that name, too, which is nobody's users.
    shop.run("CREATE SCHEMA common AUTHORIZATION shop; CREATE TABLE common.users AS SELECT * FROM generate_series(1, 77) AS id; ALTER TABLE common.users OWNER TO shop").await;
    for tenant in ["acme", "globex"] {
        shop.run(&VIEW.replace("NAME", tenant)).await;
    }
    shop.run("INSERT INTO globex.users (name) VALUES ('more')").await;
    for shared in [&[][..], &["common"][..]] {
        for (strategy, em) in managers(&shop, |options| options.shared_schemas(shared.to_vec())).await {
            for _ in 0..3 {
                for (tenant, users) in [("acme", 1), ("globex", 2)] {
                    let session = em.tenant(tenant);
                    let totals = session.find::<Total>().await.unwrap();
                    assert_eq!(totals, [Total { id: 1, users }], "{strategy} {shared:?} {tenant}");
                    assert_eq!(session.find_by_pk::<Total>(1).await.unwrap(), Some(Total { id: 1, users }));
                    let counted = session.count::<Total>().where_(Total::USERS.eq(users)).await.unwrap();
                    assert_eq!(counted, 1, "{strategy} {shared:?} {tenant}");
                    assert_eq!(names(&session).await.len() as i64, users);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_whose_function_names_a_table_is_the_tenants_by_both_strategies() {
    let shop = Shop::new(&["acme"]).await;
    shop.run(
        "CREATE FUNCTION acme.may(u bigint) RETURNS bool LANGUAGE plpgsql STABLE AS \
         $$ BEGIN RETURN EXISTS (SELECT FROM users WHERE id = u AND name <> 'hidden'); END $$; \
         ALTER TABLE acme.posts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
         CREATE POLICY visible ON acme.posts USING (acme.may(user_id)); \
         INSERT INTO acme.users (name) VALUES ('hidden')",
    )
    .await;
    let (seen, hidden) =
        ("SELECT id FROM acme.users WHERE name = 'acme'", "SELECT id FROM acme.users WHERE name = 'hidden'");
    shop.run(&format!(
        "INSERT INTO acme.posts (user_id, title) VALUES (({seen}), 'seen'), (({hidden}), 'hidden')"
    ))
    .await;
    for (strategy, em) in managers(&shop, |options| options).await {
        for _ in 0..3 {
            let posts = em.tenant("acme").find::<Post>().await.unwrap();
            assert_eq!(
                posts.iter().map(|post| post.title.as_str()).collect::<Vec<_>>(),
                ["seen"],
                "{strategy}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn table_that_becomes_a_view_is_read_as_one() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("CREATE TABLE acme.totals (id bigint, users bigint); INSERT INTO acme.totals VALUES (1, 5); ALTER TABLE acme.totals OWNER TO shop")
        .await;
    let managers = managers(&shop, |options| options).await;
    for (_, em) in &managers {
        assert_eq!(em.tenant("acme").find::<Total>().await.unwrap()[0].users, 5);
    }
    shop.run("DROP TABLE acme.totals").await;
    for (_, em) in &managers {
        let missing = em.tenant("acme").find::<Total>().await.unwrap_err();
        assert_eq!(missing.sqlstate().unwrap().code(), "42P01");
    }
    shop.run(&VIEW.replace("NAME", "acme")).await;
    for (strategy, em) in &managers {
        assert_eq!(em.tenant("acme").find::<Total>().await.unwrap()[0].users, 1, "{strategy}");
    }
}

const ACCOUNTS: &str = "CREATE TABLE acme.accounts (email SCHEMA.citext PRIMARY KEY, nick SCHEMA.citext); \
     CREATE TABLE acme.logins (id bigint PRIMARY KEY, email SCHEMA.citext); \
     INSERT INTO acme.accounts VALUES ('Alice@Example.com', 'Ali'); INSERT INTO acme.logins VALUES (1, 'alice@example.com'); \
     ALTER TABLE acme.accounts OWNER TO shop; ALTER TABLE acme.logins OWNER TO shop";

#[tokio::test(flavor = "multi_thread")]
async fn operators_that_are_not_on_the_path_are_refused() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("CREATE EXTENSION citext").await;
    shop.run(&ACCOUNTS.replace("SCHEMA", "public")).await;
    for (strategy, em) in managers(&shop, |options| options).await {
        let acme = em.tenant("acme");
        let refused = |what: &str, refused: Option<Error>| match refused {
            Some(Error::Operators { sql_type, schema }) => {
                assert_eq!((&*sql_type, &*schema), ("citext", "public"), "{strategy} {what}");
            }
            other => panic!("{strategy} {what}: {other:?}"),
        };
        for _ in 0..3 {
            let email = || Account::EMAIL.eq("ALICE@example.com");
            refused("find", acme.find::<Account>().where_(email()).await.err());
            refused("count", acme.count::<Account>().where_(email()).await.err());
            let listed = Account::NICK.in_(["ali".to_owned()]);
            refused("in", acme.find::<Account>().where_(listed).await.err());
            refused("by key", acme.find_by_pk::<Account>("x".into()).await.err());
            refused("delete by key", acme.delete_by_pk::<Account>("x".into()).await.err());
            let update = acme.update::<Account>().set(Account::NICK, "x").where_(email());
            refused("update", update.await.err());
            refused("delete", acme.delete::<Account>().where_(email()).await.err());
            refused("join", acme.find::<Login>().join(Login::ACCOUNT).await.err());
            refused("load", acme.find::<Account>().load(Account::LOGINS).await.err());
            refused("has", acme.find::<Account>().where_(Account::LOGINS.has_any()).await.err());
            // What compares nothing needs no operator.
            assert_eq!(acme.find::<Account>().order_by(Account::EMAIL.asc()).await.unwrap().len(), 1);
        }
        let tx = acme.begin().await.unwrap();
        refused("in a transaction", tx.find_by_pk::<Account>("x".into()).await.err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_of_a_shared_schema_are_those_of_the_type() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("CREATE SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO shop; CREATE EXTENSION citext SCHEMA extensions").await;
    shop.run(&ACCOUNTS.replace("SCHEMA", "extensions")).await;
    for (strategy, em) in managers(&shop, |options| options.shared_schemas(["extensions"])).await {
        let acme = em.tenant("acme");
        for _ in 0..3 {
            let found = acme.find::<Account>().where_(Account::EMAIL.eq("ALICE@EXAMPLE.COM")).await.unwrap();
            assert_eq!(found.len(), 1, "{strategy}");
            let like = acme.count::<Account>().where_(Account::NICK.like("AL%")).await.unwrap();
            assert_eq!(like, 1, "{strategy}");
            assert_eq!(
                acme.find::<Account>().where_(Account::NICK.in_(["ALI".to_owned()])).await.unwrap().len(),
                1
            );
            assert!(acme.find_by_pk::<Account>("alice@EXAMPLE.com".into()).await.unwrap().is_some());
            assert_eq!(acme.find::<Login>().join(Login::ACCOUNT).await.unwrap().len(), 1, "{strategy}");
            assert_eq!(acme.find::<Account>().load(Account::LOGINS).await.unwrap()[0].1.len(), 1);
            assert_eq!(acme.find::<Account>().where_(Account::LOGINS.has_any()).await.unwrap().len(), 1);
            let update = acme
                .update::<Account>()
                .set(Account::NICK, "Ali")
                .where_(Account::EMAIL.eq("ALICE@example.com"));
            assert_eq!(update.await.unwrap(), 1, "{strategy}");
        }
        assert_eq!(em.count::<Plan>().await.unwrap(), 0);
        assert_eq!(names(&acme).await, ["acme"]);
        assert_eq!(acme.find::<User>().await.unwrap().len(), 1);
    }
}
