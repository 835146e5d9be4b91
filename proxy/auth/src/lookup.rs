//! Users that are asked of PostgreSQL when they log in: `[auth_query]`.
//!
//! Answers are believed for a while; clients that ask for one user at the same time share one question. Where PostgreSQL
//! can't be asked nobody is let in, however lately the user was seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::{Cache, EntryAction, EntryResult};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_postgres::Row;

use super::credential::{Credential, Malformed};
use super::refusals::paced;
use super::users::{Account, SaltKey};
use crate::catalog::{CatalogError, Control};
use crate::config::{AuthQuery, Config, Granted, Rights};
use crate::net::socket::Peer;
use crate::net::tls::{TlsConfigError, client_tls_config};
use crate::wire::refusal::Refusal;

/// Users that are remembered, and names of which it is remembered that there is no such user: the second can be any
/// number of made-up ones, and take no place of the first.
const REMEMBERED: usize = 10_000;

/// A user that was just made must not be missing for long.
const UNKNOWN: Duration = Duration::from_secs(1);

/// A wrong password has the next login ask again, where the answer is older than that.
const DOUBTED: Duration = Duration::from_secs(1);

/// PostgreSQL's names are no longer, in bytes.
const LONGEST: usize = 63;

const WHAT: &str = "a user";

/// Why nobody can be asked for.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no such database.
    #[error("there is no such database")]
    NoDatabase,
    /// For TLS to PostgreSQL.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// For the connections.
    #[error(transparent)]
    Control(#[from] CatalogError),
}

/// Why it is not known whether there is a user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// PostgreSQL did not answer, or refused the question.
    #[error(transparent)]
    Asking(#[from] CatalogError),
    /// The answer is none.
    #[error("asking database \"{0}\" for a user: the answer {1}")]
    Answer(String, &'static str),
    /// The question was given up.
    #[error("the proxy is shutting down")]
    Ended,
}

/// Asks for users, and remembers them.
pub(crate) struct Lookup {
    control: Control,
    database: String,
    query: String,
    believed: Duration,
    rights: Rights,
    key: SaltKey,
    /// The runtime that lasts: connections live there.
    home: Handle,
    known: Cache<String, Known>,
    unknown: Cache<String, Instant>,
}

#[derive(Clone)]
struct Known {
    account: Account,
    seen: Instant,
}

impl Lookup {
    /// As the configuration has it; `None`: it asks for nobody. Reads certificates; connects to nobody. Must be called
    /// inside a runtime.
    pub(crate) fn of(config: &Config, key: &SaltKey) -> Result<Option<Self>, SetupError> {
        let Some(asked) = &config.auth_query else { return Ok(None) };
        let AuthQuery { user, password, query, cache, rights, .. } = asked;
        let (name, entry) = asked.database(&config.databases).ok_or(SetupError::NoDatabase)?;
        let mut entry = entry.clone();
        (entry.user, entry.password) = (user.clone(), password.clone());
        let tls = client_tls_config(&entry)?;
        Ok(Some(Self {
            control: Control::new(name, &entry, tls)?,
            database: name.to_owned(),
            query: query.clone(),
            believed: *cache,
            rights: rights.clone(),
            key: key.clone(),
            home: Handle::current(),
            known: Cache::new(REMEMBERED),
            unknown: Cache::new(REMEMBERED),
        }))
    }

    /// What its users may do where PostgreSQL does not say.
    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The user of that name; `None`: there is none. Whoever stops waiting stops asking.
    pub(crate) async fn find(self: Arc<Self>, name: &str) -> Result<Option<Account>, LookupError> {
        if name.len() > LONGEST || self.is_unknown(name) {
            return Ok(None);
        }
        let name = name.to_owned();
        let mut asking = JoinSet::new();
        let home = self.home.clone();
        asking.spawn_on(async move { self.recall(&name).await }, &home);
        asking.join_next().await.and_then(Result::ok).unwrap_or(Err(LookupError::Ended))
    }

    /// Has the next login ask again, where the answer is not brand-new.
    pub(crate) fn doubt(&self, name: &str) {
        self.known.remove_if(name, |known| known.seen.elapsed() > DOUBTED);
    }

    fn is_unknown(&self, name: &str) -> bool {
        self.unknown.get(name).is_some_and(|until| until > Instant::now())
    }

    async fn recall(&self, name: &str) -> Result<Option<Account>, LookupError> {
        let fresh = |_: &String, known: &mut Known| match known.seen.elapsed() < self.believed {
            true => EntryAction::Retain(known.account.clone()),
            false => EntryAction::ReplaceWithGuard,
        };
        let guard = match self.known.entry_async(name, fresh).await {
            EntryResult::Retained(account) => return Ok(Some(account)),
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => guard,
            // Neither is asked for: nothing is removed, and nothing times out.
            EntryResult::Removed(..) | EntryResult::Timeout => return Err(LookupError::Ended),
        };
        // Somebody else may have asked while this one waited.
        if self.is_unknown(name) {
            return Ok(None);
        }
        let seen = Instant::now();
        let account = self.ask(name).await?;
        match &account {
            // It fails if the entry was taken out meanwhile: then the next one asks again.
            Some(account) => _ = guard.insert(Known { account: account.clone(), seen }),
            None => self.unknown.insert(name.into(), seen + UNKNOWN.min(self.believed)),
        }
        Ok(account)
    }

    async fn ask(&self, name: &str) -> Result<Option<Account>, LookupError> {
        let rows = self.control.ask_with(&self.query, &[&name], WHAT).await?;
        match &rows[..] {
            [] => Ok(None),
            [row] => self.account(name, row),
            _ => Err(self.wrong("has more than one row")),
        }
    }

    /// The user of a row: its name, its secret, and what it may use.
    fn account(&self, name: &str, row: &Row) -> Result<Option<Account>, LookupError> {
        let unreadable = |error| LookupError::Asking(self.control.failed(WHAT, error));
        if row.len() < 2 {
            return Err(self.wrong("has no second column, which is the secret"));
        }
        if row.try_get::<_, Option<&str>>(0).map_err(unreadable)? != Some(name) {
            return Err(self.wrong("is of another user: the first column is its name"));
        }
        let Some(secret) = row.try_get::<_, Option<&str>>(1).map_err(unreadable)? else {
            return Ok(None);
        };
        let list = |column: &str| match row.columns().iter().any(|other| other.name() == column) {
            true => row.try_get::<_, Option<Vec<String>>>(column).map_err(unreadable),
            false => Ok(None),
        };
        let granted = Granted { tenants: list("tenants")?, databases: list("databases")? };
        let credential = Credential::new(Some(secret), || self.key.salt(name));
        let credential =
            credential.map_err(|Malformed| self.wrong("has a SCRAM verifier that can't be read"))?;
        let user = Arc::new(self.rights.granted(name, Arc::new(granted)));
        Ok(Some(Account { user, credential: Arc::new(credential) }))
    }

    fn wrong(&self, what: &'static str) -> LookupError {
        LookupError::Answer(self.database.clone(), what)
    }
}

impl LookupError {
    /// What the client is told; the cause is for the log.
    pub(super) fn refusal(&self, user: &str, peer: Peer) -> Refusal {
        paced(|left_out| tracing::warn!(%peer, error = %self, left_out, "user lookup failed"));
        let message = format!("user \"{user}\" can not be looked up in PostgreSQL");
        Refusal::new("08006", message).hint("Try again later. The log of the proxy has the cause.")
    }
}
