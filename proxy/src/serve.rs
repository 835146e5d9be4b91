//! Listeners, threads, and the way out.
//!
//! Each worker thread runs its own single-threaded runtime, and a client stays on the
//! thread that it was given to. Sessions need nothing of that: they are plain futures.
//!
//! # Layout
//! - this file: a process from its start to its end.
//! - [`workers`]: its threads, and a client's whole life on one of them.
//! - [`replacement`]: another process takes over, and this one serves again where that ends.
//! - [`tend`](mod@tend): what is looked after meanwhile.

mod replacement;
mod tend;
mod workers;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::tend::tend;
use self::workers::Workers;
use crate::admin;
use crate::admin::listener::HttpThread;
use crate::config::Config;
use crate::descriptors::{self, Room};
use crate::exit::{How, Stop, WayOut};
use crate::follow::follow;
use crate::handover::Stage;
use crate::handover::inherited::Inherited;
use crate::listener::{Accepting, BindError, Place, Sockets};
use crate::notify;
use crate::pid_file::PidFile;
use crate::shared::{SetupError, Shared};

/// Why the proxy could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no socket to listen on.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The configuration can't be put to work.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The number of the process can't be left where it is looked for, or another process has left its own there.
    #[error("process.pid_file: {0}")]
    PidFile(#[source] io::Error),
    /// The process before this one did not say what it should.
    #[error("handover: {0}")]
    Handover(#[source] io::Error),
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
    serve_inheriting(config, Inherited::default(), told).await
}

/// The same, with what another process has left to this one. Ends as well when the next one has taken over, and
/// the clients have left.
pub async fn serve_inheriting(
    config: Config,
    mut inherited: Inherited,
    told: impl AsyncFnOnce(Arc<Shared>) -> Stop,
) -> Result<(), ServeError> {
    let sockets = Sockets::of(&config, &mut inherited)?;
    let shared = Shared::new(config)?;
    let mut told = pin!(told(Arc::clone(&shared)));
    let mut running = tokio::select! {
        biased;
        running = Running::start(&shared, sockets, inherited) => running?,
        // The process before is slow: it goes on.
        _ = &mut told => return Ok(()),
    };
    let way = tokio::select! {
        how = &mut told => WayOut::Signal(how),
        how = shared.exit.asked(None) => WayOut::Asked(how),
        () = running.replaced() => WayOut::Replaced,
    };
    running.end(way, told).await;
    Ok(())
}

/// A process that serves. What stands open in it is there as long as no other process has taken over.
struct Running {
    /// Goes first: the process that serves in place of this one writes its own.
    pid_file: Option<PidFile>,
    accepting: Option<Accepting>,
    http: Option<HttpThread>,
    watchdog: Option<JoinSet<()>>,
    /// Another process has taken over, and asks for cancels.
    answering: Option<JoinSet<()>>,
    /// They stay when another process has taken over: it may end.
    sockets: Sockets,
    shared: Arc<Shared>,
    workers: Workers,
    /// Tells all sessions to end.
    stop: watch::Sender<bool>,
    _tending: JoinSet<()>,
    _resizing: JoinSet<()>,
    _following: JoinSet<()>,
}

impl Running {
    /// Takes what is there over from the process before, if there is one.
    async fn start(shared: &Arc<Shared>, sockets: Sockets, inherited: Inherited) -> Result<Self, ServeError> {
        let config = Arc::clone(&shared.current().config);
        let (stop, stopping) = watch::channel(false);
        let workers = Workers::start(shared, &stopping, room_for_clients(&config))?;
        // From here on nobody else accepts.
        let relieved = inherited.relieve().await.map_err(ServeError::Handover)?;
        let http = http(shared, &stop, &sockets).map_err(ServeError::Thread)?;
        let pid_file = PidFile::write(config.process.pid_file.as_deref()).map_err(ServeError::PidFile)?;
        let listeners = sockets.for_clients().map_err(ServeError::Thread)?;
        // From here on nothing fails: the process before may close what it has.
        relieved.serving().into_iter().for_each(|process| shared.handover.predecessors.add(process));
        shared.current().databases.values().for_each(|database| database.watch());
        let accepting = Some(workers.accept(listeners));
        let addresses: Vec<_> = sockets.places().iter().map(Place::to_string).collect();
        tracing::info!(address = %addresses.join(", "), threads = workers.threads(), "ready");
        notify::ready();
        Ok(Self {
            pid_file,
            accepting,
            http,
            watchdog: Some(task(notify::watchdog())),
            answering: None,
            sockets,
            stop,
            _tending: task(tend(Arc::clone(shared))),
            _resizing: task(workers.entrance().follow(shared.news())),
            _following: task(follow(Arc::clone(shared))),
            workers,
            shared: Arc::clone(shared),
        })
    }

    /// Waits for the clients as long as that way has it, and ends.
    async fn end(self, mut way: WayOut, mut told: Pin<&mut impl Future<Output = Stop>>) {
        let Self { shared, workers, accepting, sockets, stop, pid_file, answering, http, .. } = self;
        if way != WayOut::Replaced {
            tracing::info!(clients = workers.clients(), "shutting down");
        }
        if shared.handover.stage() != Stage::Replaced {
            shared.handover.set(Stage::Ending);
            notify::stopping();
            shared.handover.predecessors.close_sockets();
        }
        if let Some(accepting) = accepting {
            accepting.close().await;
        }
        // From here on the system refuses whoever connects, unless another process serves.
        match shared.handover.stage() {
            Stage::Replaced => drop(sockets),
            _ => sockets.end(),
        }
        let asked = |before| shared.exit.asked(before);
        if way == WayOut::Asked(How::Clients) {
            way = tokio::select! {
                () = workers.emptied() => WayOut::Asked(How::Now),
                how = &mut told => WayOut::Signal(how),
                how = asked(Some(How::Clients)) => WayOut::Asked(how),
            };
        }
        let _ = stop.send(true);
        let limit = way.limit(&shared.current().config);
        tokio::select! {
            () = workers.finish(limit) => {}
            // An administrator waits for clients; a signal waits no longer.
            _ = told, if !matches!(way, WayOut::Signal(_)) => {}
        }
        drop((pid_file, http, answering));
    }
}

/// The thread that answers on the first of the sockets for HTTP; `None` where there is none.
fn http(
    shared: &Arc<Shared>,
    stop: &watch::Sender<bool>,
    sockets: &Sockets,
) -> io::Result<Option<HttpThread>> {
    let Some(listener) = sockets.for_http()? else { return Ok(None) };
    let router = admin::router(Arc::clone(shared), stop.subscribe(), listener.local_addr()?);
    HttpThread::start(listener, router, &shared.current().config.http).map(Some)
}

/// A task that ends when this is dropped.
fn task(work: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
    let mut task = JoinSet::new();
    task.spawn(work);
    task
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
