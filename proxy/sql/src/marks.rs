//! Sets of tokens, one bit for each token of a statement.

use std::ops::Range;

/// Some of the tokens of a statement.
#[derive(Debug, Default)]
pub struct Marks {
    first: usize,
    bits: Vec<u64>,
}

impl Marks {
    /// An empty set for the tokens in `range`.
    pub fn of(range: &Range<usize>) -> Self {
        Self { first: range.start, bits: vec![0; range.len().div_ceil(64)] }
    }

    fn place(&self, token: usize) -> Option<(usize, u64)> {
        let at = token.checked_sub(self.first)?;
        Some((at / 64, 1 << (at % 64)))
    }

    /// Adds a token; a token outside of the statement is ignored.
    pub fn insert(&mut self, token: usize) {
        let Some((word, bit)) = self.place(token) else { return };
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether the set contains this token.
    pub fn contains(&self, token: usize) -> bool {
        let found = self.place(token).and_then(|(word, bit)| Some(self.bits.get(word)? & bit != 0));
        found.unwrap_or(false)
    }
}

impl Extend<usize> for Marks {
    fn extend<T: IntoIterator<Item = usize>>(&mut self, tokens: T) {
        for token in tokens {
            self.insert(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hold_what_was_put_in_and_nothing_else() {
        let mut marks = Marks::of(&(100..300));
        marks.extend([99, 100, 163, 164, 299, 5000]);
        let held: Vec<_> = (0..6000).filter(|&token| marks.contains(token)).collect();
        assert_eq!(held, [100, 163, 164, 299]);
    }
}
