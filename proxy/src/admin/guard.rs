//! Who may ask for the console's tables over HTTP, and for the page that shows them.
//!
//! There is no TLS here, and a password crosses the wire: so all of it is there only where the port is this machine's
//! alone. What a browser sends on behalf of another site is refused, before the password is looked at.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Context;
use super::api::Refusal;
use crate::config::User;
use crate::net::socket::Peer;

/// Where a browser says which site a request comes from.
const SITE: &str = "sec-fetch-site";
/// Where it says whether the user goes to the page, or another page only uses it.
const MODE: &str = "sec-fetch-mode";

/// Where all requests come from: see above.
const HERE: Peer = Peer::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));

/// What every answer has, refusals included.
const HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Lets a request through with its user, an administrator or one with `stats`; refuses all others.
pub(super) async fn guard(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let mut answer = match admit(&context, &headers).await {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

/// The user that asks; the error says why it may not.
async fn admit(context: &Context, headers: &HeaderMap) -> Result<Arc<User>, Refusal> {
    if !is_for_this_machine(headers) {
        let error = "the Host header must name this machine: ask for 127.0.0.1 or localhost";
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error));
    }
    if is_of_another_site(headers) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "another site may not ask for this"));
    }
    match user(context, headers).await {
        None => Err(Refusal::new(StatusCode::UNAUTHORIZED, "a user and its password are needed")),
        Some(user) if user.admin || user.stats => Ok(user),
        Some(_) => Err(Refusal::new(StatusCode::FORBIDDEN, "permission denied")),
    }
}

/// Whether the one `Host` header names an address of this machine, or `localhost`. A name that somebody else's DNS
/// has pointed here is none of these.
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(authority) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// Whether a browser sends this for another site's page. A link from there is followed all the same.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let says = |name, values: &[&str]| {
        headers.get(name).is_none_or(|value| values.iter().any(|one| *value == **one))
    };
    let is_visit = headers.contains_key(MODE) && says(MODE, &["navigate"]);
    !is_visit && !says(SITE, &["same-origin", "none"])
}

/// Who asks, if the password is right. Where others were wrong lately, that takes its time, as a login does.
async fn user(context: &Context, headers: &HeaderMap) -> Option<Arc<User>> {
    let (name, password) = credentials(headers)?;
    let current = context.shared.current();
    let accept = &current.accept;
    let pause = accept.failures.pause(HERE, &name, accept.longest_pause);
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let user = accept.users.with_password(&name, &password);
    if user.is_none() {
        accept.failures.note(HERE, &name);
    }
    user
}

/// User and password of a request.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = given.split_once(' ')?;
    let credentials =
        STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let credentials = String::from_utf8(credentials).ok()?;
    let (name, password) = credentials.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "host";

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn host_is_this_machine() {
        for host in ["127.0.0.1:9187", "127.8.0.1", "localhost", "LocalHost:1", "[::1]:9187", "[::1]"] {
            assert!(is_for_this_machine(&headers(&[(HOST, host)])), "{host}");
        }
        for host in [
            "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9187", "10.0.0.1",
            "0.0.0.0", "[::]", "2130706433", "a b",
        ] {
            assert!(!is_for_this_machine(&headers(&[(HOST, host)])), "{host}");
        }
        assert!(!is_for_this_machine(&HeaderMap::new()));
        let mut two = headers(&[(HOST, "localhost")]);
        two.append(HOST, HeaderValue::from_static("localhost"));
        assert!(!is_for_this_machine(&two));
    }

    #[test]
    fn other_sites_only_link() {
        for (all, other) in [
            (vec![], false),
            (vec![(SITE, "same-origin"), (MODE, "cors")], false),
            (vec![(SITE, "none"), (MODE, "navigate")], false),
            (vec![(SITE, "cross-site"), (MODE, "navigate")], false),
            (vec![(SITE, "cross-site"), (MODE, "no-cors")], true),
            (vec![(SITE, "same-site"), (MODE, "cors")], true),
            (vec![(SITE, "cross-site")], true),
        ] {
            assert_eq!(is_of_another_site(&headers(&all)), other, "{all:?}");
        }
    }
}
