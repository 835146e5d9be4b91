//! The proxy under test: the deployment's own configuration, with a port, users and a pool for the test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use pgstrata_tenancy::Strategy;
use rand::RngExt;

use super::tenants::Tenants;
use super::wire::Raw;
use crate::config::{
    AuthMethod, Config, Database, DynamicSql, Level, ListenTls, Mode, PoolMode, Secret, ServerTls,
    TenantSource, User,
};
use crate::pool::connect::ConnectError;
use crate::pool::target;

/// The user that may run SQL which carries SQL, as the first tenant.
pub const DYNAMIC: &str = "dynamic";

/// Where the proxy under test is.
pub struct Target {
    port: u16,
    database: String,
    password: String,
}

impl Target {
    /// A client of a user, for a tenant, with more in its start-up options.
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
        };
        let target = target::Target::new(&self.database, &database);
        let target = target.map_err(|error| ConnectError::Protocol(error.to_string()))?;
        Raw::login(&target, &[("options", &format!("-ctenant={tenant} {options}"))]).await
    }
}

/// The configuration of the proxy for one strategy, and where it will be.
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
    // One server: what one client leaves there, the next would find.
    (config.pool.min_servers, config.pool.max_servers, config.pool.mode) = (0, 1, PoolMode::Transaction);
    (config.pool.max_servers_per_tenant, config.pool.max_tenant_servers) = (1, 2);
    (config.tenancy.mode, config.tenancy.strategy) = (Mode::Route, strategy);
    config.tenancy.tier = tenants.roles.tier;
    config.tenancy.sources = vec![TenantSource::Options];
    let user = |name: &str, tenant: &str, dynamic_sql| User {
        name: name.to_owned(),
        password: Secret::new(&password),
        tenants: vec![tenant.to_owned()],
        auth: AuthMethod::ScramSha256,
        admin: false,
        stats: false,
        dynamic_sql,
        // What is refused here is refused by the guard, and not for its kind.
        statements: Level::All,
        time_limits: None,
        tenant_switch: false,
        pool_mode: None,
    };
    let (own, other) = (tenants.own.as_str(), tenants.other.as_str());
    config.users = vec![
        user(own, own, DynamicSql::Refuse),
        user(other, other, DynamicSql::Refuse),
        user(DYNAMIC, own, DynamicSql::Allow),
    ];
    Ok((config, Target { port: address.port(), database: name.to_owned(), password }))
}
