//! Names and texts of all kinds.

use pgstrata_control::migrate::Options;
use pgstrata_tests::Schemas;
use pgstrata_tests::schemas::quoted;

const NAMES: [&str; 6] = ["Ünïcode \"x\".y", "it's a \\ ", "select", "$$ -- ;", "ab, public", "UPPER lower"];

#[tokio::test(flavor = "multi_thread")]
async fn names_of_all_kinds_are_quoted() {
    let schemas = Schemas::new(&NAMES).await;
    schemas.file("1_users.sql", "CREATE TABLE users (id int); SELECT ran('one')");
    schemas.file("2_index.sql", "-- pgstrata: no-transaction\nCREATE INDEX CONCURRENTLY ON users (id)");
    schemas.file("3_more.sql", "ALTER TABLE users ADD name text");
    let fence = Some(std::time::Duration::ZERO);
    let report =
        schemas.migrate(&Options { fence, canary: vec![NAMES[0].into()], ..Options::default() }).await;
    let report = report.unwrap();
    assert!(report.is_ok(), "{report:#?}");
    for name in NAMES {
        assert!(schemas.ran().await.contains(&format!("{name} one")), "{name}");
        schemas.run(&format!("SELECT name FROM {}.users", quoted(name))).await;
    }
    assert!(
        schemas.standing().await.iter().all(|line| !line.contains(" - ")),
        "{:?}",
        schemas.standing().await
    );
    assert_eq!(
        schemas.value("SELECT count(*) FROM pgstrata_control.migrations WHERE state = 'done'").await,
        "21"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_all_kinds_are_run() {
    let schemas = Schemas::new(&["acme"]).await;
    let texts: [&[u8]; 8] = [
        b"\xef\xbb\xbfCREATE TABLE users (id int);\r\nSELECT ran('bom');\r\n",
        b"",
        b"-- nothing but words\n/* and more; COMMIT; */",
        b";;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN COMMIT; END $f$;\r\n\
         CREATE PROCEDURE p() LANGUAGE plpgsql AS $$\r\nBEGIN\r\n  ROLLBACK;\r\nEND;\r\n$$;"
            .as_bytes(),
        b"CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
          CREATE PROCEDURE h() LANGUAGE sql BEGIN ATOMIC INSERT INTO users VALUES (g()); END; CALL h()",
        b"CREATE RULE r AS ON DELETE TO users DO ALSO (SELECT 1; SELECT 2); DELETE FROM users",
        "SELECT ran('it''s; COMMIT'), E'\\'; COMMIT', U&'\\0041', $é$ ; $é$".as_bytes(),
    ];
    for (n, text) in texts.iter().enumerate() {
        schemas.file(&format!("{n}_text.sql"), text);
    }
    schemas.bring().await;
    let ran = ["template bom", "template it's; COMMIT", "acme bom", "acme it's; COMMIT"];
    assert_eq!(schemas.ran().await, ran);
    assert_eq!(schemas.standing().await, ["acme 7 active", "template 7 source"]);
}

/// What is put off to the end of a transaction still happens as the file would have it.
#[tokio::test(flavor = "multi_thread")]
async fn deferred_triggers_fire_in_the_schema() {
    let schemas = Schemas::new(&["acme"]).await;
    schemas.file(
        "1_deferred.sql",
        "CREATE TABLE users (id int);
         CREATE TABLE log (id int);
         CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO log VALUES (NEW.id); PERFORM ran('fired'); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER t AFTER INSERT ON users INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION logs();
         INSERT INTO users VALUES (1)",
    );
    schemas.bring().await;
    assert_eq!(schemas.ran().await, ["template fired", "acme fired"]);
}
