//! Steps of the engine, counted in tests: a recognizer that is not linear is detected without a clock.

/// Counts steps: tokens or bytes that were read, entries that were compared.
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

    /// Counts steps.
    pub fn count(steps: usize) {
        STEPS.set(STEPS.get() + steps as u64);
    }

    /// The number of steps that `work` takes on this thread.
    pub fn of<T>(work: impl FnOnce() -> T) -> u64 {
        let before = STEPS.get();
        drop(work());
        STEPS.get() - before
    }
}
