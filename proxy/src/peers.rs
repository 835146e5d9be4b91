//! Cancel requests for clients of other proxies. Behind a load balancer, a client's cancel request is a connection of its
//! own, which may reach any proxy.
//!
//! PgBouncer puts the number of the process into the cancel key (`peer_id`, see
//! <https://www.pgbouncer.org/config.html#section-peers>). Here, a request with an unknown key goes to all peers: they
//! need no numbers, so all proxies of a deployment can have the same file, and a name may stand for all of them.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::auth::refusals::paced;
use crate::config::PeerAddress;
use crate::metrics::Metrics;
use crate::wire::startup::CancelRequest;

/// How long a client that cancels waits for the peers: one of them may be gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// The requests that are passed on at once. Who sends more with wrong keys does not cost the peers more.
const AT_ONCE: usize = 32;
/// The addresses that a request goes to, whatever the names of the peers stand for.
const MAX_ADDRESSES: usize = 64;

/// The other proxies.
#[derive(Debug)]
pub struct Peers {
    places: Semaphore,
}

impl Default for Peers {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE) }
    }
}

impl Peers {
    /// Passes `request` on to all of `peers`. Done when each has dealt with it, or some do not answer in time.
    pub async fn cancel(&self, peers: &[PeerAddress], request: &CancelRequest, metrics: &Metrics) {
        if peers.is_empty() {
            return;
        }
        let Ok(_place) = self.places.try_acquire() else { return metrics.passed_cancel_on(false) };
        let mut packet = BytesMut::new();
        request.put_passed_on(&mut packet);
        let packet = packet.freeze();
        let mut open = JoinSet::new();
        for peer in peers {
            let (peer, packet) = (peer.clone(), packet.clone());
            open.spawn(async move {
                let sent = timeout(PATIENCE, pass_on(&peer, &packet)).await;
                (peer, sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
            });
        }
        while let Some(done) = open.join_next().await {
            // A task that panicked has said so.
            let Ok((peer, sent)) = done else { continue };
            metrics.passed_cancel_on(sent.is_ok());
            if let Err(error) = sent {
                paced(|left_out| {
                    tracing::warn!(%peer, %error, left_out, "failed to pass a cancel request on to a peer");
                });
            }
        }
    }
}

/// Sends the packet to each address of the peer. The error is that of the first that fails, once all are done.
async fn pass_on(peer: &PeerAddress, packet: &Bytes) -> io::Result<()> {
    let addresses: BTreeSet<SocketAddr> =
        lookup_host((&*peer.host, peer.port)).await?.take(MAX_ADDRESSES).collect();
    let mut open = JoinSet::new();
    for address in addresses {
        open.spawn(send(address, packet.clone()));
    }
    let mut all = Ok(());
    while let Some(sent) = open.join_next().await {
        all = all.and(sent.map_err(io::Error::other).flatten());
    }
    all
}

/// The peer closes the connection when it has dealt with the request.
async fn send(address: SocketAddr, packet: Bytes) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&packet).await?;
    let mut rest = [0; 64];
    // However it ends: nothing more is said.
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    Ok(())
}
