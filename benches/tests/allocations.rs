//! A plan from the cache costs no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pgstrata_benches::{scope, texts};
use pgstrata_sql::{Engine, TextMode};
use pgstrata_tenancy::Strategy;

/// The system's allocator, counted by thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator; a thread's counter needs no allocation itself.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> usize {
    let before = ALLOCATIONS.get();
    drop(work());
    ALLOCATIONS.get() - before
}

#[test]
fn hit_allocates_nothing() {
    for strategy in [Strategy::SchemaQualified, Strategy::SearchPath] {
        let (engine, scope) = (Engine::new(1 << 20), scope(strategy));
        for (name, text) in texts() {
            let plan = |text: &str| engine.plan(text.as_bytes(), &scope, TextMode::default());
            let same_shape = format!("{text} /* */");
            assert!(allocations(|| plan(&text)) > 0, "{name}: a miss keeps what it has found");
            assert_eq!(allocations(|| plan(&same_shape)), 0, "{name}, {strategy}");
            // The second time, the text is kept as it is; the first may be forgotten
            // meanwhile, where the two texts fall in one slot.
            plan(&text);
            plan(&text);
            assert_eq!(allocations(|| plan(&text)), 0, "{name}, {strategy}");
        }
    }
}
