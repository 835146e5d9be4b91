//! The rows of materialized views.

use std::collections::{HashMap, HashSet};

use super::item::{Item, Kind, ObjectId};
use super::read::Facts;

/// Puts what fills the materialized views that are filled behind the `items`, in the order in which they read
/// each other. One that is read and not filled itself is emptied again.
pub(super) fn complete(items: &mut Vec<Item>, facts: &Facts) {
    let makers: HashMap<ObjectId, usize> =
        items.iter().enumerate().flat_map(|(at, item)| item.ids.iter().map(move |id| (*id, at))).collect();
    let filled: HashSet<ObjectId> = facts
        .relations
        .iter()
        .filter(|row| row.get::<_, &str>("kind") == "m" && row.get("populated"))
        .map(|row| ObjectId { class: facts.classes.pg_class, oid: row.get("oid") })
        .collect();
    let mut wanted: Vec<usize> = filled.iter().filter_map(|id| makers.get(id).copied()).collect();
    let mut read: HashSet<usize> = HashSet::new();
    while let Some(at) = wanted.pop() {
        if read.insert(at) {
            let needs = items.get(at).map(Item::all_needs).unwrap_or_default();
            wanted.extend(needs.iter().filter_map(|need| makers.get(need)));
        }
    }
    let mut fill = Vec::new();
    let mut empty = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if item.kind != Kind::MaterializedView || !read.contains(&at) {
            continue;
        }
        let (refresh, emptied) = (format!("REFRESH MATERIALIZED VIEW {}", item.name), " WITH NO DATA");
        let undo = format!("{refresh}{emptied}");
        if !item.ids.iter().any(|id| filled.contains(id)) {
            empty.push(Item::new(Kind::Refresh, format!("{}{emptied}", item.name), &undo, &refresh));
        }
        fill.push(Item::new(Kind::Refresh, &item.name, refresh, undo));
    }
    items.append(&mut fill);
    items.append(&mut empty);
}
