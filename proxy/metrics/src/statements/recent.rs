//! The entries that a thread used last: it finds them again with no lock.
//!
//! Each thread has its own, for all of its sessions, so that their number is bounded. They may be entries that were pushed
//! out meanwhile: their bytes count until the thread forgets them, at the latest when it looks for another one.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pgstrata_sql::form::FormId;

use super::Entry;

/// A power of two.
const PLACES: usize = 128;

/// How often entries were pushed out.
static PUSHED_OUT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static RECENT: RefCell<Recent> = const { RefCell::new(Recent::new()) };
}

struct Recent {
    places: [Option<Arc<Entry>>; PLACES],
    /// The value of [`PUSHED_OUT`] when entries that do not count any more were forgotten last.
    swept: u64,
}

/// The entry of a form in a book, if this thread knows it and it still counts.
pub(super) fn get(book: u64, form: FormId) -> Option<Arc<Entry>> {
    on_this_thread(|recent| {
        recent.sweep();
        let entry = recent.places.get(place(book, form))?.as_ref()?;
        entry.is_of(book, form).then(|| Arc::clone(entry))
    })?
}

/// Keeps an entry, in the place of another.
pub(super) fn put(book: u64, form: FormId, entry: &Arc<Entry>) {
    on_this_thread(|recent| {
        if let Some(place) = recent.places.get_mut(place(book, form)) {
            *place = Some(Arc::clone(entry));
        }
    });
}

/// Entries were pushed out: each thread forgets them, this one now.
pub(super) fn forget_pushed_out() {
    PUSHED_OUT.fetch_add(1, Ordering::Relaxed);
    on_this_thread(Recent::sweep);
}

/// `None`: the thread ends, and has forgotten all.
fn on_this_thread<T>(look: impl FnOnce(&mut Recent) -> T) -> Option<T> {
    RECENT.try_with(|recent| look(&mut recent.borrow_mut())).ok()
}

impl Recent {
    const fn new() -> Self {
        Self { places: [const { None }; PLACES], swept: 0 }
    }

    #[inline]
    fn sweep(&mut self) {
        let pushed_out = PUSHED_OUT.load(Ordering::Relaxed);
        if self.swept == pushed_out {
            return;
        }
        self.swept = pushed_out;
        for place in &mut self.places {
            if place.as_ref().is_some_and(|entry| !entry.still_counts()) {
                *place = None;
            }
        }
    }
}

/// A form's number is a hash; those of books count up.
fn place(book: u64, form: FormId) -> usize {
    let mixed = (form.0 ^ book.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed >> 32) as usize % PLACES
}
