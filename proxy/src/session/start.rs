//! From an authenticated user to a running session.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pgstrata_tenancy::ident;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::admission::Counted;
use super::allowance::Allowance;
use super::arrival::{arrive, for_login, login_patience};
use super::clock::Clock;
use super::encoding::Reading;
use super::listen::Listening;
use super::news::News;
use super::path::Effective;
use super::pins::Pins;
use super::standing::{Unserved, no_answer};
use super::state::framing::Framing;
use super::state::head::Head;
use super::state::portals::Portals;
use super::state::reported::Reported;
use super::state::transaction::Transaction;
use super::statements::ClientStatements;
use super::tenant::{Basis, Tenants};
use super::validation::validate;
use super::values::{CONFORMING, NOT_CONFORMING, is_off};
use super::{Identity, Session, Status};
use crate::auth::error::OpenError;
use crate::auth::login::Login;
use crate::catalog::cache::Known;
use crate::clients::slot::{Place, Who};
use crate::config::{Config, Level, Mode, PoolMode};
use crate::limits::places::Places;
use crate::metrics::Metrics;
use crate::pool::birth::Birth;
use crate::pool::settings::{self, Assignment, SEARCH_PATH, Settings, Tracked, newest_name};
use crate::shared::snapshot::Snapshot;
use crate::shared::tenancy::Tenancy;
use crate::shared::{DatabaseHandle, Found, Shared};
use crate::sql::guard::check;
use crate::sql::level::read_only;
use crate::sql::plan::PinReason;
use crate::sql::scope::Scope;
use crate::stream::ClientStream;
use crate::wire::refusal::{Refusal, sqlstate};

/// How long a statement waits for the catalog of its tenant's schemas.
const NAMES_LIMIT: Duration = Duration::from_secs(10);

/// Admits a client to its tenant, answers the login, and creates its session. The time of the login ends at `until`.
///
/// The whole login uses the current snapshot of `newest`, which authentication has used, too.
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
    if database.home.gate.is_disabled() {
        let message = format!("database \"{}\" is not currently accepting connections", login.database);
        let refusal = Refusal::new("55000", message);
        return Err(login.refuse(refusal.hint("An administrator has disabled it.")).await);
    }
    let (login, found) =
        arrive(login, (&shared.metrics, &config), &database, shutdown.clone(), until).await?;
    match prepare(&login, (&shared.metrics, &config), &database, found).await {
        Ok(admitted) => {
            let news = (config, News::new(newest));
            enter(login, shared, news, admitted, shutdown).await
        }
        Err(refusal) => Err(login.refuse(refusal).await),
    }
}

/// An admitted client.
struct Admitted {
    identity: Identity,
    tenancy: Arc<Tenancy>,
    /// The initial parameters of the server whose values it gets.
    birth: Birth,
    allowance: Allowance,
    place: Places,
}

/// Admits a client, and finds the values of its parameters: on the current cluster of its tenant, if a reload moves the
/// cluster meanwhile.
async fn prepare<S>(
    login: &Login<S>,
    context: (&Metrics, &Config),
    database: &Arc<DatabaseHandle>,
    mut found: Option<Found>,
) -> Result<Admitted, Refusal> {
    loop {
        let refusal = match prepare_there(login, context, database, found.as_ref()).await {
            Ok(admitted) => return Ok(admitted),
            Err(refusal) => refusal,
        };
        let (Some(before), Some(tenant)) = (&found, &login.tenant) else { return Err(refusal) };
        if !database.has_replaced(&before.cluster) {
            return Err(refusal);
        }
        let now = database.find(tenant, context.1).await;
        let now = now.map_err(|error| for_login(no_answer(&error, database)))?;
        found = Some(now.filter(|now| Unserved::of(Some(now.state)).is_none()).ok_or(refusal)?);
    }
}

async fn prepare_there<S>(
    login: &Login<S>,
    (metrics, config): (&Metrics, &Config),
    database: &Arc<DatabaseHandle>,
    found: Option<&Found>,
) -> Result<Admitted, Refusal> {
    // A client without a tenant works on the registry's cluster.
    let place = found.map_or((&database.home, "public"), |found| (&found.cluster, &*found.schema));
    let tenancy = database
        .tenancy(login.tenant.as_ref(), place, login.user.policy(), config)
        .map_err(|error| Refusal::new(error.sqlstate(), error.to_string()))?;
    let allowance = Allowance::of(database, &login.user.name, &tenancy);
    let places = allowance.admit(metrics, &tenancy).map_err(for_login)?;
    let mut base = base_settings(&login.settings, &tenancy)?;
    if login.user.rights.statements == Level::Read && config.tenancy.mode == Mode::Route {
        base.set(
            read_only::SETTING,
            Assignment::of_statement(read_only::SETTING, read_only::SET, Some("on")),
        );
    }
    let base = settings::shared(base);
    let (birth, told) =
        validate(place.0, (&tenancy, allowance.claim()), &base, login_patience(config)).await?;
    let identity = Identity {
        database: Arc::clone(database),
        user: Arc::clone(&login.user),
        base,
        base_told: told,
        peer: login.peer,
        tls: login.stream.is_tls(),
    };
    Ok(Admitted { identity, tenancy, birth, allowance, place: places })
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

/// A client's own path, if it has only schemas that its tenant may name.
fn confined_path(value: &str, tenancy: &Tenancy) -> Result<Box<str>, Refusal> {
    match check::search_path(value).map(|names| ident::search_path(names.iter().map(String::as_str))) {
        Some(path) if tenancy.allows_path(&path) => Ok(path.into()),
        _ => {
            let message = "permission denied: search_path names a schema that is not this tenant's";
            Err(Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, message))
        }
    }
}

async fn enter<S>(
    mut login: Login<S>,
    shared: Arc<Shared>,
    (config, news): (Arc<Config>, News),
    Admitted { identity, tenancy, birth, allowance, place }: Admitted,
    shutdown: watch::Receiver<bool>,
) -> Result<Session<ClientStream<S>>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let told = Arc::clone(&identity.base_told);
    let cancel = shared.cancels.register(login.protocol_minor);
    // Before the client gets the answer, so that each logged-in client is listed.
    let entry = shared.clients.enter(Who {
        user: Arc::clone(&login.user),
        database: login.database.as_str().into(),
        peer: login.peer,
        local: login.local,
        tls: login.stream.tls_in_words(),
        application: application_name(&login.settings),
        cancel: Arc::clone(cancel.slot()),
    });
    let away = tenancy.away.as_ref().map(|cluster| cluster.id);
    entry.set_place(Place { tenant: tenancy.turn.clone(), login: tenancy.isolation.login().cloned(), away });
    let pairs = told.iter().map(|(name, value)| (&**name, &**value));
    login.accept(pairs, cancel.slot().pid, &cancel.slot().key).await?;
    tracing::debug!(peer = %login.peer, user = login.user.name, tenant = tenancy.scope.tenant.as_deref(), "client in");
    entry.log_connection();
    let settings = Tracked::new(Arc::clone(&identity.base));
    let mut pins = Pins::new(Arc::clone(&shared.metrics), identity.database.pinned());
    let session_pooling = identity.user.rights.pool_mode.unwrap_or(config.pool.mode) == PoolMode::Session;
    if session_pooling {
        pins.add(PinReason::SessionPooling);
    }
    entry.set_pins(pins.bits());
    let shown = tenancy.turn.clone();
    let counted = Counted::new(identity.database.clients(), tenancy.tally.as_ref());
    Ok(Session {
        stream: login.stream,
        framing: Framing::new(login.buffer),
        head: Head::default(),
        outbuf: BytesMut::new(),
        scope: Arc::clone(&tenancy.scope),
        scope_basis: Basis::of(&tenancy),
        effective: Effective::of(settings.current(), &tenancy),
        tenants: Tenants::new(tenancy),
        settings,
        holds_cancels: false,
        reading: Reading::default(),
        reported: Reported::new(told, birth),
        statements: ClientStatements::default(),
        portals: Portals::default(),
        status: Status::Idle,
        transaction: Transaction::default(),
        pins,
        listening: Listening::default(),
        draws: None,
        sql_writes: false,
        link: None,
        _counted: counted,
        allowance,
        _place: place,
        clock: Clock::new(),
        accounts: Default::default(),
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

/// The client's application name.
pub(crate) fn application_name(settings: &[(String, String)]) -> Box<str> {
    let name = settings.iter().find(|(name, _)| name == "application_name");
    name.map_or("", |(_, name)| name).into()
}

impl<C> Session<C> {
    /// Waits until the catalog of the tenant's schemas is loaded.
    pub(super) async fn await_names(&mut self) {
        self.shared.metrics.catalog_wait();
        let known = self.scope.names.as_ref().map(|names| names.currency);
        let better = self.cluster().catalog.better(&self.scope.schema, known);
        let loaded = tokio::time::timeout(NAMES_LIMIT, better).await.unwrap_or(false);
        self.head.note_names(!loaded);
    }

    /// Uses the newest catalog of the tenant's schemas, under both strategies: only with the catalog is it known
    /// whether a text may run other code, after which its server must be reset.
    pub(super) fn refresh_scope(&mut self) {
        // By fields, because another field is borrowed mutably below.
        let now = self.tenants.now();
        let cluster = now.away.as_ref().unwrap_or(&self.identity.database.home);
        let (catalog, scope) = (&cluster.catalog, &now.scope);
        let (now, basis) = (self.clock.latest(), &mut self.scope_basis);
        let moved_on = !Arc::ptr_eq(scope, &basis.scope);
        if !moved_on && basis.news == catalog.news() && now < basis.until {
            return;
        }
        // Before the look: DDL that ends between the two counts as unknown to it.
        basis.epoch = cluster.epoch(&scope.schema);
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

#[cfg(test)]
mod tests {
    use super::confined_path;
    use crate::shared::tenancy::Tenancy;
    use crate::sql::fixture::scope;

    #[test]
    fn path_of_the_packet_is_read_as_postgresql_reads_it() {
        let tenancy = Tenancy::of(scope(), "", true);
        let path = |value| confined_path(value, &tenancy).ok().map(String::from);
        assert_eq!(path("Acme , \"public\"").unwrap(), r#""acme", "public""#);
        assert_eq!(path(" ").unwrap(), "\"\"");
        // Quotes of strings and other blanks are ordinary characters in it.
        for other in ["globex", "'acme'", "acme\u{a0}", "\u{a0}", "acme,", "\"acme", "\"acme,public\""] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
