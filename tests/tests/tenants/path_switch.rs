//! A search path that names another tenant: a switch where the user may switch, and else refused together with
//! whatever stands behind it.

use pgstrata_tests::compare::{answers, bind_portal, execute_portal, run};
use pgstrata_tests::program::{self, python};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::{ACME, Answer, GLOBEX, PUBLIC, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// The path as django-tenants sets it.
const DJANGO: &str = "SET search_path = 'globex', 'public'";

/// With switching, and without.
async fn stages(switch: bool) -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        let setup = Setup::new().strategy(strategy).servers(2);
        stages.push(Stage::new(if switch { setup.tenant_switch() } else { setup }).await);
    }
    stages
}

async fn as_user(stage: &Stage, user: &str, tenant: &str) -> Wire {
    Wire::login(stage.port(), user, user, &[("options", &tenant_option(tenant))]).await.expect("it is let in")
}

/// That the client reads the rows of this tenant, in each protocol.
async fn reads(wire: &mut Wire, names: &[&str], what: &str) {
    assert_eq!(wire.simple(NAMES).await.column(), names, "simple, {what}");
    assert_eq!(wire.extended(NAMES, &[]).await.column(), names, "extended, {what}");
    assert_eq!(wire.simple("SHOW search_path; SELECT 1").await.code(), "", "{what}");
}

/// That nothing of any tenant is read.
async fn reads_nothing(wire: &mut Wire, what: &str) {
    for text in [
        NAMES,
        "INSERT INTO users (name, email) VALUES ('lost', 'lost')",
        "SELECT 1; SELECT name FROM users",
        "COPY users TO STDOUT",
        "BEGIN; SELECT name FROM users",
        "CREATE TABLE lost (a int)",
        "LISTEN orders",
        "SELECT pg_advisory_lock(1)",
        "EXECUTE known",
    ] {
        for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
            let refused = ["42501", "42601"].contains(&answer.code().as_str());
            assert!(refused && !answer.tags().contains('D'), "{what}, {text}: {answer:?}");
            wire.simple("ROLLBACK").await;
        }
    }
    assert_eq!(wire.bind("known", &[]).execute().sync().answer().await.code(), "42501", "{what}");
    // What hangs on no path goes on.
    for text in ["SELECT 1", "BEGIN; COMMIT", "SET application_name = 'x'", "SHOW work_mem"] {
        assert_eq!(wire.simple(text).await.code(), "", "{what}, {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn path_of_another_tenant_is_a_switch() {
    for stage in stages(true).await {
        for text in [
            DJANGO,
            "SET search_path = globex,public",
            "SET SESSION search_path TO globex, public",
            "SET search_path TO \"globex\"",
            "SET SCHEMA 'globex'",
            "set SEARCH_PATH to GLOBEX, 'public', pg_catalog",
            "SET search_path TO U&\"glob\\0065x\", public",
            "SELECT set_config('search_path', 'globex,public', false)",
            "SELECT pg_catalog.set_config('search_path', 'globex', false)",
            "BEGIN; SET search_path = globex, public; COMMIT",
            "SET search_path = globex, public; SELECT 1",
        ] {
            let mut wire = stage.wire("acme_corp").await;
            wire.parse("known", NAMES).sync().answer().await;
            assert_eq!(wire.simple(text).await.code(), "", "{text}");
            reads(&mut wire, &GLOBEX, text).await;
            assert_eq!(wire.simple("SHOW tenant").await.value(), "globex", "{text}");
            assert_eq!(wire.bind("known", &[]).execute().sync().answer().await.column(), GLOBEX, "{text}");
            // And back, in the other protocol.
            let back = text.replace("globex", "acme_corp").replace("GLOBEX", "acme_corp");
            let back = if back.contains(';') || back.contains('&') {
                "SET search_path = 'acme_corp', 'public'"
            } else {
                &back
            };
            assert_eq!(wire.extended(back, &[]).await.code(), "", "{back}");
            reads(&mut wire, &ACME, back).await;
        }
        let mut wire = stage.wire("acme_corp").await;
        let both = "SET search_path = 'globex', 'public'; SELECT name FROM users ORDER BY id";
        assert_eq!(wire.simple(both).await.column(), GLOBEX);
        let shown = wire.simple("SELECT set_config('search_path', 'acme_corp', false)").await;
        assert_eq!((shown.value().as_str(), shown.tags().as_str()), ("acme_corp", "TDCZ"));
        assert_eq!(wire.simple("SELECT count(*) FROM plans").await.code(), "42P01");
        reads(&mut wire, &ACME, "a path without the shared schema").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_path_switches_each_time() {
    for stage in stages(true).await {
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("globex", DJANGO)
            .parse("acme", "SET search_path = acme_corp, public")
            .parse("names", NAMES);
        wire.parse("bound", "SELECT set_config('search_path', $1, false)").sync();
        assert_eq!(wire.answer().await.code(), "");
        reads(&mut wire, &ACME, "Parse sets nothing").await;
        for _ in 0..3 {
            for (name, names) in [("globex", &GLOBEX[..]), ("acme", &ACME)] {
                assert_eq!(wire.bind(name, &[]).execute().sync().answer().await.code(), "", "{name}");
                assert_eq!(wire.bind("names", &[]).execute().sync().answer().await.column(), names);
                reads(&mut wire, names, name).await;
            }
            for (path, names) in [("globex, public", &GLOBEX[..]), ("\"acme_corp\"", &ACME)] {
                assert_eq!(wire.bind("bound", &[path]).execute().sync().answer().await.value(), path);
                reads(&mut wire, names, path).await;
            }
        }
        // In one pipeline, as PostgreSQL would.
        wire.bind("globex", &[]).execute().bind("names", &[]).execute().sync();
        assert_eq!(wire.answer().await.column(), GLOBEX);
        wire.bind("names", &[]).execute().bind("acme", &[]).execute().bind("names", &[]).execute().sync();
        let answer = wire.answer().await;
        assert_eq!((answer.code().as_str(), answer.tags().as_str()), ("25001", "2DDCEZ"), "{answer:?}");
        assert_eq!(wire.simple(NAMES).await.code(), "42501");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn path_goes_with_its_transaction() {
    for stage in stages(true).await {
        let mut wire = stage.wire("acme_corp").await;
        for (set, end, names) in [
            (DJANGO, "COMMIT", &GLOBEX[..]),
            (DJANGO, "ROLLBACK", &ACME),
            ("SET LOCAL search_path = globex, public", "COMMIT", &ACME),
            ("SET LOCAL search_path = globex, public", "ROLLBACK", &ACME),
            ("SELECT set_config('search_path', 'globex', true)", "COMMIT", &ACME),
        ] {
            for extended in [false, true] {
                wire.simple("RESET search_path; BEGIN").await;
                let answer = match extended {
                    true => wire.extended(set, &[]).await,
                    false => wire.simple(set).await,
                };
                assert_eq!(answer.code(), "", "{set}");
                assert_eq!(wire.simple(NAMES).await.column(), GLOBEX, "{set}");
                assert_eq!(wire.simple(end).await.status(), Some('I'));
                reads(&mut wire, names, &format!("{set}, {end}")).await;
                wire.simple("RESET tenant").await;
            }
        }
        // Outside of a block PostgreSQL warns, and sets nothing.
        let answer = wire.simple("SET LOCAL search_path = globex").await;
        assert_eq!((answer.commands(), answer.code().as_str()), (vec!["SET".to_owned()], ""));
        reads(&mut wire, &ACME, "SET LOCAL alone").await;
        // What has read is bound to its tenant.
        wire.simple("BEGIN").await;
        wire.simple(NAMES).await;
        assert_eq!(wire.simple(DJANGO).await.code(), "25001");
        wire.simple("ROLLBACK").await;
        assert_eq!(wire.simple(NAMES).await.code(), "42501");
        assert_eq!(wire.simple(DJANGO).await.code(), "");
        reads(&mut wire, &GLOBEX, "set again").await;
    }
}

/// A tenant that is not there, or not this user's, and paths that go on to other tenants.
#[tokio::test(flavor = "multi_thread")]
async fn path_that_is_no_switch_lets_nothing_through() {
    let paths = [
        "globex, public", "'globex'", "nobody", "public, globex", "pg_temp, globex", "acme_corp, globex",
        "globex, acme_corp", "\"$user\", globex", "pg_temp_3", "'globex, public'", "globex, pg_toast_temp_1",
    ];
    for switch in [false, true] {
        for stage in stages(switch).await {
            let users = if switch {
                vec![("acme", "acme_corp")]
            } else {
                vec![("app", "acme_corp"), ("acme", "acme_corp")]
            };
            for (user, tenant) in users {
                let mut wire = as_user(&stage, user, tenant).await;
                wire.parse("known", NAMES).sync().answer().await;
                for path in paths {
                    for text in [
                        format!("SET search_path TO {path}"),
                        format!("SET LOCAL search_path = {path}"),
                        format!("SELECT 1; SET SESSION search_path = {path}"),
                        format!("SELECT set_config('search_path', '{}', false)", path.replace('\'', "")),
                    ] {
                        for extended in [false, true] {
                            let answer = match extended {
                                true => wire.extended(&text, &[]).await,
                                false => wire.simple(&text).await,
                            };
                            let code = answer.code();
                            if code == "42601" && text.contains(';') {
                                continue;
                            }
                            assert!(["42501", "0A000"].contains(&code.as_str()), "{text}: {answer:?}");
                            assert_eq!(wire.simple(NAMES).await.code(), "42501", "{user}, {text}");
                            assert_eq!(wire.simple("RESET search_path").await.code(), "");
                            reads(&mut wire, &ACME, &text).await;
                        }
                    }
                }
                wire.simple(DJANGO).await;
                reads_nothing(&mut wire, user).await;
                let fault = wire.simple(NAMES).await.fault().unwrap();
                assert!(fault.hint.unwrap().contains("RESET search_path"));
                wire.simple("DISCARD ALL").await;
                reads(&mut wire, &ACME, "DISCARD ALL").await;
            }
        }
    }
}

/// Only a path that is right ends it, or what puts all back.
#[tokio::test(flavor = "multi_thread")]
async fn refused_path_is_not_forgotten() {
    for stage in stages(false).await {
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("known", NAMES).parse("own", "SET search_path = acme_corp, public").sync().answer().await;
        for ends in [
            "RESET search_path",
            "RESET ALL",
            "DISCARD ALL",
            "SET search_path TO DEFAULT",
            "SET search_path = acme_corp",
            "SET search_path = public, acme_corp; SET search_path = acme_corp",
            "SELECT set_config('search_path', 'acme_corp, public', false)",
        ] {
            for refused in [
                vec![DJANGO],
                vec!["BEGIN", DJANGO, "ROLLBACK"],
                vec!["BEGIN; SAVEPOINT a", DJANGO, "ROLLBACK TO a", "COMMIT"],
            ] {
                for text in &refused {
                    wire.simple(text).await;
                }
                let what = format!("{refused:?}, {ends}");
                wire.parse("known", NAMES).sync().answer().await;
                for rolled in [
                    "BEGIN; ROLLBACK",
                    "BEGIN; SET search_path = acme_corp; ROLLBACK",
                    "BEGIN; SET LOCAL search_path = acme_corp; COMMIT",
                ] {
                    assert_eq!(wire.simple(rolled).await.code(), "", "{what}");
                    reads_nothing(&mut wire, &format!("{what}, {rolled}")).await;
                }
                assert_eq!(wire.simple(ends).await.code(), "", "{what}");
                reads(&mut wire, &ACME, &what).await;
            }
        }
        // Within a transaction, a text, and a pipeline.
        wire.simple(DJANGO).await;
        for text in [
            "SET search_path = acme_corp; SELECT name FROM users ORDER BY id",
            "BEGIN; SET LOCAL search_path = acme_corp, public; SELECT name FROM users ORDER BY id; COMMIT",
        ] {
            wire.simple(DJANGO).await;
            assert_eq!(wire.simple(text).await.column(), ACME, "{text}");
        }
        reads_nothing(&mut wire, "SET LOCAL holds no longer").await;
        for text in [
            "BEGIN; SET LOCAL search_path = acme_corp; COMMIT; SELECT name FROM users",
            "BEGIN; SET search_path = acme_corp; ROLLBACK; SELECT name FROM users",
            "SELECT name FROM users; SET search_path = acme_corp",
        ] {
            assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
        }
        wire.parse("own", "SET search_path = acme_corp, public").bind("own", &[]).execute();
        run(&mut wire, NAMES).sync();
        assert_eq!(wire.answer().await.column(), ACME);
        // A path that is right, in a text that is refused for something else.
        wire.simple("RESET search_path").await;
        for text in [
            "SET search_path = public; SELECT name FROM globex.users",
            "SET search_path = 'public'; CREATE TABLE lost (a int)",
        ] {
            assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
            reads(&mut wire, &ACME, text).await;
        }
        // Refused in a pipeline, behind a path that is right.
        run(&mut wire, "SET search_path = acme_corp");
        run(&mut wire, DJANGO).sync();
        assert_eq!(wire.answer().await.code(), "42501");
        reads_nothing(&mut wire, "in a pipeline").await;
        let bound = wire.extended("SELECT set_config('search_path', $1, false)", &["globex"]).await;
        assert_eq!(bound.code(), "42501");
        wire.simple("RESET search_path").await;
        let bound = wire.extended("SELECT set_config('search_path', $1, false)", &["globex"]).await;
        assert_eq!(bound.code(), "42501");
        reads_nothing(&mut wire, "bound").await;
    }
}

/// What tries to set a path by other ways sets none, and nothing of it is a switch.
#[tokio::test(flavor = "multi_thread")]
async fn path_in_disguise_sets_nothing() {
    for switch in [false, true] {
        for stage in stages(switch).await {
            let mut wire = as_user(&stage, "acme", "acme_corp").await;
            for text in [
                "DO $$ BEGIN SET search_path = globex; END $$",
                "DO $$ BEGIN PERFORM set_config('search_path', 'globex', false); END $$",
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = globex RETURN 1",
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path FROM CURRENT BEGIN ATOMIC SELECT 1; END; \
                 ALTER FUNCTION f() SET search_path = globex",
                "PREPARE p AS SELECT set_config('search_path', 'globex', false)",
                "PREPARE p(text) AS SELECT set_config('search_path', $1, false); EXECUTE p('globex')",
                "SELECT set_config('search_path', 'glo' || 'bex', false)",
                "SELECT set_config('search_path', name, false) FROM users",
                "SELECT set_config(n, 'globex', false) FROM (VALUES ('search_path')) v(n)",
                "UPDATE pg_settings SET setting = 'globex' WHERE name = 'search_path'",
                "ALTER ROLE app SET search_path = globex",
                "ALTER DATABASE app SET search_path = globex",
                "WITH s AS (SELECT set_config('search_path', 'globex', false)) SELECT * FROM s",
                "EXPLAIN ANALYZE SELECT set_config('search_path', 'globex', false)",
            ] {
                assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
                wire.simple("ROLLBACK; RESET search_path").await;
                reads(&mut wire, &ACME, text).await;
            }
        }
    }
}

/// A portal that was bound before does not run behind a path that was refused, and none switches unseen.
#[tokio::test(flavor = "multi_thread")]
async fn portals_switch_nothing_unseen() {
    for stage in stages(true).await {
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("names", NAMES).parse("globex", DJANGO).sync().answer().await;
        run(&mut wire, "BEGIN");
        bind_portal(&mut wire, "late", "names");
        bind_portal(&mut wire, "path", "globex");
        execute_portal(&mut wire, "path", 0);
        execute_portal(&mut wire, "late", 0);
        wire.sync();
        let answer = wire.answer().await;
        assert_eq!((answer.code().as_str(), answer.tags().contains('D')), ("25001", false), "{answer:?}");
        wire.simple("ROLLBACK; RESET search_path").await;
        reads(&mut wire, &ACME, "after a portal").await;
        let mut other = stage.wire("globex").await;
        reads(&mut other, &GLOBEX, "another client").await;
        assert_eq!(stage.public_users().await, PUBLIC);
        assert_eq!(answers(wire.sync(), 1).await.len(), 1);
    }
}

/// With temporary tables, the tenant stays: what belongs to one of them is not another's.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_session_go_to_no_other_tenant_by_a_path() {
    for stage in stages(true).await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE TEMP TABLE held AS SELECT name FROM users").await;
        for text in [DJANGO, "SELECT set_config('search_path', 'globex', false)"] {
            let answers: [Answer; 2] = [wire.simple(text).await, wire.extended(text, &[]).await];
            for answer in answers {
                assert_eq!(answer.code(), "55000", "{text}: {answer:?}");
                assert_eq!(wire.simple("SELECT name FROM held").await.code(), "42501");
            }
        }
        assert_eq!(wire.simple("RESET search_path").await.code(), "");
        assert_eq!(wire.simple("SELECT name FROM held ORDER BY 1").await.column(), ACME);
    }
}

/// The program itself, which passes over the error of a path that was refused.
#[tokio::test(flavor = "multi_thread")]
async fn django_tenants_reads_the_tenant_of_its_path_or_nothing() {
    for (switch, mode) in [(true, "switches"), (false, "refused")] {
        for stage in stages(switch).await {
            for more in [None, Some("limit set calls")] {
                let mut program = python("django_tenants_app.py");
                program.arg(stage.url(None)).arg(mode).args(more);
                assert_eq!(program::run(program).await.trim(), "ok", "{mode}, {more:?}");
            }
        }
    }
}
