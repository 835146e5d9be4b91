//! Stands in for the proxy until it is there: a relay that changes nothing.

use std::future::Future;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::config::Config;

/// Why the proxy ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Passes bytes between clients and the first database.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let listener = TcpListener::bind(config.listen.address).await?;
    let Some(database) = config.databases.into_values().next() else { return Ok(()) };
    let accept = async {
        loop {
            let (mut client, _) = listener.accept().await?;
            let (host, port) = (database.host.clone(), database.port);
            tokio::spawn(async move {
                let mut server = TcpStream::connect((host, port)).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    };
    tokio::select! {
        result = accept => result,
        () = shutdown => Ok(()),
    }
}

/// The same, on this thread.
pub fn serve_blocking(
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config, shutdown))
}
