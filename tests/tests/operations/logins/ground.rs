//! A proxy in a process of its own, and clients that knock at it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use pgstrata::demo::find::Install;
use pgstrata::demo::postgres::Cluster;
use pgstrata_tests::program::client_program_of;
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::wire::V3_0;
use pgstrata_tests::{Process, Setup, Wire, answer::Fault, database};

pub const NAMES: &str = "SELECT name FROM users ORDER BY id";

pub async fn start(setup: &Setup) -> (Cluster, Process) {
    let cluster = database::cluster().await;
    let process = Process::start(setup, cluster.port(), Stdio::inherit()).await;
    (cluster, process)
}

/// Logs in to a database, for acme_corp.
pub async fn log_in(process: &Process, user: &str, password: &str, database: &str) -> Result<Wire, Fault> {
    let mut wire = Wire::connect(process.port).await;
    let option = tenant_option("acme_corp");
    wire.startup(V3_0, &[("user", user), ("database", database), ("options", &option)]).await;
    wire.authenticate(password).await.map(|()| wire)
}

/// The code that a login is refused with; `""`: it is let in.
pub async fn code(process: &Process, user: &str, password: &str, database: &str) -> String {
    log_in(process, user, password, database).await.err().map(|fault| fault.code).unwrap_or_default()
}

/// What psql says, with more in its connection string.
pub async fn psql(process: &Process, user: &str, password: &str, more: &str) -> Output {
    let port = process.port;
    let url = format!("host=127.0.0.1 port={port} user={user} options=-ctenant=acme_corp {more}");
    let mut command = client_program_of(&Install::find().unwrap(), "psql");
    command.args(["-X", "-A", "-t", "-w", "-c", NAMES, &url]).env("PGPASSWORD", password);
    command.output().await.unwrap()
}

/// What psql prints, line by line.
pub fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// What psql complains of.
pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes a certificate for this host, which is its own authority, and its key: the paths of both.
pub fn certificate(folder: &Path, host: &str) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())].map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    })
}
