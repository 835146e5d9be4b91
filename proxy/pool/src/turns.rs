//! Who waits, and whose turn it is: tenants take turns, and those of one tenant come first come, first served.
//!
//! A tenant with a thousand clients in the queue delays another's by one turn, not by a thousand.
//!
//! Turns come in rounds: in each of them, each tenant that waited when it began has its turns. Within a round the order is
//! free, so a server goes to a tenant that it has served before, if one waits: see [`likes`]. Who joins has its turns in
//! the next round, so nobody is overtaken by more than a round.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

use foldhash::HashMap;
use foldhash::fast::FixedState;

pub use crate::limits::Tenant;

/// Who gets a server on its own thread need not be woken across threads, so it may overtake others of its tenant:
/// so often at most.
const OVERTAKEN: u8 = 16;
/// So many of a tenant are looked at for one on the same thread.
const LOOKED_AT: usize = 32;
/// So many tenants are looked at for the one that likes a thing best.
const ASKED: usize = 32;

/// The ticket of the first who joins.
const FIRST_TICKET: u64 = 1 << 63;

/// Those who wait.
pub struct Turns<P> {
    /// Each tenant that has a queue is in one of the rounds, once. Its queue may be empty, where all have left: it
    /// goes when its turn comes, as looking for it here would cost a crowd that leaves the square of its size.
    ///
    /// The round that is under way, in the order in which its tenants joined.
    round: VecDeque<Turn>,
    /// The one behind it.
    later: VecDeque<Turn>,
    queues: HashMap<Tenant, Queue<P>>,
    waiting: usize,
    /// Tickets count up, and down for those who go to the front: a queue is in their order.
    next_ticket: u64,
    front_ticket: u64,
}

/// A tenant's place in a round.
struct Turn {
    tenant: Tenant,
    mark: u64,
    /// Where its first was when it joined.
    thread: usize,
    /// It comes before all others.
    first: bool,
}

impl Turn {
    fn new(tenant: &Tenant, thread: usize, first: bool) -> Self {
        Self { tenant: tenant.clone(), mark: mark(tenant), thread, first }
    }
}

/// Something that is to be had.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The thread that it is on.
    pub thread: usize,
    /// Its number, where it is one that knows tenants.
    pub number: Option<u64>,
}

/// A number for a tenant; 0 stands for none.
pub fn mark(tenant: &Tenant) -> u64 {
    tenant.as_ref().map_or(0, |name| FixedState::default().hash_one(name))
}

/// How well a tenant likes the thing with this number: a number of its own for each pair, so that each tenant likes
/// another thing best, and each thing is liked best by a part of them (rendezvous hashing). What is there may change as it
/// likes.
pub fn likes(mark: u64, number: u64) -> u64 {
    let mixed = (mark ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// Those of one tenant.
struct Queue<P> {
    waiters: VecDeque<Waiter<P>>,
    /// How many turns it has had in a row.
    had: u32,
}

impl<P> Default for Queue<P> {
    fn default() -> Self {
        Self { waiters: VecDeque::new(), had: 0 }
    }
}

impl<P> Queue<P> {
    /// Takes one out, for something that is on `thread`.
    fn take(&mut self, thread: usize) -> Option<P> {
        let queue = &mut self.waiters;
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
        Some(queue.remove(near)?.payload)
    }
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
        let (round, later) = (VecDeque::new(), VecDeque::new());
        Self { round, later, queues: HashMap::default(), waiting: 0, next_ticket, front_ticket }
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
            self.later.push_back(Turn::new(tenant, thread, false));
            Queue::default()
        });
        queue.waiters.push_back(Waiter { ticket, thread, overtaken: 0, payload });
        self.waiting += 1;
        ticket
    }

    /// Joins it at the front, as its tenant's next: one that had its turn, and got nothing. A tenant with no queue
    /// has the next turn; another keeps its own.
    pub fn rejoin(&mut self, tenant: &Tenant, thread: usize, payload: P) -> u64 {
        let ticket = self.front_ticket;
        self.front_ticket -= 1;
        let queue = self.queues.entry(tenant.clone()).or_insert_with(|| {
            self.round.push_front(Turn::new(tenant, thread, true));
            Queue::default()
        });
        queue.waiters.push_front(Waiter { ticket, thread, overtaken: OVERTAKEN, payload });
        self.waiting += 1;
        ticket
    }

    /// Leaves the queue, if it is still there, which is what it gives.
    pub fn leave(&mut self, tenant: &Tenant, ticket: u64) -> bool {
        let Some(queue) = self.queues.get_mut(tenant) else { return false };
        // Tickets count up.
        let found = queue.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        let Ok(at) = found else { return false };
        queue.waiters.remove(at);
        self.waiting -= 1;
        self.tidy();
        true
    }

    /// Where nobody waits, no tenant has a turn.
    fn tidy(&mut self) {
        if self.waiting == 0 {
            (self.round, self.later, self.queues) = Default::default();
        }
    }

    /// The next one whose tenant has `turns`, for what is to be had, and its tenant: so many in a round, or `None` now.
    /// Tenants that have none keep their place.
    pub fn next(&mut self, offer: Offer, turns: impl Fn(&P) -> Option<u32>) -> Option<(Tenant, P)> {
        let (turn, weight) = self.next_turn(offer, turns)?;
        let Entry::Occupied(mut queue) = self.queues.entry(turn.tenant.clone()) else { return None };
        let waiter = queue.get_mut().take(offer.thread)?;
        self.waiting -= 1;
        let Some(first) = queue.get().waiters.front() else {
            queue.remove();
            return Some((turn.tenant, waiter));
        };
        let (tenant, turn) = (turn.tenant.clone(), Turn { thread: first.thread, first: false, ..turn });
        let queue = queue.get_mut();
        queue.had += 1;
        match queue.had < weight {
            // In a row.
            true => self.round.push_front(Turn { first: true, ..turn }),
            false => {
                queue.had = 0;
                self.later.push_back(turn);
            }
        }
        Some((tenant, waiter))
    }

    /// The next one of a tenant, whoever's turn it is; the tenant keeps its own.
    pub fn next_of(
        &mut self,
        tenant: &Tenant,
        thread: usize,
        turns: impl Fn(&P) -> Option<u32>,
    ) -> Option<(Tenant, P)> {
        let queue = self.queues.get_mut(tenant)?;
        turns(&queue.waiters.front()?.payload)?;
        let waiter = queue.take(thread)?;
        self.waiting -= 1;
        self.tidy();
        Some((tenant.clone(), waiter))
    }

    /// A tenant that has somebody waiting and may have something, taken out of its round, and how many turns it has.
    ///
    /// Those that may not have their share, so there are no more of them than things that are lent.
    fn next_turn(&mut self, offer: Offer, turns: impl Fn(&P) -> Option<u32>) -> Option<(Turn, u32)> {
        if self.round.is_empty() {
            std::mem::swap(&mut self.round, &mut self.later);
        }
        let turns = |tenant: &Tenant, queues: &HashMap<Tenant, Queue<P>>| {
            let first = queues.get(tenant).and_then(|queue| queue.waiters.front());
            first.map(|first| turns(&first.payload))
        };
        let best = best(&self.round, offer);
        if let Some(turn) = best.and_then(|at| self.round.get(at))
            && let Some(Some(weight)) = turns(&turn.tenant, &self.queues)
        {
            return Some((self.round.remove(best?)?, weight));
        }
        for round in [&mut self.round, &mut self.later] {
            let mut at = 0;
            while let Some(turn) = round.get(at) {
                let found = turns(&turn.tenant, &self.queues);
                if let Some(None) = found {
                    at += 1;
                    continue;
                }
                let turn = round.remove(at)?;
                if let Some(weight) = found.flatten() {
                    return Some((turn, weight));
                }
                self.queues.remove(&turn.tenant);
            }
        }
        None
    }
}

/// Which tenant of a round likes best what is to be had, among the first of them. `None`: the first one, whichever that is.
///
/// One whose first waits on another thread is woken across threads, so it must like it by a good deal better.
fn best(round: &VecDeque<Turn>, offer: Offer) -> Option<usize> {
    let number = offer.number?;
    if round.len() < 2 || round.front().is_some_and(|turn| turn.first) {
        return None;
    }
    let liking = |(_, turn): &(usize, &Turn)| {
        let liking = likes(turn.mark, number);
        if turn.thread == offer.thread { liking } else { liking - liking / 4 }
    };
    round.iter().take(ASKED).enumerate().max_by_key(liking).map(|(at, _)| at)
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
