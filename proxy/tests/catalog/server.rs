//! A PostgreSQL of the test's own, on a Unix socket in a temporary folder.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// Stops when it is dropped.
pub struct Server {
    bin: PathBuf,
    owner: Option<User>,
    dir: TempDir,
}

impl Server {
    /// `None`, said aloud, where there is no PostgreSQL to start.
    pub fn start() -> Option<Self> {
        let Some(bin) = bin() else {
            eprintln!("skipped: no PostgreSQL under /usr/lib/postgresql");
            return None;
        };
        // PostgreSQL refuses to run as root.
        let root = Uid::effective().is_root();
        let owner = root.then(|| User::from_name("postgres").unwrap().expect("no user postgres"));
        let dir = TempDir::new().unwrap();
        if let Some(owner) = &owner {
            nix::unistd::chown(dir.path(), Some(owner.uid), Some(owner.gid)).unwrap();
        }
        let server = Self { bin, owner, dir };
        let data = server.data();
        server.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]);
        let options = format!("-c listen_addresses='' -k {} -c fsync=off", server.socket_dir());
        let log = format!("{}/log", server.socket_dir());
        server.run("pg_ctl", &["-D", &data, "-w", "-l", &log, "-o", &options, "start"]);
        Some(server)
    }

    /// Where its socket is.
    pub fn socket_dir(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    /// A connection as its superuser.
    pub async fn connect(&self) -> Client {
        let settings = format!("host={} user=postgres dbname=postgres", self.socket_dir());
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    fn data(&self) -> String {
        format!("{}/data", self.socket_dir())
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir("/").stdout(Stdio::null());
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        assert!(command.status().unwrap().success(), "{program} failed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if Path::new(&self.data()).exists() {
            self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
        }
    }
}

fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.flatten().map(|version| version.path().join("bin"));
    bins.filter(|bin| bin.join("initdb").exists()).max()
}
