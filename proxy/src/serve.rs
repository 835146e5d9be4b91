//! Listeners, threads, and the way out.
//!
//! Each worker thread runs its own single-threaded runtime, and a client stays on the
//! thread that it was given to. Sessions need nothing of that: they are plain futures.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{interval, timeout};

use crate::admin;
use crate::admin::console::Console;
use crate::admin::listener::HttpThread;
use crate::auth::accept::{Opening, open};
use crate::auth::error::OpenError;
use crate::auth::refusals::paced;
use crate::auth::unproven::{Ticket, Unproven};
use crate::config::Config;
use crate::descriptors::{self, Room};
use crate::exit::{How, LAST_WORDS, Stop, WayOut};
use crate::listener;
use crate::notify;
use crate::pid_file::PidFile;
use crate::session::{Session, start};
use crate::shared::snapshot::Snapshot;
use crate::shared::{DatabaseHandle, SetupError, Shared};
use crate::stream::ClientStream;
use crate::wire::refusal::Refusal;

/// How often the pools are tended.
const TEND: Duration = Duration::from_secs(1);

/// How long logins may still take that were proven when the proxy was told to stop.
const LAST_LOGINS: Duration = Duration::from_secs(1);

/// Consoles that may be open at once.
const CONSOLES: usize = 128;

/// Clients that may wait for one worker to take them in.
const HANDOVER: usize = 1024;

/// Why the proxy could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port is taken, most often.
    #[error("can not listen on {address} ({key}): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The configuration's key.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration can't be put to work.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The number of the process can't be left where it is looked for, or another process has left its own there.
    #[error("process.pid_file: {0}")]
    PidFile(#[source] io::Error),
    /// A thread or its runtime could not be made.
    #[error("can not start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// The same as [`serve`], with a runtime for the caller's thread.
pub fn serve_blocking(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Thread)?;
    runtime.block_on(serve(config, shutdown))
}

/// Serves clients until `shutdown` is done and they have left, or `shutdown_timeout` is over.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let drained = async |_| {
        shutdown.await;
        Stop::Drain
    };
    serve_until(config, drained).await
}

/// The same, until `told` is done, which gets what all sessions share.
pub async fn serve_until(
    config: Config,
    told: impl AsyncFnOnce(Arc<Shared>) -> Stop,
) -> Result<(), ServeError> {
    let failed = |address, key| move |source| ServeError::Listen { address, key, source };
    let (clients, http) = (config.listen.address, config.http.address);
    let clients = listener::bind(clients).map_err(failed(clients, "listen.address"))?;
    let http = match config.http.enabled {
        true => Some(TcpListener::bind(http).await.map_err(failed(http, "http.address"))?),
        false => None,
    };
    let shared = Shared::new(config)?;
    let config = Arc::clone(&shared.current().config);
    let (stop, stopping) = watch::channel(false);
    let router = || admin::router(Arc::clone(&shared), stopping.clone());
    let http = http.map(|http| HttpThread::start(http, router(), &config.http));
    let _http = http.transpose().map_err(ServeError::Thread)?;
    let workers = Workers::start(&shared, &stopping, room_for_clients(&config))?;
    let tending = tokio::spawn(tend(Arc::clone(&shared)));
    let resizing = tokio::spawn(workers.entrance.clone().follow(shared.news()));
    let pid_file = PidFile::write(config.process.pid_file.as_deref()).map_err(ServeError::PidFile)?;
    shared.current().databases.values().for_each(DatabaseHandle::watch);
    tracing::info!(address = %config.listen.address, threads = workers.queues.len(), "ready");
    notify::ready();
    let watchdog = tokio::spawn(notify::watchdog());
    let mut told = pin!(told(Arc::clone(&shared)));
    let mut way = tokio::select! {
        never = accept(clients, &workers) => match never {},
        how = &mut told => WayOut::Signal(how),
        how = shared.exit.asked(None) => WayOut::Asked(how),
    };
    tracing::info!(clients = workers.clients.load(Ordering::Relaxed), "shutting down");
    notify::stopping();
    if way == WayOut::Asked(How::Clients) {
        way = tokio::select! {
            () = workers.emptied() => WayOut::Asked(How::Now),
            how = &mut told => WayOut::Signal(how),
            how = shared.exit.asked(Some(How::Clients)) => WayOut::Asked(how),
        };
    }
    let _ = stop.send(true);
    let limit = way.limit(&shared.current().config);
    tokio::select! {
        () = workers.finish(limit) => {}
        // An administrator waits for clients; a signal waits no longer.
        _ = told, if matches!(way, WayOut::Asked(_)) => {}
    }
    tending.abort();
    resizing.abort();
    watchdog.abort();
    drop(pid_file);
    Ok(())
}

/// How many clients are let in at once. Says so where they are fewer than are configured.
fn room_for_clients(config: &Config) -> Room {
    let (limit, wanted) = (descriptors::limit(), config.listen.max_clients);
    let room = descriptors::room(config, limit);
    if room.clients < wanted {
        tracing::warn!(
            open_files = limit,
            max_clients = wanted,
            clients = room.clients,
            "limit of open files allows fewer clients than listen.max_clients: raise it (ulimit -n, LimitNOFILE)"
        );
    }
    room
}

/// Takes clients in for as long as the listener stands.
async fn accept(listener: TcpListener, workers: &Workers) -> Infallible {
    let mut next = 0usize;
    loop {
        // Those that had to leave hold their descriptors for a moment more.
        while workers.clients.load(Ordering::Relaxed) >= workers.entrance.room.connections() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most often: others must leave first.
                tracing::error!(%error, "failed to accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        next = next.wrapping_add(1);
        workers.hand_over(next, stream, peer).await;
    }
}

/// Looks after the pools and the gauges.
async fn tend(shared: Arc<Shared>) {
    let mut ticks = interval(TEND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for database in shared.current().databases.values() {
            database.servers.tend().await;
            database.tenants.tend().await;
        }
        shared.observe();
        shared.clients.tick();
    }
}

/// A client on its way to its worker.
type Handover = (std::net::TcpStream, SocketAddr, Ticket);

/// The threads that serve clients.
struct Workers {
    queues: Vec<mpsc::Sender<Handover>>,
    threads: Vec<thread::JoinHandle<()>>,
    clients: Arc<AtomicUsize>,
    entrance: Entrance,
}

impl Workers {
    fn start(shared: &Arc<Shared>, stopping: &watch::Receiver<bool>, room: Room) -> Result<Self, ServeError> {
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
            let (queue, arrivals) = mpsc::channel(HANDOVER);
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

    async fn hand_over(&self, number: usize, stream: TcpStream, peer: SocketAddr) {
        let Some(queue) = self.queues.get(number % self.queues.len().max(1)) else { return };
        let Ok(stream) = stream.into_std() else { return };
        self.clients.fetch_add(1, Ordering::Relaxed);
        let ticket = self.entrance.unproven.enter();
        if queue.send((stream, peer, ticket)).await.is_err() {
            self.clients.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Waits until nobody is there but administrators.
    async fn emptied(&self) {
        let others = || {
            let consoles = self.entrance.consoles.load(Ordering::Relaxed);
            self.clients.load(Ordering::Relaxed).saturating_sub(consoles)
        };
        while others() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the clients to leave, but not for ever.
    async fn finish(self, limit: Duration) {
        let Self { queues, threads, clients, .. } = self;
        drop(queues);
        let left = async {
            while clients.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(limit, left).await.is_err() {
            let clients = clients.load(Ordering::Relaxed);
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

/// One thread's part of the clients.
struct Worker {
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    clients: Arc<AtomicUsize>,
    entrance: Entrance,
}

/// How many may come in. The same for all threads.
#[derive(Clone)]
struct Entrance {
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
    async fn follow(self, mut news: watch::Receiver<Arc<Snapshot>>) {
        while news.changed().await.is_ok() {
            let room = room_for_clients(&Arc::clone(&news.borrow_and_update()).config);
            self.room.clients.store(room.clients, Ordering::Relaxed);
            self.room.unproven.store(room.unproven, Ordering::Relaxed);
            self.unproven.resize(room.unproven);
        }
    }
}

impl Worker {
    async fn run(self, mut arrivals: mpsc::Receiver<Handover>) {
        while let Some((stream, peer, ticket)) = arrivals.recv().await {
            let guard = Count(Arc::clone(&self.clients));
            let (shared, stopping) = (Arc::clone(&self.shared), self.stopping.clone());
            let entrance = self.entrance.clone();
            tokio::task::spawn_local(async move {
                let _guard = guard;
                match TcpStream::from_std(stream) {
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

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client's whole life.
async fn client(
    (stream, peer): (TcpStream, SocketAddr),
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
    Client(Box<Session<ClientStream<TcpStream>>>),
    Administrator(Box<Console<TcpStream>>),
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
    (stream, peer): (TcpStream, SocketAddr),
    (shared, snapshot, newest): (Arc<Shared>, Arc<Snapshot>, watch::Receiver<Arc<Snapshot>>),
    stopping: watch::Receiver<bool>,
    (entrance, ticket): (Entrance, Ticket),
    until: Instant,
) -> Result<Option<LoggedIn>, OpenError> {
    let _arriving = shared.clients.arrive();
    let mut stopped = stopping.clone();
    let local = stream.local_addr().ok();
    let opening = tokio::select! {
        opening = open(stream, peer, &snapshot.accept) => opening?,
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
        Opening::Cancel { pid, key, stream } => {
            cancel(&shared, pid, &key).await;
            drop(stream);
            Ok(None)
        }
    }
}

/// Cancels what the client with that key runs. A wrong key does nothing, and says nothing.
async fn cancel(shared: &Shared, pid: i32, key: &[u8]) {
    let Some(slot) = shared.cancels.find(pid, key) else { return };
    shared.metrics.cancelled();
    slot.cancel().await;
}
