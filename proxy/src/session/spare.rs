//! Reused buffers of a thread: a session uses them while it is working, so that an idle session holds no buffer, and a
//! request allocates nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

use bytes::BytesMut;

use super::expect::Expect;

/// The number of kept buffers of each kind, for a thread.
const KEPT: usize = 32;

/// A larger buffer, in bytes or entries, is freed.
const LARGEST_BUFFER: usize = 32 << 10;
const LARGEST_QUEUE: usize = 64;

thread_local! {
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    static QUEUES: RefCell<Vec<VecDeque<Expect>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, reused if there is one.
pub fn buffer() -> BytesMut {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Returns a buffer whose content is not needed any more.
pub fn leave(mut buffer: BytesMut) {
    buffer.clear();
    // The memory in front of its beginning belongs to data that was taken out.
    let _ = buffer.try_reclaim(buffer.capacity() + 1);
    if (1..=LARGEST_BUFFER).contains(&buffer.capacity()) {
        keep(&BUFFERS, buffer);
    }
}

fn keep<T>(kept: &'static std::thread::LocalKey<RefCell<Vec<T>>>, one: T) {
    // A session that ends with its thread may run after the destructor of the buffers.
    let _ = kept.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(one);
        }
    });
}

/// The expected replies.
pub struct Expects(VecDeque<Expect>);

impl Expects {
    /// No replies.
    pub fn new() -> Self {
        Self(QUEUES.with_borrow_mut(Vec::pop).unwrap_or_default())
    }
}

impl Drop for Expects {
    fn drop(&mut self) {
        if (1..=LARGEST_QUEUE).contains(&self.0.capacity()) {
            self.0.clear();
            keep(&QUEUES, std::mem::take(&mut self.0));
        }
    }
}

impl Deref for Expects {
    type Target = VecDeque<Expect>;

    fn deref(&self) -> &VecDeque<Expect> {
        &self.0
    }
}

impl DerefMut for Expects {
    fn deref_mut(&mut self) -> &mut VecDeque<Expect> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;

    #[test]
    fn room_is_used_again_and_does_not_grow_without_bound() {
        let mut first = buffer();
        first.extend_from_slice(b"secret");
        let place = first.as_ptr();
        leave(first);
        let again = buffer();
        assert!(again.is_empty() && again.as_ptr() == place);
        leave(BytesMut::with_capacity(LARGEST_BUFFER + 1));
        assert_eq!(buffer().capacity(), 0, "one that is too large is kept");
        for rest in 0..2 {
            let mut read = BytesMut::zeroed(2 * LARGEST_BUFFER);
            read.advance(2 * LARGEST_BUFFER - rest);
            leave(read);
            assert_eq!(buffer().capacity(), 0, "one that is too large is kept, as most of it is read");
        }
        let mut read = BytesMut::zeroed(LARGEST_BUFFER);
        read.advance(LARGEST_BUFFER);
        leave(read);
        assert_eq!(buffer().capacity(), LARGEST_BUFFER, "one that is read to its end is lost");
        (0..2 * KEPT).for_each(|_| leave(BytesMut::with_capacity(1)));
        assert_eq!(BUFFERS.with_borrow(Vec::len), KEPT);

        let mut owed = Expects::new();
        owed.push_back(Expect::Sync);
        drop(owed);
        assert!(Expects::new().is_empty() && QUEUES.with_borrow(Vec::len) == 1);
        let mut long = Expects::new();
        (0..2 * LARGEST_QUEUE).for_each(|_| long.push_back(Expect::Sync));
        drop(long);
        assert_eq!(QUEUES.with_borrow(Vec::len), 0, "one that is too long is kept");
    }
}
