//! `pgstrata tenant`, as people and scripts run it.

use pgstrata_tests::Tenants;
use pgstrata_tests::program::{client_program_of, run};
use pgstrata_tests::stage::names;

const OWN: &str = "[provision]\nsource = 'template'\n";

/// What tenants are made from here.
const TEMPLATE: &str = "SET ROLE app; CREATE SCHEMA template; SET search_path = template;
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
    CREATE TABLE plans (code text PRIMARY KEY, price int NOT NULL);
    INSERT INTO plans VALUES ('free', 0), ('pro', 9);
    CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x', mood mood, plan text REFERENCES plans);
    CREATE TABLE posts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, author int REFERENCES users ON DELETE CASCADE,
        title text CHECK (title <> ''));
    CREATE INDEX by_title ON posts (title) WHERE author > 3;
    CREATE FUNCTION busy() RETURNS bigint LANGUAGE sql SET search_path = template, pg_temp AS 'SELECT count(*) FROM users';
    CREATE VIEW authors AS SELECT u.name, count(*) AS posts FROM users u JOIN posts p ON p.author = u.id GROUP BY u.name;
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';
    CREATE TRIGGER shout BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION shout();
    COMMENT ON COLUMN users.mood IS 'today''s';";

async fn tenants(more: &str) -> Tenants {
    let tenants = Tenants::new(&format!("{OWN}{more}")).await;
    tenants.sql("GRANT CREATE ON DATABASE app TO app").await;
    tenants.sql(TEMPLATE).await;
    tenants.sql("DROP SCHEMA acme_corp, globex CASCADE").await;
    tenants
}

#[tokio::test]
async fn create_tells_new_ones_from_those_that_are_there() {
    let tenants = tenants("").await;
    tenants.run(&["create", "acme_corp"]).await.ok();
    let said = tenants.run(&["create", "initech", "acme_corp", "pg_x", "initech", "--json"]).await;
    assert_eq!(said.code, 3, "{said:?}");
    let json = said.json();
    assert_eq!(json["created"], serde_json::json!(["initech"]));
    assert_eq!(json["skipped"], serde_json::json!(["acme_corp"]));
    assert_eq!(json["failed"][0]["schema"], "pg_x");
    let listed = tenants.run(&["list", "--json"]).await.json();
    let listed: Vec<&str> =
        listed.as_array().unwrap().iter().map(|t| t["tenant"].as_str().unwrap()).collect();
    // The source is none.
    assert_eq!(listed, ["acme_corp", "initech"]);
}

#[tokio::test]
async fn each_tenant_counts_by_itself() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a", "b"]).await.ok();
    let client = tenants.superuser().await;
    for schema in ["template", "a", "a", "b"] {
        client.batch_execute(&format!("INSERT INTO {schema}.users (name) VALUES ('n')")).await.unwrap();
        client.batch_execute(&format!("INSERT INTO {schema}.posts (title) VALUES ('n')")).await.unwrap();
    }
    for table in ["users", "posts"] {
        let ids = format!(
            "SELECT string_agg(id::text, ',' ORDER BY s, id) FROM (SELECT 'a' s, id FROM a.{table}
             UNION ALL SELECT 'b', id FROM b.{table} UNION ALL SELECT 't', id FROM template.{table}) t"
        );
        assert_eq!(names(&client, &ids).await, ["1,2,1,1"], "{table}");
    }
    // The function's own path leads to the tenant's tables.
    assert_eq!(names(&client, "SELECT a.busy()::text || b.busy() || template.busy()").await, ["211"]);
}

#[tokio::test]
async fn bad_names_are_refused_and_odd_ones_quoted() {
    let tenants = tenants("").await;
    let schemas = "SELECT string_agg(nspname, '|' ORDER BY nspname) FROM pg_namespace";
    let before = names(&tenants.superuser().await, schemas).await;
    let long = "x".repeat(64);
    for (name, why) in [
        ("", "it is empty"),
        (&*long, "more than 63 bytes"),
        (&"é".repeat(32), "more than 63 bytes"),
        ("pg_x", "PostgreSQL's own"),
        ("public", "for everybody"),
        ("information_schema", "for everybody"),
        ("template", "made from"),
        ("pgstrata", "pgstrata's own"),
        ("pgstrata_control", "pgstrata's own"),
        ("a\nb", "control characters"),
    ] {
        tenants.run(&["create", name]).await.failed(1, why);
    }
    tenants.run(&["create"]).await.failed(2, "required");
    assert_eq!(names(&tenants.superuser().await, schemas).await, before);
    let longest = "y".repeat(63);
    let odd =
        ["Acme", "a.b", "two words", "qu\"ote", "it's", "Ünïcode", "select", "back\\slash", "%", &longest];
    for name in odd {
        tenants.run(&["create", "--", name]).await.ok();
        let shown = tenants.run(&["show", "--json", "--", name]).await.json();
        assert_eq!(shown["schema"], name);
    }
    let listed = tenants.run(&["list", "--json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), odd.len());
    tenants.run(&["diff"]).await.ok();
    for name in odd {
        tenants.run(&["rename", "--", name, &format!("{name:.50}2")]).await.ok();
        tenants.run(&["drop", "--yes", "--", &format!("{name:.50}2")]).await.ok();
    }
    assert_eq!(tenants.run(&["list", "--json"]).await.ok().trim(), "[]");
}

#[tokio::test]
async fn drift_is_shown_and_mended() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a", "b"]).await.ok();
    tenants.run(&["diff"]).await.ok();
    tenants
        .sql(
            "SET ROLE keeper; SET search_path = a; ALTER TABLE users DROP COLUMN name CASCADE; DROP INDEX by_title;
             ALTER TABLE posts ALTER id DROP IDENTITY, ALTER title TYPE varchar(10), DROP CONSTRAINT posts_author_fkey;
             DROP TRIGGER shout ON users; CREATE OR REPLACE FUNCTION busy() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
             COMMENT ON TABLE posts IS 'extra'; CREATE TABLE extra (id int PRIMARY KEY, mine int REFERENCES extra); INSERT INTO extra VALUES (1);
             CREATE TABLE after_it (id int REFERENCES extra); CREATE VIEW on_it AS SELECT * FROM extra;
             ALTER TABLE plans ADD note text; ALTER SEQUENCE users_id_seq INCREMENT 7",
        )
        .await;
    let said = tenants.run(&["diff", "a", "b"]).await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("-- b: equals the source"), "{said:?}");
    // It is SQL that psql runs as it is, whoever's path it has, and that changes this tenant alone.
    let before = tenants.run(&["diff", "b"]).await.ok();
    psql(&tenants, &said.out).await;
    assert_eq!(tenants.run(&["diff", "b"]).await.ok(), before);
    let again = tenants.run(&["diff", "a"]).await;
    assert!(!again.out.contains("BEGIN"), "what is left takes data away, and is a comment: {again:?}");
    assert!(again.out.lines().all(|line| line.starts_with("--")), "{again:?}");
    psql(&tenants, &again.out).await;
    let said = tenants.run(&["sync", "a"]).await;
    assert_eq!(said.code, 3, "{said:?}");
    // What would take data away is left.
    let left = tenants.run(&["diff", "a", "--json"]).await.json();
    let mut left: Vec<&str> =
        left[0]["differs"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    left.sort_unstable();
    let keys = [r#""after_it_id_fkey" ON "after_it""#, r#""extra_mine_fkey" ON "extra""#];
    assert_eq!(left, [r#""after_it""#, keys[0], r#""extra""#, keys[1], r#""plans"."note""#]);
    assert_eq!(names(&tenants.superuser().await, "SELECT count(*)::text FROM a.extra").await, ["1"]);
    let said = tenants.run(&["diff", "a", "--drop-data"]).await;
    psql(&tenants, &said.out).await;
    assert!(tenants.run(&["diff"]).await.ok().contains("-- a: equals the source"));
}

/// Runs a text as the role for control, with psql and its own path.
async fn psql(tenants: &Tenants, text: &str) {
    let file = tenants.file("diff.sql");
    std::fs::write(&file, text).unwrap();
    let mut command = client_program_of(tenants.cluster.install(), "psql");
    let url = format!("postgresql://keeper:keeper@127.0.0.1:{}/app", tenants.cluster.port());
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file).arg(url);
    run(command).await;
}

#[tokio::test]
async fn differences_of_several_tenants_go_to_their_own_schemas() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a", "b\"; x"]).await.ok();
    tenants
        .sql("DROP INDEX a.by_title; DROP TRIGGER shout ON \"b\"\"; x\".users; DROP TRIGGER shout ON a.users")
        .await;
    let said = tenants.run(&["diff"]).await;
    assert_eq!(said.out.matches("BEGIN;").count(), 2, "{said:?}");
    psql(&tenants, &said.out).await;
    tenants.run(&["diff"]).await.ok();
}

#[tokio::test]
async fn more_labels_of_an_enum_go_to_their_places() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a"]).await.ok();
    tenants.sql("ALTER TYPE template.mood ADD VALUE 'first' BEFORE 'sad'").await;
    tenants.sql("ALTER TYPE template.mood ADD VALUE 'more' AFTER 'sad'").await;
    tenants.run(&["sync"]).await.ok();
    let labels = names(&tenants.superuser().await, "SELECT enum_range(NULL::a.mood)::text").await;
    assert_eq!(labels, ["{first,sad,more,ok,it's}"]);
    // One that is gone from the source may be in use: that is said, and left.
    tenants.sql("ALTER TYPE a.mood ADD VALUE 'own'").await;
    tenants.run(&["sync"]).await.failed(3, "the source has: CREATE TYPE");
}

#[tokio::test]
async fn clone_has_the_rows_and_goes_on_counting() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a"]).await.ok();
    tenants
        .sql(
            "INSERT INTO a.plans VALUES ('free', 0); INSERT INTO a.users (name, plan) VALUES ('ann', 'free'), ('bob', NULL);
             INSERT INTO a.posts (author, title) VALUES (1, 'one'), (2, 'two')",
        )
        .await;
    tenants.run(&["clone", "a", "b"]).await.ok();
    let client = tenants.superuser().await;
    client.batch_execute("INSERT INTO b.posts (author, title) VALUES (2, 'three')").await.unwrap();
    client.batch_execute("DELETE FROM b.users WHERE id = 1").await.unwrap();
    assert_eq!(names(&client, "SELECT id || title FROM b.posts ORDER BY id").await, ["2two", "3three"]);
    assert_eq!(names(&client, "SELECT id || title FROM a.posts ORDER BY id").await, ["1one", "2two"]);
    assert_eq!(names(&client, "SELECT name FROM b.users").await, ["BOB"]);
    tenants.run(&["diff"]).await.ok();
    tenants.run(&["clone", "a", "b"]).await.failed(1, "already exists");
    tenants.run(&["clone", "nobody", "c"]).await.failed(1, "there is no schema \"nobody\"");
}

#[tokio::test]
async fn seeds_come_along_and_excluded_tables_do_not() {
    let tenants = tenants("seed = ['plans']\nexclude = ['post*', 'authors']\n").await;
    tenants.sql("DROP VIEW template.authors").await;
    tenants.run(&["create", "a"]).await.ok();
    let client = tenants.superuser().await;
    assert_eq!(names(&client, "SELECT code FROM a.plans ORDER BY 1").await, ["free", "pro"]);
    assert_eq!(
        names(&client, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'a' ORDER BY 1").await,
        ["plans", "users"]
    );
    tenants.run(&["diff"]).await.ok();
}

#[tokio::test]
async fn renamed_tenant_takes_its_functions_paths_along() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a"]).await.ok();
    tenants.sql("INSERT INTO a.users (name) VALUES ('ann')").await;
    tenants.run(&["rename", "a", "b"]).await.ok();
    assert_eq!(names(&tenants.superuser().await, "SELECT b.busy()::text").await, ["1"]);
    tenants.run(&["diff", "b"]).await.ok();
    tenants.run(&["show", "a"]).await.failed(1, "there is no schema \"a\"");
    tenants.run(&["create", "c"]).await.ok();
    tenants.run(&["rename", "b", "c"]).await.failed(1, "already exists");
}

#[tokio::test]
async fn archive_is_brought_back_under_another_name() {
    let tenants = tenants("").await;
    tenants.run(&["create", "Acme \"1\" & co"]).await.ok();
    tenants.sql(r#"INSERT INTO "Acme ""1"" & co".users (name) VALUES ('ann')"#).await;
    let file = tenants.file("acme.dump");
    let file = file.to_str().unwrap();
    tenants.run(&["export", "Acme \"1\" & co", "--file", file]).await.ok();
    // It would have to be there twice: what is said is the way round it.
    tenants
        .run(&["import", "b", "--file", file])
        .await
        .failed(1, "import the file, and rename the tenant back");
    tenants.run(&["rename", "Acme \"1\" & co", "aside"]).await.ok();
    tenants.run(&["import", "b", "--file", file]).await.ok();
    tenants.run(&["rename", "aside", "Acme \"1\" & co"]).await.ok();
    tenants.run(&["import", "b", "--file", file]).await.failed(1, "schema \"b\" already exists");
    tenants.run(&["drop", "--yes", "Acme \"1\" & co"]).await.ok();
    let client = tenants.superuser().await;
    assert_eq!(names(&client, "SELECT id || name || b.busy() FROM b.users").await, ["1ANN1"]);
    tenants.run(&["diff"]).await.ok();
    tenants.run(&["import", "c", "--file", "/nowhere"]).await.failed(1, "pg_restore failed");
    tenants.run(&["export", "nobody", "--file", file]).await.failed(1, "there is no schema");
    // A file that breaks off leaves nothing.
    std::fs::write(tenants.file("cut.dump"), &std::fs::read(file).unwrap()[..3000]).unwrap();
    tenants.run(&["drop", "--yes", "b"]).await.ok();
    let cut = tenants.file("cut.dump");
    assert_eq!(tenants.run(&["import", "b", "--file", cut.to_str().unwrap()]).await.code, 1);
    assert_eq!(tenants.run(&["list", "--json"]).await.ok().trim(), "[]");
}

#[tokio::test]
async fn drop_asks_and_takes_nothing_else_along() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a"]).await.ok();
    tenants.run(&["drop", "a"]).await.failed(2, "--yes");
    tenants.sql("CREATE VIEW public.outside AS SELECT * FROM a.users").await;
    tenants.run(&["drop", "--yes", "a"]).await.failed(1, "view public.outside");
    tenants.sql("DROP VIEW public.outside").await;
    tenants.run(&["drop", "--yes", "a"]).await.ok();
    tenants.run(&["drop", "--yes", "a"]).await.failed(1, "there is no schema \"a\"");
}

#[tokio::test]
async fn drop_waits_for_those_who_hold_locks_and_lets_others_by() {
    let tenants = tenants("lock_timeout = '100ms'\nretries = 100\n").await;
    tenants.run(&["create", "a"]).await.ok();
    let client = tenants.superuser().await;
    client.batch_execute("BEGIN; SELECT * FROM a.users").await.unwrap();
    let (said, ()) = tokio::join!(tenants.run(&["drop", "--yes", "a"]), async {
        let other = tenants.superuser().await;
        // Between two attempts the table is free for all.
        while names(&other, "SELECT state FROM pgstrata_control.schemas WHERE schema = 'a'").await
            != ["dropping"]
        {
            tokio::task::yield_now().await;
        }
        other.batch_execute("SELECT * FROM a.users").await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
    });
    said.ok();
}

#[tokio::test]
async fn suspended_and_resumed() {
    let tenants = tenants("").await;
    tenants.run(&["create", "a"]).await.ok();
    tenants.run(&["suspend", "a"]).await.ok();
    assert_eq!(tenants.run(&["show", "a", "--json"]).await.json()["state"], "suspended");
    assert_eq!(tenants.run(&["list", "--state", "active", "--json"]).await.ok().trim(), "[]");
    tenants.run(&["resume", "a"]).await.ok();
    tenants.run(&["suspend", "nobody"]).await.failed(1, "there is no schema");
    // Of one that nobody registered it is not known which migrations it has.
    tenants.sql("CREATE SCHEMA old").await;
    tenants.run(&["suspend", "old"]).await.failed(1, "`pgstrata tenant adopt`");
    tenants.run(&["adopt", "old"]).await.ok();
    tenants.run(&["suspend", "old"]).await.ok();
    assert_eq!(tenants.run(&["show", "old", "--json"]).await.json()["state"], "suspended");
}

#[tokio::test]
async fn many_who_make_one_tenant_at_once_make_it_once() {
    let tenants = tenants("").await;
    let create = || tenants.run(&["create", "a", "b", "c", "--json"]);
    let said = tokio::join!(create(), create(), create(), create());
    let said = [said.0, said.1, said.2, said.3].map(|said| {
        assert_eq!(said.code, 0, "{said:?}");
        said.json()
    });
    let created: usize = said.iter().map(|json| json["created"].as_array().unwrap().len()).sum();
    assert_eq!(created, 3, "{said:?}");
    tenants.run(&["diff"]).await.ok();
}

#[tokio::test]
async fn copy_that_would_hang_on_the_source_is_refused() {
    let tenants = tenants("exclude = ['plans']\n").await;
    tenants.run(&["create", "a"]).await.failed(1, "need objects that are left out: table template.plans");
    assert_eq!(tenants.run(&["list", "--json"]).await.ok().trim(), "[]");
    assert_eq!(tenants.run(&["create", "a", "--database", "none"]).await.code, 2);
}

#[tokio::test]
async fn migrations_from_the_command_line() {
    let tenants = tenants("canary = ['b']\nmigrations = 'changes'\n").await;
    tenants.run(&["create", "a", "b"]).await.ok();
    tenants.run(&["migrate"]).await.failed(1, "changes");
    let folder = tenants.file("changes");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("0001_email.sql"), "ALTER TABLE users ADD email text").unwrap();
    std::fs::write(folder.join("0002_found.sql"), "CREATE INDEX found ON users (email)").unwrap();
    let planned = tenants.run(&["migrate", "--plan"]).await.ok();
    assert!(planned.contains("would apply 0001_email.sql, 0002_found.sql"), "{planned}");
    let report = tenants.run(&["migrate", "--json", "--fence", "1ms"]).await.json();
    let order: Vec<&str> =
        report["schemas"].as_array().unwrap().iter().map(|s| s["schema"].as_str().unwrap()).collect();
    assert_eq!(order, ["template", "b", "a"]);
    assert!(tenants.run(&["migrate"]).await.ok().contains("all 3 schemas are at version 2"));
    // A new one has them from the start.
    tenants.run(&["create", "c"]).await.ok();
    assert!(tenants.run(&["migrate"]).await.ok().contains("all 4 schemas"));
    tenants.run(&["diff"]).await.ok();
    assert_eq!(tenants.run(&["show", "c", "--json"]).await.json()["version"], 2);
    assert!(tenants.run(&["migrate", "--status"]).await.ok().contains("2        4"));
    std::fs::write(folder.join("0003_bad.sql"), "SELECT 1;\nSELECT nothing").unwrap();
    tenants.run(&["migrate"]).await.failed(3, "0003_bad.sql, line 2");
    tenants.run(&["migrate", "--redo", "--done"]).await.failed(2, "cannot be used with");
}

#[tokio::test]
async fn tenants_from_before_are_adopted() {
    let tenants = tenants("migrations = '.'\n").await;
    tenants.sql("CREATE SCHEMA old AUTHORIZATION keeper; CREATE SCHEMA older AUTHORIZATION keeper").await;
    std::fs::write(tenants.file("0007_note.sql"), "CREATE TABLE note ()").unwrap();
    assert!(tenants.run(&["adopt", "--all"]).await.ok().contains("2 registered, 0 already registered"));
    tenants.run(&["adopt", "nobody"]).await.failed(1, "there is no schema \"nobody\"");
    assert!(tenants.run(&["migrate", "--baseline", "7"]).await.ok().contains("3 schemas are at version 7"));
    assert!(tenants.run(&["migrate"]).await.ok().contains("all 3 schemas are at version 7"));
    // Dropped by hand, it is still known, until that is told.
    tenants.sql("DROP SCHEMA old").await;
    tenants.run(&["drop", "--yes", "old"]).await.ok();
    tenants.run(&["create", "old"]).await.ok();
}
