//! `nextval`, `currval`, `setval` and `pg_get_serial_sequence` of what an expression or a parameter names: PostgreSQL
//! judges it when it runs, and another tenant's does not exist.

use pgstrata_tenancy::{Strategy, Tier};
use pgstrata_tests::answer::Answer;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::names;
use pgstrata_tests::{Setup, Stage, Wire};

const OBJECTS: &str = "CREATE SEQUENCE SCHEMA.s; CREATE SEQUENCE SCHEMA.\"Odd.Name\";
    CREATE TABLE SCHEMA.\"Notes\" (id serial, other int);
    GRANT ALL ON ALL SEQUENCES IN SCHEMA SCHEMA TO app; GRANT ALL ON ALL TABLES IN SCHEMA SCHEMA TO app;
    ALTER SEQUENCE SCHEMA.s OWNER TO app";

/// One server, so that both tenants' statements meet there; what each tenant has, and a sequence that is shared.
async fn stage(tier: Tier, strategy: Strategy, hide: bool) -> Stage {
    let setup = Setup::new().tier(tier).strategy(strategy).servers(1);
    let stage = Stage::new(setup.line("tenancy", format!("hide_other_tenants = {hide}"))).await;
    let server = stage.superuser().await;
    for schema in ["acme_corp", "globex"] {
        let objects = OBJECTS.replace("IN SCHEMA SCHEMA", &format!("IN SCHEMA {schema}"));
        server.batch_execute(&objects.replace("SCHEMA.", &format!("{schema}."))).await.unwrap();
        if tier == Tier::Role {
            let owner = format!(
                "ALTER SEQUENCE {schema}.s OWNER TO tenant_{schema}; \
                GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO tenant_{schema}"
            );
            server.batch_execute(&owner).await.unwrap();
        }
    }
    let shared = "CREATE SEQUENCE public.drawn; GRANT ALL ON SEQUENCE public.drawn TO PUBLIC";
    server.batch_execute(shared).await.unwrap();
    stage
}

/// Where sequences of others, and the shared one, stand.
async fn of_others(stage: &Stage) -> Vec<String> {
    let all = "SELECT schemaname || '.' || sequencename || ' ' || coalesce(last_value, 0) FROM pg_sequences \
               WHERE schemaname <> 'acme_corp' ORDER BY 1";
    names(&stage.superuser().await, all).await
}

async fn number(stage: &Stage, name: &str) -> String {
    names(&stage.superuser().await, &format!("SELECT '{name}'::regclass::oid::text")).await.concat()
}

/// The answers to a call of what a parameter names, and of what an expression makes of it.
async fn answers(wire: &mut Wire, call: &str, name: &str) -> Vec<Answer> {
    let literal = format!("'{}'", name.replace('\'', "''"));
    let mut out = vec![wire.extended(&call.replace("NAME", "$1"), &[name]).await];
    for written in [format!("{literal} || ''"), format!("(SELECT {literal}::varchar)::text")] {
        let text = call.replace("NAME", &written);
        out.push(wire.simple(&text).await);
        out.push(wire.extended(&text, &[]).await);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_name_ones_own_sequences() {
    for (tier, strategy) in [Tier::Names, Tier::Role].into_iter().flat_map(|t| STRATEGIES.map(|s| (t, s))) {
        let stage = stage(tier, strategy, false).await;
        let (own, odd) =
            (number(&stage, "acme_corp.s").await, number(&stage, "acme_corp.\"Odd.Name\"").await);
        let mut wire = stage.wire("acme_corp").await;
        for name in ["s", "S", "acme_corp.s", "\"s\"", "app.acme_corp.s", &own, "\"Odd.Name\"", &odd] {
            let sequence = if name.contains("dd") || name == odd { "\"Odd.Name\"" } else { "s" };
            wire.simple("BEGIN").await;
            wire.simple(&format!("SELECT setval('{sequence}', 10)")).await;
            for (n, answer) in answers(&mut wire, "SELECT nextval(NAME)", name).await.iter().enumerate() {
                assert_eq!(answer.value(), (11 + n).to_string(), "{tier:?} {strategy} {name}");
            }
            for answer in answers(&mut wire, "SELECT currval(NAME)", name).await {
                assert_eq!(answer.value(), "15", "{name}");
            }
            for answer in answers(&mut wire, "SELECT pg_catalog.setval(NAME, 40, false)", name).await {
                assert_eq!(answer.value(), "40", "{name}");
            }
            assert_eq!(wire.simple(&format!("SELECT nextval('{sequence}')")).await.value(), "40");
            wire.simple("COMMIT").await;
        }
        for (table, of) in [
            ("\"Notes\"", "acme_corp.\"Notes_id_seq\""),
            ("acme_corp.\"Notes\"", "acme_corp.\"Notes_id_seq\""),
            ("users", "acme_corp.users_id_seq"),
        ] {
            for answer in answers(&mut wire, "SELECT pg_get_serial_sequence(NAME, 'id')", table).await {
                assert_eq!(answer.value(), of, "{table}");
            }
            let call = "SELECT nextval(pg_get_serial_sequence($1, $2)) IS NOT NULL";
            assert_eq!(wire.extended(call, &[table, "id"]).await.value(), "t");
        }
        for call in ["nextval(NULL || 's')", "pg_get_serial_sequence('\"Notes\"' || '', 'other')"] {
            assert_eq!(wire.simple(&format!("SELECT {call}")).await.value(), "<null>", "{call}");
        }
        // What all tenants read can be drawn from, and not set.
        let before = of_others(&stage).await;
        assert_eq!(wire.extended("SELECT nextval($1)", &["public.drawn"]).await.value(), "1");
        assert_eq!(wire.extended("SELECT nextval($1)", &["drawn"]).await.value(), "2");
        for name in ["public.drawn", "drawn", &number(&stage, "public.drawn").await] {
            for answer in answers(&mut wire, "SELECT setval(NAME, 77)", name).await {
                assert_eq!(answer.code(), "42P01", "{name}");
            }
        }
        let after = of_others(&stage).await.join(",").replace("public.drawn 2", "public.drawn 0");
        assert_eq!(after, before.join(","));
        wire.simple("BEGIN; CREATE TEMP SEQUENCE s START 500; CREATE TEMP SEQUENCE mine START 600").await;
        for (name, value) in [("s", "500"), ("pg_temp.mine", "600"), ("mine", "601")] {
            assert_eq!(wire.extended("SELECT nextval($1)", &[name]).await.value(), value);
        }
        wire.simple("ROLLBACK").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_others_do_not_exist() {
    for (strategy, hide) in STRATEGIES.into_iter().flat_map(|s| [(s, false), (s, true)]) {
        let stage = stage(Tier::Names, strategy, hide).await;
        let before = of_others(&stage).await;
        let foreign = number(&stage, "globex.users_id_seq").await;
        let mut wire = stage.wire("acme_corp").await;
        for name in [
            "globex.users_id_seq", "globex.\"Odd.Name\"", "\"globex\".\"users_id_seq\"", "app.globex.s",
            "globex.missing", "nowhere.missing", "missing", &foreign, "4000000000",
        ] {
            for call in
                ["nextval(NAME)", "currval(NAME)", "setval(NAME, 999)", "pg_catalog.setval(NAME, 9, true)"]
            {
                for answer in answers(&mut wire, &format!("SELECT {call}"), name).await {
                    let fault = answer.fault().expect(name);
                    assert_eq!(fault.code, "42P01", "{hide} {call} {name}: {fault:?}");
                    let wanted = format!("relation \"{}\" does not exist", name.replace('"', ""));
                    assert_eq!(fault.message, wanted, "{call}");
                }
            }
        }
        // A table of another's has no sequence where the catalog shows it, and is none where it does not.
        for answer in answers(&mut wire, "SELECT pg_get_serial_sequence(NAME, 'id')", "globex.users").await {
            match hide {
                true => assert_eq!(answer.code(), "42P01"),
                false => assert_eq!(answer.value(), "<null>"),
            }
        }
        for missing in ["globex.missing", "missing", "nowhere.missing"] {
            for answer in answers(&mut wire, "SELECT pg_get_serial_sequence(NAME, 'id')", missing).await {
                assert_eq!(answer.code(), "42P01", "{missing}");
            }
        }
        assert_eq!(of_others(&stage).await, before);
    }
}

/// As somebody who wants another's numbers.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_reaches_a_sequence_of_anothers() {
    for (strategy, path) in STRATEGIES.into_iter().flat_map(|s| {
        ["SELECT 1", "SET search_path = acme_corp, pg_catalog, public", "SET search_path = ''"]
            .map(|p| (s, p))
    }) {
        let stage = stage(Tier::Names, strategy, false).await;
        let before = of_others(&stage).await;
        let foreign = number(&stage, "globex.s").await;
        let owner = stage.superuser().await;
        owner.batch_execute(&DISGUISES.replace("FOREIGN", &foreign)).await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.simple(path).await.code(), "");
        for argument in [
            "'glo' || 'bex.s'",
            "U&'\\0067lobex.s' || ''",
            "E'\\x67lobex.s' || ''",
            "N'globex.s' COLLATE \"C\"",
            "$$globex$$ || '.s'",
            "format('%I.%I', 'globex', 's')",
            "concat('globex', '.', 's')::regclass",
            "(concat('globex', '.', 's')::regclass)::oid",
            "to_regclass(concat('globex.', 's'))",
            "(SELECT oid FROM pg_catalog.pg_class WHERE oid = FOREIGN)",
            "(SELECT oid::regclass FROM pg_catalog.pg_class WHERE oid = FOREIGN)",
            "FOREIGN",
            "FOREIGN::oid",
            "FOREIGN::regclass",
            "FOREIGN::bigint::regclass",
            "(FOREIGN)::text::bpchar::regclass",
            "CAST(FOREIGN AS regclass)",
            "('{' || 'globex.s' || '}')::regclass[][1]",
            "(ARRAY[FOREIGN]::regclass[])[1]",
            "acme_corp.sneaky('x')",
            "('globex' || '.s')::acme_corp.disguised",
            "('(globex.s)')::acme_corp.wrapped",
            "'s' || '') + 0 * nextval('globex' || '.s'",
            "CASE WHEN random() < 2 THEN 'glo' || 'bex.s' END",
            "CASE WHEN setval('s', 1) = 1 THEN concat('globex.s') END",
            "(WITH pg_class AS (SELECT FOREIGN::oid AS oid) SELECT oid FROM pg_class)::regclass",
            "w.x",
            "o.oid",
            "x) AS x OFFSET 0) AS w) /*",
            "'s' || '' --",
        ] {
            let argument = argument.replace("FOREIGN", &foreign);
            for call in [format!("nextval({argument})"), format!("setval({argument}, 4711)")] {
                for text in [
                    format!("SELECT {call}"),
                    format!(
                        "WITH pg_class AS (SELECT {foreign}::oid AS oid, 0::oid AS relnamespace) SELECT {call} FROM pg_class"
                    ),
                    format!(
                        "SELECT {call} FROM (VALUES ('globex.s', {foreign}::oid)) AS w (x, oid), (VALUES ({foreign}::oid)) AS o (oid)"
                    ),
                ] {
                    for answer in [wire.simple(&text).await, wire.extended(&text, &[]).await] {
                        // NULL is drawn from nothing.
                        let drawn =
                            answer.fault().is_none() && answer.column().iter().any(|value| value != "<null>");
                        let own = argument.starts_with("'s'");
                        assert!(!drawn || own, "{strategy} {path} {text}: {answer:?}");
                    }
                }
            }
        }
        assert_eq!(of_others(&stage).await, before, "{strategy} {path}");
    }
}

/// Names of the tenant's own that stand in front of the catalog's, and what gives another's name.
const DISGUISES: &str = "SET search_path = acme_corp;
    CREATE TABLE pg_class AS SELECT FOREIGN::oid AS oid, 'acme_corp'::regnamespace::oid AS relnamespace;
    CREATE TABLE pg_namespace AS SELECT oid, 'acme_corp'::name AS nspname FROM pg_catalog.pg_namespace;
    CREATE FUNCTION yes(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION yes(name, name) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION yes(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE OPERATOR acme_corp.= (leftarg = oid, rightarg = oid, function = yes);
    CREATE OPERATOR acme_corp.= (leftarg = name, rightarg = name, function = yes);
    CREATE OPERATOR acme_corp.~ (leftarg = text, rightarg = text, function = yes);
    CREATE FUNCTION quote_ident(text) RETURNS text LANGUAGE sql AS 'SELECT $$globex.s$$';
    CREATE FUNCTION replace(text, text, text) RETURNS text LANGUAGE sql AS 'SELECT $$globex.s$$';
    CREATE FUNCTION to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT FOREIGN::regclass';
    CREATE FUNCTION sneaky(text) RETURNS text LANGUAGE sql AS 'SELECT $$globex.s$$';
    CREATE FUNCTION pg_my_temp_schema() RETURNS oid LANGUAGE sql AS 'SELECT $$globex$$::regnamespace::oid';
    CREATE DOMAIN disguised AS text;
    CREATE TYPE wrapped AS (x text);
    CREATE FUNCTION unwrapped(wrapped) RETURNS text LANGUAGE sql AS 'SELECT $$globex.s$$';
    CREATE CAST (wrapped AS text) WITH FUNCTION unwrapped(wrapped) AS IMPLICIT;
    GRANT ALL ON ALL TABLES IN SCHEMA acme_corp TO app;
    RESET search_path";

#[tokio::test(flavor = "multi_thread")]
async fn expression_is_evaluated_once() {
    for strategy in STRATEGIES {
        let stage = stage(Tier::Names, strategy, true).await;
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE SEQUENCE counter").await;
        let mut drawn = 0;
        for call in [
            "SELECT nextval(substr('s' || nextval('counter'), 1, 1))",
            "SELECT setval(substr('missing' || nextval('counter'), 1, 7), 1)",
            "SELECT pg_get_serial_sequence(left('users' || nextval('counter'), 5), 'id')",
            "SELECT nextval(('globex' || left(nextval('counter')::text, 0)) || '.s')",
        ] {
            for extended in [false, true] {
                match extended {
                    true => wire.extended(call, &[]).await,
                    false => wire.simple(call).await,
                };
                drawn += 1;
                let counted = wire.simple("SELECT last_value FROM counter").await.value();
                assert_eq!(counted, drawn.to_string(), "{call}");
            }
        }
        // Once for each row.
        let rows = "SELECT nextval(left('s' || nextval('counter') || n, 1)) FROM generate_series(1, 10) AS n";
        assert_eq!(wire.simple(rows).await.column().len(), 10);
        let counted = wire.simple("SELECT last_value FROM counter").await.value();
        assert_eq!(counted, (drawn + 10).to_string());
    }
}

/// The same text, prepared by both tenants on one server, draws each one's own.
#[tokio::test(flavor = "multi_thread")]
async fn one_text_of_two_tenants_draws_from_two_sequences() {
    for strategy in STRATEGIES {
        let stage = stage(Tier::Names, strategy, false).await;
        let mut clients = [stage.wire("acme_corp").await, stage.wire("globex").await];
        for (wire, from) in clients.iter_mut().zip(["100", "200"]) {
            assert_eq!(wire.simple(&format!("SELECT setval('s', {from})")).await.code(), "");
            wire.parse("draw", "SELECT nextval($1)").sync().answer().await;
        }
        for n in 1..8 {
            for (wire, from) in clients.iter_mut().zip([100, 200]) {
                let answer = wire.bind("draw", &["s"]).execute().sync().answer().await;
                assert_eq!(answer.value(), (from + n).to_string());
            }
            let answer = clients[0].bind("draw", &["globex.s"]).execute().sync().answer().await;
            assert_eq!(answer.code(), "42P01");
        }
        // As a parameter of PostgreSQL's own type, and through PREPARE.
        for wire in &mut clients {
            let drawn = wire.extended("SELECT nextval($1::regclass) > 100", &["s"]).await.value();
            assert_eq!(drawn, "t");
            wire.simple("BEGIN").await;
            wire.simple("PREPARE draw_by_name AS SELECT nextval($1) > 100").await;
            assert_eq!(wire.simple("EXECUTE draw_by_name('s')").await.value(), "t");
            assert_eq!(wire.simple("EXECUTE draw_by_name('nowhere.s')").await.code(), "42P01");
            wire.simple("ROLLBACK; DEALLOCATE ALL").await;
        }
    }
}

/// As Kysely reads a schema: all tables that the catalog shows, and the sequence of each column.
#[tokio::test(flavor = "multi_thread")]
async fn all_columns_are_asked_for_their_sequences() {
    for (strategy, hide) in STRATEGIES.into_iter().flat_map(|s| [(s, false), (s, true)]) {
        let stage = stage(Tier::Names, strategy, hide).await;
        let mut wire = stage.wire("acme_corp").await;
        let text = "select ns.nspname || '.' || c.relname || ' ' || \
                    pg_get_serial_sequence(quote_ident(ns.nspname) || '.' || quote_ident(c.relname), a.attname) \
                    from pg_catalog.pg_attribute a inner join pg_catalog.pg_class c on a.attrelid = c.oid \
                    inner join pg_catalog.pg_namespace ns on c.relnamespace = ns.oid where c.relkind in ('r', 'v', 'p') \
                    and ns.nspname !~ '^pg_' and ns.nspname <> 'information_schema' and a.attnum >= 0 \
                    and not a.attisdropped order by 1";
        for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
            let rows = answer.column();
            let own = "acme_corp.Notes acme_corp.\"Notes_id_seq\"";
            assert!(rows.iter().any(|row| row == own), "{hide} {rows:?}");
            assert!(!rows.iter().any(|row| row.contains("globex")), "{hide} {rows:?}");
        }
    }
}
