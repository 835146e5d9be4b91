//! Statements of no tenant, in a program that has tenants: most often a task that was spawned without its context.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a manager has seen so far.
#[derive(Debug, Default)]
pub(super) struct Stray {
    tenants: AtomicBool,
    warned: AtomicBool,
}

impl Stray {
    /// A tenant's rows were asked for.
    pub(super) fn used(&self) {
        // Most often it is so already, and a read is cheaper.
        if !self.tenants.load(Ordering::Relaxed) {
            self.tenants.store(true, Ordering::Relaxed);
        }
    }

    /// Something was asked for outside of any context, and falls to public.
    pub(super) fn fallen(&self, what: impl FnOnce() -> String) {
        if self.tenants.load(Ordering::Relaxed) && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                what = what(),
                "a statement outside of any tenant's context goes to the schema public: Options::missing_tenant(MissingTenant::Reject) \
                 makes it an error, MetadataContext::spawn keeps the context of a task"
            );
        }
    }
}
