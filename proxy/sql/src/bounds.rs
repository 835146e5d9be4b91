//! Limits on the text that is analysed, so that time and memory are bounded.

use super::plan::Refusal;

/// Texts up to this length are tokenized on the client's thread, on which other clients wait.
pub(super) const SHORT_TEXT: usize = 8 * 1024;
/// If the shape is not cached, texts up to this number of tokens are analysed on the client's thread.
pub(super) const SHORT: usize = 512;

/// A text with more tokens is refused. With the findings and the tree, this many tokens take about 100 MB during the
/// analysis.
pub(super) const MAX_TOKENS: usize = 512 << 10;
/// A text with more adjacent operators is refused: PostgreSQL's scanner reads all of them again for each of them.
pub(super) const MAX_SIGNS: usize = 1024;
/// A text with more dots in one name is refused: PostgreSQL's grammar copies the name of a setting for each of its parts.
pub(super) const MAX_DOTS: usize = 1024;
/// A text is refused if its comments and operators cost PostgreSQL's scanner more steps than this, of a nanosecond
/// each.
pub(super) const MAX_COMMENT_STEPS: usize = 4 << 20;
/// A text with more statements is refused: each takes time in the request and in the reply.
pub(super) const MAX_STATEMENTS: usize = 100_000;

/// The reason why a text is not analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooComplex {
    /// See [`MAX_TOKENS`].
    #[error("it has more than {MAX_TOKENS} tokens, rows of constants left out")]
    Tokens,
    /// See [`MAX_SIGNS`].
    #[error("it has more than {MAX_SIGNS} operators with nothing between them")]
    Signs,
    /// See [`MAX_DOTS`].
    #[error("it has a name with more than {MAX_DOTS} dots")]
    Dots,
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
            TooComplex::Dots => "Write a name with fewer parts.",
            TooComplex::Signs => "Leave a blank between two operators.",
            TooComplex::Comments => "Leave a blank between two comments, and behind each /* and operator.",
            _ => "Send it in several messages.",
        };
        Refusal { code: "54001", message: format!("statement too complex: {error}"), hint: Some(hint.into()) }
    }
}
