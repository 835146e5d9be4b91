//! What `#[derive(Entity)]` says of a table, held against PostgreSQL: each type there and back, keys, defaults, indexes, relations.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata_orm::{
    Entity, EntityManager, MetadataContext, Options, PostgresTenantMigrationRunner, SchemaQualifiedStrategy,
    TenantMigrationRunner,
};
use pgstrata_tests::database::cluster_with;
use pgstrata_tests::stage::{connect, names};
use serde_json::json;
use uuid::Uuid;

/// A column of each type.
#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "specimens")]
struct Specimen {
    #[column(primary_key, generated)]
    id: Uuid,
    truth: bool,
    small: i16,
    medium: i32,
    large: i64,
    single: f32,
    double: f64,
    #[column(index)]
    words: String,
    bytes: Vec<u8>,
    moment: SystemTime,
    instant: DateTime<Utc>,
    local: NaiveDateTime,
    day: NaiveDate,
    time: NaiveTime,
    document: serde_json::Value,
    #[column(type = "json")]
    plain_document: serde_json::Value,
    #[column(type = "varchar(80)")]
    short: String,
    #[column(name = "select", default = "'none'")]
    r#type: Option<String>,
    other: Option<Uuid>,
}

/// Arrays of them.
#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "collections")]
struct Collection {
    #[column(primary_key, generated)]
    id: i32,
    truths: Vec<bool>,
    numbers: Vec<i64>,
    words: Vec<String>,
    gaps: Vec<Option<String>>,
    blobs: Vec<Vec<u8>>,
    ids: Option<Vec<Uuid>>,
    instants: Vec<DateTime<Utc>>,
    days: Vec<NaiveDate>,
    documents: Vec<serde_json::Value>,
}

/// A key of two columns, one of them drawn; a name of its own in quotes.
#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "line items", index(columns(label, order_id), unique, name = "one label"))]
#[entity(belongs_to(specimen: Specimen, column = specimen_id))]
struct Item {
    #[column(primary_key, name = "order \"id\"")]
    order_id: Uuid,
    #[column(primary_key, generated)]
    number: i16,
    label: String,
    specimen_id: Option<Uuid>,
}

async fn manager(cluster: &Cluster) -> EntityManager {
    let options = Options::config(cluster.superuser("postgres")).synchronize(true);
    let options = options.entity::<Specimen>().entity::<Collection>().entity::<Item>();
    let em = EntityManager::register(options.clone()).await.unwrap();
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    runner.ensure_schema("acme").await.unwrap();
    // Once more: what is there stays.
    EntityManager::register(options.tenant_strategy(SchemaQualifiedStrategy)).await.unwrap()
}

async fn as_acme<T>(work: impl IntoFuture<Output = T>) -> T {
    MetadataContext::run("acme", work).await
}

fn specimen() -> Specimen {
    let day = NaiveDate::from_ymd_opt(2026, 2, 28).unwrap();
    let time = NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap();
    Specimen {
        id: Uuid::nil(),
        truth: true,
        small: i16::MIN,
        medium: i32::MAX,
        large: i64::MIN,
        single: f32::MAX,
        double: f64::MIN_POSITIVE,
        words: "'; DROP TABLE specimens; --\u{1F980}".to_owned(),
        bytes: vec![0, 1, 255],
        moment: SystemTime::UNIX_EPOCH + Duration::from_micros(1_772_323_199_999_999),
        instant: day.and_time(time).and_utc(),
        local: day.and_time(time),
        day,
        time,
        document: json!({"a": [1, null, {"b": "c"}]}),
        plain_document: json!({"z": 1, "a": 2}),
        short: "é".repeat(80),
        r#type: Some(String::new()),
        other: Some(Uuid::max()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn value_of_each_type_comes_back_as_it_was() {
    let cluster = cluster_with(ClusterOptions::default()).await;
    let em = manager(&cluster).await;
    let new = specimen();
    let saved = as_acme(em.save(&new)).await.unwrap();
    assert_ne!(saved.id, Uuid::nil(), "PostgreSQL draws it");
    assert_eq!(saved, Specimen { id: saved.id, ..new });
    assert_eq!(as_acme(em.find_by_pk(saved.id)).await.unwrap(), Some(saved.clone()));

    let first = Collection {
        id: 0,
        truths: vec![true, false],
        numbers: vec![i64::MAX, 0],
        words: vec!["a,b".to_owned(), "\"{}\\".to_owned()],
        gaps: vec![None, Some("NULL".to_owned())],
        blobs: vec![vec![], vec![0, 255]],
        ids: Some(vec![saved.id]),
        instants: vec![saved.instant],
        days: vec![saved.day],
        documents: vec![json!(1), json!("two")],
    };
    let empty = Collection {
        id: 0,
        truths: vec![],
        numbers: vec![],
        words: vec![],
        gaps: vec![],
        blobs: vec![],
        ids: None,
        instants: vec![],
        days: vec![],
        documents: vec![],
    };
    let kept = as_acme(em.save_many(&[first.clone(), empty.clone()])).await.unwrap();
    assert_eq!(kept, [Collection { id: 1, ..first }, Collection { id: 2, ..empty }]);
    assert_eq!(as_acme(em.find_by_pk(2)).await.unwrap().as_ref(), kept.get(1));
    assert_eq!(em.count::<Collection>().await.unwrap(), 0, "public has none of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_each_type_are_compared() {
    let cluster = cluster_with(ClusterOptions::default()).await;
    let em = manager(&cluster).await;
    let saved = as_acme(em.save(&specimen())).await.unwrap();
    let of = saved.clone();
    let conditions = [
        Specimen::ID.eq(of.id),
        Specimen::ID.in_([of.id, Uuid::nil()]),
        Specimen::TRUTH.eq(true),
        Specimen::SMALL.lt(0_i16),
        Specimen::MEDIUM.ge(of.medium),
        Specimen::LARGE.in_([of.large]),
        Specimen::SINGLE.eq(of.single),
        Specimen::DOUBLE.eq(of.double),
        Specimen::WORDS.eq(of.words),
        Specimen::BYTES.eq(of.bytes),
        Specimen::MOMENT.eq(of.moment),
        Specimen::INSTANT.le(of.instant),
        Specimen::LOCAL.in_([of.local]),
        Specimen::DAY.gt(NaiveDate::from_ymd_opt(2026, 2, 27).unwrap()),
        Specimen::TIME.in_([of.time]),
        Specimen::DOCUMENT.eq(of.document),
        Specimen::SHORT.like("é%"),
        Specimen::SHORT.in_([of.short]),
        Specimen::TYPE.eq(""),
        Specimen::OTHER.is_not_null(),
    ];
    for condition in conditions {
        let told = format!("{condition:?}");
        let found = as_acme(em.find_one::<Specimen>().where_(condition)).await;
        assert_eq!(found.unwrap_or_else(|error| panic!("{told}: {error}")).as_ref(), Some(&saved), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn composite_key_finds_its_row() {
    let cluster = cluster_with(ClusterOptions::default()).await;
    let em = manager(&cluster).await;
    let specimen = as_acme(em.save(&specimen())).await.unwrap();
    let new = Item {
        order_id: Uuid::from_u128(7),
        number: 0,
        label: "first".to_owned(),
        specimen_id: Some(specimen.id),
    };
    let item = as_acme(em.save(&new)).await.unwrap();
    assert_eq!(item.number, 1, "PostgreSQL draws it");
    assert_eq!(as_acme(em.find_by_pk(item.key())).await.unwrap(), Some(item.clone()));
    assert_eq!(as_acme(em.find_by_pk::<Item>((Uuid::from_u128(7), 2))).await.unwrap(), None);
    let pairs = as_acme(em.find::<Item>().join(Item::SPECIMEN)).await.unwrap();
    assert_eq!(pairs, [(item.clone(), specimen)]);
    let duplicate = as_acme(em.save(&new)).await.unwrap_err();
    assert!(duplicate.is_duplicate(), "the unique index: {duplicate}");
    assert!(as_acme(em.delete_by_pk::<Item>(item.key())).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn table_in_postgresql_is_as_the_type_says() {
    let cluster = cluster_with(ClusterOptions::default()).await;
    let _em = manager(&cluster).await;
    let admin = connect(&cluster.superuser("postgres")).await.unwrap();
    for schema in ["public", "acme"] {
        let columns = format!(
            "SELECT column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns \
             WHERE table_schema = '{schema}' AND table_name = 'line items' ORDER BY ordinal_position"
        );
        let expected =
            ["order \"id\" uuid NO", "number smallint NO", "label text NO", "specimen_id uuid YES"];
        assert_eq!(names(&admin, &columns).await, expected);
        let defaults = format!(
            "SELECT column_name || ' ' || coalesce(column_default, identity_generation) \
             FROM information_schema.columns WHERE table_schema = '{schema}' \
             AND (column_default IS NOT NULL OR is_identity = 'YES') ORDER BY table_name, ordinal_position"
        );
        let expected = ["id BY DEFAULT", "number BY DEFAULT", "id gen_random_uuid()", "select 'none'::text"];
        assert_eq!(names(&admin, &defaults).await, expected);
        let unique = format!(
            "SELECT i.relname::text FROM pg_index JOIN pg_class i ON i.oid = indexrelid \
             JOIN pg_namespace n ON n.oid = i.relnamespace \
             WHERE n.nspname = '{schema}' AND indisunique AND NOT indisprimary"
        );
        assert_eq!(names(&admin, &unique).await.len(), 1);
    }
}
