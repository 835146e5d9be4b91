//! The error with which a client is refused.

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::response::ErrorResponse;

/// The SQLSTATEs of refusals.
///
/// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub mod sqlstate {
    /// `protocol_violation`
    pub const PROTOCOL_VIOLATION: &str = "08P01";
    /// `feature_not_supported`
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    /// `invalid_parameter_value`
    pub const INVALID_PARAMETER_VALUE: &str = "22023";
    /// `invalid_authorization_specification`
    pub const INVALID_AUTHORIZATION: &str = "28000";
    /// `invalid_password`
    pub const INVALID_PASSWORD: &str = "28P01";
    /// `invalid_catalog_name`
    pub const INVALID_CATALOG_NAME: &str = "3D000";
    /// `syntax_error`
    pub const SYNTAX_ERROR: &str = "42601";
    /// `insufficient_privilege`
    pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
    /// `undefined_object`
    pub const UNDEFINED_OBJECT: &str = "42704";
    /// `invalid_name`
    pub const INVALID_NAME: &str = "42602";
    /// `cant_change_runtime_param`
    pub const CANT_CHANGE_RUNTIME_PARAM: &str = "55P02";
    /// The SQLSTATEs with which PostgreSQL refuses a setting.
    pub const OF_SETTINGS: [&str; 7] = [
        FEATURE_NOT_SUPPORTED, INVALID_PARAMETER_VALUE, SYNTAX_ERROR, INSUFFICIENT_PRIVILEGE, INVALID_NAME,
        UNDEFINED_OBJECT, CANT_CHANGE_RUNTIME_PARAM,
    ];
    /// `internal_error`
    pub const INTERNAL_ERROR: &str = "XX000";
}

/// A FATAL error: the client gets it, and the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// The SQLSTATE.
    pub code: &'static str,
    /// The error, in one line.
    pub message: String,
    /// The cause, if it is known.
    pub detail: Option<String>,
    /// The remedy.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Appends the `ErrorResponse`.
    ///
    /// See <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut fields = vec![
            (b'S', "FATAL".to_owned()),
            (b'V', "FATAL".to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', without_nul(&self.message)),
        ];
        fields.extend(self.detail.as_deref().map(|detail| (b'D', without_nul(detail))));
        fields.extend(self.hint.as_deref().map(|hint| (b'H', without_nul(hint))));
        // It fails only if it is too long, and the start-up packet bounds the quoted values.
        let _ = ErrorResponse::new(fields).encode(out);
    }

    /// Appends the error in the format of protocol 2: one text, no fields.
    pub fn encode_v2(&self, out: &mut BytesMut) {
        out.put_slice(b"EFATAL:  ");
        out.put_slice(without_nul(&self.message).as_bytes());
        out.put_slice(b"\n\0");
    }
}

/// A NUL would end the field too early.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}
