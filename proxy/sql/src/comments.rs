//! What comments and operators cost PostgreSQL's scanner.
//!
//! Where one begins it reads on as far as there are signs of operators, and gives back what is none of it: `/*/*/*`,
//! `/**//**/` and `+/**/+/**/` cost it the square of their length.

use super::bounds::{MAX_COMMENT_STEPS, TooComplex};
use super::steps;

/// What those of a text have cost so far.
pub struct Comments<'a> {
    text: &'a [u8],
    steps: usize,
    /// Where the signs end that were looked at last.
    end: usize,
}

impl<'a> Comments<'a> {
    /// Of a text of which nothing is read yet.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, steps: 0, end: 0 }
    }

    /// What stands in `range` is between two tokens, or a comment with no end. The error says that it is too much.
    pub fn see(&mut self, range: std::ops::Range<usize>) -> Result<(), TooComplex> {
        let blank = self.text.get(range.clone()).unwrap_or_default();
        // Most of them are one blank.
        if blank.len() < 2 {
            return Ok(());
        }
        steps::count(blank.len());
        memchr::memmem::find_iter(blank, b"/*").try_for_each(|at| self.begin(range.start + at))
    }

    /// A comment or an operator begins here.
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

/// Whether operators are made of it.
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
