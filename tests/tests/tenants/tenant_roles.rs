//! Tenants' roles: made with them, held against what PostgreSQL says that they reach, gone with them.

use pgstrata_tests::Tenants;
use pgstrata_tests::stage::{connect, names};

const TEMPLATE: &str = "SET ROLE keeper; CREATE SCHEMA template; SET search_path = template;
    CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL);
    CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)'; RESET ROLE;
    REVOKE ALL ON SCHEMA public FROM PUBLIC, app; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM app;
    GRANT USAGE ON SCHEMA public TO app, keeper WITH GRANT OPTION; DROP SCHEMA acme_corp, globex CASCADE;
    REVOKE CREATE ON DATABASE app FROM app; ALTER ROLE keeper CREATEROLE";

async fn tenants(tier: &str) -> Tenants {
    let lines = format!(
        "[tenancy]\ntier = '{tier}'\nlogin_key = 'a key for tests, of 32 bytes or more'\n[provision]\nsource = 'template'\n"
    );
    let tenants = Tenants::new(&lines).await;
    tenants.sql(TEMPLATE).await;
    if tenants.major().await < 16 {
        tenants.sql("ALTER ROLE app NOINHERIT").await;
    }
    tenants
}

#[tokio::test]
async fn role_reaches_its_own_and_nothing_else() {
    let tenants = tenants("role").await;
    tenants.run(&["create", "a", "b", "we \"ird"]).await.ok();
    let said = tenants.run(&["audit"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("3 of 3 tenants' roles reach only their own schema"), "{said:?}");
    let app: tokio_postgres::Config =
        format!("postgresql://app:app@127.0.0.1:{}/app", tenants.cluster.port()).parse().unwrap();
    let app = connect(&app).await.unwrap();
    // The servers' role itself has nothing.
    assert!(app.simple_query("SELECT * FROM a.users").await.is_err());
    app.batch_execute("SET ROLE tenant_a; INSERT INTO a.users (name) VALUES ('ann'); SELECT a.shout('x')")
        .await
        .unwrap();
    for refused in [
        "SELECT * FROM b.users", "CREATE TABLE a.mine ()", "CREATE TABLE public.mine ()",
        "SELECT b.shout('x')",
    ] {
        let error = app.simple_query(refused).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{refused}");
    }
    // What a migration adds is the role's to use.
    std::fs::create_dir(tenants.file("migrations")).unwrap();
    std::fs::write(tenants.file("migrations/0001_more.sql"), "CREATE TABLE more (id serial)").unwrap();
    tenants.run(&["migrate"]).await.ok();
    app.batch_execute("SET ROLE tenant_b; INSERT INTO b.more DEFAULT VALUES").await.unwrap();
    // It is no difference to the source.
    tenants.run(&["diff"]).await.ok();
}

#[tokio::test]
async fn role_follows_its_tenant() {
    let tenants = tenants("role").await;
    tenants.run(&["create", "a"]).await.ok();
    tenants.run(&["clone", "a", "b"]).await.ok();
    tenants.run(&["audit"]).await.ok();
    tenants.run(&["rename", "b", "c"]).await.ok();
    tenants.run(&["audit"]).await.ok();
    let roles = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'tenant%' ORDER BY 1";
    assert_eq!(names(&tenants.superuser().await, roles).await, ["tenant_a", "tenant_c"]);
    let file = tenants.file("c.dump");
    tenants.run(&["export", "c", "--file", file.to_str().unwrap()]).await.ok();
    tenants.run(&["drop", "--yes", "c"]).await.ok();
    tenants.run(&["import", "d", "--file", file.to_str().unwrap(), "--no-privileges"]).await.ok();
    tenants.run(&["audit"]).await.ok();
    tenants.run(&["drop", "--yes", "a"]).await.ok();
    assert_eq!(names(&tenants.superuser().await, roles).await, ["tenant_d"]);
}

#[tokio::test]
async fn role_that_logs_in_has_the_password_that_proxies_derive() {
    let tenants = tenants("login").await;
    tenants.run(&["create", "a", "b"]).await.ok();
    tenants.run(&["audit"]).await.ok();
    let key = b"a key for tests, of 32 bytes or more";
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(tenants.cluster.port()).dbname("app").user("tenant_a");
    config.password(pgstrata_control::role_password(key, "tenant_a"));
    tenants.sql("GRANT CONNECT ON DATABASE app TO PUBLIC").await;
    let client = connect(&config).await.unwrap();
    client.batch_execute("INSERT INTO a.users (name) VALUES ('ann')").await.unwrap();
    assert!(client.simple_query("SELECT * FROM b.users").await.is_err());
}

#[tokio::test]
async fn audit_finds_what_reaches_too_far() {
    let tenants = tenants("role").await;
    tenants.run(&["create", "a", "b", "c"]).await.ok();
    for (sql, words) in [
        ("GRANT USAGE ON SCHEMA b TO tenant_a", "tenant \"a\": it has USAGE on schema \"b\""),
        ("GRANT USAGE ON SCHEMA b TO PUBLIC", "tenant \"c\": it has USAGE on schema \"b\", as everybody has"),
        ("GRANT tenant_b TO tenant_a", "tenant \"a\": it is a member of role \"tenant_b\""),
        ("GRANT pg_read_all_data TO tenant_a", "tenant \"a\": it is a member of role \"pg_read_all_data\""),
        ("ALTER ROLE tenant_a SUPERUSER", "is a superuser"),
        ("ALTER ROLE tenant_a BYPASSRLS", "has BYPASSRLS"),
        ("ALTER ROLE tenant_a LOGIN", "can log in, past the proxy"),
        ("ALTER SCHEMA b OWNER TO tenant_a", "it owns schema \"b\""),
        ("ALTER TABLE b.users OWNER TO tenant_a", "it owns 2 relations in schema \"b\""),
        ("GRANT SELECT ON b.users TO tenant_a", "it was given SELECT on relations in schema \"b\""),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "it has CREATE on schema \"public\", as everybody has"),
        ("GRANT CREATE ON DATABASE app TO tenant_a", "it may CREATE schemas"),
        ("REVOKE USAGE ON SCHEMA a FROM tenant_a", "it may not use its own schema"),
        ("ALTER ROLE app SUPERUSER", "the servers' role \"app\" is a superuser"),
        (
            "GRANT pg_read_all_data TO app",
            "the servers' role \"app\" is a member of role \"pg_read_all_data\"",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO app",
            "the servers' role \"app\" may create objects in schema \"public\"",
        ),
        (
            "SET ROLE keeper; REVOKE tenant_a FROM app; RESET ROLE",
            "the servers' role \"app\" can't become 1 of the tenants' roles",
        ),
        (
            "GRANT INSERT ON pgstrata_control.schemas TO app",
            "the servers' role \"app\" may change the registry",
        ),
    ] {
        let said = tenants.audit_after(sql).await;
        assert_eq!(said.code, 3, "{sql}: {said:?}");
        assert!(said.out.contains(words), "{sql}: {said:?}");
    }
    tenants
        .sql("SET ROLE keeper; REVOKE ALL ON SCHEMA public FROM tenant_c; RESET ROLE; DROP OWNED BY tenant_c; DROP ROLE tenant_c")
        .await;
    tenants.run(&["audit"]).await.failed(3, "tenant \"c\": its role \"tenant_c\" does not exist");
    // What is lacking is given.
    tenants.run(&["sync", "c"]).await.ok();
    tenants.run(&["audit"]).await.ok();
}

#[tokio::test]
async fn role_that_can_not_be_is_refused_before_anything_is_made() {
    let tenants = tenants("role").await;
    let long = "x".repeat(60);
    tenants.run(&["create", &long]).await.failed(1, "longer than 63 bytes");
    assert_eq!(tenants.run(&["list", "--json"]).await.ok().trim(), "[]");
}

async fn served_in_its_tier(tier: &str) {
    let tenants = tenants(tier).await;
    tenants.sql("GRANT CONNECT ON DATABASE app TO PUBLIC").await;
    tenants.run(&["create", "a", "b"]).await.ok();
    let (_proxy, login) = tenants.serve().await;
    let (a, b) = (connect(&login("a")).await.unwrap(), connect(&login("b")).await.unwrap());
    a.batch_execute("INSERT INTO users (name) VALUES ('ann')").await.unwrap();
    assert_eq!(names(&a, "SELECT id || name || current_user FROM users").await, ["1anntenant_a"]);
    assert!(names(&b, "SELECT name FROM users").await.is_empty());
    // The running proxy hears of what becomes of its tenants.
    tenants.run(&["suspend", "a"]).await.ok();
    let error = refused(&a).await;
    assert_eq!(error.code().unwrap().code(), "57P03", "{error}");
    tenants.run(&["resume", "a"]).await.ok();
    while a.simple_query("SELECT FROM users").await.is_err() {
        tokio::task::yield_now().await;
    }
    tenants.run(&["drop", "--yes", "b"]).await.ok();
    refused(&b).await;
    assert!(connect(&login("b")).await.is_err());
    tenants.run(&["create", "b"]).await.ok();
    while connect(&login("b")).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// The error that a client gets once the proxy has heard why.
async fn refused(client: &tokio_postgres::Client) -> tokio_postgres::Error {
    loop {
        if let Err(error) = client.simple_query("SELECT name FROM users").await {
            return error;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_is_served_as_its_role() {
    served_in_its_tier("role").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_is_served_by_servers_of_its_own() {
    served_in_its_tier("login").await;
}
