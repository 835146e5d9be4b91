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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// Counts warnings.
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.fetch_add(usize::from(*event.metadata().level() == Level::WARN), Ordering::Relaxed);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn program_with_tenants_is_warned_once() {
        let count = Arc::new(AtomicUsize::new(0));
        let warnings = || count.load(Ordering::Relaxed);
        tracing::subscriber::with_default(Warnings(Arc::clone(&count)), || {
            let stray = Stray::default();
            let fall = || stray.fallen(|| "User".into());
            fall();
            assert_eq!(warnings(), 0, "a program without tenants means public");
            stray.used();
            fall();
            fall();
            assert_eq!(warnings(), 1);
        });
    }
}
