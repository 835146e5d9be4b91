//! One migration, as SQL or code, and all migrations by version.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use ring::digest::{SHA256, digest};

use super::script::{Place, Script};

/// The error of a migration in code.
pub type CodeError = Box<dyn StdError + Send + Sync>;

/// The result of a migration in code.
pub type CodeFuture<'a> = Pin<Box<dyn Future<Output = Result<(), CodeError>> + Send + 'a>>;

type Code = dyn for<'a> Fn(Transaction<'a>) -> CodeFuture<'a> + Send + Sync;

/// Why a migration is invalid, or conflicts with others.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A file or a folder cannot be read.
    #[error("{path} can't be read: {source}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its name contains no version.
    #[error("{file} is not a migration: {why}; an example of a name is 0001_create_users.sql")]
    Name {
        /// Which file.
        file: String,
        /// What is wrong with its name.
        why: &'static str,
    },
    /// Two migrations have the same version.
    #[error("{first} and {second} both have version {version}: rename one of them")]
    Twice {
        /// The version.
        version: i64,
        /// The first one.
        first: String,
        /// The second one.
        second: String,
    },
    /// Its text cannot be run.
    #[error("{file}, {place}: {why}")]
    Text {
        /// Which file.
        file: String,
        /// The position.
        place: Place,
        /// The reason.
        why: String,
    },
    /// The file has changed since it was applied.
    #[error(
        "{file} was changed after it had been applied (to \"{schema}\", among others): restore it, and \
         put the change into a new file; or accept it with --accept-changed"
    )]
    Changed {
        /// Which file.
        file: String,
        /// A schema that has the applied version.
        schema: String,
    },
    /// The file's version is lower than an applied one.
    #[error("{file} is out of order: version {applied} was applied before it; give it a higher version")]
    OutOfOrder {
        /// Which file.
        file: String,
        /// The source's version.
        applied: i64,
    },
    /// A required file is missing.
    #[error(
        "{file} is missing: the source has it and \"{schema}\", among others, still lacks it; restore it"
    )]
    Missing {
        /// Which file.
        file: String,
        /// A schema that lacks it.
        schema: String,
    },
}

/// One migration.
#[derive(Clone)]
pub struct Migration {
    pub(super) version: i64,
    pub(super) name: Arc<str>,
    pub(super) checksum: [u8; 32],
    pub(super) body: Body,
}

#[derive(Clone)]
pub(super) enum Body {
    /// SQL in one transaction.
    Sql(Arc<Script>),
    /// SQL whose statements run one by one, outside of a transaction.
    Outside(Arc<Script>),
    Code(Arc<Code>),
}

/// The transaction of a migration in code: the methods of a client, and the schema.
///
/// Unqualified names resolve to the schema. The code must not end the transaction.
#[derive(Clone, Copy)]
pub struct Transaction<'a> {
    pub(super) client: &'a tokio_postgres::Client,
    pub(super) schema: &'a str,
}

impl Transaction<'_> {
    /// The name of the current schema.
    pub fn schema(&self) -> &str {
        self.schema
    }
}

impl Deref for Transaction<'_> {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        self.client
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// The first line of a file whose statements cannot run in a transaction.
const DIRECTIVE: &str = "pgstrata:";
const OUTSIDE: &str = "no-transaction";

impl Migration {
    /// A migration from SQL, like a file with this name.
    pub fn sql(version: i64, name: &str, text: &str) -> Result<Self, Invalid> {
        // A byte order mark and line endings do not count.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some(at) = text.find('\0') {
            let place = Script::new(text.get(..at).unwrap_or_default()).end();
            return Err(Invalid::Text { file: name.into(), place, why: "a NUL byte is no SQL".into() });
        }
        let script = Arc::new(Script::new(text));
        let body = if is_outside(name, text)? { Body::Outside(script) } else { Body::Sql(script) };
        let checksum = checksum(text.replace("\r\n", "\n").as_bytes());
        Ok(Self { version, name: name.into(), checksum, body })
    }

    /// A migration from code, which gets the transaction and the schema's name.
    ///
    /// The code cannot be compared, so its checksum is that of its name.
    pub fn code<F>(version: i64, name: &str, code: F) -> Self
    where
        F: for<'a> Fn(Transaction<'a>) -> CodeFuture<'a> + Send + Sync + 'static,
    {
        let checksum = checksum(format!("code {name}").as_bytes());
        Self { version, name: name.into(), checksum, body: Body::Code(Arc::new(code)) }
    }

    /// Its position in the order of migrations.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Its name in the ledger: for a file, the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn script(&self) -> Option<&Script> {
        match &self.body {
            Body::Sql(script) | Body::Outside(script) => Some(script),
            Body::Code(_) => None,
        }
    }

    /// Checks the rules for files.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Some((place, why)) = self.script().and_then(Script::refused) else { return Ok(()) };
        Err(Invalid::Text { file: self.name.to_string(), place: *place, why: why.clone() })
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("version", &self.version).field("name", &self.name).finish()
    }
}

fn checksum(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

/// Whether the first line is the directive. An unknown word there is an error, not a comment.
fn is_outside(file: &str, text: &str) -> Result<bool, Invalid> {
    let first = text.lines().next().unwrap_or_default();
    let comment = first.trim_start().strip_prefix("--").map(str::trim);
    match comment.and_then(|comment| comment.strip_prefix(DIRECTIVE)).map(str::trim) {
        None => Ok(false),
        Some(OUTSIDE) => Ok(true),
        Some(other) => Err(Invalid::Text {
            file: file.into(),
            place: Place { line: 1, column: 1 },
            why: format!("\"{other}\" is not known: it is \"-- {DIRECTIVE} {OUTSIDE}\" or no such line"),
        }),
    }
}

/// Migrations in the order of their versions.
#[derive(Clone, Debug, Default)]
pub struct Migrations(BTreeMap<i64, Migration>);

impl Migrations {
    /// No migrations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a migration; its version must be new.
    pub fn add(&mut self, migration: Migration) -> Result<(), Invalid> {
        match self.0.entry(migration.version) {
            Entry::Vacant(place) => {
                place.insert(migration);
                Ok(())
            }
            Entry::Occupied(there) => Err(Invalid::Twice {
                version: migration.version,
                first: there.get().name.to_string(),
                second: migration.name.to_string(),
            }),
        }
    }

    /// All migrations.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Migration> {
        self.0.values()
    }

    /// The version of a schema with all of them.
    pub fn newest(&self) -> Option<i64> {
        self.0.last_key_value().map(|(version, _)| *version)
    }

    pub(super) fn get(&self, version: i64) -> Option<&Migration> {
        self.0.get(&version)
    }

    /// The pending migrations of a schema with this version.
    pub(super) fn after(&self, version: Option<i64>) -> impl Iterator<Item = &Migration> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.0.range((version.map_or(Unbounded, Excluded), Unbounded)).map(|(_, migration)| migration)
    }
}
