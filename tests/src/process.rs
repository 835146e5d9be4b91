//! `pgstrata serve`, the real program, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::program::pgstrata;
use crate::stage::{free_port, http, tenant_option};
use crate::{Setup, Wire};

/// See [`Process::start_by_name`].
const PROGRAM: &str = "pgstrata";

/// It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    /// The process itself: its stderr, where that is piped.
    pub child: Child,
    /// Where clients connect.
    pub port: u16,
    /// Where the metrics are.
    pub http_port: u16,
    /// The port of the PostgreSQL behind it.
    server: u16,
    folder: TempDir,
}

impl Process {
    /// Starts it in front of the PostgreSQL on port `server`, and waits until it takes clients.
    pub async fn start(setup: &Setup, server: u16, stderr: impl Into<Stdio>) -> Self {
        Self::start_with(setup, server, stderr, None).await
    }

    /// As [`Process::start`], with a limit as the shell sets it: `ulimit -n 256`.
    pub async fn start_with(
        setup: &Setup,
        server: u16,
        stderr: impl Into<Stdio>,
        limit: Option<&str>,
    ) -> Self {
        let program = pgstrata();
        let program = program.as_std().get_program();
        let command = |_: &Path| match limit {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")]).arg(program);
                shell
            }
        };
        Self::launch(setup, server, stderr.into(), command).await
    }

    /// As [`Process::start`], by the name [`Process::program`]: another program may be put there.
    pub async fn start_by_name(setup: &Setup, server: u16, stderr: impl Into<Stdio>) -> Self {
        let link = |folder: &Path| {
            let name = folder.join(PROGRAM);
            std::os::unix::fs::symlink(pgstrata().as_std().get_program(), &name).unwrap();
            Command::new(name)
        };
        Self::launch(setup, server, stderr.into(), link).await
    }

    async fn launch(
        setup: &Setup,
        server: u16,
        stderr: Stdio,
        command: impl FnOnce(&Path) -> Command,
    ) -> Self {
        let (port, http_port) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgstrata.toml");
        std::fs::write(&file, setup.toml(port, http_port, server)).unwrap();
        let mut command = command(folder.path());
        command.arg("serve").arg("--config").arg(&file).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "it has ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { child, port, http_port, server, folder }
    }

    /// The name of the program, where it was started by that.
    pub fn program(&self) -> PathBuf {
        self.folder().join(PROGRAM)
    }

    /// The folder of its configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The text of a configuration for it.
    pub fn text(&self, setup: &Setup) -> String {
        setup.toml(self.port, self.http_port, self.server)
    }

    /// Writes another configuration and has the process read it, which must go well.
    pub async fn reload(&self, setup: &Setup) {
        self.write(&self.text(setup));
        assert!(self.hang_up().await, "the configuration is fine");
    }

    /// Writes another configuration, of which the process is not told.
    pub fn write(&self, text: &str) {
        std::fs::write(self.folder().join("pgstrata.toml"), text).unwrap();
    }

    /// Has the process read its configuration: whether it took it.
    pub async fn hang_up(&self) -> bool {
        let count = async || (self.reloads("ok").await, self.reloads("failed").await);
        let before = count().await;
        self.signal(Signal::SIGHUP);
        loop {
            match count().await {
                (_, failed) if failed > before.1 => return false,
                (well, _) if well > before.0 => return true,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn reloads(&self, result: &str) -> f64 {
        self.metric(&format!("pgstrata_config_reloads_total{{result=\"{result}\"}}")).await
    }

    /// A client of a tenant, ready for queries.
    pub async fn wire(&self, tenant: &str) -> Wire {
        let option = tenant_option(tenant);
        Wire::login(self.port, "app", "app", &[("options", &option)]).await.expect("the tenant is let in")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it runs");
        kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
    }

    /// Waits until it has ended.
    pub async fn end(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }

    /// A metric's value now; -1 where there is none of this name.
    pub async fn metric(&self, name: &str) -> f64 {
        let page = http(self.http_port, "/metrics").await;
        let line = page.lines().find(|line| line.starts_with(name));
        line.map_or(-1.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}
