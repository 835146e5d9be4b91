//! The databases that a user may connect to.

use pgstrata_tests::{ACME, Setup};

use crate::logins::ground::{NAMES, code, complaint, lines, log_in, psql, start};

/// Two databases, and user acme for the first alone.
fn two(databases: &str) -> Setup {
    Setup::new()
        .replace("password = 'acme'", format!("password = 'acme'\ndatabases = {databases}"))
        .replace("[databases.app]", "[databases.other]\nhost = 'nowhere'\nuser = 'app'\n[databases.app]")
}

#[tokio::test(flavor = "multi_thread")]
async fn other_databases_are_refused_whether_they_exist_or_not() {
    let (_cluster, process) = start(&two("['app']")).await;
    let mut acme = log_in(&process, "acme", "acme", "app").await.unwrap();
    assert_eq!(acme.simple(NAMES).await.column(), ACME);
    for database in ["other", "nothing"] {
        let fault = log_in(&process, "acme", "acme", database).await.unwrap_err();
        assert_eq!(fault.code, "42501", "{fault:?}");
        assert_eq!(fault.message, format!("permission denied for database \"{database}\""));
        // Who has proven nothing is told nothing.
        assert_eq!(code(&process, "acme", "wrong", database).await, "28P01");
        assert_eq!(code(&process, "nobody", "acme", database).await, "28P01");
    }
    assert_eq!(code(&process, "app", "app", "nothing").await, "3D000", "who may use all may know");
    let said = psql(&process, "acme", "acme", "dbname=other").await;
    let words =
        "FATAL:  permission denied for database \"other\"\nDETAIL:  User does not have CONNECT privilege.";
    assert!(complaint(&said).contains(words), "{said:?}");
    assert_eq!(lines(&psql(&process, "acme", "acme", "dbname=app").await), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_leaves_a_database_that_its_user_may_no_longer_use() {
    let (_cluster, process) = start(&two("['a*']")).await;
    let mut idle = log_in(&process, "acme", "acme", "app").await.unwrap();
    let mut busy = log_in(&process, "acme", "acme", "app").await.unwrap();
    let mut stays = log_in(&process, "app", "app", "app").await.unwrap();
    assert_eq!(busy.simple("BEGIN").await.status(), Some('T'));
    process.reload(&two("['other']")).await;
    assert_eq!(code(&process, "acme", "acme", "app").await, "42501");
    let reason = "user \"acme\" may no longer connect to database \"app\" by the configuration";
    let told = idle.until(b'Z').await.faults().pop().expect("last words");
    assert!(told.code == "57P01" && told.message.contains(reason), "{told:?}");
    assert_eq!(busy.simple(NAMES).await.column(), ACME, "its transaction goes on");
    assert_eq!(busy.simple("COMMIT").await.commands(), ["COMMIT"]);
    let told = busy.until(b'Z').await.faults().pop().expect("last words");
    assert!(told.code == "57P01" && told.message.contains(reason), "{told:?}");
    assert_eq!(stays.simple(NAMES).await.column(), ACME);
}
