//! What once got through, or would have: each try ends at the guard, or at a clean server.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shared_tables::know;
use pgstrata_tests::stage::names;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// One server, so that what one client leaves is what the next one gets.
async fn stages() -> [Stage; 2] {
    let [first, second] = STRATEGIES.map(|strategy| Setup::new().strategy(strategy).servers(1));
    [Stage::new(first).await, Stage::new(second).await]
}

/// The neighbour sees its own rows in both protocols, and its session is its own.
async fn neighbour_is_untouched(stage: &Stage, after: &str) {
    let mut neighbour = stage.wire("globex").await;
    assert_eq!(neighbour.simple(NAMES).await.column(), GLOBEX, "after {after}");
    assert_eq!(neighbour.extended(NAMES, &[]).await.column(), GLOBEX, "after {after}");
    for (setting, value) in [("statement_timeout", "0"), ("default_transaction_read_only", "off")] {
        let found = neighbour.simple(&format!("SHOW {setting}")).await.value();
        assert_eq!(found, value, "{setting} after {after}");
    }
    let mut public = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
    let path = public.simple("SHOW search_path").await.value();
    assert_eq!(path.replace('"', ""), "public", "after {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_the_proxy_cannot_be_named() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        assert_eq!(client.extended(NAMES, &[]).await.column(), ACME);
        for text in ["EXECUTE pgstrata_path('globex')", "DEALLOCATE pgstrata_path"] {
            assert_eq!(client.simple(text).await.code(), "26000", "{text}");
        }
        client.parse("s1", NAMES).sync().answer().await;
        client.parse("", "DEALLOCATE ALL").bind("", &[]).execute().bind("s1", &[]).execute();
        let fault = client.sync().answer().await.fault().unwrap();
        assert_eq!(fault.code, "26000");
        assert!(!fault.message.contains("pgstrata"), "{}", fault.message);
        drop(client);
        neighbour_is_untouched(&stage, "DEALLOCATE ALL in a pipeline").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strings_are_read_in_one_way_only() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        for (text, code) in [
            ("SET LOCAL standard_conforming_strings = off", "0A000"),
            ("SET standard_conforming_strings = E'off'", "0A000"),
            ("SET standard_conforming_strings = $$off$$", "0A000"),
            ("SELECT set_config('standard_conforming_strings', 'off', true)", "0A000"),
            ("SELECT set_config('client_encoding', 'SJIS', true)", "22023"),
            ("SET client_encoding = 'SJIS'", "22023"),
        ] {
            assert_eq!(client.simple(text).await.code(), code, "simple: {text}");
            assert_eq!(client.extended(text, &[]).await.code(), code, "extended: {text}");
        }
        client.simple("SET standard_conforming_strings = on").await;
        assert_eq!(client.simple("SELECT '\\' || name FROM users ORDER BY id").await.code(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alias_that_looks_like_a_schema_opens_no_list() {
    let join = "SELECT u.name FROM plans globex JOIN plans b ON true, globex.users u";
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        for text in [
            join.to_owned(),
            format!("DECLARE c CURSOR FOR {join}"),
            format!("CREATE VIEW v AS {join}"),
            format!("CREATE TABLE v AS {join}"),
            format!("PREPARE p AS {join}"),
            format!("{join}{}", " ".repeat(300_000)),
        ] {
            assert_eq!(client.simple(&text).await.code(), "42501", "{:.60}", text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequence_by_its_number() {
    for stage in stages().await {
        let query = "SELECT 'globex.users_id_seq'::regclass::oid::text";
        let oid: String = stage.superuser().await.query_one(query, &[]).await.unwrap().get(0);
        let mut client = stage.wire("acme_corp").await;
        for text in [format!("SELECT nextval('{oid}')"), format!("SELECT setval('{oid}', 500)")] {
            assert_eq!(client.simple(&text).await.code(), "42501", "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_client_that_is_gone_at_once() {
    for stage in stages().await {
        for text in [
            "SET default_transaction_read_only = on; SET statement_timeout = 1234",
            "SELECT 1; DEALLOCATE ALL",
        ] {
            let mut client = stage.wire("acme_corp").await;
            client.query(text).flush().await;
            drop(client);
            neighbour_is_untouched(&stage, text).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_table_in_disguise() {
    for stage in stages().await {
        for text in [
            "SELECT 'evil' AS name, 1 AS id INTO pg_temp.users",
            "BEGIN; SET LOCAL search_path TO pg_temp; CREATE TABLE users AS SELECT 'evil' AS name, 1 AS id; COMMIT",
            "EXPLAIN ANALYZE CREATE TEMP TABLE users AS SELECT 'evil' AS name, 1 AS id",
        ] {
            let mut client = stage.wire("acme_corp").await;
            client.simple(text).await;
            drop(client);
            neighbour_is_untouched(&stage, text).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn function_that_leaves_its_mark_on_the_session() {
    for stage in stages().await {
        let server = stage.superuser().await;
        let body = "CREATE FUNCTION acme_corp.mark() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            PERFORM set_config('search_path', 'globex', false);
            PERFORM set_config('statement_timeout', '1234', false);
            PERFORM pg_advisory_lock(7);
            CREATE TEMP TABLE users AS SELECT 'evil' AS name, 1 AS id;
        END $$";
        server.batch_execute(body).await.unwrap();
        let mut client = stage.wire("acme_corp").await;
        assert_eq!(client.simple("SELECT mark()").await.code(), "");
        neighbour_is_untouched(&stage, "a function").await;
        let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
        assert_eq!(server.query_one(locks, &[]).await.unwrap().get::<_, i64>(0), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_never_ends() {
    for stage in stages().await {
        // A Bind of 100,000 bytes, of which 500 come.
        let mut client = stage.wire("acme_corp").await;
        client.parse("b", "SELECT $1::text").sync().answer().await;
        let mut half = vec![b'B'];
        half.extend(100_000u32.to_be_bytes());
        half.extend(b"\0b\0\0\0\0\x01");
        half.resize(500, b'x');
        client.raw(&half).await;
        drop(client);
        neighbour_is_untouched(&stage, "half a Bind").await;
        // COPY data that goes on when PostgreSQL has given up on it.
        let mut client = stage.wire("acme_corp").await;
        client.simple("CREATE TABLE ct (id int)").await;
        client.query("COPY ct FROM STDIN").flush().await;
        client.until(b'G').await;
        // PostgreSQL looks a few bytes ahead of the line that it reads.
        client.copy_data("bad\nbad\nbad\n").flush().await;
        let mut half = vec![b'd'];
        half.extend(100_000u32.to_be_bytes());
        client.raw(&half).await;
        assert_eq!(client.answer().await.code(), "22P02");
        drop(client);
        neighbour_is_untouched(&stage, "half of a COPY").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn path_in_the_middle_of_a_text() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        for (before, text, shown) in [
            ("SET search_path TO public", "RESET search_path; SELECT current_schema()", "acme_corp"),
            ("SET search_path TO public", "RESET ALL; SELECT current_schema()", "acme_corp"),
            ("BEGIN; SET search_path TO public; SELECT 1", "ROLLBACK; SELECT current_schema()", "acme_corp"),
            ("SELECT 1", "BEGIN; SET search_path TO public; COMMIT; SELECT current_schema()", "public"),
            ("SELECT 1", "BEGIN; SET search_path TO public; SAVEPOINT s; ROLLBACK TO s; COMMIT", ""),
            ("SELECT 1", "SELECT current_schema()", "public"),
            ("RESET search_path", "SELECT current_schema()", "acme_corp"),
        ] {
            client.simple(before).await;
            let answer = client.simple(text).await;
            assert_eq!(answer.code(), "", "{text}");
            if !shown.is_empty() {
                assert_eq!(answer.rows().last().unwrap(), &[shown], "{before}; {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn table_of_a_name_that_the_template_has_too() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        assert_eq!(client.simple("CREATE TABLE plans (id int)").await.code(), "");
        assert_eq!(client.simple("INSERT INTO plans VALUES (1)").await.code(), "");
        assert_eq!(client.simple("DROP TABLE plans").await.code(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn harmless_literal_paves_no_way_for_another() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        for local in ["true", "false"] {
            let text = |name| format!("SELECT set_config('{name}', 'globex', {local}), 1");
            assert_eq!(client.simple(&text("app.x")).await.code(), "");
            assert_eq!(client.simple(&text("search_path")).await.code(), "42501");
            assert_eq!(client.extended(&text("role"), &[]).await.code(), "42501");
        }
        assert_eq!(client.simple("RESET search_path").await.code(), "");
        assert_eq!(client.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_tables_under_a_path_of_ones_own() {
    let insert = "INSERT INTO users (name, email) VALUES ('evil', 'evil')";
    for stage in stages().await {
        let server = stage.superuser().await;
        server.batch_execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO app").await.unwrap();
        let mut client = stage.wire("acme_corp").await;
        client.parse("s", insert).sync().answer().await;
        client.simple(&format!("PREPARE p AS {insert}")).await;
        for before in [
            "SET search_path TO public",
            "BEGIN; SET LOCAL search_path TO public, acme_corp",
            "SELECT set_config('search_path', 'public', false)",
            "BEGIN; SET LOCAL search_path TO public; SAVEPOINT a; RESET search_path; ROLLBACK TO a",
        ] {
            for text in [insert, "EXECUTE p"] {
                client.simple(before).await;
                let fault = client.simple(text).await.fault().unwrap();
                assert!(fault.message.contains("may not"), "{before}; {text}: {}", fault.message);
                client.simple("ROLLBACK; RESET search_path").await;
            }
            client.simple(before).await;
            let fault = client.bind("s", &[]).execute().sync().answer().await.fault().unwrap();
            assert!(fault.message.contains("may not"), "{before}; bind: {}", fault.message);
            client.simple("ROLLBACK; RESET search_path").await;
        }
        let answer = client.bind("s", &[]).execute().sync().answer().await;
        assert_eq!(answer.commands(), ["INSERT 0 1"], "{:?}", answer.fault());
        let count = "SELECT count(*) FROM public.users WHERE name = 'evil'";
        assert_eq!(server.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_that_a_tenant_computes_is_anothers_lock() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(4)).await;
        let (mut theirs, mut mine) = (stage.wire("globex").await, stage.wire("acme_corp").await);
        let mut colleague = stage.wire("globex").await;
        theirs.simple("SELECT pg_advisory_lock(42), pg_advisory_lock(1, 2)").await;
        let server = stage.superuser().await;
        let held = "SELECT ((classid::int8 << 32) | objid::int8)::text, \
                    classid::int8::bit(32)::int4::text, objid::int8::bit(32)::int4::text \
                    FROM pg_locks WHERE locktype = 'advisory'";
        let mut keys = vec!["42".to_owned(), "1, 2".to_owned()];
        for row in server.query(held, &[]).await.unwrap() {
            let [whole, high, low] = [0, 1, 2].map(|column| row.get::<_, String>(column));
            keys.extend([whole.clone(), format!("{high}, {low}")]);
            for hash in ["hashtextextended('acme_corp', 0)", "hashtextextended('acme_corp.', 0)"] {
                keys.push(format!("{whole} # {hash}"));
            }
            keys.push("42 # hashtextextended('acme_corp', 0) # hashtextextended('globex', 0)".to_owned());
            keys.push("1 # hashtext('acme_corp') # hashtext('globex'), 2".to_owned());
        }
        assert!(keys.len() > 8, "{keys:?}");
        for own in ["globex.42", "globex.1,2"] {
            let key = format!(
                "('x' || encode(substr(sha256(convert_to('{own}', 'UTF8')), 1, 8), 'hex'))::bit(64)::int8"
            );
            let taken = server.query_one(&format!("SELECT pg_try_advisory_lock({key})"), &[]).await.unwrap();
            assert!(!taken.get::<_, bool>(0), "{own} past the proxy is the same lock");
        }
        for key in keys {
            for text in
                [format!("SELECT pg_try_advisory_lock({key})"), format!("SELECT pg_advisory_unlock({key})")]
            {
                assert_eq!(mine.simple(&text).await.value(), "t", "{text}");
            }
            assert_eq!(mine.simple(&format!("SELECT pg_advisory_unlock({key})")).await.value(), "f");
        }
        for key in ["42", "1, 2", "'42'", "42::int2", "(SELECT 1), 1 + 1"] {
            let taken = format!("SELECT pg_try_advisory_lock({key})");
            assert_eq!(colleague.simple(&taken).await.value(), "f", "{key} is one lock for all of a tenant");
        }
        assert_eq!(colleague.extended("SELECT pg_try_advisory_lock($1)", &["42"]).await.value(), "f");
        assert_eq!(colleague.extended("SELECT pg_try_advisory_lock($1, $2)", &["1", "2"]).await.value(), "f");
        assert_eq!(colleague.simple("SELECT pg_try_advisory_lock(NULL) IS NULL").await.value(), "t");
        assert_eq!(colleague.simple("SELECT pg_try_advisory_lock(1, NULL) IS NULL").await.value(), "t");
        assert_eq!(theirs.simple("SELECT pg_advisory_unlock(1, 2)").await.value(), "t");
        assert_eq!(colleague.simple("SELECT pg_try_advisory_lock(1, 2)").await.value(), "t");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_others_rows_by_functions_that_are_written_as_columns() {
    for stage in stages().await {
        let server = stage.superuser().await;
        for (schema, word) in [("acme_corp", "plugh"), ("globex", "xyzzy")] {
            let add = format!("ALTER TABLE {schema}.users ADD COLUMN extra text DEFAULT '{word}'");
            server.batch_execute(&add).await.unwrap();
        }
        let mut client = stage.wire("acme_corp").await;
        let function = "CREATE FUNCTION all_of(a pg_attribute) RETURNS text LANGUAGE sql RETURN a::text";
        client.simple(function).await;
        for (column, from) in [
            ("a.to_jsonb", "pg_attribute a"),
            ("A.\"row_to_json\"", "pg_catalog.pg_attribute AS a"),
            ("pg_attribute.record_out", "pg_attribute"),
            ("pg_catalog.pg_attribute.to_json", "pg_attribute"),
            ("j.to_jsonb", "(pg_attribute a JOIN pg_am m ON true) AS j"),
            ("a.all_of", "pg_attribute a"),
        ] {
            let query = format!("SELECT {column} FROM {from} WHERE atthasmissing");
            for text in [
                query.clone(),
                format!("BEGIN; DECLARE c CURSOR FOR {query}; FETCH ALL FROM c; ROLLBACK"),
                format!("PREPARE p AS {query}; EXECUTE p; DEALLOCATE p"),
                format!("CREATE TEMP VIEW v AS {query}; SELECT * FROM v"),
            ] {
                let answer = client.simple(&text).await;
                assert!(!format!("{answer:?}").contains("xyzzy"), "{text}: {answer:?}");
                client.simple("ROLLBACK").await;
            }
            let answer = client.extended(&query, &[]).await;
            assert!(!format!("{answer:?}").contains("xyzzy"), "{query}: {answer:?}");
        }
        let own = "SELECT a.to_jsonb ->> 'attmissingval' FROM pg_attribute a WHERE a.atthasmissing";
        assert_eq!(client.simple(own).await.column(), ["[\"plugh\"]"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_lock_no_shared_table() {
    for stage in stages().await {
        let server = stage.superuser().await;
        server.batch_execute("GRANT REFERENCES ON public.plans TO app").await.unwrap();
        let mut client = stage.wire("acme_corp").await;
        for text in [
            "CREATE TABLE r (plan int REFERENCES public.plans)",
            "CREATE TABLE r (plan int, FOREIGN KEY (plan) REFERENCES plans (id))",
            "ALTER TABLE users ADD COLUMN plan int REFERENCES plans",
            "ALTER TABLE users ADD FOREIGN KEY (id) REFERENCES public.plans NOT VALID",
            "BEGIN; CREATE TABLE r (plan int REFERENCES plans); DROP TABLE r",
        ] {
            assert_eq!(client.simple(text).await.code(), "42501", "{text}");
            client.simple("ROLLBACK").await;
        }
        for text in [
            "CREATE TABLE plans (id int PRIMARY KEY, parent int REFERENCES plans, owner int REFERENCES users)",
            "CREATE TABLE r (plan int REFERENCES plans, post int REFERENCES acme_corp.posts); DROP TABLE r",
            "DROP TABLE plans",
        ] {
            assert_eq!(client.simple(text).await.code(), "", "{text}");
        }
    }
}

/// A foreign key to a shared table that an administrator made: to drop it, PostgreSQL takes ACCESS EXCLUSIVE on that
/// table, and all tenants wait to read it.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_an_administrator_made_lock_no_shared_table() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1).admin()).await;
        let server = stage.superuser().await;
        server
            .batch_execute(
                "CREATE TABLE acme_corp.subscriptions (
                     id int PRIMARY KEY, plan int REFERENCES public.plans, post int REFERENCES acme_corp.posts);
                 CREATE TABLE acme_corp.parent (plan int) PARTITION BY RANGE (plan);
                 CREATE TABLE acme_corp.part PARTITION OF acme_corp.parent DEFAULT;
                 ALTER TABLE acme_corp.part ADD FOREIGN KEY (plan) REFERENCES public.plans;
                 CREATE DOMAIN acme_corp.number AS int;
                 CREATE TABLE acme_corp.keyed (plan int REFERENCES public.plans) PARTITION BY RANGE (plan);
                 CREATE TABLE acme_corp.keyed_1 (plan int REFERENCES public.plans);
                 CREATE TABLE public.events (id int) PARTITION BY RANGE (id);
                 CREATE TABLE acme_corp.events_1 PARTITION OF public.events FOR VALUES FROM (1) TO (9);
                 ALTER TABLE acme_corp.keyed OWNER TO app; ALTER TABLE acme_corp.keyed_1 OWNER TO app;
                 ALTER TABLE acme_corp.events_1 OWNER TO app;
                 CREATE TABLE acme_corp.plain (id int PRIMARY KEY, post int REFERENCES acme_corp.posts, n int);
                 ALTER TABLE acme_corp.subscriptions OWNER TO app; ALTER TABLE acme_corp.parent OWNER TO app;
                 ALTER TABLE acme_corp.part OWNER TO app; ALTER TABLE acme_corp.plain OWNER TO app;
                 ALTER DOMAIN acme_corp.number OWNER TO app;
                 GRANT REFERENCES ON public.plans TO app",
            )
            .await
            .unwrap();
        // As a client that is the first of its tenant, and as one whose tenant's tables are known.
        for known in [false, true] {
            let mut client = stage.wire("acme_corp").await;
            if known {
                know(&mut client).await;
            }
            for text in [
                "DROP TABLE subscriptions",
                "DROP TABLE IF EXISTS nothing, acme_corp.subscriptions CASCADE",
                "DROP TABLE parent",
                "ALTER TABLE subscriptions DROP COLUMN plan",
                "ALTER TABLE subscriptions ADD COLUMN b int, DROP CONSTRAINT subscriptions_plan_fkey",
                "ALTER TABLE ONLY subscriptions ALTER COLUMN plan TYPE bigint",
                "DROP DOMAIN number CASCADE",
                "ALTER TABLE subscriptions ALTER CONSTRAINT subscriptions_plan_fkey DEFERRABLE",
                "ALTER TABLE keyed ATTACH PARTITION keyed_1 DEFAULT",
                "CREATE TABLE keyed_2 PARTITION OF keyed DEFAULT",
                "DROP TABLE events_1",
                "ALTER TABLE keyed DETACH PARTITION keyed_1 CONCURRENTLY",
                "ALTER TABLE subscriptions RENAME TO others; DROP TABLE others",
                "CREATE RULE r AS ON DELETE TO plain DO NOTHING; ALTER TABLE subscriptions DROP COLUMN plan",
            ] {
                for extended in [false, true] {
                    client.simple("BEGIN").await;
                    let mut code = String::new();
                    for one in text.split("; ").filter(|_| extended) {
                        code = client.extended(one, &[]).await.code().to_string();
                    }
                    if !extended {
                        code = client.simple(text).await.code().to_string();
                    }
                    assert_eq!(code, "42501", "{known} {text}");
                    let locked = "SELECT mode::text FROM pg_locks WHERE relation = 'public.plans'::regclass";
                    let locked = names(&server, locked).await;
                    assert!(locked.is_empty(), "{text}: {locked:?}");
                    client.simple("ROLLBACK").await;
                }
            }
            for text in [
                "ALTER TABLE subscriptions ADD COLUMN b int DEFAULT 1",
                "ALTER TABLE subscriptions ALTER COLUMN plan SET NOT NULL",
                "CREATE INDEX ON subscriptions (plan)",
                "ALTER TABLE subscriptions RENAME COLUMN plan TO tier",
                "ALTER TABLE plain DROP COLUMN post",
                "ALTER TABLE plain ALTER COLUMN n TYPE bigint",
                "DROP TABLE plain",
                "DROP DOMAIN number",
                "INSERT INTO subscriptions (id, plan) VALUES (1, 1)",
                "TRUNCATE subscriptions",
                "CREATE TABLE made (a int, b int); ALTER TABLE made DROP COLUMN b; DROP TABLE made",
            ] {
                let answer = client.simple(&format!("BEGIN; {text}; ROLLBACK")).await;
                assert_eq!(answer.code(), "", "{known} {text}: {answer:?}");
            }
        }
    }
}

/// An option of a definition may make what it names, and PostgreSQL would let the servers' role do so.
#[tokio::test(flavor = "multi_thread")]
async fn options_of_definitions_make_nothing_in_shared_schemas() {
    const MADE: &str = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT typname::text FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1";
    for stage in stages().await {
        let server = stage.superuser().await;
        server.batch_execute("GRANT CREATE ON SCHEMA public TO app").await.unwrap();
        let before = names(&server, MADE).await;
        let mut client = stage.wire("acme_corp").await;
        for text in [
            "CREATE TYPE span AS RANGE (subtype = int4, multirange_type_name = public.spans)",
            "CREATE TABLE made (a int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME public.numbers))",
            "ALTER TABLE users ADD made int GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME public.numbers)",
        ] {
            assert_eq!(client.simple(text).await.code(), "42501", "{text}");
            assert_eq!(client.extended(text, &[]).await.code(), "42501", "{text}");
            let own = text.replace("public.", "acme_corp.");
            assert_eq!(client.simple(&format!("BEGIN; {own}; ROLLBACK")).await.code(), "", "{own}");
        }
        assert_eq!(names(&server, MADE).await, before);
    }
}
