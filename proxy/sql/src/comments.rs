//! The cost of comments and operators for PostgreSQL's scanner.
//!
//! At the beginning of each, the scanner reads on as long as there are operator characters, and then returns the part
//! that does not belong to it. So `/*/*/*`, `/**//**/` and `+/**/+/**/` cost the square of their length.

use std::ops::Range;

use super::bounds::{MAX_COMMENT_STEPS, TooComplex};
use super::steps;

/// The cost of the comments and operators of a text so far.
pub struct Comments<'a> {
    text: &'a [u8],
    steps: usize,
    /// The end of the operator characters that were read last.
    end: usize,
}

impl<'a> Comments<'a> {
    /// For a text of which nothing has been read.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, steps: 0, end: 0 }
    }

    /// Counts `range`, which is between two tokens or an unterminated comment. Fails if the total is too large.
    #[inline]
    pub fn see(&mut self, range: Range<usize>) -> Result<(), TooComplex> {
        // Most of them are a single blank.
        if range.len() < 2 { Ok(()) } else { self.look_for(range) }
    }

    fn look_for(&mut self, range: Range<usize>) -> Result<(), TooComplex> {
        let blank = self.text.get(range.clone()).unwrap_or_default();
        steps::count(blank.len());
        memchr::memmem::find_iter(blank, b"/*").try_for_each(|at| self.begin(range.start + at))
    }

    /// Counts the beginning of a comment or an operator.
    pub fn begin(&mut self, at: usize) -> Result<(), TooComplex> {
        if at >= self.end {
            let signs = self.text.get(at..).unwrap_or_default().iter().take_while(|byte| is_sign(**byte));
            self.end = at + signs.count();
            steps::count(self.end - at);
        }
        self.steps += self.end - at;
        if self.steps > MAX_COMMENT_STEPS { Err(TooComplex::Comments) } else { Ok(()) }
    }
}

/// Whether the byte is an operator character.
fn is_sign(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use crate::bounds::TooComplex;
    use crate::rows::collect;

    #[test]
    fn comments_that_cost_the_square_of_their_length_are_refused() {
        let read = |text: &str| collect(text.as_bytes(), true, &mut Vec::new());
        for part in ["/*", "/**/", "/*+*/", "/*/**/*/", "+/**/"] {
            assert_eq!(
                read(&format!("select {}1", part.repeat(10_000))),
                Err(TooComplex::Comments),
                "{part}"
            );
        }
        let banner = format!("/{}/\nselect 1;\n", "*".repeat(70));
        for text in [
            banner.repeat(1000),
            "/* a */ -- /* b\n".repeat(10_000),
            format!("select '{}'", "/*".repeat(10_000)),
            format!("select $a${}$a$", "/**/".repeat(10_000)),
        ] {
            assert_eq!(read(&text), Ok(()), "{}", &text[..40]);
        }
    }
}
