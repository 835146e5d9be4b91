//! The Unix socket that clients connect to: made, taken over from a process that has crashed, and removed.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::config::FileMode;
use crate::listener::BACKLOG;

/// Listens at `path`. What a process has left there that listens no more is replaced.
///
/// # Errors
/// Something else is there, another process listens, or what the system says.
pub fn bind(path: &Path, mode: FileMode) -> io::Result<OwnedFd> {
    let address = SockAddr::unix(path)?;
    clear(path, &address)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    // Nobody gets in before the socket listens.
    fs::set_permissions(path, fs::Permissions::from_mode(mode.0))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes a socket away on which nobody listens.
fn clear(path: &Path, address: &SockAddr) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there"));
    }
    // A process that is stopped, and whose queue of clients is full, would never answer.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(address).map_err(|error| error.kind()) {
        Err(io::ErrorKind::ConnectionRefused) => fs::remove_file(path),
        Err(io::ErrorKind::NotFound) => Ok(()),
        Ok(()) | Err(io::ErrorKind::WouldBlock) => Err(io::ErrorKind::AddrInUse.into()),
        Err(other) => Err(other.into()),
    }
}

/// The file of a listening socket; `None`: it is no Unix socket.
pub fn path_of(socket: &OwnedFd) -> Option<PathBuf> {
    SockRef::from(socket).local_addr().ok()?.as_pathname().map(Path::to_owned)
}

/// A file that one process has made: another may have put its own there since.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and number of a file, and when it was last changed: a number is given to another file as soon as it is free.
type Identity = (u64, u64, i64, i64);

impl SocketFile {
    /// Of the socket that listens at `path` now.
    pub fn of(path: PathBuf) -> Option<Self> {
        let identity = identity(&path)?;
        Some(Self { path, identity })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, if it is still the same.
    pub fn remove(self) {
        if identity(&self.path) == Some(self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "failed to remove the Unix socket");
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let there = fs::symlink_metadata(path).ok()?;
    Some((there.dev(), there.ino(), there.ctime(), there.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: FileMode = FileMode(0o770);

    #[test]
    fn what_a_crash_leaves_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".s.PGSQL.6432");
        let first = bind(&path, MODE).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o770);
        assert_eq!(path_of(&first).as_deref(), Some(&*path));
        assert_eq!(bind(&path, MODE).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(path.exists());
        let second = bind(&path, MODE).unwrap();
        let file = SocketFile::of(path.clone()).unwrap();
        drop(second);
        fs::remove_file(&path).unwrap();
        // A system's clock of files has ticks.
        std::thread::sleep(std::time::Duration::from_millis(50));
        fs::write(&path, "kept").unwrap();
        file.remove();
        assert_eq!(bind(&path, MODE).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }

    #[test]
    fn socket_of_a_process_that_is_stopped_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let _waits = std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert_eq!(bind(&path, MODE).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn file_is_removed_by_the_one_that_made_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _socket = bind(&path, MODE).unwrap();
        SocketFile::of(path.clone()).unwrap().remove();
        assert!(!path.exists());
        let long = folder.path().join("x".repeat(200));
        assert_eq!(bind(&long, MODE).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
