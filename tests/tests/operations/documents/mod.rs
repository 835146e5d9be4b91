//! The documents say what the code does.
//!
//! # Layout
//! - [`code`]: what is taken out of the sources.
//! - [`tables`]: tables say what the code does.
//! - [`errors`]: each error is explained.
//! - [`links`]: each link leads somewhere.
//! - [`site`]: each page is in the navigation of the site.
//! - [`tutorials`]: each command works, and says what is printed there.

mod code;
mod errors;
mod links;
mod site;
mod tables;
mod tutorials;

use std::fs;

use pgstrata_tests::program::project;

#[test]
fn each_attack_names_the_tests_that_show_it() {
    let page = fs::read_to_string(project().join("docs/isolation.md")).unwrap();
    let code = code::sources(&["proxy", "tests/tests"]);
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| **")).collect();
    assert!(rows.len() > 20);
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = shown_by.split(", ").map(|name| name.trim_matches('`')).collect();
        assert!(!tests.is_empty());
        for test in tests {
            assert!(code.contains(&format!("fn {test}()")), "there is no test {test}: {row}");
        }
    }
}

/// The front page is short: what is long has a page of its own.
#[test]
fn front_page_is_short() {
    let page = fs::read_to_string(project().join("README.md")).unwrap();
    assert!(page.lines().count() < 150, "{}", page.lines().count());
}

/// The pages below a folder of docs, as one text.
fn pages(folder: &str) -> String {
    let files = code::files(&project().join("docs").join(folder), "md");
    assert!(!files.is_empty(), "{folder}");
    files.into_iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// What guides tell to look at is there.
#[test]
fn guides_name_metrics_that_there_are() {
    let (pages, code) = (pages("guides") + &pages("start"), code::sources(&["proxy"]));
    let metrics = pages.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|word| {
        // Roles, programs and the database are called like that, too.
        let others = ["pgstrata_owner", "pgstrata_servers_password"];
        word.len() > 9 && word.starts_with("pgstrata_") && !others.contains(word)
    });
    for metric in metrics {
        assert!(code.contains(&format!("\"{metric}\"")), "there is no metric {metric}");
    }
}

/// Each key on the right of PgBouncer's is one of ours.
#[test]
fn keys_in_place_of_pgbouncers_are_there() {
    let page = fs::read_to_string(project().join("docs/guides/from-pgbouncer.md")).unwrap();
    let file = fs::read_to_string(project().join("config/pgstrata.toml")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 30);
    for row in rows {
        let ours = row.split(" | ").nth(1).unwrap();
        // What PgBouncer's own files hold, and a parameter of PostgreSQL.
        let others = ["txt", "pg_authid", "extra_float_digits"];
        for key in ours.split('`').skip(1).step_by(2).map(|key| key.rsplit('.').next().unwrap()) {
            let is_key = key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') && !others.contains(&key);
            assert!(!is_key || file.contains(key), "there is no key {key}: {row}");
        }
    }
}
