//! Steps of the scanner, counted in tests: repeated scanning is detected without a clock.

/// Counts scanned bytes.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn count(_: usize) {}

#[cfg(test)]
pub(super) use counted::{count, of};

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// Counts scanned bytes.
    pub(in crate::lexer) fn count(steps: usize) {
        STEPS.set(STEPS.get() + steps as u64);
    }

    /// The steps that `work` takes on this thread.
    pub(in crate::lexer) fn of<T>(work: impl FnOnce() -> T) -> u64 {
        let before = STEPS.get();
        drop(work());
        STEPS.get() - before
    }
}
