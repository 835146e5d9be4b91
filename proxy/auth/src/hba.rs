//! The rule that decides on a connection, before anything is proven.

use super::tenant::Claim;
use crate::config::{AuthMethod, HbaMethod, HbaRule, Visitor};
use crate::wire::refusal::{Refusal, sqlstate};

/// The method that a client has to prove who it is by; `None`: that of its user's entry. The error: it may not log in,
/// in PostgreSQL's words, which say nothing that the client has not said itself.
pub(super) fn decide(
    rules: Option<&[HbaRule]>,
    visitor: &Visitor<'_>,
    claim: &Claim,
) -> Result<Option<AuthMethod>, Refusal> {
    let Some(rules) = rules else { return Ok(None) };
    let host =
        visitor.address.map_or_else(|| "[local]".to_owned(), |address| address.to_canonical().to_string());
    let (user, database) = (&claim.user_as_sent, &claim.database);
    let encryption = if visitor.tls { "SSL encryption" } else { "no encryption" };
    let message = match rules.iter().find(|rule| rule.fits(visitor)).map(|rule| rule.method) {
        Some(HbaMethod::Prove(method)) => return Ok(Some(method)),
        Some(HbaMethod::Reject) => format!(
            "pg_hba.conf rejects connection for host \"{host}\", user \"{user}\", database \"{database}\", {encryption}"
        ),
        None => format!(
            "no pg_hba.conf entry for host \"{host}\", user \"{user}\", database \"{database}\", {encryption}"
        ),
    };
    Err(Refusal::new(sqlstate::INVALID_AUTHORIZATION, message))
}
