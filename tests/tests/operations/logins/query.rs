//! Users that are asked of PostgreSQL.

use std::process::Stdio;

use pgstrata::demo::find::Install;
use pgstrata::demo::postgres::Cluster;
use pgstrata_tests::program::{client_program_of, pgstrata};
use pgstrata_tests::stage::{connect, eventually};
use pgstrata_tests::{ACME, Process, Setup, database};
use tokio::io::AsyncWriteExt;
use tokio_postgres::Client;

use crate::logins::ground::{NAMES, code, complaint, lines, log_in, psql};

fn asking(more: &str) -> Setup {
    Setup::new().table(format!("[auth_query]\nuser = 'pgstrata_auth'\npassword = 'asks'\n{more}"))
}

/// Runs what `pgstrata sql auth-query` prints, as an administrator would.
async fn install(cluster: &Cluster, arguments: &[&str]) -> Client {
    let printed = pgstrata().args(["sql", "auth-query"]).args(arguments).output().await.unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let mut psql = client_program_of(&Install::find().unwrap(), "psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "app", "-h"]);
    psql.arg(cluster.socket_dir()).args(["-p", &cluster.port().to_string()]).stdin(Stdio::piped());
    let mut running = psql.spawn().unwrap();
    running.stdin.take().unwrap().write_all(&printed.stdout).await.unwrap();
    assert!(running.wait().await.unwrap().success());
    connect(&cluster.superuser("app")).await.unwrap()
}

/// A cluster with roles that may log in.
async fn with_roles() -> (Cluster, Client) {
    let cluster = database::cluster().await;
    let server = install(&cluster, &[]).await;
    let roles = "ALTER ROLE pgstrata_auth PASSWORD 'asks'; CREATE ROLE anna LOGIN PASSWORD 'a'; \
                 CREATE ROLE boss LOGIN SUPERUSER PASSWORD 'b'; CREATE ROLE nologin PASSWORD 'n'; \
                 CREATE ROLE past LOGIN PASSWORD 'p' VALID UNTIL 'yesterday'; \
                 INSERT INTO pgstrata.login_tenants VALUES ('anna', 'acme_*')";
    server.batch_execute(roles).await.unwrap();
    (cluster, server)
}

async fn start(cluster: &Cluster, setup: &Setup) -> Process {
    Process::start(setup, cluster.port(), Stdio::inherit()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn role_of_postgresql_logs_in() {
    let (cluster, server) = with_roles().await;
    let process = start(&cluster, &asking("tenants = ['$user']\nstatements = 'read'")).await;
    let said = psql(&process, "anna", "a", "dbname=app").await;
    assert_eq!(lines(&said), ACME, "{said:?}");
    let said = psql(&process, "anna", "wrong", "dbname=app").await;
    assert!(
        complaint(&said).contains("FATAL:  password authentication failed for user \"anna\""),
        "{said:?}"
    );
    for (user, password) in [("boss", "b"), ("nologin", "n"), ("past", "p"), ("nobody", "x"), ("anna", "")] {
        assert_eq!(code(&process, user, password, "app").await, "28P01", "{user}");
    }
    let mut anna = log_in(&process, "anna", "a", "app").await.unwrap();
    assert_eq!(anna.simple("DELETE FROM users").await.code(), "42501", "rights are those of the table");
    // Its tenants are those of PostgreSQL, or the configuration's where that names none.
    let tenants = "INSERT INTO pgstrata.login_tenants VALUES ('anna', 'globex'); \
                   CREATE ROLE acme_corp LOGIN PASSWORD 'c'; CREATE ROLE other LOGIN PASSWORD 'o'";
    server.batch_execute(tenants).await.unwrap();
    assert_eq!(code(&process, "acme_corp", "c", "app").await, "");
    assert_eq!(code(&process, "other", "o", "app").await, "28000");
    assert_eq!(code(&process, "app", "app", "app").await, "", "users of the configuration come first");
    assert_eq!(code(&process, &"x".repeat(200), "x", "app").await, "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_password_holds_from_the_next_login_but_one() {
    let (cluster, server) = with_roles().await;
    let process = start(&cluster, &asking("tenants = ['*']\ncache = '1h'")).await;
    assert_eq!(code(&process, "anna", "a", "app").await, "");
    server.batch_execute("ALTER ROLE anna PASSWORD 'changed'").await.unwrap();
    // A wrong one has the next login ask again, where the answer is a second old.
    eventually(String::new(), async || code(&process, "anna", "changed", "app").await).await;
    assert_eq!(code(&process, "anna", "a", "app").await, "28P01");
    // So has a reload.
    assert_eq!(code(&process, "anna", "changed", "app").await, "");
    server.batch_execute("DROP OWNED BY anna; DROP ROLE anna").await.unwrap();
    assert_eq!(code(&process, "anna", "changed", "app").await, "", "it is believed for an hour");
    process.reload(&asking("tenants = ['*']\ncache = '2h'")).await;
    assert_eq!(code(&process, "anna", "changed", "app").await, "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_at_the_same_time_share_one_question() {
    let (cluster, server) = with_roles().await;
    server.batch_execute("ALTER ROLE pgstrata_auth SET track_functions = 'all'").await.unwrap();
    let query = "query = 'SELECT l.*, pg_stat_force_next_flush() FROM pgstrata.login($1) l'";
    let process = start(&cluster, &asking(&format!("tenants = ['*']\n{query}"))).await;
    let logins = (0..20).map(|_| log_in(&process, "anna", "a", "app"));
    for client in futures(logins).await {
        assert_eq!(client.unwrap().simple(NAMES).await.column(), ACME);
    }
    let calls = "SELECT calls FROM pg_stat_user_functions WHERE funcname = 'login'";
    let count = async || -> i64 { server.query_opt(calls, &[]).await.unwrap().map_or(0, |row| row.get(0)) };
    eventually(1, count).await;
    assert_eq!(code(&process, "acme", "acme", "app").await, "", "is asked for nowhere");
    server.batch_execute("CREATE ROLE otto LOGIN PASSWORD 'o'").await.unwrap();
    assert_eq!(code(&process, "otto", "o", "app").await, "");
    eventually(2, count).await;
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_while_postgresql_is_away() {
    let (mut cluster, _server) = with_roles().await;
    let process = start(&cluster, &asking("tenants = ['*']\ncache = '1ms'")).await;
    let mut anna = log_in(&process, "anna", "a", "app").await.unwrap();
    assert_eq!(anna.simple(NAMES).await.column(), ACME);
    cluster.stop().unwrap();
    for (user, password) in [("anna", "a"), ("anna", "wrong"), ("nobody", "x")] {
        let fault = log_in(&process, user, password, "app").await.unwrap_err();
        assert_eq!(fault.code, "08006", "{fault:?}");
        assert_eq!(fault.message, format!("user \"{user}\" can not be looked up in PostgreSQL"));
    }
    assert_eq!(code(&process, "app", "wrong", "app").await, "28P01", "users of the configuration are known");
    cluster.restart().unwrap();
    eventually(String::new(), async || code(&process, "anna", "a", "app").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn query_that_fails_or_answers_for_another_lets_nobody_in() {
    let (cluster, server) = with_roles().await;
    let queries = [
        "SELECT $1::text",
        "SELECT 'boss', 'b' WHERE $1::text <> ''",
        "SELECT $1::text, 'a' FROM generate_series(1, 2)",
        "SELECT $1::text, 'SCRAM-SHA-256$broken'",
        "SELECT $1::text, 1",
        "SELECT $1::text, 'a', ARRAY['*', NULL] AS tenants",
        "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1",
    ];
    let process = start(&cluster, &Setup::new()).await;
    for query in queries {
        let quoted = format!("query = \"{query}\"\ntenants = ['*']");
        process.reload(&asking(&quoted)).await;
        assert_eq!(code(&process, "anna", "a", "app").await, "08006", "{query}");
    }
    // A table of one's own, with whom it is for.
    let table = "CREATE TABLE pgstrata.users (name text, secret text, tenants text[], databases text[]); \
                 INSERT INTO pgstrata.users VALUES ('otto', 'o', '{acme_corp}', '{app}'), \
                 ('none', 'n', '{}', NULL), ('else', 'e', NULL, '{other}'), ('null', NULL, NULL, NULL); \
                 GRANT SELECT ON pgstrata.users TO pgstrata_auth";
    server.batch_execute(table).await.unwrap();
    let own = "query = 'SELECT * FROM pgstrata.users WHERE name = $1'\ntenants = ['*']";
    process.reload(&asking(own)).await;
    for (user, password, expected) in
        [("otto", "o", ""), ("none", "n", "42501"), ("else", "e", "42501"), ("null", "", "28P01")]
    {
        assert_eq!(code(&process, user, password, "app").await, expected, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_keeps_clients_whose_rights_stay() {
    let (cluster, _server) = with_roles().await;
    let process = start(&cluster, &asking("tenants = ['*']")).await;
    let mut anna = log_in(&process, "anna", "a", "app").await.unwrap();
    process.reload(&asking("tenants = ['nothing']")).await;
    assert_eq!(anna.simple(NAMES).await.column(), ACME, "its tenants are PostgreSQL's");
    process.reload(&asking("tenants = ['*']\nstatements = 'read'")).await;
    let told = anna.until(b'Z').await.faults().pop().expect("last words");
    assert!(
        told.code == "57P01" && told.message.contains("what user \"anna\" may run has changed"),
        "{told:?}"
    );
    let mut anna = log_in(&process, "anna", "a", "app").await.unwrap();
    process.reload(&Setup::new()).await;
    let told = anna.until(b'Z').await.faults().pop().expect("last words");
    assert!(told.code == "57P01" && told.message.contains("\"anna\" was removed"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_installed_can_be_taken_out() {
    let cluster = database::cluster().await;
    for _ in 0..2 {
        install(&cluster, &[]).await;
    }
    let server = install(&cluster, &["--drop"]).await;
    let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = to_regnamespace('pgstrata')";
    assert_eq!(server.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    install(&cluster, &["--drop"]).await;
}
