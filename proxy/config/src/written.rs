//! What the keys of a file come to, as far as two readings of it can be told apart. No value is kept, as it may be a
//! secret.

use std::collections::BTreeMap;
use std::fmt;

use ring::digest::{SHA256, digest};

/// A digest of each key's value, by the key's path (`pool.mode`, `users.app.password`). A key that names a file stands
/// for what is in the file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Written(BTreeMap<String, [u8; 32]>);

impl Written {
    /// The value of the key at `path` is this one.
    pub(super) fn note(&mut self, path: &str, value: &[u8]) {
        let digest = digest(&SHA256, value);
        if let Ok(digest) = digest.as_ref().try_into() {
            self.0.insert(path.to_owned(), digest);
        }
    }

    /// The same with the names of the entries of `[[users]]` in the place of their numbers: an entry that is put in
    /// front of others changes none of them.
    pub(super) fn with_users(self, names: &[&str]) -> Self {
        let renamed = |path: String| match numbered(&path) {
            Some((number, key)) => match names.get(number) {
                Some(name) => format!("users.{name}{key}"),
                None => path,
            },
            None => path,
        };
        Self(self.0.into_iter().map(|(path, digest)| (renamed(path), digest)).collect())
    }

    /// The paths whose values differ, in their order; a key that only one of the two has is one of them.
    pub fn changes(&self, newer: &Self) -> Vec<String> {
        let gone = self.0.keys().filter(|path| !newer.0.contains_key(*path));
        let other = newer.0.iter().filter(|(path, digest)| self.0.get(*path) != Some(*digest));
        let mut changes: Vec<_> = gone.chain(other.map(|(path, _)| path)).cloned().collect();
        changes.sort();
        changes
    }

    /// Takes over what `running` has for these paths.
    pub(super) fn keep(&mut self, running: &Self, paths: &[String]) {
        for path in paths {
            match running.0.get(path) {
                Some(digest) => _ = self.0.insert(path.clone(), *digest),
                None => _ = self.0.remove(path),
            }
        }
    }
}

/// The number and the rest of `users[3].password`.
fn numbered(path: &str) -> Option<(usize, &str)> {
    let (number, key) = path.strip_prefix("users[")?.split_once(']')?;
    Some((number.parse().ok()?, key))
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Written({} keys)", self.0.len())
    }
}
