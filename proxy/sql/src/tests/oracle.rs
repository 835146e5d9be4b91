//! PostgreSQL's own parser says which names are relations, and its scanner where tokens end.

pub(crate) mod corpus;
pub(super) mod mutate;
pub(super) mod random;
mod rules;
pub(super) mod tree;

use std::collections::BTreeMap;

use pgstrata_grammar::oracle::{ScannedKind, ScannedToken, scan};

use crate::lexer::Lexer;
use crate::plan::Insert;
use crate::tests::plans::*;
use crate::{Engine, Plan, Route, TextMode};
use mutate::mutate;
use random::Random;

/// The four kinds whose share is promised.
const PROMISED: &[&str] = &["select", "insert", "update", "delete"];

/// What became of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Spliced,
    Passed,
    ByPath,
    Refused,
}

/// Holds a route against PostgreSQL's tree; `None` where PostgreSQL refuses the text.
pub(super) fn check(text: &str, plan: &Plan) -> Option<Way> {
    let mut tree = tree::parse(text)?;
    match &plan.route {
        Route::Splice => {
            let found = tree::qualify(&mut tree, &names());
            assert!(found.bound.is_empty(), "spliced, yet bound to the path by {:?}: {text}", found.bound);
            let unknown: Vec<_> = found.relations.iter().filter(|(_, schema)| schema.is_none()).collect();
            assert!(unknown.is_empty(), "spliced, yet {unknown:?} is not known: {text}");
            let sent = String::from_utf8(splice(text.as_bytes(), &plan.splices)).expect("UTF-8");
            let after = tree::parse(&sent).unwrap_or_else(|| panic!("does not parse: {sent}"));
            assert!(after == tree, "another tree than that of the names:\n{text}\n{sent}");
            Some(Way::Spliced)
        }
        Route::Pass => {
            let found = tree::qualify(&mut tree, &names());
            assert!(found.bound.is_empty(), "passed, yet bound to the path by {:?}: {text}", found.bound);
            assert!(found.relations.is_empty(), "passed with {:?}: {text}", found.relations);
            Some(Way::Passed)
        }
        Route::SearchPath | Route::OwnTransaction | Route::NeedNames => {
            if let Some(sent) = pinned(text, plan) {
                let after = tree::parse(&sent).unwrap_or_else(|| panic!("does not parse: {sent}"));
                let same = tree::is_same_but_for_schema(&tree, &after, "acme");
                assert!(same, "another tree than that of the text:\n{text}\n{sent}");
            }
            Some(Way::ByPath)
        }
        Route::Refuse(_) => Some(Way::Refused),
    }
}

/// The text with what holds its targets in place, where nothing else goes into it.
pub(super) fn pinned(text: &str, plan: &Plan) -> Option<String> {
    let alone = plan.splices.iter().all(|splice| matches!(splice.insert, Insert::Schema(_)));
    let sent = splice(text.as_bytes(), &plan.splices);
    (alone && !plan.splices.is_empty()).then(|| String::from_utf8(sent).expect("UTF-8"))
}

#[test]
fn spliced_names_are_those_of_postgresql() {
    let mut counts: BTreeMap<(&str, Way), usize> = BTreeMap::new();
    let mut others: Vec<(Way, String)> = Vec::new();
    let mut invalid = Vec::new();
    for (kind, text) in corpus::corpus() {
        let Some(way) = check(&text, &plan(&text)) else {
            invalid.push(text);
            continue;
        };
        *counts.entry((kind, way)).or_default() += 1;
        if PROMISED.contains(&kind) && way > Way::Passed {
            others.push((way, text));
        }
    }
    let count = |kind, way| counts.get(&(kind, way)).copied().unwrap_or_default();
    for (way, text) in &others {
        println!("{}: {text}", if *way == Way::Refused { "refused" } else { "by the path" });
    }
    println!("not PostgreSQL's: {} {:?}", invalid.len(), invalid.iter().take(3).collect::<Vec<_>>());
    println!("kind: spliced passed by-the-path refused");
    for kind in ["select", "insert", "update", "delete", "merge", "other"] {
        let [spliced, passed, path, refused] =
            [Way::Spliced, Way::Passed, Way::ByPath, Way::Refused].map(|way| count(kind, way));
        let share = spliced as f64 / (spliced + path) as f64 * 100.0;
        println!(
            "{kind}: {spliced} {passed} {path} {refused}: {share:.1}% of those with a choice are spliced"
        );
        if PROMISED.contains(&kind) {
            assert!(share > 95.0, "{kind}: {share}");
        }
    }
    let valid: usize = counts.values().sum();
    assert!(valid >= 3000, "{valid} statements");
}

#[test]
fn mutated_statements_are_never_spliced_wrong() {
    let (engine, scope) = (Engine::new(1 << 20), scope());
    let mut random = Random::new(0x1234_5678_9ABC_DEF1);
    let mut counts: BTreeMap<Way, usize> = BTreeMap::new();
    let corpus = corpus::corpus();
    for (_, text) in corpus.iter().chain(&corpus).chain(&corpus) {
        let text = mutate(&mut random, text);
        let plan = engine.plan(text.as_bytes(), &scope, TextMode::default());
        if let Some(way) = check(&text, &plan) {
            *counts.entry(way).or_default() += 1;
        }
    }
    let count = |way| counts.get(&way).copied().unwrap_or_default();
    println!(
        "mutated: {} spliced, {} passed, {} by the path, {} refused",
        count(Way::Spliced),
        count(Way::Passed),
        count(Way::ByPath),
        count(Way::Refused)
    );
    assert!(count(Way::Spliced) > 1000, "too few of them are still PostgreSQL's");
}

#[test]
fn tokens_end_where_postgresql_says() {
    let odd = [
        "select 'a''b', E'a\\'b', $$x$$, $t$ $$ $t$, U&'x', B'01', X'1f', 1.5e-3, .5, 1_000, 0x1F, $1",
        "select a+-1, a @-1, a->>'x', a<=-b, a=>b, a!=b, a::int",
        "select 'a'\n'b', 'c' -- x\n'd'",
        "select /* a /* b */ c */ 1 -- end",
        "select \"a\"\"b\", é, _x$1, U&\"y\"",
        "select 1..2, a[1:2], x:=1",
        "select a*/*x*/b, a+--x\n1",
        "select $a$b$$a$, 'x' /* \n */ 'y'",
    ];
    let mut random = Random::new(0x00DD_B1A5_E512_3457);
    let corpus = corpus::corpus();
    let mutated: Vec<_> = corpus.iter().map(|(_, text)| mutate(&mut random, text)).collect();
    let texts = corpus.into_iter().map(|(_, text)| text).chain(mutated).chain(odd.map(str::to_owned));
    for text in texts {
        check_tokens(&text);
    }
}

/// Holds the lexer's tokens against those of PostgreSQL's scanner, where it has no objection to the text.
pub(super) fn check_tokens(text: &str) {
    let Some(scanned) = scan(text) else {
        return;
    };
    let mut theirs = Vec::new();
    let mut rest = scanned.as_slice();
    while let [first, behind @ ..] = rest {
        let more = joined(text, rest);
        let last = rest.get(more).unwrap_or(first);
        theirs.push((first.start as u32, last.end as u32));
        rest = behind.get(more..).unwrap_or_default();
    }
    let ours: Vec<_> = Lexer::new(text.as_bytes(), true).map(|t| (t.start, t.end)).collect();
    assert_eq!(ours, theirs, "{text:?}");
}

/// How many tokens of the scanner behind the first one are the same token for the lexer: what
/// the grammar takes together has one value.
fn joined(text: &str, tokens: &[ScannedToken]) -> usize {
    match tokens {
        [n, _, ..] if n.kind == ScannedKind::Nchar && n.end - n.start == 1 => 1,
        [unicode, uescape, c, ..]
            if matches!(unicode.kind, ScannedKind::UnicodeString | ScannedKind::UnicodeName)
                && uescape.kind == ScannedKind::Uescape
                && c.end - c.start == 3
                && text[c.start..].starts_with('\'') =>
        {
            2
        }
        _ => 0,
    }
}
