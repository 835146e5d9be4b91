//! The comment in front of a statement that says whose it is, as sqlcommenter writes it.

/// The comment of the tenant with this name, with a blank behind it.
///
/// ```
/// use pgstrata_tenancy::comment;
///
/// assert_eq!(comment::of("acme_corp"), "/*tenant='acme_corp'*/ ");
/// assert_eq!(comment::of("*/ DROP"), "/*tenant='%2A%2F%20DROP'*/ ");
/// ```
pub fn of(tenant: &str) -> String {
    let mut comment = String::from("/*tenant='");
    for byte in tenant.bytes() {
        // By this list no name can end the comment, nor begin another.
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'~' => comment.push(byte.into()),
            other => comment.push_str(&format!("%{other:02X}")),
        }
    }
    comment + "'*/ "
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn name_can_not_leave_its_comment() {
        assert_eq!(of("acme_corp"), "/*tenant='acme_corp'*/ ");
        assert_eq!(of("*/ DROP"), "/*tenant='%2A%2F%20DROP'*/ ");
        assert_eq!(of("ü'/*"), "/*tenant='%C3%BC%27%2F%2A'*/ ");
    }
}
