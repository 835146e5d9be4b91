//! What a user's proof is checked against, by whatever method it is asked for.
//!
//! See <https://www.postgresql.org/docs/current/auth-password.html>.

use md5::{Digest, Md5};
use postgres_protocol::authentication::md5_hash;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::verifier::{self, Verifier};
use crate::config::{AuthMethod, md5_digits};

/// How PostgreSQL's MD5 hashes begin.
const MD5: &str = "md5";

/// What is known of a user's password.
pub(crate) enum Credential {
    /// The password itself, and the verifier that was made of it.
    Password {
        /// As it is.
        plain: Box<str>,
        /// Made once, under a salt of the user's own.
        verifier: Verifier,
    },
    /// PostgreSQL's SCRAM verifier.
    Verifier(Verifier),
    /// PostgreSQL's MD5 hash of password and name: 32 hexadecimal digits.
    Md5(Box<str>),
    /// Nothing: no password fits.
    Nothing,
}

/// A secret begins as a SCRAM verifier does, and is none.
#[derive(Debug)]
pub(crate) struct Malformed;

/// What kind of exchange a client is asked for.
pub(crate) enum Exchange<'a> {
    /// SCRAM-SHA-256.
    Scram(&'a Verifier),
    /// MD5, of the password or of its hash.
    Md5(&'a Credential),
    /// The password as it is.
    Cleartext,
    /// A certificate, which was shown before.
    Certificate,
    /// What the system says of the client's process.
    Peer,
    /// No proof.
    Trust,
}

impl Credential {
    /// Of a secret as it stands in a file or in `pg_authid`. A plain password is hashed, under `salt`: slow.
    pub(crate) fn new(secret: Option<&str>, salt: impl FnOnce() -> Vec<u8>) -> Result<Self, Malformed> {
        Ok(match secret {
            None | Some("") => Self::Nothing,
            Some(text) if Verifier::is_meant(text) => Self::Verifier(Verifier::parse(text).ok_or(Malformed)?),
            Some(text) => match md5_digits(text) {
                Some(digits) => Self::Md5(digits.into()),
                None => Self::Password { plain: text.into(), verifier: verifier::of(text, salt()) },
            },
        })
    }

    /// The verifier, where there is one.
    pub(crate) fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::Password { verifier, .. } | Self::Verifier(verifier) => Some(verifier),
            Self::Md5(_) | Self::Nothing => None,
        }
    }

    /// The exchange that `method` comes to. As in PostgreSQL, a verifier is proven by SCRAM where MD5 is asked for.
    /// `None`: this user can prove nothing by that method.
    pub(crate) fn exchange(&self, method: AuthMethod) -> Option<Exchange<'_>> {
        match (method, self) {
            (AuthMethod::Trust, _) => Some(Exchange::Trust),
            (AuthMethod::Cert, _) => Some(Exchange::Certificate),
            (AuthMethod::Peer, _) => Some(Exchange::Peer),
            (AuthMethod::Password, _) => Some(Exchange::Cleartext),
            (AuthMethod::Md5, Self::Password { .. } | Self::Md5(_)) => Some(Exchange::Md5(self)),
            (AuthMethod::Md5 | AuthMethod::ScramSha256, _) => self.verifier().map(Exchange::Scram),
        }
    }

    /// Whether `password` is the one of the user of that name.
    pub(crate) fn fits(&self, password: &str, name: &str) -> bool {
        match self {
            Self::Password { verifier, .. } | Self::Verifier(verifier) => verifier::fits(verifier, password),
            Self::Md5(digits) => {
                let hash = md5_hash(name.as_bytes(), password.as_bytes(), [0; 4]);
                let own = salted(digits, [0; 4]);
                hash.as_bytes().ct_eq(own.as_bytes()).into()
            }
            Self::Nothing => false,
        }
    }

    /// The same where the two need not be hashed: for users that log in with MD5.
    pub(crate) fn equals(&self, password: &str, name: &str) -> bool {
        match self {
            Self::Password { plain, .. } => {
                // Of one length, whatever the two have: the comparison tells of neither.
                let [own, given] = [plain.as_bytes(), password.as_bytes()].map(|text| digest(&SHA256, text));
                own.as_ref().ct_eq(given.as_ref()).into()
            }
            other => other.fits(password, name),
        }
    }

    /// What an MD5 exchange under `salt` has to be answered with by a client that calls itself `name`.
    pub(crate) fn md5_answer(&self, name: &str, salt: [u8; 4]) -> Option<String> {
        match self {
            Self::Password { plain, .. } => Some(md5_hash(name.as_bytes(), plain.as_bytes(), salt)),
            Self::Md5(digits) => Some(salted(digits, salt)),
            Self::Verifier(_) | Self::Nothing => None,
        }
    }
}

/// The second half of what MD5 does: `md5(digits || salt)`.
fn salted(digits: &str, salt: [u8; 4]) -> String {
    let hash = Md5::new().chain_update(digits.to_ascii_lowercase()).chain_update(salt).finalize();
    hash.iter().fold(MD5.to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `secret`, as PostgreSQL keeps it for a role `app`.
    const HASH: &str = "md56a422f785c9e20873908ce25d1736ae2";

    #[test]
    fn md5_hash_is_as_good_as_the_password() {
        let of = |secret: &str| Credential::new(Some(secret), || vec![0; 16]).unwrap();
        let salt = [1, 2, 3, 4];
        let answers = [of("secret"), of(HASH)].map(|one| one.md5_answer("app", salt).unwrap());
        assert_eq!(answers[0], answers[1]);
        assert!(of(HASH).fits("secret", "app"));
        assert!(!of(HASH).fits("secret", "other") && !of(HASH).fits("Secret", "app"));
    }
}
