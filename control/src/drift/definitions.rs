//! A blueprint as single definitions that can be compared.

use std::collections::{HashMap, HashSet};

use crate::blueprint::Blueprint;
use crate::blueprint::item::{Create, Item, Kind, ObjectId};

/// One definition: an item, or a part of one.
pub(super) struct Definition<'a> {
    /// The text of the definition.
    pub text: &'a str,
    /// SQL that creates it if its table exists already.
    pub create: String,
    /// SQL that drops it.
    pub drop: &'a str,
    pub ids: Vec<ObjectId>,
    /// The objects with which it is dropped.
    pub of: Vec<ObjectId>,
    /// The item whose statement creates it.
    pub within: Option<Key>,
    pub needs: Vec<ObjectId>,
    /// It depends on an object of another schema: the same text has another meaning there.
    pub astray: bool,
}

/// The kind and the name of a definition.
pub(super) type Key = (Kind, String);

/// The definitions of a schema, in order.
pub(super) struct Definitions<'a> {
    pub order: Vec<Key>,
    pub by_key: HashMap<Key, Definition<'a>>,
}

impl<'a> Definitions<'a> {
    /// The definitions of a schema, which must not depend on the `foreign` objects.
    pub fn new(blueprint: &'a Blueprint, foreign: &[ObjectId]) -> Self {
        let mut all = Self { order: Vec::new(), by_key: HashMap::new() };
        let foreign: HashSet<&ObjectId> = foreign.iter().collect();
        for item in &blueprint.items {
            all.add(item);
        }
        for definition in all.by_key.values_mut() {
            definition.astray = definition.needs.iter().any(|need| foreign.contains(need));
        }
        all
    }

    fn add(&mut self, item: &'a Item) {
        // The number of rows is not a difference of structure.
        if matches!(item.kind, Kind::Seed | Kind::Refresh) {
            return;
        }
        let text = match &item.create {
            Create::Sql(sql) | Create::View { create: sql, .. } => sql.as_str(),
            Create::Whole(whole) => whole.head.as_str(),
        };
        let key = (item.kind, item.name.clone());
        self.insert(
            key.clone(),
            Definition {
                text,
                create: item.sql(),
                drop: &item.drop,
                ids: item.ids.clone(),
                of: item.of.into_iter().collect(),
                within: None,
                needs: item.needs.clone(),
                astray: false,
            },
        );
        let Create::Whole(whole) = &item.create else { return };
        let part = |text, create, drop, ids, needs| Definition {
            text,
            create,
            drop,
            ids,
            of: item.ids.clone(),
            within: Some(key.clone()),
            needs,
            astray: false,
        };
        let tail = part(whole.tail.as_str(), String::new(), "", Vec::new(), item.ids.clone());
        self.insert((Kind::Tail, item.name.clone()), tail);
        for (at, this) in whole.parts.iter().enumerate() {
            let text = if this.separate.is_empty() { &this.inline } else { &this.separate };
            let mut create = this.separate.clone();
            if this.kind == Kind::Column {
                // A column is added with its default and its NOT NULL, which existing rows need.
                let more = whole.parts.iter().skip(at + 1).take_while(|part| part.continues);
                create.extend(more.map(|part| format!(" {}", part.inline)));
            }
            let ids = this.id.into_iter().collect();
            let needs = this.needs.iter().chain(&item.ids).copied().collect();
            self.insert((this.kind, this.name.clone()), part(text, create, &this.drop, ids, needs));
        }
    }

    fn insert(&mut self, key: Key, definition: Definition<'a>) {
        self.order.push(key.clone());
        self.by_key.insert(key, definition);
    }

    /// The definitions in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Key, &Definition<'a>)> {
        self.order.iter().filter_map(|key| Some((key, self.by_key.get(key)?)))
    }

    /// The definition of that kind and name.
    pub fn get(&self, key: &Key) -> Option<&Definition<'a>> {
        self.by_key.get(key)
    }
}
