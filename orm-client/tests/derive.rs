//! What `#[derive(Entity)]` makes of a type, and what it refuses.

// A test fails loudly, and so do its helpers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::time::SystemTime;

use pgstrata_orm::entity::{
    Column, ColumnDefinition, EntityDefinition, Generated, Optional, Relation, RelationKind, ToOne,
};
use pgstrata_orm::{Entity, entity::PrimaryKey};

/// One of each; its constants are as public as it is.
#[derive(Debug, Entity)]
#[entity(table = "users", has_many(posts: Post, column = author_id))]
pub struct User {
    #[column(primary_key, generated)]
    id: i64,
    #[column(unique, type = "varchar(80)")]
    email: String,
    nick: Option<String>,
    #[column(default = "now()")]
    created_at: SystemTime,
    tags: Vec<String>,
    scores: Option<Vec<Option<i32>>>,
    #[column(skip)]
    cached: Option<u128>,
}

#[derive(Entity)]
#[entity(
    table = "posts",
    index(columns(author_id, title), unique, name = "posts_by_title"),
    index(columns(title)),
    belongs_to(author: User, column = author_id)
)]
struct Post {
    #[column(primary_key, generated)]
    id: i32,
    #[column(index)]
    author_id: i64,
    title: String,
    #[column(name = "kind")]
    r#type: Option<i16>,
}

/// A key of two columns, in the order of the fields; one table for all tenants; a table named by its type.
#[derive(Entity)]
#[entity(schema = "public")]
struct PlanPrice {
    cents: i32,
    #[column(primary_key)]
    plan: String,
    #[column(primary_key, name = "since_year")]
    year: i16,
}

/// Relations to itself, through a column that may be NULL.
#[derive(Entity)]
#[entity(table = "categories", belongs_to(parent: Category, column = parent_id))]
#[entity(has_many(children: Category, column = parent_id))]
struct Category {
    #[column(primary_key, generated = "uuid")]
    id: uuid::Uuid,
    parent_id: Option<uuid::Uuid>,
    born: chrono::NaiveDate,
    seen: Vec<chrono::DateTime<chrono::Utc>>,
    extra: serde_json::Value,
}

fn column<E: Entity>(name: &str) -> &'static ColumnDefinition {
    E::DEFINITION.columns.iter().find(|column| column.name == name).unwrap()
}

fn shape<E: Entity>() -> Vec<(&'static str, &'static str, bool)> {
    let columns = E::DEFINITION.columns.iter();
    columns.map(|column| (column.name, column.sql_type, column.nullable)).collect()
}

fn relation(of: &EntityDefinition, index: usize) -> (&str, RelationKind, &str, &str, &str) {
    let relation = &of.relations[index];
    let target = (relation.target)();
    (relation.name, relation.kind, relation.column, target.table, relation.target_column)
}

#[test]
fn columns_are_as_the_fields_say() {
    let columns = [
        ("id", "bigint", false),
        ("email", "varchar(80)", false),
        ("nick", "text", true),
        ("created_at", "timestamp with time zone", false),
        ("tags", "text[]", false),
        ("scores", "integer[]", true),
    ];
    assert_eq!(shape::<User>(), columns);
    let columns = [
        ("id", "uuid", false),
        ("parent_id", "uuid", true),
        ("born", "date", false),
        ("seen", "timestamp with time zone[]", false),
        ("extra", "jsonb", false),
    ];
    assert_eq!(shape::<Category>(), columns);
}

#[test]
fn attributes_are_in_the_definition() {
    let keys = User::DEFINITION.columns.iter().filter(|column| column.primary_key);
    assert_eq!(keys.map(|column| column.name).collect::<Vec<_>>(), ["id"]);
    assert_eq!(column::<User>("id").generated, Some(Generated::Identity));
    assert_eq!(column::<Category>("id").generated, Some(Generated::Uuid));
    assert_eq!(column::<PlanPrice>("plan").generated, None);
    assert_eq!(column::<User>("created_at").default, Some("now()"));
    assert_eq!(column::<User>("id").default, None);
    assert!(column::<User>("email").unique && !column::<User>("nick").unique);
    assert_eq!(column::<Post>("kind").field, "type");
}

#[test]
fn table_is_in_the_tenants_schema_unless_pinned() {
    assert_eq!((User::DEFINITION.name, User::DEFINITION.table), ("User", "users"));
    assert_eq!(User::DEFINITION.schema, None);
    assert_eq!(PlanPrice::DEFINITION.table, "plan_prices");
    assert_eq!(PlanPrice::DEFINITION.schema, Some("public"));
}

#[test]
fn indexes_name_columns() {
    let indexes = Post::DEFINITION.indexes.iter();
    let indexes: Vec<_> = indexes.map(|index| (index.name, index.columns, index.unique)).collect();
    let expected: [(Option<&str>, &[&str], bool); 3] = [
        (None, &["author_id"], false),
        (Some("posts_by_title"), &["author_id", "title"], true),
        (None, &["title"], false),
    ];
    assert_eq!(indexes, expected);
    assert!(User::DEFINITION.indexes.is_empty());
}

#[test]
fn relations_know_both_sides() {
    let posts = relation(User::DEFINITION, 0);
    assert_eq!(posts, ("posts", RelationKind::HasMany, "id", "posts", "author_id"));
    let author = relation(Post::DEFINITION, 0);
    assert_eq!(author, ("author", RelationKind::BelongsTo, "author_id", "users", "id"));
    let parent = relation(Category::DEFINITION, Category::PARENT.index);
    assert_eq!(parent, ("parent", RelationKind::BelongsTo, "parent_id", "categories", "id"));
    let children = relation(Category::DEFINITION, Category::CHILDREN.index);
    assert_eq!(children, ("children", RelationKind::HasMany, "id", "categories", "parent_id"));
}

#[test]
fn constants_have_the_types_that_are_compared() {
    let nick: Column<User, String, Optional> = User::NICK;
    let scores: Column<User, Vec<Option<i32>>, Optional> = User::SCORES;
    let kind: Column<Post, i16, Optional> = Post::TYPE;
    assert_eq!((nick.index, scores.index, kind.index), (2, 5, 3));
    let posts: Relation<User, Post> = User::POSTS;
    let author: Relation<Post, User, ToOne> = Post::AUTHOR;
    assert_eq!((posts.index, author.index), (0, 0));
}

#[test]
fn key_is_in_the_order_of_the_fields() {
    let price = PlanPrice { cents: 4900, plan: "team".to_owned(), year: 2026 };
    assert_eq!(price.key(), ("team".to_owned(), 2026_i16));
    assert_eq!(PrimaryKey::values(&price.key()).len(), 2);
    assert!(!price.is_new());
    assert_eq!(price.values().len(), 3);
}

#[test]
fn generated_key_with_its_default_value_is_new() {
    let category = |id| Category {
        id,
        parent_id: None,
        born: chrono::NaiveDate::default(),
        seen: Vec::new(),
        extra: serde_json::Value::Null,
    };
    assert!(category(uuid::Uuid::nil()).is_new());
    assert!(!category(uuid::Uuid::max()).is_new());
    let mut post = Post { id: 0, author_id: 1, title: String::new(), r#type: None };
    assert!(post.is_new());
    post.id = 7;
    assert_eq!((post.is_new(), post.key()), (false, 7));
}

#[test]
fn skipped_field_is_no_column() {
    let user = User {
        id: 0,
        email: String::new(),
        nick: None,
        created_at: SystemTime::UNIX_EPOCH,
        tags: Vec::new(),
        scores: None,
        cached: Some(1),
    };
    assert_eq!(user.values().len(), User::DEFINITION.columns.len());
    assert_eq!(user.cached, Some(1));
    assert!(User::DEFINITION.columns.iter().all(|column| column.field != "cached"));
}

mod elsewhere {
    pub use pgstrata_orm as orm;
}

#[derive(Entity)]
#[entity(crate = "crate::elsewhere::orm")]
struct Renamed {
    #[column(primary_key)]
    id: i64,
}

#[test]
fn crate_may_have_another_name() {
    assert_eq!(Renamed::DEFINITION.table, "renameds");
    assert_eq!(Renamed { id: 3 }.key(), 3);
}

macro_rules! entity_with {
    ($name:ident, $key:ty, $other:ty) => {
        #[derive(Entity)]
        struct $name {
            #[column(primary_key, generated)]
            id: $key,
            other: $other,
        }
    };
}

entity_with!(FromMacro, uuid::Uuid, Option<bool>);

#[test]
fn types_that_come_out_of_a_macro_are_read_as_others_are() {
    assert_eq!(column::<FromMacro>("id").generated, Some(Generated::Uuid));
    let other: Column<FromMacro, bool, Optional> = FromMacro::OTHER;
    assert!(FromMacro::DEFINITION.columns[other.index].nullable);
}

/// More public than the type of its column, and with names that the derived code uses for its own.
#[derive(Entity)]
#[entity(table = "orders", has_many(row: Order, column = first))]
pub struct Order {
    #[column(primary_key)]
    key: i64,
    first: i64,
    values: Vec<i64>,
    columns: Secret,
}

type Secret = Option<String>;

#[test]
fn type_behind_another_name_is_known_by_the_compiler() {
    assert!(column::<Order>("columns").nullable);
    assert_eq!(Order { key: 1, first: 2, values: vec![], columns: None }.key(), 1);
    assert_eq!(relation(Order::DEFINITION, Order::ROW.index).4, "first");
}

#[test]
fn wrong_types_are_refused_where_they_are_wrong() {
    trybuild::TestCases::new().compile_fail("tests/derive/*.rs");
}
