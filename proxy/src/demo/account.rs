//! Whose processes and files PostgreSQL's are: it refuses to run as root.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Uid, User};

/// The account that PostgreSQL runs under.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Set where we are root and must become somebody else.
    other: Option<(u32, u32)>,
}

impl Account {
    /// Our own account; for root, `postgres` if it exists, or else `nobody`.
    pub fn choose() -> io::Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self { other: None });
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name)? {
                return Ok(Self { other: Some((user.uid.as_raw(), user.gid.as_raw())) });
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "no account `postgres` or `nobody` to leave root for"))
    }

    /// A command that runs under this account, in a process group of its own, so
    /// that Ctrl-C in the terminal reaches us and nobody else.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.process_group(0).current_dir("/");
        if let Some((uid, gid)) = self.other {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives a file or folder of ours to the account.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        match self.other {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// Whether the account can pass every folder on the way to `path`.
    pub fn reaches(&self, path: &Path) -> bool {
        let Some((uid, gid)) = self.other else { return true };
        path.ancestors().all(|dir| match dir.metadata() {
            Ok(found) if found.uid() == uid => found.mode() & 0o100 != 0,
            Ok(found) if found.gid() == gid => found.mode() & 0o010 != 0,
            Ok(found) => found.mode() & 0o001 != 0,
            Err(_) => false,
        })
    }
}
