//! The names that a tenant's schema can have.

use std::fmt;

use pgstrata_tenancy::{TenantId, TenantIdError, ident, schema};

use crate::error::Error;
use crate::settings::Settings;

/// The name of a schema that a tenant can have. Any text that PostgreSQL keeps as it is:
/// wherever it enters SQL it is quoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaName(TenantId);

impl SchemaName {
    /// Checks `name`, which is taken as it is: nothing is folded or trimmed.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, Error> {
        let refuse = |why| Err(Error::Name { name: name.to_owned(), why });
        let id = match TenantId::new(name) {
            Ok(id) => id,
            Err(TenantIdError::Empty) => return refuse("it is empty"),
            Err(TenantIdError::TooLong) => {
                return refuse("it has more than 63 bytes, which is the longest that PostgreSQL keeps");
            }
            Err(TenantIdError::Nul) => return refuse("it has a NUL byte in it"),
        };
        if name.starts_with("pg_") {
            return refuse("names that begin with pg_ are PostgreSQL's own");
        }
        if name == "$user" {
            return refuse("on a search path it means the schema of whoever asks, quoted or not");
        }
        if matches!(name, "information_schema" | "public") {
            return refuse("PostgreSQL has a schema of this name for everybody");
        }
        if matches!(name, schema::EVENTS | schema::REGISTRY) {
            return refuse("it is pgstrata's own");
        }
        if name == settings.source {
            return refuse("it is the schema that tenants are made from");
        }
        if settings.shared.iter().any(|shared| shared == name) {
            return refuse("it is a schema that all tenants share");
        }
        if name.chars().any(char::is_control) {
            return refuse("it has control characters in it");
        }
        Ok(Self(id))
    }

    /// As it is.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// As it stands in SQL.
    pub fn quoted(&self) -> String {
        ident::quoted(self.as_str())
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
