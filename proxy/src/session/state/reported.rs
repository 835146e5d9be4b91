//! The parameters that were reported to the client.

use std::sync::Arc;

use bytes::BytesMut;

use crate::pool::birth::Birth;
use crate::pool::settings::CLIENT_ENCODING;
use crate::session::encoding::is_utf8;
use crate::shared::ReportedParameters;
use crate::wire::message;

/// The name of a parameter and its value.
type Parameter = (Box<[u8]>, Box<[u8]>);

/// The parameters that the client knows from `ParameterStatus`, and how far they are true on its next server.
pub(in crate::session) struct Reported {
    values: Arc<ReportedParameters>,
    /// `client_encoding` is UTF-8 by these values. Read for each text, so it is kept.
    utf8: bool,
    /// The values may differ on the next server.
    stale: bool,
    /// The initial parameters of the servers whose values were reported.
    birth: Birth,
}

impl Reported {
    /// For a client that got `values` with its login, from a server with these initial parameters.
    pub fn new(values: Arc<ReportedParameters>, birth: Birth) -> Self {
        Self { utf8: encoding_is_utf8(&values), values, stale: false, birth }
    }

    /// Whether `client_encoding` is UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// The value of `client_encoding`.
    pub fn encoding(&self) -> Option<&[u8]> {
        self.values.get(CLIENT_ENCODING.as_bytes()).map(|value| &**value)
    }

    /// Whether the client knows another value of a parameter that it knows.
    pub fn differs(&self, name: &[u8], value: &[u8]) -> bool {
        self.values.get(name).is_some_and(|told| **told != *value)
    }

    /// Reports a parameter into `out`, unless the client knows its value already.
    pub fn report(&mut self, name: &[u8], value: &[u8], out: &mut BytesMut) {
        if self.values.get(name).is_some_and(|told| **told == *value) {
            return;
        }
        if name == CLIENT_ENCODING.as_bytes() {
            self.utf8 = is_utf8(value);
        }
        Arc::make_mut(&mut self.values).insert(name.into(), value.into());
        message::parameter_status(out, name, value);
    }

    /// Reports those values of `base` into `out` that the client does not know; other parameters have none from now on.
    pub fn return_to(&mut self, base: &Arc<ReportedParameters>, out: &mut BytesMut) {
        for (name, value) in base.iter().filter(|(name, value)| self.values.get(*name) != Some(*value)) {
            message::parameter_status(out, name, value);
        }
        self.utf8 = encoding_is_utf8(base);
        self.values = Arc::clone(base);
    }

    /// The values may differ on the next server, if `doubt`: code may have set parameters unseen.
    pub fn doubt_if(&mut self, doubt: bool) {
        self.stale |= doubt;
    }

    /// Whether they may.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The values are compared with those of a server. Returns the parameters of that server which the client knows
    /// otherwise.
    pub fn compare(&mut self, server: &ReportedParameters) -> Vec<Parameter> {
        self.stale = false;
        let differing = server.iter().filter(|(name, value)| self.differs(name, value));
        differing.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The initial parameters of the servers whose values were reported.
    pub fn birth(&self) -> Birth {
        self.birth
    }

    /// The client has a server with these initial parameters, whose values are reported next.
    pub fn note_birth(&mut self, birth: Birth) {
        self.birth = birth;
    }
}

fn encoding_is_utf8(values: &ReportedParameters) -> bool {
    values.get(CLIENT_ENCODING.as_bytes()).is_some_and(|value| is_utf8(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> ReportedParameters {
        pairs.iter().map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into())).collect()
    }

    fn reported(pairs: &[(&str, &str)]) -> Reported {
        Reported::new(Arc::new(parameters(pairs)), Birth::default())
    }

    /// The message that reports a parameter.
    fn status(name: &str, value: &str) -> BytesMut {
        let mut out = BytesMut::new();
        message::parameter_status(&mut out, name.as_bytes(), value.as_bytes());
        out
    }

    #[test]
    fn parameter_is_reported_when_it_changes() {
        let mut told = reported(&[("TimeZone", "UTC")]);
        let mut out = BytesMut::new();
        told.report(b"TimeZone", b"UTC", &mut out);
        assert!(out.is_empty());
        told.report(b"TimeZone", b"CET", &mut out);
        told.report(b"TimeZone", b"CET", &mut out);
        told.report(b"extension.new", b"1", &mut out);
        assert_eq!(out, [status("TimeZone", "CET"), status("extension.new", "1")].concat());
        assert!(told.differs(b"TimeZone", b"UTC") && !told.differs(b"TimeZone", b"CET"));
        assert!(!told.differs(b"unknown", b"1"), "the client knows no value of it");
    }

    #[test]
    fn encoding_follows_each_way_of_reporting() {
        let mut told = reported(&[("client_encoding", "UTF8")]);
        assert!(told.is_utf8() && told.encoding() == Some(&b"UTF8"[..]));
        let mut out = BytesMut::new();
        told.report(b"client_encoding", b"LATIN1", &mut out);
        assert!(!told.is_utf8() && told.encoding() == Some(&b"LATIN1"[..]));
        told.report(b"client_encoding", b"UTF8", &mut out);
        assert!(told.is_utf8());
        told.return_to(&Arc::new(parameters(&[("client_encoding", "SQL_ASCII")])), &mut out);
        assert!(!told.is_utf8());
        told.return_to(&Arc::default(), &mut out);
        assert!(!told.is_utf8() && told.encoding().is_none(), "what is not known is not UTF-8");
    }

    #[test]
    fn return_reports_what_differs_only() {
        let base = Arc::new(parameters(&[("DateStyle", "ISO"), ("TimeZone", "UTC")]));
        let mut told = Reported::new(Arc::clone(&base), Birth::default());
        let mut out = BytesMut::new();
        told.return_to(&base, &mut out);
        assert!(out.is_empty());
        told.report(b"TimeZone", b"CET", &mut BytesMut::new());
        told.return_to(&base, &mut out);
        assert_eq!(out, status("TimeZone", "UTC"));
    }

    #[test]
    fn values_in_doubt_are_compared_once() {
        let mut told = reported(&[("TimeZone", "UTC"), ("DateStyle", "ISO")]);
        told.doubt_if(false);
        assert!(!told.is_stale());
        told.doubt_if(true);
        told.doubt_if(false);
        assert!(told.is_stale(), "what code has done is not undone by a request without code");
        let server = parameters(&[("TimeZone", "CET"), ("DateStyle", "ISO"), ("unreported", "1")]);
        let differing = told.compare(&server);
        assert!(matches!(&differing[..], [(name, value)] if **name == *b"TimeZone" && **value == *b"CET"));
        assert!(!told.is_stale() && told.differs(b"TimeZone", b"CET"), "the caller reports it");
    }
}
