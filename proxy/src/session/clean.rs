//! Ends everything that is open on a server whose client is gone, so that it can be lent again.

use std::io;

use bytes::Buf;
use tokio::io::AsyncReadExt;

use super::Status;
use super::expect::{Effect, Expect};
use super::link::Link;
use crate::metrics::Metrics;
use crate::pool::restore::Dirt;
use crate::pool::settings::Tracked;
use crate::simulation::{Fault, fault};
use crate::wire::{frame, message};

impl Link {
    /// Ends everything that is open on the server: a COPY, a pipeline, a transaction, a session.
    pub(super) async fn clean(&mut self, status: Status, session: bool, metrics: &Metrics) -> io::Result<()> {
        // From here on, the effects of these statements are unknown.
        let leaves = |expect: &Expect| match expect {
            Expect::Parse { named, .. } => *named,
            Expect::Execute { effect, .. } => effect.as_ref().is_some_and(Effect::outlives_transaction),
            Expect::Query(reply) => reply.effects.iter().any(|(_, effect)| effect.outlives_transaction()),
            _ => false,
        };
        if self.lease.in_doubt || self.expects.iter().any(leaves) {
            return Err(io::ErrorKind::Other.into());
        }
        if self.copy_in && fault(Fault::CopyLeftOpen) {
            return Ok(());
        }
        if self.copy_in {
            message::copy_fail(&mut self.lease.outbuf, b"the client is gone");
        }
        if self.request.sent && !self.request.awaiting {
            // PostgreSQL would commit the pipeline at its `Sync`, although its client is gone: it must fail before.
            message::fail(&mut self.lease.outbuf);
            message::sync(&mut self.lease.outbuf);
            self.expects.push_back(Expect::Sync);
        }
        let mut status = status.byte();
        let due = self.expects.iter().filter(|e| e.ends_ready()).count();
        if due > 0 {
            metrics.overhead_round_trip();
            let ours = |expect: &Expect| {
                matches!(expect, Expect::OwnQuery | Expect::SessionRole(_) | Expect::Restored)
            };
            let ours = self.expects.iter().any(ours);
            status = self.drain(due, ours).await?;
            // Whether a transaction that ended just now was committed is unknown, too.
            if status == b'I' && self.settings.is_pending() {
                return Err(io::ErrorKind::Other.into());
            }
        }
        if status != b'I' {
            metrics.overhead_round_trip();
            self.lease.query(&[b"ROLLBACK"]);
            status = self.drain(1, true).await?;
            self.settings.roll_back();
        }
        if status != b'I' {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if session {
            metrics.overhead_round_trip();
            // Not under the client's settings.
            self.lease.restore(Dirt::Settings).await?;
            self.settings = Tracked::default();
            self.lease.query(&[b"DISCARD ALL"]);
            self.drain(1, true).await?;
            self.lease.forget_prepared();
        }
        Ok(())
    }

    /// Reads and discards answers until `due` `ReadyForQuery` have arrived; returns the status of the last.
    ///
    /// `ours`: the tracked state depends on some of the answers, so none may be an error.
    async fn drain(&mut self, due: usize, ours: bool) -> io::Result<u8> {
        let (mut left, mut status) = (due, b'I');
        loop {
            self.lease.send().await?;
            while let Some((tag, last)) = self.drop_message()? {
                match tag {
                    b'Z' => {
                        status = last;
                        left -= 1;
                    }
                    b'E' if ours => return Err(io::ErrorKind::InvalidData.into()),
                    // PostgreSQL has read the `Sync` as part of the COPY.
                    b'G' => {
                        message::copy_fail(&mut self.lease.outbuf, b"the client is gone");
                        if self.expects.iter().any(|expect| matches!(expect, Expect::Execute { .. })) {
                            message::sync(&mut self.lease.outbuf);
                        }
                    }
                    _ => {}
                }
                if left == 0 {
                    return Ok(status);
                }
            }
            if !self.lease.outbuf.is_empty() {
                continue;
            }
            let server = &mut *self.lease;
            if server.stream.read_buf(&mut server.inbuf).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Removes one message from the read buffer; returns its type and its last byte.
    fn drop_message(&mut self) -> io::Result<Option<(u8, u8)>> {
        let server = &mut *self.lease;
        let rest = self.pass_left.min(server.inbuf.len());
        server.inbuf.advance(rest);
        self.pass_left -= rest;
        if self.pass_left > 0 {
            return Ok(None);
        }
        let header = frame::header(&server.inbuf).map_err(|_| io::ErrorKind::InvalidData)?;
        let Some(header) = header else { return Ok(None) };
        if matches!(header.tag, b'D' | b'd') && server.inbuf.len() < header.total {
            self.pass_left = header.total;
            return self.drop_message();
        }
        if server.inbuf.len() < header.total {
            return Ok(None);
        }
        let message = server.inbuf.split_to(header.total);
        if header.tag == b'S' {
            server.note_parameter(message.get(frame::HEADER..).unwrap_or_default());
        }
        Ok(Some((header.tag, message.last().copied().unwrap_or_default())))
    }
}
