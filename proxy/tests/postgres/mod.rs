//! A PostgreSQL of a test's own, in a temporary folder, on a free port.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// One method for each user; what they have in common is their password.
const HBA: &str = "
local all by_scram scram-sha-256
host all by_scram all scram-sha-256
host all by_md5 all md5
host all by_password all password
host all by_trust all trust
local all postgres trust
";

const ROLES: &str = "
create role by_scram login password 'pass word';
create role by_password login password 'pass word';
create role by_trust login;
set password_encryption = 'md5';
create role by_md5 login password 'pass word';
";

/// Stopped, and its folder gone, when it is dropped.
pub struct Postgres {
    folder: TempDir,
    binaries: PathBuf,
    /// On 127.0.0.1.
    pub port: u16,
}

impl Postgres {
    /// With a certificate for `localhost`, signed by `authority.pem`.
    pub fn start() -> Self {
        Self::new("ssl = on\n")
    }

    pub fn start_without_tls() -> Self {
        Self::new("ssl = off\n")
    }

    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = Self { folder, binaries: binaries(), port: free_port() };
        postgres.give_away(postgres.folder.path());
        let data = postgres.path("data");
        postgres.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "--no-sync"]);
        let (port, sockets) = (postgres.port, postgres.socket_directory());
        let settings = format!(
            "{settings}port = {port}\nlisten_addresses = 'localhost'\nunix_socket_directories = '{sockets}'\n\
             fsync = off\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n"
        );
        fs::write(postgres.folder.path().join("data/postgresql.auto.conf"), settings).unwrap();
        fs::write(postgres.folder.path().join("data/pg_hba.conf"), HBA).unwrap();
        postgres.write_certificates();
        postgres.run("pg_ctl", &["-D", &data, "-l", &postgres.path("log"), "-w", "start"]);
        let port = port.to_string();
        let to = ["-h", &sockets, "-p", &port, "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1"];
        postgres.run("psql", &[&to[..], &["-c", ROLES]].concat());
        postgres
    }

    /// Where its Unix socket is.
    pub fn socket_directory(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// A file with a certificate: `authority.pem` or `stranger.pem`.
    pub fn certificate(&self, name: &str) -> String {
        self.path(name)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write_certificates(&self) {
        let (issuer, pem) = authority();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &issuer).unwrap();
        fs::write(self.path("authority.pem"), pem).unwrap();
        fs::write(self.path("stranger.pem"), authority().1).unwrap();
        fs::write(self.path("data/server.pem"), server.pem()).unwrap();
        let file = self.path("data/server.key");
        fs::write(&file, key.serialize_pem()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        self.give_away(Path::new(&file));
    }

    /// To the user that PostgreSQL runs as: it refuses to run as root.
    fn give_away(&self, path: &Path) {
        if let Some(user) = unprivileged() {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.binaries.join(program);
        let mut command = match unprivileged() {
            Some(user) => {
                let mut command = Command::new("setpriv");
                let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
                command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let command = command.args(arguments).current_dir(self.folder.path());
        // The server inherits these: pipes would never end.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
        assert!(status.success(), "{command:?}: {}", log());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.path("data"), "-m", "immediate", "-w", "stop"]);
    }
}

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn unprivileged() -> Option<User> {
    Uid::effective().is_root().then(|| User::from_name("postgres").unwrap().expect("a user postgres"))
}

/// Debian's folder of the newest version, or what is on the path.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.max_by_key(|entry| {
        entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()).unwrap_or(0)
    });
    newest.map(|entry| entry.path().join("bin")).unwrap_or_default()
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
