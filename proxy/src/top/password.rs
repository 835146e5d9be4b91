//! The password of a console's user, from where psql takes it.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::terminal;

/// Whom a password is for.
pub struct For<'a> {
    /// The host, as it was named.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
}

/// The password in the environment, or in the user's file. As libpq does it, an empty one is none, and a file that others
/// may read is not read: stderr says so.
pub fn find(wanted: &For<'_>) -> Option<String> {
    if let Some(password) = env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()) {
        return Some(password);
    }
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let named = env::var_os("PGPASSFILE").filter(|name| !name.is_empty()).map(PathBuf::from);
    let text = read(&named.or_else(home)?).ok()?;
    text.lines().find_map(|line| password_in(line, wanted))
}

/// The text of a password file; empty if it is no file that only its owner may read.
///
/// # Errors
/// There is no such file, or it cannot be read.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // A pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        warn(path, "is not a plain file");
        return Ok(text);
    }
    let mut file = File::open(path)?;
    // The mode of what is read, and not of what had the name before.
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        warn(path, "has group or world access; permissions should be u=rw (0600) or less");
        return Ok(text);
    }
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn warn(path: &Path, what: &str) {
    terminal::err(format_args!("pgstrata: warning: password file \"{}\" {what}\n", path.display()));
}

/// `host:port:database:user:password`, where `*` stands for any, and a backslash takes the meaning off what follows.
fn password_in(line: &str, wanted: &For<'_>) -> Option<String> {
    let mut letters = line.trim_end_matches('\r').chars();
    if line.starts_with('#') {
        return None;
    }
    for known in [wanted.host, &wanted.port.to_string(), wanted.database, wanted.user] {
        let field = field(&mut letters)?;
        if field.text != known && !field.is_any {
            return None;
        }
    }
    let mut password = String::new();
    while let Some(letter) = letters.next() {
        password.push(if letter == '\\' { letters.next()? } else { letter });
    }
    Some(password)
}

struct Field {
    text: String,
    is_any: bool,
}

/// What stands in front of the next colon.
fn field(letters: &mut std::str::Chars<'_>) -> Option<Field> {
    let (mut text, mut escaped) = (String::new(), false);
    loop {
        match letters.next()? {
            ':' => return Some(Field { is_any: text == "*" && !escaped, text }),
            '\\' => {
                escaped = true;
                text.push(letters.next()?);
            }
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_as_psql_reads_it() {
        let wanted = For { host: "::1", port: 6432, database: "pgstrata", user: "ops" };
        for (line, password) in [
            ("*:*:*:*:secret", Some("secret")),
            (r"\:\:1:6432:pgstrata:ops:a\:b\\c:d", Some(r"a:b\c:d")),
            ("*:6433:*:*:secret", None),
            (r"\*:*:*:*:secret", None),
            ("*:*:*:other:secret", None),
            ("# *:*:*:*:secret", None),
            ("*:*:*", None),
            ("", None),
        ] {
            assert_eq!(password_in(line, &wanted).as_deref(), password, "{line}");
        }
    }
}
