//! What PostgreSQL keeps in the place of a password: a SCRAM verifier, or an MD5 hash.
//!
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, see
//! <https://www.postgresql.org/docs/current/catalog-pg-authid.html>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How a verifier begins.
const SCRAM: &str = "SCRAM-SHA-256$";
/// How an MD5 hash begins.
const MD5: &str = "md5";
const KEY_BYTES: usize = 32;
/// More than that would let one login hold a thread for seconds.
const MAX_ITERATIONS: usize = 10_000_000;

/// What proves one password, under one salt, without being it.
#[derive(Clone)]
pub struct Verifier {
    /// What the password is hashed with.
    pub salt: Vec<u8>,
    /// How often.
    pub iterations: usize,
    /// What a client's proof is checked against.
    pub stored_key: Vec<u8>,
    /// What the server's proof is made of.
    pub server_key: Vec<u8>,
}

impl Verifier {
    /// Whether `text` begins as the text form does: such a text is no password.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCRAM)
    }

    /// Reads PostgreSQL's text form.
    pub fn parse(text: &str) -> Option<Self> {
        let (parameters, keys) = text.strip_prefix(SCRAM)?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let decode = |text: &str| STANDARD.decode(text).ok();
        let verifier = Self {
            salt: decode(salt).filter(|salt| !salt.is_empty())?,
            iterations: iterations.parse().ok().filter(|n| (1..=MAX_ITERATIONS).contains(n))?,
            stored_key: decode(stored_key).filter(|key| key.len() == KEY_BYTES)?,
            server_key: decode(server_key).filter(|key| key.len() == KEY_BYTES)?,
        };
        Some(verifier)
    }
}

/// The digits of PostgreSQL's MD5 hash, if `text` is one.
pub fn md5_digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(MD5)?;
    (digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_verifier_is_none() {
        let key = STANDARD.encode([7; 32]);
        assert!(Verifier::parse(&format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}")).is_some());
        for text in [
            "SCRAM-SHA-256$".to_owned(),
            "SCRAM-SHA-256$4096:c2FsdA==$".to_owned(),
            "SCRAM-SHA-256$4096:c2FsdA==$YQ==:YQ==".to_owned(),
            format!("SCRAM-SHA-256$0:c2FsdA==${key}:{key}"),
            format!("SCRAM-SHA-256$10000001:c2FsdA==${key}:{key}"),
            format!("SCRAM-SHA-256$4096:${key}:{key}"),
        ] {
            assert!(Verifier::parse(&text).is_none(), "{text}");
        }
    }
}
