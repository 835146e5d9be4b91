//! What tenants run, by the normalized form of their statements.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Answer, Setup, Stage, Wire};

/// An administrator, and somebody who may only look.
const USERS: [&str; 2] = [
    "name = 'root'\npassword = 'root'\nadmin = true",
    "name = 'watcher'\npassword = 'watcher'\nstats = true",
];

fn setup() -> Setup {
    USERS.into_iter().fold(Setup::new(), Setup::user)
}

async fn console(stage: &Stage, user: &str) -> Wire {
    let mut wire = Wire::connect(stage.port()).await;
    wire.startup(pgstrata_tests::wire::V3_0, &[("user", user), ("database", "pgstrata")]).await;
    wire.authenticate(user).await.map(|()| wire).expect("the console lets the user in")
}

/// These columns of SHOW STATEMENTS, a row for each line, with blanks between them; sorted.
async fn shown(console: &mut Wire, tenant: &str, columns: &[&str]) -> Vec<String> {
    let answer = console.simple(&format!("SHOW STATEMENTS {tenant}")).await;
    assert_eq!(answer.fault(), None);
    let names = answer.columns();
    let place = |name: &&str| names.iter().position(|known| known == name).unwrap();
    let places: Vec<usize> = columns.iter().map(place).collect();
    let line = |row: Vec<String>| places.iter().map(|at| row[*at].as_str()).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = answer.rows().into_iter().map(line).collect();
    lines.sort();
    lines
}

const COUNTS: [&str; 4] = ["calls", "errors", "rows", "query"];

/// A `Bind` to a portal with a name, and its `Execute`.
fn portal(wire: &mut Wire, name: &str, rows: i32) {
    let mut execute = format!("{name}\0").into_bytes();
    execute.extend(rows.to_be_bytes());
    wire.message(b'E', &execute);
}

fn bind(wire: &mut Wire, name: &str, statement: &str) {
    wire.message(b'B', format!("{name}\0{statement}\0\0\0\0\0\0\0").as_bytes());
}

fn fine(answer: &Answer) {
    assert_eq!(answer.fault(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_tenant_and_form_and_no_literal_is_kept() {
    for strategy in STRATEGIES {
        let stage = Stage::new(setup().strategy(strategy).servers(2)).await;
        let mut console = console(&stage, "watcher").await;
        let mut acme = stage.wire("acme_corp").await;
        for secret in ["'secret_1'", "'secret_2' -- secret", "/* secret */ 'secret_3'"] {
            fine(&acme.simple(&format!("SELECT name FROM users WHERE name <> {secret}")).await);
        }
        fine(&acme.simple("BEGIN; SELECT 1; COMMIT").await);
        assert_eq!(acme.simple("SELECT 1 / 0").await.code(), "22012");
        // Refused before PostgreSQL has seen it: no call.
        assert_eq!(acme.simple("SELECT * FROM globex.users").await.code(), "42501");
        let mut globex = stage.wire("globex").await;
        fine(&globex.simple("SELECT 7").await);
        let users: u64 = acme.simple("SELECT count(*) FROM users").await.value().parse().unwrap();
        assert_eq!(
            shown(&mut console, "acme_corp", &COUNTS).await,
            [
                "1 0 1 BEGIN; SELECT ?; COMMIT".to_owned(),
                "1 0 1 SELECT count(*) FROM users".to_owned(),
                "1 1 0 SELECT ? / ?".to_owned(),
                format!("3 0 {} SELECT name FROM users WHERE name <> ?", 3 * users),
            ],
            "{strategy:?}"
        );
        assert_eq!(shown(&mut console, "globex", &COUNTS).await, ["1 0 1 SELECT ?"]);
        assert_eq!(shown(&mut console, "", &["tenant"]).await.len(), 5);
        assert!(shown(&mut console, "initech", &COUNTS).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_of_a_pipeline_is_counted_by_itself() {
    let stage = Stage::new(setup().servers(2)).await;
    let mut console = console(&stage, "watcher").await;
    let mut acme = stage.wire("acme_corp").await;
    fine(&acme.parse("read", "SELECT name FROM users").parse("one", "SELECT $1::int").sync().answer().await);
    let users = acme.simple("TABLE users").await.rows().len();
    acme.bind("read", &[]).execute().bind("one", &["5"]).execute().bind("one", &["6"]).execute();
    fine(&acme.sync().answer().await);
    // Two portals at once, one of them by parts, which are one call.
    bind(&mut acme, "rows", "read");
    portal(&mut acme, "rows", 1);
    acme.bind("one", &["5"]).execute();
    portal(&mut acme, "rows", 0);
    fine(&acme.sync().answer().await);
    // The error is the second's; the third does not run.
    acme.parse("", "SELECT 1")
        .bind("", &[])
        .execute()
        .bind("one", &["x"])
        .execute()
        .bind("one", &["6"])
        .execute();
    assert_eq!(acme.sync().answer().await.code(), "22P02");
    assert_eq!(acme.parse("", "SELECT nothing FROM users").sync().answer().await.code(), "42703");
    assert_eq!(
        shown(&mut console, "acme_corp", &COUNTS).await,
        [
            "0 1 0 SELECT nothing FROM users".to_owned(),
            "1 0 1 SELECT ?".to_owned(),
            format!("1 0 {users} TABLE users"),
            format!("2 0 {} SELECT name FROM users", 2 * users),
            "4 1 3 SELECT $1::int".to_owned(),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn error_in_a_pipeline_is_that_of_the_statement_that_failed() {
    let stage = Stage::new(setup().servers(2)).await;
    let mut console = console(&stage, "watcher").await;
    let mut acme = stage.wire("acme_corp").await;
    fine(&acme.parse("two", "SELECT 2").parse("int", "SELECT $1::int, 2").sync().answer().await);
    // Neither what comes behind is at fault, nor has it run.
    acme.parse("", "SELECT nothing FROM users").bind("two", &[]).execute().bind("", &[]).execute();
    assert_eq!(acme.sync().answer().await.code(), "42703");
    acme.parse("", "SELECT none FROM users").bind("", &[]).execute();
    acme.parse("", "SELECT 1, 1, 1").bind("", &[]).execute();
    assert_eq!(acme.sync().answer().await.code(), "42703");
    bind(&mut acme, "a", "two");
    acme.bind("int", &["x"]);
    portal(&mut acme, "a", 0);
    acme.execute();
    assert_eq!(acme.sync().answer().await.code(), "22P02");
    // Its Sync has no effect on what came before.
    acme.bind("two", &[]).execute().parse("", "SELECT 1 / 0, 3").bind("", &[]).execute();
    assert_eq!(acme.bind("two", &[]).execute().sync().answer().await.code(), "22012");
    assert_eq!(
        shown(&mut console, "acme_corp", &COUNTS).await,
        [
            "0 1 0 SELECT none FROM users",
            "0 1 0 SELECT nothing FROM users",
            "1 0 1 SELECT ?",
            "1 1 0 SELECT $1::int, ?",
            "1 1 0 SELECT ? / ?, ?",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_portal_are_one_call() {
    let stage = Stage::new(setup().servers(2)).await;
    let mut console = console(&stage, "watcher").await;
    let mut acme = stage.wire("acme_corp").await;
    fine(
        &acme
            .parse("many", "SELECT g FROM generate_series(1, 10) AS g, pg_sleep(0.01)")
            .sync()
            .answer()
            .await,
    );
    fine(&acme.simple("BEGIN").await);
    for name in ["one", "two"] {
        bind(&mut acme, name, "many");
        for _ in 0..4 {
            portal(&mut acme, name, 3);
            fine(&acme.sync().answer().await);
        }
    }
    // One that is not read to its end counts when it is forgotten, and one that fails is one call, too.
    bind(&mut acme, "three", "many");
    portal(&mut acme, "three", 3);
    fine(&acme.sync().answer().await);
    fine(&acme.simple("COMMIT").await);
    fine(&acme.parse("fails", "SELECT 1 / (3 - g) FROM generate_series(1, 10) AS g").sync().answer().await);
    bind(&mut acme, "page", "fails");
    portal(&mut acme, "page", 2);
    portal(&mut acme, "page", 2);
    assert_eq!(acme.sync().answer().await.code(), "22012");
    assert_eq!(
        shown(&mut console, "acme_corp", &COUNTS).await,
        [
            "1 0 0 BEGIN",
            "1 0 0 COMMIT",
            "1 1 2 SELECT ? / (? - g) FROM generate_series(?, ?) AS g",
            "3 0 23 SELECT g FROM generate_series(?, ?) AS g, pg_sleep(?)",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_that_is_a_value_is_shown() {
    let stage = Stage::new(setup().servers(2)).await;
    let mut console = console(&stage, "watcher").await;
    let mut acme = stage.wire("acme_corp").await;
    fine(&acme.simple("SET application_name = secret_1").await);
    fine(&acme.simple("SET app.key TO secret_2").await);
    fine(&acme.simple("BEGIN").await);
    for number in 0..20 {
        fine(&acme.simple(&format!("SAVEPOINT secret_{number}")).await);
        fine(&acme.simple(&format!("DECLARE \"secret {number}\" CURSOR FOR SELECT 1")).await);
        fine(&acme.simple(&format!("CLOSE \"secret {number}\"")).await);
    }
    fine(&acme.simple("ROLLBACK").await);
    for text in ["SELECT * FROM users WHERE name = 'it's secret's'", "SELECT \"secret", "secret 1"] {
        assert_eq!(acme.simple(text).await.code(), "42601");
    }
    assert_eq!(
        shown(&mut console, "acme_corp", &["calls", "errors", "query"]).await,
        [
            "1 0 BEGIN",
            "1 0 ROLLBACK",
            "1 0 SET app.key TO ?",
            "1 0 SET application_name = ?",
            "1 1 (not read)",
            "2 2 SELECT (not read)",
            "20 0 CLOSE ?",
            "20 0 DECLARE ? CURSOR FOR SELECT ?",
            "20 0 SAVEPOINT ?",
        ]
    );
    for text in ["SET search_path TO \"secret schema\"", "ALTER ROLE app SET x TO secret", "LOAD 'secret'"] {
        assert_eq!(acme.simple(text).await.code(), "42501", "{text}");
    }
    let refused = console.simple("SHOW REFUSALS").await;
    assert!(!refused.rows().is_empty());
    assert!(!refused.rows().concat().concat().contains("secret"), "{:?}", refused.rows());
    assert!(stage.metric("pgstrata_statements_bytes").await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_forms_leaves_the_limit_and_others_as_they_were() {
    const LIMIT: f64 = 300_000.0;
    let stage = Stage::new(setup().servers(2).line("metrics", "statements_memory = 300000")).await;
    let mut console = console(&stage, "watcher").await;
    let mut globex = stage.wire("globex").await;
    for _ in 0..3 {
        fine(&globex.simple("SELECT name FROM users").await);
        fine(&globex.simple("SELECT 1").await);
    }
    let all = ["calls", "errors", "rows", "query_time", "max_time", "bytes_sent", "last_call", "query"];
    let before = shown(&mut console, "globex", &all).await;
    assert_eq!(before.len(), 2);
    let mut acme = stage.wire("acme_corp").await;
    for form in 0..3000 {
        assert_eq!(acme.simple(&format!("SELECT 1 AS c{form}")).await.value(), "1");
    }
    assert_eq!(shown(&mut console, "globex", &all).await, before);
    assert!(stage.metric("pgstrata_statements_bytes").await <= LIMIT);
    let (kept, evicted) =
        (stage.metric("pgstrata_statements ").await, stage.metric("pgstrata_statements_evicted_total").await);
    assert_eq!(kept + evicted, 3002.0);
    // What gave way is in one row: nothing is lost of the sums.
    let calls: u64 = shown(&mut console, "acme_corp", &["calls"])
        .await
        .iter()
        .map(|calls| calls.parse::<u64>().unwrap())
        .sum();
    assert_eq!(calls, 3000);
    assert!(shown(&mut console, "acme_corp", &["query"]).await.contains(&"(evicted)".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_why_and_nothing_of_a_literal() {
    let stage = Stage::new(setup().servers(2)).await;
    let mut console = console(&stage, "watcher").await;
    let mut acme = stage.wire("acme_corp").await;
    for secret in 1..3 {
        assert_eq!(acme.simple(&format!("SELECT {secret} FROM globex.users")).await.code(), "42501");
    }
    assert_eq!(acme.simple("SELECT 'globex.users'::regclass").await.code(), "42501");
    assert_eq!(acme.extended("SELECT * FROM globex.posts WHERE id = $1", &["1"]).await.code(), "42501");
    let answer = console.simple("SHOW REFUSALS").await;
    let mut told: Vec<String> =
        answer.rows().iter().map(|row| format!("{} {} {} {}", row[1], row[3], row[4], row[7])).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "acme_corp 42501 1 SELECT * FROM globex.posts WHERE id = $1",
            "acme_corp 42501 1 SELECT ?::regclass",
            "acme_corp 42501 2 SELECT ? FROM globex.users",
        ]
    );
    for row in answer.rows() {
        let (why, query) = (&row[6], &row[7]);
        assert!(why.contains("acme_corp") && why.contains("globex") == query.contains("globex"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_reset_by_administrators() {
    let stage = Stage::new(setup().servers(2)).await;
    let (mut watcher, mut root) = (console(&stage, "watcher").await, console(&stage, "root").await);
    let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    for client in [&mut acme, &mut globex] {
        fine(&client.simple("SELECT 1").await);
    }
    assert_eq!(watcher.simple("RESET STATEMENTS").await.code(), "42501");
    assert_eq!(root.simple("RESET STATEMENTS globex").await.commands(), ["RESET STATEMENTS"]);
    assert_eq!(shown(&mut watcher, "", &["tenant", "calls"]).await, ["acme_corp 1"]);
    // The client that has counted goes on at nothing.
    fine(&globex.simple("SELECT 2").await);
    assert_eq!(shown(&mut watcher, "", &["tenant", "calls"]).await, ["acme_corp 1", "globex 1"]);
    fine(&root.simple("RESET STATEMENTS").await);
    assert!(shown(&mut watcher, "", &["tenant"]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_where_that_is_off() {
    let stage = Stage::new(setup().servers(2).line("metrics", "statements_memory = 0")).await;
    let mut console = console(&stage, "watcher").await;
    let mut acme = stage.wire("acme_corp").await;
    fine(&acme.simple("SELECT 1").await);
    fine(&acme.extended("SELECT $1::int", &["1"]).await);
    assert!(shown(&mut console, "", &["tenant"]).await.is_empty());
    assert_eq!(stage.metric("pgstrata_statements ").await, 0.0);
}
