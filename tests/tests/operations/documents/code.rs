//! What is taken out of the sources.

use std::fs;
use std::path::{Path, PathBuf};

use pgstrata_tests::program::project;

/// The text of all Rust files below these folders.
pub fn sources(folders: &[&str]) -> String {
    let files = folders.iter().flat_map(|folder| files(&project().join(folder), "rs"));
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// All files with an ending below a folder, but for those that are built or installed.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !path.is_symlink() {
            if !matches!(&*name, "target" | "node_modules") && (!name.starts_with('.') || name == ".github") {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The sources of a session with a client: nothing of them is a test, a comment, or of the command line.
pub fn of_sessions() -> String {
    let elsewhere = [
        "test", "fuzz", "selftest", "/demo/", "/init/", "/config", "/tenant/", "/catalog/", "/grammar/",
        "/observe", "/admin", "/metrics", "/pid_file",
    ];
    let files = files(&project().join("proxy"), "rs").into_iter();
    let files = files.filter(|file| !elsewhere.iter().any(|part| file.to_str().unwrap().contains(part)));
    files.map(|file| without_tests(&fs::read_to_string(file).unwrap())).collect()
}

fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.to_owned() + "\n").collect()
}

/// The string literals of several words behind one of these marks; a code, a name or `format!(` may come between.
pub fn literals(code: &str, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for mark in marks {
        for (at, _) in code.match_indices(mark) {
            let literal = literal(&code[at + mark.len()..]);
            found.extend(literal.filter(|text| text.contains(' ')));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The first argument that is a string of several words: what is in front of it is a code.
fn literal(code: &str) -> Option<String> {
    let mut rest = code.trim_start();
    for _ in 0..2 {
        rest = rest.strip_prefix('&').unwrap_or(rest);
        rest = rest.strip_prefix("format!(").unwrap_or(rest).trim_start();
        if let Some(text) = rest.strip_prefix('"') {
            let (text, behind) = string(text)?;
            if text.contains(' ') {
                return Some(text);
            }
            rest = behind.trim_start().strip_prefix(',')?.trim_start();
        } else {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')?;
            rest = rest[word..].strip_prefix(',')?.trim_start();
        }
    }
    None
}

/// A string up to its end, with its escapes resolved, and what is behind it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                '\n' => {
                    let rest = chars.as_str().trim_start();
                    let (more, behind) = string(rest)?;
                    return Some((out + &more, behind));
                }
                'n' => out.push('\n'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    None
}

#[test]
fn literals_are_found() {
    let code = "Refusal::new(sqlstate::X, \"one \\\"{}\\\"\\\n    two\") message: \"three\" message: format!(\"four {a} five\")";
    assert_eq!(literals(code, &["Refusal::new(", "message: "]), ["four {a} five", "one \"{}\"two"]);
}
