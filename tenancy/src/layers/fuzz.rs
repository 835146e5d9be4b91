//! Any sequence of commands leaves the store as it leaves a model that is too simple to be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use bolero::check;

use super::*;

const NAMES: [&str; 4] = [PUBLIC, "acme", "globex", "a\"b"];
const KEYS: [&str; 4] = ["User", "UserTag", "Post", "Ü"];

/// A layer: may it be written to, and what it has.
type Model = BTreeMap<&'static str, (bool, BTreeMap<&'static str, EntityMetadata>)>;

fn entry(byte: u8) -> EntityMetadata {
    let mut entry = EntityMetadata::default();
    if byte & 1 > 0 {
        entry.table_name = Some(format!("table_{byte}").into());
    }
    if byte & 2 > 0 {
        entry.schema = Some(if byte & 4 > 0 { Schema::Own } else { Schema::Named("s".into()) });
    }
    if byte & 8 > 0 {
        entry = entry.with_column("name", &format!("name_{byte}"));
    }
    if byte & 16 > 0 {
        entry = entry.with_column("email", &format!("email_{byte}"));
    }
    entry
}

/// An entry, part by part: its table, its schema, two columns.
type Parts = (Option<String>, Option<Schema>, [Option<String>; 2]);

/// What is seen of an entry.
fn parts(entry: &EntityMetadata) -> Parts {
    let column = |field| entry.column(field).map(str::to_owned);
    (entry.table_name.as_deref().map(str::to_owned), entry.schema.clone(), [column("name"), column("email")])
}

fn seen(model: &Model, context: &str, key: &str) -> Option<Parts> {
    let found: Vec<_> =
        [context, PUBLIC].iter().filter_map(|layer| model.get(layer)?.1.get(key)).map(parts).collect();
    found.into_iter().reduce(|over, below| {
        let [name, email] = over.2;
        let [name_below, email_below] = below.2;
        (over.0.or(below.0), over.1.or(below.1), [name.or(name_below), email.or(email_below)])
    })
}

fn writable<'m>(model: &'m mut Model, name: &str) -> Option<&'m mut BTreeMap<&'static str, EntityMetadata>> {
    model.get_mut(name).filter(|(read_only, _)| !read_only).map(|(_, entries)| entries)
}

/// One command on both. Both must say whether it could be done.
fn command(model: &mut Model, store: &mut LayeredMetadataStore, context: &mut &'static str, bytes: [u8; 3]) {
    let [what, first, second] = bytes;
    let name = NAMES[usize::from(first) % NAMES.len()];
    let other = NAMES[usize::from(second) % NAMES.len()];
    let key = KEYS[usize::from(first) % KEYS.len()];
    let (done, expected) = match what % 8 {
        0 => {
            *context = name;
            (store.set_context(name).is_ok(), true)
        }
        1 => {
            let new = !model.contains_key(name);
            if new {
                model.insert(name, (second & 1 > 0, BTreeMap::new()));
            }
            (store.add_layer(name, second & 1 > 0).is_ok(), new)
        }
        2 | 3 => {
            model.entry(*context).or_default();
            let layer = writable(model, context);
            let expected = layer.is_some();
            if let Some(layer) = layer {
                layer.insert(key, entry(second));
            }
            (store.set(key, entry(second)).is_ok(), expected)
        }
        4 => {
            let removed = name != PUBLIC && model.remove(name).is_some();
            (store.remove_layer(name).is_ok(), removed)
        }
        5 => {
            let source = model.get(name).map(|(_, entries)| entries.clone());
            let possible = source.filter(|_| !model.contains_key(other));
            let expected = possible.is_some();
            if let Some(entries) = possible {
                model.insert(other, (false, entries));
            }
            (store.copy_layer(name, other).is_ok(), expected)
        }
        6 => {
            let source = model.get(name).map(|(_, entries)| entries.clone());
            let expected = source.is_some() && writable(model, other).is_some();
            if let (true, Some(source), Some(target)) = (expected, source, writable(model, other)) {
                for (key, over) in source {
                    let below = target.get(key).cloned().unwrap_or_default();
                    target.insert(key, over.over(&below));
                }
            }
            (store.merge_layer(name, other).is_ok(), expected)
        }
        _ => {
            let layer = writable(model, context);
            let expected = layer.is_some();
            if let Some(layer) = layer {
                layer.remove(key);
            }
            (store.unset(key).is_ok(), expected)
        }
    };
    assert_eq!(done, expected, "{bytes:?}");
}

fn agree(model: &Model, store: &LayeredMetadataStore) {
    for context in NAMES {
        let view = store.in_context(context).unwrap();
        let all: BTreeMap<Arc<str>, _> =
            KEYS.iter().filter_map(|key| Some(((*key).into(), seen(model, context, key)?))).collect();
        for key in KEYS {
            assert_eq!(
                view.get(key).map(|entry| parts(&entry)),
                seen(model, context, key),
                "{context} {key}"
            );
            assert_eq!(view.has(key), all.contains_key(key));
        }
        let listed = |prefix: &str| view.search(prefix).iter().map(|(k, e)| (k.clone(), parts(e))).collect();
        let found: BTreeMap<_, _> = listed("");
        assert_eq!(found, all);
        let found: BTreeMap<_, _> = listed("User");
        assert_eq!(found, all.into_iter().filter(|(key, _)| key.starts_with("User")).collect());
    }
    let layers: BTreeMap<_, _> =
        store.layers().into_iter().map(|layer| (layer.name, (layer.read_only, layer.entries))).collect();
    let expected =
        model.iter().map(|(name, (read_only, entries))| ((*name).into(), (*read_only, entries.len())));
    assert_eq!(layers, expected.collect());
}

#[test]
fn store_does_as_a_simple_model_does() {
    check!().with_max_len(120).for_each(|bytes| {
        let mut store = LayeredMetadataStore::new();
        let mut model = Model::from([(PUBLIC, (false, BTreeMap::new()))]);
        let mut context = PUBLIC;
        let (commands, _) = bytes.as_chunks::<3>();
        for (n, bytes) in commands.iter().enumerate() {
            command(&mut model, &mut store, &mut context, *bytes);
            if n == commands.len() / 2 {
                store.freeze_public();
                model.get_mut(PUBLIC).unwrap().0 = true;
            }
        }
        agree(&model, &store);
    });
}
