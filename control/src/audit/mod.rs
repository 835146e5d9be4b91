//! What each tenant's role can reach, and what is wrong with the role of the proxy's servers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Control;
use crate::error::Error;
use crate::harden::{Hardening, Weakness};
use crate::name::SchemaName;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Audit {
    /// The role that the proxy's servers log in as.
    pub login: Option<String>,
    /// What is wrong with it.
    pub login_findings: Vec<String>,
    /// What `pgstrata sql harden` would take away from it, and from everybody.
    pub weaknesses: Vec<Weakness>,
    /// Each tenant with a role of its own.
    pub tenants: Vec<Audited>,
    /// How many tenants have none: for PostgreSQL they are all the same, and the proxy alone keeps them apart.
    pub without_role: usize,
}

/// One tenant.
#[derive(Debug, Serialize)]
pub struct Audited {
    /// Its schema.
    pub schema: String,
    /// Its role.
    pub role: String,
    /// What that can reach and should not, or lacks; nothing: it reaches its own and what all share.
    pub findings: Vec<String>,
}

impl Audit {
    /// Whether there is nothing to say.
    pub fn is_clean(&self) -> bool {
        self.login_findings.is_empty()
            && self.weaknesses.is_empty()
            && self.tenants.iter().all(|tenant| tenant.findings.is_empty())
    }
}

impl Control {
    /// Asks PostgreSQL, of these tenants' roles, what they can reach.
    pub async fn audit(&self, schemas: &[SchemaName]) -> Result<Audit, Error> {
        let (mut tenants, mut nologin) = (Vec::new(), Vec::new());
        for schema in schemas {
            let Some(role) = self.settings().role(schema)? else { continue };
            let (schema, name) = (schema.to_string(), role.name.as_str().to_owned());
            tenants.push(Audited { schema, role: name, findings: Vec::new() });
            nologin.push(role.password.is_none());
        }
        let names: Vec<&str> = tenants.iter().map(|tenant| tenant.schema.as_str()).collect();
        let roles: Vec<&str> = tenants.iter().map(|tenant| tenant.role.as_str()).collect();
        let shared = &self.settings().shared;
        let client = self.client().await?;
        let doing = || Error::postgres("asking what roles can reach");
        let rows = client
            .query(include_str!("reach.sql"), &[&names, &roles, shared, &nologin])
            .await
            .map_err(doing())?;
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            found.entry(row.get(0)).or_default().push(row.get(1));
        }
        let taken: Vec<&str> =
            roles.iter().zip(&nologin).filter(|(_, nologin)| **nologin).map(|(role, _)| *role).collect();
        let login = self.settings().proxy_role.clone();
        let rows =
            client.query(include_str!("login.sql"), &[&login, shared, &taken]).await.map_err(doing())?;
        let login_findings = rows.iter().map(|row| row.get(0)).collect();
        drop(client);
        let weaknesses = match Hardening::of(self.settings()) {
            Some(hardening) => self.weaknesses(&hardening).await?,
            None => Vec::new(),
        };
        for tenant in &mut tenants {
            tenant.findings = found.remove(&tenant.schema).unwrap_or_default();
        }
        let without_role = schemas.len() - tenants.len();
        Ok(Audit { login, login_findings, weaknesses, without_role, tenants })
    }
}
