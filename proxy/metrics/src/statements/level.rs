//! Which tenants have more than their share.

/// The most that each may keep so that all of them together keep `room` at most: those with less keep all that they have,
/// and the others the same.
pub(super) fn share(sizes: &[u64], room: u64) -> u64 {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable();
    let (mut left, mut count) = (room, sizes.len() as u64);
    for size in sizes {
        // All that are left have this much at least.
        if size.saturating_mul(count) > left {
            return left / count.max(1);
        }
        left -= size;
        count -= 1;
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_little_keeps_it() {
        assert_eq!(share(&[10, 20, 1000], 100), 70);
        assert_eq!(share(&[1000, 10, 500], 100), 45);
        assert_eq!(share(&[50, 50], 60), 30);
        assert_eq!(share(&[10, 20], 30), u64::MAX);
        assert_eq!((share(&[], 5), share(&[7, 7], 0)), (u64::MAX, 0));
    }
}
