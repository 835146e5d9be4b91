//! Reads and writes bytes. Reading stops while earlier data is not written yet, so a slow peer never makes the proxy
//! hold more than a few buffers.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::request::HIGH_WATER;
use super::{End, Session, Status, spare};
use crate::clients::counts::Counts;

/// The maximum size of one read from a client. On the stack, so that an idle client has no buffer.
const CLIENT_READ: usize = 16 << 10;

/// The size of a server's read buffer.
const SERVER_READ: usize = 32 << 10;

/// The event for which the session continues.
enum Event {
    /// Bytes were read or written.
    Progress,
    /// PostgreSQL closed the connection, or it broke.
    ServerGone,
    /// The client closed the connection, or it broke.
    ClientGone,
    /// The proxy is shutting down.
    Shutdown,
    /// A new process of the proxy has taken over.
    Replaced,
    /// There is a newer configuration.
    News,
    /// The session cannot continue.
    Ended(End),
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Waits until bytes have come or gone in any of the four directions.
    pub(super) async fn exchange(&mut self) -> Result<(), End> {
        match poll_fn(|cx| self.poll_exchange(cx)).await {
            Event::Progress | Event::News => Ok(()),
            Event::ServerGone => self.server_gone(),
            Event::ClientGone => Err(End::ClientGone),
            Event::Ended(end) => Err(end),
            Event::Shutdown => Err(shutting_down()),
            Event::Replaced => Err(replaced()),
        }
    }

    fn is_between_transactions(&self) -> bool {
        self.status == Status::Idle
            && !self.has_sent()
            && self.outbuf.is_empty()
            && self.waits_for_draw().is_none()
    }

    pub(super) fn server_is_full(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.lease.outbuf.len() > HIGH_WATER)
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let was_full = self.outbuf.len() > HIGH_WATER || self.server_is_full();
        let mut moved = false;
        match self.poll_channels(cx) {
            Poll::Ready(Ok(())) => moved = true,
            Poll::Ready(Err(end)) => return Poll::Ready(Event::Ended(end)),
            Poll::Pending => {}
        }
        match self.poll_server(cx) {
            Poll::Ready(Ok(())) => moved = true,
            Poll::Ready(Err(_)) => return Poll::Ready(Event::ServerGone),
            Poll::Pending => {}
        }
        if let Poll::Ready(Err(_)) = self.poll_tell(cx) {
            return Poll::Ready(Event::ClientGone);
        }
        self.leave_room();
        // Answers of PostgreSQL go first: the client is read when there is nothing else to do.
        if !moved && self.framing.wants_more() {
            match self.poll_client(cx) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Event::ClientGone),
                Poll::Pending => {}
            }
        }
        if self.is_awaiting() && matches!(self.framing.end(), Some(End::ClientGone)) {
            return Poll::Ready(Event::ClientGone);
        }
        if was_full && !(self.outbuf.len() > HIGH_WATER || self.server_is_full()) {
            // A slow peer has read data; the wait for it may have been long.
            self.clock.see(Instant::now());
            moved = true;
        }
        if moved {
            return Poll::Ready(Event::Progress);
        }
        if self.entry.leaves() && self.is_between_transactions() {
            return Poll::Ready(Event::Replaced);
        }
        if self.is_between_transactions() && self.is_stopping() {
            return Poll::Ready(Event::Shutdown);
        }
        self.news.poll(&self.shutdown, cx).map(|()| Event::News)
    }

    /// Whether the proxy is shutting down. Called for each event, so it takes no lock before a shutdown.
    pub(super) fn is_stopping(&self) -> bool {
        self.shutdown.has_changed().map_or(true, |changed| changed && *self.shutdown.borrow())
    }

    /// An idle client holds no buffers.
    fn leave_room(&mut self) {
        if self.link.is_some() {
            return;
        }
        self.framing.free_memory();
        if self.outbuf.is_empty() {
            spare::leave(std::mem::take(&mut self.outbuf));
        }
    }

    /// While a request waits: writes outstanding output to the client, and reads from it. Ready when the client has
    /// disconnected.
    pub(super) fn poll_waiting_client(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(Err(_)) = self.poll_tell(cx) {
            return Poll::Ready(());
        }
        while self.framing.has_space() {
            match self.poll_client(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.framing.has_ended() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Writes outstanding output to the client.
    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let due = self.outbuf.len();
        let written = poll_write_all(&mut self.stream, &mut self.outbuf, cx);
        if due > 0 {
            self.entry.counts.add(Counts::SENT, (due - self.outbuf.len()) as u64);
        }
        written
    }

    /// Reads once from the client.
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [MaybeUninit::<u8>::uninit(); CLIENT_READ];
        let mut room = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        self.entry.counts.add(Counts::RECEIVED, room.filled().len() as u64);
        self.framing.receive(room.filled());
        self.clock.start(Instant::now());
        Poll::Ready(Ok(()))
    }

    /// Writes outstanding output to the server, and reads once from it if the client can take more.
    fn poll_server(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(link) = &mut self.link else { return Poll::Pending };
        let server = &mut *link.lease;
        if !server.outbuf.is_empty() && link.request.heard {
            link.request.heard = false;
            link.request.round_trips += 1;
            let now = self.clock.stop();
            link.request.begun.get_or_insert(now);
            link.request.ran_so_far.write(now);
            link.in_use_since.get_or_insert(now);
        }
        let due = server.outbuf.len();
        let written = poll_write_all(&mut server.stream, &mut server.outbuf, cx);
        link.request.written += (due - server.outbuf.len()) as u64;
        if let Poll::Ready(Err(error)) = written {
            // PostgreSQL may have sent the reason before it closed the connection: read that first.
            if server.inbuf.is_empty() && self.outbuf.len() > HIGH_WATER {
                return Poll::Ready(Err(error));
            }
            server.outbuf.clear();
            server.in_doubt = true;
        }
        if self.outbuf.len() > HIGH_WATER {
            return Poll::Pending;
        }
        server.inbuf.reserve(SERVER_READ / 4);
        let read = ready!(poll_read_buf(Pin::new(&mut server.stream), cx, &mut server.inbuf));
        let now = Instant::now();
        self.clock.see(now);
        let read = read?;
        link.request.heard = true;
        link.request.heard_at = Some(now);
        link.request.received += read as u64;
        if read == 0 { Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())) } else { Poll::Ready(Ok(())) }
    }
}

/// The end of a session without an open transaction at a shutdown.
pub(super) fn shutting_down() -> End {
    End::fatal("57P01", "terminating connection: the proxy is shutting down")
}

/// The end of a session without an open transaction after a hand-over.
fn replaced() -> End {
    End::fatal("57P01", "terminating connection: the proxy was restarted")
}

/// The end of a session that an administrator closes. The message is PostgreSQL's.
pub(super) fn ended() -> End {
    End::fatal("57P01", "terminating connection due to administrator command")
}

/// Writes as much as the stream takes.
fn poll_write_all<S>(stream: &mut S, buf: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<()>>
where
    S: AsyncWrite + Unpin,
{
    while !buf.is_empty() {
        let written = ready!(Pin::new(&mut *stream).poll_write(cx, buf))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        buf.advance(written);
    }
    // TLS may keep the rest of a record until the next flush, if the socket was full.
    Pin::new(stream).poll_flush(cx)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A stream that accepts all data, as TLS does, and whose socket is full at the first flush.
    #[derive(Default)]
    struct Full {
        kept: usize,
        told: bool,
    }

    impl AsyncWrite for Full {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.kept += buf.len();
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if !std::mem::replace(&mut self.told, true) {
                return Poll::Pending;
            }
            self.kept = 0;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_the_stream_keeps_goes_out_although_nothing_else_is_written() {
        let (mut stream, mut buf) = (Full::default(), BytesMut::from("the end of an answer"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(poll_write_all(&mut stream, &mut buf, &mut cx).is_pending() && buf.is_empty());
        assert!(matches!(poll_write_all(&mut stream, &mut buf, &mut cx), Poll::Ready(Ok(()))));
        assert_eq!(stream.kept, 0);
    }
}
