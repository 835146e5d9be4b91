//! How long connections are kept, and what they begin with.

use std::sync::Arc;
use std::time::Duration;

use super::Options;

/// What SQL of the application's own could have set of whose rows a session reads, and how it writes.
const TAKEN_BACK: &str =
    "RESET SESSION AUTHORIZATION; RESET search_path; RESET default_transaction_read_only";

/// How long connections are kept, and what they begin with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) longest: Option<Duration>,
    /// What each new one runs.
    pub(crate) begins: Option<Arc<str>>,
}

impl Options {
    /// How old a connection to PostgreSQL gets: one that is older is closed when it would be used next. Where servers or their addresses
    /// change, this is when it is noticed. If nothing is said, none is too old.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let options = options().max_lifetime(std::time::Duration::from_secs(1800));
    /// # manager_with(options);
    /// ```
    pub fn max_lifetime(mut self, time: Duration) -> Self {
        self.life.longest = Some(time);
        self
    }

    /// SQL that runs on each new connection to PostgreSQL before anybody uses it: settings, for one. The connection is nobody's, so what
    /// the SQL sets of the path, of the role and of transactions is taken back; all else is set again behind SQL of your own, which may
    /// have changed it. A connection on which it fails is not used.
    ///
    /// A proxy gives each transaction another session, so there [`EntityManager::register`](crate::EntityManager::register) refuses it.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let options = options().after_connect("SET TimeZone = 'UTC'; SET jit = off");
    /// # manager_with(options);
    /// ```
    pub fn after_connect(mut self, sql: &str) -> Self {
        // A comment may end it.
        self.life.begins = Some(format!("{sql}\n; {TAKEN_BACK}").into());
        self
    }
}
