//! PostgreSQL's SCRAM verifier: what proves a password without being it.
//!
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, see
//! <https://www.postgresql.org/docs/current/catalog-pg-authid.html>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, gen_salted_password};
use subtle::ConstantTimeEq;

/// How a verifier begins.
pub(crate) const PREFIX: &str = "SCRAM-SHA-256$";

/// Of one password, under one salt.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: usize,
    pub(crate) stored_key: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
}

impl Verifier {
    /// Salts and hashes: some milliseconds of work.
    pub(crate) fn new(password: &str, salt: Vec<u8>) -> Self {
        Self::with_iterations(password, salt, SCRAM_ITERATIONS)
    }

    fn with_iterations(password: &str, salt: Vec<u8>, iterations: usize) -> Self {
        let salted = gen_salted_password(password, &salt, iterations);
        let secret = ScramSecret::verifier_from_salted_password(salt, salted, iterations);
        match secret {
            ScramSecret::Verifier { salt, iterations, stored_key, server_key } => {
                Self { salt, iterations, stored_key, server_key }
            }
            // The constructor makes verifiers only; an empty key fits no proof.
            ScramSecret::SaltedPassword { salt, .. } => {
                Self { salt, iterations, stored_key: Vec::new(), server_key: Vec::new() }
            }
        }
    }

    /// Reads PostgreSQL's text form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (parameters, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let decode = |text: &str| STANDARD.decode(text).ok();
        let verifier = Self {
            salt: decode(salt)?,
            iterations: iterations.parse().ok().filter(|n| (1..=MAX_ITERATIONS).contains(n))?,
            stored_key: decode(stored_key).filter(|key| key.len() == KEY_BYTES)?,
            server_key: decode(server_key).filter(|key| key.len() == KEY_BYTES)?,
        };
        Some(verifier)
    }

    /// As pgwire's exchange wants it.
    pub(crate) fn secret(&self) -> ScramSecret {
        let Self { salt, iterations, stored_key, server_key } = self.clone();
        ScramSecret::Verifier { salt, iterations, stored_key, server_key }
    }

    /// Whether `password` is the one; costs what [`Verifier::new`] costs.
    pub(crate) fn fits(&self, password: &str) -> bool {
        let other = Self::with_iterations(password, self.salt.clone(), self.iterations);
        !self.stored_key.is_empty() && bool::from(other.stored_key.ct_eq(&self.stored_key))
    }
}

const KEY_BYTES: usize = 32;
/// More than that would let one login hold a thread for seconds.
const MAX_ITERATIONS: usize = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_read() {
        let made = Verifier::new("secret", b"0123456789abcdef".to_vec());
        let (salt, stored, server) = (
            STANDARD.encode(&made.salt),
            STANDARD.encode(&made.stored_key),
            STANDARD.encode(&made.server_key),
        );
        let read = Verifier::parse(&format!("SCRAM-SHA-256$4096:{salt}${stored}:{server}")).unwrap();
        assert!(read.fits("secret"));
        assert!(!read.fits("Secret"));
        assert!(!read.fits(""));
    }

    #[test]
    fn malformed_verifier_is_none() {
        for text in ["SCRAM-SHA-256$", "SCRAM-SHA-256$4096:c2FsdA==$", "SCRAM-SHA-256$0:c2FsdA==$YQ==:YQ=="] {
            assert!(Verifier::parse(text).is_none(), "{text}");
        }
    }
}
