//! Entities, and a database for them, for the tests of the ORM.

use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata_orm::{
    Entity, EntityManager, MetadataContext, Options, PostgresTenantMigrationRunner, TenantMigrationRunner,
};
use tokio_postgres::{Client, Config};

use crate::database::cluster_with;
use crate::stage::connect;

/// The database.
pub const DATABASE: &str = "shop";

/// Somebody.
#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "users", index(columns(role, name)), has_many(posts: Post, column = user_id))]
pub struct User {
    /// The key.
    #[column(primary_key, generated)]
    pub id: i64,
    /// Unique.
    #[column(unique)]
    pub name: String,
    /// In a column with a name that needs its quotes.
    #[column(name = "e-mail \"address\"")]
    pub email: Option<String>,
    /// "member", if it is left out.
    #[column(default = "'member'")]
    pub role: Option<String>,
}

impl User {
    /// One that is not saved yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What somebody has written.
#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "posts", belongs_to(author: User, column = user_id))]
pub struct Post {
    /// The key.
    #[column(primary_key, generated)]
    pub id: i64,
    /// Who.
    pub user_id: i64,
    /// What.
    pub title: String,
}

impl Post {
    /// One that is not saved yet.
    pub fn new(user: &User, title: &str) -> Self {
        Self { id: 0, user_id: user.id, title: title.into() }
    }
}

/// What can be bought: the same for all tenants.
#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "plans", schema = "public")]
pub struct Plan {
    /// The key, with the next.
    #[column(primary_key)]
    pub country: String,
    /// The key, with the one before.
    #[column(primary_key)]
    pub code: i32,
    /// In cents.
    pub price: i32,
}

/// A PostgreSQL that takes anybody over TCP, so that connecting is one round trip, with tenants in it.
#[derive(Debug)]
pub struct Shop {
    /// The cluster.
    pub cluster: Cluster,
    /// A superuser's connection.
    pub admin: Client,
}

impl Shop {
    /// With tables for the entities in public, and these tenants: each has one user, who is called as the tenant is.
    pub async fn new(tenants: &[&str]) -> Self {
        let options = ClusterOptions {
            hba: vec!["host all all 127.0.0.1/32 trust".into()],
            max_connections: 60,
            ..ClusterOptions::default()
        };
        let cluster = cluster_with(options).await;
        let postgres = connect(&cluster.superuser("postgres")).await.unwrap();
        let statements =
            ["CREATE ROLE shop LOGIN".to_owned(), format!("CREATE DATABASE {DATABASE} OWNER shop")];
        for statement in &statements {
            postgres.batch_execute(statement).await.unwrap();
        }
        let admin = connect(&cluster.superuser(DATABASE)).await.unwrap();
        admin.batch_execute("ALTER SCHEMA public OWNER TO shop").await.unwrap();
        let shop = Self { cluster, admin };
        let em = shop.manager(shop.options().synchronize(true)).await;
        let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
        let synced = runner.sync_tenant_schemas(tenants).await.unwrap();
        assert!(synced.failed.is_empty(), "{:?}", synced.failed);
        for tenant in tenants.iter().chain(&["public"]) {
            MetadataContext::run(*tenant, em.save(&User::new(tenant))).await.unwrap();
        }
        shop
    }

    /// How its owner connects to a port: the cluster's, or that of a relay.
    pub fn config(&self, port: u16) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user("shop").dbname(DATABASE);
        config
    }

    /// The entities, on the cluster's own port.
    pub fn options(&self) -> Options {
        with_entities(Options::config(self.config(self.cluster.port())))
    }

    /// The entities, through a relay.
    pub fn options_on(&self, port: u16) -> Options {
        with_entities(Options::config(self.config(port)))
    }

    /// A manager.
    pub async fn manager(&self, options: Options) -> EntityManager {
        EntityManager::register(options).await.unwrap()
    }

    /// Runs SQL as superuser.
    pub async fn run(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// What the sessions of the ORM do that do something, or hold a transaction.
    pub async fn busy(&self) -> Vec<String> {
        let sql =
            "SELECT state || ': ' || query FROM pg_stat_activity WHERE usename = 'shop' AND state <> 'idle'";
        crate::stage::names(&self.admin, sql).await
    }
}

/// All of the entities.
pub fn with_entities(options: Options) -> Options {
    options.entity::<User>().entity::<Post>().entity::<Plan>()
}

/// The names of the users of the context's tenant.
pub async fn names(session: &pgstrata_orm::Session) -> Vec<String> {
    let users = session.find::<User>().order_by(User::ID.asc()).await.unwrap();
    users.into_iter().map(|user| user.name).collect()
}

/// The tables of the entities that are tenants', on whatever path there is.
pub const TABLES: &str = "CREATE TABLE users (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, \
     \"e-mail \"\"address\"\"\" text, role text DEFAULT 'member'); \
     CREATE TABLE posts (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, title text NOT NULL)";
