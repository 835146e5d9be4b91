//! Sorts items so that each one's dependencies come first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use super::item::{Create, Item, Kind, ObjectId, Part};
use crate::error::Error;

/// The items in order. If some depend on each other, parts that can come later are separated: defaults and
/// constraints from their tables, views from their placeholders.
pub(super) fn order(mut items: Vec<Item>, depends: &[(ObjectId, ObjectId)]) -> Result<Vec<Item>, Error> {
    note_needs(&mut items, depends);
    split_off(&mut items, |part| part.inline.is_empty());
    loop {
        let graph = Graph::new(&items);
        let order = graph.sort(&items);
        if order.len() == items.len() {
            let mut items: Vec<Option<Item>> = items.into_iter().map(Some).collect();
            return Ok(order.into_iter().filter_map(|at| items.get_mut(at)?.take()).collect());
        }
        let placed: HashSet<usize> = order.into_iter().collect();
        let stuck = Graph::new(&items).knot((0..items.len()).filter(|at| !placed.contains(at)).collect());
        if !loosen(&mut items, &stuck) {
            let names = stuck.iter().filter_map(|at| items.get(*at)).map(|item| item.name.clone());
            let mut names: Vec<String> = names.collect();
            names.sort();
            return Err(Error::Refused(format!(
                "these objects depend on each other in a cycle, so none can be created first: {}",
                names.join(", ")
            )));
        }
    }
}

/// Adds the dependencies of the catalog to each item and each part.
fn note_needs(items: &mut [Item], depends: &[(ObjectId, ObjectId)]) {
    let mut needs: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
    for (id, need) in depends {
        needs.entry(*id).or_default().push(*need);
    }
    let of = |id: &ObjectId| needs.get(id).cloned().unwrap_or_default();
    for item in items {
        let mut more: Vec<ObjectId> = item.ids.iter().flat_map(of).collect();
        more.retain(|need| !item.ids.contains(need));
        item.needs.extend(more);
        match &mut item.create {
            Create::Whole(whole) => {
                for part in &mut whole.parts {
                    part.needs.extend(part.id.iter().flat_map(of));
                }
            }
            // The dependency of the view itself, not of its query.
            Create::View { shell_needs, .. } => shell_needs.extend(item.ids.iter().take(2).flat_map(of)),
            Create::Sql(_) => {}
        }
    }
}

/// Separates parts so that the items `stuck` can be sorted. `false`: there is nothing (more) to separate.
fn loosen(items: &mut Vec<Item>, stuck: &BTreeSet<usize>) -> bool {
    let mut parts = Vec::new();
    for at in stuck {
        let Some(item) = items.get_mut(*at) else { continue };
        let Create::Whole(whole) = &mut item.create else { continue };
        let (off, on) =
            whole.parts.drain(..).partition(|part| part.id.is_some() && !part.separate.is_empty());
        whole.parts = on;
        parts.push((item.ids.clone(), off));
    }
    let mut found = false;
    for (ids, off) in parts {
        found |= !off.is_empty();
        items.extend(off.into_iter().map(|part: Part| separate(part, &ids)));
    }
    if found {
        return true;
    }
    for at in stuck {
        let Some(item) = items.get_mut(*at) else { continue };
        let Create::View { shell, shell_needs, replace, .. } = &item.create else { continue };
        let (shell, shell_needs) = (shell.clone(), shell_needs.clone());
        let mut view = Item::new(Kind::View, format!("{} itself", item.name), replace, String::new());
        // Other items depend on the placeholder, which needs the types of its columns; the view itself keeps its
        // dependencies.
        view.needs = std::mem::replace(&mut item.needs, shell_needs);
        view.needs.extend(&item.ids);
        item.create = Create::Sql(shell);
        items.push(view);
        return true;
    }
    false
}

/// Turns the parts that are `meant` into items.
fn split_off(items: &mut Vec<Item>, meant: impl Fn(&Part) -> bool) {
    let mut off = Vec::new();
    for item in items.iter_mut() {
        let ids = item.ids.clone();
        let Create::Whole(whole) = &mut item.create else { continue };
        let (parts, on) = whole.parts.drain(..).partition(&meant);
        whole.parts = on;
        off.extend(Vec::into_iter(parts).map(|part| separate(part, &ids)));
    }
    items.extend(off);
}

fn separate(part: Part, whole: &[ObjectId]) -> Item {
    let mut item = Item::new(part.kind, part.name, part.separate, part.drop);
    item.ids.extend(part.id);
    item.of = whole.first().copied();
    item.needs = part.needs;
    item.needs.extend(whole);
    item
}

/// The dependencies, by item number.
struct Graph {
    /// The number of unsorted dependencies of each item.
    waits: Vec<usize>,
    /// The dependents of each item.
    followers: Vec<Vec<usize>>,
}

impl Graph {
    fn new(items: &[Item]) -> Self {
        let mut owners: HashMap<ObjectId, usize> = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            let parts = match &item.create {
                Create::Whole(whole) => whole.parts.as_slice(),
                _ => &[],
            };
            let ids = item.ids.iter().copied().chain(parts.iter().filter_map(|part| part.id));
            owners.extend(ids.map(|id| (id, at)));
        }
        let mut edges: HashSet<(usize, usize)> = HashSet::new();
        let mut edge = |from: Option<&usize>, to: usize| {
            if let Some(&from) = from
                && from != to
            {
                edges.insert((from, to));
            }
        };
        for (at, item) in items.iter().enumerate() {
            for need in item.all_needs() {
                edge(owners.get(&need), at);
            }
        }
        // Indexes and keys are attached to those of the partitioned table after its partitions are attached, and
        // columns that are added later propagate to inheritance children.
        let attached = items.iter().enumerate().filter(|(_, item)| item.kind == Kind::Attach);
        let mut attaches: HashMap<ObjectId, Vec<usize>> = HashMap::new();
        for (at, item) in attached {
            for need in &item.needs {
                attaches.entry(*need).or_default().push(at);
            }
        }
        for (at, item) in items.iter().enumerate() {
            if matches!(item.kind, Kind::Column | Kind::Index | Kind::Key | Kind::ForeignKey | Kind::Trigger)
            {
                for attach in item.needs.iter().filter_map(|need| attaches.get(need)).flatten() {
                    edge(Some(attach), at);
                }
            }
        }
        let mut graph = Self { waits: vec![0; items.len()], followers: vec![Vec::new(); items.len()] };
        for (from, to) in edges {
            if let (Some(waits), Some(followers)) = (graph.waits.get_mut(to), graph.followers.get_mut(from)) {
                *waits += 1;
                followers.push(to);
            }
        }
        graph
    }

    /// Of the items `stuck`, those that depend on each other; the others only depend on these.
    fn knot(&self, mut stuck: BTreeSet<usize>) -> BTreeSet<usize> {
        loop {
            let is_needed = |at: &usize| {
                self.followers.get(*at).is_some_and(|them| them.iter().any(|at| stuck.contains(at)))
            };
            let knot: BTreeSet<usize> = stuck.iter().copied().filter(is_needed).collect();
            if knot.len() == stuck.len() {
                return knot;
            }
            stuck = knot;
        }
    }

    /// The item numbers in order, as far as there is one.
    fn sort(mut self, items: &[Item]) -> Vec<usize> {
        let key = |at: usize| items.get(at).map(|item| (item.kind, item.name.as_str()));
        let mut ready: BinaryHeap<_> = self
            .waits
            .iter()
            .enumerate()
            .filter(|(_, waits)| **waits == 0)
            .map(|(at, _)| Reverse((key(at), at)))
            .collect();
        let mut order = Vec::with_capacity(items.len());
        while let Some(Reverse((_, at))) = ready.pop() {
            order.push(at);
            let followers = self.followers.get_mut(at).map(std::mem::take).unwrap_or_default();
            for follower in followers {
                if let Some(waits) = self.waits.get_mut(follower) {
                    *waits -= 1;
                    if *waits == 0 {
                        ready.push(Reverse((key(follower), follower)));
                    }
                }
            }
        }
        order
    }
}
