//! Statements of all forms, made by a grammar with a fixed seed: the same ones each time.
//!
//! A rule is a list of templates; `{name}` in one is an expansion of rule `name`. The first
//! template of a rule that refers to others is the one that ends a recursion.

use std::collections::BTreeSet;

use super::random::Random;
use super::rules;

/// How deep templates may stand in one another.
const DEPTH: usize = 7;
/// How many statements of each kind.
const COUNTS: &[(&str, usize)] =
    &[("select", 1500), ("insert", 600), ("update", 600), ("delete", 500), ("merge", 150), ("other", 350)];

/// A kind of statement and its text.
pub(crate) type Sample = (&'static str, String);

/// All statements, no two the same.
pub(crate) fn corpus() -> Vec<Sample> {
    let mut random = Random::new(0x5DEE_CE66_D1CE_4E5B);
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for &(kind, count) in COUNTS {
        for _ in 0..count * 2 {
            let text = expand(&mut random, kind, 0);
            if out.iter().filter(|(k, _)| *k == kind).count() < count && seen.insert(text.clone()) {
                out.push((kind, text));
            }
        }
    }
    let lone = rules::LONE.iter().map(|text| ("other", (*text).to_owned()));
    out.extend(lone.filter(|(_, text)| seen.insert(text.clone())));
    out
}

fn expand(random: &mut Random, rule: &str, depth: usize) -> String {
    let templates = rules::rule(rule);
    let template = if depth > DEPTH { templates[0] } else { *random.pick(templates) };
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (slot, behind) = behind.split_once('}').expect("a slot that is closed");
        out.push_str(before);
        // SQL has braces too, in its array literals.
        match rules::exists(slot) {
            true => out.push_str(&expand(random, slot, depth + 1)),
            false => out.extend(["{", slot, "}"]),
        }
        rest = behind;
    }
    out + rest
}
