//! `pgstrata serve`, in a process of its own, for what is measured from outside.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use pgstrata::demo::postgres::Cluster;

/// It is killed when this is dropped.
pub struct Proxy {
    child: Child,
    /// Where clients connect.
    pub port: u16,
    /// Where the metrics are.
    pub http: u16,
    /// What it had of memory when it took clients, in KiB.
    resident: u64,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts the program in front of that cluster, with `lines` in its configuration, under a limit as the shell sets it.
    ///
    /// The error: it can't be started.
    pub fn start(program: &Path, cluster: &Cluster, lines: &str, limit: &str) -> std::io::Result<Self> {
        let free = || Ok::<_, std::io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let (port, http) = (free()?, free()?);
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("pgstrata.toml");
        let text = format!(
            "[http]\naddress = '127.0.0.1:{http}'\n[log]\nlevel = 'error'\n[databases.app]\nhost = '127.0.0.1'\n\
             port = {}\nuser = 'app'\npassword = 'app'\ntls = 'disable'\n\
             [[users]]\nname = 'app'\npassword = 'app'\ntenants = ['*']\n\
             [listen]\naddress = '127.0.0.1:{port}'\n{lines}\n",
            cluster.port()
        );
        std::fs::write(&file, text)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{limit} && exec \"$0\" serve --config \"$1\"")]);
        let child = shell.arg(program).arg(&file).stderr(Stdio::null()).spawn()?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        let resident = memory(child.id(), "VmRSS:")?;
        Ok(Self { child, port, http, resident, _folder: folder })
    }

    /// Its resident memory when it began to take clients, in KiB.
    pub fn memory_at_start(&self) -> u64 {
        self.resident
    }

    /// The most that it has had so far, in KiB.
    ///
    /// The error: it has ended.
    pub fn memory_peak(&self) -> std::io::Result<u64> {
        memory(self.child.id(), "VmHWM:")
    }

    /// The program that was built beside this one, unless another is named.
    pub fn program(named: Option<PathBuf>) -> std::io::Result<PathBuf> {
        named.map_or_else(|| Ok(std::env::current_exe()?.with_file_name("pgstrata")), Ok)
    }
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(pid: u32, line: &str) -> std::io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|one| one.strip_prefix(line)).unwrap_or_default();
    value.trim().trim_end_matches(" kB").parse().map_err(std::io::Error::other)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
