//! The threads that serve clients, and a client's whole life on one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};

use super::{ServeError, room_for_clients};
use crate::admin::console::Console;
use crate::auth::accept::{Opening, open};
use crate::auth::error::OpenError;
use crate::auth::proxied;
use crate::auth::refusals::paced;
use crate::auth::unproven::{Ticket, Unproven};
use crate::config::PeerAddress;
use crate::descriptors::Room;
use crate::exit::LAST_WORDS;
use crate::listener::{Accepting, ClientListener};
use crate::net::socket::{ClientSocket, DetachedSocket, Peer};
use crate::session::{Session, start};
use crate::shared::Shared;
use crate::shared::snapshot::Snapshot;
use crate::stream::ClientStream;
use crate::wire::refusal::Refusal;
use crate::wire::startup::CancelRequest;

/// How long logins may still take that were proven when the proxy was told to stop.
const LAST_LOGINS: Duration = Duration::from_secs(1);

/// Consoles that may be open at once.
const CONSOLES: usize = 128;

/// Clients that may wait for one worker to take them in.
const ARRIVALS: usize = 1024;

/// A client on its way to its worker.
type Arrival = (DetachedSocket, Peer, Ticket, Count);

/// The threads that serve clients.
pub(super) struct Workers {
    queues: Vec<mpsc::Sender<Arrival>>,
    threads: Vec<thread::JoinHandle<()>>,
    clients: Arc<AtomicUsize>,
    entrance: Entrance,
}

impl Workers {
    pub(super) fn start(
        shared: &Arc<Shared>,
        stopping: &watch::Receiver<bool>,
        room: Room,
    ) -> Result<Self, ServeError> {
        let cores = thread::available_parallelism().map_or(1, |n| n.get());
        let threads = shared.current().config.limits.threads;
        let count = if threads == 0 { cores } else { threads };
        let entrance = Entrance {
            unproven: Unproven::new(room.unproven),
            logged_in: Arc::default(),
            consoles: Arc::default(),
            room: Arc::new(Places {
                clients: AtomicUsize::new(room.clients),
                unproven: AtomicUsize::new(room.unproven),
            }),
        };
        let mut workers = Self { queues: Vec::new(), threads: Vec::new(), clients: Arc::default(), entrance };
        for number in 0..count {
            let (queue, arrivals) = mpsc::channel(ARRIVALS);
            let worker = Worker {
                shared: Arc::clone(shared),
                stopping: stopping.clone(),
                clients: Arc::clone(&workers.clients),
                entrance: workers.entrance.clone(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(ServeError::Thread)?;
            let run = move || LocalSet::new().block_on(&runtime, worker.run(arrivals));
            let thread = thread::Builder::new().name(format!("pgstrata-{number}")).spawn(run);
            workers.threads.push(thread.map_err(ServeError::Thread)?);
            workers.queues.push(queue);
        }
        Ok(workers)
    }

    /// Takes clients in from these. Must be called inside a runtime.
    pub(super) fn accept(&self, listeners: Vec<ClientListener>) -> Accepting {
        Accepting::start(listeners, |listener, stopped| {
            let porter = Porter {
                queues: self.queues.clone(),
                clients: Arc::clone(&self.clients),
                entrance: self.entrance.clone(),
            };
            porter.accept(listener, stopped)
        })
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        self.queues.len()
    }

    /// How many connections there are.
    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// How many may come in.
    pub(super) fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    /// Waits until nobody is there but administrators.
    pub(super) async fn emptied(&self) {
        let others = || {
            let consoles = self.entrance.consoles.load(Ordering::Relaxed);
            self.clients.load(Ordering::Relaxed).saturating_sub(consoles)
        };
        while others() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the clients to leave. Whether they have within that time.
    pub(super) async fn left(&self, limit: Duration) -> bool {
        let left = async {
            while self.clients() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(limit, left).await.is_ok()
    }

    /// The same, and then for the threads. Clients that are left are closed when the process ends.
    pub(super) async fn finish(self, limit: Duration) {
        let has_ended = self.left(limit).await;
        let clients = self.clients();
        let Self { queues, threads, .. } = self;
        drop(queues);
        if !has_ended {
            match limit == LAST_WORDS {
                true => tracing::warn!(clients, "shutting down at once: closing remaining clients"),
                false => tracing::warn!(clients, "shutdown_timeout expired: closing remaining clients"),
            }
            return;
        }
        for thread in threads {
            // They end as soon as their last client is gone.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Gives those who come in to the threads, in turn.
struct Porter {
    queues: Vec<mpsc::Sender<Arrival>>,
    clients: Arc<AtomicUsize>,
    entrance: Entrance,
}

impl Porter {
    /// Takes clients in until it is told to stop. Whoever was accepted is with a worker then.
    async fn accept(self, listener: ClientListener, mut stopped: watch::Receiver<bool>) {
        let mut next = 0usize;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => return,
                accepted = self.next(&listener) => accepted,
            };
            next = next.wrapping_add(1);
            self.pass_on(next, accepted).await;
        }
    }

    /// The next client. May be given up at any time.
    async fn next(&self, listener: &ClientListener) -> (ClientSocket, Peer) {
        loop {
            // Those that had to leave hold their descriptors for a moment more.
            while self.clients.load(Ordering::Relaxed) >= self.entrance.room.connections() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    // Out of descriptors, most often: others must leave first.
                    tracing::error!(%error, "failed to accept a client");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Gives a client to a worker, or gives the client up with this future.
    async fn pass_on(&self, number: usize, (stream, peer): (ClientSocket, Peer)) {
        let Some(queue) = self.queues.get(number % self.queues.len().max(1)) else { return };
        let Ok(stream) = stream.detached() else { return };
        let count = Count::one_more(&self.clients);
        let ticket = self.entrance.unproven.enter();
        // A worker that is gone takes nobody in.
        let _ = queue.send((stream, peer, ticket, count)).await;
    }
}

/// One thread's part of the clients.
struct Worker {
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    clients: Arc<AtomicUsize>,
    entrance: Entrance,
}

/// How many may come in. The same for all threads.
#[derive(Clone)]
pub(super) struct Entrance {
    unproven: Arc<Unproven>,
    logged_in: Arc<AtomicUsize>,
    consoles: Arc<AtomicUsize>,
    room: Arc<Places>,
}

/// How many that is now.
struct Places {
    clients: AtomicUsize,
    unproven: AtomicUsize,
}

impl Places {
    fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    fn unproven(&self) -> usize {
        self.unproven.load(Ordering::Relaxed)
    }

    fn consoles(&self) -> usize {
        CONSOLES.min((self.unproven() / 2).max(1))
    }

    /// Those who are logged in, and those who are not that far.
    fn connections(&self) -> usize {
        self.clients().saturating_add(self.unproven())
    }
}

impl Entrance {
    /// A place for one more that has proven who it is; given back when it is dropped. `None`: all are taken.
    fn take_place(&self) -> Option<Count> {
        Self::take(&self.logged_in, self.room.clients())
    }

    /// The same for a console. These are places of their own: whoever looks after the proxy gets in when it is full.
    /// They are few, and taken from those of clients that are not logged in yet.
    fn take_console(&self) -> Option<Count> {
        Self::take(&self.consoles, self.room.consoles())
    }

    fn take(count: &Arc<AtomicUsize>, most: usize) -> Option<Count> {
        let taken = count.fetch_add(1, Ordering::Relaxed);
        let place = Count(Arc::clone(count));
        (taken < most).then_some(place)
    }

    /// Goes by each new configuration, for ever. Who is in stays in.
    pub(super) async fn follow(self, mut news: watch::Receiver<Arc<Snapshot>>) {
        while news.changed().await.is_ok() {
            let room = room_for_clients(&Arc::clone(&news.borrow_and_update()).config);
            self.room.clients.store(room.clients, Ordering::Relaxed);
            self.room.unproven.store(room.unproven, Ordering::Relaxed);
            self.unproven.resize(room.unproven);
        }
    }
}

impl Worker {
    async fn run(self, mut arrivals: mpsc::Receiver<Arrival>) {
        while let Some((stream, peer, ticket, count)) = arrivals.recv().await {
            let (shared, stopping) = (Arc::clone(&self.shared), self.stopping.clone());
            let entrance = self.entrance.clone();
            tokio::task::spawn_local(async move {
                let _count = count;
                match stream.attached() {
                    Ok(stream) => client((stream, peer), shared, stopping, (entrance, ticket)).await,
                    Err(error) => tracing::warn!(%peer, %error, "client lost"),
                }
            });
        }
        // The queue is closed: the proxy stops when the last client has left.
        while self.clients.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// One client that is counted.
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one_more(clients: &Arc<AtomicUsize>) -> Self {
        clients.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(clients))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client's whole life.
async fn client(
    (stream, peer): (ClientSocket, Peer),
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    entrance: (Entrance, Ticket),
) {
    let mut newest = shared.news();
    let snapshot = Arc::clone(&newest.borrow_and_update());
    let limit = snapshot.config.listen.login_timeout;
    let until = Instant::now() + limit;
    let by = (Arc::clone(&shared), snapshot, newest);
    let login = log_in((stream, peer), by, stopping, entrance, until);
    // The opening is large and over soon; the session must not carry its room along.
    let (guest, _place) = match Box::pin(timeout(limit, login)).await {
        Ok(Ok(Some(guest))) => guest,
        Ok(Ok(None) | Err(OpenError::Closed)) => return,
        Ok(Err(_)) => return shared.metrics.client_refused(),
        Err(_) => {
            paced(|left_out| tracing::info!(%peer, left_out, "client closed: login_timeout expired"));
            return shared.metrics.client_refused();
        }
    };
    match guest {
        Guest::Client(session) => {
            shared.metrics.client_in();
            session.run().await;
            shared.metrics.client_out();
        }
        Guest::Administrator(console) => Box::pin(console.run()).await,
    }
}

/// Who is logged in.
enum Guest {
    Client(Box<Session<ClientStream>>),
    Administrator(Box<Console<ClientSocket>>),
}

/// Somebody, and the place that is taken.
type LoggedIn = (Guest, Count);

/// There are too many clients already: said where a client hears it, behind TLS and its proof.
fn full(most: usize) -> Refusal {
    let message = format!("sorry, too many clients already ({most} of listen.max_clients)");
    Refusal::new("53300", message)
}

/// From the first byte to a session; `None` if there is none to be had: a cancel request, or the proxy stops.
///
/// A client that has not proven who it is holds up no exit: it may be silent for ever. One that has is let in or
/// refused within [`LAST_LOGINS`].
async fn log_in(
    (mut stream, peer): (ClientSocket, Peer),
    (shared, snapshot, newest): (Arc<Shared>, Arc<Snapshot>, watch::Receiver<Arc<Snapshot>>),
    stopping: watch::Receiver<bool>,
    (entrance, ticket): (Entrance, Ticket),
    until: Instant,
) -> Result<Option<LoggedIn>, OpenError> {
    let _arriving = shared.clients.arrive();
    let mut stopped = stopping.clone();
    let local = stream.local_addr();
    let opening = async {
        let peer = match peer {
            Peer::Tcp(from) => {
                let balancers = &snapshot.config.listen.proxy_protocol;
                Peer::Tcp(proxied::origin(&mut stream, from, balancers).await?)
            }
            unix @ Peer::Unix(_) => unix,
        };
        open(stream, peer, &snapshot.accept).await
    };
    let opening = tokio::select! {
        opening = opening => opening?,
        () = ticket.called() => {
            paced(|left_out| {
                tracing::warn!(%peer, left_out, "client closed: listen.max_unauthenticated reached");
            });
            return Ok(None);
        }
        _ = stopped.wait_for(|stop| *stop) => return Ok(None),
    };
    match opening {
        Opening::Session(mut login) => {
            drop(ticket);
            login.local = local;
            let Some(place) = entrance.take_place() else {
                return Err(login.refuse(full(entrance.room.clients())).await);
            };
            let too_late = async {
                let _ = stopped.wait_for(|stop| *stop).await;
                tokio::time::sleep(LAST_LOGINS).await;
            };
            tokio::select! {
                session = start::start(*login, shared, (snapshot, newest), stopping, until) => session.map(|session| Some((Guest::Client(Box::new(session)), place))),
                () = too_late => Ok(None),
            }
        }
        Opening::Console(mut login) => {
            drop(ticket);
            login.local = local;
            let Some(place) = entrance.take_console() else {
                let message = format!("sorry, too many consoles already ({})", entrance.room.consoles());
                return Err(login.refuse(Refusal::new("53300", message)).await);
            };
            let console = Console::start(*login, shared, stopping).await?;
            Ok(Some((Guest::Administrator(Box::new(console)), place)))
        }
        Opening::Cancel { request, stream } => {
            cancel(&shared, &snapshot.config.listen.peers, &request).await;
            drop(stream);
            Ok(None)
        }
    }
}

/// Cancels what the client with that key runs, which may be another process's or proxy's. A wrong key does nothing, and
/// says nothing.
async fn cancel(shared: &Shared, peers: &[PeerAddress], request: &CancelRequest) {
    if let Some(slot) = shared.cancels.find(request.pid, &request.key) {
        shared.metrics.cancelled();
        return slot.cancel().await;
    }
    let earlier = shared.handover.predecessors.cancel(request.pid, &request.key);
    // From one proxy to the next, a request would go round in a circle.
    let peers = if request.passed_on { &[] } else { peers };
    tokio::join!(earlier, shared.peers.cancel(peers, request, &shared.metrics));
}
