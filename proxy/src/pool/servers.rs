//! The pool of one database's servers.

use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics as Usage, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts,
};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::backoff::Backoff;
use super::connect::{ConnectError, connect};
use super::server::Server;
use super::target::Target;
use super::tenants::TenantServers;
use crate::config;
use crate::metrics::Metrics;
use crate::wire::frame;
use crate::wire::stream::ServerStream;

/// A server on loan. It goes back to its pool when it is dropped.
pub struct Lease {
    // Fields are dropped in this order: it is back when others hear of it.
    object: Object<ServerManager>,
    _returned: Returned,
}

/// Tells that a server is back, where others may wait for its place.
struct Returned(Option<Weak<TenantServers>>);

/// A server that was used this recently is not asked whether its socket still stands.
const TRUSTED_FOR: Duration = Duration::from_millis(1);

/// How long a server may take to answer whether it lives.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// What the servers of a pool are like.
#[derive(Clone)]
pub struct Kind {
    /// Where they are, and who logs in.
    pub target: Target,
    /// What they are born with.
    pub parameters: Vec<(String, String)>,
    /// How many there are, and for how long.
    pub settings: config::Pool,
    /// How many prepared statements each keeps, and with how many bytes of text.
    pub max_prepared: (usize, usize),
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Limits how many log in at once.
    pub logins: Arc<Semaphore>,
}

/// Makes servers, and judges those that come back.
pub struct ServerManager {
    kind: Kind,
    reported: ArcSwapOption<Vec<(String, String)>>,
    backoff: Backoff,
    /// Those that the pool shares its room with.
    tenants: Option<Weak<TenantServers>>,
}

/// Why a client got no server.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// All were busy for too long.
    #[error("no server became free within {0:?}")]
    Timeout(Duration),
    /// A new one could not be had.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// We are on our way out.
    #[error("the pool is closed")]
    Closed,
}

/// One database's servers, shared by all tenants.
#[derive(Clone)]
pub struct Servers {
    pool: Pool<ServerManager>,
}

impl Servers {
    /// A pool of servers of that kind; `tenants`: it is one of many, which share their room. Connects to nobody yet.
    pub fn new(
        kind: Kind,
        tenants: Option<Weak<TenantServers>>,
    ) -> Result<Self, deadpool::managed::BuildError> {
        let (max_servers, wait_timeout) = (kind.settings.max_servers, kind.settings.wait_timeout);
        let (reported, backoff) = (ArcSwapOption::empty(), Backoff::default());
        let pool = Pool::builder(ServerManager { kind, reported, backoff, tenants })
            .max_size(max_servers)
            .wait_timeout(Some(wait_timeout))
            // The one used last is the warmest, and the others can grow old and go.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool })
    }

    /// A server with nothing left on it from anybody else but tracked settings.
    ///
    /// Waits for one up to `wait_timeout`, also while PostgreSQL can't be reached or takes nobody in.
    pub async fn check_out(&self) -> Result<Lease, CheckoutError> {
        self.check_out_within(self.settings().wait_timeout).await
    }

    /// The same, with another limit.
    pub async fn check_out_within(&self, limit: Duration) -> Result<Lease, CheckoutError> {
        let mut wait = limit;
        let begun = Instant::now();
        loop {
            let error = match self.try_check_out(wait).await {
                Err(CheckoutError::Connect(error)) if error.is_passing() => error,
                Err(CheckoutError::Timeout(_)) => return Err(CheckoutError::Timeout(limit)),
                other => return other,
            };
            let pause = self.pool.manager().backoff.holds().map_or(Duration::ZERO, |(_, left)| left);
            let Some(left) = limit.checked_sub(begun.elapsed() + pause).filter(|left| !left.is_zero()) else {
                return Err(error.into());
            };
            tokio::time::sleep(pause).await;
            wait = left;
        }
    }

    /// The same, with one attempt to connect at most.
    async fn try_check_out(&self, wait: Duration) -> Result<Lease, CheckoutError> {
        let tenants = &self.pool.manager().tenants;
        // There, a new one may have to wait for its place.
        let create = tenants.as_ref().map(|_| wait);
        let limits = Timeouts { wait: Some(wait), create, recycle: None };
        let object = self.pool.timeout_get(&limits).await.map_err(|error| match error {
            PoolError::Backend(error) => CheckoutError::Connect(error),
            PoolError::Closed => CheckoutError::Closed,
            _ => CheckoutError::Timeout(wait),
        })?;
        Ok(Lease { object, _returned: Returned(tenants.clone()) })
    }

    /// Whether PostgreSQL answers now: asks one server after the other until one does, or
    /// no other can be had.
    pub async fn probe(&self) -> Result<(), CheckoutError> {
        loop {
            let mut lease = self.try_check_out(self.settings().wait_timeout).await?;
            // Dropped while it is asked, it must not go back with an answer on its way.
            lease.in_doubt = true;
            if answers(&mut lease).await {
                lease.in_doubt = false;
                return Ok(());
            }
        }
    }

    /// What servers of this database report at their start; `None` before there was one.
    pub fn reported(&self) -> Option<Arc<Vec<(String, String)>>> {
        self.pool.manager().reported.load_full()
    }

    /// Where these servers are.
    pub fn target(&self) -> &Target {
        &self.pool.manager().kind.target
    }

    /// Open, idle, and waited-for servers.
    pub fn status(&self) -> deadpool::Status {
        self.pool.status()
    }

    /// No server is lent from now on; those that come back are closed.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Closes servers that nobody needs, and opens those that shall always be there.
    pub async fn tend(&self) {
        let settings = self.settings();
        let mut spare = self.pool.status().size.saturating_sub(settings.min_servers);
        self.pool.retain(|_, usage| {
            let old = usage.last_used() > settings.idle_timeout && spare > 0;
            spare -= usize::from(old);
            !old
        });
        if self.pool.status().size < settings.min_servers {
            let mut held = Vec::new();
            while held.len() < settings.min_servers {
                match self.try_check_out(Duration::ZERO).await {
                    Ok(lease) => held.push(lease),
                    Err(error) => {
                        tracing::warn!(database = %self.target(), %error, "can not keep min_servers open");
                        break;
                    }
                }
            }
        }
    }

    /// For how long the server has been idle that nobody has used for longest.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let mut longest = None;
        self.pool.retain(|_, usage| {
            longest = longest.max(Some(usage.last_used()));
            true
        });
        longest
    }

    /// Closes that one.
    pub(super) fn close_one_idle(&self) {
        let mut longest = self.idle_for();
        self.pool.retain(|_, usage| {
            let is_it = longest.is_some_and(|longest| usage.last_used() >= longest);
            longest = longest.filter(|_| !is_it);
            !is_it
        });
    }

    fn settings(&self) -> &config::Pool {
        &self.pool.manager().kind.settings
    }
}

impl Lease {
    /// Closes the server: the pool makes a new one when it is needed.
    pub fn close(self) {
        drop(Object::take(self.object));
    }
}

impl Deref for Lease {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.object
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.object
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        if let Some(tenants) = self.0.as_ref().and_then(Weak::upgrade) {
            tenants.returned();
        }
    }
}

impl Manager for ServerManager {
    // On the heap: the pool moves it about with each use.
    type Type = Box<Server>;
    type Error = ConnectError;

    async fn create(&self) -> Result<Box<Server>, ConnectError> {
        if let Some((error, _)) = self.backoff.holds() {
            return Err(ConnectError::Again(error));
        }
        let room = match self.tenants.as_ref().map(Weak::upgrade) {
            Some(Some(tenants)) => Some(tenants.enter().await?),
            Some(None) => return Err(ConnectError::Closed),
            None => None,
        };
        let Kind { target, parameters, settings, max_prepared, metrics, logins } = &self.kind;
        // PostgreSQL forks a process for each: a crowd of them at once is what it can bear least.
        let _permit = logins.acquire().await.map_err(|_| ConnectError::Closed)?;
        if let Some((error, _)) = self.backoff.holds() {
            return Err(ConnectError::Again(error));
        }
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let connecting = timeout(settings.connect_timeout, connect(target, &parameters));
        let connected =
            connecting.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        let connected = match connected {
            Ok(connected) => connected,
            Err(error) => {
                metrics.server_connect_failed();
                let role = &target.config.user;
                tracing::warn!(database = %target, role, %error, "can not connect to PostgreSQL");
                // One tenant's role that is not let in must not keep PostgreSQL busy with that.
                if !error.is_passing() && room.is_none() {
                    return Err(error);
                }
                let error = Arc::new(error);
                self.backoff.failed(Arc::clone(&error));
                return Err(ConnectError::Again(error));
            }
        };
        self.backoff.succeeded();
        metrics.server_connected();
        self.reported.store(Some(Arc::new(connected.parameters.clone())));
        Ok(Box::new(Server::new(connected, *max_prepared, room)))
    }

    async fn recycle(&self, server: &mut Box<Server>, usage: &Usage) -> RecycleResult<ConnectError> {
        if server.in_doubt {
            return Err(RecycleError::message("its state is in doubt"));
        }
        if server.born.elapsed() > self.kind.settings.max_lifetime {
            return Err(RecycleError::message("it has reached max_lifetime"));
        }
        let idle = usage.last_used();
        if idle > TRUSTED_FOR && !is_quiet(&server.stream) {
            return Err(RecycleError::message("PostgreSQL closed it"));
        }
        if idle > self.kind.settings.check_after && !answers(server).await {
            return Err(RecycleError::message("it does not answer"));
        }
        Ok(())
    }
}

/// Whether nothing has arrived: neither the end of the stream nor PostgreSQL's last words.
///
/// Looks at the socket itself: the runtime may not have heard of its end yet.
fn is_quiet(stream: &ServerStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    let peeked = match stream {
        ServerStream::Plain(stream) => SockRef::from(stream).peek(&mut byte),
        ServerStream::Tls(stream) => SockRef::from(stream.get_ref().0).peek(&mut byte),
        ServerStream::Unix(stream) => SockRef::from(stream).peek(&mut byte),
    };
    matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Whether it answers within reason.
async fn answers(server: &mut Server) -> bool {
    matches!(timeout(CHECK_LIMIT, ping(server)).await, Ok(Ok(())))
}

/// An empty query: the cheapest question that PostgreSQL answers.
async fn ping(server: &mut Server) -> io::Result<()> {
    server.query(&[]);
    let question = server.outbuf.split();
    server.stream.write_all(&question).await?;
    server.stream.flush().await?;
    loop {
        while let Ok(Some(header)) = frame::header(&server.inbuf) {
            if server.inbuf.len() < header.total {
                break;
            }
            let answer = server.inbuf.split_to(header.total);
            match header.tag {
                b'Z' if answer.last() == Some(&b'I') => return Ok(()),
                b'Z' | b'E' => return Err(io::ErrorKind::InvalidData.into()),
                _ => {}
            }
        }
        if server.stream.read_buf(&mut server.inbuf).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
