//! Users from a file in the format of PgBouncer's userlist.txt.

use pgstrata_tests::{ACME, Process, Setup, stage};

use crate::logins::ground::{NAMES, code, complaint, lines, log_in, psql, start};

/// A proxy with these users beside those of each setup.
async fn start_with(setup: &Setup, userlist: &str) -> (pgstrata::demo::postgres::Cluster, Process) {
    let (cluster, process) = start(&Setup::new()).await;
    write(&process, userlist);
    process.reload(setup).await;
    (cluster, process)
}

fn write(process: &Process, userlist: &str) {
    std::fs::write(process.folder().join("userlist.txt"), userlist).unwrap();
}

fn from_file(more: &str) -> Setup {
    Setup::new().table(format!("[auth_file]\npath = 'userlist.txt'\n{more}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_secret_logs_in() {
    let (cluster, process) = start(&Setup::new()).await;
    // What PostgreSQL itself makes of passwords.
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    let mut userlist = String::from("; made by a script\n\"plain\" \"sec\"\"ret\"\n");
    for (role, method) in [("scram", "scram-sha-256"), ("hashed", "md5")] {
        let make = format!("SET password_encryption = '{method}'; CREATE ROLE {role} PASSWORD 'sec\"ret'");
        server.batch_execute(&make).await.unwrap();
        let query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
        let secret: String = server.query_one(query, &[&role]).await.unwrap().get(0);
        userlist += &format!("\"{role}\" \"{secret}\" \"ignored\"\n");
    }
    userlist += "\"never\" \"\"\n";
    write(&process, &userlist);
    process.reload(&from_file("tenants = ['acme_corp']\nauth = 'md5'")).await;
    for user in ["plain", "scram", "hashed"] {
        let said = psql(&process, user, "sec\"ret", "dbname=app").await;
        assert_eq!(lines(&said), ACME, "{user}: {said:?}");
        let said = psql(&process, user, "secret", "dbname=app").await;
        let words = format!("FATAL:  password authentication failed for user \"{user}\"");
        assert!(complaint(&said).contains(&words), "{said:?}");
    }
    for (user, password) in [("never", ""), ("never", "never"), ("ignored", "ignored"), ("acme", "wrong")] {
        assert_eq!(code(&process, user, password, "app").await, "28P01", "{user}");
    }
    assert_eq!(code(&process, "acme", "acme", "app").await, "", "users of the file itself go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_those_of_the_table() {
    let setup = from_file("tenants = ['$user']\ndatabases = ['app']\nstatements = 'read'");
    let (_cluster, process) =
        start_with(&setup, "\"acme_corp\" \"a\"\n\"globex\" \"g\"\n\"*\" \"s\"\n").await;
    let mut own = log_in(&process, "acme_corp", "a", "app").await.unwrap();
    assert_eq!(own.simple(NAMES).await.column(), ACME);
    assert_eq!(own.simple("DELETE FROM users").await.code(), "42501");
    assert_eq!(code(&process, "acme_corp", "a", "other").await, "42501");
    assert_eq!(code(&process, "globex", "g", "app").await, "28000", "acme_corp is not globex's");
    assert_eq!(code(&process, "*", "s", "app").await, "42501", "a name is no pattern");
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_reads_the_file_again() {
    let setup = from_file("tenants = ['*']");
    let (_cluster, process) = start_with(&setup, "\"one\" \"first\"\n\"two\" \"second\"\n").await;
    let mut one = log_in(&process, "one", "first", "app").await.unwrap();
    let mut two = log_in(&process, "two", "second", "app").await.unwrap();
    write(&process, "\"one\" \"changed\"\n\"three\" \"third\"\n");
    assert_eq!(code(&process, "one", "first", "app").await, "", "nobody has told the proxy");
    process.reload(&setup).await;
    for (user, password, expected) in [
        ("one", "first", "28P01"),
        ("one", "changed", ""),
        ("three", "third", ""),
        ("two", "second", "28P01"),
    ] {
        assert_eq!(code(&process, user, password, "app").await, expected, "{user} {password}");
    }
    let told = two.until(b'Z').await.faults().pop().expect("last words");
    assert!(told.code == "57P01" && told.message.contains("\"two\" was removed"), "{told:?}");
    assert_eq!(one.simple(NAMES).await.column(), ACME, "a new password is for new logins");
    // A broken file changes nothing.
    write(&process, "\"one\" \"again\"\nbroken");
    assert!(!process.hang_up().await, "it is refused");
    assert_eq!(code(&process, "one", "changed", "app").await, "");
}
