//! The passwords of tenants' login roles.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// The password of a tenant's role: the HMAC-SHA-256 of its name under `key`, in base64url without padding.
///
/// So the passwords of many tenants need no storage. The key gives access to all of them.
pub fn role_password(key: &[u8], role: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, role.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_what_other_tools_compute() {
        // printf tenant_acme | openssl dgst -sha256 -hmac KEY -binary | basenc --base64url | tr -d =
        let password = role_password(b"an example key of thirty-two byte", "tenant_acme");
        assert_eq!(password, "wnk51DLpqjAl3JqKIJC077K7CLZ-XNHjF-B17wfl3mo");
        assert_ne!(password, role_password(b"an example key of thirty-two byte", "tenant_globex"));
    }
}
