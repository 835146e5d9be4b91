//! The HTTP listener: a thread of its own, few connections, each for one request and a short time.
//!
//! Whatever is done to this port, clients of PostgreSQL notice nothing of it: they have other threads, and other file
//! descriptors.

use std::collections::VecDeque;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::Http;

/// How long to wait where the system has no descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the end waits for answers to requests that have begun.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How much nicer the thread is than those that serve clients: scrapes come after them where processors are short.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 5;

/// The listener's thread. It answers until this is dropped.
pub struct HttpThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpThread {
    /// Starts the thread, which answers with `router` on `listener`.
    ///
    /// The error: the system gives no thread, or no runtime for it.
    pub fn start(listener: TcpListener, router: Router, limits: &Http) -> io::Result<Self> {
        let listener = listener.into_std()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let limits = limits.clone();
        let run = move || run(&runtime, listener, router, &limits, stopped);
        let thread = thread::Builder::new().name("pgstrata-http".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    runtime: &Runtime,
    listener: std::net::TcpListener,
    router: Router,
    limits: &Http,
    stopped: oneshot::Receiver<()>,
) {
    // On Linux a thread has a priority of its own.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BEHIND) {
        tracing::debug!(%error, "failed to lower the priority of the HTTP thread");
    }
    runtime.block_on(async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "HTTP listener stopped"),
        };
        let mut open = VecDeque::with_capacity(limits.max_connections);
        tokio::select! {
            () = accept(&listener, &router, limits, &mut open) => {}
            _ = stopped => {}
        }
        // Requests that have begun are answered, whoever accepts the next ones.
        drop(listener);
        let answered = async {
            while open.iter().any(|connection| !connection.is_finished()) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let _ = timeout(LAST_ANSWERS, answered).await;
    });
}

/// Takes connections in. One too many closes the oldest: it is the likeliest to be of no use.
async fn accept(listener: &TcpListener, router: &Router, limits: &Http, open: &mut VecDeque<AbortHandle>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept an HTTP connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        while open.len() >= limits.max_connections {
            let Some(oldest) = open.pop_front() else { break };
            tracing::debug!("HTTP connection closed: http.max_connections reached");
            oldest.abort();
        }
        let answering = tokio::spawn(answer(stream, router.clone(), limits.timeout));
        open.push_back(answering.abort_handle());
    }
}

/// One request, from its first byte to the last of its answer, within `limit`. Then the connection is closed: idle
/// ones would take a place.
async fn answer(stream: TcpStream, router: Router, limit: Duration) {
    let service = TowerToHyperService::new(router);
    let mut server = http1::Builder::new();
    // The time limit is around all of it.
    server.keep_alive(false).header_read_timeout(None);
    let _ = timeout(limit, server.serve_connection(TokioIo::new(stream), service)).await;
}
