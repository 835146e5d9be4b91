//! Who may log in, with secrets that are ready to be checked against.

use std::collections::HashMap;
use std::sync::Arc;

use pgwire::api::auth::sasl::scram::SCRAM_ITERATIONS;
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use super::verifier::{self, Verifier};
use crate::config::{AuthMethod, User};

/// A random key of this process: salts, and secrets of users that do not exist, come from it.
///
/// It is made once and outlives every reload, so that one name always has one salt.
pub struct ProcessKey(hmac::Key);

impl ProcessKey {
    /// A new key.
    pub fn random() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()))
    }

    fn derive(&self, what: &str, name: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
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
    key: Arc<ProcessKey>,
    accounts: HashMap<String, Account>,
}

/// One user.
pub struct Account {
    /// Its entry in the configuration.
    pub user: Arc<User>,
    /// What its proof is checked against.
    pub(crate) proof: Proof,
}

/// What a login is checked against.
pub(crate) enum Proof {
    Scram(Verifier),
    Md5(Box<str>),
    /// The SHA-256 of a password that is sent as it is.
    PasswordHash(Box<[u8]>),
    /// A verifier that such a password is checked against.
    PasswordVerifier(Verifier),
    Trust,
}

impl Users {
    /// Salts and hashes every password once, so that logging in costs the same for all.
    pub fn new(users: &[User], key: Arc<ProcessKey>) -> Result<Self, UserError> {
        let accounts = users.iter().map(|user| {
            let proof = proof(user, &key)?;
            Ok((user.name.clone(), Account { user: Arc::new(user.clone()), proof }))
        });
        let accounts = accounts.collect::<Result<_, _>>()?;
        Ok(Self { key, accounts })
    }

    /// The user of that name.
    pub fn get(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// What a user that does not exist is checked against. No password fits it.
    pub(crate) fn mock(&self, name: &str) -> Verifier {
        Verifier {
            salt: self.key.salt(name),
            iterations: SCRAM_ITERATIONS,
            stored_key: self.key.derive("stored key", name),
            server_key: self.key.derive("server key", name),
        }
    }
}

fn proof(user: &User, key: &ProcessKey) -> Result<Proof, UserError> {
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
        (AuthMethod::Password, Some(verifier)) => Proof::PasswordVerifier(verifier),
        (AuthMethod::Password, None) => Proof::PasswordHash(sha256(password)),
    })
}

/// Whether `password` has this hash. Hashed first, so that lengths do not tell.
pub(crate) fn has_hash(password: &str, hash: &[u8]) -> bool {
    sha256(password).ct_eq(hash).into()
}

fn sha256(password: &str) -> Box<[u8]> {
    digest::digest(&digest::SHA256, password.as_bytes()).as_ref().into()
}
