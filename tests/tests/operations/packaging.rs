//! What packagers read: Homebrew's formula, cargo-binstall's addresses, versions that stand in several files.

use std::fs;
use std::path::Path;

use pgstrata_tests::program::{pgstrata, project, run};
use tokio::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(project().join(path)).unwrap()
}

/// The first string that a TOML file gives to a key.
fn value(file: &str, key: &str) -> String {
    let text = read(file);
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
    value.unwrap_or_else(|| panic!("{file} has no {key}")).trim_end_matches('"').to_owned()
}

#[tokio::test]
async fn formula_installs_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut ruby = Command::new("ruby");
    ruby.arg(project().join("tests/packaging/formula.rb"));
    ruby.arg(project().join("deploy/homebrew/pgstrata.rb"));
    ruby.arg(Path::new(pgstrata().as_std().get_program())).arg(folder.path());
    let installed = run(ruby).await;
    for file in [
        "bin/pgstrata",
        "etc/bash_completion.d/pgstrata",
        "etc/pgstrata/pgstrata.toml",
        "share/fish/vendor_completions.d/pgstrata.fish",
        "share/man/man1/pgstrata-serve.1",
        "share/man/man1/pgstrata.1",
        "share/zsh/site-functions/_pgstrata",
    ] {
        assert!(installed.lines().any(|line| line == file), "{file} is not among\n{installed}");
    }
}

/// cargo-binstall fetches the archive under the name that scripts/dist gives to it.
#[test]
fn binstall_finds_the_archive_of_a_release() {
    let dist = read("scripts/dist");
    let name = dist.lines().find_map(|line| line.strip_prefix("name=")).unwrap().trim_matches('"');
    let name = name.replace("$version", "{ version }").replace("$arch", "{ target-arch }");
    let url = value("proxy/Cargo.toml", "pkg-url");
    assert_eq!(url, format!("{{ repo }}/releases/download/v{{ version }}/{name}.tar.gz"));
    assert_eq!(value("proxy/Cargo.toml", "bin-dir"), format!("{name}/pgstrata"));
    assert!(dist.contains("\"$dist/$name.tar.gz\""), "scripts/dist writes the archive");
}

#[test]
fn versions_are_the_workspaces() {
    let version = value("Cargo.toml", "version");
    let chart = read("deploy/helm/pgstrata/Chart.yaml");
    assert!(chart.contains(&format!("appVersion: \"{version}\"")), "{chart}");
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert!(first == "Unreleased" || first.starts_with(&version), "{first}");
}
