//! Error positions, mapped from the text that PostgreSQL got to the text that the client sent.

use smallvec::SmallVec;

/// Where a text was added to, in the order of the text. Counted in characters, as
/// PostgreSQL counts the `P` field of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionMap {
    inserts: SmallVec<[Insert; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Insert {
    /// Characters of the client's text in front of it.
    at: usize,
    /// Characters that were put in.
    length: usize,
}

impl PositionMap {
    /// Notes that `length` characters went in behind `at` characters of the client's text.
    pub fn insert(&mut self, at: usize, length: usize) {
        self.inserts.push(Insert { at, length });
    }

    /// Whether the client's text went out as it was.
    pub fn is_empty(&self) -> bool {
        self.inserts.is_empty()
    }

    /// The position (from 1) in the client's text for one in the text that was sent.
    /// What points into an insert points to the character behind it.
    pub fn to_client(&self, position: usize) -> usize {
        let sent = position.saturating_sub(1);
        let mut shift = 0;
        for insert in &self.inserts {
            let start = insert.at + shift;
            if sent < start {
                break;
            }
            if sent < start + insert.length {
                return insert.at + 1;
            }
            shift += insert.length;
        }
        sent - shift + 1
    }
}

/// How many characters UTF-8 text has; for a single-byte encoding a few too few.
pub fn chars(text: &[u8]) -> usize {
    text.iter().filter(|b| (**b & 0xC0) != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_behind_a_prefix_moves_back() {
        let mut map = PositionMap::default();
        map.insert(0, 10);
        assert_eq!(map.to_client(11), 1);
        assert_eq!(map.to_client(15), 5);
        assert_eq!(map.to_client(3), 1);
    }

    #[test]
    fn position_between_two_inserts_moves_by_the_first() {
        let mut map = PositionMap::default();
        map.insert(14, 7);
        map.insert(30, 7);
        assert_eq!(map.to_client(8), 8);
        assert_eq!(map.to_client(14 + 7 + 3), 17);
        assert_eq!(map.to_client(30 + 14 + 1), 31);
    }
}
