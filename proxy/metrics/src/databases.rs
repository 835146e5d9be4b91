//! Gauges of databases. They go with their database: a recorder would show the last ones for ever.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::gauge;

/// The name of a gauge, the database, and the value of its other label, if it has one.
type Key = (&'static str, String, Option<(&'static str, &'static str)>);

/// The gauges of all databases, with their newest values.
#[derive(Default)]
pub(super) struct Databases(Mutex<BTreeMap<Key, f64>>);

impl Databases {
    /// This is so from now on.
    pub(super) fn set(
        &self,
        name: &'static str,
        database: &str,
        label: Option<(&'static str, &'static str)>,
        value: f64,
    ) {
        self.lock().insert((name, database.to_owned(), label), value);
    }

    /// Forgets those of databases that are not `kept`.
    pub(super) fn retain(&self, kept: impl Fn(&str) -> bool) {
        self.lock().retain(|(_, database, _), _| kept(database));
    }

    /// Tells them to the recorder that is in force.
    pub(super) fn record(&self) {
        for ((name, database, label), value) in &*self.lock() {
            let mut labels = vec![("database", database.clone())];
            labels.extend(label.map(|(label, of)| (label, of.to_owned())));
            gauge!(*name, &labels).set(*value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
