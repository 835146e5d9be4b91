//! A PostgreSQL that is stopped and goes on: SIGSTOP and SIGCONT, to all of its processes.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgstrata::demo::postgres::Cluster;

/// It does nothing until this is dropped: sockets take what is sent, and nobody answers.
#[derive(Debug)]
pub struct Stopped(Vec<Pid>);

impl Stopped {
    /// Stops the postmaster first: no process is made behind our back.
    pub fn stop(cluster: &Cluster) -> Self {
        let file = cluster.socket_dir().join("data/postmaster.pid");
        let text = fs::read_to_string(file).unwrap();
        let postmaster: i32 = text.lines().next().unwrap().trim().parse().unwrap();
        send(Pid::from_raw(postmaster), Signal::SIGSTOP);
        let mut all = vec![Pid::from_raw(postmaster)];
        all.extend(children(postmaster));
        for process in &all {
            send(*process, Signal::SIGSTOP);
        }
        Self(all)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for process in self.0.iter().rev() {
            send(*process, Signal::SIGCONT);
        }
    }
}

fn send(process: Pid, signal: Signal) {
    match kill(process, signal) {
        // One that has ended meanwhile needs no signal.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("{signal}: {error}"),
    }
}

fn children(parent: i32) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in brackets may hold anything; behind it: state, parent.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        if fields.split(' ').nth(1).and_then(|field| field.parse::<i32>().ok()) == Some(parent) {
            found.push(Pid::from_raw(id));
        }
    }
    found
}
