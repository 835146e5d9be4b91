//! Texts by the thousand, from one seed.

use crate::{FAMILIES, Family, Random};

/// A text, and the families in it.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// The families, from the outermost on.
    pub families: Vec<&'static str>,
    /// The text.
    pub text: String,
}

/// Mixtures without end: a family alone, several one behind the other, one inside of another, with
/// pieces of the grammar strewn in; some are cut off anywhere.
#[derive(Clone, Debug)]
pub struct Mixtures {
    random: Random,
    longest: usize,
}

/// Strewn into texts: what begins or ends something, or stands between two things.
const PIECES: &[&str] = &[
    " ", ",", ";", ".", "(", ")", "[", "]", "'", "\"", "$$", "$a$", "/*", "*/", "--", "\n", "::", ":=", "=",
    "-", "+", "@", " from ", " as ", " select ", " set ", " update ", " insert into t ", " values ",
    " join ", " on ", " case ", " end ", " begin atomic ", " with ", " union ", " and ", " not ", " in (",
    " null ", " 1 ", " 'x' ", " a ", " a.b ", " a.b.c ", " toast.x ", " regclass ", "E'", "U&\"",
    " uescape '!' ", " current of ", " owned by a.b ", " partition of a.b ", " for update of a ", " only ",
    " extract(",
];

impl Mixtures {
    /// Texts of up to `longest` bytes; the same for the same `seed`.
    pub fn new(seed: u64, longest: usize) -> Self {
        Self { random: Random::new(seed), longest }
    }

    fn family(&mut self) -> &'static Family {
        const NONE: Family = Family::of("none", "select 1", " ", "");
        self.random.pick(FAMILIES).unwrap_or(&NONE)
    }

    /// Most texts are long: those are the costly ones.
    fn size(&mut self) -> usize {
        match self.random.below(4) {
            0 => self.random.below(self.longest),
            _ => self.longest - self.random.below(self.longest / 4),
        }
    }

    fn several(&mut self, size: usize, families: &mut Vec<&'static str>) -> String {
        let (count, mut text) = (2 + self.random.below(6), String::new());
        for _ in 0..count {
            let family = self.family();
            families.push(family.name);
            match self.random.below(2) {
                0 => text.push_str(&family.of_size(size / count)),
                _ => family.units(family.count_for(size / count), &mut text),
            }
            text.push_str(self.random.pick(PIECES).unwrap_or(&""));
        }
        text
    }

    /// One family's units in the place of another's middle.
    fn inside(&mut self, size: usize, families: &mut Vec<&'static str>) -> String {
        let (outer, inner) = (self.family(), self.family());
        families.extend([outer.name, inner.name]);
        let (mut text, depth) = (String::from(outer.head), self.random.below(60));
        text.push_str(&outer.unit.repeat(depth));
        inner.units(inner.count_for(size / 2), &mut text);
        text.push_str(&outer.close.repeat(depth));
        text.push_str(outer.tail);
        text
    }

    /// Pieces alone.
    fn strewn(&mut self, size: usize) -> String {
        let (mut text, few) = (String::new(), 2 + self.random.below(6));
        let chosen: Vec<_> = (0..few).filter_map(|_| self.random.pick(PIECES)).collect();
        while text.len() < size {
            text.push_str(self.random.pick(&chosen).unwrap_or(&&" "));
        }
        text
    }
}

impl Iterator for Mixtures {
    type Item = Mixture;

    fn next(&mut self) -> Option<Mixture> {
        let (size, mut families) = (self.size(), Vec::new());
        let mut text = match self.random.below(8) {
            0..=2 => {
                let family = self.family();
                families.push(family.name);
                family.of_size(size)
            }
            3..=4 => self.several(size, &mut families),
            5..=6 => self.inside(size, &mut families),
            _ => self.strewn(size),
        };
        let most = match self.random.below(8) {
            0 => self.random.below(self.longest),
            _ => self.longest,
        };
        // All of them are ASCII.
        text.truncate(most);
        Some(Mixture { families, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_texts_within_the_bound() {
        let texts =
            |seed| Mixtures::new(seed, 4096).take(200).map(|mixture| mixture.text).collect::<Vec<_>>();
        assert_eq!(texts(1), texts(1));
        assert_ne!(texts(1), texts(2));
        assert!(texts(3).iter().all(|text| text.len() <= 4096 && text.is_ascii()));
    }
}
