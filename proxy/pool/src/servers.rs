//! The pool of one database's servers. [`operator`]: what is done with those that are idle, and with all.

mod operator;

use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use socket2::SockRef;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio::time::timeout;

use super::birth::{Birth, Newest};
use super::claim::{Claim, Hindrance};
use super::connect::{ConnectError, connect};
use super::fair::{FRESH, Grant, Loan, Place, Pool, Status, Unlent};
use super::roster::Roster;
use super::server::Server;
use super::share::{Reserved, Share};
use super::target::Target;
use super::tenants::TenantServers;
use super::turns::Tenant;
use crate::config;
use crate::metrics::Metrics;
use crate::net::backoff::Backoff;
use crate::stream::ServerStream;

/// A server on loan. It goes back by [`Lease::give_back`]; dropped, it is closed, so that whatever ends
/// a session in the middle leaves nothing of it to the next one.
pub struct Lease {
    // Fields are dropped in this order: it is back when others hear of it.
    loan: Loan<Box<Server>>,
    _returned: Returned,
}

/// Tells that a server is back, where others may wait for its place.
struct Returned(Option<Weak<TenantServers>>);

/// A server that was used this recently is not asked whether its socket still stands.
const TRUSTED_FOR: Duration = FRESH;

/// How long a server may take to answer whether it lives.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// What the servers of a pool are like.
#[derive(Clone)]
pub struct Kind {
    /// Where they are, and who logs in.
    pub target: Arc<Target>,
    /// What they are born with.
    pub parameters: Vec<(String, String)>,
    /// How many there are, and for how long.
    pub settings: config::Pool,
    /// What of those that tenants share is kept for single ones.
    pub reserved: Arc<Reserved>,
    /// How many prepared statements each keeps, and with how many bytes of text.
    pub max_prepared: (usize, usize),
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Limits how many log in at once.
    pub logins: Arc<Semaphore>,
    /// Where they are entered.
    pub roster: Arc<Roster>,
    /// Older servers are replaced as they come back: they are connected in another way.
    pub since: Option<Instant>,
}

impl Kind {
    /// What one tenant may have of a pool of this kind, where `alone` says that there is no other tenant.
    fn share(&self, alone: bool) -> Share {
        match alone {
            true => Share::All,
            false => Share::usual(self.settings.max_servers, self.settings.idle_timeout),
        }
    }

    fn reserved(&self, alone: bool) -> Reserved {
        if alone { Reserved::default() } else { Reserved::clone(&self.reserved) }
    }
}

/// Makes servers, and judges those that were idle.
struct Maker {
    kind: ArcSwap<Kind>,
    reported: ArcSwapOption<Vec<(String, String)>>,
    newest: Newest,
    backoff: Backoff<ConnectError>,
    /// Those that the pool shares its room with.
    tenants: Option<Weak<TenantServers>>,
}

/// Why a client got no server.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// All were busy for too long.
    #[error("timed out after {0:?} waiting for a server")]
    Timeout(Duration),
    /// It had as many as it may have.
    #[error("timed out after {0:?} waiting for a server: {1}")]
    Limited(Duration, Hindrance),
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
    pool: Pool<Box<Server>>,
    maker: Arc<Maker>,
}

impl Servers {
    /// Whether both are the same pool.
    pub fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.maker, &other.maker)
    }

    /// A pool of servers of that kind; `tenants`: it is one of many, which share their room. Connects to nobody yet.
    pub fn new(kind: Kind, tenants: Option<Weak<TenantServers>>) -> Self {
        // All of a tenant's own servers are that tenant's.
        let pool = Pool::shared(kind.settings.max_servers, kind.share(tenants.is_some()));
        pool.reserve(kind.reserved(tenants.is_some()));
        let (kind, newest) = (ArcSwap::from_pointee(kind), Newest::default());
        let (reported, backoff) = (ArcSwapOption::empty(), Backoff::default());
        Self { pool, maker: Arc::new(Maker { kind, reported, newest, backoff, tenants }) }
    }

    /// New servers are of this kind from now on. A pool that becomes larger is so at once; one that becomes smaller,
    /// as servers come back.
    pub fn change(&self, kind: Kind) {
        let alone = self.maker.tenants.is_some();
        let (places, share) = (kind.settings.max_servers, kind.share(alone));
        let reserved = kind.reserved(alone);
        self.maker.kind.store(Arc::new(kind));
        // What was refused may not be any more.
        self.maker.backoff.succeeded();
        self.pool.resize(places, share);
        self.pool.reserve(reserved);
    }

    /// A server that was in use a moment before `now`, if one is idle: one that need not be looked at.
    pub fn take(&self, claim: &Claim, now: Instant) -> Option<Lease> {
        let maker = &self.maker;
        let loan =
            self.pool.take(claim, now, |server, idle| idle <= TRUSTED_FOR && !maker.is_old(server, now))?;
        Some(self.lease(loan))
    }

    /// A server with nothing left on it from anybody else but tracked settings, when it is one's turn.
    ///
    /// Waits for one up to `limit`, in which the time does not count that the pool is paused, also while PostgreSQL can't be reached or takes nobody in. Where that is so for
    /// good, and there is no server that could come back, the error comes at once.
    pub async fn check_out_within(&self, claim: &Claim, limit: Duration) -> Result<Lease, CheckoutError> {
        let (mut begun, mut again) = (Instant::now(), false);
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            match self.try_check_out(claim, left, again).await {
                Err(CheckoutError::Connect(error)) if left.is_zero() => return Err(error.into()),
                // It stays in the queue, for the servers that there are.
                Err(CheckoutError::Connect(error)) if self.may_wait(&error) => again = true,
                // Whoever has the database paused decides for how long: the time begins anew behind that.
                Err(CheckoutError::Timeout(_)) => match self.pool.resumed_since(begun).await {
                    Some(resumed) => (begun, again) = (resumed, true),
                    None => return Err(self.over(claim, limit)),
                },
                other => return other,
            }
        }
    }

    /// Whether something may come of waiting, after that error.
    fn may_wait(&self, error: &ConnectError) -> bool {
        error.is_passing() || self.pool.status().size > 0
    }

    /// The time of somebody is over who has waited.
    fn over(&self, claim: &Claim, limit: Duration) -> CheckoutError {
        if let Some(error) = self.maker.backoff.last().filter(|_| self.pool.status().size == 0) {
            return ConnectError::Again(error).into();
        }
        match self.pool.hindrance(claim) {
            Some(hindrance) => CheckoutError::Limited(limit, hindrance),
            None => CheckoutError::Timeout(limit),
        }
    }

    /// What keeps somebody from one more, beyond that none is there.
    pub fn hindrance(&self, claim: &Claim) -> Option<Hindrance> {
        self.pool.hindrance(claim)
    }

    /// Whether some are reserved for single tenants.
    pub fn keeps_some_for_tenants(&self) -> bool {
        !self.maker.kind.load().reserved.is_empty()
    }

    /// How many clients of a tenant have one.
    pub fn held(&self, tenant: &Tenant) -> usize {
        self.pool.held(tenant)
    }

    /// Looks again who may have what there is: limits have changed.
    pub fn look_again(&self) {
        self.pool.look_again();
    }

    /// The same, with one attempt to connect at most.
    async fn try_check_out(
        &self,
        claim: &Claim,
        wait: Duration,
        again: bool,
    ) -> Result<Lease, CheckoutError> {
        let late = |_| CheckoutError::Timeout(wait);
        let granted = async {
            match again {
                true => self.pool.acquire_again(claim).await,
                false => self.pool.acquire(claim).await,
            }
        };
        let mut grant = match timeout(wait, granted).await.map_err(late)? {
            Ok(grant) => grant,
            Err(Unlent::Closed) => return Err(CheckoutError::Closed),
            Err(Unlent::CalledOff) => return Err(self.over(claim, wait)),
        };
        loop {
            let place = match grant {
                Grant::Item(mut loan) => match self.maker.is_fit(&mut loan).await {
                    true => return Ok(self.lease(loan)),
                    false => loan.discard(),
                },
                Grant::Place(place) => return self.fill(place, wait).await,
            };
            grant = self.pool.exchange(place);
        }
    }

    /// A new server, for a place that was granted.
    async fn fill(&self, place: Place<Box<Server>>, wait: Duration) -> Result<Lease, CheckoutError> {
        let making = self.maker.make();
        // Where it shares its room with others, it may have to wait for that, too.
        let made = match self.maker.tenants.is_some() {
            true => timeout(wait, making).await.map_err(|_| CheckoutError::Timeout(wait))?,
            false => making.await,
        };
        match made {
            Ok(server) => {
                let loan = place.fill(server).ok_or(CheckoutError::Closed)?;
                // What was refused before may not be any more. Twice as many attempts as went well.
                self.pool.widen(2);
                Ok(self.lease(loan))
            }
            Err(error) => {
                self.refused(place, &error);
                Err(error.into())
            }
        }
    }

    /// None could be had. Those who wait do so for the servers that there are; one of them tries again in a while.
    fn refused(&self, place: Place<Box<Server>>, error: &ConnectError) {
        if place.refused() {
            let servers = self.clone();
            tokio::spawn(async move {
                let pause = servers.maker.backoff.holds().map_or(Duration::ZERO, |(_, left)| left);
                tokio::time::sleep(pause).await;
                servers.pool.try_again();
            });
        }
        if !self.may_wait(error) {
            self.pool.call_off();
        }
    }

    fn lease(&self, loan: Loan<Box<Server>>) -> Lease {
        Lease { loan, _returned: Returned(self.maker.tenants.clone()) }
    }

    /// Whether PostgreSQL answers now: asks one server after the other until one does, or
    /// no other can be had.
    pub async fn probe(&self) -> Result<(), CheckoutError> {
        loop {
            let limit = self.kind().settings.wait_timeout;
            let mut lease = self.try_check_out(&Claim::of_proxy(), limit, false).await?;
            if answers(&mut lease).await {
                lease.give_back();
                return Ok(());
            }
        }
    }

    /// What servers of this database report at their start; `None` before there was one.
    pub fn reported(&self) -> Option<Arc<Vec<(String, String)>>> {
        self.maker.reported.load_full()
    }

    /// What the newest of these servers were born with.
    pub fn newest(&self) -> Birth {
        self.maker.newest.get()
    }

    /// Where these servers are.
    pub fn target(&self) -> Arc<Target> {
        Arc::clone(&self.maker.kind.load().target)
    }

    /// Open, idle, and waited-for servers.
    pub fn status(&self) -> Status {
        self.pool.status()
    }

    /// No server is lent from now on; those that come back are closed.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Closes servers that nobody needs, and opens those that shall always be there.
    pub async fn tend(&self) {
        if self.pool.is_paused() {
            return;
        }
        let kind = self.kind();
        let settings = &kind.settings;
        // A tenant may have become the only one, just because time has passed.
        self.pool.look_again();
        let mut spare = self.pool.status().size.saturating_sub(settings.min_servers);
        self.pool.retain(|idle| {
            let old = idle > settings.idle_timeout && spare > 0;
            spare -= usize::from(old);
            !old
        });
        if self.pool.status().size < settings.min_servers {
            let mut held = Vec::new();
            while held.len() < settings.min_servers {
                match self.try_check_out(&Claim::of_proxy(), Duration::ZERO, false).await {
                    Ok(lease) => held.push(lease),
                    Err(error) => {
                        tracing::warn!(database = %self.target(), %error, "failed to keep min_servers open");
                        break;
                    }
                }
            }
            held.into_iter().for_each(Lease::give_back);
        }
    }

    /// What new servers are like.
    pub fn kind(&self) -> Arc<Kind> {
        self.maker.kind.load_full()
    }
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Servers({})", self.target())
    }
}

impl Lease {
    /// Lets the next one have it, if its state is not in doubt.
    pub fn give_back(self) {
        self.give_back_at(Instant::now());
    }

    /// The same, where it is known what time it is.
    pub fn give_back_at(self, now: Instant) {
        #[cfg(feature = "simulation")]
        if !self.in_doubt {
            crate::simulation::world(|world| world.given_back(self.pid));
        }
        self.loan.give_back_at(now);
    }
}

impl Deref for Lease {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.loan
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.loan
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        if let Some(tenants) = self.0.as_ref().and_then(Weak::upgrade) {
            tenants.returned();
        }
    }
}

impl Maker {
    async fn make(&self) -> Result<Box<Server>, ConnectError> {
        if let Some((error, _)) = self.backoff.holds() {
            return Err(ConnectError::Again(error));
        }
        let room = match self.tenants.as_ref().map(Weak::upgrade) {
            Some(Some(tenants)) => Some(tenants.enter().await?),
            Some(None) => return Err(ConnectError::Closed),
            None => None,
        };
        let kind = self.kind.load_full();
        let Kind { target, parameters, settings, max_prepared, metrics, logins, roster, .. } = &*kind;
        let (generation, _connecting) = roster.connect();
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
                tracing::warn!(database = %target, role, %error, "server connection failed");
                // A login that is not let in must not keep PostgreSQL busy with that, whatever the reason.
                let error = Arc::new(error);
                self.backoff.failed(Arc::clone(&error));
                return Err(ConnectError::Again(error));
            }
        };
        self.backoff.succeeded();
        metrics.server_connected();
        self.newest.note(Birth::of(&connected.parameters));
        self.reported.store(Some(Arc::new(connected.parameters.clone())));
        let entry = roster.enter(&connected.stream, connected.pid, &target.config.user, generation);
        Ok(Box::new(Server::new(connected, *max_prepared, entry, room)))
    }

    fn is_old(&self, server: &Server, now: Instant) -> bool {
        let kind = self.kind.load();
        now.saturating_duration_since(server.born) > kind.settings.max_lifetime
            || server.birth != self.newest.get()
            || !server.entry.is_current()
            || kind.since.is_some_and(|since| server.born < since)
    }

    /// Whether a server that was idle can be used again.
    async fn is_fit(&self, loan: &mut Loan<Box<Server>>) -> bool {
        let now = Instant::now();
        let idle = loan.was_idle(now);
        !self.is_old(loan, now)
            && (idle <= TRUSTED_FOR || is_quiet(&loan.stream))
            && (idle <= self.kind.load().settings.check_after || answers(loan).await)
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
        #[cfg(feature = "simulation")]
        ServerStream::Simulated(stream) => return stream.is_quiet(),
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
    server.send().await?;
    loop {
        let answer = server.receive().await?;
        match answer.tag() {
            b'Z' if answer.body() == b"I" => return Ok(()),
            b'Z' | b'E' => return Err(io::ErrorKind::InvalidData.into()),
            _ => {}
        }
    }
}
