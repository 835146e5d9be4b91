//! Connections whose client has not proven who it is. There is a limit of their own to them: whoever opens many keeps
//! nobody out that can log in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All of them.
pub struct Unproven {
    most: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By the order in which they came.
    calls: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

/// One of them, until this is dropped.
pub struct Ticket {
    number: u64,
    call: Arc<Notify>,
    all: Arc<Unproven>,
}

impl Unproven {
    /// So many at most.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(most), waiting: Mutex::default() })
    }

    /// So many at most from the next one on.
    pub fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// One more. Where there are too many, the one that came first has to leave: it has had the most time.
    pub fn enter(self: &Arc<Self>) -> Ticket {
        let call = Arc::new(Notify::new());
        let mut waiting = self.lock();
        let most = self.most.load(Ordering::Relaxed);
        while waiting.calls.len() >= most {
            let Some((_, oldest)) = waiting.calls.pop_first() else { break };
            oldest.notify_one();
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.calls.insert(number, Arc::clone(&call));
        drop(waiting);
        Ticket { number, call, all: Arc::clone(self) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Done when this one has to leave.
    pub async fn called(&self) {
        self.call.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.all.lock().calls.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_called(ticket: &Ticket) -> bool {
        pin!(ticket.called()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_first_to_come_leaves_for_one_too_many() {
        let all = Unproven::new(2);
        let [first, second] = [all.enter(), all.enter()];
        assert!(!is_called(&first));
        let third = all.enter();
        assert_eq!([&first, &second, &third].map(is_called), [true, false, false]);
        drop(second);
        let fourth = all.enter();
        assert_eq!([&third, &fourth].map(is_called), [false, false]);
        drop((first, third, fourth));
        assert!(all.lock().calls.is_empty());
    }
}
