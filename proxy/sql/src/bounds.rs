//! How much of a text is looked at: what it takes up, in time and in room, has an end.

use super::plan::Refusal;

/// A text up to this length is read where it comes in, which others wait for.
pub(super) const SHORT_TEXT: usize = 8 * 1024;
/// And if its shape is not known, it is judged there if it has up to so many tokens.
pub(super) const SHORT: usize = 512;

/// A text of more tokens is refused. With what is found in it, and with its tree, so many take some 100 MB while it
/// is judged.
pub(super) const MAX_TOKENS: usize = 512 << 10;
/// A text with more operators side by side is refused: PostgreSQL looks at all of them again for each of them.
pub(super) const MAX_SIGNS: usize = 1024;
/// A text with comments and operators that take PostgreSQL's scanner more steps than these, of a nanosecond each, is refused.
pub(super) const MAX_COMMENT_STEPS: usize = 4 << 20;
/// A text of more statements is refused: each is looked at on its way to PostgreSQL, and on the way back.
pub(super) const MAX_STATEMENTS: usize = 100_000;

/// Why a text is not looked at any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooComplex {
    /// See [`MAX_TOKENS`].
    #[error("it has more than {MAX_TOKENS} tokens, rows of constants left out")]
    Tokens,
    /// See [`MAX_SIGNS`].
    #[error("it has more than {MAX_SIGNS} operators with nothing between them")]
    Signs,
    /// See [`MAX_COMMENT_STEPS`].
    #[error("it has too many comments and operators with nothing between them")]
    Comments,
    /// See [`MAX_STATEMENTS`].
    #[error("it has more than {MAX_STATEMENTS} statements")]
    Statements,
}

impl From<TooComplex> for Refusal {
    fn from(error: TooComplex) -> Self {
        let hint = match error {
            TooComplex::Signs => "Leave a blank between two operators.",
            TooComplex::Comments => "Leave a blank between two comments, and behind each /* and operator.",
            _ => "Send it in several messages.",
        };
        Refusal { code: "54001", message: format!("statement too complex: {error}"), hint: Some(hint.into()) }
    }
}
