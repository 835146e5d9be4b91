//! Rules of who may log in from where, and how.

use pgstrata_tests::{ACME, Setup};

use crate::logins::ground::{code, complaint, lines, log_in, psql, start};

fn rules(rules: &str) -> Setup {
    Setup::new().table(rules)
}

#[tokio::test(flavor = "multi_thread")]
async fn first_rule_that_fits_decides() {
    let setup = rules(
        "[[hba]]\naddress = ['10.0.0.0/8']\nmethod = 'trust'\n\
         [[hba]]\nuser = ['acme']\ntls = true\nmethod = 'trust'\n\
         [[hba]]\nuser = ['acme']\ntenant = ['glob*']\nmethod = 'trust'\n\
         [[hba]]\nuser = ['acme']\nmethod = 'reject'\n\
         [[hba]]\ndatabase = ['ap*']\nuser = ['app', 'nobody']\naddress = ['::1', '127.0.0.0/8']\nmethod = 'scram-sha-256'",
    );
    let (_cluster, process) = start(&setup).await;
    assert_eq!(lines(&psql(&process, "app", "app", "dbname=app").await), ACME);
    for (user, password) in [("app", "wrong"), ("nobody", "app")] {
        assert_eq!(code(&process, user, password, "app").await, "28P01");
    }
    let said = complaint(&psql(&process, "acme", "acme", "dbname=app").await);
    let words = "FATAL:  pg_hba.conf rejects connection for host \"127.0.0.1\", user \"acme\", database \"app\", no encryption";
    assert!(said.contains(words), "{said}");
    let said = complaint(&psql(&process, "app", "app", "dbname=other").await);
    let words = "FATAL:  no pg_hba.conf entry for host \"127.0.0.1\", user \"app\", database \"other\", no encryption";
    assert!(said.contains(words), "{said}");
    for (user, database) in [("acme", "app"), ("app", "other"), ("anybody", "app")] {
        let fault = log_in(&process, user, "wrong", database).await.unwrap_err();
        assert_eq!(fault.code, "28000", "{fault:?}");
    }
    // A connection goes on under other rules; new ones go by these.
    let mut stays = log_in(&process, "app", "app", "app").await.unwrap();
    process.reload(&rules("[[hba]]\nuser = ['acme']\nmethod = 'trust'")).await;
    assert_eq!(stays.simple("SELECT 1").await.column(), ["1"]);
    assert_eq!(code(&process, "app", "app", "app").await, "28000");
    assert_eq!(code(&process, "acme", "", "app").await, "", "trusted");
    process.reload(&Setup::new()).await;
    assert_eq!(code(&process, "acme", "", "app").await, "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_lets_nobody_in_who_does_not_exist() {
    let (_cluster, process) = start(&rules("[[hba]]\nmethod = 'trust'")).await;
    assert_eq!(code(&process, "acme", "whatever", "app").await, "");
    assert_eq!(code(&process, "nobody", "whatever", "app").await, "28P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_of_postgresql_is_read_and_read_again() {
    let (_cluster, process) = start(&Setup::new()).await;
    let write = |text: &str| std::fs::write(process.folder().join("pg_hba.conf"), text).unwrap();
    let setup = Setup::new().replace("[listen]", "hba_file = 'pg_hba.conf'\n[listen]");
    write(
        "# TYPE DATABASE USER ADDRESS METHOD\nlocal all all peer\nhost app acme 127.0.0.1/32 scram-sha-256\n",
    );
    process.reload(&setup).await;
    assert_eq!(lines(&psql(&process, "acme", "acme", "dbname=app").await), ACME);
    assert_eq!(code(&process, "acme", "wrong", "app").await, "28P01");
    assert_eq!(code(&process, "app", "app", "app").await, "28000");
    write("host all all 127.0.0.1/32 ldap\n");
    assert!(!process.hang_up().await, "it is refused");
    assert_eq!(code(&process, "acme", "acme", "app").await, "", "nothing has changed");
    write("");
    process.reload(&setup).await;
    assert_eq!(code(&process, "acme", "acme", "app").await, "28000", "no rule, nobody");
}
