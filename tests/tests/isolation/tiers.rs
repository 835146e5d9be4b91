//! The tiers `role` and `login`: all that a driver does works, as the tenant's own role, and PostgreSQL itself
//! refuses the rest.

use pgstrata_tenancy::Tier;
use pgstrata_tests::database::cluster_with;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

const TIERS: [Tier; 2] = [Tier::Role, Tier::Login];
const NAMES: &str = "SELECT name FROM users ORDER BY id";
/// Each row with whoever reads it.
const WHO: &str = "SELECT current_user || ':' || name FROM users WHERE id = 1";
const ALICE: &str = "tenant_acme_corp:Alice";
const HANK: &str = "tenant_globex:Hank";

/// What the setups of a test have in common, in each tier and with each strategy. In the tier `role` one
/// server serves all tenants.
async fn each(setup: impl Fn() -> Setup, test: impl AsyncFn(&Stage)) {
    for tier in TIERS {
        for strategy in STRATEGIES {
            eprintln!("tier {tier}, strategy {strategy}");
            test(&stage(setup().tier(tier).strategy(strategy).servers(1)).await).await;
        }
    }
}

/// With procedures and functions of the administrator's.
async fn stage(setup: Setup) -> Stage {
    let settings = vec![("max_prepared_transactions".into(), "5".into())];
    let stage = Stage::on(
        cluster_with(pgstrata::demo::postgres::Options { settings, ..Default::default() }).await,
        setup,
    )
    .await;
    stage.superuser().await.batch_execute(ROUTINES).await.unwrap();
    stage
}

/// In a schema that all share: they run whatever they are told, and commit.
const ROUTINES: &str = "
CREATE FUNCTION public.run(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    IF command ILIKE 'select%' THEN EXECUTE command INTO result; ELSE EXECUTE command; END IF;
    RETURN result;
END $$;
CREATE PROCEDURE public.in_two_transactions() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO users (name, email) VALUES (current_user, 'first');
    COMMIT;
    INSERT INTO users (name, email) VALUES (current_user, 'second');
END $$;";

async fn both(stage: &Stage) -> (Wire, Wire) {
    (stage.wire("acme_corp").await, stage.wire("globex").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_in_turn_on_one_server() {
    each(Setup::new, async |stage| {
        let (mut acme, mut globex) = both(stage).await;
        for wire in [&mut acme, &mut globex] {
            wire.parse("names", NAMES).parse("who", WHO).sync().answer().await;
        }
        for _ in 0..3 {
            for (wire, names, first) in [(&mut acme, &ACME[..], ALICE), (&mut globex, &GLOBEX[..], HANK)] {
                assert_eq!(wire.simple(NAMES).await.column(), names);
                assert_eq!(wire.extended(NAMES, &[]).await.column(), names);
                assert_eq!(wire.bind("names", &[]).execute().sync().answer().await.column(), names);
                assert_eq!(wire.bind("who", &[]).execute().sync().answer().await.value(), first);
                assert_eq!(wire.simple(WHO).await.value(), first);
                assert_eq!(wire.extended(WHO, &[]).await.value(), first);
                // What names no table, and what stands beside it in a text.
                assert_eq!(
                    wire.simple("SELECT 1; SELECT current_user").await.rows()[1],
                    [&first[..first.len() - 1 - names[0].len()]]
                );
                let role = wire.extended("SELECT current_user", &[]).await.value();
                assert!(first.starts_with(&role), "{role}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_portals_and_copies() {
    each(Setup::new, async |stage| {
        let (mut acme, mut globex) = both(stage).await;
        for _ in 0..2 {
            for (wire, first) in [(&mut acme, ALICE), (&mut globex, HANK)] {
                for _ in 0..3 {
                    wire.parse("", WHO).bind("", &[]).execute();
                }
                assert_eq!(wire.sync().answer().await.column(), [first; 3]);
                // A pipeline of several transactions.
                for text in [
                    "BEGIN", WHO, "COMMIT", WHO, "BEGIN", "SAVEPOINT s", WHO, "ROLLBACK TO s", WHO,
                    "ROLLBACK", WHO,
                ] {
                    wire.parse("", text).bind("", &[]).execute();
                }
                assert_eq!(wire.sync().answer().await.column(), [first; 5]);
                // A portal in pieces.
                wire.simple("BEGIN").await;
                wire.parse("", "SELECT current_user FROM users").bind("", &[]).execute_some(1);
                wire.message(b'H', b"").flush().await;
                assert_eq!(wire.until(b's').await.column().len(), 1);
                let rest = wire.execute().sync().answer().await.column();
                assert!(rest.iter().all(|user| first.starts_with(user.as_str())), "{rest:?}");
                wire.simple("COMMIT").await;
                // COPY in both directions and both protocols.
                wire.simple("CREATE TEMP TABLE t (v text)").await;
                wire.query("COPY t FROM STDIN").flush().await;
                wire.until(b'G').await;
                wire.copy_data("simple\n").copy_done();
                assert_eq!(wire.answer().await.commands(), ["COPY 1"]);
                wire.parse("", "COPY t FROM STDIN").bind("", &[]).execute().sync().flush().await;
                wire.until(b'G').await;
                wire.copy_data("extended\n").copy_done().sync();
                assert_eq!(wire.answer().await.commands(), ["COPY 1"]);
                assert_eq!(wire.simple("COPY t TO STDOUT").await.copied(), ["simple\n", "extended\n"]);
                assert_eq!(
                    wire.simple("COPY (SELECT name FROM users WHERE id = 1) TO STDOUT").await.copied().len(),
                    1
                );
                assert_eq!(wire.simple("DISCARD ALL").await.code(), "");
                assert_eq!(wire.simple(WHO).await.value(), first);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_in_all_their_turns() {
    each(Setup::new, async |stage| {
        let (mut acme, mut globex) = both(stage).await;
        for (wire, first) in [(&mut acme, ALICE), (&mut globex, HANK)] {
            let last = async |wire: &mut Wire, text: &str| {
                let answer = wire.simple(text).await;
                answer.rows().last().unwrap()[0].clone()
            };
            for text in [
                "BEGIN; {}; COMMIT; {}".to_owned(),
                "BEGIN; SAVEPOINT s; {}; ROLLBACK TO s; {}; COMMIT".to_owned(),
                "BEGIN; COMMIT AND CHAIN; {}; ROLLBACK AND CHAIN; {}; COMMIT".to_owned(),
                "{}; COMMIT; {}; ROLLBACK; {}".to_owned(),
                "START TRANSACTION; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; {}; END; {}".to_owned(),
                "RESET ALL; {}".to_owned(),
                "BEGIN; SET search_path TO public, pg_temp; RESET search_path; {}; ABORT; {}".to_owned(),
            ] {
                assert_eq!(last(wire, &text.replace("{}", WHO)).await, first, "{text}");
            }
            // The same, message by message.
            for script in [
                &["BEGIN", "SET TRANSACTION READ ONLY", WHO, "COMMIT"][..],
                &[
                    "BEGIN", "SAVEPOINT s", WHO, "!SELECT 1/0", "!SELECT 1", "ROLLBACK TO s", WHO,
                    "RELEASE s", WHO, "COMMIT",
                ],
                &[
                    "BEGIN", WHO, "SAVEPOINT s", "RESET ALL", WHO, "ROLLBACK TO s", WHO, "COMMIT AND CHAIN",
                    WHO, "ROLLBACK",
                ],
                &["BEGIN", "!SELECT 1/0", "ROLLBACK AND CHAIN", WHO, "COMMIT"],
                &[
                    "BEGIN",
                    "DECLARE c CURSOR WITH HOLD FOR SELECT current_user FROM users",
                    "FETCH c",
                    "COMMIT",
                    "FETCH c",
                    "CLOSE c",
                ],
                &[
                    "PREPARE p AS SELECT current_user",
                    "EXECUTE p",
                    "BEGIN",
                    "EXECUTE p",
                    "COMMIT",
                    "DEALLOCATE p",
                ],
                &["RESET ALL", WHO, "DISCARD ALL", WHO, "SET work_mem = '5MB'", WHO, "SHOW work_mem"],
                &["BEGIN", "LOCK TABLE users", "SET LOCAL work_mem = '6MB'", WHO, "COMMIT"],
            ] {
                for extended in [false, true] {
                    for line in script {
                        let (text, fails) =
                            line.strip_prefix('!').map_or((*line, false), |text| (text, true));
                        let answer =
                            if extended { wire.extended(text, &[]).await } else { wire.simple(text).await };
                        assert_eq!(
                            answer.fault().is_some(),
                            fails,
                            "{line} in {script:?}: {:?}",
                            answer.fault()
                        );
                        let told = if fails { Vec::new() } else { answer.column() };
                        let rightly = |told: &String| first.starts_with(told.as_str()) || told == "5MB";
                        assert!(told.iter().all(rightly), "{line} in {script:?}: {told:?}");
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_by_itself() {
    each(Setup::new, async |stage| {
        let (mut acme, mut globex) = both(stage).await;
        for (wire, role, first) in
            [(&mut acme, "tenant_acme_corp", ALICE), (&mut globex, "tenant_globex", HANK)]
        {
            for extended in [false, true] {
                let run = async |wire: &mut Wire, text: &str| {
                    if extended { wire.extended(text, &[]).await } else { wire.simple(text).await }
                };
                assert_eq!(run(wire, "VACUUM users").await.commands(), ["VACUUM"]);
                assert_eq!(run(wire, WHO).await.value(), first);
                let index = "CREATE INDEX CONCURRENTLY twice ON users (name)";
                assert_eq!(run(wire, index).await.commands(), ["CREATE INDEX"]);
                assert_eq!(run(wire, index).await.code(), "42P07");
                assert_eq!(run(wire, "DROP INDEX CONCURRENTLY twice").await.commands(), ["DROP INDEX"]);
                assert_eq!(run(wire, "CALL in_two_transactions()").await.commands(), ["CALL"]);
                let users = "DELETE FROM users WHERE email IN ('first', 'second') RETURNING name";
                assert_eq!(run(wire, users).await.column(), [role; 2]);
                assert_eq!(run(wire, "LOCK TABLE users").await.code(), "25P01");
                assert_eq!(run(wire, "DECLARE c CURSOR FOR SELECT 1").await.code(), "25P01");
                // What a transaction began, another ends.
                for end in ["COMMIT", "ROLLBACK"] {
                    wire.simple(&format!("BEGIN; CREATE TABLE {end} (id int); PREPARE TRANSACTION 'p'"))
                        .await;
                    let ended = format!("{end} PREPARED");
                    assert_eq!(run(wire, &format!("{ended} 'p'")).await.commands(), [ended]);
                }
                assert_eq!(run(wire, "DROP TABLE commit").await.commands(), ["DROP TABLE"]);
            }
            // In a pipeline, behind another statement.
            for text in ["SELECT 1", "CALL in_two_transactions()", WHO] {
                wire.parse("", text).bind("", &[]).execute();
            }
            let answer = wire.sync().answer().await;
            // PostgreSQL 18 runs it in the pipeline's transaction, where it can't commit.
            let users =
                wire.simple("DELETE FROM users WHERE email IN ('first', 'second') RETURNING name").await;
            match answer.fault() {
                Some(fault) => assert_eq!((fault.code.as_str(), users.column().len()), ("2D000", 0)),
                None => assert_eq!(
                    (answer.column(), users.column()),
                    (vec!["1".into(), first.into()], vec![role.to_owned(); 2])
                ),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_guard_can_not_see_postgresql_refuses() {
    let user = "name = 'loose'\npassword = 'loose'\ntenants = ['*']\ndynamic_sql = 'allow'";
    // With names alone each of these is a way to another's rows.
    let names = stage(Setup::new().tier(Tier::Names).user(user)).await;
    let query = "SELECT name FROM globex.users WHERE id = 1";
    let attempts = |stage: &Stage| {
        let port = stage.port();
        async move {
            let options = [("options", "-ctenant=acme_corp")];
            let mut told = Vec::new();
            let mut wire = Wire::login(port, "loose", "loose", &options).await.unwrap();
            wire.simple("CREATE TABLE IF NOT EXISTS loot (v text)").await;
            let block = |sql: &str| format!("DO $$ BEGIN {sql}; END $$");
            let insert = format!("INSERT INTO acme_corp.loot {query}");
            told.push(wire.simple("SELECT run('SELECT name FROM globex.users WHERE id = 1')").await);
            told.push(wire.extended("SELECT run($1)", &[query]).await);
            // The newest PostgreSQL of the tests is built without XML.
            if wire.simple("SELECT xmlparse(content 'x')").await.code().is_empty() {
                told.push(wire.extended("SELECT query_to_xml($1, true, true, '')", &[query]).await);
            }
            let words = "SELECT to_tsvector('simple', name) FROM globex.users";
            told.push(wire.extended("SELECT word FROM ts_stat($1)", &[words]).await);
            told.push(wire.simple(&block(&insert)).await);
            told.push(wire.extended(&block(&format!("EXECUTE $x${insert}$x$")), &[]).await);
            told.push(
                wire.simple(
                    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT name FROM globex.users'",
                )
                .await,
            );
            told.push(wire.simple("SELECT run('DELETE FROM globex.posts')").await);
            told.push(wire.simple("SELECT run('CREATE TABLE globex.planted (id int)')").await);
            told
        }
    };
    for answer in attempts(&names).await {
        assert_eq!(answer.code(), "", "in the tier names it goes through: {:?}", answer.fault());
    }
    each(
        || Setup::new().user(user),
        async |stage| {
            for answer in attempts(stage).await {
                let fault = answer.fault().expect("PostgreSQL refuses it");
                assert_eq!(fault.code, "42501", "{fault:?}");
                assert!(fault.message.starts_with("permission denied for schema globex"), "{fault:?}");
            }
            let left = stage.wire("acme_corp").await.simple("SELECT count(*) FROM loot").await.value();
            assert_eq!(left, "0");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_tiers_side_by_side() {
    // A tenant of the tier names and clients with no tenant run as the servers' own role, on the same server.
    let setup = || Setup::new().line("tenancy", "[tenants.initech]\ntier = 'names'");
    each(setup, async |stage| {
        let server = stage.superuser().await;
        let made = "CREATE SCHEMA initech AUTHORIZATION app; SET ROLE app; CREATE TABLE initech.users AS SELECT 1 AS id, 'Peter' AS name";
        server.batch_execute(made).await.unwrap();
        let mut acme = stage.wire("acme_corp").await;
        let mut initech = stage.wire("initech").await;
        let mut public = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
        for text in ["VACUUM users", "SELECT 1", "CALL in_two_transactions()", "BEGIN; SELECT 1; COMMIT", "SET work_mem = '7MB'"] {
            assert_eq!(acme.simple(text).await.code(), "", "{text}");
            assert_eq!(initech.simple(WHO).await.value(), "app:Peter", "behind {text}");
            acme.simple(text).await;
            assert_eq!(public.extended("SELECT current_user", &[]).await.value(), "app", "behind {text}");
            acme.simple("BEGIN").await;
            acme.simple(WHO).await;
            drop(std::mem::replace(&mut acme, stage.wire("acme_corp").await));
            assert_eq!(initech.extended(WHO, &[]).await.value(), "app:Peter", "behind {text}");
        }
        let refused = "SELECT run('SELECT name FROM acme_corp.users LIMIT 1')";
        assert_eq!(initech.simple(refused).await.code(), "42501", "the servers' role has no rights by itself");
    })
    .await;
}
