//! SCRAM verifiers, made and compared: what proves a password without being it.

use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, gen_salted_password};
use subtle::ConstantTimeEq;

pub(crate) use crate::config::Verifier;

/// Salts and hashes: some milliseconds of work.
pub(crate) fn of(password: &str, salt: Vec<u8>) -> Verifier {
    with_iterations(password, salt, SCRAM_ITERATIONS)
}

fn with_iterations(password: &str, salt: Vec<u8>, iterations: usize) -> Verifier {
    let salted = gen_salted_password(password, &salt, iterations);
    let secret = ScramSecret::verifier_from_salted_password(salt, salted, iterations);
    match secret {
        ScramSecret::Verifier { salt, iterations, stored_key, server_key } => {
            Verifier { salt, iterations, stored_key, server_key }
        }
        // The constructor makes verifiers only; an empty key fits no proof.
        ScramSecret::SaltedPassword { salt, .. } => {
            Verifier { salt, iterations, stored_key: Vec::new(), server_key: Vec::new() }
        }
    }
}

/// As pgwire's exchange wants it.
pub(crate) fn secret(verifier: &Verifier) -> ScramSecret {
    let Verifier { salt, iterations, stored_key, server_key } = verifier.clone();
    ScramSecret::Verifier { salt, iterations, stored_key, server_key }
}

/// Whether `password` is the one; costs what [`of`] costs.
pub(crate) fn fits(verifier: &Verifier, password: &str) -> bool {
    let other = with_iterations(password, verifier.salt.clone(), verifier.iterations);
    !verifier.stored_key.is_empty() && bool::from(other.stored_key.ct_eq(&verifier.stored_key))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn text_form_is_read() {
        let made = of("secret", b"0123456789abcdef".to_vec());
        let (salt, stored, server) = (
            STANDARD.encode(&made.salt),
            STANDARD.encode(&made.stored_key),
            STANDARD.encode(&made.server_key),
        );
        let read = Verifier::parse(&format!("SCRAM-SHA-256$4096:{salt}${stored}:{server}")).unwrap();
        assert!(fits(&read, "secret"));
        assert!(!fits(&read, "Secret"));
        assert!(!fits(&read, ""));
    }
}
