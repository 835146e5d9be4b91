//! The drops, creations and alterations of objects, in a possible order.

use std::collections::HashSet;

use super::alter::{altered, is_remade, keeps_data};
use super::definitions::{Definition, Definitions, Key};
use super::{Change, Difference};
use crate::blueprint::Blueprint;
use crate::blueprint::item::{Kind, ObjectId};

/// The changes that make `tenant` equal to `source`.
pub fn compare(source: &Blueprint, tenant: &Blueprint) -> Vec<Change> {
    let (wanted, there) = (Definitions::new(source, &[]), Definitions::new(tenant, source.originals()));
    let remade = remade(&wanted, &there);
    let mut comparison = Comparison { wanted: &wanted, there: &there, remade, changes: Vec::new() };
    let dropped = comparison.dropped();
    comparison.changes.extend(dropped);
    comparison.make_all();
    comparison.changes
}

struct Comparison<'a> {
    wanted: &'a Definitions<'a>,
    there: &'a Definitions<'a>,
    /// The tenant's definitions that are dropped and created again.
    remade: HashSet<Key>,
    changes: Vec<Change>,
}

/// A definition that differs and cannot be altered is created again, with everything that depends on it.
fn remade(wanted: &Definitions<'_>, there: &Definitions<'_>) -> HashSet<Key> {
    let mut remade = HashSet::new();
    let mut queue: Vec<ObjectId> = Vec::new();
    for (key, old) in there.iter() {
        let new = wanted.get(key);
        let differs = old.astray || new.is_none_or(|new| new.text != old.text);
        if differs && is_remade(key.0, old.text, new.map(|new| new.text)) {
            if new.is_some() {
                remade.insert(key.clone());
            }
            queue.extend(&old.ids);
        }
    }
    let mut seen: HashSet<ObjectId> = HashSet::new();
    while let Some(id) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        for (key, old) in there.iter() {
            let follows = old.needs.contains(&id) && !keeps_data(key.0);
            if follows && wanted.get(key).is_some() && remade.insert(key.clone()) {
                queue.extend(&old.ids);
            }
        }
    }
    remade
}

/// The column of a part of a column.
fn column_of((kind, name): &Key) -> Option<Key> {
    matches!(kind, Kind::Default | Kind::Identity | Kind::NotNull).then(|| (Kind::Column, name.clone()))
}

impl Comparison<'_> {
    /// Whether only the tenant has it.
    fn is_extra(&self, key: &Key) -> bool {
        self.there.get(key).is_some() && self.wanted.get(key).is_none()
    }

    /// Whether only the source has it.
    fn is_missing(&self, key: &Key) -> bool {
        self.wanted.get(key).is_some() && self.there.get(key).is_none()
    }

    /// The drops, in the reverse order of creation.
    fn dropped(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let (there, wanted) = (self.there, self.wanted);
        let goes = |key: &Key| wanted.get(key).is_none() || self.remade.contains(key);
        let ids = |meant: &dyn Fn(&Key) -> bool| -> HashSet<ObjectId> {
            there.iter().filter(|(key, _)| meant(key)).flat_map(|(_, old)| old.ids.clone()).collect()
        };
        let (dropped, lost) = (ids(&goes), ids(&|key| self.is_extra(key) && keeps_data(key.0)));
        let is_in =
            |old: &Definition<'_>, ids: &HashSet<ObjectId>| old.of.iter().any(|whole| ids.contains(whole));
        for (key, old) in there.iter().rev() {
            let with_column = column_of(key).is_some_and(|column| self.is_extra(&column));
            // Tables that reference each other are dropped after these references.
            let along = key.0 != Kind::ForeignKey && is_in(old, &dropped);
            if goes(key) && !with_column && !along && key.0 != Kind::Tail {
                changes.extend(self.dropping(key, old, is_in(old, &lost)));
            }
        }
        changes
    }

    /// `lost`: it belongs to an object whose drop deletes data, and is dropped only with that.
    fn dropping(&self, key: &Key, old: &Definition<'_>, lost: bool) -> Option<Change> {
        let extra = self.is_extra(key);
        let (kind, name) = key;
        // An owner that differs is changed when the source's is set.
        (*kind != Kind::Owner).then(|| Change {
            difference: if extra { Difference::Extra } else { Difference::Changed },
            kind: *kind,
            name: name.clone(),
            sql: old.drop.to_owned(),
            loses_data: lost || extra && keeps_data(*kind),
            why_not: old.drop.is_empty().then(|| "there is no command that takes it away".to_owned()),
        })
    }

    fn make_all(&mut self) {
        let (there, wanted) = (self.there, self.wanted);
        for (key, new) in wanted.iter() {
            match there.get(key) {
                None => self.create(key, new, Difference::Missing),
                Some(_) if self.remade.contains(key) => self.create(key, new, Difference::Changed),
                Some(old) if old.astray || old.text != new.text => self.alter(key, old, new),
                Some(_) => {}
            }
        }
    }

    fn create(&mut self, key: &Key, new: &Definition<'_>, difference: Difference) {
        let with_column = column_of(key).is_some_and(|column| self.is_missing(&column));
        let with_table = new.within.as_ref().is_some_and(|whole| self.is_missing(whole));
        let (kind, name) = key;
        if with_column || with_table || *kind == Kind::Tail {
            return;
        }
        self.changes.push(Change {
            difference,
            kind: *kind,
            name: name.clone(),
            sql: new.create.clone(),
            loses_data: false,
            why_not: new.create.is_empty().then(|| "it can't be added to what is there".to_owned()),
        });
    }

    /// The changes of an object that exists in both.
    fn alter(&mut self, (kind, name): &Key, old: &Definition<'_>, new: &Definition<'_>) {
        let sql = altered(*kind, name, old.text, new.text);
        let why_not = sql.is_none().then(|| format!("the source has: {}", new.text.trim()));
        self.changes.push(Change {
            difference: Difference::Changed,
            kind: *kind,
            name: name.clone(),
            sql: sql.unwrap_or_default(),
            loses_data: false,
            why_not,
        });
    }
}
