//! Operators of types that are not PostgreSQL's own.
//!
//! PostgreSQL finds an operator by the path. Where `citext` is in a schema that is not on it, `=` of two of its values is that of `text`, which
//! minds the case, and nothing says so. Such a comparison is refused.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio_postgres::types::Type;

use super::session::{Place, Session};
use super::watch::Stopped;
use crate::sql::{Bound, Sql};
use crate::{DatabaseKind, Error};

/// How long an answer of PostgreSQL's counts.
const FRESH: Duration = Duration::from_secs(60);

/// The schemas with types of this name that have an `=` of their own.
const SCHEMAS: &str = "SELECT DISTINCT n.nspname::pg_catalog.text FROM pg_catalog.pg_type AS t \
     JOIN pg_catalog.pg_operator AS o ON o.oprleft OPERATOR(pg_catalog.=) t.oid \
       AND o.oprright OPERATOR(pg_catalog.=) t.oid AND o.oprname OPERATOR(pg_catalog.=) '=' \
     JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace \
     WHERE t.typname OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name";

/// So many types are known, those that were compared last. Tenants with databases of their own each have theirs.
const MOST: usize = 1024;

/// Where types that are compared have their operators.
#[derive(Debug)]
pub(super) struct Operators(Mutex<LruCache<String, (Vec<String>, Instant)>>);

impl Default for Operators {
    fn default() -> Self {
        // What has no bound makes no room before it is needed.
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl Operators {
    fn known(&self, name: &str) -> Option<Vec<String>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (schemas, learnt) = known.get(name)?;
        (learnt.elapsed() < FRESH).then(|| schemas.clone())
    }

    fn learn(&self, name: String, schemas: &[String]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(name, (schemas.to_vec(), Instant::now()));
        while known.len() > MOST {
            known.pop_lru();
        }
    }
}

impl Session {
    /// Whether the operators of all types that a statement compares are those of the types.
    pub(super) async fn check_operators(&self, place: &Place, sql: &Sql<'_>) -> Result<(), Error> {
        // A proxy has rules of its own for what is on the path.
        let guards = self.strategy().guards_sessions() && self.kind() == DatabaseKind::Postgres;
        if sql.compared.is_empty() || !guards {
            return Ok(());
        }
        let path = self.path(place);
        for sql_type in &sql.compared {
            let name = base_name(sql_type);
            let key = self.operators_key(place, &name);
            let schemas = match self.shared.operators.known(&key) {
                Some(schemas) => schemas,
                None => self.ask_schemas(place, name, key).await?,
            };
            let reached = |schema: &String| schema == "pg_catalog" || path.contains(&schema.as_str());
            if let Some(schema) = schemas.first().filter(|_| !schemas.iter().any(reached)) {
                return Err(Error::Operators { sql_type: (*sql_type).to_owned(), schema: schema.clone() });
            }
        }
        Ok(())
    }

    /// Under which name a type's operators are known: each database has its own.
    fn operators_key(&self, place: &Place, name: &str) -> String {
        match self.strategy().databases() {
            Some(_) => format!("{}\0{name}", place.name()),
            None => name.to_owned(),
        }
    }

    async fn ask_schemas(&self, place: &Place, name: String, key: String) -> Result<Vec<String>, Error> {
        let sql = Sql {
            text: SCHEMAS.into(),
            values: vec![Bound::Given(&name)],
            types: Some(vec![Type::TEXT]),
            once: true,
            ..Sql::default()
        };
        let doing =
            |stopped: Stopped| stopped.while_doing(|| format!("looking for operators of type {name}"));
        let rows = self.look_up(place, &sql).await.map_err(doing)?.rows;
        let schemas: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        self.shared.operators.learn(key, &schemas);
        Ok(schemas)
    }
}

/// A type's name in the catalog, as a column's definition writes it.
fn base_name(sql_type: &str) -> String {
    let mut name = sql_type.trim().trim_end_matches("[]").trim_end();
    if name.ends_with(')') {
        name = name.rsplit_once('(').map_or(name, |(front, _)| front.trim_end());
    }
    let mut quoted = false;
    let outside = |c: char| {
        quoted ^= c == '"';
        c == '.' && !quoted
    };
    let last = name.split(outside).last().unwrap_or_default().trim();
    match last.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => last.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_were_compared_last_are_known() {
        let operators = Operators::default();
        operators.learn("citext".into(), &["public".into()]);
        for tenant in 0..5000 {
            operators.learn(format!("tenant_{tenant}\0citext"), &[]);
            assert_eq!(operators.known("citext"), Some(vec!["public".into()]), "it is used");
        }
        assert_eq!(operators.0.lock().unwrap().len(), MOST);
        assert_eq!(operators.known("tenant_0\0citext"), None);
    }

    #[test]
    fn base_names_are_those_of_the_catalog() {
        for (sql_type, name) in [
            ("citext", "citext"),
            ("CITEXT[]", "citext"),
            ("public.citext", "citext"),
            ("extensions.vector(3)", "vector"),
            ("\"Odd Type\"", "Odd Type"),
            ("\"s\".\"a.\"\"b\"", "a.\"b"),
        ] {
            assert_eq!(base_name(sql_type), name, "{sql_type}");
        }
    }
}
