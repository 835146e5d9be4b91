//! From a proven identity to a session that runs.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use pgstrata_tenancy::{RoleName, ident};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::admission::Attendance;
use super::arrival::{arrive, for_login, login_patience};
use super::clock::Clock;
use super::encoding::{Reading, is_utf8};
use super::listen::Listening;
use super::news::News;
use super::path::Effective;
use super::pins::Pins;
use super::statements::ClientStatements;
use super::tenant::{Basis, Tenancy, Tenants};
use super::values::{CONFORMING, NOT_CONFORMING, is_off};
use super::{Identity, Session, Status, Told};
use crate::auth::error::OpenError;
use crate::auth::login::Login;
use crate::catalog::Found;
use crate::catalog::cache::Known;
use crate::clients::slot::{Place, Who};
use crate::config::{Config, Isolation, Level, Mode, PoolMode};
use crate::pool::birth::Birth;
use crate::pool::server::Server;
use crate::pool::servers::CheckoutError;
use crate::pool::settings::{self, Assignment, CLIENT_ENCODING, SEARCH_PATH, Settings, Tracked, newest_name};
use crate::shared::snapshot::Snapshot;
use crate::shared::{DatabaseHandle, Shared};
use crate::sql::guard::check;
use crate::sql::level::read_only;
use crate::sql::plan::PinReason;
use crate::sql::scope::Scope;
use crate::sql::{fresh, limits};
use crate::stream::ClientStream;
use crate::wire::frame;
use crate::wire::refusal::{Refusal, sqlstate};

/// How long a statement waits for what its tenant's schemas hold.
const NAMES_LIMIT: Duration = Duration::from_secs(10);

/// Admits a client to its tenant, tells it so, and makes its session. The login's time is over at `until`.
///
/// All of a login goes by the configuration that `newest` has seen, which is the one that the door went by.
pub async fn start<S>(
    login: Login<S>,
    shared: Arc<Shared>,
    (snapshot, newest): (Arc<Snapshot>, watch::Receiver<Arc<Snapshot>>),
    shutdown: watch::Receiver<bool>,
    until: Instant,
) -> Result<Session<ClientStream<S>>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = Arc::clone(&snapshot.config);
    let Some(database) = snapshot.databases.get(&login.database).cloned() else {
        let message = format!("database \"{}\" does not exist", login.database);
        return Err(login.refuse(Refusal::new(sqlstate::INVALID_CATALOG_NAME, message)).await);
    };
    if database.gate.is_disabled() {
        let message = format!("database \"{}\" is not currently accepting connections", login.database);
        let refusal = Refusal::new("55000", message);
        return Err(login.refuse(refusal.hint("An administrator has disabled it.")).await);
    }
    let (login, found) =
        arrive(login, (&shared.metrics, &config), &database, shutdown.clone(), until).await?;
    match prepare(&login, &config, &database, found).await {
        Ok((identity, tenancy, birth)) => {
            let news = (config, News::new(newest));
            enter(login, shared, news, identity, tenancy, birth, shutdown).await
        }
        Err(refusal) => Err(login.refuse(refusal).await),
    }
}

/// The identity of a client that is admitted, and what it will be told of its parameters.
async fn prepare<S>(
    login: &Login<S>,
    config: &Config,
    database: &Arc<DatabaseHandle>,
    found: Option<Found>,
) -> Result<(Identity, Arc<Tenancy>, Birth), Refusal> {
    let schema = found.as_ref().map_or("public", |found| &*found.schema);
    let tenancy = database
        .tenancy(login.tenant.as_ref(), schema, login.user.policy(), config)
        .map_err(|error| Refusal::new(error.sqlstate(), error.to_string()))?;
    let mut base = base_settings(&login.settings, &tenancy)?;
    if login.user.statements == Level::Read && config.tenancy.mode == Mode::Route {
        base.set(
            read_only::SETTING,
            Assignment::of_statement(read_only::SETTING, read_only::SET, Some("on")),
        );
    }
    let base = settings::shared(base);
    let (birth, told) = validate(database, &tenancy, &base, login_patience(config)).await?;
    let identity = Identity {
        database: Arc::clone(database),
        user: Arc::clone(&login.user),
        base,
        base_told: told,
        peer: login.peer,
        tls: login.stream.is_tls(),
    };
    Ok((identity, tenancy, birth))
}

/// The settings of the start-up packet.
fn base_settings(settings: &[(String, String)], tenancy: &Tenancy) -> Result<Settings, Refusal> {
    let assignment = |(name, value): &(String, String)| {
        if name == CONFORMING && is_off(value) {
            return Err(Refusal::new(sqlstate::FEATURE_NOT_SUPPORTED, NOT_CONFORMING));
        }
        let name = newest_name(name);
        if tenancy.is_confined() && tenancy.scope.locks(&name.to_ascii_lowercase()) {
            let locked = check::locked(name);
            let refusal = Refusal::new(locked.code, locked.message);
            return Err(refusal.hint(locked.hint.unwrap_or_default()));
        }
        let to = match name {
            SEARCH_PATH => Assignment::of_ours(&confined_path(value, tenancy)?),
            name => Assignment::of_value(name, value),
        };
        Ok((name.to_owned(), to))
    };
    settings.iter().map(assignment).collect()
}

/// A path of the client's own, if it stays within what its tenant may name.
fn confined_path(value: &str, tenancy: &Tenancy) -> Result<Box<str>, Refusal> {
    match check::search_path(value).map(|names| ident::search_path(names.iter().map(String::as_str))) {
        Some(path) if tenancy.allows_path(&path) => Ok(path.into()),
        _ => {
            let message = "permission denied: search_path names a schema that is not this tenant's";
            Err(Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, message))
        }
    }
}

/// Lets PostgreSQL judge the settings, once for each set of them.
async fn validate(
    database: &DatabaseHandle,
    tenancy: &Tenancy,
    base: &Arc<Settings>,
    limit: Duration,
) -> Result<(Birth, Arc<Told>), Refusal> {
    let settings = settings::after(&Arc::default(), base, true);
    let login = tenancy.isolation.login();
    // What nobody sets needs nobody's right.
    let role = tenancy.isolation.set_role().filter(|_| settings.count() > 0);
    let limited = limited_by(&settings, tenancy);
    let key = (Arc::clone(&settings), role.or(login).cloned());
    if limited.is_empty()
        && let Some(known) = database.validated.get(&key)
        && (login.is_some() || known.0 == database.servers.newest())
    {
        return Ok(known);
    }
    let lease = database.check_out(login, &tenancy.turn, limit).await;
    let mut lease = lease.map_err(|error| no_server(&error))?;
    // A server goes back by itself only where all has gone well.
    try_settings(&mut lease, &settings, role, &limited).await?;
    let (birth, mut told): (_, Told) = (lease.birth, lease.parameters.clone());
    let dirt = lease.dirt(false);
    lease.give_back_clean(dirt, Instant::now());
    told.remove(&b"search_path"[..]);
    let told = Arc::new(told);
    if limited.is_empty() {
        database.validated.insert(key, (birth, Arc::clone(&told)));
    }
    Ok((birth, told))
}

/// The time-outs among the settings that may not be higher than they are by themselves. What they are is asked anew for
/// each client: it changes with no word.
fn limited_by(settings: &Settings, tenancy: &Tenancy) -> Vec<&'static str> {
    let limits = tenancy.is_confined() && tenancy.scope.limits_time;
    limits::LIMITED.into_iter().filter(|name| limits && settings.has(name)).collect()
}

/// Runs the settings on a server; PostgreSQL's own words if it takes them not.
async fn try_settings(
    server: &mut Server,
    wanted: &Arc<Settings>,
    role: Option<&RoleName>,
    limited: &[&'static str],
) -> Result<(), Refusal> {
    let mut statements = settings::difference(&server.settings, wanted, true, role);
    statements.extend(limited.iter().map(|name| limits::question(name)));
    if statements.is_empty() {
        return Ok(());
    }
    let lost = |_| Refusal::new("08006", "the connection to PostgreSQL was lost");
    server.query(&[statements.join("; ").as_bytes()]);
    server.send().await.map_err(lost)?;
    let mut refused = None;
    loop {
        let answer = server.receive().await.map_err(lost)?;
        match answer.tag() {
            b'E' => {
                refused =
                    Some(above_limit(answer.body(), limited).unwrap_or_else(|| in_its_words(answer.body())));
            }
            b'Z' => break,
            _ => {}
        }
    }
    refused.map_or(Ok(()), Err)?;
    server.settings = Arc::clone(wanted);
    Ok(())
}

/// The refusal of a time-out that is too high, if that is what an error says.
fn above_limit(body: &[u8], limited: &[&'static str]) -> Option<Refusal> {
    let field = |code| frame::field(body, code).unwrap_or_default();
    let name = limited.first().filter(|_| fresh::is_found(field(b'C'), field(b'M')))?;
    let refusal = limits::with_limit(limits::refusal(name), field(b'M'));
    Some(
        Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, refusal.message)
            .hint(refusal.hint.unwrap_or_default()),
    )
}

/// PostgreSQL's refusal of a setting.
fn in_its_words(body: &[u8]) -> Refusal {
    let field = |code| frame::field(body, code).map(String::from_utf8_lossy);
    let code = field(b'C').unwrap_or_default();
    let known = sqlstate::OF_SETTINGS.into_iter().find(|known| *known == code);
    let code = known.unwrap_or(sqlstate::INVALID_PARAMETER_VALUE);
    let mut refusal = Refusal::new(code, field(b'M').unwrap_or_default());
    (refusal.detail, refusal.hint) = (field(b'D').map(Cow::into_owned), field(b'H').map(Cow::into_owned));
    refusal
}

fn no_server(error: &CheckoutError) -> Refusal {
    for_login(super::attach::no_server(error))
}

async fn enter<S>(
    mut login: Login<S>,
    shared: Arc<Shared>,
    (config, news): (Arc<Config>, News),
    identity: Identity,
    tenancy: Arc<Tenancy>,
    birth: Birth,
    shutdown: watch::Receiver<bool>,
) -> Result<Session<ClientStream<S>>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let told = Arc::clone(&identity.base_told);
    let cancel = shared.cancels.register(login.protocol_minor);
    cancel.work_on(&identity.database.servers);
    // Before the client hears of it: whoever has logged in is seen.
    let entry = shared.clients.enter(Who {
        user: Arc::clone(&login.user),
        database: login.database.as_str().into(),
        peer: login.peer,
        local: login.local,
        tls: login.stream.tls_in_words(),
        application: application_name(&login.settings),
        cancel: Arc::clone(cancel.slot()),
    });
    entry.set_place(Place { tenant: tenancy.turn.clone(), login: tenancy.isolation.login().cloned() });
    let pairs = told.iter().map(|(name, value)| (&**name, &**value));
    login.accept(pairs, cancel.slot().pid, &cancel.slot().key).await?;
    tracing::debug!(peer = %login.peer, user = login.user.name, tenant = tenancy.scope.tenant.as_deref(), "client in");
    let settings = Tracked::new(Arc::clone(&identity.base));
    let mut pins = Pins::new(Arc::clone(&shared.metrics), identity.database.pinned());
    let session_pooling = identity.user.pool_mode.unwrap_or(config.pool.mode) == PoolMode::Session;
    if session_pooling {
        pins.add(PinReason::SessionPooling);
    }
    entry.set_pins(pins.bits());
    let shown = tenancy.turn.clone();
    let attendance = Attendance::new(identity.database.clients(), tenancy.tally.as_ref());
    Ok(Session {
        stream: login.stream,
        inbuf: login.buffer,
        outbuf: BytesMut::new(),
        eof: false,
        leaving: false,
        stream_left: 0,
        stream_on: false,
        torn: false,
        checking: false,
        skip_to_sync: false,
        asked: None,
        changes: 0,
        touched: false,
        scope: Arc::clone(&tenancy.scope),
        scope_basis: Basis::of(&tenancy),
        effective: Effective::of(settings.current(), &tenancy),
        tenants: Tenants::new(tenancy),
        effective_of: Arc::clone(settings.current()),
        settings,
        told_utf8: told.get(CLIENT_ENCODING.as_bytes()).is_some_and(|told| is_utf8(told)),
        stale_told: false,
        holds_cancels: false,
        reading: Reading::default(),
        told,
        told_of: birth,
        statements: ClientStatements::default(),
        portals: Vec::new(),
        status: Status::Idle,
        foreseen: None,
        ahead: None,
        reached: Status::Idle,
        bound: Default::default(),
        pins,
        listening: Listening::default(),
        held_ready: None,
        made_temp: false,
        sql_writes: false,
        names_late: false,
        wanted: Isolation::Names,
        plan: None,
        judged: None,
        link: None,
        attendance,
        clock: Clock::new(),
        cancel,
        entry,
        shown,
        shutdown,
        identity,
        shared,
        config,
        news,
    })
}

/// What a client calls itself.
pub(crate) fn application_name(settings: &[(String, String)]) -> Box<str> {
    let name = settings.iter().find(|(name, _)| name == "application_name");
    name.map_or("", |(_, name)| name).into()
}

impl<C> Session<C> {
    /// Waits until more is known of what the tenant's schemas hold.
    pub(super) async fn await_names(&mut self) {
        self.shared.metrics.catalog_wait();
        let known = self.scope.names.as_ref().map(|names| names.currency);
        let better = self.identity.database.catalog.better(&self.scope.schema, known);
        self.names_late = !tokio::time::timeout(NAMES_LIMIT, better).await.unwrap_or(false);
    }

    /// Takes up the newest names of the tenant's schemas. Whatever the strategy: only with them is it known that a
    /// text runs no code but its own, after which its server would have to be wiped.
    pub(super) fn refresh_scope(&mut self) {
        let (catalog, scope) = (&self.identity.database.catalog, &self.tenants.now().scope);
        let (now, basis) = (self.clock.latest(), &mut self.scope_basis);
        let moved_on = !Arc::ptr_eq(scope, &basis.scope);
        if !moved_on && basis.news == catalog.news() && now < basis.until {
            return;
        }
        let Known { names, news, until } = catalog.look(&scope.schema, now);
        (basis.news, basis.until) = (news, until);
        let functions = catalog.functions();
        let same = is_same(&names, &self.scope.names) && is_same(&functions, &self.scope.functions);
        if moved_on || !same {
            self.scope = Arc::new(Scope { names, functions, ..Scope::clone(scope) });
            basis.scope = Arc::clone(scope);
        }
    }
}

fn is_same<T>(new: &Option<Arc<T>>, old: &Option<Arc<T>>) -> bool {
    match (new, old) {
        (Some(new), Some(old)) => Arc::ptr_eq(new, old),
        (None, None) => true,
        _ => false,
    }
}

/// An error with all that it came from, in one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::confined_path;
    use crate::session::tenant::Tenancy;
    use crate::sql::fixture::scope;

    #[test]
    fn path_of_the_packet_is_read_as_postgresql_reads_it() {
        let tenancy = Tenancy::of(scope(), "", true);
        let path = |value| confined_path(value, &tenancy).ok().map(String::from);
        assert_eq!(path("Acme , \"public\"").unwrap(), r#""acme", "public""#);
        assert_eq!(path(" ").unwrap(), "\"\"");
        // Neither quotes of a string nor other blanks are anything but letters in it.
        for other in ["globex", "'acme'", "acme\u{a0}", "\u{a0}", "acme,", "\"acme", "\"acme,public\""] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
