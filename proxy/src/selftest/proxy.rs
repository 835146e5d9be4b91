//! The proxy under test: the deployment's configuration, with a separate port, users and a pool.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use pgstrata_tenancy::Strategy;
use rand::RngExt;

use super::tenants::Tenants;
use super::wire::Raw;
use crate::config::{
    Config, Database, DynamicSql, Level, LimitTable, ListenTls, Mode, PoolMode, Rights, Secret, ServerTls,
    TenantLimits, TenantSource, User,
};
use crate::pool::connect::ConnectError;
use crate::pool::target;

/// The user with dynamic SQL, for the first tenant.
pub const DYNAMIC: &str = "dynamic";

/// The address of the proxy under test.
pub struct Target {
    port: u16,
    database: String,
    password: String,
}

impl Target {
    /// A client of a user, for a tenant, with additional start-up options.
    pub async fn client(&self, user: &str, tenant: &str, options: &str) -> Result<Raw, ConnectError> {
        let database = Database {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: self.port,
            database: None,
            user: user.to_owned(),
            password: Secret::new(&self.password),
            tls: ServerTls::Disable,
            tls_ca: None,
            control: Default::default(),
            limits: LimitTable::default(),
            cluster: None,
        };
        let target = target::Target::new(&self.database, &database);
        let target = target.map_err(|error| ConnectError::Protocol(error.to_string()))?;
        Raw::login(&target, &[("options", &format!("-ctenant={tenant} {options}"))]).await
    }
}

/// The configuration of the proxy for one strategy, and its address.
pub fn configured(
    config: &Config,
    name: &str,
    strategy: Strategy,
    tenants: &Tenants,
) -> Result<(Config, Target), String> {
    let password = format!("{:032x}", rand::rng().random::<u128>());
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address: SocketAddr = port.map_err(|error| format!("no free port: {error}"))?;
    let mut config = config.clone();
    config.listen.address = address;
    config.listen.tls = ListenTls::Off;
    config.http.enabled = false;
    // One server, so that the next client gets the server that the previous one has left.
    (config.pool.min_servers, config.pool.max_servers, config.pool.mode) = (0, 1, PoolMode::Transaction);
    (config.pool.max_servers_per_tenant, config.pool.max_tenant_servers) = (1, 2);
    // Without limits of tenants.
    config.tenant_limits = TenantLimits::default();
    config.databases.values_mut().for_each(|database| database.limits = LimitTable::default());
    (config.tenancy.mode, config.tenancy.strategy) = (Mode::Route, strategy);
    config.tenancy.tier = tenants.roles.tier;
    config.tenancy.sources = vec![TenantSource::Options];
    let user = |name: &str, tenant: &str, dynamic_sql| User {
        name: name.to_owned(),
        password: Secret::new(&password),
        rights: Rights {
            tenants: vec![tenant.to_owned()],
            databases: vec!["*".to_owned()],
            dynamic_sql,
            // All kinds of statements are allowed, so that only the guard can refuse an attack.
            statements: Level::All,
            ..Rights::default()
        },
        admin: false,
        stats: false,
        granted: None,
        system_users: Vec::new(),
        limits: LimitTable::default(),
    };
    let (own, other) = (tenants.own.as_str(), tenants.other.as_str());
    config.users = vec![
        user(own, own, DynamicSql::Refuse),
        user(other, other, DynamicSql::Refuse),
        user(DYNAMIC, own, DynamicSql::Allow),
    ];
    Ok((config, Target { port: address.port(), database: name.to_owned(), password }))
}
