//! The two ways in which a statement reaches its tenant's schema.

use serde::{Deserialize, Serialize};

/// How a statement reaches the tenant's schema. Both give the same results.
///
/// ```
/// use pgstrata_tenancy::Strategy;
///
/// assert_eq!(Strategy::default(), Strategy::SearchPath);
/// assert_eq!("schema_qualified".parse::<Strategy>().ok(), Some(Strategy::SchemaQualified));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The path is set for exactly the statement's transaction.
    #[default]
    SearchPath,
    /// The schema is written into the names, where that is proven to mean the
    /// same; every other statement goes by the search path.
    SchemaQualified,
}

impl Strategy {
    /// The name in configuration files, metrics and logs.
    ///
    /// ```
    /// # use pgstrata_tenancy::Strategy;
    /// assert_eq!(Strategy::SearchPath.as_str(), "search_path");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::SearchPath => "search_path",
            Strategy::SchemaQualified => "schema_qualified",
        }
    }
}

/// A name that is not a strategy.
///
/// ```
/// use pgstrata_tenancy::Strategy;
///
/// let unknown = "set_role".parse::<Strategy>().unwrap_err();
/// assert_eq!(unknown.to_string(), "a strategy is \"search_path\" or \"schema_qualified\"");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("a strategy is \"search_path\" or \"schema_qualified\"")]
pub struct UnknownStrategy;

impl std::str::FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        let found =
            [Strategy::SearchPath, Strategy::SchemaQualified].into_iter().find(|s| s.as_str() == name);
        found.ok_or(UnknownStrategy)
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
