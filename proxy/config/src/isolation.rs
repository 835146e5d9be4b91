//! How a tenant is kept apart from the others, and by which role.

use pgstrata_tenancy::{RoleName, RoleNameError, Tier};

use super::{Config, Mode};

/// What PostgreSQL is told of a tenant's SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing: it runs as the role that servers log in as.
    #[default]
    Names,
    /// Each transaction runs as this role.
    Role(RoleName),
    /// It runs on servers that log in as this role.
    Login(RoleName),
}

/// Why a tenant can't have the role that its tier needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRole {
    /// No role can be called that.
    #[error("tenant \"{tenant}\" can not have the role \"{role}\": {why}")]
    Name {
        /// Whose it would be.
        tenant: String,
        /// What it would be called.
        role: String,
        /// What is wrong with that.
        why: RoleNameError,
    },
    /// It would keep nobody apart.
    #[error("tenant \"{tenant}\" can not have the role \"{role}\": {whose}")]
    Taken {
        /// Whose it would be.
        tenant: String,
        /// What it is called.
        role: String,
        /// Who has it.
        whose: &'static str,
    },
}

impl NoRole {
    /// The SQLSTATE that PostgreSQL has for such a name.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            NoRole::Name { why: RoleNameError::TooLong, .. } => "42622",
            NoRole::Name { why: RoleNameError::Reserved, .. } => "42939",
            NoRole::Name { .. } => "42602",
            NoRole::Taken { .. } => "42710",
        }
    }
}

impl Isolation {
    /// The tier.
    pub fn tier(&self) -> Tier {
        match self {
            Isolation::Names => Tier::Names,
            Isolation::Role(_) => Tier::Role,
            Isolation::Login(_) => Tier::Login,
        }
    }

    /// The tenant's role, where PostgreSQL knows it by one.
    pub fn role(&self) -> Option<&RoleName> {
        match self {
            Isolation::Names => None,
            Isolation::Role(role) | Isolation::Login(role) => Some(role),
        }
    }

    /// The role that its servers log in as, where they are its own.
    pub fn login(&self) -> Option<&RoleName> {
        match self {
            Isolation::Login(role) => Some(role),
            Isolation::Names | Isolation::Role(_) => None,
        }
    }

    /// The role that is set for each transaction.
    pub fn set_role(&self) -> Option<&RoleName> {
        match self {
            Isolation::Role(role) => Some(role),
            Isolation::Names | Isolation::Login(_) => None,
        }
    }
}

impl Config {
    /// For `tenant`, whose schema is `schema`, in a database whose servers log in as `servers_role`.
    pub fn isolation(
        &self,
        tenant: Option<&str>,
        schema: &str,
        servers_role: &str,
    ) -> Result<Isolation, NoRole> {
        let Some(tenant) = tenant.filter(|_| self.tenancy.mode == Mode::Route) else {
            return Ok(Isolation::Names);
        };
        let own = self.tenants.get(tenant);
        let tier = own.and_then(|own| own.tier).unwrap_or(self.tenancy.tier);
        if tier == Tier::Names {
            return Ok(Isolation::Names);
        }
        let named = own.and_then(|own| own.role.clone());
        let role = named.unwrap_or_else(|| format!("{}{schema}", self.tenancy.role_prefix));
        let tenant = tenant.to_owned();
        let is_others = |(name, other): (&String, &super::Tenant)| {
            *name != tenant && other.role.as_deref() == Some(role.as_str())
        };
        if role == servers_role {
            let whose = "it is the one that the proxy's servers log in as";
            return Err(NoRole::Taken { tenant, role, whose });
        }
        if self.tenants.iter().any(is_others) {
            return Err(NoRole::Taken { tenant, role, whose: "it is another tenant's" });
        }
        match RoleName::new(&role) {
            Ok(role) if tier == Tier::Login => Ok(Isolation::Login(role)),
            Ok(role) => Ok(Isolation::Role(role)),
            Err(why) => Err(NoRole::Name { tenant, role, why }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(tenancy: &str) -> Config {
        let text = format!(
            "[tenancy]\nlogin_key = 'a key for tests, of 32 bytes or more'\n{tenancy}\n\
             [databases.app]\nhost = 'db'\nuser = 'app'"
        );
        Config::parse(&text, Path::new("test.toml")).unwrap()
    }

    fn of(config: &Config, tenant: &str, schema: &str) -> Result<String, &'static str> {
        match config.isolation(Some(tenant), schema, "app") {
            Ok(isolation) => {
                Ok(format!("{} {}", isolation.tier(), isolation.role().map_or("", RoleName::as_str)))
            }
            Err(error) => Err(error.sqlstate()),
        }
    }

    #[test]
    fn role_is_the_tenants_own() {
        let config = config(
            "tier = 'role'\n[tenants.boss]\nrole = 'tenant_chief'\n[tenants.t1]\nschema = 's1'\n\
             [tenants.free]\ntier = 'names'\n[tenants.self]\ntier = 'login'",
        );
        assert_eq!(of(&config, "acme", "acme").unwrap(), "role tenant_acme");
        assert_eq!(of(&config, "boss", "boss").unwrap(), "role tenant_chief");
        assert_eq!(of(&config, "t1", "s1").unwrap(), "role tenant_s1");
        assert_eq!(of(&config, "free", "free").unwrap(), "names ");
        assert_eq!(of(&config, "self", "self").unwrap(), "login tenant_self");
        assert_eq!(config.isolation(None, "public", "app"), Ok(Isolation::Names));
        // A schema that comes later can't have the role that somebody else was given.
        assert_eq!(of(&config, "chief", "chief"), Err("42710"));
        assert_eq!(of(&config, &"x".repeat(57), &"x".repeat(57)), Err("42622"));
    }

    #[test]
    fn no_prefix_makes_no_role_of_none() {
        let config = config("tier = 'role'\nrole_prefix = ''");
        assert_eq!(of(&config, "none", "none"), Err("42939"));
        assert_eq!(of(&config, "app", "app"), Err("42710"));
        assert_eq!(of(&config, "acme", "acme").unwrap(), "role acme");
    }
}
