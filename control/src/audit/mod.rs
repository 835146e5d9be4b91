//! The objects that each tenant's role can reach, and problems of the servers' role.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Control;
use crate::error::Error;
use crate::harden::{Hardening, Weakness};
use crate::name::SchemaName;

/// The findings.
#[derive(Debug, Serialize)]
pub struct Audit {
    /// The role that the proxy's servers log in as.
    pub login: Option<String>,
    /// Problems of the servers' role.
    pub login_findings: Vec<String>,
    /// The privileges that `pgstrata sql harden` would revoke from the role and from `PUBLIC`.
    pub weaknesses: Vec<Weakness>,
    /// Each tenant with a role.
    pub tenants: Vec<Audited>,
    /// The number of tenants without a role: only the proxy keeps them apart.
    pub without_role: usize,
}

/// One tenant.
#[derive(Debug, Serialize)]
pub struct Audited {
    /// Its schema.
    pub schema: String,
    /// Its role.
    pub role: String,
    /// Objects that the role can reach and should not, or missing privileges; empty if there are none.
    pub findings: Vec<String>,
}

impl Audit {
    /// Whether there are no findings.
    pub fn is_clean(&self) -> bool {
        self.login_findings.is_empty()
            && self.weaknesses.is_empty()
            && self.tenants.iter().all(|tenant| tenant.findings.is_empty())
    }
}

impl Control {
    /// Queries PostgreSQL for the objects that these tenants' roles can reach.
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
