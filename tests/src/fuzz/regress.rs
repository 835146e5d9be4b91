//! PostgreSQL's regression SQL as statements to take apart.

use std::path::Path;

/// A statement longer than this is left out.
const LENGTH: usize = 700;

/// The statements of all `.sql` files of a folder, in the order of their files' names.
pub fn statements(folder: &Path) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let mut all: Vec<String> = files.iter().flat_map(|file| of_file(&std::fs::read(file).unwrap())).collect();
    all.sort();
    all.dedup();
    all
}

/// The statements of one file, without psql's own commands and the data of COPY.
fn of_file(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = Vec::new();
    let mut statement = String::new();
    let mut data = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if data {
            data = trimmed != "\\.";
            continue;
        }
        if trimmed.starts_with('\\')
            || statement.is_empty() && (trimmed.is_empty() || trimmed.starts_with("--"))
        {
            continue;
        }
        statement.push_str(line);
        statement.push('\n');
        // Semicolons in bodies end in texts that are cut off: those are welcome, too.
        let ends = trimmed.ends_with(';') || trimmed.contains("; --") || trimmed.contains("\\g");
        if ends {
            data = is_copy_in(&statement);
            keep(&mut out, &statement);
            statement.clear();
        }
    }
    out
}

fn is_copy_in(statement: &str) -> bool {
    let lower = statement.to_ascii_lowercase();
    lower.trim_start().starts_with("copy") && lower.contains("from stdin")
}

fn keep(out: &mut Vec<String>, statement: &str) {
    let statement = statement.split("\\g").next().unwrap_or_default().trim().trim_end_matches(';').trim_end();
    let whole = statement.matches("$$").count().is_multiple_of(2)
        && statement.matches('\'').count().is_multiple_of(2);
    // psql's variables, and what stops a server for a while.
    let strange = [":'", "pg_sleep", "generate_series(1, 1000", "generate_series(1,1000", "repeat("];
    if whole
        && !statement.is_empty()
        && statement.len() <= LENGTH
        && !strange.iter().any(|s| statement.contains(s))
    {
        out.push(statement.to_owned());
    }
}
