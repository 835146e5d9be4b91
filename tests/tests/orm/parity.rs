//! The tests that docs/reference-parity.md names are there.

use std::path::Path;

/// Names between backticks.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn tests_that_the_parity_page_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/reference-parity.md")).unwrap();
    let mut seen = 0;
    for name in named(&page) {
        if let Some(test) = name.strip_prefix("orm::") {
            let (module, function) = test.split_once("::").unwrap_or((test, "*"));
            if function == "*" && module == "*" {
                continue;
            }
            let file = root.join(format!("tests/tests/orm/{module}.rs"));
            let code = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(function == "*" || code.contains(&format!("fn {function}(")), "no test {name}");
            seen += 1;
        } else if name.starts_with("orm-client/") || name.starts_with("examples/") {
            assert!(root.join(name).exists(), "no file {name}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
    for (_, names) in page.split(".rs`: ").map(|rest| (rest, rest.lines().next().unwrap_or_default())).skip(1)
    {
        for function in named(names).filter(|name| name.contains('_') && !name.contains("::")) {
            let found = walk(&root.join("orm-client/tests"), &format!("fn {function}("));
            assert!(found, "no test {function}");
        }
    }
}

/// Whether a file in the folder has the text.
fn walk(folder: &Path, text: &str) -> bool {
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.any(|path| path.is_file() && std::fs::read_to_string(&path).is_ok_and(|code| code.contains(text)))
}
