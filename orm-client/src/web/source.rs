//! Where the tenant's name is in a request.

use std::fmt;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use http::uri::Authority;

type Function = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// Where it is.
#[derive(Clone)]
pub(super) enum Source {
    Header(HeaderName),
    /// In front of this domain, in small letters.
    Subdomain(String),
    Path(usize),
    Function(Function),
}

/// What is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    As(String),
    Missing,
    /// Something that is no name, and why.
    Wrong(&'static str),
}

impl Source {
    pub(super) fn read(&self, parts: &Parts) -> Named {
        match self {
            Self::Header(name) => header(&parts.headers, name),
            Self::Subdomain(base) => subdomain(parts, base),
            Self::Path(index) => segment(parts.uri.path(), *index),
            Self::Function(function) => function(parts).map_or(Named::Missing, Named::As),
        }
    }
}

/// A header's value. What stands between us and the client may read the first of several, or the last: they must be the same.
fn header(headers: &HeaderMap, name: &HeaderName) -> Named {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Named::Missing };
    if values.any(|other| other != first) {
        return Named::Wrong("the tenant is named twice, by different names");
    }
    text(first.as_bytes())
}

fn text(bytes: &[u8]) -> Named {
    match std::str::from_utf8(bytes) {
        Ok(name) => Named::As(name.to_owned()),
        Err(_) => Named::Wrong("the tenant's name is not UTF-8"),
    }
}

fn subdomain(parts: &Parts, base: &str) -> Named {
    let authority = match parts.uri.authority() {
        // HTTP/2, or a request to a proxy: the header does not count.
        Some(authority) => authority.clone(),
        None => match header(&parts.headers, &header::HOST) {
            Named::As(host) if host.is_empty() => return Named::Missing,
            Named::As(host) => match Authority::try_from(host) {
                Ok(authority) => authority,
                Err(_) => return Named::Wrong("the header Host names no host"),
            },
            Named::Wrong(_) => return Named::Wrong("the header Host names no host, or several"),
            Named::Missing => return Named::Missing,
        },
    };
    let host = host_name(authority.host());
    match host.strip_suffix(base).and_then(|front| front.strip_suffix('.')) {
        None => Named::Missing,
        Some(label) if label.contains('.') => Named::Wrong("the host has more than a tenant's name in front"),
        Some(label) => Named::As(label.to_owned()),
    }
}

/// A host in the one form in which hosts are compared.
pub(super) fn host_name(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn segment(path: &str, index: usize) -> Named {
    match path.split('/').skip(1).nth(index) {
        None | Some("") => Named::Missing,
        Some(segment) => match percent_decoded(segment) {
            Some(bytes) => text(&bytes),
            None => Named::Wrong("the tenant's name in the path is not percent-encoded as it should be"),
        },
    }
}

/// None if a `%` is not followed by two hexadecimal digits.
fn percent_decoded(segment: &str) -> Option<Vec<u8>> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?,
            other => other,
        });
    }
    Some(decoded)
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Self::Subdomain(base) => f.debug_tuple("Subdomain").field(base).finish(),
            Self::Path(index) => f.debug_tuple("Path").field(index).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}
