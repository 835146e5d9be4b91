//! A PostgreSQL of our own: initialised, started and ended by this process.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::account::Account;
use super::find::Install;
use super::keeper::Keeper;

/// The superuser of every cluster that we make. It gets in by the socket only.
pub const SUPERUSER: &str = "postgres";

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Between asking for a free port and PostgreSQL's use of it, others may take it.
const PORT_TRIES: usize = 5;

/// What a cluster is to be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which PostgreSQL; the first that is found if left out.
    pub install: Option<Install>,
    /// Where its data is kept. Left out, it goes when the cluster goes.
    pub data: Option<PathBuf>,
    /// The folder for its temporary folder; left out, it is that of `TMPDIR`.
    pub temp: Option<PathBuf>,
    /// A stopped cluster's data to begin with, in place of an empty cluster.
    pub template: Option<PathBuf>,
    /// `max_connections`
    pub max_connections: u32,
    /// More settings, by name.
    pub settings: Vec<(String, String)>,
    /// Lines for `pg_hba.conf` that go before ours.
    pub hba: Vec<String>,
    /// Certificate and key in PEM: TLS is on where they are given.
    pub tls: Option<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            install: None,
            data: None,
            temp: None,
            template: None,
            max_connections: 100,
            settings: Vec::new(),
            hba: Vec::new(),
            tls: None,
        }
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// PostgreSQL is not installed.
    #[error(
        "no PostgreSQL server found: install it (Debian: apt-get install postgresql; macOS: brew install \
         postgresql) or set PGSTRATA_PG_BIN to the folder of `initdb`"
    )]
    NotFound,
    /// PostgreSQL's account may not enter a folder.
    #[error("the account that PostgreSQL runs under can't reach {0}: choose another folder")]
    Unreachable(PathBuf),
    /// One of PostgreSQL's programs ended with an error.
    #[error("{program} failed: {message}")]
    Program {
        /// Which one.
        program: &'static str,
        /// The end of what it said.
        message: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A running PostgreSQL. It ends, and its temporary folder goes, with this value;
/// if this process is killed, a watching shell does the same.
#[derive(Debug)]
pub struct Cluster {
    install: Install,
    options: Options,
    account: Account,
    data: PathBuf,
    port: u16,
    child: Option<Child>,
    keeper: Keeper,
    temp: TempDir,
}

impl Cluster {
    /// Makes a cluster and starts it on a free port. Returns when it takes connections.
    pub fn start(options: Options) -> Result<Self, ClusterError> {
        let install = options.install.clone().or_else(Install::find).ok_or(ClusterError::NotFound)?;
        let account = Account::choose().map_err(io_error("choosing an account for PostgreSQL"))?;
        let temp = short_temp_dir(options.temp.as_deref(), &account)
            .map_err(io_error("making a temporary folder"))?;
        let install = reachable(install, &account, temp.path())?;
        let data = options.data.clone().unwrap_or_else(|| temp.path().join("data"));
        if let Some(outer) = data.parent().filter(|outer| !account.reaches(outer)) {
            return Err(ClusterError::Unreachable(outer.to_owned()));
        }
        let keeper = Keeper::start(&data, temp.path()).map_err(io_error("starting a shell"))?;
        let mut cluster = Self { install, options, account, data, port: 0, child: None, keeper, temp };
        cluster.initialise()?;
        cluster.launch_on_free_port()?;
        Ok(cluster)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        self.temp.path()
    }

    /// Which PostgreSQL it is.
    pub fn install(&self) -> &Install {
        &self.install
    }

    /// How the superuser connects to `database`.
    pub fn superuser(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.socket_dir()).port(self.port).user(SUPERUSER).dbname(database);
        config
    }

    /// What PostgreSQL has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.temp.path().join("log")).unwrap_or_default()
    }

    /// Disconnects everybody and stops. The data stays for [`Cluster::restart`].
    pub fn stop(&mut self) -> Result<(), ClusterError> {
        self.end(Signal::SIGINT)
    }

    /// Stops as a crash would: no clean-up, and nobody is told.
    pub fn kill(&mut self) -> Result<(), ClusterError> {
        self.end(Signal::SIGKILL)
    }

    /// Stops if it runs, and starts again on the same port.
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.stop()?;
        let deadline = Instant::now() + START_TIMEOUT;
        // After a crash the old backends may hold the port and the memory a little longer.
        loop {
            match self.launch() {
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(100)),
                other => return other,
            }
        }
    }

    fn initialise(&self) -> Result<(), ClusterError> {
        if self.data.join("PG_VERSION").exists() {
            return self.write_access_rules();
        }
        match &self.options.template {
            Some(template) => {
                let mut command = Command::new("cp");
                command.arg("-a").arg(template).arg(&self.data);
                finish(command, "cp")?;
            }
            None => {
                let mut command = self.command("initdb");
                fs::create_dir_all(&self.data).map_err(io_error("making the data folder"))?;
                self.account.give(&self.data).map_err(io_error("giving away the data folder"))?;
                command.args(["--username", SUPERUSER, "--auth-local=trust", "--auth-host=scram-sha-256"]);
                command.args(["--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"]).arg(&self.data);
                finish(command, "initdb")?;
            }
        }
        self.write_access_rules()
    }

    /// Passwords for TCP. The socket is in a folder that only its owner can enter.
    fn write_access_rules(&self) -> Result<(), ClusterError> {
        let mut rules: String = self.options.hba.iter().map(|line| format!("{line}\n")).collect();
        rules.push_str("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
        self.write(&self.data.join("pg_hba.conf"), &rules)?;
        if let Some((certificate, key)) = &self.options.tls {
            self.write(&self.temp.path().join("server.crt"), certificate)?;
            self.write(&self.temp.path().join("server.key"), key)?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), ClusterError> {
        let written = fs::write(path, text)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)))
            .and_then(|()| self.account.give(path));
        written.map_err(io_error("writing a file for PostgreSQL"))
    }

    fn launch_on_free_port(&mut self) -> Result<(), ClusterError> {
        for _ in 1..PORT_TRIES {
            self.port = free_port().map_err(io_error("looking for a free port"))?;
            match self.launch() {
                Err(_) if self.log().contains("Address already in use") => {}
                other => return other,
            }
        }
        self.port = free_port().map_err(io_error("looking for a free port"))?;
        self.launch()
    }

    fn launch(&mut self) -> Result<(), ClusterError> {
        let log = fs::File::create(self.temp.path().join("log"));
        let log = log.map_err(io_error("making PostgreSQL's log"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).arg("-k").arg(self.temp.path());
        command.arg("-p").arg(self.port.to_string());
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().map_err(io_error("starting PostgreSQL"))?);
        self.wait_until_ready()
    }

    fn settings(&self) -> Vec<(String, String)> {
        let fixed = [
            ("listen_addresses", "127.0.0.1"),
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("shared_buffers", "32MB"),
            ("logging_collector", "off"),
            ("password_encryption", "scram-sha-256"),
        ];
        let mut settings: Vec<(String, String)> =
            fixed.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        settings.push(("max_connections".into(), self.options.max_connections.to_string()));
        if self.options.tls.is_some() {
            let file = |name| self.temp.path().join(name).display().to_string();
            settings.push(("ssl".into(), "on".into()));
            settings.push(("ssl_cert_file".into(), file("server.crt")));
            settings.push(("ssl_key_file".into(), file("server.key")));
        }
        settings.extend(self.options.settings.iter().cloned());
        settings
    }

    fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.is_ready() {
                return Ok(());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() {
                self.child = None;
                return Err(program_error("postgres", &self.log()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.end(Signal::SIGKILL)?;
        Err(program_error("postgres", "not ready after a minute"))
    }

    /// The last line of PostgreSQL's own file says so once connections are taken.
    /// After a crash the file of the one before is still there, with another id.
    fn is_ready(&self) -> bool {
        let status = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = status.lines().map(str::trim);
        let id = self.child.as_ref().map(|child| child.id().to_string());
        lines.next().map(str::to_owned) == id && lines.nth(6) == Some("ready")
    }

    fn end(&mut self, signal: Signal) -> Result<(), ClusterError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        // Ids of processes fit: the kernel gave this one to us as an i32.
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let _ = kill(id, signal);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if child.try_wait().map_err(io_error("waiting for PostgreSQL"))?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        child.kill().and_then(|()| child.wait()).map_err(io_error("ending PostgreSQL"))?;
        Ok(())
    }

    /// One of PostgreSQL's programs, under the right account.
    fn command(&self, program: &str) -> Command {
        let mut command = self.account.command(&self.install.program(program));
        // Programs that were moved look for their libraries where they were built.
        if self.install.bin.starts_with(self.temp.path()) {
            command.env("LD_LIBRARY_PATH", self.install.bin.with_file_name("lib"));
        }
        command.env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGPORT");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Kept data is closed properly; what is thrown away needs no care.
        let kept = self.options.data.is_some();
        let _ = self.end(if kept { Signal::SIGINT } else { Signal::SIGQUIT });
        let _ = fs::remove_dir_all(self.temp.path());
        self.keeper.release();
    }
}

/// A folder whose path leaves room for a socket's name, which the account owns.
fn short_temp_dir(parent: Option<&Path>, account: &Account) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("pgs-");
    let temp = match parent {
        Some(parent) => builder.tempdir_in(parent)?,
        None => builder.tempdir()?,
    };
    account.give(temp.path())?;
    Ok(temp)
}

/// The installation itself, or a copy where its account can't get to it: a
/// clone below `/root` has the programs where only root may look.
fn reachable(install: Install, account: &Account, temp: &Path) -> Result<Install, ClusterError> {
    if account.reaches(&install.bin) {
        return Ok(install);
    }
    let Some(root) = install.bin.parent() else { return Ok(install) };
    let copy = temp.join("postgresql");
    let mut command = Command::new("cp");
    command.arg("-RL").arg(root).arg(&copy);
    finish(command, "cp")?;
    let name = install.bin.file_name().unwrap_or_default();
    Ok(Install { bin: copy.join(name), major: install.major })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn finish(mut command: Command, program: &'static str) -> Result<(), ClusterError> {
    let output = command.stdin(Stdio::null()).output().map_err(io_error("starting a program"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(program_error(program, &String::from_utf8_lossy(&output.stderr)))
}

/// The last line of what a program said is what went wrong.
fn program_error(program: &'static str, said: &str) -> ClusterError {
    let mut errors = said.lines().filter(|line| line.contains("FATAL") || line.contains("error"));
    let line = errors.next_back().or(said.lines().next_back()).unwrap_or("it gave no reason");
    ClusterError::Program { program, message: line.trim().to_owned() }
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::Io { what, source }
}
