//! `statements` of a user: which kinds it may run, and that a reader writes nothing whatever it calls.

use pgstrata_tests::program::{client_program, run};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const LEVELS: [&str; 4] = ["read", "write", "ddl", "all"];
/// What a statement that writes is refused with in a transaction that reads.
const READ_ONLY: &str = "25006";

fn setup() -> Setup {
    let user =
        |level| format!("name = '{level}'\npassword = '{level}'\ntenants = ['*']\nstatements = '{level}'");
    LEVELS.into_iter().fold(Setup::new(), |setup, level| setup.user(user(level)))
}

/// One server, so that each client gets what the one before has left; and a function that writes, and one that
/// makes later transactions read-write.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        let stage = Stage::new(setup().strategy(strategy).servers(1)).await;
        let functions = "CREATE FUNCTION acme_corp.writes() RETURNS int LANGUAGE sql AS
                 'INSERT INTO acme_corp.users (name, email) VALUES (''x'', ''x'') RETURNING 1';
             GRANT EXECUTE ON FUNCTION acme_corp.writes TO PUBLIC";
        stage.superuser().await.batch_execute(functions).await.unwrap();
        stages.push(stage);
    }
    stages
}

async fn login(stage: &Stage, user: &str) -> Wire {
    Wire::login(stage.port(), user, user, &[("options", "-ctenant=acme_corp")]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_runs_what_it_names() {
    for stage in stages().await {
        // How many of the four levels let it through.
        for (text, allowed) in [
            (NAMES, 4),
            ("BEGIN; SELECT 1; COMMIT", 4),
            ("EXPLAIN DELETE FROM users", 4),
            ("BEGIN; DECLARE c CURSOR FOR SELECT * FROM users; FETCH 1 FROM c; COMMIT", 4),
            ("SET statement_timeout = '10s'; RESET statement_timeout", 4),
            ("UPDATE users SET name = name WHERE id = 1", 3),
            ("WITH gone AS (DELETE FROM users WHERE false RETURNING *) SELECT * FROM gone", 3),
            ("BEGIN; SELECT * FROM users FOR UPDATE; ROLLBACK", 3),
            ("EXPLAIN ANALYZE DELETE FROM users WHERE false", 3),
            ("SELECT nextval('users_id_seq')", 3),
            ("NOTIFY orders", 3),
            ("CREATE TABLE t (a int); DROP TABLE t", 2),
            ("SELECT 1 AS a INTO t; DROP TABLE t", 2),
            ("BEGIN; TRUNCATE posts; ROLLBACK", 2),
            ("COMMENT ON TABLE users IS NULL", 2),
            ("VACUUM users", 2),
        ] {
            for (i, level) in LEVELS.into_iter().enumerate() {
                let mut wire = login(&stage, level).await;
                let answer = wire.simple(text).await;
                let expected = if i + allowed >= LEVELS.len() { "" } else { "42501" };
                assert_eq!(answer.code(), expected, "{level}: {text}: {answer:?}");
                if !text.contains(';') {
                    assert_eq!(wire.extended(text, &[]).await.code(), expected, "extended, {level}: {text}");
                }
                if let Some(fault) = answer.fault() {
                    assert!(
                        fault.message.contains(&format!("statements = \"{level}\"")),
                        "{}",
                        fault.message
                    );
                    assert!(fault.hint.unwrap().contains("An administrator"), "{text}");
                    assert_eq!(wire.simple(NAMES).await.column(), ACME);
                }
            }
        }
        // What is prepared is judged when it is.
        let mut wire = login(&stage, "write").await;
        assert_eq!(wire.simple("PREPARE p AS SELECT 1 AS a INTO t").await.code(), "42501");
        assert_eq!(wire.parse("p", "DROP TABLE users").sync().answer().await.code(), "42501");
        assert_eq!(wire.simple("PREPARE p AS UPDATE users SET name = name; EXECUTE p").await.code(), "");
        // SQL that carries SQL is another setting's.
        let mut wire = login(&stage, "all").await;
        assert_eq!(wire.simple("DO $$ BEGIN END $$").await.code(), "42501");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_reader_calls_writes() {
    for stage in stages().await {
        for text in [
            "SELECT writes()",
            "BEGIN; SELECT writes(); COMMIT",
            "COMMIT; SELECT writes()",
            "BEGIN; SELECT 1; COMMIT; SELECT writes()",
            "ROLLBACK; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT writes()",
            "SET default_transaction_read_only = on; COMMIT; SELECT writes()",
            "BEGIN; SAVEPOINT a; ROLLBACK TO a; SELECT writes()",
            "EXPLAIN ANALYZE SELECT writes()",
            "COPY (SELECT writes()) TO STDOUT",
        ] {
            for before in
                ["SELECT 1", "RESET ALL", "DISCARD ALL", "BEGIN; RESET ALL", "SET TRANSACTION READ ONLY"]
            {
                let mut wire = login(&stage, "read").await;
                assert_eq!(wire.simple(before).await.code(), "", "{before}");
                assert_eq!(wire.simple(text).await.code(), READ_ONLY, "{before}, then {text}");
            }
        }
        for texts in [
            &["SELECT writes()"][..],
            &["BEGIN", "SELECT writes()"],
            &["COMMIT", "SELECT writes()"],
            &["BEGIN", "SELECT 1", "COMMIT AND CHAIN", "SELECT writes()"],
            &["BEGIN", "COMMIT", "SELECT writes()"],
        ] {
            let mut wire = login(&stage, "read").await;
            for text in texts {
                wire.parse("", text).bind("", &[]).execute();
            }
            assert_eq!(wire.sync().answer().await.code(), READ_ONLY, "{texts:?}");
        }
        // The setting is not there to be taken off.
        for text in [
            "BEGIN READ WRITE",
            "SET TRANSACTION READ WRITE",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET default_transaction_read_only = off",
            "RESET default_transaction_read_only",
            "SELECT set_config('default_transaction_read_only', 'off', false)",
            "RESET ALL; COMMIT; SELECT writes()",
        ] {
            let mut wire = login(&stage, "read").await;
            assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
            assert_eq!(wire.simple("SELECT writes()").await.code(), READ_ONLY, "{text}");
        }
        let mut wire = login(&stage, "read").await;
        for text in ["RESET ALL", "COMMIT", "SELECT writes()"] {
            wire.parse("", text).bind("", &[]).execute();
        }
        assert_eq!(wire.sync().answer().await.code(), "42501");
        let off = [("options", "-ctenant=acme_corp -cdefault_transaction_read_only=off")];
        let mut wire = Wire::login(stage.port(), "read", "read", &off).await.unwrap();
        assert_eq!(wire.simple("SELECT writes()").await.code(), READ_ONLY);
        assert_eq!(wire.simple(NAMES).await.column(), ACME, "nothing was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_is_told_and_leaves_nothing_to_others() {
    for strategy in STRATEGIES {
        let stage = Stage::new(setup().strategy(strategy).servers(1).relay()).await;
        let (mut reader, mut writer) = (login(&stage, "read").await, login(&stage, "write").await);
        let told = |wire: &Wire| {
            let named = |name: &&(String, String)| name.0 == "default_transaction_read_only";
            wire.parameters.iter().rfind(named).map(|(_, value)| value.clone())
        };
        assert_eq!(told(&reader).as_deref(), Some("on"));
        assert_eq!(told(&writer).as_deref(), Some("off"));
        let mut globex = stage.wire("globex").await;
        for round in 0..3 {
            stage.relay().settle().await;
            let before = stage.relay().round_trips();
            assert_eq!(reader.simple(NAMES).await.column(), ACME);
            assert_eq!(writer.simple("UPDATE users SET name = name").await.code(), "");
            assert_eq!(reader.extended(NAMES, &[]).await.column(), ACME);
            assert_eq!(globex.extended("UPDATE users SET name = name", &[]).await.code(), "");
            stage.relay().settle().await;
            // In the first round the proxy learns what the schemas hold.
            assert!(round == 0 || stage.relay().round_trips() - before == 4, "no round trip more");
            assert_eq!(globex.simple("SHOW default_transaction_read_only").await.value(), "off");
            assert_eq!(reader.simple("SHOW transaction_read_only").await.value(), "on");
        }
        assert_eq!(globex.simple(NAMES).await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_dumps_its_schema() {
    for strategy in STRATEGIES {
        let stage = Stage::new(setup().strategy(strategy).hardened()).await;
        let mut program = client_program("pg_dump");
        let url = stage.url(Some("acme_corp")).replace("//app:app@", "//read:read@");
        program.args(["--schema", "acme_corp", "--no-owner"]).arg(url);
        assert!(run(program).await.contains("alice@acme.example"));
    }
}
