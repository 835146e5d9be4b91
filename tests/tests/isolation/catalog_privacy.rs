//! `hide_other_tenants`: the catalog shows a tenant its own objects and the shared ones.

use pgstrata_tenancy::Tier;
use pgstrata_tests::database::install;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Setup, Stage};

/// Objects of each kind, with a word in their names and texts that tells whose they are.
const OBJECTS: &str = "
    CREATE SCHEMA IF NOT EXISTS SCHEMA;
    SET search_path TO SCHEMA;
    CREATE TYPE WORD_mood AS ENUM ('WORD_sad', 'WORD_ok');
    CREATE DOMAIN WORD_email AS text CONSTRAINT WORD_at CHECK (VALUE LIKE '%@%');
    CREATE TYPE WORD_pair AS (WORD_a int, WORD_b text);
    CREATE TYPE WORD_span AS RANGE (subtype = int);
    CREATE FUNCTION WORD_f(WORD_arg int) RETURNS int LANGUAGE sql AS 'SELECT 1 /* WORD */';
    CREATE FUNCTION WORD_state(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
    CREATE AGGREGATE WORD_sum(int) (sfunc = WORD_state, stype = int);
    CREATE OPERATOR === (leftarg = int, rightarg = int, function = WORD_state);
    CREATE TABLE WORD_parents (id serial PRIMARY KEY, WORD_mood WORD_mood, note text DEFAULT 'WORD');
    CREATE TABLE WORD_children (
        id int GENERATED ALWAYS AS IDENTITY, parent int CONSTRAINT WORD_fk REFERENCES WORD_parents,
        CONSTRAINT WORD_check CHECK (parent <> 4711));
    CREATE INDEX WORD_index ON WORD_children (parent);
    CREATE TABLE WORD_parts (a int) PARTITION BY RANGE (a);
    CREATE TABLE WORD_part_1 PARTITION OF WORD_parts FOR VALUES FROM (1) TO (9);
    CREATE VIEW WORD_view AS SELECT * FROM WORD_parents;
    CREATE MATERIALIZED VIEW WORD_mat AS SELECT 'WORD' AS x;
    CREATE RULE WORD_rule AS ON DELETE TO WORD_children DO INSTEAD NOTHING;
    CREATE FUNCTION WORD_t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER WORD_trigger BEFORE UPDATE ON WORD_parents FOR EACH ROW EXECUTE FUNCTION WORD_t();
    CREATE POLICY WORD_policy ON WORD_parents USING (note <> 'WORD');
    CREATE STATISTICS WORD_stats ON id, note FROM WORD_parents;
    CREATE COLLATION WORD_collation FROM \"C\";
    CREATE TEXT SEARCH CONFIGURATION WORD_ts (COPY = pg_catalog.simple);
    CREATE SEQUENCE WORD_seq;
    COMMENT ON TABLE WORD_parents IS 'WORD comment';
    COMMENT ON COLUMN WORD_parents.id IS 'WORD comment';
    COMMENT ON SCHEMA SCHEMA IS 'WORD comment';
    COMMENT ON FUNCTION WORD_f(int) IS 'WORD comment';
    COMMENT ON INDEX WORD_index IS 'WORD comment';
    COMMENT ON TRIGGER WORD_trigger ON WORD_parents IS 'WORD comment';
    GRANT ALL ON ALL TABLES IN SCHEMA SCHEMA TO app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA SCHEMA GRANT SELECT ON TABLES TO app;
    RESET search_path;";

async fn stage(setup: Setup) -> Stage {
    let stage = Stage::new(setup.line("tenancy", "hide_other_tenants = true")).await;
    let server = stage.superuser().await;
    for (schema, word) in [("acme_corp", "plugh"), ("globex", "xyzzy")] {
        server
            .batch_execute(
                &OBJECTS
                    .replace("SCHEMA SCHEMA", &format!("SCHEMA {schema}"))
                    .replace("EXISTS SCHEMA", &format!("EXISTS {schema}"))
                    .replace("TO SCHEMA", &format!("TO {schema}"))
                    .replace("WORD", word),
            )
            .await
            .unwrap();
    }
    stage
}

#[tokio::test]
async fn no_relation_of_the_catalog_shows_anothers_objects() {
    for strategy in STRATEGIES {
        let stage = stage(Setup::new().strategy(strategy)).await;
        let list = "SELECT n.nspname || '.' || relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace \
             WHERE nspname IN ('pg_catalog', 'information_schema') AND relkind IN ('r', 'v') ORDER BY 1";
        let superuser = stage.superuser().await;
        let mut wire = stage.wire("acme_corp").await;
        let (mut read, mut own, mut told) = (0, Vec::new(), 0);
        for relation in pgstrata_tests::stage::names(&superuser, list).await {
            let text = format!("SELECT x::text FROM {relation} AS x");
            let answer = wire.simple(&text).await;
            if let Some(fault) = answer.fault() {
                assert_eq!(fault.code, "42501", "{relation}: {}", fault.message);
                continue;
            }
            read += 1;
            let rows = answer.column();
            let others: Vec<_> =
                rows.iter().filter(|row| row.contains("xyzzy") || row.contains("globex")).collect();
            assert!(others.is_empty(), "{strategy}: {relation} shows {others:?}");
            if rows.iter().any(|row| row.contains("plugh") || row.contains("acme_corp")) {
                own.push(relation.clone());
            }
            let all = superuser.query(&text, &[]).await.map_or(0, |rows| {
                rows.iter()
                    .filter(|row| row.get::<_, Option<String>>(0).is_some_and(|row| row.contains("xyzzy")))
                    .count()
            });
            told += usize::from(all > 0);
        }
        println!(
            "{strategy}: {read} relations read, {told} of them hold another's names, {} its own",
            own.len()
        );
        assert!(read > 110, "{read}");
        assert!(told > 40, "{told}");
        assert!(own.len() > 40, "{own:?}");
    }
}

#[tokio::test]
async fn psql_describes_as_postgresql_does() {
    let hiding = stage(Setup::new()).await;
    let direct = format!(
        "postgresql://app:app@127.0.0.1:{}/app?options=-csearch_path%3Dacme_corp,public",
        hiding.cluster.port()
    );
    let commands = [
        "\\d", "\\d+ plugh_parents", "\\dt+", "\\di", "\\df", "\\dT+", "\\dv", "\\dp", "\\ds", "\\dO",
        "\\dF", "\\d plugh_view", "\\d+ plugh_parts", "\\do", "\\dX", "\\sf plugh_f",
    ];
    let mut shown = 0;
    for command in commands {
        let with = psql(&hiding.url(Some("acme_corp")), command);
        assert_eq!(with, psql(&direct, command), "{command}");
        shown += usize::from(with.contains("plugh"));
    }
    // One needs a psql as new as PostgreSQL, and one shows no names of the kind.
    assert!(shown + 2 >= commands.len(), "{shown}");
    let schemas = psql(&hiding.url(Some("acme_corp")), "\\dn");
    assert!(schemas.contains("acme_corp") && !schemas.contains("globex"), "{schemas}");
    let all = psql(&hiding.url(Some("acme_corp")), "\\dt *.*");
    assert!(all.contains("plugh") && !all.contains("xyzzy"), "{all}");
}

fn psql(url: &str, command: &str) -> String {
    let output = std::process::Command::new("psql").args(["-X", url, "-c", command]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn what_takes_no_filter_is_refused() {
    let stage = stage(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    for text in [
        "TABLE pg_class",
        "SELECT * FROM ONLY pg_class",
        "CREATE VIEW w AS SELECT * FROM pg_tables",
        "SET search_path = information_schema",
        "SELECT * FROM pg_catalog/* */.pg_class c",
    ] {
        let fault = wire.simple(text).await.fault().expect(text);
        assert_eq!(fault.code, "42501", "{text}: {}", fault.message);
    }
    // Operators of the tenant's own do not get into the filter.
    let owner = stage.superuser().await;
    let operator = "CREATE FUNCTION acme_corp.yes(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR acme_corp.= (leftarg = oid, rightarg = oid, function = acme_corp.yes)";
    owner.batch_execute(operator).await.unwrap();
    wire.simple("SET search_path = acme_corp, pg_catalog").await;
    let answer = wire.simple("SELECT relname FROM pg_class WHERE relname LIKE 'xyzzy%'").await;
    assert!(answer.column().is_empty());
}

/// What a column that was added later is in rows of before is a value of those rows, and no definition.
#[tokio::test]
async fn catalog_shows_no_values_of_others_rows() {
    let ways =
        [Tier::Names, Tier::Role].into_iter().flat_map(|tier| STRATEGIES.map(|strategy| (tier, strategy)));
    for (tier, strategy) in ways {
        for hide in [false, true] {
            let setup = Setup::new().tier(tier).strategy(strategy);
            let stage = Stage::new(setup.line("tenancy", format!("hide_other_tenants = {hide}"))).await;
            let server = stage.superuser().await;
            for (schema, word) in [("acme_corp", "plugh"), ("globex", "xyzzy"), ("public", "shared")] {
                let add = format!("ALTER TABLE {schema}.users ADD COLUMN extra text DEFAULT '{word}'");
                server.batch_execute(&add).await.unwrap();
                let forget = format!("ALTER TABLE {schema}.users ALTER COLUMN extra DROP DEFAULT");
                server.batch_execute(&forget).await.unwrap();
            }
            let mut wire = stage.wire("acme_corp").await;
            for text in [
                "SELECT attmissingval::text FROM pg_attribute WHERE attmissingval IS NOT NULL ORDER BY 1",
                "SELECT a::text FROM pg_catalog.pg_attribute a WHERE a.atthasmissing ORDER BY 1",
                "SELECT (SELECT x::text FROM (SELECT a.*) x) FROM pg_attribute a WHERE atthasmissing ORDER BY 1",
                "SELECT to_jsonb(w)::text FROM (SELECT * FROM pg_attribute) w WHERE atthasmissing ORDER BY 1",
            ] {
                for extended in [false, true] {
                    let answer = match extended {
                        true => wire.extended(text, &[]).await,
                        false => wire.simple(text).await,
                    };
                    let rows = answer.column().concat();
                    assert!(!rows.contains("xyzzy"), "{text}: {rows}");
                    // A function of two arguments, say, is not known to show the whole row, and refused.
                    let own = rows.contains("plugh") && rows.contains("shared");
                    assert!(own || answer.code() == "42501", "{tier:?} {hide} {text}: {answer:?}");
                }
            }
            for text in
                ["TABLE pg_attribute", "COPY pg_attribute TO STDOUT", "CREATE VIEW w AS TABLE pg_attribute"]
            {
                assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
            }
            let columns =
                "SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass AND atthasmissing";
            assert_eq!(wire.simple(columns).await.value(), "extra");
        }
    }
}

/// From 17 on there is a function that reads a sequence by its number.
#[tokio::test]
async fn sequences_of_others_are_read_by_no_name() {
    if install().major < 18 {
        return;
    }
    for strategy in STRATEGIES {
        for hide in [false, true] {
            let setup = Setup::new().strategy(strategy);
            let stage = Stage::new(setup.line("tenancy", format!("hide_other_tenants = {hide}"))).await;
            let server = stage.superuser().await;
            server.batch_execute("SELECT setval('globex.users_id_seq', 987654)").await.unwrap();
            let number = "SELECT 'globex.users_id_seq'::regclass::oid::text";
            let number = pgstrata_tests::stage::names(&server, number).await.concat();
            let mut wire = stage.wire("acme_corp").await;
            let call = "SELECT last_value FROM pg_sequence, pg_get_sequence_data(seqrelid)";
            for (before, text) in [
                ("", format!("WITH pg_sequence AS (SELECT {number}::oid AS seqrelid) {call}")),
                ("", format!("WITH RECURSIVE pg_sequence (seqrelid) AS (VALUES ({number}::oid)) {call}")),
                ("CREATE TEMP TABLE pg_sequence (seqrelid oid)", call.to_owned()),
                ("CREATE TEMP VIEW pg_sequence AS SELECT 1::oid AS seqrelid", call.to_owned()),
            ] {
                wire.simple(before).await;
                wire.simple(&format!("INSERT INTO pg_temp.pg_sequence VALUES ({number})")).await;
                let answer = wire.simple(&text).await;
                let told =
                    answer.messages.iter().any(|message| message.body.windows(6).any(|six| six == b"987654"));
                assert!(!told, "{hide} {text}: {answer:?}");
                wire.simple("DROP TABLE IF EXISTS pg_temp.pg_sequence").await;
            }
            assert!(wire.simple(call).await.column().len() > 1, "its own");
        }
    }
}
