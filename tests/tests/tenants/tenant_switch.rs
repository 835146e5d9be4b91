//! Another tenant on an open connection, under both strategies and over two servers.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, Answer, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

async fn stages() -> [Stage; 2] {
    let [first, second] = STRATEGIES.map(|strategy| Setup::new().tenant_switch().strategy(strategy));
    [Stage::new(first).await, Stage::new(second).await]
}

async fn tenant(wire: &mut Wire) -> String {
    wire.simple("SHOW tenant").await.value()
}

#[tokio::test(flavor = "multi_thread")]
async fn set_show_and_reset() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(tenant(&mut wire).await, "acme_corp");
        for (text, tag, now, names) in [
            ("SET tenant = 'globex'", "SET", "globex", &GLOBEX[..]),
            ("RESET tenant", "RESET", "acme_corp", &ACME),
            ("set session tenant to globex", "SET", "globex", &GLOBEX),
            ("SET tenant TO DEFAULT", "RESET", "acme_corp", &ACME),
        ] {
            let answer = wire.simple(text).await;
            assert_eq!((answer.commands(), answer.tags().as_str()), (vec![tag.to_owned()], "CZ"), "{text}");
            assert_eq!(tenant(&mut wire).await, now, "{text}");
            assert_eq!(wire.simple(NAMES).await.column(), names, "{text}");
            assert_eq!(wire.extended(NAMES, &[]).await.column(), names, "{text}");
            assert_eq!(wire.simple("SELECT current_schema()").await.value(), now);
        }
        assert_eq!(wire.simple("SET tenant = 1, 2").await.code(), "22023");
        assert_eq!(wire.simple("SET tenant = ''").await.code(), "22023");
        let mut none = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
        assert_eq!(tenant(&mut none).await, "");
        assert_eq!(
            none.simple("SET tenant = 'globex'; SELECT name FROM users ORDER BY id").await.column(),
            GLOBEX
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_round_trip_for_the_switch() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().tenant_switch().strategy(strategy).relay()).await;
        let mut wire = stage.wire("acme_corp").await;
        for name in ["globex", "acme_corp", "globex"] {
            wire.simple(&format!("SET tenant = '{name}'")).await;
            wire.simple(NAMES).await;
        }
        stage.relay().settle().await;
        let before = stage.relay().round_trips();
        for _ in 0..5 {
            wire.simple("SET tenant = 'acme_corp'").await;
            assert_eq!(wire.simple(NAMES).await.column(), ACME);
            wire.simple("SET tenant = 'globex'").await;
            assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
            assert_eq!(tenant(&mut wire).await, "globex");
        }
        assert_eq!(stage.relay().round_trips() - before, 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tenants_that_the_user_may_name() {
    let off = "name = 'fixed'\npassword = 'fixed'\ntenants = ['*']";
    let stage = Stage::new(Setup::new().tenant_switch().user(off)).await;
    let login =
        |user: &'static str| Wire::login(stage.port(), user, user, &[("options", "-ctenant=acme_corp")]);
    let mut acme = login("acme").await.unwrap();
    let forbidden = acme.simple("SET tenant = 'globex'").await.fault().unwrap();
    let unknown = acme.simple("SET tenant = 'nobody'").await.fault().unwrap();
    assert_eq!((forbidden.code.as_str(), unknown.code.as_str()), ("42501", "42501"));
    assert_eq!(forbidden.message.replace("globex", "x"), unknown.message.replace("nobody", "x"));
    assert_eq!(acme.simple("/*tenant='globex'*/ SELECT name FROM users").await.code(), "42501");
    assert_eq!(acme.simple(NAMES).await.column(), ACME);
    let mut fixed = login("fixed").await.unwrap();
    let refused = fixed.simple("SET tenant = 'globex'").await.fault().unwrap();
    assert!(refused.code == "42501" && refused.hint.unwrap().contains("tenant_switch = true"));
    assert_eq!(fixed.simple("/*tenant='globex'*/ SELECT name FROM users").await.code(), "42501");
    let tied = fixed.parse("", "/*tenant='globex'*/ SELECT 1").sync().answer().await;
    assert_eq!(tied.code(), "42501");
    assert_eq!(fixed.simple("SET tenant = 'acme_corp'").await.code(), "");
    let mut app = login("app").await.unwrap();
    for name in ["public", "pg_catalog", "pgstrata", "nobody"] {
        assert_eq!(app.simple(&format!("SET tenant = '{name}'")).await.code(), "42501", "{name}");
    }
    assert_eq!(app.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_works_for_one_tenant() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("BEGIN").await;
        wire.simple("SELECT count(*) FROM users").await;
        let refused = wire.simple("SET tenant = 'globex'").await;
        assert_eq!((refused.code().as_str(), refused.status()), ("25001", Some('E')));
        assert_eq!(wire.simple("SHOW tenant").await.code(), "25P02");
        assert_eq!(wire.simple("ROLLBACK").await.status(), Some('I'));
        assert_eq!(wire.simple(NAMES).await.column(), ACME);

        // First in its transaction, and until its end.
        for end in ["COMMIT", "ROLLBACK"] {
            wire.simple("BEGIN").await;
            assert_eq!(wire.simple("SET LOCAL tenant = 'globex'").await.status(), Some('T'));
            assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
            assert_eq!(wire.simple("RESET tenant").await.code(), "25001");
            wire.simple("ROLLBACK; BEGIN").await;
            wire.simple("SET LOCAL tenant = 'globex'").await;
            assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
            wire.simple(end).await;
            assert_eq!(wire.simple(NAMES).await.column(), ACME, "{end}");
        }

        // As any setting, it goes with a transaction that is rolled back, and stays with one that is not.
        for (end, tenant_then) in [("ROLLBACK", "acme_corp"), ("COMMIT", "globex")] {
            wire.simple("BEGIN").await;
            wire.simple("SET tenant = 'globex'").await;
            assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
            wire.simple(end).await;
            assert_eq!(tenant(&mut wire).await, tenant_then, "{end}");
        }
        wire.simple("RESET tenant").await;
        let warned = wire.simple("SET LOCAL tenant = 'globex'").await;
        assert!(warned.messages.iter().any(|message| message.tag == b'N'), "{warned:?}");
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_statement_of_a_text() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        let both = wire.simple("SET tenant = 'globex'; SELECT name FROM users ORDER BY id; SELECT 7").await;
        assert_eq!(both.commands(), ["SET", "SELECT 2", "SELECT 1"]);
        assert_eq!(both.column()[..2], GLOBEX);
        assert_eq!(tenant(&mut wire).await, "globex");
        wire.simple("RESET tenant").await;
        // The text is one transaction: where it fails, nothing of it holds.
        let text = "SET tenant = 'globex'; SELECT name FROM missing";
        let failed = wire.simple(text).await;
        assert_eq!(failed.code(), "42P01");
        let position = text.find("missing").unwrap() + 1;
        assert_eq!(failed.fault().unwrap().position, Some(position.to_string()));
        assert_eq!(tenant(&mut wire).await, "acme_corp");
        let refused = wire.simple("SET tenant = 'globex'; SELECT * FROM acme_corp.users").await;
        assert_eq!((refused.code().as_str(), refused.commands().len()), ("42501", 0));
        assert_eq!(tenant(&mut wire).await, "acme_corp");
        let local = wire.simple("SET LOCAL tenant = 'globex'; SELECT name FROM users ORDER BY id").await;
        assert_eq!(local.column(), GLOBEX);
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
        let behind = wire.simple("SELECT 1; SET tenant = 'globex'").await;
        assert_eq!(behind.code(), "0A000");
        let outlives = "BEGIN";
        wire.simple(outlives).await;
        wire.simple("SET LOCAL tenant = 'globex'").await;
        assert_eq!(wire.simple("COMMIT; SELECT name FROM users").await.code(), "0A000");
        wire.simple("ROLLBACK").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn comment_ties_one_statement() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        let tagged = "/*route='x',tenant='globex'*/ SELECT name FROM users ORDER BY id";
        for _ in 0..2 {
            assert_eq!(wire.simple(tagged).await.column(), GLOBEX);
            assert_eq!(wire.simple(NAMES).await.column(), ACME);
            assert_eq!(wire.extended(tagged, &[]).await.column(), GLOBEX);
            assert_eq!(wire.extended(NAMES, &[]).await.column(), ACME);
        }
        wire.parse("theirs", tagged).parse("mine", NAMES).sync().answer().await;
        for _ in 0..3 {
            let theirs = wire.describe("theirs").bind("theirs", &[]).execute().sync().answer().await;
            assert_eq!(theirs.column(), GLOBEX);
            assert_eq!(wire.bind("mine", &[]).execute().sync().answer().await.column(), ACME);
        }
        // One Sync is one transaction.
        let both = wire.bind("mine", &[]).execute().bind("theirs", &[]).execute().sync().answer().await;
        assert_eq!((both.code().as_str(), both.status()), ("25001", Some('I')));
        wire.simple("BEGIN").await;
        assert_eq!(wire.simple(tagged).await.column(), GLOBEX);
        assert_eq!(wire.simple("SELECT count(*) FROM users").await.value(), "2");
        assert_eq!(wire.simple("/*tenant='acme_corp'*/ SELECT 1").await.code(), "25001");
        wire.simple("ROLLBACK").await;
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
        assert_eq!(wire.simple("/*tenant='nobody'*/ SELECT 1").await.code(), "42501");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_follow_the_tenant() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("s", NAMES).sync().answer().await;
        for (name, names) in [("globex", &GLOBEX[..]), ("acme_corp", &ACME), ("globex", &GLOBEX)] {
            // Pipelined: the switch and the query in one write, with one Sync.
            wire.parse("", &format!("SET tenant = '{name}'")).bind("", &[]).execute();
            let answer = wire.bind("s", &[]).execute().sync().answer().await;
            assert_eq!(answer.column(), names);
            assert_eq!(answer.tags(), format!("12C2{}CZ", "D".repeat(names.len())));
            assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.column(), names);
        }
        // What fails takes the switch of its transaction back.
        wire.parse("", "SET tenant = 'acme_corp'").bind("", &[]).execute();
        let failed = wire.parse("", "SELECT * FROM missing").bind("", &[]).execute().sync().answer().await;
        assert_eq!(failed.code(), "42P01");
        assert_eq!(tenant(&mut wire).await, "globex");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn described_and_shown_in_the_extended_protocol() {
    let stage = Stage::new(Setup::new().tenant_switch()).await;
    let mut wire = stage.wire("acme_corp").await;
    let show = wire.parse("", "SHOW tenant").describe("").bind("", &[]).execute().sync().answer().await;
    assert_eq!((show.tags().as_str(), show.value().as_str()), ("1tT2DCZ", "acme_corp"));
    wire.parse("set", "SET tenant TO globex").describe("set").bind("set", &[]);
    let set = wire.message(b'D', b"P\0").execute().close("set").sync().answer().await;
    assert_eq!(set.tags(), "1tn2nC3Z");
    assert_eq!(tenant(&mut wire).await, "globex");
    let refused =
        wire.parse("", "SET tenant = 'nobody'").bind("", &[]).execute().execute().sync().answer().await;
    assert_eq!((refused.tags().as_str(), refused.code().as_str()), ("12EZ", "42501"));
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_session_goes_along() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        // A path of before may name the schema that is left.
        wire.simple("SET search_path TO acme_corp, public").await;
        wire.simple("SET tenant = 'globex'").await;
        assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
        assert_eq!(wire.simple("SHOW search_path").await.value(), "globex, public");
        assert_eq!(wire.simple("SELECT * FROM acme_corp.users").await.code(), "42501");
        wire.simple("RESET tenant").await;
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
        for (state, gone) in [
            ("CREATE TEMP TABLE t AS SELECT * FROM users", "DROP TABLE t"),
            ("PREPARE p AS SELECT * FROM users", "DEALLOCATE p"),
            ("SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)"),
            ("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM users", "CLOSE c"),
        ] {
            assert_eq!(wire.simple(state).await.code(), "", "{state}");
            assert_eq!(wire.simple("SET tenant = 'globex'").await.code(), "55000", "{state}");
            assert_eq!(wire.simple(gone).await.code(), "", "{gone}");
            // The answer to whether it is gone comes in front of this one's.
            assert_eq!(wire.simple("SELECT 1").await.value(), "1");
            let answer: Answer = wire.simple("SET tenant = 'globex'").await;
            assert_eq!(answer.code(), "", "{gone}");
            wire.simple("RESET tenant").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_the_end_of_a_transaction_is_for_the_tenant_of_then() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        let pipeline = |wire: &mut Wire, texts: &[&str]| {
            for text in texts {
                wire.parse("", text).bind("", &[]).execute();
            }
            wire.sync();
        };
        for (end, names) in [("ROLLBACK", &ACME[..]), ("ROLLBACK AND CHAIN", &ACME), ("COMMIT", &GLOBEX)] {
            pipeline(&mut wire, &["BEGIN", "SET tenant = 'globex'", end, NAMES]);
            assert_eq!(wire.answer().await.column(), names, "{end}");
            wire.simple("ROLLBACK").await;
            wire.simple("RESET tenant").await;
            pipeline(&mut wire, &["BEGIN", "SET LOCAL tenant = 'globex'", end, NAMES]);
            assert_eq!(wire.answer().await.column(), ACME, "{end}");
            wire.simple("ROLLBACK").await;
        }
        wire.simple("BEGIN").await;
        wire.simple("SET tenant = 'globex'").await;
        let insert = "ROLLBACK; INSERT INTO users (name, email) VALUES ('x', 'x')";
        assert_eq!(wire.simple(insert).await.code(), "0A000");
        wire.simple("ROLLBACK").await;
        // COMMIT of what has failed is ROLLBACK.
        wire.simple("BEGIN").await;
        wire.simple("SET tenant = 'globex'").await;
        wire.simple("SELECT 1 / 0").await;
        assert_eq!(wire.simple("COMMIT; SELECT name FROM users").await.code(), "0A000");
        pipeline(&mut wire, &["COMMIT", NAMES]);
        assert_eq!(wire.answer().await.column(), ACME);
        assert_eq!(tenant(&mut wire).await, "acme_corp");
        let server = stage.superuser().await;
        let count = server.query_one("SELECT count(*) FROM globex.users", &[]).await.unwrap();
        assert_eq!(count.get::<_, i64>(0), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draws_of_the_tenant_before_are_not_told() {
    let stage = Stage::new(Setup::new().tenant_switch().servers(1)).await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("SELECT nextval('users_id_seq')").await;
    wire.simple("SET tenant = 'globex'").await;
    assert_eq!(wire.simple("SELECT lastval()").await.code(), "55000");
}

/// What was decided for one message must not be used for the next.
#[tokio::test(flavor = "multi_thread")]
async fn plan_of_a_refused_message_is_forgotten() {
    let stage =
        Stage::new(Setup::new().tenant_switch().servers(1).line("tenancy", "shared_writes = false")).await;
    let server = stage.superuser().await;
    server.batch_execute("CREATE SCHEMA doomed AUTHORIZATION app").await.unwrap();
    let mut busy = stage.wire("acme_corp").await;
    let mut wire = stage.wire("acme_corp").await;
    for text in ["/*tenant='nobody'*/ SELECT 1", "/*tenant='doomed'*/ SELECT 1"] {
        busy.simple("BEGIN").await;
        busy.simple("SELECT 1").await;
        wire.parse("", text).sync().flush().await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        busy.simple("COMMIT").await;
        wire.until(b'Z').await;
        assert_eq!(wire.simple("SELECT name FROM globex.users").await.code(), "42501", "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn portal_does_not_outlive_its_tenant() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("BEGIN").await;
        wire.parse("s", NAMES).bind("s", &[]).sync().answer().await;
        assert_eq!(wire.simple("SET tenant = 'globex'").await.code(), "25001");
        wire.simple("ROLLBACK").await;
        // Nor is a path of the transaction's own forgotten for a statement that is another tenant's.
        wire.simple("BEGIN").await;
        wire.simple("SET LOCAL search_path TO public").await;
        let theirs = wire.parse("", "/*tenant='globex'*/ SELECT 1 FROM users").sync().answer().await;
        assert_eq!(theirs.code(), "25001");
        wire.simple("ROLLBACK").await;
    }
}
