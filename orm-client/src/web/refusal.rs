//! A request that goes no further, and how it is told: in HTTP's way, or in gRPC's.

use std::fmt::{self, Write};

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::Error;

const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a request goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    /// gRPC's number for it.
    code: &'static str,
    words: String,
}

impl Refusal {
    pub(super) fn missing() -> Self {
        Self::wrong("the request names no tenant")
    }

    /// What [`Tenant::check`](crate::Tenant::check) says, without the name: whoever sent it knows it.
    pub(super) fn no_tenant(error: Error) -> Self {
        match error {
            Error::Tenant { source, .. } => Self::wrong(source),
            _ => Self::wrong("a schema of PostgreSQL's or of pgstrata's is no tenant's"),
        }
    }

    /// `INVALID_ARGUMENT`, for gRPC.
    pub(super) fn wrong(words: impl fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "3", words: words.to_string() }
    }

    /// `PERMISSION_DENIED`, for gRPC.
    pub(super) fn forbidden() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code: "7",
            words: "the request may not be this tenant's".to_owned(),
        }
    }

    /// The answer to a request with these headers, and its text.
    pub(super) fn answer(self, asked: &HeaderMap) -> Response<String> {
        match asked.get(CONTENT_TYPE).filter(|content| is_grpc(content)) {
            Some(content) => self.by_grpc(content.clone()),
            None => self.by_http(),
        }
    }

    fn by_http(self) -> Response<String> {
        let mut answer = Response::new(self.words + "\n");
        *answer.status_mut() = self.status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, text);
        answer
    }

    /// "Trailers-Only": HTTP's status is 200, gRPC's own is in the headers, and there is no body. A client of gRPC's that is given a
    /// bare 400 takes it for a fault of the server's.
    fn by_grpc(self, content: HeaderValue) -> Response<String> {
        let mut answer = Response::new(String::new());
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, content);
        headers.insert(GRPC_STATUS, HeaderValue::from_static(self.code));
        // It is ASCII by now.
        if let Ok(words) = HeaderValue::try_from(percent_encoded(&self.words)) {
            headers.insert(GRPC_MESSAGE, words);
        }
        answer
    }
}

/// `application/grpc`, and with what its messages are written in, or `-web`, behind it.
fn is_grpc(content: &HeaderValue) -> bool {
    let Some((kind, rest)) = content.as_bytes().split_at_checked(GRPC.len()) else { return false };
    kind.eq_ignore_ascii_case(GRPC.as_bytes())
        && matches!(rest.first(), None | Some(b'+' | b'-' | b';' | b' '))
}

/// As gRPC writes a message in a header: all that is not printable ASCII, and `%` itself.
fn percent_encoded(words: &str) -> String {
    let mut encoded = String::with_capacity(words.len());
    for byte in words.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            // To write to a string can't fail.
            other => drop(write!(encoded, "%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_of_grpc_is_known() {
        let is = |content: &'static str| is_grpc(&HeaderValue::from_static(content));
        for content in [
            "application/grpc", "Application/gRPC+proto", "application/grpc;x=1", "application/grpc-web-text",
        ] {
            assert!(is(content), "{content}");
        }
        for content in ["", "application/json", "application/grp", "application/grpcs", "text/plain"] {
            assert!(!is(content), "{content}");
        }
    }

    #[test]
    fn message_is_percent_encoded() {
        assert_eq!(percent_encoded("100 % of \"Größe\"\n~"), "100 %25 of \"Gr%C3%B6%C3%9Fe\"%0A~");
        let answer = Refusal::wrong("é").answer(&HeaderMap::from_iter([(
            CONTENT_TYPE,
            HeaderValue::from_static("application/grpc+proto"),
        )]));
        assert_eq!(answer.headers()[GRPC_MESSAGE], "%C3%A9");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/grpc+proto");
    }
}
