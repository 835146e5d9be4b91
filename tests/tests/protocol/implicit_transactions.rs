//! Where transactions begin and end is PostgreSQL's and the client's to say: a conversation through the proxy has
//! the same answers, leaves the same rows and the same settings as one with PostgreSQL itself.

use std::time::Duration;

use pgstrata_tests::answer::{Answer, Fault};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, Setup, Stage, Wire, neutral};
use tokio::time::timeout;

/// A conversation that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// PostgreSQL's error where it should not have come to.
const INTERNAL_ERROR: &str = "XX000";

/// One message, or some.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// `Query`.
    Q(&'static str),
    /// `Parse`, `Bind` and `Execute`, unnamed.
    X(&'static str),
    /// `Parse` alone, of a statement with a name.
    P(&'static str),
    /// `Sync`.
    S,
}

use Step::{P, Q, S, X};

const SET: &str = "SET work_mem TO '1MB'";
const INSERT: &str = "INSERT INTO users (name, email) VALUES ('x', gen_random_uuid()::text)";
const FAILS: &str = "SELECT 1 / 0";

/// The conversations that somebody thought of.
const SCRIPTS: &[&[Step]] = &[
    &[X(SET), X("PREPARE TRANSACTION 'x'"), S],
    &[X(SET), X(INSERT), X("PREPARE TRANSACTION 'x'"), X(FAILS), S],
    &[Q("BEGIN"), Q(SET), Q("PREPARE TRANSACTION 'x'")],
    &[Q("BEGIN"), Q(SET), Q(FAILS), Q("PREPARE TRANSACTION 'x'")],
    &[X("BEGIN"), X(SET), X("PREPARE TRANSACTION 'x'"), X("SELECT 1"), S],
    &[Q("SET work_mem TO '1MB'; PREPARE TRANSACTION 'x'")],
    &[Q("BEGIN"), Q(SET), Q("CREATE TEMP TABLE t (a int)"), Q("PREPARE TRANSACTION 'x'")],
    &[Q("BEGIN"), Q(SET), Q("INSERT INTO late VALUES (1), (1)"), Q("COMMIT")],
    &[X("BEGIN"), X(SET), X("INSERT INTO late VALUES (1), (1)"), X("COMMIT"), S],
    &[X(SET), X("INSERT INTO late VALUES (1), (1)"), S],
    &[Q("BEGIN"), X("COMMIT"), X(SET), X(FAILS), S],
    &[Q("BEGIN"), X(SET), X("COMMIT"), X(INSERT), X(FAILS), S],
    &[Q(SET), X("DISCARD ALL"), X("SET work_mem TO '2MB'"), X(FAILS), S],
    &[X(SET), X("DISCARD ALL"), S],
    &[X(SET), Q("LOCK TABLE users IN SHARE MODE"), S],
    &[X(INSERT), Q("LOCK TABLE users IN SHARE MODE"), S],
    &[X(INSERT), Q("LOCK TABLE users IN SHARE MODE"), X(FAILS), S],
    &[X(INSERT), X("LOCK TABLE users IN SHARE MODE"), S],
    &[P("SELECT name FROM users"), Q("LOCK TABLE users IN SHARE MODE"), S],
    &[P("SELECT name FROM users"), Q("VACUUM users"), S],
    &[P("SELECT name FROM users"), Q(INSERT), X(FAILS), S],
    &[P(INSERT), Q("SELECT count(*) FROM users"), X(FAILS), S],
    &[P("SELECT name FROM users"), X("VACUUM users"), S],
    &[X("VACUUM users"), X(SET), X(FAILS), S],
    &[X("VACUUM users"), X("VACUUM users"), S],
    &[X(SET), Q("VACUUM users"), S],
    &[X(INSERT), X("VACUUM users"), S],
    &[X(SET), Q("SELECT count(*) FROM users"), X(FAILS), S],
    &[X(INSERT), Q("SELECT count(*) FROM users"), Q(INSERT), X(FAILS), S],
    &[X(INSERT), Q("SELECT count(*) FROM users"), Q("SELECT 1; SELECT 2"), X(FAILS), S],
    &[X(INSERT), Q("SELECT count(*) FROM users; SELECT 2"), X(FAILS), S],
    &[X(INSERT), Q("BEGIN"), Q(SET), Q("ROLLBACK")],
    &[X(SET), X("ROLLBACK"), S],
    &[X("ROLLBACK"), X("LOCK TABLE users IN SHARE MODE"), X(INSERT), S],
    &[X(INSERT), X("COMMIT"), X("LOCK TABLE users IN SHARE MODE"), S],
    &[X(SET), X("COMMIT"), X(FAILS), S],
    &[X(SET), X("SAVEPOINT s"), S],
    &[X(INSERT), X("DECLARE c CURSOR FOR SELECT name FROM users"), S],
    &[X(INSERT), Q("DECLARE c CURSOR FOR SELECT name FROM users"), S],
    &[X(SET), X("CALL commits()"), X(FAILS), S],
    &[X(INSERT), X("CALL commits()"), X(FAILS), S],
    &[X(SET), X("CALL rolls_back()"), S],
    &[X(SET), Q("CALL rolls_back()"), S],
    &[X(INSERT), Q("CALL commits()"), X(FAILS), S],
    &[Q("SET work_mem TO '1MB'; BEGIN; ROLLBACK")],
    &[Q("SET work_mem TO '1MB'; COMMIT; SELECT 1 / 0")],
    &[Q("BEGIN; SET work_mem TO '1MB'; COMMIT; SET work_mem TO '2MB'; SELECT 1 / 0")],
    &[
        Q("BEGIN"),
        Q(SET),
        Q("SAVEPOINT s"),
        Q("SET work_mem TO '2MB'"),
        Q(FAILS),
        Q("ROLLBACK TO s"),
        Q("COMMIT"),
    ],
    &[
        Q("BEGIN"),
        Q(SET),
        Q("COMMIT AND CHAIN"),
        Q("SET work_mem TO '2MB'"),
        Q("ROLLBACK AND CHAIN"),
        Q("COMMIT"),
    ],
    &[X("BEGIN"), X(SET), X("COMMIT AND CHAIN"), X("SET work_mem TO '2MB'"), X("ROLLBACK"), S],
    &[Q("SET sort_mem TO '1MB'"), Q("RESET work_mem")],
];

/// What scripts that nobody wrote are made of.
const PIECES: &[Step] = &[
    S,
    S,
    X(SET),
    X(INSERT),
    X(FAILS),
    X("BEGIN"),
    X("COMMIT"),
    X("ROLLBACK"),
    X("SAVEPOINT s"),
    X("ROLLBACK TO s"),
    X("RESET work_mem"),
    X("SET LOCAL work_mem TO '3MB'"),
    X("SELECT count(*) FROM users"),
    X("LOCK TABLE users IN SHARE MODE"),
    X("SELECT set_config('work_mem', '4MB', false)"),
    P("SELECT name FROM users"),
    Q("SET work_mem TO '5MB'"),
    Q(INSERT),
    Q(FAILS),
    Q("BEGIN"),
    Q("COMMIT"),
    Q("ROLLBACK"),
    Q("SAVEPOINT s"),
    Q("ROLLBACK TO s"),
    Q("RELEASE s"),
    Q("COMMIT AND CHAIN"),
    Q("LOCK TABLE users IN SHARE MODE"),
    Q("VACUUM users"),
    Q("SELECT 1; INSERT INTO users (name, email) VALUES ('y', gen_random_uuid()::text)"),
    Q("SET work_mem TO '6MB'; SELECT 1 / 0"),
    Q("INSERT INTO users (name, email) VALUES ('z', gen_random_uuid()::text); COMMIT; SELECT 1 / 0"),
    Q("RESET ALL"),
];

/// Deferred constraints, and procedures that end transactions.
const CODE: &str = "
CREATE TABLE acme_corp.late (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE acme_corp.late OWNER TO app;
CREATE PROCEDURE acme_corp.commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CREATE PROCEDURE acme_corp.rolls_back() LANGUAGE plpgsql AS $$ BEGIN ROLLBACK; END $$;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA acme_corp TO PUBLIC;";

/// What a conversation came to: the answers, the status, the settings, and how many rows there are.
#[derive(Debug, PartialEq)]
struct Outcome {
    answers: Vec<String>,
    after: Vec<String>,
}

fn said(answers: &[Answer]) -> Vec<String> {
    let all = answers.iter().flat_map(|answer| &answer.messages).filter(|message| message.tag != b'S');
    let each = all.map(|message| match message.tag {
        b'E' | b'N' => {
            let Fault { severity, code, .. } = Fault::read(message);
            format!("{severity} {code}")
        }
        tag @ (b'C' | b'Z') => format!("{} {:?}", char::from(tag), message.body),
        tag => char::from(tag).to_string(),
    });
    // How rows are called differs with the numbers in them.
    each.filter(|line| line != "T" && line != "D").collect()
}

/// Sends all of it, in one write for what is up to a `ReadyForQuery`.
async fn hold(wire: &mut Wire, script: &[Step]) -> Outcome {
    let mut answers = Vec::new();
    let (mut parsed, mut skips) = (0, false);
    for step in script {
        match step {
            X(text) => _ = wire.parse("", text).bind("", &[]).execute(),
            P(text) => {
                parsed += 1;
                wire.parse(&format!("p{parsed}"), text);
            }
            // Behind an error of a pipeline PostgreSQL does not hear it.
            Q(text) => {
                wire.message(b'H', b"").flush().await;
                skips = skips || has_failed(wire, &mut answers).await;
                if !skips {
                    wire.query(text);
                    answers.push(wire.answer().await);
                }
            }
            S => {
                answers.push(wire.sync().answer().await);
                skips = false;
            }
        }
    }
    answers.push(wire.sync().answer().await);
    let mut after = Vec::new();
    if answers.last().and_then(Answer::status) != Some('I') {
        answers.push(wire.simple("ROLLBACK").await);
    }
    for text in ["SHOW work_mem", "SELECT count(*) FROM users", "SELECT count(*) FROM late"] {
        let answer = wire.simple(text).await;
        after.push(answer.fault().map_or_else(|| answer.value(), |fault| fault.code));
    }
    Outcome { answers: said(&answers), after }
}

/// Whether an error is among what has come of a pipeline so far. `Flush` has no answer of its own: what has one is
/// a statement that is closed, which is not there.
async fn has_failed(wire: &mut Wire, answers: &mut Vec<Answer>) -> bool {
    wire.close("none").message(b'H', b"").flush().await;
    let mut answer = wire.until_any(b"3E").await;
    let failed = answer.messages.last().is_some_and(|message| message.tag == b'E');
    if !failed {
        answer.messages.pop();
    }
    answers.push(answer);
    failed
}

/// Whatever a script has left: locks that others would wait for, rows.
async fn tidy(stage: &Stage) {
    let server = stage.superuser().await;
    let left = server.query("SELECT gid FROM pg_prepared_xacts", &[]).await.unwrap();
    for row in left {
        let gid: &str = row.get(0);
        server.batch_execute(&format!("ROLLBACK PREPARED '{gid}'")).await.unwrap();
    }
    let sql = "DELETE FROM acme_corp.users WHERE name IN ('x', 'y', 'z'); DELETE FROM acme_corp.late";
    server.batch_execute(sql).await.unwrap();
}

async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        stage.superuser().await.batch_execute(CODE).await.unwrap();
        stages.push(stage);
    }
    stages
}

/// The same with PostgreSQL and through the proxy, and nothing is left for others.
async fn compare(stage: &Stage, script: &[Step]) {
    let mut direct = neutral::direct(stage, "acme_corp").await;
    let expected = timeout(PATIENCE, hold(&mut direct, script)).await.expect("PostgreSQL answers");
    drop(direct);
    tidy(stage).await;
    let mut wire = stage.wire("acme_corp").await;
    let held = timeout(PATIENCE, hold(&mut wire, script)).await;
    // PostgreSQL 18 loses track of a `LOCK TABLE` in a `Query` behind a `Flush`: then there is nothing to compare with.
    if expected.after.iter().all(|value| value != INTERNAL_ERROR) {
        assert_eq!(held.as_ref(), Ok(&expected), "{script:?}");
    }
    // A client that is tied to the only server would keep it.
    wire.simple("DISCARD ALL").await;
    assert_eq!(neutral::differences(stage, "globex").await, [""; 0], "{script:?}");
    drop(wire);
    tidy(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_ends_no_transaction_and_leaves_nothing() {
    for stage in stages().await {
        for script in SCRIPTS {
            compare(&stage, script).await;
        }
    }
}

/// Scripts by a generator, whose seed is in what fails.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_nobody_wrote() {
    for stage in stages().await {
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        for _ in 0..150 {
            let mut next = |below: usize| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                usize::try_from(random >> 33).unwrap() % below
            };
            let length = 2 + next(7);
            let script: Vec<Step> = (0..length).map(|_| PIECES[next(PIECES.len())]).collect();
            compare(&stage, &script).await;
        }
    }
}

/// The end of a failed block takes path and role along: a `Query` behind it, without a `Sync` between, is the tenant's.
#[tokio::test(flavor = "multi_thread")]
async fn query_behind_a_rollback_without_sync_is_the_tenants() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let mut wire = stage.wire("acme_corp").await;
        for end in ["ROLLBACK", "COMMIT"] {
            wire.simple("BEGIN").await;
            assert_eq!(wire.simple("SELECT name FROM users WHERE 1 / 0 = 0").await.code(), "22012");
            let names = "SELECT name FROM users ORDER BY id";
            let answer = wire.parse("", end).bind("", &[]).execute().query(names).answer().await;
            assert_eq!(answer.column(), ACME, "{strategy} {end}: {answer:?}");
        }
    }
}
