//! A relay between proxy and PostgreSQL: counts round trips, delays, breaks.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// It ends, and all connections through it, when it is dropped.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    round_trips: AtomicU64,
    sent: AtomicU64,
    connections: AtomicU64,
    /// Round trips that have no answer yet.
    pending: AtomicU64,
    delay_micros: AtomicU64,
    /// Each change ends the connections of before.
    generation: watch::Sender<u64>,
    stalled: watch::Sender<bool>,
    /// All stalls behind an answer with these bytes.
    last: OnceLock<&'static [u8]>,
}

impl Relay {
    /// Relays to PostgreSQL on `server`, from a port of its own.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            round_trips: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            delay_micros: AtomicU64::new(0),
            generation: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
            last: OnceLock::new(),
        });
        let accept = tokio::spawn(accept(listener, server, shared.clone()));
        Self { port, shared, accept }
    }

    /// Where the proxy connects.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often, over all connections, something was sent to PostgreSQL after
    /// PostgreSQL had answered: what a caller had to wait for.
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips.load(Ordering::SeqCst)
    }

    /// How many bytes PostgreSQL was sent, over all connections.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Waits until nothing has been asked for a while, and all that was asked is answered:
    /// what the proxy does behind its clients' backs is done, and counted.
    pub async fn settle(&self) {
        let mut seen = None;
        loop {
            let now = (self.round_trips(), self.shared.pending.load(Ordering::SeqCst));
            if now.1 == 0 && seen == Some(now) {
                return;
            }
            seen = Some(now);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Connections that were made so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// From now on every answer takes so much longer.
    pub fn delay(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap();
        self.shared.delay_micros.store(micros, Ordering::SeqCst);
    }

    /// Ends all connections, without a word to either side. What is sent behind this call is lost.
    pub fn drop_connections(&self) {
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Lets nothing through, or everything again.
    pub fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }

    /// Lets nothing through behind the next answer of PostgreSQL's with these bytes in it.
    pub fn stall_behind(&self, answer: &'static [u8]) {
        self.shared.last.set(answer).expect("it is said once");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accept.abort();
        self.drop_connections();
    }
}

async fn accept(listener: TcpListener, server: u16, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // A PostgreSQL that is down shows as a connection that ends at once.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
                return;
            };
            shared.connections.fetch_add(1, Ordering::SeqCst);
            relay(client, server, &shared).await;
        });
    }
}

async fn relay(client: TcpStream, server: TcpStream, shared: &Shared) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    // The server's turn: the client's next bytes begin a round trip.
    let answered = AtomicBool::new(true);
    let mut generation = shared.generation.subscribe();
    generation.mark_unchanged();
    tokio::select! {
        // Nothing that is sent behind the end gets through.
        biased;
        _ = generation.changed() => {}
        () = requests(client_in, server_out, shared, &answered) => {}
        () = answers(server_in, client_out, shared, &answered) => {}
    }
    if !answered.load(Ordering::SeqCst) {
        shared.pending.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the proxy's listener says at its login. What it tells other proxies comes at any time, and nobody waits for it.
const LISTENER: &[u8] = b"pgstrata listener";

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, answered: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    let mut listens = false;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        wait_out_stall(shared).await;
        listens |= count < 1024 && buffer[..count].windows(LISTENER.len()).any(|part| part == LISTENER);
        if !listens {
            shared.sent.fetch_add(count as u64, Ordering::SeqCst);
        }
        if !listens && answered.swap(false, Ordering::SeqCst) {
            shared.round_trips.fetch_add(1, Ordering::SeqCst);
            shared.pending.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, answered: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !answered.swap(true, Ordering::SeqCst) {
            shared.pending.fetch_sub(1, Ordering::SeqCst);
        }
        wait_out_stall(shared).await;
        let delay = Duration::from_micros(shared.delay_micros.load(Ordering::SeqCst));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        let is_last = |last: &&[u8]| buffer[..count].windows(last.len()).any(|part| part == *last);
        if shared.last.get().is_some_and(is_last) {
            shared.stalled.send_replace(true);
        }
    }
}

async fn wait_out_stall(shared: &Shared) {
    let _ = shared.stalled.subscribe().wait_for(|stalled| !stalled).await;
}
