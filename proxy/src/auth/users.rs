//! Who may log in, with secrets that are ready to be checked against.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::SCRAM_ITERATIONS;
use ring::hmac;
use subtle::ConstantTimeEq;

use super::verifier::{self, Verifier};
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
    fn salt(&self, name: &str) -> Vec<u8> {
        let mut salt = self.derive("salt", name);
        salt.truncate(16);
        salt
    }
}

/// Why a user can not be set up.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is nothing to check a proof against.
    #[error("user \"{0}\" has no password")]
    NoPassword(String),
    /// MD5 needs the password itself.
    #[error("user \"{0}\" has a SCRAM verifier, so it can not log in with md5")]
    Md5OverVerifier(String),
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
}

/// One user.
pub struct Account {
    /// Its entry in the configuration.
    pub user: Arc<User>,
    /// What its proof is checked against.
    pub(crate) proof: Arc<Proof>,
}

/// What a login is checked against.
pub(crate) enum Proof {
    Scram(Verifier),
    Md5(Box<str>),
    /// What a password that is sent as it is is checked against.
    Password(Verifier),
    Trust,
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
            let same = account.user.password == user.password && account.user.auth == user.auth;
            same.then(|| Arc::clone(&account.proof))
        };
        Self::with(users, listen.auth, kept.unwrap_or_else(|| SaltKey::of(listen)), known)
    }

    fn with(
        users: &[User],
        auth: AuthMethod,
        key: SaltKey,
        known: impl Fn(&User) -> Option<Arc<Proof>>,
    ) -> Result<Self, UserError> {
        let accounts = users.iter().map(|user| {
            let proof = match known(user) {
                Some(proof) => proof,
                None => Arc::new(proof(user, &key)?),
            };
            Ok((user.name.clone(), Account { user: Arc::new(user.clone()), proof }))
        });
        let accounts = accounts.collect::<Result<HashMap<_, _>, _>>()?;
        let mut iterations: Vec<_> =
            accounts.values().filter_map(|account| account.proof.iterations()).collect();
        iterations.sort_unstable();
        Ok(Self { key, auth, iterations, accounts })
    }

    /// The user of that name.
    pub fn get(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// The user of that name, if it logs in with a password, and this is the one. It takes as long for a user that does
    /// not exist as for others that log in by the configured method.
    pub fn with_password(&self, name: &str, password: &str) -> Option<Arc<User>> {
        let account = self.accounts.get(name);
        let mock;
        let proof = match account {
            Some(account) => &account.proof,
            None => {
                mock = self.mock(name);
                &mock
            }
        };
        let fits = match proof {
            Proof::Scram(verifier) | Proof::Password(verifier) => verifier.fits(password),
            Proof::Md5(own) => bool::from(own.as_bytes().ct_eq(password.as_bytes())),
            Proof::Trust => false,
        };
        account.filter(|_| fits).map(|account| Arc::clone(&account.user))
    }

    /// What a user that does not exist is checked against, by the configured method. No password fits it.
    pub(crate) fn mock(&self, name: &str) -> Proof {
        match self.auth {
            AuthMethod::Md5 => Proof::Md5(STANDARD.encode(self.key.derive("password", name)).into()),
            AuthMethod::Password => Proof::Password(self.mock_verifier(name)),
            // Nobody is let in without a proof who does not exist.
            AuthMethod::ScramSha256 | AuthMethod::Trust => Proof::Scram(self.mock_verifier(name)),
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

impl Proof {
    fn iterations(&self) -> Option<usize> {
        match self {
            Self::Scram(verifier) => Some(verifier.iterations),
            Self::Md5(_) | Self::Password(_) | Self::Trust => None,
        }
    }
}

fn proof(user: &User, key: &SaltKey) -> Result<Proof, UserError> {
    if user.auth == AuthMethod::Trust {
        return Ok(Proof::Trust);
    }
    let name = || user.name.clone();
    let password = user.password.expose().ok_or_else(|| UserError::NoPassword(name()))?;
    let given = if password.starts_with(verifier::PREFIX) {
        let parsed = Verifier::parse(password);
        Some(parsed.ok_or_else(|| UserError::MalformedVerifier(name()))?)
    } else {
        None
    };
    Ok(match (user.auth, given) {
        (AuthMethod::Trust, _) => Proof::Trust,
        (AuthMethod::ScramSha256, Some(verifier)) => Proof::Scram(verifier),
        (AuthMethod::ScramSha256, None) => Proof::Scram(Verifier::new(password, key.salt(&user.name))),
        (AuthMethod::Md5, Some(_)) => return Err(UserError::Md5OverVerifier(name())),
        (AuthMethod::Md5, None) => Proof::Md5(password.into()),
        (AuthMethod::Password, Some(verifier)) => Proof::Password(verifier),
        (AuthMethod::Password, None) => Proof::Password(Verifier::new(password, key.salt(&user.name))),
    })
}
