//! The name of a tenant's role in PostgreSQL, checked once on input.

use std::fmt;
use std::sync::Arc;

use crate::ident;

/// The name of a tenant's role. Cheap to clone.
///
/// ```
/// use pgstrata_tenancy::RoleName;
///
/// # fn main() -> Result<(), pgstrata_tenancy::RoleNameError> {
/// let role = RoleName::new("tenant \"1\"")?;
/// assert_eq!(role.as_str(), "tenant \"1\"");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleName(Arc<str>);

/// Why a text is not a name for a tenant's role.
///
/// ```
/// use pgstrata_tenancy::{RoleName, RoleNameError};
///
/// assert_eq!(RoleName::new("pg_monitor"), Err(RoleNameError::Reserved));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleNameError {
    /// The name is empty.
    #[error("a role's name must not be empty")]
    Empty,
    /// PostgreSQL would truncate it, and two tenants could become one.
    #[error("a role's name must not be longer than {} bytes", ident::MAX_BYTES)]
    TooLong,
    /// PostgreSQL cannot store it.
    #[error("a role's name must not contain a NUL byte")]
    Nul,
    /// `SET ROLE "none"` means no role: the role of the login.
    #[error("\"none\", \"public\" and names that begin with pg_ are PostgreSQL's own")]
    Reserved,
}

impl RoleName {
    /// Checks `name`, without folding or trimming it.
    ///
    /// ```
    /// # use pgstrata_tenancy::{RoleName, RoleNameError};
    /// assert!(RoleName::new("acme_role").is_ok());
    /// assert_eq!(RoleName::new("none"), Err(RoleNameError::Reserved));
    /// ```
    pub fn new(name: &str) -> Result<Self, RoleNameError> {
        match name {
            "" => Err(RoleNameError::Empty),
            "none" | "public" => Err(RoleNameError::Reserved),
            _ if name.starts_with("pg_") => Err(RoleNameError::Reserved),
            _ if name.len() > ident::MAX_BYTES => Err(RoleNameError::TooLong),
            _ if name.contains('\0') => Err(RoleNameError::Nul),
            _ => Ok(Self(name.into())),
        }
    }

    /// The name as it was given.
    ///
    /// ```
    /// # use pgstrata_tenancy::{RoleName, RoleNameError};
    /// assert_eq!(RoleName::new("Acme")?.as_str(), "Acme");
    /// # Ok::<(), RoleNameError>(())
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in double quotes.
    ///
    /// ```
    /// # use pgstrata_tenancy::{RoleName, RoleNameError};
    /// assert_eq!(RoleName::new("Acme")?.quoted(), r#""Acme""#);
    /// # Ok::<(), RoleNameError>(())
    /// ```
    pub fn quoted(&self) -> String {
        ident::quoted(&self.0)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoleName({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_no_role_or_all_are_refused() {
        for name in ["none", "public", "pg_read_all_data", "pg_"] {
            assert_eq!(RoleName::new(name), Err(RoleNameError::Reserved), "{name}");
        }
        assert_eq!(RoleName::new(""), Err(RoleNameError::Empty));
        assert_eq!(RoleName::new("a\0b"), Err(RoleNameError::Nul));
        assert_eq!(RoleName::new(&"é".repeat(32)), Err(RoleNameError::TooLong));
        assert_eq!(RoleName::new("None \"1\"").unwrap().quoted(), r#""None ""1""""#);
    }
}
