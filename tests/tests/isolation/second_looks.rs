//! What was looked at once, and means another thing by the time that it is done: attacks of several steps, which got
//! through, or would have.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shared_tables::{Beside, PROTOCOLS, Protocol, know, open, run, shared, ways};
use pgstrata_tests::stage::names;
use pgstrata_tests::{Setup, Stage, Wire};

/// Runs each text as one `Query`; the error of the last.
async fn all(wire: &mut Wire, texts: &[&str]) -> String {
    let mut code = String::new();
    for text in texts {
        code = wire.simple(text).await.code().to_string();
    }
    code
}

/// One connection gives itself a right on a view in a transaction that sees the view as it was: another has it show shared
/// rows, or settings, by now.
#[tokio::test(flavor = "multi_thread")]
async fn right_is_not_granted_by_an_old_snapshot() {
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        for isolation in ["REPEATABLE READ", "SERIALIZABLE"] {
            let (mut a, mut b) = (stage.wire("acme_corp").await, stage.wire("acme_corp").await);
            let made =
                "CREATE TABLE base (id int, name text, price_cents int); CREATE VIEW v AS SELECT * FROM base";
            assert_eq!(b.simple(made).await.code(), "");
            all(&mut a, &[&format!("BEGIN ISOLATION LEVEL {isolation}"), "SELECT count(*) FROM posts"]).await;
            let changed = b.simple("CREATE OR REPLACE VIEW v AS SELECT * FROM public.plans").await;
            assert_eq!(changed.code(), "", "{changed:?}");
            let granted = run(&mut a, protocol, "GRANT ALL ON v TO CURRENT_USER").await;
            assert_eq!(granted.code(), "42501", "{isolation}: {granted:?}");
            a.simple("ROLLBACK").await;
            let written = run(&mut a, protocol, "INSERT INTO v VALUES (98, 'mine', 0)").await;
            assert_eq!(written.code(), "42501", "{isolation}: {written:?}");

            // The other way round: the right was granted when the view was harmless, and is not seen by its seal.
            all(&mut b, &["DROP VIEW v", "CREATE VIEW v AS SELECT * FROM public.plans"]).await;
            all(
                &mut b,
                &["DROP VIEW v", "CREATE VIEW v AS SELECT * FROM base", "REVOKE ALL ON v FROM CURRENT_USER"],
            )
            .await;
            all(&mut a, &[&format!("BEGIN ISOLATION LEVEL {isolation}"), "SELECT count(*) FROM posts"]).await;
            assert_eq!(b.simple("GRANT ALL ON v TO CURRENT_USER").await.code(), "");
            a.simple("CREATE OR REPLACE VIEW v AS SELECT * FROM public.plans").await;
            a.simple("COMMIT").await;
            let written = run(&mut b, protocol, "INSERT INTO v VALUES (98, 'mine', 0)").await;
            assert!(written.fault().is_none() || written.code() == "42501", "{isolation}: {written:?}");
            assert_eq!(shared(&stage).await, before, "{isolation}");

            // A view that is made there, under a path of one's own too, is one's own.
            a.simple(&format!(
                "SET search_path = acme_corp, public; BEGIN ISOLATION LEVEL {isolation}; SELECT 1"
            ))
            .await;
            let made = a.simple("CREATE VIEW mine AS SELECT name FROM users").await;
            assert_eq!(made.code(), "", "{isolation}: {made:?}");
            a.simple("ROLLBACK; RESET search_path").await;
            // On a table it goes well, as it is no view for sure.
            a.simple(&format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM posts")).await;
            assert_eq!(a.simple("GRANT ALL ON users TO CURRENT_USER").await.code(), "");
            a.simple("ROLLBACK").await;
            b.simple("DROP VIEW v; DROP TABLE base").await;
        }
    }
}

/// A statement of the protocol's that is run by SQL is asked about as it is when it is bound.
#[tokio::test(flavor = "multi_thread")]
async fn statement_is_asked_about_when_it_is_executed_by_name() {
    const OWN: &str = "CREATE TABLE plans (id int, name text, price_cents int)";
    for (strategy, protocol) in ways() {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        for statement in [
            "DELETE FROM plans",
            "UPDATE plans SET name = 'x'",
            "INSERT INTO plans VALUES (9, 'x', 0)",
            "SELECT * FROM plans FOR UPDATE",
        ] {
            for by_sql in [false, true] {
                let mut wire = stage.wire("acme_corp").await;
                all(&mut wire, &[OWN, "CREATE TEMP TABLE plans (id int, name text, price_cents int)"]).await;
                let prepared = match by_sql {
                    true => wire.simple(&format!("PREPARE s AS {statement}")).await,
                    false => wire.parse("s", statement).sync().answer().await,
                };
                assert!(matches!(&*prepared.code(), "" | "42501"), "{statement} {by_sql}: {prepared:?}");
                if prepared.fault().is_some() {
                    // Which one is meant is left open.
                    assert!(by_sql, "{statement}: {prepared:?}");
                    wire.simple("DROP TABLE pg_temp.plans, acme_corp.plans").await;
                    continue;
                }
                // While the temporary one is there, it is meant.
                let executed = run(&mut wire, protocol, "EXECUTE s").await;
                assert_eq!(executed.code(), "", "{statement} {by_sql}: {executed:?}");
                let mut code =
                    all(&mut wire, &["BEGIN", "DROP TABLE pg_temp.plans", "DROP TABLE acme_corp.plans"])
                        .await;
                assert_eq!(code, "");
                code = run(&mut wire, protocol, "EXECUTE s").await.code().to_string();
                assert!(matches!(&*code, "42501" | "42P01"), "{statement} {by_sql}: {code}");
                wire.simple("COMMIT").await;
                assert_eq!(shared(&stage).await, before, "{statement} {by_sql}");
                wire.simple("DROP TABLE IF EXISTS acme_corp.plans, pg_temp.plans").await;
            }
        }
        // All in one text.
        let mut wire = stage.wire("acme_corp").await;
        let text = format!(
            "{OWN}; CREATE TEMP TABLE plans (id int, name text, price_cents int); PREPARE z AS DELETE FROM plans; \
             DROP TABLE pg_temp.plans; DROP TABLE acme_corp.plans; EXECUTE z"
        );
        let answer = wire.simple(&text).await;
        assert!(matches!(&*answer.code(), "42501" | "42P01"), "{answer:?}");
        assert_eq!(shared(&stage).await, before);
    }
}

/// A time-out that the administrator has set is not raised by a statement that is run by its name.
#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_what_is_executed_by_name() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        stage.superuser().await.batch_execute("ALTER ROLE app SET statement_timeout = '7s'").await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("s", "SELECT set_config('statement_timeout', '0', false) FROM generate_series(1, 1)");
        wire.sync().answer().await;
        for text in ["EXECUTE s", "SELECT 1; EXECUTE s"] {
            assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
        }
        assert_eq!(wire.extended("EXECUTE s", &[]).await.code(), "42501");
        assert_eq!(wire.simple("SHOW statement_timeout").await.value(), "7s");
    }
}

/// What is undone in the same text is looked at again.
#[tokio::test(flavor = "multi_thread")]
async fn name_is_looked_at_again_behind_what_undoes_it() {
    for strategy in STRATEGIES {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        for undo in ["ROLLBACK TO a", "DISCARD TEMP", "DROP TABLE pg_temp.plans"] {
            for write in [
                "INSERT INTO plans VALUES (98, 'x', 0)",
                "DELETE FROM plans",
                "SELECT * FROM plans FOR UPDATE",
            ] {
                let mut wire = stage.wire("acme_corp").await;
                wire.simple("CREATE TABLE plans (id int, name text, price_cents int)").await;
                let text = format!(
                    "BEGIN; DROP TABLE acme_corp.plans; SAVEPOINT a; \
                     CREATE TEMP TABLE plans (id int, name text, price_cents int); {write}; {undo}; {write}; COMMIT"
                );
                let answer = wire.simple(&text).await;
                assert!(matches!(&*answer.code(), "42501" | "42P01" | "25001"), "{text}: {answer:?}");
                wire.simple("ROLLBACK").await;
                assert_eq!(shared(&stage).await, before, "{text}");
                wire.simple("DROP TABLE IF EXISTS acme_corp.plans").await;
            }
        }
    }
}

/// A shared operator gets no commutator and no negator of a tenant's: other tenants' queries would run its function.
#[tokio::test(flavor = "multi_thread")]
async fn shared_operator_is_not_linked_to_a_tenants() {
    for (strategy, protocol) in ways() {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE FUNCTION public.alike(text, text) RETURNS bool LANGUAGE sql RETURN $1 = $2;
                 CREATE OPERATOR public.=~= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.alike);
                 ALTER OPERATOR public.=~= (text, text) OWNER TO app; GRANT CREATE ON SCHEMA public TO app",
            )
            .await
            .unwrap();
        let links = "SELECT oprname::text || ' ' || oprnegate::text || ' ' || oprcom::text FROM pg_operator \
                     WHERE oprnamespace = 'public'::regnamespace ORDER BY 1";
        let before = names(&server, links).await;
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(
            wire.simple("CREATE FUNCTION leak(text, text) RETURNS bool LANGUAGE sql RETURN true")
                .await
                .code(),
            ""
        );
        let definition = |more: &str| {
            format!("CREATE OPERATOR !=~= (LEFTARG = text, RIGHTARG = text, FUNCTION = leak, {more})")
        };
        for more in [
            "NEGATOR = OPERATOR(public.=~=)",
            "COMMUTATOR = OPERATOR(public.=~=)",
            "NEGATOR = =~=",
            "COMMUTATOR = =~=",
            "NEGATOR = OPERATOR(public.#@@#)",
        ] {
            let answer = run(&mut wire, protocol, &definition(more)).await;
            assert_eq!(answer.code(), "42501", "{more}: {answer:?}");
            assert_eq!(names(&server, links).await, before, "{more}");
        }
        for more in ["NEGATOR = OPERATOR(acme_corp.=~~=)", "COMMUTATOR = OPERATOR(acme_corp.!=~=)"] {
            assert_eq!(run(&mut wire, protocol, &definition(more)).await.code(), "", "{more}");
            wire.simple("DROP OPERATOR !=~= (text, text)").await;
        }
    }
}

/// Another tenant's types are used under their numbers no more than under their names.
#[tokio::test(flavor = "multi_thread")]
async fn types_of_others_have_no_numbers() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE TYPE globex.mood AS ENUM ('calm'); CREATE TYPE acme_corp.mood AS ENUM ('wild');
                 CREATE TYPE public.mood AS ENUM ('shared'); CREATE DOMAIN globex.positive AS int CHECK (VALUE > 0);
                 GRANT USAGE ON SCHEMA globex TO PUBLIC",
            )
            .await
            .unwrap();
        let mut wire = stage.wire("acme_corp").await;
        let number = async |name: &str| -> u32 {
            let row = server.query_one(&format!("SELECT '{name}'::regtype::oid"), &[]).await.unwrap();
            row.get(0)
        };
        for (name, code) in [
            ("globex.users", "42501"),
            ("globex.users[]", "42501"),
            ("globex.mood", "42501"),
            ("globex.positive", "42501"),
            ("acme_corp.users", ""),
            ("acme_corp.mood", ""),
            ("public.mood", ""),
        ] {
            let oid = number(name).await;
            for text in ["SELECT $1", "CREATE TABLE steal AS SELECT $1 AS x"] {
                let mut body = format!("\0{text}\0").into_bytes();
                body.extend([0, 1]);
                body.extend(oid.to_be_bytes());
                let answer = wire.message(b'P', &body).sync().answer().await;
                assert_eq!(answer.code(), code, "{name} {text}: {answer:?}");
            }
        }
        // Of a statement that is parsed in a failed transaction, parameters are read when it is bound later.
        let oid = number("globex.positive").await;
        let mut body = b"end\0ROLLBACK\0\0\x01".to_vec();
        body.extend(oid.to_be_bytes());
        wire.simple("BEGIN").await;
        wire.simple("SELECT 1 / 0").await;
        let answer = wire.message(b'P', &body).sync().answer().await;
        assert!(matches!(&*answer.code(), "25P02" | "42501"), "{answer:?}");
        wire.simple("ROLLBACK").await;
        assert_eq!(wire.bind("end", &["7"]).sync().answer().await.code(), "26000");
        wire.simple("ROLLBACK").await;
        for call in
            ["domain_in('6', {}, -1)", "array_in('{{7}}', {}, -1)", "pg_catalog.record_in('(1)', {}, -1)"]
        {
            let call = call.replace("{}", &oid.to_string()).replace("{{", "{").replace("}}", "}");
            assert_eq!(wire.simple(&format!("SELECT {call}")).await.code(), "42501", "{call}");
        }
        for call in [
            "pg_input_is_valid('6', concat('globex', chr(46), 'positive'))",
            "pg_input_is_valid('6', $$int$$ || '4')",
        ] {
            assert_eq!(wire.simple(&format!("SELECT {call}")).await.code(), "42501", "{call}");
        }
        let locks = "SELECT pg_get_object_address('schema', array['glo' || 'bex'], '{}')";
        assert_eq!(wire.simple(locks).await.code(), "42501");
    }
}

/// A shared table that is so new that no proxy has heard of it, and a temporary table of another name.
#[tokio::test(flavor = "multi_thread")]
async fn new_shared_table_is_not_written_behind_ddl() {
    for strategy in STRATEGIES {
        let stage = open(Setup::new().strategy(strategy)).await;
        let _beside = Beside::of(&stage, Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        let mut wire = stage.wire("acme_corp").await;
        all(&mut wire, &["CREATE TEMP TABLE late (a int)", "PREPARE z AS INSERT INTO late VALUES (99)"])
            .await;
        assert_eq!(wire.simple("EXECUTE z").await.code(), "");
        server
            .batch_execute("CREATE TABLE public.late (a int); ALTER TABLE public.late OWNER TO app")
            .await
            .unwrap();
        wire.simple("DROP TABLE late").await;
        for protocol in PROTOCOLS {
            let answer = run(&mut wire, protocol, "EXECUTE z").await;
            assert!(matches!(&*answer.code(), "42501" | "42P01"), "{answer:?}");
        }
        assert!(names(&server, "SELECT a::text FROM public.late").await.is_empty());
        server.batch_execute("DROP TABLE public.late").await.unwrap();
        for write in ["INSERT INTO fresh VALUES (1)", "DELETE FROM fresh", "TRUNCATE fresh", "LOCK fresh"] {
            let mut wire = stage.wire("acme_corp").await;
            all(&mut wire, &["CREATE TABLE fresh (a int)", "CREATE TEMP TABLE scratch (a int)"]).await;
            know(&mut wire).await;
            server
                .batch_execute(
                    "CREATE TABLE public.fresh AS SELECT 7 AS a; ALTER TABLE public.fresh OWNER TO app",
                )
                .await
                .unwrap();
            let answer = wire.simple(&format!("BEGIN; DROP TABLE fresh; {write}; COMMIT")).await;
            assert!(matches!(&*answer.code(), "42501" | "42P01"), "{write}: {answer:?}");
            wire.simple("ROLLBACK").await;
            assert_eq!(names(&server, "SELECT a::text FROM public.fresh").await, ["7"], "{write}");
            server.batch_execute("DROP TABLE public.fresh").await.unwrap();
            assert_eq!(run(&mut wire, Protocol::Simple, "DROP TABLE IF EXISTS fresh").await.code(), "");
        }
    }
}
