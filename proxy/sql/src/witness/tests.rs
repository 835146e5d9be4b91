//! The second witness.

use std::collections::BTreeMap;

use crate::Route;
use crate::tests::oracle::corpus::corpus;
use crate::tests::plans::*;

/// No statement that PostgreSQL can read is read in another way by us.
#[test]
fn corpus_is_read_in_one_way() {
    let mut differ: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, text) in corpus() {
        if let Route::Refuse(refusal) = plan(&text).route
            && refusal.message.contains("in two ways")
        {
            differ.entry(refusal.message).or_default().push(text);
        }
    }
    for (message, texts) in &differ {
        println!("{}: {message}", texts.len());
        for text in texts.iter().take(12) {
            println!("    {text}");
        }
    }
    assert!(differ.is_empty());
}

/// The statements of a script for psql: cut behind a semicolon at the end of a line.
fn script(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for line in text.lines().filter(|line| !line.trim_start().starts_with('\\')) {
        if let Some(last) = out.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
        if line.trim_end().ends_with(';') {
            out.push(String::new());
        }
    }
    out
}

fn files(directory: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, out),
            false if path.extension().is_some_and(|e| e == "sql") => out.push(path),
            false => {}
        }
    }
}

/// The same of SQL from elsewhere: PostgreSQL's regression scripts, where PGSTRATA_TEST_SQL names their directory.
#[test]
fn scripts_are_read_in_one_way() {
    let Ok(directory) = std::env::var("PGSTRATA_TEST_SQL") else { return };
    let mut paths = Vec::new();
    files(directory.as_ref(), &mut paths);
    paths.sort();
    let (mut all, mut refused) = (0, BTreeMap::<String, Vec<String>>::new());
    for path in paths {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for statement in script(&text) {
            if statement.trim().is_empty() || pgstrata_grammar::Tree::parse(&statement).is_err() {
                continue;
            }
            all += 1;
            if let Route::Refuse(refusal) = plan(&statement).route {
                refused.entry(refusal.message).or_default().push(statement);
            }
        }
    }
    println!("{all} statements");
    let mut refused: Vec<_> = refused.into_iter().collect();
    refused.sort_by_key(|(_, texts)| std::cmp::Reverse(texts.len()));
    for (message, texts) in &refused {
        println!("{}: {message}", texts.len());
        for text in texts.iter().take(if message.contains("two ways") { 8 } else { 1 }) {
            println!("    {}", text.trim().replace('\n', "\n    "));
        }
    }
    assert!(!refused.iter().any(|(message, _)| message.contains("in two ways")));
}

/// A long load is read in an excerpt, with its places; what hides in it is found all the same.
#[test]
fn long_texts_are_read_in_an_excerpt() {
    let load = |end: &str| {
        format!("insert into users values {}(1, 'x'){end}", "(1, 'a', -2, null), ".repeat(40_000))
    };
    for end in ["", "; select * from users"] {
        let plan = plan(&load(end));
        assert!(
            !matches!(plan.route, Route::Refuse(_)) && !plan.statements.is_empty(),
            "{end}: {:?}",
            plan.route
        );
    }
    for end in ["; select * from globex.users", ", (nextval('globex.s'), 'y')", "; do $$ $$"] {
        let route = plan(&load(end)).route;
        assert!(matches!(&route, Route::Refuse(refusal) if refusal.code == "42501"), "{end}: {route:?}");
    }
    let long = format!("select {}1", "a + ".repeat(600_000));
    let route = plan(&long).route;
    assert!(matches!(&route, Route::Refuse(refusal) if refusal.code == "54001"), "{route:?}");
}

/// A literal in another encoding refuses its own text, and no other of its shape.
#[test]
fn foreign_bytes_in_a_literal_refuse_one_text_only() {
    let engine = crate::Engine::new(1 << 20);
    let route = |text: &[u8]| engine.plan(text, &scope(), crate::TextMode::default()).route;
    assert!(matches!(route(b"select \xc3\xa9 from users where a = '\xff'"), Route::Refuse(_)));
    assert!(!matches!(route("select é from users where a = 'x'".as_bytes()), Route::Refuse(_)));
}
