//! What a source can have about it that a copy must not have, or must not run.

use pgstrata_control::SchemaName;
use pgstrata_control::provision::Ensured;
use pgstrata_tests::Ground;
use pgstrata_tests::dump::{assert_alike, leaks};
use pgstrata_tests::ground::DATABASE;

async fn provisioned(ground: &Ground, source: &str, tenant: &str) {
    match ground.provision(source, tenant).await {
        Ok(ensured) => assert_eq!(ensured, Ensured::Created),
        Err(error) => panic!("{error}"),
    }
}

/// A source with this in it is refused in these words, and nothing is left.
async fn refused(sql: &str, words: &str) {
    let ground = Ground::with("template", sql).await;
    ground.control_of("template").tenants().await.unwrap();
    let before = ground.inventory().await;
    let said = ground.provision("template", "acme").await.expect_err("it is refused").to_string();
    assert!(said.contains(words), "{said}");
    assert_eq!(ground.inventory().await, before, "nothing is half made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_grants_by_default_is_not_granted() {
    let ground = Ground::with_everything("template").await;
    ground
        .run(
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
             ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO eq_other WITH GRANT OPTION;
             ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO eq_reader;
             ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;
             ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC, postgres;
             ALTER DEFAULT PRIVILEGES FOR ROLE eq_owner GRANT ALL ON TABLES TO PUBLIC",
        )
        .await;
    assert_eq!(ground.provision("template", "acme").await.unwrap(), Ensured::Created);
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
}

/// Functions, operators and types that have the names of PostgreSQL's own, for just the arguments that are at hand.
const HOSTILE: &str = "
    CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
    CREATE FUNCTION caught_yes() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
    DO $do$
    DECLARE f record;
    BEGIN
        FOR f IN SELECT 'caught' || o.oid AS called, o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r FROM pg_operator o
            WHERE o.oprresult = 'bool'::regtype AND o.oprname IN ('=', '<>', '<', '>', '~', '~~', '!~')
                AND o.oprleft IN ('oid'::regtype, 'name'::regtype, 'text'::regtype, '\"char\"'::regtype, 'int4'::regtype, 'int2'::regtype, 'bool'::regtype)
        LOOP
            EXECUTE format('CREATE FUNCTION %s(%s, %s) RETURNS boolean LANGUAGE sql VOLATILE RETURN caught_yes()', f.called, f.l, f.r);
            EXECUTE format('CREATE OPERATOR %3$s (LEFTARG = %1$s, RIGHTARG = %2$s, FUNCTION = %4$s)', f.l, f.r, f.oprname, f.called);
        END LOOP;
        FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments FROM pg_proc p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prorettype = 'text'::regtype AND p.prokind = 'f' AND p.provariadic = 0 AND pg_get_function_identity_arguments(p.oid) !~ 'any'
                AND (p.proname ~ '^pg_get_' OR p.proname IN ('format', 'quote_ident', 'quote_literal', 'format_type', 'concat', 'concat_ws'))
        LOOP
            EXECUTE format('CREATE FUNCTION %I(%s) RETURNS text LANGUAGE sql VOLATILE RETURN caught()', f.proname, f.arguments);
        END LOOP;
        FOR f IN SELECT unnest('{pg_function_is_visible,pg_operator_is_visible,pg_opclass_is_visible,pg_table_is_visible,pg_type_is_visible}'::text[]) AS name
        LOOP
            EXECUTE format('CREATE FUNCTION %I(oid) RETURNS boolean LANGUAGE sql VOLATILE RETURN caught_yes()', f.name);
        END LOOP;
    END $do$;
    CREATE FUNCTION set_config(text, text, boolean) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION setval(regclass, bigint, boolean) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION pg_advisory_xact_lock(bigint) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION pg_describe_object(oid, oid, integer) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION unnest(oid[]) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE DOMAIN regclass AS text CHECK (caught_yes());
    CREATE DOMAIN regtype AS text CHECK (caught_yes());
    CREATE DOMAIN oid AS text CHECK (caught_yes());
    CREATE DOMAIN name AS pg_catalog.text CHECK (caught_yes());
    CREATE TABLE pg_depend (classid integer, objid integer, refclassid integer, refobjid integer);
    CREATE TABLE pg_class (oid integer, relname text);
    CREATE TABLE pg_proc (oid integer, proname text);
    CREATE TABLE own (id serial PRIMARY KEY, a pg_catalog.oid, b pg_catalog.text DEFAULT 'x', CHECK (b OPERATOR(pg_catalog.<>) ''));
    CREATE VIEW all_of_it AS SELECT a, b FROM own WHERE a OPERATOR(pg_catalog.=) 5::pg_catalog.oid;
    CREATE MATERIALIZED VIEW kept AS SELECT a, b FROM own;";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_source_has_is_run() {
    let ground = Ground::with("template", HOSTILE).await;
    provisioned(&ground, "template", "acme").await;
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
    let control = ground.control_of("template");
    let [acme, copy] = ["acme", "copy"].map(|name| SchemaName::new(name, control.settings()).unwrap());
    assert!(control.diff(&acme, &control.structure().await.unwrap()).await.unwrap().is_empty());
    control.clone_schema(&acme, &copy).await.unwrap();
    assert_alike(&ground.cluster, DATABASE, "template", "copy", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_name_the_source_name_the_tenant() {
    let ground = Ground::with(
        "template",
        "CREATE TABLE notes (id serial, text text);
         CREATE FUNCTION note(text) RETURNS bigint LANGUAGE plpgsql SET search_path = '' AS $$
         DECLARE made template.notes%ROWTYPE;
         BEGIN
            EXECUTE 'INSERT INTO template.notes (text) VALUES ($1) RETURNING *' INTO made USING $1;
            RETURN (SELECT count(*) FROM \"template\".notes n WHERE n.text = made.text);
         END $$;
         CREATE FUNCTION count_notes() RETURNS bigint LANGUAGE sql SET search_path = template AS 'SELECT count(*) FROM notes'",
    )
    .await;
    let control = ground.control_of("template");
    let odd = "odd $pgstrata$ '\"name";
    provisioned(&ground, "template", "acme").await;
    provisioned(&ground, "template", odd).await;
    let notes = async |schema: &str| -> i64 {
        let schema = pgstrata_tenancy::ident::quoted(schema);
        ground.run(&format!("SELECT {schema}.note('x')")).await;
        ground.admin.query_one(&format!("SELECT {schema}.count_notes()"), &[]).await.unwrap().get(0)
    };
    assert_eq!((notes("acme").await, notes("acme").await, notes(odd).await), (1, 2, 1));
    let [acme, renamed] =
        ["acme", "re\"named"].map(|name| SchemaName::new(name, control.settings()).unwrap());
    control.rename_schema(&acme, &renamed).await.unwrap();
    assert_eq!(notes("re\"named").await, 3);
    // One that gets the name that it had is another.
    provisioned(&ground, "template", "acme").await;
    assert_eq!((notes("acme").await, notes("re\"named").await), (1, 4));
    assert!(ground.names("SELECT text FROM template.notes").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_may_mean_the_source_are_told_of() {
    let ground = Ground::with(
        "template",
        "CREATE SEQUENCE numbers;
         CREATE TABLE things (id bigint DEFAULT nextval('template.numbers'::text::regclass), kind text CHECK (kind <> 'template'));
         COMMENT ON TABLE things IS 'template.things';
         CREATE FUNCTION dynamic() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $q$ SELECT 'template.things' $q$; END $$;
         CREATE FUNCTION plain() RETURNS text LANGUAGE sql AS $$ SELECT 'my_template.things' $$",
    )
    .await;
    let control = ground.control_of("template");
    let synced = control.sync_tenant_schemas(&["acme".to_owned()], |_, _| ()).await.unwrap();
    assert_eq!(synced.created, ["acme"]);
    let about: Vec<&str> = synced
        .remarks
        .iter()
        .filter_map(|remark| remark.split_once(" has the text"))
        .map(|(it, _)| it)
        .collect();
    assert_eq!(about, ["function \"dynamic\"()", "table \"things\""]);
    let again = control.sync_tenant_schemas(&["acme".to_owned()], |_, _| ()).await.unwrap();
    assert_eq!((again.skipped.as_slice(), again.remarks.len()), (["acme".to_owned()].as_slice(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_of_the_source_stays_one_for_all() {
    let ground = Ground::new().await;
    ground
        .run(
            "CREATE EXTENSION citext SCHEMA public; CREATE SCHEMA template; CREATE EXTENSION hstore SCHEMA template;
             CREATE TABLE public.countries (code text PRIMARY KEY); CREATE SEQUENCE public.invoices; CREATE TYPE public.level AS ENUM ('a');
             CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        )
        .await;
    let sql = "CREATE TABLE orders (number bigint PRIMARY KEY DEFAULT nextval('public.invoices'), country text REFERENCES public.countries, more hstore DEFAULT 'a=>1', name public.citext, level public.level);
        CREATE INDEX orders_more ON orders USING gin (more);
        CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION public.touch();
        CREATE VIEW abroad AS SELECT o.*, o.more -> 'a' AS a FROM orders o JOIN public.countries c ON c.code = o.country WHERE o.name = 'x';
        CREATE FUNCTION ask() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE FUNCTION to_point(integer) RETURNS point LANGUAGE sql RETURN point($1, $1);
        CREATE CAST (integer AS point) WITH FUNCTION to_point(integer)";
    ground.source("template", &[sql]).await;
    ground
        .run(
            "CREATE PUBLICATION one FOR TABLE template.orders; CREATE PUBLICATION all_of_it FOR TABLES IN SCHEMA template;
             CREATE EVENT TRIGGER ask ON ddl_command_start EXECUTE FUNCTION template.ask();
             CREATE VIEW public.over AS SELECT * FROM template.orders; CREATE TABLE public.heir () INHERITS (template.orders);
             CREATE TABLE public.bills (number bigint REFERENCES template.orders)",
        )
        .await;
    let before = ground.inventory().await;
    provisioned(&ground, "template", "acme").await;
    let control = ground.control_of("template");
    let acme = SchemaName::new("acme", control.settings()).unwrap();
    assert!(control.diff(&acme, &control.structure().await.unwrap()).await.unwrap().is_empty());
    ground.run("INSERT INTO acme.orders DEFAULT VALUES; INSERT INTO template.orders DEFAULT VALUES").await;
    assert_eq!(ground.names("SELECT number || (more::text) FROM acme.orders").await, ["1\"a\"=>\"1\""]);
    assert_eq!(leaks(&ground.cluster, DATABASE, "acme", &["public"]).await, [""; 0]);
    let after = ground.inventory().await;
    assert!(before.iter().all(|line| after.contains(line)), "nothing else is touched");
    let published =
        ground.names("SELECT schemaname || '.' || tablename FROM pg_publication_tables ORDER BY 1").await;
    assert_eq!(published, ["template.orders", "template.orders"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_prints_wrong_is_named() {
    // The argument without a name comes out as "".
    refused(
        "CREATE TABLE t (a integer);
         CREATE FUNCTION one_unnamed(integer, b integer) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t WHERE a = $1; END",
        "making schema \"acme\", function \"one_unnamed\"(integer, b integer): zero-length delimited identifier",
    )
    .await;
    // The marks come out with casts, which its grammar has not.
    refused(
        "CREATE TABLE t (id integer, up integer);
         CREATE VIEW v AS WITH RECURSIVE tree AS (SELECT id, up FROM t UNION ALL SELECT t.id, t.up FROM t, tree WHERE t.up = tree.id)
            CYCLE id SET is_cycle TO 'y' DEFAULT 'n' USING path SELECT id, is_cycle FROM tree",
        "making schema \"acme\", view \"v\": syntax error",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_default_operator_class_is_refused() {
    refused(
        "CREATE OPERATOR CLASS mine DEFAULT FOR TYPE xid USING btree AS FUNCTION 1 btint4cmp(integer, integer)",
        "making schema \"acme\", operator class mine USING btree: could not make operator class \"mine\" be default",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_means_the_source_alone_is_refused() {
    // With integers pg_catalog's abs(integer) would come first, so it is printed with its schema.
    refused(
        "CREATE FUNCTION abs(anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT $1';
         CREATE VIEW v AS SELECT template.abs(5)",
        "the copy would depend on the schema that it is a copy of: rule _RETURN on view acme.v on function template.abs(anyelement)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_a_table_elsewhere_is_refused() {
    let ground = Ground::new().await;
    ground.run("CREATE TABLE public.parts (a integer) PARTITION BY RANGE (a)").await;
    ground
        .source("template", &["CREATE TABLE part PARTITION OF public.parts FOR VALUES FROM (1) TO (2)"])
        .await;
    let said = ground.provision("template", "acme").await.unwrap_err().to_string();
    assert!(said.contains("\"part\"") && said.contains("would overlap partition"), "{said}");
    assert!(ground.names("SELECT nspname::text FROM pg_namespace WHERE nspname = 'acme'").await.is_empty());
}

/// What PostgreSQL prints in another way once it has read it: the copy differs in text, its copies do not.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_copy_are_like_it_where_postgresql_prints_anew() {
    let ground = Ground::with(
        "template",
        "CREATE TABLE t (a integer, b text);
         CREATE VIEW listed (\"A\", b) AS VALUES (1, 'x'), (2, NULL);
         CREATE FUNCTION made() RETURNS t LANGUAGE sql BEGIN ATOMIC SELECT ROW(1, 'x')::t; END;
         ALTER TABLE t ADD c integer;
         CREATE VIEW ones AS SELECT made() AS made, (VALUES (1)) AS one",
    )
    .await;
    provisioned(&ground, "template", "first").await;
    match ground.provision("first", "second").await {
        Ok(ensured) => assert_eq!(ensured, Ensured::Created),
        Err(error) => panic!("{error}"),
    }
    assert_alike(&ground.cluster, DATABASE, "first", "second", &[]).await;
    let rows = |schema: &str| {
        format!("SELECT l::text || o::text FROM {schema}.listed l, {schema}.ones o ORDER BY 1")
    };
    assert_eq!(ground.names(&rows("second")).await, ground.names(&rows("template")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_words_with_another_meaning_differ() {
    let ground = Ground::with(
        "template",
        "CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE u (t integer CONSTRAINT to_t REFERENCES t);
         CREATE VIEW v AS SELECT id FROM t",
    )
    .await;
    provisioned(&ground, "template", "acme").await;
    ground
        .run(
            "CREATE OR REPLACE VIEW acme.v AS SELECT id FROM template.t;
             ALTER TABLE acme.u DROP CONSTRAINT to_t, ADD CONSTRAINT to_t FOREIGN KEY (t) REFERENCES template.t",
        )
        .await;
    let control = ground.control_of("template");
    let acme = SchemaName::new("acme", control.settings()).unwrap();
    let source = control.structure().await.unwrap();
    let changes = control.diff(&acme, &source).await.unwrap();
    let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    assert!(names.contains(&"\"v\"") && names.contains(&"\"to_t\" ON \"u\""), "{changes:#?}");
    control.mend(&acme, &source, true).await.unwrap();
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
}
