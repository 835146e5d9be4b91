//! Numbers that a seed decides, and choices made of them.

/// A stream of choices that its seed decides.
#[derive(Clone, Debug)]
pub struct Random(pgstrata_testkit::Random);

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(pgstrata_testkit::Random::new(seed))
    }

    /// The stream of part `number` of what `seed` makes.
    pub fn part(seed: u64, number: u64) -> Self {
        Self::new(seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    /// A number below `limit`; 0 where `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    /// Whether something of this many percent comes to pass.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of a list that has one.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        *self.0.pick(list).expect("a list that is not empty")
    }
}
