//! A tenant's name, checked once on input.

use std::fmt;
use std::sync::Arc;

use crate::ident;

/// A tenant's name: 1 to 63 bytes without NUL. Cheap to clone.
///
/// It is any text that PostgreSQL can hold as an identifier, so wherever it
/// enters SQL it goes through [`ident::push_quoted`].
///
/// ```
/// use pgstrata_tenancy::{TenantId, ident};
///
/// # fn main() -> Result<(), pgstrata_tenancy::TenantIdError> {
/// let id = TenantId::new("Acme \"1\"")?;
/// assert_eq!(ident::quoted(id.as_str()), r#""Acme ""1""""#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// Why a text is not a tenant name.
///
/// ```
/// use pgstrata_tenancy::{TenantId, TenantIdError};
///
/// let wrong = TenantId::new(&"x".repeat(64)).unwrap_err();
/// assert_eq!(wrong, TenantIdError::TooLong);
/// assert_eq!(wrong.to_string(), "a tenant name must not be longer than 63 bytes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantIdError {
    /// The name is empty.
    #[error("a tenant name must not be empty")]
    Empty,
    /// PostgreSQL would truncate it, and two tenants could become one.
    #[error("a tenant name must not be longer than {} bytes", ident::MAX_BYTES)]
    TooLong,
    /// PostgreSQL cannot store it.
    #[error("a tenant name must not contain a NUL byte")]
    Nul,
}

impl TenantId {
    /// Checks `name`, without folding or trimming it.
    ///
    /// ```
    /// # use pgstrata_tenancy::{TenantId, TenantIdError};
    /// assert_ne!(TenantId::new("Acme"), TenantId::new("acme"));
    /// assert_eq!(TenantId::new(""), Err(TenantIdError::Empty));
    /// ```
    pub fn new(name: &str) -> Result<Self, TenantIdError> {
        match name {
            "" => Err(TenantIdError::Empty),
            _ if name.len() > ident::MAX_BYTES => Err(TenantIdError::TooLong),
            _ if name.contains('\0') => Err(TenantIdError::Nul),
            _ => Ok(Self(name.into())),
        }
    }

    /// The name as it was given.
    ///
    /// ```
    /// # use pgstrata_tenancy::{TenantId, TenantIdError};
    /// assert_eq!(TenantId::new(" acme ")?.as_str(), " acme ");
    /// # Ok::<(), TenantIdError>(())
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(TenantId::new(""), Err(TenantIdError::Empty));
        assert_eq!(TenantId::new("a\0b"), Err(TenantIdError::Nul));
        assert_eq!(TenantId::new(&"é".repeat(32)), Err(TenantIdError::TooLong));
        assert!(TenantId::new(&"x".repeat(63)).is_ok());
        assert_eq!(TenantId::new("Acme \"1\"").unwrap().as_str(), "Acme \"1\"");
    }
}
