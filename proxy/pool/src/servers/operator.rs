//! What is done with a pool's idle servers, and what an administrator does with all of them.

use std::time::Duration;

use super::Servers;

impl Servers {
    /// As whom these servers log in.
    pub fn role(&self) -> String {
        self.target().config.user.clone()
    }

    /// How many have been idle for so long that they are asked whether they live before a client gets them.
    pub fn unchecked(&self) -> usize {
        self.pool.idle_longer_than(self.kind().settings.check_after)
    }

    /// No server is lent until [`Servers::resume`]; those that are idle, and those that come back, are closed.
    pub fn pause(&self) {
        self.pool.pause();
    }

    /// Servers are lent again: who waits gets one.
    pub fn resume(&self) {
        self.pool.resume();
    }

    /// Closes all that are idle.
    pub fn close_idle(&self) {
        self.pool.retain(|_| false);
    }

    /// For how long the server has been idle that nobody has used for longest.
    pub(crate) fn idle_for(&self) -> Option<Duration> {
        let mut longest = None;
        self.pool.retain(|idle| {
            longest = longest.max(Some(idle));
            true
        });
        longest
    }

    /// Closes that one.
    pub(crate) fn close_one_idle(&self) {
        let mut longest = self.idle_for();
        self.pool.retain(|idle| {
            let is_it = longest.is_some_and(|longest| idle >= longest);
            longest = longest.filter(|_| !is_it);
            !is_it
        });
    }
}
