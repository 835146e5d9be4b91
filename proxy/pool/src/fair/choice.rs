//! Which of the items that are idle somebody gets.

use std::time::Duration;

use tokio::time::Instant;

use super::super::turns::likes;
use super::{Item, State};

/// An item that was used this recently is as good as one that was used just now: its tenants may choose.
pub const FRESH: Duration = Duration::from_millis(1);

/// So many of those that are idle are looked at for one that a tenant likes.
const LOOKED_AT: usize = 8;

impl<T: Item> State<T> {
    /// Which idle item is the best on that thread for a tenant with this mark, or for none: the one that was used last;
    /// among those that have been used just now, the one that it likes best.
    pub(super) fn nearest(&self, here: usize, mark: u64, now: Instant) -> Option<usize> {
        let last = self.idle.len().checked_sub(1)?;
        let own = self.idle.iter().rposition(|idle| idle.home.thread == here);
        let Some(own) = own.filter(|own| mark != 0 && *own > 0) else { return own.or(Some(last)) };
        let fresh = self.idle.iter().enumerate().take(own + 1).rev().take(LOOKED_AT);
        let fresh = fresh.take_while(|(_, idle)| now.saturating_duration_since(idle.since) <= FRESH);
        let liked = fresh
            .filter(|(_, idle)| idle.home.thread == here)
            .filter_map(|(at, idle)| Some((likes(mark, idle.item.number()?), at)))
            .max();
        Some(liked.map_or(own, |(_, at)| at))
    }
}
