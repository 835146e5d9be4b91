//! A network that is further away than it is: each direction takes half of a round trip longer.
//!
//! By threads that sleep, since an asynchronous timer counts in whole milliseconds.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces on their way in one direction, at most.
const ON_THE_WAY: usize = 1024;
const BUFFER: usize = 16 * 1024;

/// The network, with PostgreSQL behind it. It takes no new connections once this is dropped.
#[derive(Debug)]
pub struct Delay {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    half_micros: AtomicU64,
    trips: AtomicU64,
    ended: AtomicBool,
}

/// A piece, and when it arrives.
type Piece = (Instant, Vec<u8>);

impl Delay {
    /// In front of `server`, a port on 127.0.0.1; for now without a delay.
    pub fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            half_micros: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let all = shared.clone();
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if all.ended.load(Ordering::Relaxed) {
                    return;
                }
                // A PostgreSQL that is down shows as a connection that ends at once.
                let _ = connect(client, server, &all);
            }
        });
        Ok(Self { port, shared })
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How much longer a round trip takes from now on.
    pub fn set(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros() / 2).unwrap_or(u64::MAX);
        self.shared.half_micros.store(micros, Ordering::Relaxed);
    }

    /// How often something was sent to PostgreSQL after PostgreSQL had answered.
    pub fn trips(&self) -> u64 {
        self.shared.trips.load(Ordering::Relaxed)
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn connect(client: TcpStream, server: u16, shared: &Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let answered = Arc::new(AtomicBool::new(true));
    for (from, to, is_request) in [(client.try_clone()?, server.try_clone()?, true), (server, client, false)]
    {
        let (send, receive) = sync_channel(ON_THE_WAY);
        let (shared, answered) = (shared.clone(), answered.clone());
        thread::spawn(move || take(from, &send, &shared, &answered, is_request));
        thread::spawn(move || deliver(to, &receive));
    }
    Ok(())
}

fn take(
    mut from: TcpStream,
    send: &SyncSender<Piece>,
    shared: &Shared,
    answered: &AtomicBool,
    is_request: bool,
) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let was_answered = answered.swap(!is_request, Ordering::Relaxed);
        if is_request && was_answered {
            shared.trips.fetch_add(1, Ordering::Relaxed);
        }
        let due = Instant::now() + Duration::from_micros(shared.half_micros.load(Ordering::Relaxed));
        let piece = buffer.iter().take(count).copied().collect();
        if send.send((due, piece)).is_err() {
            return;
        }
    }
}

fn deliver(mut to: TcpStream, receive: &Receiver<Piece>) {
    while let Ok((due, piece)) = receive.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
