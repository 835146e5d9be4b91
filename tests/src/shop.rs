//! Entities, and a database for them, for the tests of the ORM.

use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata_orm::entity::{
    Column, ColumnDefinition, EntityDefinition, Generated, IndexDefinition, Parameter, Relation,
    RelationDefinition, RelationKind,
};
use pgstrata_orm::tokio_postgres::{self, Row};
use pgstrata_orm::{
    Entity, EntityManager, MetadataContext, Options, PostgresTenantMigrationRunner, TenantMigrationRunner,
};
use tokio_postgres::{Client, Config};

use crate::database::cluster_with;
use crate::stage::connect;

/// The database.
pub const DATABASE: &str = "shop";

const fn column(field: &'static str, name: &'static str, sql_type: &'static str) -> ColumnDefinition {
    ColumnDefinition {
        field,
        name,
        sql_type,
        nullable: false,
        primary_key: false,
        generated: None,
        default: None,
        unique: false,
    }
}

const fn key(field: &'static str, sql_type: &'static str) -> ColumnDefinition {
    ColumnDefinition { primary_key: true, ..column(field, field, sql_type) }
}

const fn drawn_key() -> ColumnDefinition {
    ColumnDefinition { generated: Some(Generated::Identity), ..key("id", "bigint") }
}

/// Somebody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// The key.
    pub id: i64,
    /// Unique.
    pub name: String,
    /// In a column called `e-mail "address"`.
    pub email: Option<String>,
    /// "member", if it is left out.
    pub role: Option<String>,
}

impl User {
    /// See [`User::id`].
    pub const ID: Column<Self, i64> = Column::new(0);
    /// See [`User::name`].
    pub const NAME: Column<Self, String> = Column::new(1);
    /// See [`User::email`].
    pub const EMAIL: Column<Self, String> = Column::new(2);
    /// See [`User::role`].
    pub const ROLE: Column<Self, String> = Column::new(3);
    /// What they have written.
    pub const POSTS: Relation<Self, Post> = Relation::new(0);

    /// One that is not saved yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl Entity for User {
    type Key = i64;

    const DEFINITION: &'static EntityDefinition = &EntityDefinition {
        name: "User",
        table: "users",
        schema: None,
        columns: &[
            drawn_key(),
            ColumnDefinition { unique: true, ..column("name", "name", "text") },
            ColumnDefinition { nullable: true, ..column("email", "e-mail \"address\"", "text") },
            ColumnDefinition { default: Some("'member'"), nullable: true, ..column("role", "role", "text") },
        ],
        indexes: &[IndexDefinition { name: None, columns: &["role", "name"], unique: false }],
        relations: &[RelationDefinition {
            name: "posts",
            kind: RelationKind::HasMany,
            target: || Post::DEFINITION,
            column: "id",
            target_column: "user_id",
        }],
    };

    fn from_row(row: &Row, first: usize) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get(first)?,
            name: row.try_get(first + 1)?,
            email: row.try_get(first + 2)?,
            role: row.try_get(first + 3)?,
        })
    }

    fn values(&self) -> Vec<Parameter<'_>> {
        vec![&self.id, &self.name, &self.email, &self.role]
    }

    fn key(&self) -> i64 {
        self.id
    }

    fn is_new(&self) -> bool {
        self.id == 0
    }
}

/// What somebody has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Post {
    /// The key.
    pub id: i64,
    /// Who.
    pub user_id: i64,
    /// What.
    pub title: String,
}

impl Post {
    /// See [`Post::id`].
    pub const ID: Column<Self, i64> = Column::new(0);
    /// See [`Post::title`].
    pub const TITLE: Column<Self, String> = Column::new(2);
    /// Who has written it.
    pub const AUTHOR: Relation<Self, User> = Relation::new(0);

    /// One that is not saved yet.
    pub fn new(user: &User, title: &str) -> Self {
        Self { id: 0, user_id: user.id, title: title.into() }
    }
}

impl Entity for Post {
    type Key = i64;

    const DEFINITION: &'static EntityDefinition = &EntityDefinition {
        name: "Post",
        table: "posts",
        schema: None,
        columns: &[drawn_key(), column("user_id", "user_id", "bigint"), column("title", "title", "text")],
        indexes: &[],
        relations: &[RelationDefinition {
            name: "author",
            kind: RelationKind::BelongsTo,
            target: || User::DEFINITION,
            column: "user_id",
            target_column: "id",
        }],
    };

    fn from_row(row: &Row, first: usize) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { id: row.try_get(first)?, user_id: row.try_get(first + 1)?, title: row.try_get(first + 2)? })
    }

    fn values(&self) -> Vec<Parameter<'_>> {
        vec![&self.id, &self.user_id, &self.title]
    }

    fn key(&self) -> i64 {
        self.id
    }

    fn is_new(&self) -> bool {
        self.id == 0
    }
}

/// What can be bought: the same for all tenants.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The key, with the next.
    pub country: String,
    /// The key, with the one before.
    pub code: i32,
    /// In cents.
    pub price: i32,
}

impl Plan {
    /// See [`Plan::price`].
    pub const PRICE: Column<Self, i32> = Column::new(2);
}

impl Entity for Plan {
    type Key = (String, i32);

    const DEFINITION: &'static EntityDefinition = &EntityDefinition {
        name: "Plan",
        table: "plans",
        schema: Some("public"),
        columns: &[key("country", "text"), key("code", "integer"), column("price", "price", "integer")],
        indexes: &[],
        relations: &[],
    };

    fn from_row(row: &Row, first: usize) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            country: row.try_get(first)?,
            code: row.try_get(first + 1)?,
            price: row.try_get(first + 2)?,
        })
    }

    fn values(&self) -> Vec<Parameter<'_>> {
        vec![&self.country, &self.code, &self.price]
    }

    fn key(&self) -> (String, i32) {
        (self.country.clone(), self.code)
    }

    fn is_new(&self) -> bool {
        false
    }
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
