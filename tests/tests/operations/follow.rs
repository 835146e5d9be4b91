//! Files that the configuration names are read again when they change.

use std::process::Stdio;

use pgstrata_tests::program::pgstrata;
use pgstrata_tests::stage::{connect, eventually, tenant_option};
use pgstrata_tests::{ACME, Process, Setup, Wire, database};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::handover::line_with;

async fn code(process: &Process, password: &str) -> String {
    let login = Wire::login(process.port, "rotated", password, &[("options", "-ctenant=acme_corp")]).await;
    login.err().map_or(String::new(), |fault| fault.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_secret_acts_with_no_signal_and_an_edit_of_the_file_itself_does_not() {
    let cluster = database::cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "first").unwrap();
    let rotated = format!("name = 'rotated'\npassword_file = '{}'\ntenants = ['*']", secret.display());
    let setup = Setup::new()
        .user(rotated)
        .line("process", "follow_files = '20ms'")
        .line("listen", "failed_login_pause = '0s'");
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let mut stays = process.wire("acme_corp").await;
    assert_eq!(code(&process, "first").await, "");
    // As Kubernetes does it: another file takes its place.
    let next = folder.path().join("next");
    std::fs::write(&next, "second").unwrap();
    std::fs::rename(&next, &secret).unwrap();
    eventually(String::new(), async || code(&process, "second").await).await;
    assert_eq!(code(&process, "first").await, "28P01");
    assert_eq!(stays.simple("SELECT 1").await.column(), ["1"]);
    // As Kubernetes does it where one volume holds both: all files are replaced, and one of them has changed.
    let text = process.text(&setup);
    let other = process.folder().join("other");
    std::fs::write(&other, &text).unwrap();
    std::fs::rename(&other, process.folder().join("pgstrata.toml")).unwrap();
    std::fs::write(&secret, "second and a half").unwrap();
    eventually(String::new(), async || code(&process, "second and a half").await).await;
    let said = line_with(&mut lines, "a file that the configuration names has changed").await;
    assert!(said.contains(secret.to_str().unwrap()), "{said}");
    // The file itself is somebody's who may not be done with it.
    process.write(&process.text(&setup.clone().line("listen", "max_clients = 1")));
    std::fs::write(&secret, "third").unwrap();
    line_with(&mut lines, "reload it").await;
    assert_eq!(code(&process, "second and a half").await, "");
    // It is undone: nobody edits it any more.
    process.write(&text);
    eventually(String::new(), async || code(&process, "third").await).await;
    process.write(&process.text(&setup.clone().line("listen", "max_clients = 1")));
    std::fs::write(&secret, "fourth").unwrap();
    line_with(&mut lines, "reload it").await;
    // When somebody asks, all of it acts.
    process.reload(&setup).await;
    assert_eq!(code(&process, "fourth").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn password_that_a_program_prints_is_asked_for_again() {
    let cluster = database::cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "app\n").unwrap();
    let command = format!("password_command = ['cat', '{}']\ntls = 'disable'", token.display());
    let setup = Setup::new()
        .replace("password = 'app'\ntls = 'disable'", command)
        .line("process", "rerun_commands = '50ms'");
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let mut stays = process.wire("acme_corp").await;
    let ask = async || {
        let option = tenant_option("acme_corp");
        let login = Wire::login(process.port, "app", "app", &[("options", &option)]).await;
        let Ok(mut wire) = login else { return Vec::new() };
        let answer = wire.simple("SELECT name FROM users ORDER BY id").await;
        if answer.fault().is_none() { answer.column() } else { Vec::new() }
    };
    assert_eq!(ask().await, ACME);
    // The token has expired: servers that are there go on, new ones can't log in.
    let server = connect(&cluster.superuser("app")).await.unwrap();
    let expired = "ALTER ROLE app PASSWORD 'second'; \
                   SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
    server.batch_execute(expired).await.unwrap();
    eventually(Vec::<String>::new(), ask).await;
    std::fs::write(&token, "second").unwrap();
    eventually(ACME.map(str::to_owned).to_vec(), ask).await;
    assert_eq!(stays.simple("SELECT name FROM users ORDER BY id").await.column(), ACME);
    // A program that fails changes nothing, and is tried again.
    std::fs::remove_file(&token).unwrap();
    let said = line_with(&mut lines, "configuration not reloaded").await;
    assert!(said.contains("\"password_command\": cannot run it: it has ended with exit status: 1"), "{said}");
    assert!(!said.contains("second"), "{said}");
    assert_eq!(ask().await, ACME);
    process.write(&process.text(&setup.clone().line("listen", "max_clients = 1")));
    line_with(&mut lines, "a password_command is to be run again").await;
    assert_eq!(ask().await, ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_why_a_program_gave_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgstrata.toml");
    let check = async |lines: &str| {
        let text = Setup::new().toml(6432, 9187, 5432).replacen(
            "password = 'app'\ntls",
            &format!("{lines}\ntls"),
            1,
        );
        std::fs::write(&file, text).unwrap();
        let said = pgstrata().arg("check").arg("--config").arg(&file).output().await.unwrap();
        String::from_utf8(said.stderr).unwrap()
    };
    for (lines, words) in [
        ("password_command = []", "it names no program"),
        ("password_command = 'cat x'", "must be"),
        ("password_command = ['/nowhere/token']", "cannot run it: No such file"),
        ("password_command = ['false']", "cannot run it: it has ended with exit status: 1"),
        ("password_command = ['true']", "the password is empty"),
        ("password_command = ['echo', 'x']\npassword = 'y'", "two sources for one password"),
    ] {
        let said = check(lines).await;
        assert!(said.contains(words) && said.contains("password_command"), "{lines}: {said}");
    }
}
