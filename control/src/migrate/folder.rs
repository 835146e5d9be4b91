//! A folder of SQL files.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::migration::{Invalid, Migration, Migrations};
use super::script::Script;

impl Migrations {
    /// Reads the files `NNNN_name.sql` of a folder. Files with another ending than `.sql` are ignored.
    pub fn read(folder: &Path) -> Result<Self, Invalid> {
        let unreadable = |path: &Path| {
            let path = path.display().to_string();
            move |source| Invalid::Unreadable { path, source }
        };
        let mut all = Self::new();
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            paths.push(entry.map_err(unreadable(folder))?.path());
        }
        // Sorted, so that errors about two files of one version are the same on each system.
        paths.sort();
        for path in paths.iter().filter(|path| path.is_file() && has_ending(path)) {
            let file = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
            let version = version(&file)?;
            let bytes = fs::read(path).map_err(unreadable(path))?;
            all.add(Migration::sql(version, &file, text(&file, &bytes)?)?)?;
        }
        Ok(all)
    }
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("sql"))
}

fn version(file: &str) -> Result<i64, Invalid> {
    let refuse = |why| Invalid::Name { file: file.into(), why };
    let digits = file.find(|c: char| !c.is_ascii_digit()).unwrap_or(file.len());
    let (version, name) = file.split_at(digits);
    if version.is_empty() {
        return Err(refuse("its name does not begin with a version"));
    }
    // Between the underscore and the ending.
    if !name.starts_with('_') || name.len() <= "_.sql".len() {
        return Err(refuse("behind the version there is no underscore with a name"));
    }
    version.parse().map_err(|_| refuse("its version is too large: 9223372036854775807 is the last"))
}

fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Invalid> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let place = Script::new(&String::from_utf8_lossy(before)).end();
        Invalid::Text { file: file.into(), place, why: "this is not UTF-8".into() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> Result<Migrations, Invalid> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        Migrations::read(folder.path())
    }

    fn refusal(files: &[(&str, &[u8])]) -> String {
        folder(files).unwrap_err().to_string()
    }

    #[test]
    fn versions_are_the_leading_digits() {
        let names = ["10_c.sql", "0002_b.sql", "20261125120000_d.sql", "0001_a.SQL"];
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b""[..])).collect();
        let all = folder(&[&files[..], &[("README.md", b""), ("1.txt", b"\xff")]].concat()).unwrap();
        let versions: Vec<i64> = all.iter().map(Migration::version).collect();
        assert_eq!(versions, [1, 2, 10, 20261125120000]);
        assert_eq!(all.newest(), Some(20261125120000));
        let lacking: Vec<&str> = all.after(Some(2)).map(Migration::name).collect();
        assert_eq!(lacking, ["10_c.sql", "20261125120000_d.sql"]);
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        for name in ["users.sql", "1.sql", "1_.sql", "1users.sql", "_1.sql", ".sql.sql", "-1_a.sql"] {
            assert!(refusal(&[(name, b"")]).starts_with(&format!("{name} is not a migration")), "{name}");
        }
        assert!(refusal(&[("9223372036854775808_a.sql", b"")]).contains("too large"));
        assert_eq!(
            refusal(&[("1_b.sql", b""), ("0001_a.sql", b"")]),
            "0001_a.sql and 1_b.sql both have version 1: rename one of them"
        );
        assert_eq!(
            refusal(&[("1_a.sql", b"-- \xc3\xa9\n\xff")]),
            "1_a.sql, line 2, column 1: this is not UTF-8"
        );
        assert_eq!(refusal(&[("1_a.sql", b"\n 1\0")]), "1_a.sql, line 2, column 3: a NUL byte is no SQL");
        let wrong = refusal(&[("1_a.sql", b"--pgstrata: no-transactions\n")]);
        assert!(wrong.contains("\"no-transactions\" is not known"), "{wrong}");
        let missing = Migrations::read(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/at/all can't be read"), "{missing}");
    }

    #[test]
    fn a_checkout_on_another_system_is_the_same_file() {
        let sum = |bytes: &[u8]| folder(&[("1_a.sql", bytes)]).unwrap().get(1).unwrap().checksum;
        assert_eq!(sum(b"a\nb\n"), sum(b"\xef\xbb\xbfa\r\nb\r\n"));
        assert_ne!(sum(b"a\nb\n"), sum(b"a\nb"));
    }
}
