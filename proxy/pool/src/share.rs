//! How many of a pool's servers one tenant may have at once.
//!
//! A tenant holds servers for as long as it likes: idle in a transaction, in a long statement, in the middle of a
//! message. So there is a bound on what it can hold, and others find the rest.

use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use tokio::time::Instant;

use super::claim::{Claim, Hindrance};
use super::turns::Tenant;
use crate::limits::Kind;

/// What a tenant may have of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    All,
    /// So many while another tenant is about: it holds a server, or has asked for one within that time. Else all.
    WithOthers(usize, Duration),
}

impl Share {
    /// That of a pool of so many places where nobody says: three quarters of it while others are about. A tenant is
    /// about for `window` after it last had a server.
    ///
    /// A pool of less than four is nobody's in part: an application that works on two connections at once, one in a
    /// transaction, would wait for itself.
    pub fn usual(places: usize, window: Duration) -> Self {
        match places {
            0..4 => Share::All,
            more => Share::WithOthers((more * 3).div_ceil(4), window),
        }
    }

    fn places(self) -> Option<usize> {
        match self {
            Share::All => None,
            Share::WithOthers(places, _) => Some(places),
        }
    }
}

/// What is kept for single tenants: so many each.
pub type Reserved = HashMap<Tenant, usize>;

/// Who holds how many, whatever the share is: that may change while servers are lent. A tenant that holds none is not
/// in it, so it is as large as the pool at most.
pub struct Holders {
    share: Share,
    held: HashMap<Tenant, usize>,
    reserved: Reserved,
    /// So many are to be kept for tenants that hold less than is reserved for them.
    short: usize,
    /// The two tenants that had or wanted a server last, and when.
    recent: [Option<(Tenant, Instant)>; 2],
}

impl Holders {
    /// Nobody holds anything.
    pub fn new(share: Share) -> Self {
        let (held, reserved) = (HashMap::new(), Reserved::new());
        Self { share, held, reserved, short: 0, recent: [None, None] }
    }

    /// Each may hold so many from now on; who holds more keeps it.
    pub fn set_share(&mut self, share: Share) {
        self.share = share;
    }

    /// So many are kept for single tenants from now on.
    pub fn set_reserved(&mut self, reserved: Reserved) {
        let short = |(tenant, most): (&Tenant, &usize)| most.saturating_sub(self.held(tenant));
        self.short = reserved.iter().map(short).sum();
        self.reserved = reserved;
    }

    /// Whether all that are `free` are reserved for somebody.
    pub fn is_tight(&self, free: usize) -> bool {
        free <= self.short && self.short > 0
    }

    /// The tenants that hold less than is reserved for them.
    pub fn short(&self) -> impl Iterator<Item = &Tenant> {
        self.reserved.iter().filter(|(tenant, most)| self.held(tenant) < **most).map(|(tenant, _)| tenant)
    }

    /// How many a tenant holds.
    pub fn held(&self, tenant: &Tenant) -> usize {
        self.held.get(tenant).copied().unwrap_or_default()
    }

    /// Whether one more may be had, where so many are `free`.
    pub fn may_have_one(&self, claim: &Claim, free: usize) -> bool {
        self.hindrance(claim, free).is_none()
    }

    /// What keeps somebody from one more, if something does.
    pub fn hindrance(&self, claim: &Claim, free: usize) -> Option<Hindrance> {
        if let Some(full) = self.full(claim) {
            return Some(claim.full(full));
        }
        if let Some(user) = claim.user().filter(|user| !user.has_room_for_a_server()) {
            return user.limit(Kind::Servers).map(|limit| Hindrance::User(user.holder().clone(), limit));
        }
        (self.is_tight(free) && !self.is_short(claim.tenant())).then_some(Hindrance::Reserved)
    }

    fn is_short(&self, tenant: &Tenant) -> bool {
        self.reserved.get(tenant).is_some_and(|most| self.held(tenant) < *most)
    }

    /// How many a tenant may have, where it has them.
    fn full(&self, claim: &Claim) -> Option<usize> {
        let (own, share) = (claim.most(), self.share.places());
        let places = own.or(share)?;
        if self.held.get(claim.tenant()).is_none_or(|held| *held < places) {
            return None;
        }
        let alone = match self.share {
            Share::WithOthers(_, window) if own.is_none() => !self.others_are_about(claim.tenant(), window),
            _ => false,
        };
        (!alone).then_some(places)
    }

    fn others_are_about(&self, tenant: &Tenant, window: Duration) -> bool {
        // It holds something itself.
        self.held.len() > 1
            || self.recent.iter().flatten().any(|(who, when)| who != tenant && when.elapsed() < window)
    }

    /// Somebody wants one.
    pub fn note(&mut self, claim: &Claim, now: Instant) {
        if claim.is_proxys() {
            return;
        }
        let tenant = claim.tenant();
        let [newest, before] = &mut self.recent;
        match newest {
            Some((who, when)) if who == tenant => return *when = now,
            _ => std::mem::swap(newest, before),
        }
        match newest {
            Some((who, when)) if who == tenant => *when = now,
            other => *other = Some((tenant.clone(), now)),
        }
    }

    /// Somebody gets one.
    pub fn add(&mut self, claim: &Claim, now: Instant) {
        self.note(claim, now);
        if claim.is_proxys() {
            return;
        }
        let tenant = claim.tenant();
        if !self.reserved.is_empty() {
            self.short -= usize::from(self.is_short(tenant));
        }
        match self.held.get_mut(tenant) {
            Some(held) => *held += 1,
            None => _ = self.held.insert(tenant.clone(), 1),
        }
        if let Some(user) = claim.user() {
            user.take_server();
        }
    }

    /// Somebody has one less.
    pub fn take_off(&mut self, claim: &Claim, now: Instant) {
        self.note(claim, now);
        let tenant = claim.tenant();
        match self.held.get_mut(tenant) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) => _ = self.held.remove(tenant),
            None => return,
        }
        if !self.reserved.is_empty() {
            self.short += usize::from(self.is_short(tenant));
        }
        if let Some(user) = claim.user() {
            user.give_back_server();
        }
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
