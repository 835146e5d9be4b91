//! The site's navigation: four kinds of pages, and each page in one of them.

use std::collections::BTreeMap;
use std::fs;

use pgstrata_tests::program::project;

use crate::documents::code::files;

/// The pages of each part of docs/SUMMARY.md, by the part's title.
fn parts() -> BTreeMap<String, Vec<String>> {
    let summary = fs::read_to_string(project().join("docs/SUMMARY.md")).unwrap();
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut part = String::new();
    for line in summary.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            part = title.to_owned();
        } else if let Some((_, target)) = line.split_once("](") {
            parts.entry(part.clone()).or_default().push(target.trim_end_matches(')').to_owned());
        }
    }
    parts
}

#[test]
fn navigation_has_four_kinds() {
    let parts = parts();
    let titles: Vec<&str> = parts.keys().map(String::as_str).collect();
    assert_eq!(titles, ["Guides", "Internals", "Reference", "Start", "Summary"]);
    assert_eq!(parts["Summary"], ["README.md"], "in front of all parts");
    for (folder, title) in
        [("start/", "Start"), ("guides/", "Guides"), ("reference/", "Reference"), ("internals/", "Internals")]
    {
        for (part, pages) in &parts {
            let astray: Vec<_> = pages.iter().filter(|page| page.starts_with(folder)).collect();
            assert!(part == title || astray.is_empty(), "{astray:?} stand in the part {part}");
        }
    }
}

#[test]
fn each_page_is_in_the_navigation_once() {
    let mut listed: Vec<String> = parts().into_values().flatten().collect();
    listed.sort();
    let docs = project().join("docs");
    let mut pages: Vec<String> = files(&docs, "md")
        .iter()
        .map(|page| page.strip_prefix(&docs).unwrap().to_str().unwrap().to_owned())
        // The navigation itself, and what leads those on who have an old address.
        .filter(|page| !matches!(&**page, "SUMMARY.md" | "orm.md"))
        .collect();
    pages.sort();
    assert_eq!(listed, pages, "docs/SUMMARY.md and the pages below docs differ");
}
