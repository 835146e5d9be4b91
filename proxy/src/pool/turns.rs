//! Who waits, and whose turn it is: tenants take turns, and those of one tenant come first come, first served.
//!
//! A tenant with a thousand clients in the queue delays another's by one turn, not by a thousand.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// For whom somebody waits; `None`: for no tenant.
pub type Tenant = Option<Arc<str>>;

/// Who gets a server on its own thread need not be woken across threads, so it may overtake others of its tenant:
/// so often at most.
const OVERTAKEN: u8 = 16;
/// So many of a tenant are looked at for one on the same thread.
const LOOKED_AT: usize = 32;

/// The ticket of the first who joins.
const FIRST_TICKET: u64 = 1 << 63;

/// Those who wait.
pub struct Turns<P> {
    /// Each tenant that has a queue, once: the next one first. Its queue may be empty, where all have left: it
    /// goes when its turn comes, as looking for it here would cost a crowd that leaves the square of its size.
    ring: VecDeque<Tenant>,
    queues: HashMap<Tenant, VecDeque<Waiter<P>>>,
    waiting: usize,
    /// Tickets count up, and down for those who go to the front: a queue is in their order.
    next_ticket: u64,
    front_ticket: u64,
}

struct Waiter<P> {
    ticket: u64,
    thread: usize,
    /// How often others came before it when it was the first.
    overtaken: u8,
    payload: P,
}

impl<P> Default for Turns<P> {
    fn default() -> Self {
        let (next_ticket, front_ticket) = (FIRST_TICKET, FIRST_TICKET - 1);
        Self { ring: VecDeque::new(), queues: HashMap::new(), waiting: 0, next_ticket, front_ticket }
    }
}

impl<P> Turns<P> {
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Joins the queue, on that thread; gives a ticket to leave it by.
    pub fn join(&mut self, tenant: &Tenant, thread: usize, payload: P) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let queue = self.queues.entry(tenant.clone()).or_insert_with(|| {
            self.ring.push_back(tenant.clone());
            VecDeque::new()
        });
        queue.push_back(Waiter { ticket, thread, overtaken: 0, payload });
        self.waiting += 1;
        ticket
    }

    /// Joins it at the front, as its tenant's next: one that had its turn, and got nothing. A tenant with no queue
    /// has the next turn; another keeps its own.
    pub fn rejoin(&mut self, tenant: &Tenant, thread: usize, payload: P) -> u64 {
        let ticket = self.front_ticket;
        self.front_ticket -= 1;
        let queue = self.queues.entry(tenant.clone()).or_insert_with(|| {
            self.ring.push_front(tenant.clone());
            VecDeque::new()
        });
        queue.push_front(Waiter { ticket, thread, overtaken: OVERTAKEN, payload });
        self.waiting += 1;
        ticket
    }

    /// Leaves the queue, if it is still there.
    pub fn leave(&mut self, tenant: &Tenant, ticket: u64) {
        let Some(queue) = self.queues.get_mut(tenant) else { return };
        // Tickets count up.
        let Ok(at) = queue.binary_search_by_key(&ticket, |waiter| waiter.ticket) else { return };
        queue.remove(at);
        self.waiting -= 1;
        if self.waiting == 0 {
            (self.ring, self.queues) = Default::default();
        }
    }

    /// The next one whose tenant `may` have something, for something that is on `thread`, and its tenant. Tenants that
    /// may not keep their turns.
    pub fn next(&mut self, thread: usize, may: impl Fn(&Tenant) -> bool) -> Option<(Tenant, P)> {
        let tenant = self.next_tenant(may)?;
        let queue = self.queues.get_mut(&tenant)?;
        let near = match queue.front_mut() {
            Some(first) if first.thread != thread && first.overtaken < OVERTAKEN => {
                let near = queue.iter().take(LOOKED_AT).position(|waiter| waiter.thread == thread);
                if let (Some(_), Some(first)) = (near, queue.front_mut()) {
                    first.overtaken += 1;
                }
                near.unwrap_or(0)
            }
            _ => 0,
        };
        let waiter = queue.remove(near)?;
        self.waiting -= 1;
        if queue.is_empty() {
            self.queues.remove(&tenant);
        } else {
            self.ring.push_back(tenant.clone());
        }
        Some((tenant, waiter.payload))
    }

    /// The first in the ring that has somebody waiting and may have something, taken out of it.
    ///
    /// Those that may not have their share, so there are no more of them than things that are lent.
    fn next_tenant(&mut self, may: impl Fn(&Tenant) -> bool) -> Option<Tenant> {
        let mut at = 0;
        while let Some(tenant) = self.ring.get(at) {
            let waits = self.queues.get(tenant).is_some_and(|queue| !queue.is_empty());
            if waits && !may(tenant) {
                at += 1;
                continue;
            }
            let tenant = self.ring.remove(at)?;
            if waits {
                return Some(tenant);
            }
            self.queues.remove(&tenant);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Some(name.into())
    }

    fn all(turns: &mut Turns<u32>, thread: usize) -> Vec<u32> {
        std::iter::from_fn(|| turns.next(thread, |_| true)).map(|(_, waiter)| waiter).collect()
    }

    #[test]
    fn tenants_take_turns() {
        let mut turns = Turns::default();
        for i in 0..5 {
            turns.join(&tenant("flood"), 0, i);
        }
        turns.join(&tenant("quiet"), 0, 10);
        turns.join(&None, 0, 20);
        turns.join(&tenant("quiet"), 0, 11);
        assert_eq!(turns.waiting(), 8);
        assert_eq!(all(&mut turns, 0), [0, 10, 20, 1, 11, 2, 3, 4]);
        assert_eq!((turns.waiting(), turns.ring.len(), turns.queues.len()), (0, 0, 0));
    }

    #[test]
    fn tenant_that_may_have_no_more_keeps_its_turn() {
        let mut turns = Turns::default();
        for (name, waiter) in [("full", 0), ("gone", 5), ("a", 10), ("b", 20), ("full", 1)] {
            let ticket = turns.join(&tenant(name), 0, waiter);
            if name == "gone" {
                turns.leave(&tenant(name), ticket);
            }
        }
        let full = |of: &Tenant| *of != tenant("full");
        assert_eq!(turns.next(0, full), Some((tenant("a"), 10)));
        assert_eq!(turns.next(0, full), Some((tenant("b"), 20)));
        assert_eq!((turns.next(0, full), turns.waiting()), (None, 2));
        turns.join(&tenant("c"), 0, 30);
        assert_eq!(all(&mut turns, 0), [0, 30, 1]);
        assert!(turns.ring.is_empty() && turns.queues.is_empty());
    }

    #[test]
    fn who_got_nothing_is_the_next_again() {
        let mut turns = Turns::default();
        for i in 0..3 {
            turns.join(&tenant("a"), 0, i);
        }
        turns.join(&tenant("b"), 0, 10);
        assert_eq!(turns.next(0, |_| true).unwrap().1, 0);
        let ticket = turns.rejoin(&tenant("a"), 0, 0);
        assert_eq!(turns.next(0, |_| true).unwrap().1, 10, "others' turns stay theirs");
        turns.rejoin(&tenant("c"), 0, 20);
        turns.leave(&tenant("a"), ticket);
        turns.rejoin(&tenant("a"), 1, 5);
        assert_eq!(all(&mut turns, 0), [20, 5, 1, 2]);
        assert!(turns.ring.is_empty() && turns.queues.is_empty());
    }

    #[test]
    fn who_leaves_is_not_called() {
        let mut turns = Turns::default();
        let tickets: Vec<_> = (0..3).map(|i| turns.join(&tenant("a"), 0, i)).collect();
        let lone = turns.join(&tenant("b"), 0, 10);
        turns.leave(&tenant("a"), tickets[1]);
        turns.leave(&tenant("b"), lone);
        // Twice is as once.
        turns.leave(&tenant("b"), lone);
        assert_eq!(turns.waiting(), 2);
        // Who comes back has its tenant's place, once.
        turns.join(&tenant("b"), 0, 11);
        assert_eq!(turns.ring.len(), 2);
        assert_eq!(all(&mut turns, 0), [0, 11, 2]);
        assert!(turns.ring.is_empty() && turns.queues.is_empty());
    }

    #[test]
    fn a_crowd_that_leaves_leaves_nothing() {
        let mut turns = Turns::default();
        let crowd: Vec<_> = (0..1000).map(|i| tenant(&i.to_string())).collect();
        let tickets: Vec<_> = crowd.iter().map(|of| turns.join(of, 0, 0)).collect();
        let last = turns.join(&tenant("999"), 0, 1);
        for (of, ticket) in crowd.iter().zip(tickets) {
            turns.leave(of, ticket);
        }
        assert_eq!((turns.waiting(), all(&mut turns, 0)), (1, vec![1]));
        turns.leave(&tenant("999"), last);
        assert!(turns.ring.is_empty() && turns.queues.is_empty());
        let ticket = turns.join(&None, 0, 2);
        turns.leave(&None, ticket);
        assert!(turns.ring.is_empty() && turns.queues.is_empty());
    }

    #[test]
    fn the_same_thread_comes_first_but_not_for_ever() {
        let mut turns = Turns::default();
        turns.join(&None, 1, 100);
        for i in 0..20 {
            turns.join(&None, 0, i);
        }
        let order = all(&mut turns, 0);
        assert_eq!(order.iter().position(|i| *i == 100), Some(usize::from(OVERTAKEN)));
        assert_eq!(order.len(), 21);
    }
}
