//! Values in the catalog that are no tenant's to see: passwords, and values of rows.

use pgstrata_tests::shared_tables::{run, ways};
use pgstrata_tests::{Setup, Stage};

/// The columns of `pg_attribute` in PostgreSQL 15 to 18, but `attmissingval`.
const COLUMNS: &str = "attacl attalign attbyval attcacheoff attcollation attcompression attfdwoptions attgenerated \
    atthasdef atthasmissing attidentity attinhcount attisdropped attislocal attlen attname attndims attnotnull attnum \
    attoptions attrelid attstattarget attstorage atttypid atttypmod cmax cmin ctid tableoid xmax xmin";

/// A column that this version of PostgreSQL does not have is a function that takes the whole row, if there is one of
/// that name.
#[tokio::test(flavor = "multi_thread")]
async fn function_under_the_name_of_a_column_shows_no_values_of_others() {
    for (strategy, protocol) in ways() {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        server.batch_execute("ALTER TABLE globex.users ADD COLUMN note text DEFAULT 'hidden'").await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        for column in COLUMNS.split_whitespace() {
            let function = format!(
                "CREATE FUNCTION {column}(a pg_attribute) RETURNS text LANGUAGE sql RETURN (a).attmissingval::text"
            );
            assert_eq!(run(&mut wire, protocol, &function).await.code(), "", "{column}");
            let text = format!("SELECT a.{column}::text FROM pg_attribute a WHERE a.atthasmissing");
            let answer = run(&mut wire, protocol, &text).await;
            assert_eq!(answer.code(), "", "{strategy} {text}: {answer:?}");
            assert!(!answer.column().iter().any(|value| value.contains("hidden")), "{text}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_of_user_mappings_are_not_shown() {
    for (strategy, protocol) in ways() {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw; \
                 CREATE USER MAPPING FOR app SERVER elsewhere OPTIONS (user 'x', password 'hidden')",
            )
            .await
            .unwrap();
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "SELECT * FROM information_schema.user_mapping_options",
            "SELECT option_value FROM information_schema.\"user_mapping_options\"",
            "TABLE information_schema.user_mapping_options",
            "COPY information_schema.user_mapping_options TO STDOUT",
            "CREATE VIEW w AS SELECT * FROM information_schema.user_mapping_options",
            "SELECT umoptions FROM information_schema._pg_user_mappings",
            "SELECT * FROM pg_user_mappings",
        ] {
            let refused = run(&mut wire, protocol, text).await;
            assert_eq!(refused.code(), "42501", "{strategy} {text}: {refused:?}");
            assert!(refused.fault().unwrap().message.contains("tenant"), "{text}: {refused:?}");
        }
        // Under a path of the client's own it has no schema in front.
        let set = run(&mut wire, protocol, "SET search_path = acme_corp, information_schema").await;
        assert_eq!(set.code(), "", "{set:?}");
        let refused = run(&mut wire, protocol, "SELECT * FROM user_mapping_options").await;
        assert_eq!(refused.code(), "42501", "{refused:?}");
    }
}
