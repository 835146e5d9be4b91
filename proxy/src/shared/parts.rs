//! What the configuration says of one database, made whole before any of it acts.

use std::sync::Arc;
use std::time::Instant;

use pgstrata_tenancy::ident;
use tokio::sync::Semaphore;

use super::SetupError;
use crate::catalog::{CatalogError, Control, Listener, Survey};
use crate::channels;
use crate::clients::Origin;
use crate::config::{Config, Database, Mode};
use crate::metrics::Metrics;
use crate::pool::roster::Roster;
use crate::pool::servers::Kind;
use crate::pool::target::Target;
use crate::pool::tls::client_tls_config;
use crate::provision::{Births, Provisioner};
use crate::tenant;

/// The parts of one database.
pub(super) struct Parts {
    /// What its servers are like.
    pub kind: Kind,
    /// The path that servers are born with.
    pub baseline: Arc<str>,
    /// Asks what the proxy itself wants to know.
    pub control: Control,
    /// How notifications are heard.
    pub channels: channels::Settings,
    /// How changes of tenants are heard of.
    pub listener: Listener,
    /// Looks for those that nobody tells of.
    pub survey: Survey,
    /// What makes tenants, where some are to be made.
    pub provisioner: Option<(Provisioner, Births)>,
}

impl Parts {
    /// For the database of that name. Reads certificates: slow, and blocking. Connects to nobody.
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
            kind: kind(target, &baseline, config, metrics, Roster::new(origin)),
            baseline,
            channels: channels::Settings::new(name, entry, tls.clone())?,
            listener: Listener::new(name, entry, tls, tenancy.catalog_notify)?,
            survey: Survey::new(control.clone(), tenancy.tenant_cache),
            control,
            provisioner: provisioner(config, name, entry)?,
        })
    }

    /// The same, with what a pool that stands has to go on with: those who log in now are counted there. With
    /// `reconnect`, servers that are older are replaced.
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
    target: Target,
    baseline: &Arc<str>,
    config: &Config,
    metrics: &Arc<Metrics>,
    roster: Arc<Roster>,
) -> Kind {
    let mut parameters = vec![
        ("client_encoding".to_owned(), "UTF8".to_owned()),
        // The guard reads texts as the standard has it.
        ("standard_conforming_strings".to_owned(), "on".to_owned()),
    ];
    // Where nothing is routed, PostgreSQL's own path is the one that clients know.
    if config.tenancy.mode == Mode::Route {
        parameters.push(("search_path".to_owned(), baseline.to_string()));
    }
    let limits = &config.limits;
    Kind {
        target: Arc::new(target.tcp_user_timeout(config.pool.tcp_user_timeout)),
        parameters,
        settings: config.pool.clone(),
        share: config.tenancy.max_servers_per_tenant,
        max_prepared: (limits.max_prepared_statements_per_server, limits.max_prepared_bytes_per_server),
        metrics: Arc::clone(metrics),
        logins: Arc::new(Semaphore::new(config.pool.max_logins)),
        roster,
        since: None,
    }
}

/// What makes tenants of this database by itself; nothing where none are to be made.
fn provisioner(
    config: &Config,
    name: &str,
    database: &Database,
) -> Result<Option<(Provisioner, Births)>, SetupError> {
    if config.provision.auto.is_empty() {
        return Ok(None);
    }
    let control = tenant::connect::control(config, name, database, None)
        .map_err(|failure| SetupError::Control(name.to_owned(), failure.to_string()))?;
    Ok(Some(Provisioner::new(config, name, control)))
}
