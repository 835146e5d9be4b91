//! Pauses between attempts: they double, with a random part, so that two waiting processes differ.

use std::time::Duration;

/// The pauses of one operation.
#[derive(Debug)]
pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
    taken: u32,
}

impl Pauses {
    /// For a lock that others hold: queued transactions can run meanwhile.
    pub fn long() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(5), taken: 0 }
    }

    /// For the end of another command.
    pub fn short() -> Self {
        Self { first: Duration::from_millis(20), longest: Duration::from_secs(1), taken: 0 }
    }

    /// The number of pauses so far.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// The next pause; half of it is random.
    pub fn next(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.taken.min(16)).min(self.longest);
        self.taken += 1;
        full.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut pauses = Pauses::long();
        for n in 0..40 {
            let full = Duration::from_millis(100 << n.min(6)).min(Duration::from_secs(5));
            let pause = pauses.next();
            assert!(pause >= full / 2 && pause <= full, "{n}: {pause:?}");
        }
        assert_eq!(pauses.taken(), 40);
    }
}
