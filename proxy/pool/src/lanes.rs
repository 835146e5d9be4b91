//! Those who wait, with a lane for each user that has a limit: where that is reached, nobody looks through those who
//! wait for it.
//!
//! Lanes take turns, and in each of them tenants do. Users with no limit have one lane together. A lane whose turn is
//! over, and one that is new, come behind all others: which of them began first, and which of them end, moves no turn.

use std::collections::VecDeque;
use std::sync::Arc;

use super::claim::Claim;
use super::share::Holders;
use super::turns::{Offer, Turns};
use crate::limits::Budget;

/// Those who wait.
pub struct Lanes<P> {
    /// In the order of their turns. The one with no user is always there.
    lanes: VecDeque<Lane<P>>,
    next_id: u64,
    waiting: usize,
}

struct Lane<P> {
    /// Never used again: a ticket of a lane that is gone means nobody in a later one.
    id: u64,
    user: Option<Arc<Budget>>,
    turns: Turns<(Claim, P)>,
}

/// What somebody leaves the queue by.
pub struct Ticket {
    lane: u64,
    number: u64,
}

impl<P> Default for Lanes<P> {
    fn default() -> Self {
        let all = Lane { id: 0, user: None, turns: Turns::default() };
        Self { lanes: VecDeque::from([all]), next_id: 1, waiting: 0 }
    }
}

impl<P> Lanes<P> {
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Joins the queue, on that thread; with `again` as its tenant's next, as [`Turns::rejoin`] has it.
    pub fn join(&mut self, claim: &Claim, thread: usize, again: bool, payload: P) -> Ticket {
        let user = claim.limited_user();
        let at = self.find(user).unwrap_or_else(|| {
            self.lanes.push_back(Lane { id: self.next_id, user: user.cloned(), turns: Turns::default() });
            self.next_id += 1;
            self.lanes.len() - 1
        });
        let payload = (claim.clone(), payload);
        let ticket = self.lanes.get_mut(at).map(|lane| {
            let number = match again {
                true => lane.turns.rejoin(claim.tenant(), thread, payload),
                false => lane.turns.join(claim.tenant(), thread, payload),
            };
            Ticket { lane: lane.id, number }
        });
        self.waiting += 1;
        // It has just been found, or made.
        ticket.unwrap_or(Ticket { lane: u64::MAX, number: 0 })
    }

    /// Leaves the queue, if it is still there.
    pub fn leave(&mut self, claim: &Claim, ticket: &Ticket) {
        let Some(at) = self.lanes.iter().position(|lane| lane.id == ticket.lane) else { return };
        if let Some(lane) = self.lanes.get_mut(at) {
            self.waiting -= usize::from(lane.turns.leave(claim.tenant(), ticket.number));
            if lane.is_over() {
                self.lanes.remove(at);
            }
        }
    }

    /// The next one that may have something, for what is to be had, where so many are `free`.
    pub fn next(&mut self, offer: Offer, holders: &Holders, free: usize) -> Option<(Claim, P)> {
        for _ in 0..self.lanes.len() {
            let mut lane = self.lanes.pop_front()?;
            let found = lane.next(offer, holders, free);
            if !lane.is_over() {
                self.lanes.push_back(lane);
            }
            if found.is_some() {
                self.waiting -= 1;
                return found;
            }
        }
        None
    }

    fn find(&self, user: Option<&Arc<Budget>>) -> Option<usize> {
        self.lanes.iter().position(|lane| match (&lane.user, user) {
            (Some(of), Some(user)) => Arc::ptr_eq(of, user),
            (of, user) => of.is_none() && user.is_none(),
        })
    }
}

impl<P> Lane<P> {
    /// The next one of it that may have something.
    fn next(&mut self, offer: Offer, holders: &Holders, free: usize) -> Option<(Claim, P)> {
        if self.user.as_ref().is_some_and(|user| !user.has_room_for_a_server()) {
            return None;
        }
        let turns = |(claim, _): &(Claim, P)| holders.may_have_one(claim, free).then(|| claim.weight());
        let found = match holders.is_tight(free) {
            // The others are not looked through in vain.
            true => holders.short().find_map(|tenant| self.turns.next_of(tenant, offer.thread, turns)),
            false => self.turns.next(offer, turns),
        };
        found.map(|(_, next)| next)
    }

    /// A user's lane in which nobody waits is none.
    fn is_over(&self) -> bool {
        self.user.is_some() && self.turns.waiting() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::share::Share;
    use super::*;
    use crate::config::{Limit, LimitTable};
    use crate::limits::Holder;

    fn claim(user: &str, is_limited: bool) -> Claim {
        let max_servers = is_limited.then(|| Limit { value: 100, key: "".into() });
        let limits = LimitTable { max_servers, ..LimitTable::default() };
        let tenant = Budget::new(Holder::Tenant(Some("acme".into())), LimitTable::default());
        Claim::new(tenant, Budget::new(Holder::User(user.into()), limits))
    }

    #[test]
    fn lane_that_begins_anew_takes_no_turn_of_another() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            let claims = [("all", false), ("a", true), ("b", true), ("c", true)]
                .map(|(user, is_limited)| claim(user, is_limited));
            let mut lanes = Lanes::default();
            for at in order {
                lanes.join(&claims[at], 0, false, at);
            }
            let holders = Holders::new(Share::WithOthers(100, Duration::ZERO));
            let mut had = [0; 4];
            for round in 1..=100 {
                for _ in 0..4 {
                    let offer = Offer { thread: 0, number: None };
                    let (claim, at) = lanes.next(offer, &holders, 100).unwrap();
                    had[at] += 1;
                    // Its lane was over, and is a new one now.
                    lanes.join(&claim, 0, false, at);
                }
                assert_eq!(had, [round; 4], "{order:?}");
            }
        }
    }
}
