//! A server whose initial parameters differ from those that the client was sent, after `ALTER DATABASE .. SET timezone`
//! for example.

use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use crate::pool::birth::tells;
use crate::pool::servers::Lease;
use crate::pool::settings::SEARCH_PATH;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Sends the client the new values of parameters that it has not set itself: PostgreSQL reports them to a new
    /// session only. Parameters that the client has set have the client's values on this server, too.
    pub(super) fn tell_birth(&mut self, lease: &Lease) {
        self.reported.note_birth(lease.birth);
        let own = self.settings.current();
        // Settings of the server's last client are reset, and PostgreSQL reports that itself.
        let stays = |name: &str| {
            let key = name.to_ascii_lowercase();
            !own.has(&key) && !lease.settings.has(&key) && key != SEARCH_PATH
        };
        let news: Vec<_> = (lease.parameters.iter())
            .filter(|(name, _)| tells(name) && std::str::from_utf8(name).is_ok_and(stays))
            .filter(|(name, value)| self.reported.differs(name, value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for (name, value) in news {
            self.reported.report(&name, &value, &mut self.outbuf);
        }
    }
}
