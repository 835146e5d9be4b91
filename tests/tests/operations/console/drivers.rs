//! The console as real clients use it: psql, and drivers that speak the extended protocol by default.

use pgstrata::demo::find::Install;
use pgstrata_tests::Stage;
use pgstrata_tests::program::{client_program, client_program_of, go, java, python, run};

use super::{setup, stage};

#[tokio::test(flavor = "multi_thread")]
async fn psql_looks_and_changes() {
    let stage = stage().await;
    let psql = |user: &str, database: &str, text: &str| {
        let mut psql = client_program("psql");
        psql.args([
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-p",
            &stage.port().to_string(),
        ]);
        psql.args(["-U", user, "-d", database, "-c", text]).env("PGPASSWORD", user);
        psql
    };
    assert!(run(psql("root", "pgstrata", "SHOW VERSION")).await.starts_with("pgstrata "));
    assert!(run(psql("watcher", "pgbouncer", "SHOW POOLS;")).await.starts_with("app|app|"));
    assert_eq!(run(psql("root", "pgbouncer", "PAUSE app; RESUME app")).await.trim(), "PAUSE\nRESUME");
    let refused = psql("watcher", "pgstrata", "PAUSE").output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("ERROR:  permission denied"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_drivers_read_it_in_each_of_their_ways() {
    let stage = stage().await;
    stage.wire("acme_corp").await.simple("SELECT 1").await;
    let mut script = python("console.py");
    script.arg(stage.port().to_string());
    assert_eq!(run(script).await.trim(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn go_drivers_read_it_as_the_exporter_does() {
    let stage = stage().await;
    stage.wire("acme_corp").await.simple("SELECT 1").await;
    let folder = tempfile::tempdir().unwrap();
    let mut program = go("go/console.go", folder.path()).await;
    program.arg(stage.port().to_string());
    assert_eq!(run(program).await.trim(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn jdbc_reads_it() {
    let stage = stage().await;
    stage.wire("acme_corp").await.simple("SELECT 1").await;
    let mut program = java("JdbcConsole.java");
    program.arg(stage.port().to_string());
    assert_eq!(run(program).await.trim(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_is_reached_by_each_way_to_log_in_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["proxy.crt", "proxy.key"].map(|file| folder.path().join(file));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let lines = format!(
        "tls = 'required'\ntls_certificate = '{}'\ntls_key = '{}'",
        certificate.display(),
        key.display()
    );
    let methods = ["scram-sha-256", "md5", "password"];
    let user = |method: &str| format!("name = '{method}'\npassword = 'x'\nauth = '{method}'\nadmin = true");
    let setup = methods.iter().fold(setup().line("listen", lines), |setup, method| setup.user(user(method)));
    let trusted = "name = 'trusted'\nauth = 'trust'\nstats = true";
    let stage = Stage::new(setup.user(trusted)).await;
    for user in methods.into_iter().chain(["trusted"]) {
        // The system's psql: it can do TLS.
        let mut psql = client_program_of(&Install::find().unwrap(), "psql");
        psql.args(["-X", "-A", "-t", "-h", "127.0.0.1", "-p", &stage.port().to_string()]);
        psql.args(["-U", user, "-d", "pgbouncer", "-c", "SHOW CLIENTS"]);
        psql.env("PGPASSWORD", "x").env("PGSSLMODE", "require");
        let said = run(psql).await;
        assert!(said.contains(&format!("C|{user}|pgbouncer|")) && said.contains("|TLSv1.3/TLS13_"), "{said}");
    }
}
