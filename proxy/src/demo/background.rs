//! A proxy that runs beside other work in the same process.

use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::ServeError;
use crate::config::Config;

/// A running proxy. It stops when this value is dropped.
#[derive(Debug)]
pub struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Background {
    /// Starts a proxy and waits until it takes clients.
    pub fn start(config: Config) -> Result<Self, ServeError> {
        let address = config.listen.address;
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let thread = thread::spawn(move || crate::serve_blocking(config, shutdown));
        let mut proxy = Self { stop: Some(stop), thread: Some(thread) };
        while !proxy.has_ended() && !answers(address) {
            thread::sleep(Duration::from_millis(5));
        }
        if proxy.has_ended() { proxy.stop().map(|()| proxy) } else { Ok(proxy) }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Tells it to stop, and does not wait for it.
    pub fn begin_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops it, and says why it ended if it did so by itself.
    pub fn stop(&mut self) -> Result<(), ServeError> {
        self.begin_to_stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.begin_to_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}
