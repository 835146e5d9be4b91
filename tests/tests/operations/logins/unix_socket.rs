//! Clients on a Unix socket, and the system that vouches for them.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use pgstrata::demo::find::Install;
use pgstrata_tests::program::{client_program_of, pgstrata};
use pgstrata_tests::{ACME, Process, Setup, database};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Duration, sleep};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use super::ground::{self, NAMES, complaint, lines, psql};

const HERE: &str = "unix_socket_dir = '.'\nunix_socket_mode = '0770'";

/// A process that listens in its own folder, too.
async fn start(setup: &Setup) -> (pgstrata::demo::postgres::Cluster, Process) {
    let cluster = database::cluster().await;
    let setup = setup.clone().line("listen", HERE);
    let process = Process::start(&setup, cluster.port(), Stdio::inherit()).await;
    (cluster, process)
}

fn socket(process: &Process) -> PathBuf {
    process.folder().join(format!(".s.PGSQL.{}", process.port))
}

/// What psql says, over the socket.
async fn psql_here(process: &Process, user: &str, password: &str, query: &str, more: &str) -> Output {
    let (host, port) = (process.folder().display(), process.port);
    let url = format!("host={host} port={port} user={user} {more}");
    let mut command = client_program_of(&Install::find().unwrap(), "psql");
    command.args(["-X", "-A", "-t", "-w", "-c", query, &url]).env("PGPASSWORD", password);
    command.output().await.unwrap()
}

const ACME_IN_APP: &str = "dbname=app options=-ctenant=acme_corp";

fn system_user() -> String {
    User::from_uid(Uid::effective()).unwrap().unwrap().name
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_in_by_a_unix_socket() {
    let setup = Setup::new().admin().line("listen", "proxy_protocol = ['127.0.0.0/8']");
    let (_cluster, process) = start(&setup).await;
    let said = psql_here(&process, "app", "app", NAMES, ACME_IN_APP).await;
    assert_eq!(lines(&said), ACME, "{}", complaint(&said));
    let said = psql_here(&process, "app", "wrong", NAMES, ACME_IN_APP).await;
    assert!(complaint(&said).contains("password authentication failed"), "{}", complaint(&said));
    let said = psql_here(&process, "app", "app", "SHOW CLIENTS", "dbname=pgstrata").await;
    assert!(lines(&said).iter().any(|line| line.contains("|unix|")), "{said:?}");
    let mode = std::fs::metadata(socket(&process)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o770);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_comes_by_the_socket() {
    let (_cluster, process) = start(&Setup::new()).await;
    let mut config = tokio_postgres::Config::new();
    config.host_path(process.folder()).port(process.port).user("app").password("app").dbname("app");
    config.options("-ctenant=acme_corp");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let token = client.cancel_token();
    let cancel = async {
        sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (answer, ()) = tokio::join!(client.batch_execute("SELECT pg_sleep(60)"), cancel);
    assert_eq!(answer.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_vouches_for_its_users() {
    let own = system_user();
    let user = |name: &str, listed: &str| {
        format!("name = '{name}'\nauth = 'peer'\ntenants = ['acme_corp']\n{listed}")
    };
    let setup = Setup::new()
        .user(user("listed", &format!("system_users = ['other', '{own}']")))
        .user(user("unlisted", "system_users = ['other']"))
        .user(user("elsewhere", ""))
        .user(user(&own, ""));
    let (_cluster, process) = start(&setup).await;
    for name in ["listed", own.as_str()] {
        let said = psql_here(&process, name, "", NAMES, ACME_IN_APP).await;
        assert_eq!(lines(&said), ACME, "{}", complaint(&said));
    }
    for name in ["unlisted", "elsewhere"] {
        let said = complaint(&psql_here(&process, name, "app", NAMES, ACME_IN_APP).await);
        let words = format!("FATAL:  Peer authentication failed for user \"{name}\"");
        assert!(said.contains(&words), "{said}");
    }
    // Over TCP the system says nothing of anybody.
    let said = complaint(&psql(&process, "listed", "app", "dbname=app").await);
    assert!(said.contains("Peer authentication failed for user \"listed\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_tell_the_socket_from_addresses() {
    let own = system_user();
    let setup = Setup::new().table(
        "[[hba]]\nlocal = true\nuser = ['app']\nmethod = 'scram-sha-256'\n\
         [[hba]]\nlocal = true\nuser = ['acme']\nmethod = 'peer'\n\
         [[hba]]\naddress = ['0.0.0.0/0']\nuser = ['acme']\nmethod = 'trust'",
    );
    let (_cluster, process) = start(&setup).await;
    assert_eq!(lines(&psql_here(&process, "app", "app", NAMES, ACME_IN_APP).await), ACME);
    let said = complaint(&psql(&process, "app", "app", "dbname=app").await);
    assert!(said.contains("no pg_hba.conf entry for host \"127.0.0.1\""), "{said}");
    assert_eq!(lines(&psql(&process, "acme", "", "dbname=app").await), ACME);
    let said = complaint(&psql_here(&process, "acme", "acme", NAMES, ACME_IN_APP).await);
    assert!(said.contains("Peer authentication failed"), "the system user is {own}: {said}");
    let said = complaint(&psql_here(&process, "nobody", "", NAMES, ACME_IN_APP).await);
    assert!(said.contains("no pg_hba.conf entry for host \"[local]\", user \"nobody\""), "{said}");
    // An unknown user is told the same as a known one, by the method of the rule.
    process
        .reload(
            &setup
                .clone()
                .line("listen", HERE)
                .replace("user = ['acme']\nmethod = 'peer'", "method = 'peer'"),
        )
        .await;
    let said = complaint(&psql_here(&process, "nobody", "", NAMES, ACME_IN_APP).await);
    assert!(said.contains("Peer authentication failed for user \"nobody\""), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_not_asked_for_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ground::certificate(folder.path(), "localhost");
    let setup = Setup::new()
        .line("listen", format!("tls = 'required'\ntls_certificate = '{certificate}'\ntls_key = '{key}'"))
        .user("name = 'plain'\npassword = 'secret'\nauth = 'password'\ntenants = ['acme_corp']");
    let (_cluster, process) = start(&setup).await;
    for (user, password) in [("app", "app"), ("plain", "secret")] {
        let said = psql_here(&process, user, password, NAMES, ACME_IN_APP).await;
        assert_eq!(lines(&said), ACME, "{}", complaint(&said));
    }
    let mut stream = UnixStream::connect(socket(&process)).await.unwrap();
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'N', "SSLRequest is answered as PostgreSQL does");
    let said = complaint(&psql(&process, "app", "app", "dbname=app sslmode=disable").await);
    assert!(said.contains("connections without TLS are not accepted"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_goes_with_its_process_and_over_to_the_next_one() {
    let (cluster, mut process) = start(&Setup::new().line("process", "pid_file = 'pid'")).await;
    let path = socket(&process);
    let pid = || std::fs::read_to_string(process.folder().join("pid")).ok()?.trim().parse::<i32>().ok();
    let first = process.child.id().map(|id| i32::try_from(id).unwrap());
    while pid() != first {
        sleep(Duration::from_millis(10)).await;
    }
    // Another process may not take it.
    let other = process.text(&Setup::new().line("listen", "unix_socket_dir = '.'"));
    let other = other.replace("address = '127.0.0.1:", "address = '127.0.0.2:");
    std::fs::write(process.folder().join("other.toml"), other).unwrap();
    let said =
        pgstrata().arg("serve").arg("--config").arg(process.folder().join("other.toml")).output().await;
    let said = complaint(&said.unwrap());
    assert!(said.contains("can not listen on") && said.contains("listen.unix_socket_dir"), "{said}");
    // A new process takes it over.
    process.signal(Signal::SIGUSR2);
    let second = loop {
        match pid() {
            Some(second) if Some(second) != first => break second,
            _ => sleep(Duration::from_millis(10)).await,
        }
    };
    process.end().await;
    assert_eq!(lines(&psql_here(&process, "app", "app", NAMES, ACME_IN_APP).await), ACME);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(second), Signal::SIGTERM).unwrap();
    while path.exists() {
        sleep(Duration::from_millis(10)).await;
    }
    // What a crash leaves is replaced.
    let crashed = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(crashed);
    assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let file = process.folder().join("pgstrata.toml");
    let mut third = pgstrata().arg("serve").arg("--config").arg(file).kill_on_drop(true).spawn().unwrap();
    while lines(&psql_here(&process, "app", "app", NAMES, ACME_IN_APP).await) != ACME {
        assert!(third.try_wait().unwrap().is_none(), "it has ended");
        sleep(Duration::from_millis(20)).await;
    }
    drop(cluster);
}
