//! `pgstrata sql harden`: what PostgreSQL refuses to the servers' role then, and that nothing is missed.

use std::collections::BTreeSet;

use pgstrata_sql::level::Level;
use pgstrata_sql::{Engine, Route, Scope, TextMode};
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::stage::{connect, names};
use pgstrata_tests::{Tenants, database};
use tokio_postgres::Client;

/// What the command prints.
async fn printed(tenants: &Tenants, flags: &[&str]) -> String {
    let mut program = pgstrata();
    program.args(["sql", "harden", "--config"]).arg(tenants.file("pgstrata.toml")).args(flags);
    let output = program.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Who may do what in the database, whether it stands there or is the default.
async fn privileges(client: &Client) -> BTreeSet<String> {
    let sql = "
        SELECT 'function ' || p.oid::regprocedure || a FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
        UNION ALL SELECT 'relation ' || c.oid::regclass || a FROM pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner))) a
        UNION ALL SELECT 'schema ' || nspname || a FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
        UNION ALL SELECT 'database ' || datname || a FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) a
        UNION ALL SELECT 'wrapper ' || fdwname || a FROM pg_foreign_data_wrapper, aclexplode(fdwacl) a
        UNION ALL SELECT 'parameter ' || parname || a FROM pg_parameter_acl, aclexplode(paracl) a
        UNION ALL SELECT 'default ' || defaclnamespace || a FROM pg_default_acl, aclexplode(defaclacl) a
        UNION ALL SELECT 'member ' || roleid || ' ' || member FROM pg_auth_members
        UNION ALL SELECT 'role ' || rolname || rolsuper || rolcreatedb || rolcreaterole || rolreplication || rolbypassrls FROM pg_roles";
    names(client, sql).await.into_iter().collect()
}

/// What weakens a database, and what the audit says of each.
const WEAKENED: &[(&str, &str)] = &[
    ("GRANT EXECUTE ON FUNCTION lo_create(oid), lo_put(oid, bigint, bytea) TO app", "may use large objects"),
    ("GRANT SELECT ON pg_largeobject TO PUBLIC", "may use large objects"),
    ("GRANT UPDATE ON pg_settings TO app", "may set any parameter by UPDATE pg_settings"),
    ("GRANT EXECUTE ON FUNCTION pg_terminate_backend TO PUBLIC", "may end and cancel sessions"),
    ("GRANT EXECUTE ON FUNCTION pg_stat_get_activity TO PUBLIC", "may see what sessions of its own role run"),
    ("GRANT SELECT ON pg_stats TO PUBLIC", "may read sampled values"),
    (
        "GRANT EXECUTE ON FUNCTION query_to_xml, ts_stat(text) TO app",
        "may call functions that run text as SQL",
    ),
    ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO app", "may read files of the server"),
    ("GRANT EXECUTE ON FUNCTION pg_reload_conf TO app", "may control the server"),
    ("GRANT CREATE ON SCHEMA public TO PUBLIC", "may create objects in schema \"public\""),
    ("GRANT CREATE ON DATABASE app TO app", "may create schemas in the database"),
    ("GRANT INSERT, TRUNCATE ON plans TO app", "may write to tables that all tenants share"),
    ("GRANT UPDATE (name) ON plans TO PUBLIC", "may write to tables that all tenants share"),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT, SELECT ON TABLES TO app",
        "gets rights on tables that will be made in schema \"public\"",
    ),
    (
        "GRANT pg_monitor, pg_read_all_data, pg_write_server_files TO app",
        "is a member of role \"pg_read_all_data\"",
    ),
    ("ALTER ROLE app CREATEDB REPLICATION", "has REPLICATION"),
    ("ALTER ROLE app BYPASSRLS", "has BYPASSRLS"),
    ("GRANT ALTER SYSTEM ON PARAMETER work_mem TO app", "may change the configuration of the server"),
    ("CREATE EXTENSION dblink; CREATE EXTENSION tablefunc", "may call functions that run text as SQL"),
    ("CREATE EXTENSION refint; CREATE EXTENSION autoinc", "may use triggers whose arguments name tables"),
    ("CREATE EXTENSION lo", "may use large objects"),
    (
        "CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO app;
         CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw; GRANT USAGE ON FOREIGN SERVER away TO PUBLIC",
        "may make tables of other servers",
    ),
];

#[tokio::test]
async fn each_item_is_found_and_its_sql_mends_it() {
    let tenants = Tenants::new("").await;
    tenants.run(&["audit"]).await.ok();
    let client = tenants.superuser().await;
    for (sql, words) in WEAKENED {
        tenants.sql(sql).await;
        let said = tenants.run(&["audit"]).await;
        assert!(said.code == 3 && said.out.contains(words), "{sql}: {said:?}");
        let found = tenants.run(&["audit", "--json"]).await;
        assert_eq!(found.code, 3, "{sql}");
        let weaknesses = found.json()["weaknesses"].as_array().unwrap().clone();
        assert!(
            weaknesses.iter().any(|weakness| weakness["what"].as_str().unwrap().contains(words)),
            "{sql}"
        );
        for mend in weaknesses.iter().flat_map(|weakness| weakness["sql"].as_array().unwrap().clone()) {
            let mend = mend.as_str().unwrap();
            assert!(said.out.contains(mend), "{mend}: {said:?}");
            client.batch_execute(mend).await.unwrap_or_else(|error| panic!("{mend}: {error:?}"));
        }
        tenants.run(&["audit"]).await.ok();
    }
}

#[tokio::test]
async fn all_of_it_is_taken_at_once_and_given_back() {
    let tenants = Tenants::new("").await;
    let client = tenants.superuser().await;
    client.batch_execute(&printed(&tenants, &["--undo"]).await).await.unwrap();
    tenants.run(&["audit"]).await.failed(3, "pgstrata sql harden");
    for (sql, _) in WEAKENED {
        tenants.sql(sql).await;
    }
    let before = privileges(&client).await;
    client.batch_execute(&printed(&tenants, &["--temporary"]).await).await.unwrap();
    tenants.run(&["audit"]).await.ok();
    let temporary = "SELECT has_database_privilege('app', 'app', 'TEMPORARY')::text";
    assert_eq!(names(&client, temporary).await, ["false"]);
    let taken = privileges(&client).await;
    client.batch_execute(&printed(&tenants, &[]).await).await.unwrap();
    assert_eq!(privileges(&client).await, taken, "nothing is left to take");
    assert!(before.difference(&taken).count() > 60);
    for _ in 0..2 {
        client.batch_execute(&printed(&tenants, &["--undo"]).await).await.unwrap();
        let after = privileges(&client).await;
        let lost: Vec<_> = before.difference(&after).collect();
        let gained: Vec<_> = after.difference(&before).collect();
        assert!(lost.is_empty() && gained.is_empty(), "lost {lost:?}, gained {gained:?}");
    }
    assert!(
        names(&client, "SELECT nspname::text FROM pg_namespace WHERE nspname = 'pgstrata'").await.is_empty()
    );
}

/// Tried as the servers' role past the proxy: as SQL would that has got through it.
const REACHES: &[&str] = &[
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT loread(lo_open(1, 262144), 10)",
    "SELECT * FROM pg_largeobject_metadata",
    "UPDATE pg_settings SET setting = 'globex' WHERE name = 'search_path'",
    "CREATE TEMP VIEW v AS SELECT name, setting FROM pg_settings; UPDATE v SET setting = 'globex' WHERE name = 'search_path'",
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE pid <> pg_backend_pid()",
    "SELECT pg_cancel_backend(0)",
    "SELECT query FROM pg_stat_activity",
    "SELECT pg_stat_get_backend_activity(1)",
    "SELECT most_common_vals FROM pg_stats",
    "SELECT query_to_xml('SELECT * FROM globex.users', true, true, '')",
    "SELECT schema_to_xml('globex', true, true, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(name) FROM globex.users')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery')",
    "SELECT * FROM pg_sequences",
    "SELECT pg_sequence_last_value('globex.users_id_seq')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
];

#[tokio::test]
async fn servers_role_reaches_less_past_the_proxy() {
    let (plain, hardened) =
        (database::cluster_like(Default::default(), false).await, database::hardened_cluster().await);
    for (cluster, wall) in [(&plain, false), (&hardened, true)] {
        let mut config = cluster.superuser("app");
        let client = connect(config.user("app")).await.unwrap();
        for sql in REACHES {
            let refused = match client.batch_execute(&format!("BEGIN; {sql}; ROLLBACK")).await {
                Ok(()) => false,
                Err(error) => error.code().unwrap().code() == "42501",
            };
            client.batch_execute("ROLLBACK").await.unwrap();
            assert_eq!(refused, wall, "{sql}");
        }
    }
}

#[tokio::test]
async fn monitors_keep_what_they_need() {
    let tenants = Tenants::new("").await;
    tenants.sql("CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; GRANT CONNECT ON DATABASE app TO monitor").await;
    let mut config = tenants.cluster.superuser("app");
    let monitor = connect(config.user("monitor")).await.unwrap();
    let sql = "SELECT count(*)::text FROM pg_stat_activity WHERE usename = 'monitor'";
    assert_eq!(names(&monitor, sql).await, ["1"]);
}

#[tokio::test]
async fn role_that_makes_tenants_keeps_what_that_takes() {
    let tenants = Tenants::new("").await;
    let file = tenants.file("pgstrata.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let own = text.replace("[databases.app.control]\nuser = 'keeper'\npassword = 'keeper'\n", "");
    std::fs::write(&file, own).unwrap();
    tenants.sql("GRANT CREATE ON DATABASE app TO app; GRANT CREATE ON SCHEMA public TO app").await;
    tenants.sql("GRANT INSERT ON plans TO app; ALTER ROLE app CREATEROLE").await;
    tenants.sql(&printed(&tenants, &[]).await).await;
    let may = "SELECT has_database_privilege('app', 'app', 'CREATE')::text
               UNION ALL SELECT has_schema_privilege('app', 'public', 'CREATE')::text
               UNION ALL SELECT rolcreaterole::text FROM pg_roles WHERE rolname = 'app'";
    assert_eq!(names(&tenants.superuser().await, may).await, ["true", "true", "true"]);
    std::fs::write(&file, text).unwrap();
    tenants.run(&["audit"]).await.failed(3, "may create schemas in the database");
}

#[tokio::test]
async fn nothing_is_taken_where_not_all_can_be() {
    let tenants = Tenants::new("").await;
    let client = tenants.superuser().await;
    client.batch_execute(&printed(&tenants, &["--undo"]).await).await.unwrap();
    let before = privileges(&client).await;
    let sql = printed(&tenants, &[]).await;
    let mut config = tenants.cluster.superuser("app");
    let keeper = connect(config.user("keeper")).await.unwrap();
    let error = keeper.batch_execute(&sql).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501", "{error:?}");
    client.batch_execute("ALTER ROLE app RENAME TO other").await.unwrap();
    let error = client.batch_execute(&sql).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42704", "{error:?}");
    client.batch_execute("ROLLBACK; ALTER ROLE other RENAME TO app").await.unwrap();
    // Granted by somebody else: only that role can take it back.
    let odd = "GRANT CREATE ON SCHEMA public TO keeper WITH GRANT OPTION; SET ROLE keeper;
               GRANT CREATE ON SCHEMA public TO app; RESET ROLE";
    client.batch_execute(odd).await.unwrap();
    let before_odd = privileges(&client).await;
    let error = client.batch_execute(&sql).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("this is not gone"), "{error:?}");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(privileges(&client).await, before_odd);
    assert!(before.is_subset(&before_odd));
}

/// What the guard refuses as a call, and PostgreSQL lets everybody do on a hardened database as well.
const STAYS: &[(&str, &str)] = &[
    ("pg_lock_status", "the proxy asks whether a client holds advisory locks"),
    ("pg_prepared_statement", "the proxy asks whether a client has prepared statements"),
    ("pg_prepared_xact", "a tenant's own prepared transactions are shown"),
    ("pg_get_sequence_data", "pg_dump 18 reads sequences with it"),
    ("pg_stat_get_", "counts of rows and calls, and no values"),
    ("pg_stat_clear_snapshot", "the caller's own session"),
    ("pg_stat_force_next_flush", "the caller's own session"),
    ("pg_stat_have_stats", "whether there are counts"),
    ("pg_blocking_pids", "numbers of processes"),
    ("pg_isolation_test_session_is_blocked", "numbers of processes"),
    ("pg_get_replication_slots", "names of slots"),
    ("pg_get_object_address", "locks what it names, against its drop, and shows its number"),
    ("pg_get_wal_", "how far the WAL is"),
    ("pg_wal_", "how far the WAL is"),
    ("pg_walfile_", "how far the WAL is"),
    ("pg_tablespace_databases", "numbers of databases"),
    ("pg_mcv_list_items", "its argument can not be had"),
    ("currtid2", "where a row stands; old ODBC drivers call it"),
    ("brin_", "maintains an index of the same owner, and changes no row"),
    ("gin_clean_", "maintains an index of the same owner, and changes no row"),
    ("binary_upgrade_", "PostgreSQL refuses it but in pg_upgrade"),
    ("pg_create_", "PostgreSQL refuses it without REPLICATION"),
    ("pg_copy_", "PostgreSQL refuses it without REPLICATION"),
    ("pg_drop_replication_slot", "PostgreSQL refuses it without REPLICATION"),
    ("pg_replication_slot_advance", "PostgreSQL refuses it without REPLICATION"),
    ("pg_sync_replication_slots", "PostgreSQL refuses it without REPLICATION"),
    ("pg_logical_slot_", "PostgreSQL refuses it without REPLICATION"),
    ("pg_import_system_collations", "PostgreSQL refuses it to all but superusers"),
    ("pg_nextoid", "PostgreSQL refuses it to all but superusers"),
    ("pg_stop_making_pinned_objects", "PostgreSQL refuses it to all but superusers"),
    ("pg_extension_config_dump", "PostgreSQL refuses it but in an extension's script"),
    // Their arguments decide.
    ("set_config", "sets the tenant's path; drivers and pg_dump call it"),
    ("ts_rewrite", "with three arguments it runs nothing"),
];

#[tokio::test]
async fn what_the_guard_refuses_is_taken_away_or_stays_for_a_reason() {
    let cluster = database::hardened_cluster().await;
    let client = connect(&cluster.superuser("app")).await.unwrap();
    let callable =
        "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
                    AND has_function_privilege('app', oid, 'EXECUTE') ORDER BY 1";
    let callable = names(&client, callable).await;
    let refused = |name: &String| {
        let text = format!("SELECT pg_catalog.{name}(1)");
        let plan = Engine::new(1 << 16).plan(text.as_bytes(), &scope(), TextMode::default());
        let Route::Refuse(refusal) = plan.route else { return false };
        // Names and keys in arguments are another matter: the function itself must be what is refused.
        refusal.message.contains(&format!("may not call {name}"))
            && !refusal.message.contains("no plain literal")
    };
    let both: Vec<&String> = callable.iter().filter(|name| refused(name)).collect();
    let explained = |name: &str| STAYS.iter().any(|(stays, _)| name.starts_with(stays));
    let unexplained: Vec<_> = both.iter().filter(|name| !explained(name)).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
    assert!(both.len() > 40 && callable.len() > 2000, "{} of {}", both.len(), callable.len());
}

fn scope() -> Scope {
    Scope {
        functions: None,
        trusted_functions: [].into(),
        locked_settings: [].into(),
        limits_time: true,
        tenant: Some("acme_corp".into()),
        schema: "acme_corp".into(),
        shared: ["public".into()].into(),
        database: "app".into(),
        role: "app".into(),
        strategy: Default::default(),
        dynamic_sql: false,
        large_objects: false,
        statements: Level::All,
        shared_writes: false,
        moved: [].into(),
        hide_others: false,
        keys: Default::default(),
        names: None,
    }
}
