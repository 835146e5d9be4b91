//! Tables say what the code does: of crates, of lines of the log.

use std::fs;
use std::process::Command;

use pgstrata_tests::program::project;
use serde_json::Value;

use crate::documents::code::sources;

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
    let code = sources(&["proxy"]).split("\\\n").map(str::trim_start).collect::<String>();
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
