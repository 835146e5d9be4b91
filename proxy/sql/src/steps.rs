//! What the engine does, counted in tests: a reader that takes more steps than its text is long shows without a clock.

/// So many steps were taken: tokens or bytes that were looked at, entries that were compared.
#[cfg(not(test))]
#[inline(always)]
pub fn count(_: usize) {}

#[cfg(test)]
pub use counted::{count, of};

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// So many steps were taken.
    pub fn count(steps: usize) {
        STEPS.set(STEPS.get() + steps as u64);
    }

    /// The steps that `work` takes on this thread.
    pub fn of<T>(work: impl FnOnce() -> T) -> u64 {
        let before = STEPS.get();
        drop(work());
        STEPS.get() - before
    }
}
