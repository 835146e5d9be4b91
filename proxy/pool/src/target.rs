//! Where servers are, and the way there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::connect::ConnectError;
use crate::config::{Database, Secret, ServerTls};
use crate::net::tls::{self, TlsConfigError};
use crate::stream::ServerStream;

/// A silent peer is asked for life after so long, then so often, so many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// A database to connect to. Built once for each entry of the configuration.
#[derive(Clone)]
pub struct Target {
    /// What clients call the database, and the log.
    entry: String,
    /// The database's name on its server.
    pub name: String,
    /// Its entry in the configuration.
    pub config: Database,
    tls: Option<Arc<ClientConfig>>,
    tcp_user_timeout: Option<Duration>,
}

impl Target {
    /// The database of that entry. Reads certificates: slow, and blocking.
    pub fn new(entry: &str, config: &Database) -> Result<Self, TlsConfigError> {
        Ok(Self::with(entry, config, tls::client_tls_config(config)?))
    }

    /// The same with TLS that is set up already.
    pub fn with(entry: &str, config: &Database, tls: Option<Arc<ClientConfig>>) -> Self {
        let name = config.database.as_deref().unwrap_or(entry).to_owned();
        Self { entry: entry.to_owned(), name, tls, config: config.clone(), tcp_user_timeout: None }
    }

    /// A connection is dead when what was sent was not acknowledged for so long.
    pub fn tcp_user_timeout(mut self, timeout: Duration) -> Self {
        self.tcp_user_timeout = Some(timeout);
        self
    }

    /// The same database, for another login.
    pub(crate) fn logging_in_as(&self, user: &str, password: Option<&str>) -> Self {
        let mut other = self.clone();
        other.config.user = user.to_owned();
        other.config.password = password.map(Secret::new).unwrap_or_default();
        other
    }

    /// Host and port.
    fn address(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }

    /// Opens a socket, with TLS as far as the configuration wants it and the server has it.
    pub(crate) async fn dial(&self) -> Result<ServerStream, ConnectError> {
        let failed = |source| ConnectError::Dial { address: self.address(), source };
        #[cfg(feature = "simulation")]
        if let Some(stream) = crate::simulation::world(|world| world.dial()) {
            return stream.map(ServerStream::Simulated).map_err(failed);
        }
        if self.config.host.starts_with('/') {
            let path = format!("{}/.s.PGSQL.{}", self.config.host, self.config.port);
            return Ok(ServerStream::Unix(UnixStream::connect(path).await.map_err(failed)?));
        }
        let address = (self.config.host.as_str(), self.config.port);
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        keep_alive(&SockRef::from(&stream)).map_err(failed)?;
        #[cfg(target_os = "linux")]
        SockRef::from(&stream).set_tcp_user_timeout(self.tcp_user_timeout).map_err(failed)?;
        match &self.tls {
            Some(tls) => self.ask_for_tls(stream, Arc::clone(tls)).await,
            None => Ok(ServerStream::Plain(stream)),
        }
    }

    /// `SSLRequest`, see <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>.
    async fn ask_for_tls(
        &self,
        mut stream: TcpStream,
        tls: Arc<ClientConfig>,
    ) -> Result<ServerStream, ConnectError> {
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        stream.write_all(&request).await?;
        // One byte and no more: what is behind it must come through TLS.
        match stream.read_u8().await? {
            b'S' => {}
            b'N' if self.config.tls == ServerTls::Prefer => return Ok(ServerStream::Plain(stream)),
            b'N' => return Err(ConnectError::NoTls),
            other => {
                return Err(ConnectError::Protocol(format!("SSLRequest was answered by byte {other}")));
            }
        }
        let host = ServerName::try_from(self.config.host.clone())
            .map_err(|_| ConnectError::BadHost(self.config.host.clone()))?;
        let connected = TlsConnector::from(tls).connect(host, stream).await;
        let failed = |source| ConnectError::Tls { address: self.address(), source };
        Ok(ServerStream::Tls(Box::new(connected.map_err(failed)?)))
    }
}

/// Has the system ask a peer for life that is silent for long: one that vanished sends no word.
pub fn keep_alive(socket: &SockRef<'_>) -> std::io::Result<()> {
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    socket.set_tcp_keepalive(&keepalive)
}

/// The name in the configuration.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entry)
    }
}
