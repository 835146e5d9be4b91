//! A session may name what it made, and nothing else: whoever knows each name on a server gains nothing by it.
//!
//! The attackers here know them all: a view over `pg_prepared_statements` shows them what is on their server.

use pgstrata_tenancy::{Strategy, Tier};
use pgstrata_tests::compare::{bind_portal, execute_portal, run};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, Answer, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// What an administrator has made: it shows what is prepared, and runs what it is given.
const ADMINISTRATORS: &str = "
    CREATE VIEW public.kept AS SELECT name, from_sql FROM pg_prepared_statements;
    GRANT SELECT ON public.kept TO PUBLIC;
    CREATE FUNCTION public.run(sql text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE sql; END $$;
    CREATE FUNCTION public.wander(lasts bool) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('role', 'none', NOT lasts);
        PERFORM set_config('search_path', 'globex', NOT lasts);
    END $$;
    CREATE PROCEDURE public.stroll() LANGUAGE plpgsql AS $$ BEGIN
        COMMIT;
        PERFORM wander(true);
    END $$;
    CREATE FUNCTION public.whereabouts() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
        RETURN current_user || ' ' || current_schema();
    END $$;";

/// One server for all, so that what one client leaves is what the next one gets: under each strategy, without a
/// tenant's role and with one.
async fn stages_of(setup: impl Fn(Setup) -> Setup) -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        for tier in [Tier::Names, Tier::Role] {
            stages.push(stage(setup(Setup::new()).strategy(strategy).tier(tier).servers(1)).await);
        }
    }
    stages
}

async fn stages() -> Vec<Stage> {
    stages_of(|setup| setup).await
}

async fn stage(setup: Setup) -> Stage {
    let root = "name = 'root'\npassword = 'root'\ntenants = ['*']\nadmin = true";
    let stage = Stage::new(setup.user(root)).await;
    stage.superuser().await.batch_execute(ADMINISTRATORS).await.unwrap();
    for tenant in ["acme_corp", "globex"] {
        // It waits for what the schemas hold: from then on plain statements leave a server as it is.
        let options = format!("-ctenant={tenant}");
        let mut root = Wire::login(stage.port(), "root", "root", &[("options", &options)]).await.unwrap();
        assert_eq!(root.simple(&format!("EXPLAIN ROUTE {NAMES}")).await.code(), "");
    }
    stage
}

/// A client of globex prepares what acme_corp is after, on the server that both use.
async fn victim(stage: &Stage) -> Wire {
    let mut globex = stage.wire("globex").await;
    globex.parse("theirs", NAMES).parse("one", "SELECT name FROM users WHERE id = $1");
    assert_eq!(globex.bind("theirs", &[]).execute().sync().answer().await.column(), GLOBEX);
    assert_eq!(globex.bind("one", &["1"]).execute().sync().answer().await.value(), "Hank");
    // Sets the path in the middle of a transaction.
    globex.simple("BEGIN").await;
    run(&mut globex, "SAVEPOINT a");
    assert_eq!(globex.extended(NAMES, &[]).await.column(), GLOBEX);
    globex.simple("COMMIT").await;
    globex
}

/// All that is prepared on the server that `wire` gets.
async fn kept(wire: &mut Wire) -> Vec<String> {
    wire.simple("SELECT name FROM kept WHERE NOT from_sql").await.column()
}

/// What may be said to who names what is not its own.
const NOT_THERE: [&str; 3] = ["26000", "34000", "42939"];

fn is_not_there(answer: &Answer, text: &str) {
    let code = answer.code();
    assert!(NOT_THERE.contains(&code.as_str()), "{text}: {code:?} {answer:?}");
    shows_nothing(answer, text);
}

/// Not a byte of the other tenant's rows.
fn shows_nothing(answer: &Answer, text: &str) {
    for message in &answer.messages {
        let said = String::from_utf8_lossy(&message.body);
        assert!(!GLOBEX.iter().any(|name| said.contains(name)), "{text}: {said:?}");
    }
}

/// Texts that would run, drop or take the place of what has this name.
fn attacks(name: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for call in ["", "('globex')", "('tenant_globex', 'globex')", "(1)"] {
        for verb in ["EXECUTE", "EXPLAIN EXECUTE", "EXPLAIN (ANALYZE, VERBOSE) EXECUTE", "SELECT 1; EXECUTE"]
        {
            texts.push(format!("{verb} \"{name}\"{call}"));
        }
        texts.push(format!("CREATE TABLE loot AS EXECUTE \"{name}\"{call}"));
        texts.push(format!("EXPLAIN ANALYZE CREATE TEMP TABLE loot AS EXECUTE \"{name}\"{call}"));
    }
    for text in [
        "DEALLOCATE",
        "DEALLOCATE PREPARE",
        "SELECT 1; DEALLOCATE",
        "FETCH ALL FROM",
        "MOVE ALL IN",
        "CLOSE",
        "DELETE FROM users WHERE CURRENT OF",
    ] {
        texts.push(format!("{text} \"{name}\""));
    }
    let escaped = name.replace('_', "!005f");
    texts.push(format!("EXECUTE U&\"{escaped}\" UESCAPE '!'"));
    texts.push(format!("PREPARE U&\"{escaped}\" UESCAPE '!' AS SELECT 1"));
    texts.push(format!("PREPARE \"{name}\" AS SELECT 1"));
    texts.push(format!("BEGIN; DECLARE \"{name}\" CURSOR WITH HOLD FOR SELECT 1"));
    texts
}

/// Tries all that a client can say of a name that is not its own.
async fn attack(acme: &mut Wire, name: &str) {
    for text in attacks(name) {
        is_not_there(&acme.simple(&text).await, &text);
        acme.simple("ROLLBACK").await;
        if !text.contains(';') {
            is_not_there(&acme.extended(&text, &[]).await, &text);
            acme.parse("", &text).describe("").sync();
            shows_nothing(&acme.answer().await, &text);
            acme.simple("BEGIN").await;
            let answer = acme.extended(&text, &[]).await;
            is_not_there(&answer, &text);
            assert_eq!(answer.status(), Some('E'), "{text}");
            acme.simple("ROLLBACK").await;
        }
    }
    is_not_there(&acme.bind(name, &[]).execute().sync().answer().await, "Bind");
    is_not_there(&acme.bind(name, &["tenant_globex", "globex"]).execute().sync().answer().await, "Bind");
    is_not_there(&acme.describe(name).sync().answer().await, "Describe");
    assert_eq!(acme.close(name).sync().answer().await.tags(), "3Z", "Close");
    for portal in [name.to_owned(), format!("{name}_behind")] {
        acme.parse("", "SELECT 1");
        bind_portal(acme, &portal, "");
        is_not_there(&acme.sync().answer().await, "Bind of a portal");
        execute_portal(acme, &portal, 0);
        is_not_there(&acme.sync().answer().await, "Execute");
        acme.message(b'D', format!("P{portal}\0").as_bytes());
        is_not_there(&acme.sync().answer().await, "Describe of a portal");
        acme.message(b'C', format!("P{portal}\0").as_bytes());
        assert_eq!(acme.sync().answer().await.tags(), "3Z", "Close of a portal");
    }
}

/// Both tenants see their own rows, in both protocols, and prepared statements are what they were.
async fn all_is_well(stage: &Stage, globex: &mut Wire, after: &str) {
    assert_eq!(globex.bind("theirs", &[]).execute().sync().answer().await.column(), GLOBEX, "after {after}");
    assert_eq!(globex.bind("one", &["2"]).execute().sync().answer().await.value(), "Mindy", "after {after}");
    assert_eq!(globex.simple(NAMES).await.column(), GLOBEX, "after {after}");
    let mut acme = stage.wire("acme_corp").await;
    assert_eq!(acme.extended(NAMES, &[]).await.column(), ACME, "after {after}");
    assert_eq!(acme.simple(NAMES).await.column(), ACME, "after {after}");
    globex.simple("BEGIN").await;
    assert_eq!(globex.extended(NAMES, &[]).await.column(), GLOBEX, "after {after}");
    globex.simple("COMMIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_on_a_server_open_nothing() {
    for stage in stages().await {
        let mut globex = victim(&stage).await;
        let mut acme = stage.wire("acme_corp").await;
        assert_eq!(acme.extended(NAMES, &[]).await.column(), ACME);
        let names = kept(&mut acme).await;
        assert!(names.len() > 2 && names.iter().all(|name| name.starts_with("pgstrata_")), "{names:?}");
        assert!(names.iter().any(|name| name.contains("_path") || name.ends_with("_role")), "{names:?}");
        for name in names.iter().map(String::as_str).chain(["pgstrata_1", "pgstrata_path"]) {
            attack(&mut acme, name).await;
        }
        all_is_well(&stage, &mut globex, "all attacks").await;
    }
}

/// Where code may have prepared what we can't see, PostgreSQL is asked, but not for the proxy's own.
#[tokio::test(flavor = "multi_thread")]
async fn names_on_a_server_of_ones_own_open_nothing() {
    let user = "name = 'tools'\npassword = 'tools'\ntenants = ['acme_corp']\npool_mode = 'session'";
    for stage in stages_of(|setup| setup.user(user)).await {
        let mut globex = victim(&stage).await;
        let mut tied = stage.wire("acme_corp").await;
        assert_eq!(tied.simple("CREATE TEMP TABLE mine (a int)").await.code(), "");
        for wire in [&mut tied] {
            assert_eq!(wire.simple("SELECT run('PREPARE hidden AS SELECT 42')").await.code(), "");
            assert_eq!(wire.simple("EXECUTE hidden").await.value(), "42");
            assert_eq!(wire.extended("EXECUTE hidden", &[]).await.value(), "42");
            assert_eq!(wire.extended(NAMES, &[]).await.column(), ACME);
            for name in kept(wire).await {
                attack(wire, &name).await;
            }
            assert_eq!(wire.simple("DEALLOCATE hidden").await.commands(), ["DEALLOCATE"]);
            assert_eq!(wire.simple("EXECUTE hidden").await.code(), "26000");
        }
        drop(tied);
        let mut tools =
            Wire::login(stage.port(), "tools", "tools", &[("options", "-ctenant=acme_corp")]).await.unwrap();
        tools.simple("SELECT run('PREPARE hidden AS SELECT 42')").await;
        assert_eq!(tools.simple("EXECUTE hidden").await.value(), "42");
        assert_eq!(tools.extended(NAMES, &[]).await.column(), ACME);
        for name in kept(&mut tools).await {
            attack(&mut tools, &name).await;
        }
        drop(tools);
        all_is_well(&stage, &mut globex, "attacks on a server of one's own").await;
    }
}

/// What code has prepared is found while the server is the client's, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn what_code_has_prepared_is_its_clients() {
    for stage in stages().await {
        let mut acme = stage.wire("acme_corp").await;
        let prepare = "SELECT run('PREPARE hidden AS SELECT 42')";
        assert_eq!(acme.simple(prepare).await.code(), "");
        assert_eq!(acme.simple("EXECUTE hidden").await.code(), "26000");
        let mut globex = stage.wire("globex").await;
        assert_eq!(globex.simple("BEGIN; SELECT run('SELECT 1'); EXECUTE hidden").await.code(), "26000");
        globex.simple("ROLLBACK").await;
        acme.simple("BEGIN").await;
        acme.simple(prepare).await;
        assert_eq!(acme.simple("EXECUTE hidden").await.value(), "42");
        assert_eq!(acme.extended("EXECUTE hidden", &[]).await.value(), "42");
        acme.simple("COMMIT").await;
        assert_eq!(acme.simple("EXECUTE hidden").await.code(), "26000");
        assert_eq!(globex.simple("BEGIN; SELECT run('SELECT 1'); EXECUTE hidden").await.code(), "26000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_can_not_be_made_to_succeed() {
    for stage in stages().await {
        let mut acme = stage.wire("acme_corp").await;
        assert_eq!(acme.simple("PREPARE \"pgstrata: refused\" AS SELECT 'hi'").await.code(), "");
        let refused = "SELECT * FROM globex.users";
        for _ in 0..2 {
            acme.simple("BEGIN").await;
            let answer = acme.simple(refused).await;
            assert_eq!((answer.code().as_str(), answer.status()), ("42501", Some('E')), "{answer:?}");
            acme.simple("ROLLBACK; BEGIN").await;
            let answer = acme.extended(refused, &[]).await;
            assert_eq!((answer.code().as_str(), answer.status()), ("42501", Some('E')), "{answer:?}");
            let answer = acme.simple("COMMIT").await;
            assert_eq!(answer.commands(), ["ROLLBACK"]);
            run(&mut acme, "SELECT 1").query(refused);
            assert_eq!(acme.answer().await.code(), "42501");
            let answer = acme.simple("SELECT 1; EXECUTE missing; SELECT 2").await;
            assert_eq!((answer.code().as_str(), answer.status()), ("26000", Some('I')));
        }
        // A client that goes in the middle of a pipeline leaves nothing that is committed.
        run(&mut acme, "INSERT INTO posts (user_id, title) VALUES (1, 'half')").flush().await;
        drop(acme);
        let mut acme = stage.wire("acme_corp").await;
        assert_eq!(acme.simple("SELECT count(*) FROM posts WHERE title = 'half'").await.value(), "0");
    }
}

/// Code that drops or replaces prepared statements spoils its own client's, and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn code_that_changes_what_is_prepared() {
    for stage in stages().await {
        let mut globex = victim(&stage).await;
        let mut acme = stage.wire("acme_corp").await;
        acme.parse("mine", NAMES).bind("mine", &[]).execute().sync().answer().await;
        let names = kept(&mut acme).await;
        assert!(names.len() > 2, "{names:?}");
        let where_i_am = acme.simple("SELECT whereabouts()").await.value();
        let mut changes = vec!["DEALLOCATE ALL".to_owned()];
        for name in &names {
            changes.push(format!("DEALLOCATE \"{name}\""));
            for types in ["", "(text)", "(text, text)"] {
                changes.push(format!("DEALLOCATE ALL; PREPARE \"{name}\"{types} AS SELECT 'evil' AS name"));
            }
            changes.push(format!("DECLARE \"{name}_behind\" CURSOR WITH HOLD FOR SELECT 1"));
        }
        for change in changes {
            let change = format!("SELECT run('{}')", change.replace('\'', "''"));
            let changes = acme.simple(&change).await;
            assert!(["", "26000", "42P03"].contains(&changes.code().as_str()), "{change}: {changes:?}");
            assert_eq!(acme.extended("SELECT whereabouts()", &[]).await.value(), where_i_am, "{change}");
            assert_eq!(acme.bind("mine", &[]).execute().sync().answer().await.column(), ACME, "{change}");
            all_is_well(&stage, &mut globex, &change).await;
            // In a transaction, and in a pipeline: as on PostgreSQL it may be gone, and then says so.
            for in_pipeline in [false, true] {
                if !in_pipeline {
                    acme.simple("BEGIN").await;
                    acme.simple(&change).await;
                    acme.simple("SAVEPOINT a").await;
                } else {
                    run(&mut acme, "BEGIN");
                    run(&mut acme, &change);
                }
                let answer = acme.bind("mine", &[]).execute().sync().answer().await;
                if let Some(fault) = answer.fault() {
                    assert!(
                        ["26000", "25P02", "42P03"].contains(&fault.code.as_str()),
                        "{change}: {fault:?}"
                    );
                    assert!(!fault.message.contains("pgstrata_") || fault.code == "42P03", "{fault:?}");
                }
                acme.simple("ROLLBACK").await;
                assert_eq!(acme.extended("SELECT whereabouts()", &[]).await.value(), where_i_am, "{change}");
                all_is_well(&stage, &mut globex, &change).await;
            }
        }
        assert_eq!(acme.bind("mine", &[]).execute().sync().answer().await.column(), ACME);
    }
}

/// The same, where one client goes from one tenant to the other on its own server.
#[tokio::test(flavor = "multi_thread")]
async fn code_of_the_tenant_before_runs_for_nobody() {
    let user =
        "name = 'tools'\npassword = 'tools'\ntenants = ['*']\ntenant_switch = true\npool_mode = 'session'";
    for stage in stages_of(|setup| setup.tenant_switch().user(user)).await {
        for name in ["tools", "app"] {
            let mut wire =
                Wire::login(stage.port(), name, name, &[("options", "-ctenant=acme_corp")]).await.unwrap();
            wire.simple("SET tenant = 'globex'").await;
            wire.parse("s", NAMES);
            assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.column(), GLOBEX);
            wire.simple("SET tenant = 'acme_corp'").await;
            for name in kept(&mut wire).await {
                for types in ["", "(text)", "(text, text)"] {
                    let sql = format!(
                        "DEALLOCATE \"{name}\"; PREPARE \"{name}\"{types} AS SELECT ''evil'' AS name"
                    );
                    wire.simple(&format!("SELECT run('{sql}')")).await;
                    wire.simple("SELECT run('PREPARE hidden AS SELECT 42')").await;
                    wire.simple("SET tenant = 'globex'").await;
                    assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.column(), GLOBEX, "{sql}");
                    assert_eq!(wire.extended(NAMES, &[]).await.column(), GLOBEX, "{sql}");
                    assert_eq!(wire.simple("EXECUTE hidden").await.code(), "26000");
                    wire.simple("SET tenant = 'acme_corp'").await;
                    assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.column(), ACME, "{sql}");
                }
            }
        }
    }
}

/// Not a byte of the proxy's names, and nothing of PostgreSQL's own workings.
fn says_nothing_of_the_proxy(answer: &Answer, what: &str) {
    for message in &answer.messages {
        let said = String::from_utf8_lossy(&message.body);
        assert!(!said.contains("pgstrata_"), "{what}: {said:?}");
        assert!(message.tag != b'N' || !said.contains("VDEBUG"), "{what}: {said:?}");
    }
}

/// Whatever PostgreSQL says about what the proxy and the client do.
async fn everything_is_said(wire: &mut Wire, what: &str) {
    wire.parse("s", NAMES).describe("s").bind("s", &[]).execute().sync();
    says_nothing_of_the_proxy(&wire.answer().await, what);
    wire.simple("BEGIN").await;
    for text in ["SELECT whereabouts()", "SELECT * FROM users WHERE id = 1", "SAVEPOINT a"] {
        says_nothing_of_the_proxy(&wire.extended(text, &[]).await, what);
        says_nothing_of_the_proxy(&wire.simple(text).await, what);
    }
    says_nothing_of_the_proxy(&wire.bind("s", &[]).execute().sync().answer().await, what);
    says_nothing_of_the_proxy(&wire.simple("EXECUTE s").await, what);
    says_nothing_of_the_proxy(&wire.simple("COMMIT").await, what);
    let wrong = wire.bind("s", &["too", "many"]).sync().answer().await;
    says_nothing_of_the_proxy(&wrong, what);
    let fault = wrong.fault().unwrap();
    assert_eq!(fault.code, "08P01");
    assert!(fault.message.contains("\"s\""), "{fault:?}");
    says_nothing_of_the_proxy(
        &wire.simple("CREATE TABLE noisy (id serial PRIMARY KEY); DROP TABLE noisy").await,
        what,
    );
    let notice = wire.simple("DROP TABLE IF EXISTS nothing").await;
    assert!(notice.messages.iter().any(|message| message.tag == b'N'), "{what}: {notice:?}");
    wire.close("s").sync().answer().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_says_to_itself_reaches_no_client() {
    for stage in stages().await {
        let mut globex = victim(&stage).await;
        for level in ["debug5", "DEBUG2", "debug1", "log"] {
            for text in [
                format!("SET client_min_messages = {level}"),
                format!("SET SESSION client_min_messages TO '{level}'"),
                format!("SELECT set_config('client_min_messages', '{level}', false)"),
                format!("SELECT run('SET client_min_messages = {level}')"),
            ] {
                let mut acme = stage.wire("acme_corp").await;
                says_nothing_of_the_proxy(&acme.simple(&text).await, &text);
                everything_is_said(&mut acme, &text).await;
                acme.simple("BEGIN").await;
                acme.simple(&text.replace("SESSION", "LOCAL").replace("false", "true")).await;
                acme.parse("t", NAMES).bind("t", &[]).execute().sync();
                says_nothing_of_the_proxy(&acme.answer().await, &text);
                drop(acme);
                all_is_well(&stage, &mut globex, &text).await;
            }
            for option in [format!("-ctenant=acme_corp -cclient_min_messages={level}")] {
                let mut acme =
                    Wire::login(stage.port(), "app", "app", &[("options", &option)]).await.unwrap();
                everything_is_said(&mut acme, &option).await;
            }
            let parameters = [("options", "-ctenant=acme_corp"), ("client_min_messages", level)];
            let mut acme = Wire::login(stage.port(), "app", "app", &parameters).await.unwrap();
            everything_is_said(&mut acme, "a start-up parameter").await;
        }
    }
}

/// With all logging on, and all of it sent to the client.
#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_logs_names_the_clients_own_only() {
    for stage in stages().await {
        let server = stage.superuser().await;
        for setting in [
            "log_statement = 'all'",
            "log_duration = on",
            "log_min_duration_statement = 0",
            "log_parser_stats = on",
            "log_executor_stats = on",
            "log_parameter_max_length_on_error = -1",
        ] {
            server.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
        }
        server.batch_execute("SELECT pg_reload_conf(), pg_sleep(0.2)").await.unwrap();
        let mut globex = victim(&stage).await;
        let mut acme = stage.wire("acme_corp").await;
        acme.simple("SET client_min_messages = log").await;
        everything_is_said(&mut acme, "log").await;
        let logged = acme.parse("s", NAMES).bind("s", &[]).execute().sync().answer().await;
        let said: String =
            logged.messages.iter().map(|m| String::from_utf8_lossy(&m.body).into_owned()).collect();
        assert!(said.contains("execute s: SELECT name"), "{said}");
        // Nothing is said of what the proxy has put in front.
        assert!(!said.contains("set_config"), "{said}");
        for setting in
            ["debug_print_parse", "debug_print_rewritten", "debug_print_plan", "trace_notify", "trace_sort"]
        {
            acme.simple(&format!("SET {setting} = on")).await;
        }
        acme.close("s").sync().answer().await;
        everything_is_said(&mut acme, "trees").await;
        shows_nothing(&acme.extended(NAMES, &[]).await, "trees");
        drop(acme);
        all_is_well(&stage, &mut globex, "logging").await;
    }
}

/// Where the client is, behind each way of being moved elsewhere by code.
#[tokio::test(flavor = "multi_thread")]
async fn path_and_role_are_set_again_behind_code() {
    for stage in stages().await {
        let mut acme = stage.wire("acme_corp").await;
        let home = acme.simple("SELECT whereabouts()").await.value();
        for lasts in [false, true] {
            // PostgreSQL looks the names of what EXECUTE runs up once more when it has run.
            let wander = format!("SELECT public.wander({lasts})");
            let last = |answer: Answer| answer.rows().last().unwrap()[0].clone();
            // In one text.
            for text in [
                format!("{wander}; SELECT whereabouts()"),
                format!("{wander}; SELECT 1; {wander}; SELECT whereabouts()"),
                format!("BEGIN; {wander}; SELECT whereabouts(); COMMIT"),
                format!(
                    "BEGIN; {wander}; SAVEPOINT a; {wander}; ROLLBACK TO a; SELECT whereabouts(); COMMIT"
                ),
                format!("PREPARE w AS {wander}; EXECUTE w; SELECT whereabouts(); DEALLOCATE w"),
                format!(
                    "BEGIN; DECLARE c CURSOR FOR {wander} FROM users; FETCH c; SELECT whereabouts(); \
                     FETCH c; SELECT whereabouts(); COMMIT"
                ),
                format!(
                    "CREATE TEMP TABLE moved AS SELECT 1 AS one FROM public.wander({lasts}); DROP TABLE moved; \
                     SELECT whereabouts()"
                ),
            ] {
                let answer = acme.simple(&text).await;
                assert_eq!(answer.fault(), None, "{text}");
                assert_eq!(last(answer), home, "{text}");
                acme.simple("ROLLBACK").await;
                assert_eq!(acme.simple("SELECT whereabouts()").await.value(), home, "behind {text}");
            }
            // In one pipeline.
            run(&mut acme, &wander);
            run(&mut acme, "SELECT whereabouts()");
            run(&mut acme, &wander).parse("p", "SELECT whereabouts()").bind("p", &[]).execute().close("p");
            let rows = acme.sync().answer().await.column();
            assert_eq!(rows, ["", &home, "", &home], "a pipeline");
            // In one transaction, by either protocol.
            acme.simple("BEGIN").await;
            acme.parse("w", &wander).sync().answer().await;
            for _ in 0..2 {
                acme.simple(&wander).await;
                assert_eq!(acme.simple("SELECT whereabouts()").await.value(), home);
                acme.bind("w", &[]).execute().sync().answer().await;
                assert_eq!(acme.extended("SELECT whereabouts()", &[]).await.value(), home);
                acme.simple("EXECUTE w").await;
                assert_eq!(acme.simple("SELECT whereabouts()").await.value(), home);
                acme.extended("EXECUTE w", &[]).await;
                assert_eq!(acme.extended("SELECT whereabouts()", &[]).await.value(), home);
            }
            // A portal that was bound before, a row at a time; and a cursor.
            acme.parse("rows", &format!("SELECT whereabouts(), wander({lasts}) FROM users"));
            bind_portal(&mut acme, "rows", "rows");
            execute_portal(&mut acme, "rows", 1);
            run(&mut acme, "SELECT whereabouts()");
            execute_portal(&mut acme, "rows", 1);
            run(&mut acme, "FETCH rows");
            assert_eq!(acme.sync().answer().await.column(), [home.as_str(); 4], "portals");
            acme.simple(&format!("DECLARE c CURSOR FOR SELECT whereabouts(), wander({lasts}) FROM users"))
                .await;
            for _ in 0..3 {
                assert_eq!(acme.simple("FETCH c").await.column(), [home.as_str()], "a cursor");
                assert_eq!(acme.simple("SELECT whereabouts()").await.value(), home);
            }
            acme.simple("ROLLBACK").await;
            acme.close("w").close("rows").sync().answer().await;
            // A procedure that commits, and what is pipelined behind it.
            acme.simple("CALL stroll()").await;
            assert_eq!(acme.simple("SELECT whereabouts()").await.value(), home);
            run(&mut acme, "CALL stroll()");
            run(&mut acme, "SELECT whereabouts()");
            let answer = acme.sync().answer().await;
            assert_eq!(answer.column(), [home.as_str()], "CALL");
        }
    }
}

/// The path is the one that the client has set for itself, where it has.
#[tokio::test(flavor = "multi_thread")]
async fn own_path_is_set_again_behind_code() {
    for stage in stages().await {
        let mut acme = stage.wire("acme_corp").await;
        let home = acme.simple("SELECT whereabouts()").await.value();
        let who = home.split(' ').next().unwrap().to_owned();
        let (public, catalog) = (format!("{who} public"), format!("{who} pg_catalog"));
        let wander = "SELECT public.wander(false)";
        let whereabouts = "SELECT public.whereabouts()";
        for (texts, place) in [
            (&["SET LOCAL search_path TO public"][..], &public),
            (&["SET search_path TO public"], &public),
            (&["SET search_path TO pg_catalog", "SET LOCAL search_path TO public"], &public),
            (&["SET LOCAL search_path TO public", "SET search_path TO pg_catalog"], &catalog),
            (&["SET LOCAL search_path TO public", "RESET search_path"], &home),
            (&["SET search_path TO public", "SET LOCAL search_path TO DEFAULT"], &home),
            (
                &["SET LOCAL search_path TO public", "SAVEPOINT a", "SET LOCAL search_path TO pg_catalog"],
                &catalog,
            ),
            (
                &[
                    "SET LOCAL search_path TO public",
                    "SAVEPOINT a",
                    "SET search_path TO pg_catalog",
                    "ROLLBACK TO a",
                ],
                &public,
            ),
            (&["SAVEPOINT a", "SET LOCAL search_path TO public", "ROLLBACK TO a"], &home),
            (&["SAVEPOINT a", "SET LOCAL search_path TO public", "RELEASE a"], &public),
            (&["SELECT set_config('search_path', 'public', true)"], &public),
        ] {
            // Each by itself, all in one text, and in one pipeline.
            acme.simple("BEGIN").await;
            for text in texts {
                assert_eq!(acme.simple(text).await.code(), "", "{text}");
                acme.simple(wander).await;
            }
            assert_eq!(acme.simple(whereabouts).await.value(), *place, "{texts:?}");
            assert_eq!(acme.extended(wander, &[]).await.code(), "");
            assert_eq!(acme.extended(whereabouts, &[]).await.value(), *place, "{texts:?}");
            acme.simple("ROLLBACK").await;
            let text =
                format!("BEGIN; {}; {wander}; {whereabouts}; ROLLBACK", texts.join(&format!("; {wander}; ")));
            let answer = acme.simple(&text).await;
            assert_eq!(&answer.rows().last().unwrap()[0], place, "{text}");
            run(&mut acme, "BEGIN");
            for text in texts {
                run(&mut acme, text);
                run(&mut acme, wander);
            }
            run(&mut acme, whereabouts);
            let answer = run(&mut acme, "ROLLBACK").sync().answer().await;
            assert_eq!(&answer.rows().last().unwrap()[0], place, "{texts:?} in a pipeline");
            assert_eq!(acme.simple(whereabouts).await.value(), home, "behind {texts:?}");
        }
    }
}

/// A client with no tenant works under the path that servers are born with.
#[tokio::test(flavor = "multi_thread")]
async fn client_without_a_tenant_stays_where_it_is() {
    for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
        let setup = Setup::new().tier(Tier::Names).strategy(strategy).servers(1);
        let stage = stage(setup.line("tenancy", "missing_tenant = 'public'")).await;
        let mut public = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
        for lasts in [false, true] {
            let wander = format!("SELECT wander({lasts})");
            let answer = public.simple(&format!("{wander}; SELECT whereabouts()")).await;
            assert_eq!(answer.column(), ["", "app public"]);
            assert_eq!(public.simple("SELECT whereabouts()").await.value(), "app public");
            run(&mut public, &wander);
            run(&mut public, "SELECT whereabouts()");
            assert_eq!(public.sync().answer().await.column(), ["", "app public"]);
            assert_eq!(public.extended("SELECT whereabouts()", &[]).await.value(), "app public");
            public.simple("BEGIN").await;
            public.simple(&wander).await;
            assert_eq!(public.simple("SELECT whereabouts()").await.value(), "app public");
            public.simple("COMMIT").await;
        }
    }
}
