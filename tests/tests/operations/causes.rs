//! What goes wrong is said with its cause and with the database's name in the file.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use pgstrata_tests::program::pgstrata;
use pgstrata_tests::{Process, Setup, Wire, database, stage};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::test(flavor = "multi_thread")]
async fn refused_password_of_the_servers_role_is_named_with_its_database() {
    let cluster = database::cluster().await;
    let renamed = "[databases.shop]\ndatabase = 'app'";
    let setup = Setup::new()
        .replace("[databases.app]", renamed)
        .replace("password = 'app'", "password = 'wrong'")
        .line("pool", "wait_timeout = '1s'")
        .line("log", "level = 'debug'");
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    // The demonstration's cluster trusts everybody.
    let hba = "COPY (VALUES ('local all all trust'), ('host all app all scram-sha-256'), ('host all postgres all trust')) \
               TO PROGRAM 'cat > pg_hba.conf'";
    server.batch_execute(hba).await.unwrap();
    server.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let port = process.port;
    let login = tokio::spawn(async move {
        let mut wire = Wire::connect(port).await;
        let parameters = [("user", "app"), ("database", "shop"), ("options", "-ctenant=acme_corp")];
        wire.startup(pgstrata_tests::wire::V3_0, &parameters).await;
        wire.authenticate("app").await
    });
    let cause = "password authentication failed for user \"app\" (28P01)";
    // The connection that listens, and the one that looks tenants up.
    let mut awaited = vec!["tenant-change listener disconnected", "tenant lookup failed"];
    while !awaited.is_empty() {
        let line = lines.next_line().await.unwrap().expect("it is said");
        assert!(!line.contains("db error"), "{line}");
        if let Some(at) = awaited.iter().position(|what| line.contains(what)) {
            assert!(line.contains("database=\"shop\"") && line.contains(cause), "{line}");
            awaited.remove(at);
        }
    }
    assert_eq!(login.await.unwrap().unwrap_err().code, "08006");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_of_what_works_and_is_hardly_meant() {
    let folder = tempfile::tempdir().unwrap();
    let [file, secret] = ["pgstrata.toml", "password"].map(|name| folder.path().join(name));
    std::fs::write(&secret, "app").unwrap();
    let text = Setup::new()
        .replace("password = 'app'", "password_file = 'password'")
        .replace("password = 'app'", "password_env = 'NAME'")
        .replace("password = 'acme'", "password_env = 'NAME'");
    std::fs::write(&file, text.toml(1, 2, 5432).replace("login_key = ", "login_key_env = 'KEY' # ")).unwrap();
    let check = async |mode: u32| {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = pgstrata();
        command.args(["check", "--config"]).arg(&file).env("NAME", "x").env("KEY", "x".repeat(32));
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = check(0o600).await;
    assert!(said.lines().count() == 1 && said.contains("warning: \"missing_tenant\""), "{said}");
    let said = check(0o644).await;
    assert!(
        said.lines().count() == 2
            && said.contains("password holds a password or a key, and all users can read it"),
        "{said}"
    );
}
