//! The two ways in which a statement reaches its tenant's schema.

use serde::{Deserialize, Serialize};

/// How a statement reaches the tenant's schema. Both give the same answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The path is set for exactly the transaction that the statement runs in.
    #[default]
    SearchPath,
    /// The schema is written into the names, where that is proven to mean the
    /// same; every other statement goes by the search path.
    SchemaQualified,
}

impl Strategy {
    /// The name in configuration files, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::SearchPath => "search_path",
            Strategy::SchemaQualified => "schema_qualified",
        }
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
