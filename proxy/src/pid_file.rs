//! The number of the process, where others look for it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The file, which is locked while the process serves: a number in one that is not is nobody's. It is removed when
/// this is dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    _locked: File,
}

impl PidFile {
    /// Leaves the number there; nothing where there is no path. The error: it can't be written, or another process
    /// serves that has left its own.
    pub fn write(path: Option<&Path>) -> io::Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("{}: another pgstrata serves with this file", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        file.set_len(0).map_err(named)?;
        writeln!(file, "{}", std::process::id()).map_err(named)?;
        Ok(Some(Self { path: path.to_owned(), _locked: file }))
    }

    /// The process that has left its number there and still serves. The error says why there is none.
    pub fn read(path: &Path) -> Result<i32, String> {
        let shown = path.display();
        let mut file = File::open(path).map_err(|error| format!("no pgstrata runs: {shown}: {error}"))?;
        if file.try_lock_shared().is_ok() {
            return Err(format!("no pgstrata runs: {shown} is left over from one that has ended"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| format!("{shown}: {error}"))?;
        text.trim().parse().map_err(|_| format!("{shown} holds no number of a process"))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_there_while_the_process_serves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgstrata.pid");
        assert!(PidFile::read(&path).unwrap_err().starts_with("no pgstrata runs"));
        let file = PidFile::write(Some(&path)).unwrap().unwrap();
        assert_eq!(u32::try_from(PidFile::read(&path).unwrap()), Ok(std::process::id()));
        let error = PidFile::write(Some(&path)).unwrap_err();
        assert!(error.to_string().contains("another pgstrata"), "{error}");
        drop(file);
        assert!(!path.exists());
        std::fs::write(&path, "1\n").unwrap();
        assert!(PidFile::read(&path).unwrap_err().contains("left over"));
        assert!(PidFile::write(Some(&path)).unwrap().is_some() && PidFile::write(None).unwrap().is_none());
    }
}
