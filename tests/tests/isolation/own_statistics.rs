//! Locks, counts and sessions: a tenant reads of its own, and nothing of another's.

use pgstrata_tenancy::Strategy;
use pgstrata_tests::database::wished_hardening;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::names;
use pgstrata_tests::{Setup, Stage};

/// `plugh` is acme_corp's word, `xyzzy` another's.
const OBJECTS: &str = "
    CREATE TABLE SCHEMA.WORD_notes (id serial PRIMARY KEY, text text);
    INSERT INTO SCHEMA.WORD_notes (text) SELECT repeat('WORD', 2000) FROM generate_series(1, 20);
    CREATE FUNCTION SCHEMA.WORD_f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    SET track_functions = 'all';
    SELECT SCHEMA.WORD_f(), count(*) FROM SCHEMA.WORD_notes WHERE id = 3;
    GRANT ALL ON ALL TABLES IN SCHEMA SCHEMA TO app; ALTER TABLE SCHEMA.WORD_notes OWNER TO app;
    SELECT pg_stat_force_next_flush()";

const OBJECT_VIEWS: &[&str] = &[
    "pg_stat_all_indexes", "pg_stat_all_tables", "pg_stat_sys_indexes", "pg_stat_sys_tables",
    "pg_stat_user_functions", "pg_stat_user_indexes", "pg_stat_user_tables", "pg_stat_xact_all_tables",
    "pg_stat_xact_sys_tables", "pg_stat_xact_user_functions", "pg_stat_xact_user_tables",
    "pg_statio_all_indexes", "pg_statio_all_sequences", "pg_statio_all_tables", "pg_statio_sys_indexes",
    "pg_statio_sys_sequences", "pg_statio_sys_tables", "pg_statio_user_indexes", "pg_statio_user_sequences",
    "pg_statio_user_tables",
];

async fn stage(strategy: Strategy, hide: bool) -> Stage {
    let setup = Setup::new().strategy(strategy).servers(6);
    let stage = Stage::new(setup.line("tenancy", format!("hide_other_tenants = {hide}"))).await;
    let server = stage.superuser().await;
    for (schema, word) in [("acme_corp", "plugh"), ("globex", "xyzzy")] {
        let objects = OBJECTS.replace("IN SCHEMA SCHEMA", &format!("IN SCHEMA {schema}"));
        let objects = objects.replace("SCHEMA.", &format!("{schema}.")).replace("WORD", word);
        server.batch_execute(&objects).await.unwrap();
    }
    stage
}

fn ways() -> impl Iterator<Item = (Strategy, bool)> {
    STRATEGIES.into_iter().flat_map(|strategy| [(strategy, false), (strategy, true)])
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_of_ones_own_objects() {
    for (strategy, hide) in ways() {
        let stage = stage(strategy, hide).await;
        let superuser = stage.superuser().await;
        let mut wire = stage.wire("acme_corp").await;
        let (mut own, mut told) = (0, 0);
        for view in OBJECT_VIEWS {
            for text in [
                format!("SELECT x::text FROM {view} AS x"),
                format!("SELECT {view}::text FROM pg_catalog.{view}"),
                format!("SELECT to_jsonb(s)::text FROM (SELECT * FROM {view}) s"),
                format!("SELECT concat({view}.schemaname, '.', pg_catalog.{view}.*) FROM pg_catalog.{view}"),
            ] {
                let all = names(&superuser, &text).await.concat();
                told += usize::from(all.contains("xyzzy"));
                for answer in [wire.simple(&text).await, wire.extended(&text, &[]).await] {
                    // A view's name that stands for a row of it is not known to be one.
                    if answer.code() == "42501" && text.contains(&format!("{view}::text")) {
                        continue;
                    }
                    let rows = answer.column().concat();
                    for other in ["xyzzy", "globex", "pg_toast", "pg_catalog"] {
                        assert!(!rows.contains(other), "{strategy} {hide} {text}: {rows}");
                    }
                    own += usize::from(rows.contains("plugh"));
                }
            }
        }
        assert!(told > 20 && own > 40, "{told} {own}");
        let scans = "SELECT seq_scan + idx_scan > 0 FROM pg_stat_user_tables WHERE relname = 'plugh_notes'";
        assert_eq!(wire.simple(scans).await.value(), "t");
    }
}

/// Planner statistics and sequences show values: those of the tenant's own tables.
#[tokio::test(flavor = "multi_thread")]
async fn values_are_of_ones_own_objects() {
    let views = ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_sequences"];
    for (strategy, hide) in ways() {
        let stage = stage(strategy, hide).await;
        let superuser = stage.superuser().await;
        for (schema, word) in [("acme_corp", "plugh"), ("globex", "xyzzy")] {
            let statistics = format!(
                "CREATE STATISTICS {schema}.{word}_pair (ndistinct, mcv) ON id, text FROM {schema}.{word}_notes;
                 CREATE STATISTICS {schema}.{word}_low ON (lower(text)) FROM {schema}.{word}_notes;
                 ANALYZE {schema}.{word}_notes"
            );
            superuser.batch_execute(&statistics).await.unwrap();
        }
        let mut wire = stage.wire("acme_corp").await;
        for view in views {
            let text = format!("SELECT to_jsonb(v)::text FROM {view} AS v");
            assert!(names(&superuser, &text).await.concat().contains("xyzzy"), "{view}");
            for answer in [wire.simple(&text).await, wire.extended(&text, &[]).await] {
                let (rows, code) = (answer.column().concat(), answer.code());
                assert!(!rows.contains("xyzzy") && !rows.contains("globex"), "{view}: {rows}");
                // The second wall takes these views away.
                let allowed = rows.contains("plugh") != wished_hardening();
                assert!(
                    allowed && (code == "42501") == wished_hardening(),
                    "{strategy} {hide} {view}: {answer:?}"
                );
            }
            for refused in [format!("TABLE {view}"), format!("CREATE VIEW w AS SELECT * FROM {view}")] {
                assert_eq!(wire.simple(&refused).await.code(), "42501", "{refused}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_count_ones_own_objects() {
    let counts = [
        "numscans", "tuples_returned", "tuples_inserted", "live_tuples", "dead_tuples", "blocks_fetched",
        "blocks_hit", "mod_since_analyze", "ins_since_vacuum", "vacuum_count", "xact_numscans",
        "xact_tuples_inserted",
    ];
    for (strategy, hide) in ways() {
        let stage = stage(strategy, hide).await;
        let superuser = stage.superuser().await;
        let mut wire = stage.wire("acme_corp").await;
        let all = "SELECT oid::text FROM pg_class WHERE relname LIKE 'xyzzy%' OR relnamespace = 'globex'::regnamespace \
                   OR oid IN (SELECT reltoastrelid FROM pg_class WHERE relname LIKE 'xyzzy%') OR relname = 'pg_class'";
        let others = names(&superuser, all).await;
        assert!(others.len() > 5, "{others:?}");
        for count in counts {
            for other in &others {
                for argument in
                    [other.clone(), format!("{other}::oid::regclass"), format!("('{other}' || '')::oid")]
                {
                    let text = format!("SELECT pg_stat_get_{count}({argument})");
                    for answer in [wire.simple(&text).await, wire.extended(&text, &[]).await] {
                        assert_eq!(answer.value(), "<null>", "{text}");
                    }
                }
                let text = format!("SELECT pg_catalog.pg_stat_get_{count}($1)");
                assert_eq!(wire.extended(&text, &[other]).await.value(), "<null>", "{text}");
            }
            let own = format!(
                "SELECT pg_stat_get_{count}(oid) IS NULL FROM pg_class WHERE oid = 'plugh_notes'::regclass"
            );
            assert_eq!(wire.simple(&own).await.value(), "f", "{own}");
        }
        let calls = |who: &str| {
            format!("SELECT pg_stat_get_function_calls(oid)::text FROM pg_proc WHERE proname = '{who}_f'")
        };
        assert_eq!(wire.simple(&calls("plugh")).await.value(), "1");
        assert_eq!(names(&superuser, &calls("xyzzy")).await, ["1"]);
        let other = wire.simple(&calls("xyzzy")).await.column();
        assert!(other.is_empty() && hide || other == ["<null>"], "{other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_of_ones_own_relations_and_session() {
    for (strategy, hide) in ways() {
        let stage = stage(strategy, hide).await;
        let (mut other, mut colleague) = (stage.wire("globex").await, stage.wire("acme_corp").await);
        let mut wire = stage.wire("acme_corp").await;
        for (wire, word) in [(&mut other, "xyzzy"), (&mut colleague, "plugh")] {
            wire.simple("BEGIN").await;
            assert_eq!(wire.simple(&format!("LOCK {word}_notes IN EXCLUSIVE MODE")).await.code(), "");
            assert_eq!(wire.simple("SELECT pg_advisory_xact_lock(42) FROM plans").await.code(), "");
            assert_eq!(
                wire.simple(&format!("UPDATE {word}_notes SET text = '' WHERE id = 1")).await.code(),
                ""
            );
        }
        let pid = other.simple("SELECT pg_backend_pid()").await.value();
        let superuser = stage.superuser().await;
        let held = format!("SELECT l::text FROM pg_locks l WHERE pid = {pid}");
        let held = names(&superuser, &held).await;
        assert!(held.len() > 5, "{held:?}");
        for text in [
            "SELECT l::text || coalesce(relation, 0)::regclass::text FROM pg_locks l",
            "SELECT to_jsonb(x)::text || coalesce(relation, 0)::regclass::text FROM (SELECT * FROM pg_catalog.pg_locks) x",
        ] {
            for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
                let rows = answer.column();
                for row in &rows {
                    let foreign = row.contains("xyzzy")
                        || row.contains(&format!(",{pid},"))
                        || row.contains(&format!(": {pid},"));
                    assert!(!foreign && !row.contains("globex"), "{strategy} {hide} {row}");
                }
                assert!(
                    rows.iter().any(|row| row.contains("plugh_notes") && row.contains("ExclusiveLock")),
                    "{rows:?}"
                );
            }
        }
        // As pgAdmin and others ask who waits for whom.
        let own = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'virtualxid'";
        assert_eq!(wire.simple(own).await.value(), "1");
        let advisory = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
        assert_eq!(wire.simple(advisory).await.value(), "0");
        assert_eq!(colleague.simple(advisory).await.value(), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ones_own() {
    for (strategy, hide) in ways() {
        let stage = stage(strategy, hide).await;
        let mut others = Vec::new();
        for _ in 0..3 {
            let mut other = stage.wire("globex").await;
            other.simple("BEGIN; SELECT 'xyzzy'").await;
            others.push(other);
        }
        let mut wire = stage.wire("acme_corp").await;
        for (text, wanted) in [
            ("SELECT count(*) || ' ' || bool_and(pid = pg_backend_pid()) FROM pg_stat_ssl", "1 true"),
            (
                "SELECT count(*) || ' ' || bool_and(pid = pg_backend_pid()) FROM pg_catalog.pg_stat_gssapi",
                "1 true",
            ),
            ("SELECT encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()", "f"),
            ("SELECT count(*) FROM pg_replication_slots", "0"),
            ("SELECT count(*) FROM pg_stat_replication", "0"),
        ] {
            for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
                assert_eq!(answer.value(), wanted, "{text}");
            }
        }
    }
}

/// As somebody who wants to see what the filter takes out.
#[tokio::test(flavor = "multi_thread")]
async fn filter_is_not_got_around() {
    for (strategy, hide) in ways() {
        let stage = stage(strategy, hide).await;
        let server = stage.superuser().await;
        // It is cheap and tells what it is asked about; operators and relations of the tenant's own stand in front.
        let spies = "SET search_path = acme_corp;
            CREATE FUNCTION spy(text) RETURNS bool LANGUAGE plpgsql COST 0.0000001 AS
                'BEGIN RAISE NOTICE $$%$$, $1; RETURN true; END';
            CREATE FUNCTION yes(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT true';
            CREATE FUNCTION yes(name, name) RETURNS bool LANGUAGE sql AS 'SELECT true';
            CREATE FUNCTION yes(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
            CREATE OPERATOR acme_corp.= (leftarg = oid, rightarg = oid, function = yes);
            CREATE OPERATOR acme_corp.= (leftarg = name, rightarg = name, function = yes);
            CREATE OPERATOR acme_corp.<> (leftarg = name, rightarg = name, function = yes);
            CREATE OPERATOR acme_corp.= (leftarg = int, rightarg = int, function = yes);
            CREATE FUNCTION pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE TABLE pg_database AS SELECT oid, datname FROM pg_catalog.pg_database;
            RESET search_path";
        server.batch_execute(spies).await.unwrap();
        let mut other = stage.wire("globex").await;
        other.simple("BEGIN; LOCK xyzzy_notes").await;
        let mut wire = stage.wire("acme_corp").await;
        for path in ["SELECT 1", "SET search_path = acme_corp, pg_catalog, public"] {
            assert_eq!(wire.simple(path).await.code(), "");
            for text in [
                "SELECT relname FROM pg_stat_all_tables WHERE acme_corp.spy(relname)",
                "SELECT relname FROM pg_catalog.pg_stat_user_tables t WHERE acme_corp.spy(t::text)",
                "SELECT acme_corp.spy(relation::regclass::text) FROM pg_locks WHERE acme_corp.spy(relation::regclass::text)",
                "SELECT l::text FROM pg_locks l JOIN pg_class c ON acme_corp.spy(c.relname || l::text) AND c.oid = l.relation \
                 WHERE c.relname LIKE 'xyz%'",
                "SELECT relname FROM pg_stat_user_tables WHERE 1 / (CASE WHEN relname LIKE 'xyzzy%' THEN 0 ELSE 1 END) = 1",
                "SELECT s::text FROM pg_statio_all_sequences s ORDER BY acme_corp.spy(s.relname)",
                "WITH RECURSIVE a AS (SELECT * FROM pg_locks) SELECT relation::regclass::text FROM a",
                "SELECT relname FROM pg_stat_user_tables UNION ALL SELECT relname FROM pg_statio_user_tables",
                "SELECT x.relname FROM users u, LATERAL (SELECT * FROM pg_stat_all_tables s WHERE u.id > 0) x",
                "EXPLAIN (ANALYZE, VERBOSE) SELECT relname FROM pg_stat_user_tables WHERE acme_corp.spy(relname)",
                "SELECT pg_stat_get_numscans(relid) FROM pg_stat_all_tables",
                "DECLARE c CURSOR FOR SELECT relname FROM pg_stat_user_tables WHERE acme_corp.spy(relname); FETCH ALL c",
                "COPY (SELECT relname FROM pg_stat_user_tables WHERE acme_corp.spy(relname)) TO STDOUT",
                "TABLE pg_locks",
                "SELECT * FROM ONLY pg_stat_all_tables",
                "SELECT pg_locks FROM pg_catalog.pg_locks",
                "SELECT * FROM U&\"pg_stat\\005fall_tables\" s",
                "SELECT * FROM \"pg_stat_all_tables\" \"pg_locks\"",
                "SELECT * FROM app.pg_catalog.pg_locks",
                "CREATE TEMP VIEW v AS SELECT * FROM pg_locks; SELECT * FROM v",
                "CREATE TEMP TABLE v AS SELECT * FROM pg_stat_user_tables; SELECT relname FROM v",
                "PREPARE p AS SELECT relname FROM pg_stat_user_tables; EXECUTE p",
                "SELECT pg_lock_status()",
                "SELECT * FROM pg_stat_activity",
                "SELECT * FROM pg_stat_database",
                "SELECT pg_stat_get_activity(NULL)",
                "SELECT (pg_stat_get_wal_senders()).*",
                "SELECT pg_get_replication_slots()",
            ] {
                for answer in
                    [wire.simple(&format!("BEGIN; {text}; COMMIT")).await, wire.extended(text, &[]).await]
                {
                    let shown = answer.messages.iter().find(|message| {
                        let body = String::from_utf8_lossy(&message.body);
                        body.contains("xyzzy") && !body.contains("LIKE") || body.contains("globex")
                    });
                    assert!(shown.is_none(), "{strategy} {hide} {path} {text}: {shown:?}");
                }
                wire.simple("ROLLBACK; DEALLOCATE ALL").await;
            }
        }
    }
}

/// On a hardened database nobody sees sessions, and the rest is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn hardened_database_shows_locks_and_counts() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).hardened()).await;
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "SELECT count(*) > 0 FROM pg_locks",
            "SELECT count(*) > 0 FROM pg_stat_user_tables",
            "SELECT count(*) > 0 FROM pg_statio_all_tables",
            "SELECT count(*) = 0 FROM pg_replication_slots",
        ] {
            assert_eq!(wire.simple(text).await.value(), "t", "{text}");
        }
        assert_eq!(wire.simple("SELECT * FROM pg_stat_ssl").await.code(), "42501");
    }
}
