//! Waits for the room of a long message ([`crate::shared::incoming`]).

use std::sync::Arc;
use std::time::Duration;

use humantime_serde::re::humantime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use super::request::Step;
use super::{End, Session};
use crate::shared::incoming::Key;
use crate::wire::frame::Header;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    fn room_key(&self) -> Key {
        (Arc::from(&*self.identity.database.name), self.tenancy().turn.clone())
    }

    /// The message at the head of the buffer is not complete. A long one is read on once there is room for it, which
    /// is asked for when a good part of it has arrived.
    pub(super) fn read_on(&mut self, header: Header) -> Result<Step, End> {
        if self.framing.needs_room(header) {
            let incoming = &self.shared.incoming;
            let Some(room) = incoming.try_take(self.link.is_some(), &self.room_key(), header.total) else {
                return Ok(Step::NeedRoom(header.total));
            };
            self.framing.grant(room, header.total);
        }
        self.no_message()
    }

    /// Waits for room, no longer than the message may take. A cancel request finds nothing that runs.
    pub(super) async fn await_room(&mut self, bytes: usize) -> Result<(), End> {
        let since = self.framing.since_now();
        let (shared, key, has_server) = (Arc::clone(&self.shared), self.room_key(), self.link.is_some());
        let limit = self.config.limits.message_timeout;
        let room = loop {
            let taking = shared.incoming.take(has_server, &key, bytes);
            let taking = async {
                match limit {
                    Duration::ZERO => taking.await,
                    limit => timeout_at(since + limit, taking).await.ok().flatten(),
                }
            };
            if let Some(room) = self.hold(taking).await? {
                break room;
            }
        };
        if let Some(room) = room {
            self.framing.grant(room, bytes);
            return Ok(());
        }
        Err(End::fatal(
            "53200",
            format!(
                "no room for a message of {bytes} bytes within limits.message_timeout ({}): of \
                 limits.max_buffered_bytes ({}), one tenant may use an eighth for clients with a server, an eighth for others",
                humantime::format_duration(limit),
                self.config.limits.max_buffered_bytes
            ),
        ))
    }
}
