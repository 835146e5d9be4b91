//! Which modules of this crate use which: no circle leads through a session.
//!
//! What sessions and the state that they share both need stands below both, so that each can be read, and tested, without
//! the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// By module, the modules that it uses by `crate::NAME`.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// The modules above a session: they start it, show it, or run in its program.
const ABOVE_SESSIONS: [&str; 2] = ["admin", "serve"];

/// The names behind `crate::` in a source text, without its comments.
fn used(source: &str) -> impl Iterator<Item = &str> {
    let code = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(|line| line.split("crate::").skip(1)).map(|rest| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        rest.split(|c: char| !is_part(c)).next().unwrap_or_default()
    })
}

/// Adds what the files of a folder use; `module`: the module of all of them, or one for each where it is `None`.
fn read(folder: &Path, module: Option<&str>, uses: &mut Uses) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let module = module.unwrap_or(name);
        if path.is_dir() {
            read(&path, Some(module), uses);
        } else if !matches!(module, "lib" | "main") {
            let source = fs::read_to_string(&path).unwrap();
            let names = used(&source).filter(|name| *name != module).map(str::to_owned);
            uses.entry(module.to_owned()).or_default().extend(names);
        }
    }
}

fn uses() -> Uses {
    let mut uses = Uses::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut uses);
    uses
}

/// All modules that a module stands on.
fn below(module: &str, uses: &Uses) -> BTreeSet<String> {
    let (mut below, mut open) = (BTreeSet::new(), vec![module.to_owned()]);
    while let Some(next) = open.pop() {
        let names = uses.get(&next).into_iter().flatten();
        open.extend(names.filter(|name| uses.contains_key(*name) && below.insert((*name).clone())).cloned());
    }
    below
}

#[test]
fn no_circle_leads_through_a_session() {
    let uses = uses();
    assert!(below("session", &uses).contains("shared"), "the reading of the sources is broken");
    for module in ["session", "explain"] {
        assert!(!below(module, &uses).contains(module), "{module}: {:?}", below(module, &uses));
    }
}

#[test]
fn sessions_are_used_from_above_only() {
    let uses = uses();
    let users: Vec<_> = uses.iter().filter(|(_, names)| names.contains("session")).collect();
    assert!(users.iter().all(|(module, _)| ABOVE_SESSIONS.contains(&module.as_str())), "{users:?}");
    for module in ["needs", "search_path"] {
        let own: Vec<_> = below(module, &uses).into_iter().collect();
        assert!(own.is_empty(), "{module}: {own:?}");
    }
}

#[test]
fn names_are_read_from_code_only() {
    let source = "use crate::a::B;\nlet c = crate::d_1(crate::e::F); // crate::g\n/// [`crate::h`]\n";
    assert_eq!(used(source).collect::<Vec<_>>(), ["a", "d_1", "e"]);
}
