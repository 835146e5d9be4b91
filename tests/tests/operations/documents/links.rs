//! Each link of a document leads to a file that is there, and to a heading in it.

use std::fs;
use std::path::Path;

use pgstrata_tests::program::project;

use crate::documents::code::files;

/// The targets of links in a text, with those of code left out.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split(')').next().unwrap();
            found.push(target.to_owned());
        }
    }
    found
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            return false;
        }
        !in_code
    })
}

/// As GitHub calls a heading in an address.
fn anchor(heading: &str) -> String {
    let text: String = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_anchor(page: &Path, wanted: &str) -> bool {
    let text = fs::read_to_string(page).unwrap();
    prose(&text).any(|line| line.starts_with('#') && anchor(line) == wanted)
}

#[test]
fn each_link_leads_somewhere() {
    let mut count = 0;
    let mut broken = Vec::new();
    for page in files(&project(), "md") {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let is_there = file.exists() && (heading.is_empty() || has_anchor(&file, heading));
            if !is_there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(count > 100, "{count}");
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Nobody finds a page that no other page links to.
#[test]
fn each_page_is_found_from_the_front() {
    let mut found = vec![project().join("README.md").canonicalize().unwrap()];
    let mut next = 0;
    while let Some(page) = found.get(next).cloned() {
        next += 1;
        for target in targets(&fs::read_to_string(&page).unwrap()) {
            let path = target.split('#').next().unwrap();
            let linked = page.parent().unwrap().join(path).canonicalize();
            if let Ok(linked) = linked
                && linked.extension().is_some_and(|extension| extension == "md")
                && !found.contains(&linked)
            {
                found.push(linked);
            }
        }
    }
    let pages = files(&project().join("docs"), "md");
    // The site's navigation, and what leads those on who have an old address.
    let aside = ["docs/SUMMARY.md", "docs/orm.md"].map(|page| project().join(page));
    let pages = pages.iter().filter(|page| !aside.contains(page));
    let lost: Vec<_> = pages.filter(|page| !found.contains(&page.canonicalize().unwrap())).collect();
    assert!(lost.is_empty(), "no link leads to {lost:#?}");
}
