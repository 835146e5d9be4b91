//! The settings of one database, created completely before any of them takes effect.

use std::sync::Arc;

use pgstrata_tenancy::ident;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::SetupError;
use crate::catalog::{CatalogError, Control, Listener, Survey};
use crate::channels;
use crate::clients::Origin;
use crate::config::{Config, Database, Mode};
use crate::metrics::Metrics;
use crate::net::tls::client_tls_config;
use crate::pool::roster::Roster;
use crate::pool::servers::Kind;
use crate::pool::share::Reserved;
use crate::pool::target::Target;
use crate::provision::{ProvisionQueue, Provisioner};
use crate::tenant;

/// The parts of one database.
pub(super) struct Parts {
    /// The settings of its pool.
    pub kind: Kind,
    /// The path of a new server's session.
    pub baseline: Arc<str>,
    /// The connections for the proxy's own queries.
    pub control: Control,
    /// The settings of the connection for clients' `LISTEN`.
    pub channels: channels::Settings,
    /// The listener for changes of tenants.
    pub listener: Listener,
    /// The survey, which finds changes without a notification.
    pub survey: Survey,
    /// Creates tenants, if `provision.auto` has patterns.
    pub provisioner: Option<(Provisioner, ProvisionQueue)>,
}

impl Parts {
    /// For the database of that name. Reads certificates, so it is slow and blocks; connects to nothing.
    pub fn new(
        name: &str,
        config: &Config,
        metrics: &Arc<Metrics>,
        origin: Origin,
    ) -> Result<Self, SetupError> {
        // Config::load has checked that each name has an entry.
        let Some(entry) = config.databases.get(name) else {
            return Err(CatalogError::NoTls(name.to_owned()).into());
        };
        let tls = client_tls_config(entry).map_err(|error| SetupError::Tls(name.to_owned(), error))?;
        let tenancy = &config.tenancy;
        let baseline = ident::search_path(tenancy.shared_schemas.iter().map(String::as_str)).into();
        let control = Control::new(name, entry, tls.clone())?;
        let target = Target::with(name, entry, tls.clone());
        Ok(Self {
            kind: kind((name, target), &baseline, config, metrics, Roster::new(origin)),
            baseline,
            channels: channels::Settings::new(name, entry, tls.clone())?,
            listener: Listener::new(name, entry, tls, tenancy.catalog_notify)?,
            survey: Survey::new(control.clone(), tenancy.tenant_cache),
            control,
            provisioner: provisioner(config, name, entry)?,
        })
    }

    /// The same, with the parts of a running pool that must continue: its count of current logins. With `reconnect`,
    /// older servers are replaced.
    pub fn after(mut self, running: &Kind, reconnect: bool) -> Self {
        let (before, most) = (running.settings.max_logins, self.kind.settings.max_logins);
        self.kind.logins = match before == most {
            true => Arc::clone(&running.logins),
            false => Arc::new(Semaphore::new(most)),
        };
        self.kind.roster = Arc::clone(&running.roster);
        self.kind.since = if reconnect { Some(Instant::now()) } else { running.since };
        self
    }
}

fn kind(
    (name, target): (&str, Target),
    baseline: &Arc<str>,
    config: &Config,
    metrics: &Arc<Metrics>,
    roster: Arc<Roster>,
) -> Kind {
    let mut parameters = vec![
        ("client_encoding".to_owned(), "UTF8".to_owned()),
        // The guard reads strings in the standard way.
        ("standard_conforming_strings".to_owned(), "on".to_owned()),
    ];
    // In observe mode, clients have PostgreSQL's own path.
    if config.tenancy.mode == Mode::Route {
        parameters.push(("search_path".to_owned(), baseline.to_string()));
    }
    let limits = &config.limits;
    Kind {
        target: Arc::new(target.tcp_user_timeout(config.pool.tcp_user_timeout)),
        parameters,
        settings: config.pool_of(name),
        reserved: Arc::new(reserved(config)),
        max_prepared: (limits.max_prepared_statements_per_server, limits.max_prepared_bytes_per_server),
        metrics: Arc::clone(metrics),
        logins: Arc::new(Semaphore::new(config.pool.max_logins)),
        roster,
        since: None,
    }
}

/// The servers that are reserved for single tenants.
fn reserved(config: &Config) -> Reserved {
    let reserved = config.tenant_limits.reserved();
    reserved.map(|(tenant, servers)| (Some(tenant.into()), servers)).collect()
}

/// Creates tenants of this database, if `provision.auto` has patterns.
fn provisioner(
    config: &Config,
    name: &str,
    database: &Database,
) -> Result<Option<(Provisioner, ProvisionQueue)>, SetupError> {
    if config.provision.auto.is_empty() {
        return Ok(None);
    }
    let control = tenant::connect::control(config, name, database, None)
        .map_err(|failure| SetupError::Control(name.to_owned(), failure.to_string()))?;
    Ok(Some(Provisioner::new(config, name, control)))
}
