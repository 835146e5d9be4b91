//! Tables that can be read without a path.
//!
//! A name with its schema in front needs no path. What it names may: a view calls functions whose own names are found by the path, and so
//! does a policy of row security. So PostgreSQL is asked what a name stands for, in the same flight as the first read of it, and again once in
//! a while. Only what is known to be a table with columns of PostgreSQL's own types is read without a path.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use tokio_postgres::types::Type;

use crate::row::Row;
use crate::sql::{Bound, Sql};
use crate::table::Table;

/// How long an answer of PostgreSQL's counts.
const FRESH: Duration = Duration::from_secs(60);
/// How many names are remembered.
const MOST: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Which of these names are tables whose reads need no path, and which are there at all.
const PROBE: &str = "SELECT w.n, c.relkind IN ('r', 'p') AND NOT c.relrowsecurity AND NOT EXISTS (\
       SELECT FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
       LEFT JOIN pg_catalog.pg_type AS b \
         ON b.oid OPERATOR(pg_catalog.=) CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END \
       WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped \
         AND t.typnamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace AND t.typtype OPERATOR(pg_catalog.<>) 'e' \
         AND NOT (b.oid IS NOT NULL \
           AND (b.typnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace OR b.typtype OPERATOR(pg_catalog.=) 'e'))) \
     FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) \
       WITH ORDINALITY AS w (s, t, n) \
     JOIN pg_catalog.pg_namespace AS s ON s.nspname OPERATOR(pg_catalog.=) w.s::pg_catalog.name \
     JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) s.oid \
       AND c.relname OPERATOR(pg_catalog.=) w.t::pg_catalog.name";

/// The tables that a statement names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// One of them means the tenant's only under its path.
    pub(crate) by_path: bool,
    tables: Vec<Name>,
}

/// A schema, and a table in it.
type Name = (Arc<str>, Arc<str>);

impl Names {
    pub(crate) fn add(&mut self, table: &Table) {
        self.by_path |= table.by_path;
        self.tables.extend(table.qualified());
    }

    /// The question about them.
    pub(super) fn probe(&self) -> Probe {
        let schemas = self.tables.iter().map(|(schema, _)| schema.to_string()).collect();
        Probe { schemas, tables: self.tables.iter().map(|(_, table)| table.to_string()).collect() }
    }
}

/// A question about names.
pub(super) struct Probe {
    schemas: Vec<String>,
    tables: Vec<String>,
}

impl Probe {
    pub(super) fn sql(&self) -> Sql<'_> {
        Sql {
            text: PROBE.into(),
            values: vec![Bound::Given(&self.schemas), Bound::Given(&self.tables)],
            types: Some(vec![Type::TEXT_ARRAY, Type::TEXT_ARRAY]),
            once: true,
            ..Sql::default()
        }
    }
}

/// What is known of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, or nothing that is fresh.
    No,
    Plain,
    ByPath,
}

/// What is known of tables, and since when.
#[derive(Debug)]
pub(super) struct PlainTables(Mutex<LruCache<Name, (bool, Instant)>>);

impl Default for PlainTables {
    fn default() -> Self {
        let mut cache = LruCache::unbounded();
        cache.resize(MOST);
        Self(Mutex::new(cache))
    }
}

impl PlainTables {
    /// What is known of all of these.
    pub(super) fn look(&self, names: &Names) -> Known {
        let mut cache = self.lock();
        let mut known = Known::Plain;
        for name in &names.tables {
            match cache.get(name) {
                Some((_, learnt)) if learnt.elapsed() > FRESH => return Known::No,
                Some((true, _)) => {}
                Some((false, _)) => known = Known::ByPath,
                None => return Known::No,
            }
        }
        known
    }

    /// Takes down what PostgreSQL has said of these. A name that nothing has is not remembered, and needs no path to be an error.
    pub(super) fn learn(&self, names: &Names, found: Option<Vec<Row>>) -> Known {
        // What was not answered is not known to be plain.
        let Some(found) = found else { return Known::ByPath };
        let (mut known, now) = (Known::Plain, Instant::now());
        for row in found {
            let (Ok(number), Ok(plain)) = (row.try_get::<_, i64>(0), row.try_get::<_, bool>(1)) else {
                return Known::ByPath;
            };
            let name = usize::try_from(number - 1).ok().and_then(|number| names.tables.get(number));
            let Some(name) = name else { return Known::ByPath };
            self.lock().put(name.clone(), (plain, now));
            if !plain {
                known = Known::ByPath;
            }
        }
        known
    }

    /// Something is not as it was.
    pub(super) fn forget(&self, names: &Names) {
        let mut cache = self.lock();
        for name in &names.tables {
            cache.pop(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Name, (bool, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_of_all_names_is_known() {
        let plain = PlainTables::default();
        let names = |tables: &[&str]| Names {
            by_path: false,
            tables: tables.iter().map(|table| ("acme".into(), (*table).into())).collect(),
        };
        assert_eq!(plain.look(&names(&["users"])), Known::No);
        plain.lock().put(("acme".into(), "users".into()), (true, Instant::now()));
        assert_eq!(plain.look(&names(&["users"])), Known::Plain);
        assert_eq!(plain.look(&names(&["users", "totals"])), Known::No);
        plain.lock().put(("acme".into(), "totals".into()), (false, Instant::now()));
        assert_eq!(plain.look(&names(&["users", "totals"])), Known::ByPath);
        plain.forget(&names(&["totals"]));
        assert_eq!(plain.look(&names(&["totals", "users"])), Known::No);
        assert_eq!(plain.learn(&names(&["users"]), None), Known::ByPath);
    }
}
