//! Who may log in, with secrets that are ready to be checked against.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::SCRAM_ITERATIONS;
use ring::hmac;

use super::credential::{Credential, Malformed};
use super::lookup::{Lookup, LookupError};
use super::verifier::Verifier;
use crate::config::{AuthMethod, Listen, Secret, User};

/// What salts, and the secrets of users that do not exist, are derived from.
///
/// With one key, one name has one salt: after a restart, too, and on another proxy.
#[derive(Clone)]
pub struct SaltKey {
    key: hmac::Key,
    /// What it was made of, where it is not a random one.
    configured: Secret,
}

impl SaltKey {
    /// The configured key; a random one where there is none, for this process alone.
    pub fn of(listen: &Listen) -> Self {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let key = match listen.salt_key.expose() {
            Some(configured) => key(configured.as_bytes()),
            None => key(&rand::random::<[u8; 32]>()),
        };
        Self { key, configured: listen.salt_key.clone() }
    }

    /// The same key, where the configuration goes on asking for it: a salt that changes tells who does not exist.
    fn renewed(&self, listen: &Listen) -> Option<Self> {
        (self.configured == listen.salt_key).then(|| self.clone())
    }

    fn derive(&self, what: &str, name: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(what.as_bytes());
        context.update(b"\0");
        context.update(name.as_bytes());
        context.sign().as_ref().to_vec()
    }

    /// The salt of that user, of the length that PostgreSQL's own have.
    pub(crate) fn salt(&self, name: &str) -> Vec<u8> {
        let mut salt = self.derive("salt", name);
        salt.truncate(16);
        salt
    }
}

/// Why a user can not be set up.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// It begins as a verifier does, and is none.
    #[error("the SCRAM verifier of user \"{0}\" is malformed")]
    MalformedVerifier(String),
}

/// All users.
pub struct Users {
    key: SaltKey,
    /// What unknown users are asked for.
    auth: AuthMethod,
    /// How often the verifiers of known ones are hashed, once for each: that shows in their challenges.
    iterations: Vec<usize>,
    accounts: HashMap<String, Account>,
    /// Who is asked of PostgreSQL.
    lookup: Option<Arc<Lookup>>,
}

/// One user.
#[derive(Clone)]
pub struct Account {
    /// Its entry in the configuration.
    pub user: Arc<User>,
    /// What its proof is checked against.
    pub(crate) credential: Arc<Credential>,
}

impl Users {
    /// Salts and hashes every password once, so that logging in costs the same for all. `auth` is what unknown users
    /// are asked for.
    pub fn new(users: &[User], auth: AuthMethod, key: SaltKey) -> Result<Self, UserError> {
        Self::with(users, auth, key, |_| None)
    }

    /// The same for users that have changed. What is as it was is not hashed again.
    pub fn renewed(&self, users: &[User], listen: &Listen) -> Result<Self, UserError> {
        let kept = self.key.renewed(listen);
        let same_key = kept.is_some();
        let known = |user: &User| {
            let account = self.accounts.get(&user.name).filter(|_| same_key)?;
            (account.user.password == user.password).then(|| Arc::clone(&account.credential))
        };
        Self::with(users, listen.auth, kept.unwrap_or_else(|| SaltKey::of(listen)), known)
    }

    fn with(
        users: &[User],
        auth: AuthMethod,
        key: SaltKey,
        known: impl Fn(&User) -> Option<Arc<Credential>>,
    ) -> Result<Self, UserError> {
        let accounts = users.iter().map(|user| {
            let credential = match known(user) {
                Some(credential) => credential,
                None => Arc::new(credential(user, &key)?),
            };
            Ok((user.name.clone(), Account { user: Arc::new(user.clone()), credential }))
        });
        let accounts = accounts.collect::<Result<HashMap<_, _>, _>>()?;
        let scram = accounts.values().filter(|account| account.user.rights.auth == AuthMethod::ScramSha256);
        let verifiers = scram.filter_map(|account| account.credential.verifier());
        let mut iterations: Vec<_> = verifiers.map(|verifier| verifier.iterations).collect();
        iterations.sort_unstable();
        Ok(Self { key, auth, iterations, accounts, lookup: None })
    }

    /// The same, and those who are asked of PostgreSQL.
    pub(crate) fn looking_up(self, lookup: Option<Lookup>) -> Self {
        Self { lookup: lookup.map(Arc::new), ..self }
    }

    /// What salts are made of.
    pub(crate) fn key(&self) -> &SaltKey {
        &self.key
    }

    /// The user of that name, asked of PostgreSQL if it is none of the configuration's. The error: PostgreSQL can't be
    /// asked, and nobody knows whether there is one.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Account>, LookupError> {
        match (self.accounts.get(name), &self.lookup) {
            (Some(account), _) => Ok(Some(account.clone())),
            (None, Some(lookup)) => Arc::clone(lookup).find(name).await,
            (None, None) => Ok(None),
        }
    }

    /// A proof for the user of that name was a wrong one: its secret may have changed.
    pub(crate) fn doubt(&self, name: &str) {
        if let Some(lookup) = self.lookup.as_ref().filter(|_| !self.accounts.contains_key(name)) {
            lookup.doubt(name);
        }
    }

    /// A user that has logged in, as it is by this configuration; `None`: it is none any more. Nothing is asked of
    /// PostgreSQL.
    pub fn renew(&self, user: &User) -> Option<Arc<User>> {
        let asked = || {
            let (lookup, granted) = (self.lookup.as_ref()?, user.granted.as_ref()?);
            Some(Arc::new(lookup.rights().granted(&user.name, Arc::clone(granted))))
        };
        self.accounts.get(&user.name).map(|account| Arc::clone(&account.user)).or_else(asked)
    }

    /// The user of that name in the configuration.
    pub fn get(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// What unknown users are asked for.
    pub(crate) fn auth(&self) -> AuthMethod {
        self.auth
    }

    /// The user of that name, if it logs in with a password, and this is the one. It takes as long for a user that does
    /// not exist as for others that log in by the configured method.
    pub fn with_password(&self, name: &str, password: &str) -> Option<Arc<User>> {
        let account = self.accounts.get(name);
        let mock;
        let (credential, method) = match account {
            Some(account) => (&*account.credential, account.user.rights.auth),
            None => {
                mock = self.mock(name, self.auth);
                (&mock, self.auth)
            }
        };
        let fits = match method {
            AuthMethod::Trust | AuthMethod::Cert | AuthMethod::Peer => false,
            AuthMethod::Md5 => credential.equals(password, name),
            AuthMethod::ScramSha256 | AuthMethod::Password => credential.fits(password, name),
        };
        account.filter(|_| fits).map(|account| Arc::clone(&account.user))
    }

    /// What a user that does not exist is checked against, by a method. No password fits it.
    pub(crate) fn mock(&self, name: &str, method: AuthMethod) -> Credential {
        match method {
            AuthMethod::Md5 => {
                // Of the length that a hash has.
                let digits = self.key.derive("password", name);
                Credential::Md5(STANDARD.encode(digits).chars().take(32).collect())
            }
            _ => Credential::Verifier(self.mock_verifier(name)),
        }
    }

    fn mock_verifier(&self, name: &str) -> Verifier {
        Verifier {
            salt: self.key.salt(name),
            iterations: self.mock_iterations(name),
            stored_key: self.key.derive("stored key", name),
            server_key: self.key.derive("server key", name),
        }
    }

    /// As often as one of those is hashed who exist: always the same one for a name.
    fn mock_iterations(&self, name: &str) -> usize {
        let drawn = self.key.derive("iterations", name);
        let drawn = drawn.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let place =
            drawn.checked_rem(self.iterations.len() as u64).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.iterations.get(place)).copied().unwrap_or(SCRAM_ITERATIONS)
    }
}

fn credential(user: &User, key: &SaltKey) -> Result<Credential, UserError> {
    Credential::new(user.password.expose(), || key.salt(&user.name))
        .map_err(|Malformed| UserError::MalformedVerifier(user.name.clone()))
}
