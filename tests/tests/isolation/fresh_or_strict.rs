//! What a statement writes is known for sure when it runs, however old the proxy's picture of the catalog is: views over
//! settings and shared tables, tables that were dropped, names that mean another thing by now.
//!
//! The servers' role may write the shared tables here: what stops a tenant is the proxy, or what it had PostgreSQL do.

use pgstrata_tenancy::Tier;
use pgstrata_tests::database::install;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shared_tables::{Beside, know, open, run, shared, somebody_waits, ways};
use pgstrata_tests::stage::{eventually, names};
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_not_written_through_views() {
    let update = "UPDATE v SET setting = 'globex' WHERE name = 'search_path'";
    let view = "AS SELECT name, setting FROM pg_settings";
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let beside = Beside::of(&stage, Setup::new().strategy(strategy)).await;
        for made in [
            format!("CREATE VIEW v {view}"),
            format!("CREATE TEMP VIEW v {view}"),
            format!("CREATE VIEW w {view}; CREATE VIEW v AS SELECT * FROM w WHERE name <> ''"),
            format!("CREATE VIEW v {view} WHERE name <> '' WITH CHECK OPTION"),
            format!("CREATE VIEW v {view}; GRANT ALL ON v TO app"),
            format!("CREATE VIEW v {view}; GRANT UPDATE (setting) ON v TO PUBLIC"),
            format!("CREATE VIEW v {view}; GRANT ALL ON ALL TABLES IN SCHEMA acme_corp TO app"),
            format!("CREATE VIEW w {view}; ALTER VIEW w RENAME TO v"),
            "CREATE VIEW v AS SELECT name, setting FROM (SELECT * FROM pg_settings) s".to_owned(),
        ] {
            // In the same transaction, and then in another.
            for end in ["", "COMMIT"] {
                let mut wire = stage.wire("acme_corp").await;
                wire.simple("BEGIN").await;
                assert_eq!(run(&mut wire, protocol, &made).await.code(), "", "{made}");
                wire.simple(end).await;
                let refused = run(&mut wire, protocol, update).await;
                assert!(matches!(&*refused.code(), "42501" | "55000"), "{made} {end}: {refused:?}");
                wire.simple("ROLLBACK").await;
                assert_eq!(wire.simple(NAMES).await.column(), ACME, "{made} {end}");
                wire.simple("DROP VIEW IF EXISTS v; DROP VIEW IF EXISTS w").await;
            }
            // Through another proxy, of which this one does not hear.
            let (mut mine, mut other) = (stage.wire("acme_corp").await, beside.wire("acme_corp").await);
            know(&mut mine).await;
            assert_eq!(run(&mut other, protocol, &made.replace("TEMP ", "")).await.code(), "", "{made}");
            let refused = run(&mut mine, protocol, update).await;
            assert!(matches!(&*refused.code(), "42501" | "55000"), "{made}: {refused:?}");
            assert_eq!(mine.simple(NAMES).await.column(), ACME, "{made}");
            other.simple("DROP VIEW IF EXISTS v; DROP VIEW IF EXISTS w").await;
        }
    }
}

/// All in one text: what stands behind the DDL is decided behind the DDL.
#[tokio::test(flavor = "multi_thread")]
async fn view_and_write_in_one_text() {
    for strategy in STRATEGIES {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "CREATE VIEW v AS SELECT name, setting FROM pg_settings; UPDATE v SET setting = 'globex' WHERE name = 'search_path'; SELECT name FROM users",
            "CREATE VIEW v AS SELECT * FROM plans; INSERT INTO v VALUES (9, 'x', 0)",
            "CREATE TEMP VIEW v AS SELECT * FROM plans; DELETE FROM v",
            "BEGIN; CREATE VIEW v AS TABLE plans; COMMIT; UPDATE v SET name = 'x'",
            "CREATE VIEW acme_corp.v AS SELECT * FROM public.plans; DELETE FROM acme_corp.v",
            "CREATE VIEW v AS SELECT * FROM users; CREATE OR REPLACE VIEW v AS SELECT id, name, name AS email FROM plans; DELETE FROM v",
            "ALTER TABLE users RENAME TO people; CREATE VIEW users AS SELECT * FROM plans; DELETE FROM users",
            "DROP TABLE posts; DROP TABLE users; INSERT INTO users (name, email) VALUES ('x', 'x')",
            "DROP TABLE posts; DELETE FROM posts",
        ] {
            let answer = wire.simple(text).await;
            assert!(matches!(&*answer.code(), "42501" | "42P01"), "{text}: {answer:?}");
            assert!(!answer.tags().contains('D'), "{text}");
            wire.simple("ROLLBACK; DROP VIEW IF EXISTS v").await;
            assert_eq!(wire.simple(NAMES).await.column(), ACME, "{text}");
            assert_eq!(shared(&stage).await, before, "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_tables_are_not_written_through_what_a_tenant_makes() {
    let newest = install().major;
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        let beside = Beside::of(&stage, Setup::new().strategy(strategy)).await;
        let mut writes = vec![
            "INSERT INTO v VALUES (9, 'x', 0)",
            "INSERT INTO v SELECT 9, 'x', 0 FROM users",
            "INSERT INTO v VALUES (1, 'x', 0) ON CONFLICT (id) DO UPDATE SET name = 'x'",
            "UPDATE v SET name = 'x'",
            "UPDATE ONLY v SET name = 'x' FROM users",
            "DELETE FROM v",
            "DELETE FROM ONLY (v)",
            "WITH d AS (DELETE FROM v RETURNING *) SELECT count(*) FROM d",
            "EXPLAIN ANALYZE DELETE FROM v",
            "SELECT * FROM v FOR UPDATE",
            "SELECT * FROM v FOR NO KEY UPDATE",
            "SELECT * FROM v FOR SHARE",
            "SELECT 1 FROM users, (SELECT * FROM v) w FOR KEY SHARE OF w",
            "BEGIN; LOCK TABLE v IN EXCLUSIVE MODE",
            "PREPARE p AS DELETE FROM v; EXECUTE p",
            "CREATE RULE r AS ON UPDATE TO users DO ALSO UPDATE v SET name = 'x'; UPDATE users SET name = name",
            "CREATE RULE r AS ON UPDATE TO users DO DELETE FROM v; UPDATE users SET name = name",
            "CREATE RULE r AS ON UPDATE TO users DO ALSO DELETE FROM plans; UPDATE users SET name = name",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM v;END; SELECT f()",
            "BEGIN; DECLARE c CURSOR FOR SELECT * FROM v FOR UPDATE; FETCH 1 FROM c",
            "COPY v FROM STDIN",
            "TRUNCATE v",
        ];
        if newest >= 17 {
            writes.push("MERGE INTO v USING users u ON v.id = u.id WHEN MATCHED THEN DELETE");
        }
        for made in [
            "CREATE VIEW v AS SELECT * FROM plans",
            "CREATE VIEW w AS SELECT * FROM plans; CREATE VIEW v AS SELECT * FROM w WITH LOCAL CHECK OPTION",
            "CREATE TEMP VIEW v AS SELECT * FROM public.plans",
            "CREATE VIEW v AS SELECT id, name, 0 AS price_cents FROM users; CREATE OR REPLACE VIEW v AS SELECT * FROM plans",
        ] {
            let (mut wire, mut other) = (stage.wire("acme_corp").await, beside.wire("acme_corp").await);
            know(&mut other).await;
            assert_eq!(run(&mut wire, protocol, made).await.code(), "", "{made}");
            assert_eq!(run(&mut wire, protocol, "SELECT count(*) FROM v").await.value(), "3");
            for write in &writes {
                let mut all = vec![&mut wire];
                if !made.contains("TEMP") {
                    all.push(&mut other);
                }
                for wire in all {
                    let refused = run(wire, protocol, write).await;
                    // Where no row of it may be written, PostgreSQL says so itself.
                    let codes = ["42501", "0A000", "42809", "55000"];
                    assert!(codes.contains(&&*refused.code()), "{made}: {write}: {refused:?}");
                    wire.simple("ROLLBACK; DROP RULE IF EXISTS r ON users; DROP FUNCTION IF EXISTS f").await;
                    wire.simple("DEALLOCATE ALL").await;
                }
                assert_eq!(shared(&stage).await, before, "{made}: {write}");
            }
            wire.simple("DROP VIEW IF EXISTS v CASCADE; DROP VIEW IF EXISTS w CASCADE").await;
        }
    }
}

/// What was a table when the proxy looked is a view by now, or is gone: the statement waits for the lock of the one
/// who makes it so, and goes on with what the name means then.
#[tokio::test(flavor = "multi_thread")]
async fn name_that_changes_under_a_waiting_statement() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy).servers(4)).await;
        let beside = Beside::of(&stage, Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE TABLE acme_corp.plans (LIKE public.plans); ALTER TABLE acme_corp.plans OWNER TO app",
            )
            .await
            .unwrap();
        let mut other = beside.wire("acme_corp").await;
        let hears_of_it = "BEGIN; ALTER TABLE plans RENAME TO kept; ROLLBACK";
        eventually(true, async || {
            let answer = other.simple(hears_of_it).await;
            other.simple("ROLLBACK").await;
            answer.code() == ""
        })
        .await;
        let before = shared(&stage).await;
        for change in [
            "ALTER TABLE plans RENAME TO kept; CREATE VIEW plans AS SELECT * FROM public.plans",
            "ALTER TABLE plans RENAME TO kept; CREATE VIEW hop AS SELECT * FROM public.plans; ALTER VIEW hop RENAME TO plans",
            "ALTER TABLE plans RENAME TO kept",
        ] {
            for write in [
                "DELETE FROM plans",
                "SELECT * FROM plans FOR UPDATE",
                "UPDATE plans SET name = 'x'",
                "DROP TABLE plans",
            ] {
                for temporary in [false, true] {
                    for isolation in ["READ COMMITTED", "REPEATABLE READ"] {
                        let (mut wire, mut other) =
                            (stage.wire("acme_corp").await, beside.wire("acme_corp").await);
                        // It may have looked as the name was another's, behind a change of its own: it looks again
                        // behind another change, else it would refuse at once.
                        eventually(String::new(), async || {
                            wire.simple("CREATE TABLE looks (a int); DROP TABLE looks").await;
                            wire.simple("DELETE FROM plans WHERE false").await.code()
                        })
                        .await;
                        if temporary {
                            wire.simple("CREATE TEMP TABLE scratch (a int)").await;
                        }
                        wire.simple(&format!("BEGIN ISOLATION LEVEL {isolation}; SELECT 1")).await;
                        other.simple("BEGIN").await;
                        assert_eq!(other.simple(change).await.code(), "", "{change}");
                        let case = format!("{strategy} {change}; {write}; {temporary} {isolation}");
                        let mut waiting = tokio::spawn(async move {
                            let answer = run(&mut wire, protocol, write).await;
                            (wire, answer)
                        });
                        tokio::select! {
                            () = somebody_waits(&stage) => {}
                            done = &mut waiting => panic!("{case}: it did not wait: {:?}", done.unwrap().1),
                        }
                        assert_eq!(other.simple("COMMIT").await.code(), "");
                        let (mut wire, answer) = waiting.await.unwrap();
                        assert!(matches!(&*answer.code(), "42501" | "42P01" | "42809"), "{case}: {answer:?}");
                        wire.simple("COMMIT").await;
                        assert_eq!(shared(&stage).await, before, "{case}");
                        drop(wire);
                        other.simple("DROP VIEW IF EXISTS acme_corp.plans, acme_corp.hop").await;
                        other.simple("ALTER TABLE kept RENAME TO plans").await;
                    }
                }
            }
        }
    }
}

/// By an administrator, past every proxy: nothing is sealed there, and the proxy has not heard of it.
#[tokio::test(flavor = "multi_thread")]
async fn views_that_an_administrator_made() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let mut wire = stage.wire("acme_corp").await;
        know(&mut wire).await;
        let server = stage.superuser().await;
        let before = shared(&stage).await;
        server
            .batch_execute(
                "CREATE VIEW acme_corp.settings AS SELECT name, setting FROM pg_settings;
                 CREATE VIEW acme_corp.outward AS SELECT * FROM public.plans;
                 CREATE VIEW acme_corp.theirs AS SELECT * FROM globex.users;
                 CREATE VIEW acme_corp.inward AS SELECT * FROM acme_corp.users;
                 CREATE VIEW acme_corp.ruled AS SELECT 1 AS id;
                 CREATE RULE r AS ON DELETE TO acme_corp.ruled DO INSTEAD DELETE FROM public.plans;
                 CREATE TABLE acme_corp.parted (id int, name text) PARTITION BY LIST (id);
                 CREATE TABLE globex.part PARTITION OF acme_corp.parted DEFAULT;
                 CREATE TABLE acme_corp.heir (id int); CREATE TABLE globex.child () INHERITS (acme_corp.heir);
                 GRANT ALL ON ALL TABLES IN SCHEMA acme_corp TO app",
            )
            .await
            .unwrap();
        // Before the proxy has seen it, and then as well.
        for known in [false, true] {
            for text in [
                "UPDATE settings SET setting = 'globex' WHERE name = 'search_path'",
                "UPDATE acme_corp.settings SET setting = 'globex' WHERE name = 'search_path'",
                "DELETE FROM outward",
                "DELETE FROM theirs",
                "DELETE FROM ruled",
                "INSERT INTO parted VALUES (1, 'x')",
                "DELETE FROM heir",
                "SELECT * FROM outward FOR UPDATE",
                "PREPARE p AS DELETE FROM outward",
                "WITH x AS (DELETE FROM theirs RETURNING *) SELECT * FROM x",
                "CREATE VIEW over AS SELECT * FROM theirs; DELETE FROM over",
                "ALTER VIEW outward RENAME TO hidden; DELETE FROM hidden",
                "ALTER TABLE posts RENAME TO old; ALTER INDEX outward RENAME TO posts; DELETE FROM posts",
                "ALTER TABLE posts RENAME TO old; ALTER TABLE outward RENAME TO posts; DELETE FROM posts",
            ] {
                wire.simple("BEGIN").await;
                let refused = run(&mut wire, protocol, text).await;
                assert_eq!(refused.code(), "42501", "{known} {text}: {refused:?}");
                wire.simple("ROLLBACK").await;
                assert_eq!(wire.simple(NAMES).await.column(), ACME, "{known} {text}");
            }
            assert_eq!(
                run(&mut wire, protocol, "UPDATE inward SET name = name").await.commands(),
                ["UPDATE 3"]
            );
            assert_eq!(run(&mut wire, protocol, "SELECT count(*) FROM outward").await.value(), "3");
            // DDL makes the proxy look again.
            wire.simple("CREATE TABLE passing (a int); DROP TABLE passing").await;
            know(&mut wire).await;
        }
        assert_eq!(shared(&stage).await, before);
        assert_eq!(stage.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_tenants_is_not_changed_under_its_name() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let beside = Beside::of(&stage, Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        // Of all that is shared the tenant has its own, for now.
        let own = "CREATE TABLE plans (id int PRIMARY KEY, name text, price_cents int); CREATE SEQUENCE numbers; \
                   CREATE TYPE temper AS ENUM ('calm'); CREATE INDEX plans_by_name ON plans (name)";
        let gone = "DROP TABLE plans; DROP SEQUENCE numbers; DROP TYPE temper; DROP FUNCTION fee(int)";
        let before = shared(&stage).await;
        for text in [
            "INSERT INTO plans VALUES (9, 'x', 0)",
            "TRUNCATE plans",
            "ALTER TABLE plans ADD COLUMN x int",
            "ALTER TABLE plans RENAME TO x",
            "DROP TABLE plans",
            "COMMENT ON TABLE plans IS 'x'",
            "COMMENT ON COLUMN plans.name IS 'x'",
            "GRANT ALL ON plans TO PUBLIC",
            "CREATE RULE r AS ON INSERT TO plans DO NOTHING",
            "CREATE INDEX x ON plans (id)",
            "CREATE TABLE x () INHERITS (plans)",
            "SELECT setval('numbers', 1000)",
            "ALTER SEQUENCE numbers RESTART WITH 1000",
            "DROP FUNCTION fee(int)",
            "ALTER FUNCTION fee(int) STABLE",
            "COMMENT ON FUNCTION fee(int) IS 'x'",
            "ALTER TYPE temper ADD VALUE 'hot'",
            "DROP TYPE temper",
            "DROP INDEX plans_by_name",
            "ALTER INDEX plans_by_name RENAME TO x",
            "COMMENT ON INDEX plans_by_name IS 'x'",
            "ANALYZE plans",
            "VACUUM plans",
            "REINDEX TABLE plans",
            "CLUSTER plans USING plans_pkey",
            "LOCK TABLE plans",
            "SELECT * FROM plans FOR UPDATE",
            "SELECT * FROM plans FOR KEY SHARE",
            "WITH p AS (SELECT * FROM plans FOR SHARE) SELECT count(*) FROM p",
        ] {
            let (mut wire, mut other) = (stage.wire("acme_corp").await, beside.wire("acme_corp").await);
            let made = "CREATE FUNCTION fee(int) RETURNS int LANGUAGE sql RETURN 2";
            assert_eq!(other.simple(own).await.code(), "");
            assert_eq!(other.simple(made).await.code(), "");
            // With DDL of its own the proxy learns of them; then they go by another way.
            wire.simple("CREATE TABLE passing (a int); DROP TABLE passing").await;
            know(&mut wire).await;
            assert_eq!(other.simple(gone).await.code(), "");
            let answer = run(&mut wire, protocol, text).await;
            assert_ne!(answer.code(), "", "{text}");
            assert_eq!(shared(&stage).await, before, "{text}");
            // In the same transaction as the DDL.
            assert_eq!(other.simple(own).await.code(), "");
            assert_eq!(other.simple(made).await.code(), "");
            wire.simple("BEGIN").await;
            assert_eq!(wire.simple(gone).await.code(), "");
            let answer = run(&mut wire, protocol, text).await;
            assert_ne!(answer.code(), "", "{text}");
            wire.simple("COMMIT").await;
            assert_eq!(shared(&stage).await, before, "{text}");
            other.simple(gone).await;
        }
        drop(server);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_since_a_moment_is_not_changed() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        let mut wire = stage.wire("acme_corp").await;
        let mut temporary = stage.wire("acme_corp").await;
        assert_eq!(temporary.simple("CREATE TEMP TABLE passing (a int)").await.code(), "");
        know(&mut wire).await;
        // Nobody had it when the proxy looked.
        server
            .batch_execute(
                "CREATE TABLE public.notices (id int PRIMARY KEY, name text); CREATE SEQUENCE public.tickets;
                 CREATE VIEW public.shown AS SELECT 1 AS a; CREATE INDEX notices_by_name ON public.notices (name);
                 CREATE TYPE public.mood AS ENUM ('calm'); CREATE DOMAIN public.size AS int;
                 CREATE FUNCTION public.toll(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
                 GRANT ALL ON public.notices, public.shown TO app; GRANT ALL ON SEQUENCE public.tickets TO app;
                 ALTER TABLE public.notices OWNER TO app; ALTER VIEW public.shown OWNER TO app;
                 ALTER SEQUENCE public.tickets OWNER TO app; ALTER TYPE public.mood OWNER TO app;
                 ALTER DOMAIN public.size OWNER TO app; ALTER FUNCTION public.toll(int) OWNER TO app",
            )
            .await
            .unwrap();
        let before = shared(&stage).await;
        for text in [
            "GRANT SELECT ON notices TO PUBLIC",
            "REVOKE ALL ON notices FROM PUBLIC",
            "COMMENT ON TABLE notices IS 'x'",
            "COMMENT ON COLUMN notices.name IS 'x'",
            "ALTER TABLE notices ADD COLUMN x int",
            "ALTER TABLE notices RENAME TO x",
            "DROP TABLE notices",
            "DROP TABLE IF EXISTS notices",
            "CREATE INDEX x ON notices (id)",
            "CREATE INDEX CONCURRENTLY x ON notices (id)",
            "CREATE TRIGGER x BEFORE INSERT ON notices EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "CREATE TABLE x () INHERITS (notices)",
            "ANALYZE notices",
            "VACUUM notices",
            "REINDEX TABLE notices",
            "CLUSTER notices USING notices_pkey",
            "LOCK TABLE notices",
            "TRUNCATE notices",
            "INSERT INTO notices VALUES (1, 'x')",
            "SELECT * FROM notices FOR UPDATE",
            "DROP INDEX notices_by_name",
            "DROP INDEX CONCURRENTLY notices_by_name",
            "ALTER INDEX notices_by_name RENAME TO x",
            "DROP VIEW shown",
            "ALTER VIEW shown RENAME TO x",
            "GRANT ALL ON shown TO PUBLIC",
            "ALTER SEQUENCE tickets RESTART WITH 1000",
            "GRANT ALL ON SEQUENCE tickets TO PUBLIC",
            "DROP SEQUENCE tickets",
            "ALTER TYPE mood ADD VALUE 'hot'",
            "COMMENT ON TYPE mood IS 'x'",
            "DROP TYPE mood",
            "ALTER DOMAIN size SET NOT NULL",
            "DROP DOMAIN size",
            "ALTER FUNCTION toll(int) STABLE",
            "GRANT EXECUTE ON FUNCTION toll(int) TO app",
            "DROP FUNCTION toll(int)",
            "DROP FUNCTION toll",
        ] {
            for wire in [&mut wire, &mut temporary] {
                let answer = run(wire, protocol, text).await;
                assert_ne!(answer.code(), "", "{text}");
                assert_eq!(shared(&stage).await, before, "{text}");
            }
        }
        // What is the tenant's since a moment is.
        let own = "BEGIN; CREATE TABLE notices (id int); ALTER TABLE notices ADD COLUMN name text; \
                   COMMENT ON TABLE notices IS 'own'; GRANT SELECT ON notices TO PUBLIC; CREATE TYPE mood AS ENUM ('calm'); \
                   ALTER TYPE mood RENAME VALUE 'calm' TO 'hot'; DROP TYPE mood; DROP TABLE notices; COMMIT";
        for wire in [&mut wire, &mut temporary] {
            assert_eq!(run(wire, protocol, own).await.code(), "");
        }
        assert_eq!(shared(&stage).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_and_paths_of_ones_own() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        let mut wire = stage.wire("acme_corp").await;
        // Tenant, public and the session have one of that name.
        wire.simple("CREATE TEMP TABLE users (id int, name text)").await;
        for (text, said) in [
            ("INSERT INTO users VALUES (1, 'mine')", "INSERT 0 1"),
            ("UPDATE users SET name = upper(users.name)", "UPDATE 1"),
            ("COPY users TO STDOUT", "COPY 1"),
        ] {
            assert_eq!(run(&mut wire, protocol, text).await.commands(), [said], "{text}");
        }
        assert_eq!(wire.simple(NAMES).await.column(), ["MINE"]);
        assert_eq!(run(&mut wire, protocol, "TRUNCATE users").await.commands(), ["TRUNCATE TABLE"]);
        know(&mut wire).await;
        assert_eq!(run(&mut wire, protocol, "INSERT INTO plans VALUES (9, 'x', 0)").await.code(), "42501");
        assert_eq!(run(&mut wire, protocol, "DROP TABLE users").await.code(), "");
        assert_eq!(run(&mut wire, protocol, "UPDATE users SET name = name").await.commands(), ["UPDATE 3"]);
        assert_eq!(run(&mut wire, protocol, "UPDATE nothing SET name = name").await.code(), "42P01");
        // Made in the same text as it is written.
        let text = "CREATE TEMP TABLE users (id int, name text); INSERT INTO users VALUES (1, 'mine'); UPDATE users SET name = 'MINE'";
        assert_eq!(run(&mut wire, protocol, text).await.commands().last().unwrap(), "UPDATE 1");
        assert_eq!(wire.simple(NAMES).await.column(), ["MINE"]);
        assert_eq!(wire.simple("SELECT name FROM acme_corp.users ORDER BY id").await.column(), ACME);
        assert_eq!(run(&mut wire, protocol, "DROP TABLE users").await.code(), "");
        // A path of its own is followed.
        for (path, code) in [
            ("acme_corp", ""),
            ("acme_corp, public", ""),
            ("public, acme_corp", "42501"),
            ("public", "42501"),
            ("''", "42P01"),
        ] {
            let mut wire = stage.wire("acme_corp").await;
            for local in ["", "LOCAL "] {
                wire.simple(&format!("BEGIN; SET {local}search_path TO {path}")).await;
                let answer = run(&mut wire, protocol, "UPDATE users SET name = name").await;
                assert_eq!(answer.code(), code, "{local}{path}: {answer:?}");
                wire.simple("ROLLBACK").await;
            }
            wire.simple(&format!("SET search_path TO {path}")).await;
            let answer = run(&mut wire, protocol, "DELETE FROM users WHERE false").await;
            assert_eq!(answer.code(), code, "{path}: {answer:?}");
            assert_ne!(run(&mut wire, protocol, "DROP INDEX plans_by_name").await.code(), "", "{path}");
            assert_ne!(run(&mut wire, protocol, "DELETE FROM plans").await.code(), "", "{path}");
        }
        assert_eq!(shared(&stage).await, before);
    }
}

/// An index of a temporary table hides the tenant's, and the tenant's hides none of a shared schema.
#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_temporary_tables() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "CREATE TABLE numbers (n int)",
            "CREATE INDEX by_n ON numbers (n)",
            "CREATE TEMP TABLE letters (n text)",
            "CREATE INDEX by_letter ON letters (n)",
            "ALTER INDEX by_letter RENAME TO by_text",
            "REINDEX INDEX pg_temp.by_text",
            "DROP INDEX IF EXISTS by_text, by_text",
            "CREATE INDEX by_n ON letters (n)",
            "DROP INDEX by_n",
        ] {
            assert_eq!(run(&mut wire, protocol, text).await.code(), "", "{text}");
        }
        let own = "SELECT indexname FROM pg_indexes WHERE schemaname = 'acme_corp' AND tablename = 'numbers'";
        assert_eq!(wire.simple(own).await.column(), ["by_n"]);
        assert_eq!(run(&mut wire, protocol, "DROP INDEX by_n").await.code(), "");
        assert_eq!(wire.simple(own).await.column(), [""; 0]);
        assert_eq!(run(&mut wire, protocol, "DROP INDEX by_n").await.code(), "42704");
        assert_eq!(run(&mut wire, protocol, "DROP INDEX plans_by_name").await.code(), "42501");
        // Another session could drop the tenant's while this one waits for its lock.
        assert_eq!(run(&mut wire, protocol, "CREATE INDEX plans_by_name ON numbers (n)").await.code(), "");
        assert_eq!(run(&mut wire, protocol, "DROP INDEX plans_by_name").await.code(), "42501");
        assert_eq!(run(&mut wire, protocol, "DROP INDEX acme_corp.plans_by_name").await.code(), "");
        assert_eq!(shared(&stage).await, before);
    }
}

/// The answers are those of PostgreSQL: nothing of what is asked around a statement is seen.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_of_the_questions() {
    for strategy in STRATEGIES {
        let stage = open(Setup::new().strategy(strategy).servers(1)).await;
        let mut wire = stage.wire("acme_corp").await;
        let text = "CREATE VIEW v AS SELECT * FROM users -- a comment";
        let answer = wire.simple(text).await;
        assert_eq!((answer.tags().as_str(), answer.commands()), ("CZ", vec!["CREATE VIEW".to_owned()]));
        let text = "BEGIN; CREATE VIEW w AS SELECT * FROM v; UPDATE w SET name = name RETURNING id; SELECT 1; COMMIT";
        let answer = wire.simple(text).await;
        assert_eq!(answer.tags(), "CCTDDDCTDCCZ", "{answer:?}");
        assert_eq!(answer.commands(), ["BEGIN", "CREATE VIEW", "UPDATE 3", "SELECT 1", "COMMIT"]);
        wire.parse("s", "UPDATE w SET name = name WHERE id = $1").describe("s").sync();
        assert_eq!(wire.answer().await.tags(), "1tnZ");
        for _ in 0..2 {
            wire.bind("s", &["1"]).execute().bind("s", &["2"]).execute().sync();
            assert_eq!(wire.answer().await.tags(), "2C2CZ");
        }
        wire.parse("", "CREATE VIEW x AS SELECT 1").bind("", &[]).execute();
        wire.parse("", "GRANT ALL ON x TO app").bind("", &[]).execute().sync();
        assert_eq!(wire.answer().await.tags(), "12C12CZ");
        // A refusal in the middle of a pipeline fails it, as an error would.
        know(&mut wire).await;
        stage
            .superuser()
            .await
            .batch_execute(
                "CREATE VIEW acme_corp.o AS SELECT * FROM public.plans; GRANT ALL ON acme_corp.o TO app",
            )
            .await
            .unwrap();
        wire.simple("BEGIN").await;
        wire.parse("", "SELECT 1").bind("", &[]).execute();
        wire.parse("", "DELETE FROM o").bind("", &[]).execute();
        wire.parse("", "SELECT 2").bind("", &[]).execute().sync();
        let answer = wire.answer().await;
        // In the place of its ParseComplete: PostgreSQL would have resolved the name there.
        assert_eq!((answer.tags().as_str(), answer.code().as_str()), ("12DCEZ", "42501"));
        assert!(answer.fault().unwrap().hint.unwrap().contains("shared_writes"));
        assert_eq!(answer.status(), Some('E'));
        assert_eq!(wire.simple("ROLLBACK").await.code(), "");
        // Errors stand where the client wrote them.
        let fault = wire.simple("SELECT 1; UPDATE w SET nothing = 1").await.fault().unwrap();
        assert_eq!((fault.code.as_str(), fault.position.as_deref()), ("42703", Some("24")));
        let fault = wire.simple("CREATE VIEW y AS SELECT nothing; SELECT 1").await.fault().unwrap();
        assert_eq!((fault.code.as_str(), fault.position.as_deref()), ("42703", Some("25")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draws_of_others_are_told_by_no_view() {
    let insert = "INSERT INTO users (name, email) VALUES ('x', gen_random_uuid()::text)";
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy).servers(1)).await;
        let (mut mine, mut theirs) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for text in [
            "CREATE VIEW lv AS SELECT lastval()",
            "CREATE TEMP VIEW lv AS SELECT lastval()",
            "CREATE VIEW lv AS SELECT currval('users_id_seq')",
            "CREATE FUNCTION lf() RETURNS bigint LANGUAGE sql RETURN lastval()",
            "CREATE POLICY lp ON users USING (lastval() > 0)",
        ] {
            assert_eq!(run(&mut mine, protocol, text).await.code(), "42501", "{text}");
        }
        // What stands in the database already.
        stage
            .superuser()
            .await
            .batch_execute(
                "CREATE VIEW acme_corp.lv AS SELECT lastval();
                 CREATE VIEW acme_corp.over AS SELECT * FROM acme_corp.lv;
                 CREATE FUNCTION public.last_id() RETURNS bigint LANGUAGE sql AS 'SELECT lastval()';
                 CREATE VIEW acme_corp.by_function AS SELECT public.last_id();
                 CREATE TABLE acme_corp.secured (id int); INSERT INTO acme_corp.secured VALUES (1);
                 ALTER TABLE acme_corp.secured ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY p ON acme_corp.secured USING (lastval() > 0);
                 GRANT ALL ON ALL TABLES IN SCHEMA acme_corp TO app",
            )
            .await
            .unwrap();
        for known in [false, true] {
            for view in ["lv", "over", "acme_corp.over", "by_function", "secured"] {
                theirs.simple(insert).await;
                let asked = run(&mut mine, protocol, &format!("SELECT * FROM {view}")).await;
                assert_eq!(asked.code(), "55000", "{known} {view}: {asked:?}");
            }
            // A view of the same name as a table, in the transaction that makes it.
            theirs.simple(insert).await;
            let swap = "ALTER TABLE posts RENAME TO old; CREATE VIEW posts AS SELECT public.last_id()";
            mine.simple("BEGIN").await;
            assert_eq!(mine.simple(swap).await.code(), "");
            assert_eq!(run(&mut mine, protocol, "SELECT * FROM posts").await.code(), "55000");
            mine.simple("ROLLBACK").await;
            mine.simple("CREATE TABLE passing (a int); DROP TABLE passing").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_with_no_tenant_reads_what_is_shared() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        let mut wire = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
        for text in [
            "INSERT INTO plans VALUES (9, 'x', 0)",
            "INSERT INTO public.plans VALUES (9, 'x', 0)",
            "UPDATE users SET name = 'x'",
            "CREATE TABLE planted (a int)",
            "CREATE VIEW planted AS SELECT * FROM plans",
            "CREATE FUNCTION planted() RETURNS int LANGUAGE sql RETURN 1",
            "DROP INDEX plans_by_name",
            "DROP FUNCTION fee(int)",
            "ALTER TYPE temper ADD VALUE 'hot'",
            "COMMENT ON TABLE plans IS 'x'",
            "GRANT ALL ON plans TO PUBLIC",
            "TRUNCATE plans",
            "COPY plans FROM STDIN",
            "SELECT 1 AS a INTO planted",
            "SELECT setval('numbers', 1000)",
            "SELECT * FROM plans FOR UPDATE",
            "CREATE TEMP VIEW v AS SELECT * FROM plans; DELETE FROM v",
            "CREATE TEMP VIEW v AS SELECT * FROM plans; GRANT ALL ON v TO app; DELETE FROM v",
        ] {
            let refused = run(&mut wire, protocol, text).await;
            // Where it may have temporary tables, one of those is looked for.
            let codes = ["42501", "42P01", "3F000"];
            assert!(codes.contains(&&*refused.code()), "{text}: {refused:?}");
            if refused.code() == "42501" && !text.contains("TEMP") {
                assert!(refused.fault().unwrap().hint.unwrap().contains("shared_writes"), "{text}");
            }
            wire.simple("ROLLBACK; DROP VIEW IF EXISTS pg_temp.v").await;
            assert_eq!(shared(&stage).await, before, "{text}");
        }
        assert_eq!(run(&mut wire, protocol, "SELECT count(*) FROM plans").await.value(), "3");
        assert_eq!(run(&mut wire, protocol, "CREATE TEMP TABLE mine (a int)").await.code(), "");
        assert_eq!(run(&mut wire, protocol, "INSERT INTO mine VALUES (1)").await.commands(), ["INSERT 0 1"]);
        // Where the operator says so, it writes.
        let setup = Setup::new().strategy(strategy).line("tenancy", "shared_writes = true");
        let beside = Beside::of(&stage, setup).await;
        let mut wire = Wire::login(beside.port, "app", "app", &[]).await.unwrap();
        assert_eq!(run(&mut wire, protocol, "UPDATE plans SET name = name").await.commands(), ["UPDATE 3"]);
        assert_eq!(run(&mut wire, protocol, "CREATE TABLE made (a int); DROP TABLE made").await.code(), "");
    }
}

/// With shared tables to be written, the catalog is not, and no tenant's tables through them.
#[tokio::test(flavor = "multi_thread")]
async fn catalog_is_not_written_where_shared_tables_are() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy).line("tenancy", "shared_writes = true")).await;
        stage
            .superuser()
            .await
            .batch_execute(
                "CREATE VIEW public.settings AS SELECT name, setting FROM pg_settings;
                 CREATE VIEW public.everybodys AS SELECT * FROM globex.users;
                 GRANT ALL ON public.settings, public.everybodys TO app",
            )
            .await
            .unwrap();
        let mut wire = stage.wire("acme_corp").await;
        let setting = "SET setting = 'globex' WHERE name = 'search_path'";
        for _known in [false, true] {
            for text in [
                format!("UPDATE settings {setting}"),
                format!("UPDATE public.settings {setting}"),
                format!("CREATE VIEW v AS SELECT * FROM settings; UPDATE v {setting}"),
                format!(
                    "CREATE VIEW public.v AS SELECT name, setting FROM pg_settings; UPDATE public.v {setting}"
                ),
                format!("CREATE TEMP VIEW v AS SELECT name, setting FROM pg_settings; UPDATE v {setting}"),
                "DELETE FROM everybodys".to_owned(),
                "CREATE VIEW v AS SELECT * FROM everybodys; DELETE FROM v".to_owned(),
            ] {
                wire.simple("BEGIN").await;
                let refused = run(&mut wire, protocol, &text).await;
                assert_eq!(refused.code(), "42501", "{text}: {refused:?}");
                wire.simple("ROLLBACK").await;
                assert_eq!(wire.simple(NAMES).await.column(), ACME, "{text}");
            }
            wire.simple("CREATE TABLE passing (a int); DROP TABLE passing").await;
        }
        assert_eq!(run(&mut wire, protocol, "UPDATE plans SET name = name").await.commands(), ["UPDATE 3"]);
        assert_eq!(
            run(&mut wire, protocol, "CREATE VIEW v AS SELECT * FROM plans; UPDATE v SET name = name")
                .await
                .code(),
            ""
        );
        assert_eq!(stage.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_tier_of_roles_it_is_the_same() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy).tier(Tier::Role)).await;
        let before = shared(&stage).await;
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "CREATE VIEW v AS SELECT name, setting FROM pg_settings; UPDATE v SET setting = 'globex' WHERE name = 'search_path'",
            "CREATE VIEW v AS SELECT * FROM plans; DELETE FROM v",
            "CREATE TEMP VIEW v AS SELECT * FROM plans; DELETE FROM v",
            "CREATE VIEW v AS SELECT * FROM plans; GRANT ALL ON v TO tenant_acme_corp; DELETE FROM v",
            "CREATE VIEW v AS SELECT * FROM plans; SELECT * FROM v FOR UPDATE",
        ] {
            wire.simple("BEGIN").await;
            let refused = run(&mut wire, protocol, text).await;
            assert_eq!(refused.code(), "42501", "{text}: {refused:?}");
            wire.simple("ROLLBACK").await;
            assert_eq!(wire.simple(NAMES).await.column(), ACME, "{text}");
        }
        assert_eq!(
            run(&mut wire, protocol, "CREATE VIEW v AS SELECT * FROM users; UPDATE v SET name = name")
                .await
                .code(),
            ""
        );
        assert_eq!(shared(&stage).await, before);
    }
}

/// What is asked goes with the statement: it is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn questions_take_no_round_trip() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1).relay().admin()).await;
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE VIEW inward AS SELECT * FROM users").await;
        know(&mut wire).await;
        wire.parse("s", "UPDATE inward SET name = name WHERE id = $1").sync().answer().await;
        for text in ["UPDATE inward SET name = name", "CREATE OR REPLACE VIEW w AS SELECT * FROM users"] {
            for named in [false, true] {
                for _ in 0..2 {
                    wire.simple("SELECT 1").await;
                    know(&mut wire).await;
                    stage.relay().settle().await;
                    let before = stage.relay().round_trips();
                    let answer = match named {
                        true if text.starts_with("UPDATE") => {
                            wire.bind("s", &["1"]).execute().sync().answer().await
                        }
                        true => wire.extended(text, &[]).await,
                        false => wire.simple(text).await,
                    };
                    assert_eq!(answer.code(), "", "{text}: {answer:?}");
                    stage.relay().settle().await;
                    assert_eq!(stage.relay().round_trips() - before, 1, "{text} {named}");
                }
            }
        }
    }
}

/// A right that nobody can revoke from a view: then the view is not made.
#[tokio::test(flavor = "multi_thread")]
async fn role_that_may_write_everything_makes_no_view_over_shared_tables() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        stage.superuser().await.batch_execute("GRANT pg_write_all_data TO app").await.unwrap();
        let before = shared(&stage).await;
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "CREATE VIEW v AS SELECT * FROM plans; DELETE FROM v",
            "CREATE TEMP VIEW v AS SELECT name, setting FROM pg_settings; UPDATE v SET setting = ''",
        ] {
            let refused = run(&mut wire, protocol, text).await;
            assert_eq!(refused.code(), "42501", "{text}: {refused:?}");
            assert_eq!(shared(&stage).await, before, "{text}");
        }
        let own = "CREATE VIEW v AS SELECT * FROM users; UPDATE v SET name = name";
        assert_eq!(run(&mut wire, protocol, own).await.code(), "");
    }
}

/// What a tenant has no name for any more, a shared table has: by another message, by another connection.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_shared_tables_are_locked_under_no_name() {
    let waits = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    for tier in [Tier::Names, Tier::Role] {
        for (strategy, protocol) in ways() {
            let stage = open(Setup::new().strategy(strategy).tier(tier)).await;
            let beside = Beside::of(&stage, Setup::new().strategy(strategy).tier(tier)).await;
            let (mut mine, mut other) = (stage.wire("acme_corp").await, beside.wire("acme_corp").await);
            know(&mut mine).await;
            know(&mut other).await;
            assert_eq!(run(&mut other, protocol, "ALTER TABLE users RENAME TO \"user\"").await.code(), "");
            for (name, wire) in [("other proxy", &mut mine), ("same connection", &mut other)] {
                for text in [
                    "SELECT FROM users FOR UPDATE",
                    "SELECT FROM users FOR SHARE",
                    "SELECT FROM public.users FOR KEY SHARE",
                    "SELECT * FROM plans FOR UPDATE",
                    "SELECT * FROM public.plans p FOR NO KEY UPDATE OF p NOWAIT",
                    "SELECT * FROM (SELECT * FROM plans) p FOR SHARE SKIP LOCKED",
                    "CREATE VIEW v AS SELECT * FROM plans FOR UPDATE",
                    "EXPLAIN ANALYZE SELECT * FROM plans FOR UPDATE",
                    "EXPLAIN ANALYZE CREATE TABLE public.made AS SELECT 1 AS a",
                    "PREPARE p AS SELECT * FROM plans FOR UPDATE",
                    "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM plans FOR UPDATE",
                ] {
                    wire.simple("BEGIN").await;
                    let refused = run(wire, protocol, text).await;
                    assert!(["42501", "42P01"].contains(&&*refused.code()), "{name}: {text}: {refused:?}");
                    // Nobody waits for a row of it.
                    let server = stage.superuser().await;
                    let update = "UPDATE public.users SET name = name; UPDATE public.plans SET name = name";
                    server.batch_execute(update).await.unwrap();
                    assert!(names(&server, waits).await.is_empty());
                    wire.simple("ROLLBACK").await;
                }
            }
            assert_eq!(
                run(&mut other, protocol, "SELECT FROM \"user\" FOR UPDATE").await.commands(),
                ["SELECT 3"]
            );
            // What is not shared is locked as ever.
            let own = "SELECT p.id FROM posts p JOIN plans ON true WHERE p.id = 0 FOR SHARE OF p";
            assert_eq!(run(&mut other, protocol, own).await.code(), "");
        }
    }
}

/// Settings are set by nothing that is called where nobody looks.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_set_by_nothing_that_a_tenant_makes() {
    for tier in [Tier::Names, Tier::Role] {
        for (strategy, protocol) in ways() {
            let stage = open(Setup::new().strategy(strategy).tier(tier)).await;
            let mut wire = stage.wire("acme_corp").await;
            for text in [
                "CREATE VIEW v AS SELECT set_config('search_path', 'globex', false)",
                "CREATE TEMP VIEW v AS SELECT pg_catalog.set_config('search_path', 'globex', false)",
                "CREATE RULE r AS ON UPDATE TO users DO ALSO SELECT set_config('search_path', 'globex', false)",
                "CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN set_config('role', 'tenant_globex', false)",
                "CREATE TABLE t (a text DEFAULT set_config('search_path', 'globex', false))",
                "CREATE RULE r AS ON UPDATE TO users DO ALSO UPDATE pg_settings SET setting = 'globex' WHERE name = 'search_path'",
            ] {
                let refused = run(&mut wire, protocol, text).await;
                assert_eq!(refused.code(), "42501", "{text}: {refused:?}");
                assert_eq!(wire.simple(NAMES).await.column(), ACME, "{text}");
            }
        }
    }
}

/// Triggers whose arguments name tables, wherever an administrator has put their functions.
#[tokio::test(flavor = "multi_thread")]
async fn trigger_arguments_name_no_table_of_others() {
    for (strategy, protocol) in ways() {
        for schema in ["public", "acme_corp"] {
            let stage = open(Setup::new().strategy(strategy)).await;
            let server = stage.superuser().await;
            server.batch_execute(&format!("CREATE EXTENSION refint SCHEMA {schema}")).await.unwrap();
            server.batch_execute(&format!("CREATE EXTENSION autoinc SCHEMA {schema}")).await.unwrap();
            let mut wire = stage.wire("acme_corp").await;
            wire.simple("CREATE TABLE t (n text)").await;
            for qualifier in ["", &format!("{schema}.")] {
                for call in [
                    "check_foreign_key(1, 'cascade', 'n', 'globex.users', 'name')",
                    "check_primary_key('n', 'globex.users', 'name')",
                    "autoinc('n', 'globex.users_id_seq')",
                ] {
                    let on = "BEFORE DELETE OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION";
                    let text = format!("CREATE TRIGGER d {on} {qualifier}{call}");
                    let refused = run(&mut wire, protocol, &text).await;
                    assert_eq!(refused.code(), "42501", "{text}: {refused:?}");
                    let hint = refused.fault().unwrap().hint.unwrap();
                    assert!(hint.contains("trusted_functions"), "{hint}");
                }
            }
            let mut theirs = stage.wire("globex").await;
            assert_eq!(theirs.simple(NAMES).await.column(), GLOBEX);
        }
    }
}

/// A `LOCK TABLE` that PostgreSQL would refuse by itself, as it stands in no transaction block, runs behind another
/// statement of its pipeline: what it is asked about must be asked then, if not before.
#[tokio::test(flavor = "multi_thread")]
async fn lock_that_waits_in_a_portal_locks_nothing_shared() {
    for tier in [Tier::Names, Tier::Role] {
        for strategy in STRATEGIES {
            let stage = open(Setup::new().strategy(strategy).tier(tier)).await;
            let server = stage.superuser().await;
            let mut wire = stage.wire("acme_corp").await;
            know(&mut wire).await;
            server
                .batch_execute("CREATE TABLE public.since (id int); GRANT ALL ON public.since TO PUBLIC")
                .await
                .unwrap();
            let lock = "LOCK TABLE since IN EXCLUSIVE MODE";
            assert_eq!(wire.parse("s", lock).sync().answer().await.tags(), "1Z");
            // Bound first, or behind its own Parse; run first, or behind what has made a block of the pipeline.
            for (parses, behind) in [(false, false), (false, true), (true, false), (true, true)] {
                let statement: &[u8] =
                    if parses { b"portal\0t\0\0\0\0\0\0\0" } else { b"portal\0s\0\0\0\0\0\0\0" };
                if parses {
                    wire.parse("t", lock);
                }
                wire.message(b'B', statement);
                if behind {
                    wire.parse("", "SELECT 1").bind("", &[]).execute();
                }
                wire.message(b'E', b"portal\0\0\0\0\0").message(b'H', b"").flush().await;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                let held = "SELECT count(*) FROM pg_locks WHERE relation = 'public.since'::regclass \
                            AND mode = 'ExclusiveLock' AND granted";
                let held: i64 = server.query_one(held, &[]).await.unwrap().get(0);
                assert_eq!(held, 0, "{strategy} {tier:?}: parses {parses}, behind {behind}");
                let code = wire.sync().answer().await.code();
                assert!(["42501", "25P01"].contains(&code.as_str()), "{strategy} {tier:?}: {code}");
                wire.close("t").sync().answer().await;
            }
        }
    }
}

/// A utility statement looks its names up when its portal runs, and not when that is bound.
#[tokio::test(flavor = "multi_thread")]
async fn portal_reaches_nothing_shared_when_its_table_is_gone() {
    for tier in [Tier::Names, Tier::Role] {
        for strategy in STRATEGIES {
            let stage = open(Setup::new().strategy(strategy).tier(tier)).await;
            let server = stage.superuser().await;
            let mut wire = stage.wire("acme_corp").await;
            know(&mut wire).await;
            let owner = if tier == Tier::Role { "tenant_acme_corp" } else { "app" };
            let made = format!(
                "CREATE TABLE public.twice (id int); INSERT INTO public.twice VALUES (1); GRANT ALL ON public.twice TO PUBLIC; \
                 ALTER TABLE public.twice OWNER TO {owner}"
            );
            server.batch_execute(&made).await.unwrap();
            for text in [
                "TRUNCATE twice",
                "DROP TABLE twice",
                "ALTER TABLE twice ADD COLUMN more int",
                "ANALYZE twice",
            ] {
                let own = format!(
                    "CREATE TABLE acme_corp.twice (id int); ALTER TABLE acme_corp.twice OWNER TO {owner}"
                );
                server.batch_execute(&own).await.unwrap();
                assert_eq!(wire.parse("s", text).sync().answer().await.tags(), "1Z", "{text}");
                wire.message(b'B', b"portal\0s\0\0\0\0\0\0\0");
                wire.parse("", "ALTER TABLE acme_corp.twice RENAME TO gone").bind("", &[]).execute();
                let answer = wire.message(b'E', b"portal\0\0\0\0\0").sync().answer().await;
                let shared = "SELECT count(*), (SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.twice'::regclass \
                              AND attnum > 0) FROM public.twice";
                let row = server.query_one(shared, &[]).await.expect("the shared table is there");
                assert_eq!(
                    (row.get::<_, i64>(0), row.get::<_, i64>(1)),
                    (1, 1),
                    "{strategy} {tier:?}: {text}: {answer:?}"
                );
                wire.close("s").sync().answer().await;
                server.batch_execute("DROP TABLE IF EXISTS acme_corp.twice, acme_corp.gone").await.unwrap();
            }
        }
    }
}
