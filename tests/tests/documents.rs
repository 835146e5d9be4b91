//! The documents say what the code does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of all Rust files below `folder`.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn each_attack_names_the_tests_that_show_it() {
    let page = fs::read_to_string(project().join("docs/isolation.md")).unwrap();
    let code = sources(&project().join("proxy")) + &sources(&project().join("tests/tests"));
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

/// The names in backquotes of one cell of a table.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The workspace's crates that each crate of the product is built on, by its manifest.
fn dependencies_by_manifest() -> Vec<(String, Vec<String>)> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"];
    let output = Command::new(cargo).args(arguments).current_dir(project()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: Vec<String> = packages.iter().map(name).collect();
    let dependencies = |package: &Value| -> Vec<String> {
        let all = package["dependencies"].as_array().unwrap().iter();
        let mut names: Vec<String> = all
            .filter(|dependency| dependency["kind"].is_null())
            .map(name)
            .filter(|name| ours.contains(name))
            .collect();
        names.sort();
        names
    };
    packages.iter().map(|package| (name(package), dependencies(package))).collect()
}

#[test]
fn crates_stand_on_those_below_them() {
    let page = fs::read_to_string(project().join("docs/architecture.md")).unwrap();
    let (_, section) = page.split_once("### Crates").expect("the table of crates");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut documented: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows.take_while(|row| row.contains("pgstrata")) {
        let mut cells = row.trim_matches('|').split('|').map(names);
        let (mut own, stands_on) = (cells.next().unwrap(), cells.next().unwrap());
        for lower in &stands_on {
            assert!(
                documented.iter().any(|(name, _)| name == lower),
                "`{lower}` has no row above `{}`",
                own[0]
            );
        }
        documented.push((own.remove(0), stands_on));
    }
    // What only tests, benchmarks and examples use is not the product.
    let aside = ["pgstrata-testkit", "pgstrata-tests", "pgstrata-benches", "axum-multitenant"];
    let mut manifests = dependencies_by_manifest();
    manifests.retain(|(name, _)| !aside.contains(&name.as_str()));
    manifests.sort();
    documented.sort();
    assert_eq!(documented, manifests, "docs/architecture.md, section Crates, and the manifests differ");
}

#[test]
fn each_line_of_the_log_is_one_that_is_written() {
    let page = fs::read_to_string(project().join("docs/operations.md")).unwrap();
    let (_, table) = page
        .split_once("| level | line | fields | meaning |\n| --- | --- | --- | --- |\n")
        .expect("the table");
    // A long line of the log stands on two lines of the code.
    let code = sources(&project().join("proxy/src")).split("\\\n").map(str::trim_start).collect::<String>();
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 20);
    for row in rows {
        let lines = names(row.split('|').nth(2).unwrap());
        assert!(!lines.is_empty(), "{row}");
        for line in lines.iter().filter(|line| !line.starts_with("FILE:LINE")) {
            assert!(code.contains(&format!("\"{line}")), "no code writes \"{line}\" to the log");
        }
    }
}
