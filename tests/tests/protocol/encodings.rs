//! Whatever a client's encoding is: what the proxy puts into texts means the tenant's schema, and no name of the
//! client's is taken for another one.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Setup, Stage, Wire};

/// A tenant, and another: the bytes of the one's name in UTF-8 are the other's in LATIN1.
const OWN: &str = "caf\u{e9}";
const OTHER: &str = "caf\u{c3}\u{a9}";

/// The ways to another encoding.
const WAYS: &[&str] = &[
    "SET client_encoding TO 'LATIN1'",
    "SET NAMES 'LATIN1'",
    "SELECT set_config('client_encoding', 'LATIN1', false)",
    "BEGIN; SET LOCAL client_encoding TO 'LATIN1'",
];

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// A `Query` whose bytes are these.
async fn query(wire: &mut Wire, text: &[u8]) -> pgstrata_tests::Answer {
    wire.message(b'Q', &[text, b"\0"].concat()).answer().await
}

/// The same in the extended protocol.
async fn extended(wire: &mut Wire, text: &[u8]) -> pgstrata_tests::Answer {
    wire.message(b'P', &[b"\0", text, b"\0\0\0"].concat()).bind("", &[]).execute().sync().answer().await
}

async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        for (schema, name) in [(OWN, "mine"), (OTHER, "theirs")] {
            let sql = format!(
                "CREATE SCHEMA \"{schema}\" AUTHORIZATION app; SET ROLE app; \
                 CREATE TABLE \"{schema}\".users (name text); INSERT INTO \"{schema}\".users VALUES ('{name}'); RESET ROLE"
            );
            stage.superuser().await.batch_execute(&sql).await.unwrap();
        }
        stages.push(stage);
    }
    stages
}

async fn login(stage: &Stage, parameters: &[(&str, &str)]) -> Wire {
    let option = format!("-ctenant={OWN}");
    let all = [&[("options", option.as_str())], parameters].concat();
    Wire::login(stage.port(), "app", "app", &all).await.expect("the tenant is let in")
}

#[tokio::test(flavor = "multi_thread")]
async fn path_and_prefixes_mean_the_tenants_schema_in_each_encoding() {
    for stage in stages().await {
        for way in WAYS {
            let mut wire = login(&stage, &[]).await;
            wire.parse("named", "SELECT name FROM users").sync().answer().await;
            assert_eq!(wire.simple(way).await.code(), "", "{way}");
            for text in ["SELECT name FROM users", "SELECT name FROM users WHERE name <> ''", "TABLE users"] {
                assert_eq!(wire.simple(text).await.column(), ["mine"], "{way}, {text}");
                assert_eq!(wire.extended(text, &[]).await.column(), ["mine"], "{way}, {text}");
            }
            assert_eq!(wire.bind("named", &[]).execute().sync().answer().await.column(), ["mine"], "{way}");
            assert_eq!(
                query(&mut wire, b"SELECT name FROM users WHERE name <> '\xe9'").await.column(),
                ["mine"]
            );
            wire.simple("COMMIT").await;
        }
        for encoding in ["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII", "UTF8"] {
            let mut wire = login(&stage, &[("client_encoding", encoding)]).await;
            assert_eq!(wire.simple("SELECT name FROM users").await.column(), ["mine"], "{encoding}");
            assert_eq!(wire.extended("SELECT name FROM users", &[]).await.column(), ["mine"], "{encoding}");
            assert_eq!(wire.simple("VACUUM users").await.code(), "", "{encoding}");
            assert_eq!(wire.simple("SELECT pg_try_advisory_xact_lock(1)").await.value(), "t", "{encoding}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_of_another_schema_is_not_taken_for_the_tenants() {
    for stage in stages().await {
        // In LATIN1 these are the other's name; read as UTF-8, the tenant's.
        let texts = [
            format!("SELECT name FROM \"{OTHER}\".users"),
            format!("SELECT \"{OTHER}\".users.name FROM \"{OTHER}\".users"),
            format!("SET search_path TO \"{OTHER}\""),
            format!("SET search_path TO '{OTHER}'"),
            format!("SELECT set_config('search_path', '{OTHER}', false)"),
            format!("SELECT '\"{OTHER}\".users'::regclass"),
            format!("INSERT INTO \"{OTHER}\".users VALUES ('x')"),
            format!("DROP SCHEMA \"{OTHER}\" CASCADE"),
        ];
        for text in texts.iter().map(|text| latin1(text)) {
            let shown = String::from_utf8_lossy(&text).into_owned();
            for way in WAYS {
                let mut wire = login(&stage, &[]).await;
                wire.simple(way).await;
                let refused = ["0A000", "42501", "25P02"];
                let answer = query(&mut wire, &text).await;
                assert!(refused.contains(&answer.code().as_str()), "{way}, {shown}: {answer:?}");
                let answer = extended(&mut wire, &text).await;
                assert!(refused.contains(&answer.code().as_str()), "{way}, {shown}: {answer:?}");
            }
            // In one pipeline with what changes the encoding.
            let mut wire = login(&stage, &[]).await;
            wire.parse("", WAYS[0]).bind("", &[]).execute();
            let answer = extended(&mut wire, &text).await;
            assert_eq!(answer.code(), "0A000", "{shown}: {answer:?}");
        }
        let kept = stage.superuser().await;
        let query = format!("SELECT name FROM \"{OTHER}\".users");
        assert_eq!(pgstrata_tests::stage::names(&kept, &query).await, ["theirs"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statement_is_not_read_again_in_another_encoding() {
    for stage in stages().await {
        let text = format!("SELECT name FROM \"{OWN}\".users");
        let mut wire = login(&stage, &[]).await;
        assert_eq!(
            wire.parse("mine", &text).bind("mine", &[]).execute().sync().answer().await.column(),
            ["mine"]
        );
        wire.simple("SET client_encoding TO 'LATIN1'").await;
        // On whichever server it is prepared next.
        assert_eq!(wire.bind("mine", &[]).execute().sync().answer().await.code(), "0A000");
        wire.simple("SET client_encoding TO 'UTF8'").await;
        assert_eq!(wire.bind("mine", &[]).execute().sync().answer().await.column(), ["mine"]);

        // The same bytes of two clients in two encodings are two statements.
        let mut other = login(&stage, &[("client_encoding", "LATIN1")]).await;
        let bytes = "SELECT length('\u{e9}')";
        assert_eq!(wire.parse("l", bytes).bind("l", &[]).execute().sync().answer().await.value(), "1");
        assert_eq!(other.parse("l", bytes).bind("l", &[]).execute().sync().answer().await.value(), "2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_any_encoding_goes_through() {
    for stage in stages().await {
        let mut wire = login(&stage, &[("client_encoding", "LATIN1")]).await;
        assert_eq!(query(&mut wire, b"INSERT INTO users VALUES ('\xe9')").await.code(), "");
        assert_eq!(extended(&mut wire, b"INSERT INTO users VALUES ('\xc3\xa9')").await.code(), "");
        let stored = format!("SELECT name FROM \"{OWN}\".users WHERE name <> 'mine' ORDER BY name");
        let names = pgstrata_tests::stage::names(&stage.superuser().await, &stored).await;
        assert_eq!(names, ["\u{c3}\u{a9}", "\u{e9}"]);
        assert_eq!(query(&mut wire, b"SET app.word TO '\xe9'").await.code(), "");
        assert_eq!(wire.simple("SELECT current_setting('app.word') = U&'\\00e9'").await.value(), "t");
    }
}
