//! Another process takes over, and this one serves again where that fails or that process ends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::workers::Workers;
use super::{Running, http, task};
use crate::handover::departure::depart;
use crate::handover::successor::{END, Process, Successor};
use crate::handover::{HandoverError, Stage, cancels};
use crate::listener::ClientListener;
use crate::notify;
use crate::pid_file::PidFile;
use crate::shared::Shared;

/// How long this process is there at least for one that takes over, clients or not.
const TRIAL: Duration = Duration::from_secs(2);

/// Between two attempts to serve again where the system has no descriptor.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the PID file of a process that ends may still be locked.
const LOCKED: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Running {
    /// Done when another process has taken over, and the clients have left or their time is over. Each way to fail ends
    /// with this process serving. May be given up at any time: a process that has not taken over is killed then.
    pub(super) async fn replaced(&mut self) {
        loop {
            self.shared.handover.asked().await;
            tracing::info!("starting the process that is to take over");
            let channels = self.shared.handover.predecessors.channels();
            let replaced = match Successor::start(self.sockets.all(), &channels).await {
                Ok(successor) => self.hand_over(successor).await,
                Err(error) => Err(error),
            };
            match replaced {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    self.shared.handover.set(Stage::Serving);
                    tracing::error!(%error, "no other process has taken over: this one goes on");
                }
            }
        }
    }

    /// Has it take over, and waits until the clients have left: `true`. `false`: it has ended, and this process serves
    /// again. The error: it has not taken over.
    async fn hand_over(&mut self, mut successor: Successor) -> Result<bool, HandoverError> {
        if let Some(accepting) = self.accepting.take() {
            accepting.close().await;
        }
        drop(self.pid_file.take());
        if let Err(error) = successor.take_over().await {
            // Its PID file is this one's again.
            successor.end().await;
            self.serve_again().await;
            return Err(error);
        }
        Ok(self.stand_by(successor).await)
    }

    /// Another process serves. See [`Running::hand_over`].
    async fn stand_by(&mut self, successor: Successor) -> bool {
        let number = successor.id();
        self.shared.handover.set(Stage::Replaced);
        self.shared.handover.predecessors.leave();
        self.watchdog = None;
        if let Some(number) = number {
            notify::replaced_by(number);
        }
        self.sockets.keep(successor.used());
        // Its end waits for the last answers.
        let http = self.http.take();
        tokio::task::spawn_blocking(move || drop(http));
        let (channel, mut process) = successor.release();
        let (close, closes) = watch::channel(false);
        self.answering = Some(task(cancels::serve(Arc::clone(&self.shared), channel, close)));
        tracing::info!(process = number, clients = self.workers.clients(), "another process has taken over");
        let has_left = self.leave(closes).await;
        if !has_left {
            tracing::error!(
                process = number,
                "the process that had taken over has ended: this one serves again"
            );
            self.return_from(&mut process).await;
        }
        has_left
    }

    /// The clients leave. `false`: the process that has taken over has ended meanwhile, and this one is to serve again.
    async fn leave(&mut self, mut closes: watch::Receiver<bool>) -> bool {
        let mut leaving = pin!(leave(&self.shared, &self.workers, &self.stop));
        let is_served = tokio::select! {
            () = &mut leaving => return true,
            close = closes.wait_for(|close| *close) => close.is_ok(),
        };
        if is_served {
            self.sockets.close();
            leaving.await;
        }
        is_served
    }

    /// Serves in place of a process that has ended, or has closed its channel and must not go on.
    async fn return_from(&mut self, process: &mut Process) {
        process.end(END).await;
        self.answering = None;
        self.stop.send_replace(false);
        self.shared.handover.predecessors.resume();
        self.serve_again().await;
        notify::resumed();
        self.shared.handover.set(Stage::Serving);
    }

    /// Opens what was closed. What can't be had is missing, and the log says so; but this process accepts.
    async fn serve_again(&mut self) {
        let config = Arc::clone(&self.shared.current().config);
        for error in self.sockets.restore(&config) {
            tracing::error!(%error, "failed to open a socket again");
        }
        let listeners = self.listeners().await;
        self.accepting = Some(self.workers.accept(listeners));
        if self.http.is_none() {
            self.http = http(&self.shared, &self.stop, &self.sockets).unwrap_or_else(|error| {
                tracing::error!(%error, "HTTP listener stopped");
                None
            });
        }
        if self.watchdog.is_none() {
            self.watchdog = Some(task(notify::watchdog()));
        }
        self.pid_file = pid_file(config.process.pid_file.as_deref()).await;
    }

    /// The listeners for clients. Descriptors may be short until some have left.
    async fn listeners(&self) -> Vec<ClientListener> {
        loop {
            match self.sockets.for_clients() {
                Ok(listeners) => return listeners,
                Err(error) => tracing::error!(%error, "failed to accept clients again"),
            }
            sleep(PAUSE).await;
        }
    }
}

/// The PID file, if it can be written. A process that ends at this moment may still have it.
async fn pid_file(path: Option<&std::path::Path>) -> Option<PidFile> {
    let begun = Instant::now();
    loop {
        match PidFile::write(path) {
            Ok(file) => return file,
            Err(error) if begun.elapsed() >= LOCKED => {
                tracing::error!(%error, "failed to write process.pid_file again");
                return None;
            }
            Err(_) => sleep(LOOK_AGAIN).await,
        }
    }
}

/// The clients leave one after the other, and then at the end of their transactions. Done when they have, or
/// `listen.shutdown_timeout` is over as well.
async fn leave(shared: &Arc<Shared>, workers: &Workers, stop: &watch::Sender<bool>) {
    let limit = shared.current().config.listen.handover_timeout;
    tokio::join!(depart(shared, limit), sleep(TRIAL));
    let _ = stop.send(true);
    workers.left(shared.current().config.listen.shutdown_timeout).await;
}
