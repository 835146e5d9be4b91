//! Where numbers come from that nobody can foresee: the system; in a simulation, its seed.

use std::ops::Range;

/// Fills `bytes`.
pub fn fill(bytes: &mut [u8]) {
    #[cfg(feature = "simulation")]
    if crate::world(|world| world.chance(bytes)).is_some() {
        return;
    }
    rand::fill(bytes);
}

/// Any number.
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number in the range.
pub fn between(range: Range<f64>) -> f64 {
    // As many bits as such a number keeps.
    let part = (number() >> 11) as f64 / (1u64 << 53) as f64;
    range.start + part * (range.end - range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_in_its_range_and_another_each_time() {
        let numbers: Vec<f64> = (0..100).map(|_| between(0.5..1.5)).collect();
        assert!(numbers.iter().all(|number| (0.5..1.5).contains(number)));
        assert!(numbers.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
