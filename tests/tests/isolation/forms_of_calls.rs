//! Functions in each form in which a text can name them, and the locks that they hold.

use std::fmt::Write;

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shared_tables::{run, ways};
use pgstrata_tests::stage::names;
use pgstrata_tests::{Setup, Stage, Wire};
use tokio_postgres::Client;

/// A function in C that reads the table in its argument belongs to no known extension.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_function_is_called_in_no_form() {
    for (strategy, protocol) in ways() {
        for schema in ["public", "acme_corp"] {
            let stage = Stage::new(Setup::new().strategy(strategy)).await;
            let server = stage.superuser().await;
            server.batch_execute(&format!("CREATE EXTENSION pgrowlocks SCHEMA {schema}")).await.unwrap();
            let mut wire = stage.wire("acme_corp").await;
            for text in [
                "SELECT * FROM pgrowlocks('globex.users')",
                "SELECT ('globex.users'::text).pgrowlocks",
                "SELECT (ARRAY['globex.users'])[1].pgrowlocks",
                "SELECT t.pgrowlocks FROM unnest(ARRAY['globex.users']) t",
                "SELECT \"unnest\".\"pgrowlocks\" FROM unnest(ARRAY['globex.users'])",
                "SELECT \"coalesce\".pgrowlocks FROM coalesce('globex.users'::text)",
                "SELECT 1 FROM users, LATERAL unnest(ARRAY['globex.users']) t WHERE EXISTS (SELECT t.pgrowlocks)",
                "CREATE OPERATOR !!! (RIGHTARG = text, FUNCTION = pgrowlocks)",
                "CREATE OPERATOR !!! (RIGHTARG = text, PROCEDURE = \"pgrowlocks\")",
                "CREATE AGGREGATE locked (text) (SFUNC = textcat, STYPE = text, FINALFUNC = pgrowlocks)",
                "CREATE AGGREGATE locked (BASETYPE = text, SFUNC = pgrowlocks, STYPE = text)",
                "CREATE VIEW w AS SELECT t.pgrowlocks FROM unnest(ARRAY['globex.users']) t",
                "CREATE FUNCTION f(public text) RETURNS text LANGUAGE sql RETURN public.pgrowlocks",
                "CREATE FUNCTION acme_corp(public text) RETURNS text LANGUAGE sql \
                 BEGIN ATOMIC SELECT acme_corp.public.pgrowlocks;END",
                // A function of PostgreSQL itself: it locks what a body names.
                "SELECT (16400::oid).fmgr_sql_validator",
                "CREATE OPERATOR !!! (RIGHTARG = oid, FUNCTION = fmgr_sql_validator)",
                "CREATE AGGREGATE locked (oid) (SFUNC = oidlarger, STYPE = oid, FINALFUNC = fmgr_sql_validator)",
            ] {
                let refused = run(&mut wire, protocol, text).await;
                assert_eq!(refused.code(), "42501", "{strategy} {schema} {text}: {refused:?}");
                let hint = refused.fault().unwrap().hint.unwrap();
                assert!(hint.contains("trusted_functions"), "{text}: {hint}");
            }
            let qualified = format!("CREATE OPERATOR !!! (RIGHTARG = text, FUNCTION = {schema}.pgrowlocks)");
            assert_eq!(run(&mut wire, protocol, &qualified).await.code(), "42501", "{qualified}");
        }
    }
}

/// An extension may be known for most of its functions, and not for one.
#[tokio::test(flavor = "multi_thread")]
async fn functions_of_known_extensions_that_reach_others_are_refused() {
    // PostGIS is not at hand: its name, and a function of its kind.
    const POSTGIS: &str = "
        CREATE FUNCTION public.dropgeometrytable(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
            EXECUTE format('DROP TABLE %I.%I', $1, $2); RETURN 'dropped'; END $$;
        CREATE FUNCTION public.st_area(text) RETURNS int LANGUAGE sql AS 'SELECT 42';
        ALTER EXTENSION isn ADD FUNCTION public.dropgeometrytable(text, text);
        ALTER EXTENSION isn ADD FUNCTION public.st_area(text);
        SET allow_system_table_mods = on;
        UPDATE pg_extension SET extname = 'postgis' WHERE extname = 'isn'";
    for (strategy, protocol) in ways() {
        for (made, refused, allowed, value) in [
            ("", "SELECT isn_weak(true)", "SELECT '978-0-11-000533-1'::isbn13", "978-0-11-000533-1"),
            ("", "SELECT (true).isn_weak", "SELECT is_valid('978-0-11-000533-1'::isbn13)", "t"),
            (POSTGIS, "SELECT DropGeometryTable('globex', 'users')", "SELECT ST_Area('a')", "42"),
        ] {
            let stage = Stage::new(Setup::new().strategy(strategy)).await;
            let server = stage.superuser().await;
            server.batch_execute("CREATE EXTENSION isn SCHEMA public").await.unwrap();
            server.batch_execute(made).await.unwrap();
            let mut wire = stage.wire("acme_corp").await;
            let answer = run(&mut wire, protocol, refused).await;
            assert_eq!(answer.code(), "42501", "{strategy} {refused}: {answer:?}");
            let answer = run(&mut wire, protocol, allowed).await;
            assert_eq!(answer.value(), value, "{strategy} {allowed}: {answer:?}");
            let rows = stage.wire("globex").await.simple("SELECT count(*) > 0 FROM users").await;
            assert_eq!(rows.value(), "t", "{rows:?}");
        }
    }
}

/// The same forms of functions that are known, and of a tenant's own.
#[tokio::test(flavor = "multi_thread")]
async fn known_functions_are_called_in_each_form() {
    for (strategy, protocol) in ways() {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 * 2",
            "CREATE FUNCTION add_up(int, int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + $2",
            "CREATE OPERATOR !!! (RIGHTARG = int, FUNCTION = twice)",
            "CREATE OPERATOR @+@ (LEFTARG = int, RIGHTARG = int, FUNCTION = acme_corp.add_up)",
            "CREATE AGGREGATE total (int) (SFUNC = add_up, STYPE = int, INITCOND = '0', PARALLEL = SAFE)",
        ] {
            assert_eq!(run(&mut wire, protocol, text).await.code(), "", "{text}");
        }
        for (text, value) in [
            ("SELECT (21).twice", "42"),
            ("SELECT n.twice FROM generate_series(21, 21) n", "42"),
            ("SELECT t.upper FROM unnest(ARRAY['a']) t", "A"),
            ("SELECT e.key || e.value FROM jsonb_each_text('{\"a\": \"b\"}') e", "ab"),
            ("SELECT !!! 21", "42"),
            ("SELECT 40 @+@ 2", "42"),
            ("SELECT total(n) FROM generate_series(1, 8) n", "36"),
        ] {
            let answer = run(&mut wire, protocol, text).await;
            assert_eq!(answer.value(), value, "{strategy} {text}: {answer:?}");
        }
    }
}

const OBJECTS: &str = "
    CREATE VIEW globex.v AS SELECT * FROM globex.users;
    CREATE MATERIALIZED VIEW globex.m AS SELECT * FROM globex.users;
    CREATE TABLE globex.t (a int, b text, CHECK (a > 0)) PARTITION BY RANGE (a);
    CREATE TABLE globex.t1 PARTITION OF globex.t FOR VALUES FROM (1) TO (9) PARTITION BY LIST (lower(b));
    CREATE TABLE globex.t2 PARTITION OF globex.t1 FOR VALUES IN ('b');
    CREATE INDEX i ON globex.t ((a + 1)) WHERE a > 1;
    CREATE STATISTICS globex.s ON (a + 1), b FROM globex.t;
    CREATE RULE r AS ON DELETE TO globex.t2 DO ALSO DELETE FROM globex.users;
    CREATE FUNCTION globex.f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM globex.users; END;
    CREATE FUNCTION globex.g() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM globex.users';
    CREATE FUNCTION globex.h() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER h BEFORE UPDATE ON globex.t2 FOR EACH ROW WHEN (NEW.a > OLD.a) EXECUTE FUNCTION globex.h();
    CREATE POLICY p ON globex.t2 USING (EXISTS (SELECT 1 FROM globex.users));
    CREATE DOMAIN globex.d AS int CHECK (VALUE > 0);
    CREATE TYPE globex.c AS (a int);
    GRANT ALL ON ALL TABLES IN SCHEMA globex TO app;";

/// The numbers of everything that globex has.
const NUMBERS: &str = "
    SELECT oid::text FROM pg_class WHERE relnamespace = 'globex'::regnamespace
    UNION ALL SELECT oid::text FROM pg_proc WHERE pronamespace = 'globex'::regnamespace
    UNION ALL SELECT oid::text FROM pg_type WHERE typname IN ('d', 'c') AND typnamespace = 'globex'::regnamespace
    UNION ALL SELECT oid::text FROM pg_constraint WHERE connamespace = 'globex'::regnamespace
    UNION ALL SELECT oid::text FROM pg_statistic_ext
    UNION ALL SELECT oid::text FROM pg_policy
    UNION ALL SELECT oid::text FROM pg_trigger WHERE tgname = 'h'
    UNION ALL SELECT oid::text FROM pg_rewrite WHERE ev_class >= 16384";

/// The functions of the catalog that take the number or the name of an object, with an expression for each argument.
const CALLS: &str = "
    SELECT format('SELECT pg_catalog.%I(%s)', proname, (
        SELECT string_agg(CASE
            WHEN kind = 'oid'::regtype OR kind = 'text'::regtype THEN format('o::%s', kind)
            WHEN kind::text ~ '^reg' THEN format('o::oid::%s', kind)
            WHEN kind IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN '1'
            WHEN kind = 'bool'::regtype THEN 'true'
            ELSE format('NULL::%s', kind) END, ', ' ORDER BY place)
        FROM unnest(proargtypes::regtype[]) WITH ORDINALITY AS a(kind, place)))
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
      AND proargtypes::oid[] && ARRAY['oid', 'regclass', 'regproc', 'regprocedure', 'regtype', 'text']::regtype[]::oid[]
      AND NOT proargtypes::oid[] && ARRAY['internal', 'anyenum', 'anyarray', '\"any\"', 'anyelement']::regtype[]::oid[]
    ORDER BY oid";

/// What is held of globex's tables by now.
async fn held(server: &Client) -> Vec<String> {
    let held = "SELECT relation::regclass::text || ' ' || mode FROM pg_locks l \
                JOIN pg_class c ON c.oid = l.relation WHERE relnamespace = 'globex'::regnamespace";
    names(server, held).await
}

/// Runs all these statements in one transaction, each behind a savepoint. How many of them were not refused.
async fn try_all(wire: &mut Wire, call: &str, objects: &[String]) -> usize {
    let mut text = String::from("BEGIN; SELECT 1");
    for object in objects {
        write!(text, "; {}", call.replace("o::", &format!("{object}::"))).unwrap();
    }
    // One that PostgreSQL refuses must not end those behind it.
    if wire.simple(&text).await.fault().is_none() {
        return objects.len();
    }
    wire.simple("ROLLBACK; BEGIN").await;
    let mut done = 0;
    for object in objects {
        wire.simple("SAVEPOINT s").await;
        let answer = wire.simple(&call.replace("o::", &format!("{object}::"))).await;
        match &*answer.code() {
            "" => done += 1,
            // It is refused whatever the object is.
            "42501" => return done,
            _ => _ = wire.simple("ROLLBACK TO s").await,
        }
    }
    done
}

/// Whatever function of the catalog a tenant calls with another tenant's object: it holds no lock on that.
#[tokio::test(flavor = "multi_thread")]
async fn functions_of_the_catalog_lock_nothing_of_another_tenants() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let server = stage.superuser().await;
        server.batch_execute(OBJECTS).await.unwrap();
        // Names that are no plain literals.
        let named = ["v", "m", "t1", "users"].map(|name| format!("concat('glo', 'bex.{name}')"));
        let objects = [names(&server, NUMBERS).await, named.to_vec()];
        let mut wire = stage.wire("acme_corp").await;
        let mut done = 0;
        for call in names(&server, CALLS).await {
            for objects in &objects {
                done += usize::from(try_all(&mut wire, &call, objects).await > 0);
                let held = held(&server).await;
                assert!(held.is_empty(), "{strategy} {call}: {held:?}");
                wire.simple("ROLLBACK").await;
            }
        }
        assert!(done > 100, "{strategy}: {done}");
    }
}
