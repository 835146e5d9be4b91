//! Whether our reading of a text has as many statements as PostgreSQL's own parser finds.

use std::sync::Arc;

use pgstrata_grammar::Tree;
use pgstrata_sql::keys::KeySpaces;
use pgstrata_sql::level::Level;
use pgstrata_sql::{Engine, Route, Scope, TextMode};
use pgstrata_tenancy::Strategy;

use super::drive::Wrong;

/// Longer texts are not given to the parser: it may need more stack than there is.
const LENGTH: usize = 20_000;

/// Holds the proxy's engine against PostgreSQL's parser.
pub struct Splitter {
    engine: Engine,
    scope: Scope,
}

impl Splitter {
    /// For a tenant that may do all: only what no one may do is refused before it is read.
    pub fn new() -> Self {
        let scope = Scope {
            tenant: Some("acme_corp".into()),
            schema: "acme_corp".into(),
            shared: Arc::new(["public".into()]),
            database: "app".into(),
            role: "app".into(),
            strategy: Strategy::SearchPath,
            dynamic_sql: true,
            large_objects: false,
            statements: Level::All,
            shared_writes: true,
            moved: Arc::default(),
            hide_others: false,
            keys: KeySpaces::default(),
            names: None,
            trusted_functions: Arc::default(),
            locked_settings: Arc::default(),
            limits_time: true,
            functions: None,
        };
        Self { engine: Engine::new(1 << 20), scope }
    }

    /// For a tenant that may do nothing but work in its own schema.
    pub fn strict() -> Self {
        let mut strict = Self::new();
        (strict.scope.dynamic_sql, strict.scope.shared_writes) = (false, false);
        strict
    }

    /// Whether the guard refuses the text, whatever the schemas hold.
    pub fn refuses(&self, text: &str) -> bool {
        let plan = self.engine.plan(text.as_bytes(), &self.scope, TextMode::default());
        matches!(plan.route, Route::Refuse(_))
    }

    /// Whether PostgreSQL's parser takes the text.
    pub fn parses(text: &str) -> bool {
        text.len() <= LENGTH && Tree::parse(text).is_ok()
    }

    /// Both read the text.
    ///
    /// # Errors
    /// [`Wrong::Split`] where the text would be sent, PostgreSQL can read it, and the numbers differ.
    pub fn check(&self, text: &str) -> Result<(), Wrong> {
        let plan = self.engine.plan(text.as_bytes(), &self.scope, TextMode::default());
        if matches!(plan.route, Route::Refuse(_)) || text.len() > LENGTH {
            return Ok(());
        }
        let Ok(tree) = Tree::parse(text) else { return Ok(()) };
        let (ours, theirs) = (plan.statements.len(), tree.statements().count());
        match ours == theirs {
            true => Ok(()),
            false => Err(Wrong::Split(format!("{ours} statements for the proxy, {theirs} for PostgreSQL"))),
        }
    }
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Splitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Splitter").field("scope", &self.scope).finish_non_exhaustive()
    }
}
