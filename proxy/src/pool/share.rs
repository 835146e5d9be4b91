//! How many of a pool's servers one tenant may have at once.
//!
//! A tenant holds servers for as long as it likes: idle in a transaction, in a long statement, in the middle of a
//! message. So there is a bound on what it can hold, and others find the rest.

use std::time::{Duration, Instant};

use foldhash::{HashMap, HashMapExt};

use super::turns::Tenant;

/// What a tenant may have of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    All,
    /// So many, whoever else is about.
    Fixed(usize),
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
            Share::Fixed(places) | Share::WithOthers(places, _) => Some(places),
        }
    }
}

/// The name of the proxy itself, among tenants: no tenant can be called that. It has no share, and is not about.
const PROXY: &str = "";

/// The proxy itself, as one that asks.
pub fn proxy() -> Tenant {
    Some(PROXY.into())
}

fn is_proxy(tenant: &Tenant) -> bool {
    tenant.as_deref() == Some(PROXY)
}

/// Who holds how many, whatever the share is: that may change while servers are lent. A tenant that holds none is not
/// in it, so it is as large as the pool at most.
pub struct Holders {
    share: Share,
    held: HashMap<Tenant, usize>,
    /// The two tenants that had or wanted a server last, and when.
    recent: [Option<(Tenant, Instant)>; 2],
}

impl Holders {
    /// Nobody holds anything.
    pub fn new(share: Share) -> Self {
        Self { share, held: HashMap::new(), recent: [None, None] }
    }

    /// How many each may hold; `None`: all.
    pub fn share(&self) -> Option<usize> {
        self.share.places()
    }

    /// Each may hold so many from now on; who holds more keeps it.
    pub fn set_share(&mut self, share: Share) {
        self.share = share;
    }

    /// Whether `tenant` may have one more.
    pub fn may_have_one(&self, tenant: &Tenant) -> bool {
        let Some(places) = self.share.places() else { return true };
        if self.held.get(tenant).is_none_or(|held| *held < places) {
            return true;
        }
        match self.share {
            Share::WithOthers(_, window) => !self.others_are_about(tenant, window),
            _ => false,
        }
    }

    fn others_are_about(&self, tenant: &Tenant, window: Duration) -> bool {
        // It holds something itself.
        self.held.len() > 1
            || self.recent.iter().flatten().any(|(who, when)| who != tenant && when.elapsed() < window)
    }

    /// `tenant` wants one.
    pub fn note(&mut self, tenant: &Tenant, now: Instant) {
        if is_proxy(tenant) {
            return;
        }
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

    /// `tenant` gets one.
    pub fn add(&mut self, tenant: &Tenant, now: Instant) {
        self.note(tenant, now);
        if is_proxy(tenant) {
            return;
        }
        match self.held.get_mut(tenant) {
            Some(held) => *held += 1,
            None => _ = self.held.insert(tenant.clone(), 1),
        }
    }

    /// `tenant` has one less.
    pub fn take_off(&mut self, tenant: &Tenant, now: Instant) {
        self.note(tenant, now);
        match self.held.get_mut(tenant) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) => _ = self.held.remove(tenant),
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
