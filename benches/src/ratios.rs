//! What criterion has measured, as one table: times, and each in proportion to the parser alone.

use std::fmt::Write;
use std::path::Path;

use crate::texts;

/// The function that the others are compared with.
pub const PARSER: &str = "sqlparser alone";

/// Our lexer, and PostgreSQL's.
pub const LEXER: &str = "lex";
/// See [`LEXER`].
pub const SCANNER: &str = "PostgreSQL's scanner";

/// The median time of a benchmark in nanoseconds, if criterion has left one in `directory`.
fn median(directory: &Path, function: &str, text: &str) -> Option<f64> {
    let file = directory.join(function).join(text).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

/// A table in Markdown with a line for each of `functions`; `directory` is criterion's.
pub fn table(directory: &Path, functions: &[&str]) -> String {
    let texts = texts();
    let mut out = String::from("| function |");
    for (name, text) in &texts {
        let _ = write!(out, " {name}, {} bytes |", text.len());
    }
    out.push_str("\n| --- |");
    out.push_str(&" --- |".repeat(texts.len()));
    for function in functions {
        let _ = write!(out, "\n| {function} |");
        for (text, _) in &texts {
            let measured = median(directory, function, text);
            let parser = median(directory, PARSER, text);
            let cell = measured.zip(parser).map(|(time, parser)| cell(time, time / parser));
            let _ = write!(out, " {} |", cell.as_deref().unwrap_or("not measured"));
        }
    }
    out
}

/// How much text each of `functions` reads in a second, on the longest text.
pub fn throughput(directory: &Path, functions: &[&str]) -> String {
    let texts = texts();
    let longest = texts.iter().max_by_key(|(_, text)| text.len());
    let (name, text) = longest.expect("there are texts");
    let lines = functions.iter().map(|function| match median(directory, function, name) {
        Some(time) => format!("{function}: {:.2} GB/s", text.len() as f64 / time),
        None => format!("{function}: not measured"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn cell(time: f64, ratio: f64) -> String {
    let (time, unit) = if time < 1000.0 { (time, "ns") } else { (time / 1000.0, "us") };
    let digits = usize::from(unit == "us" && time < 100.0);
    format!("{time:.digits$} {unit}, {ratio:.3}x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_times_and_proportions() {
        let directory = tempfile::tempdir().unwrap();
        for (function, median) in [(PARSER, 20_000.0), ("hit", 250.0)] {
            let place = directory.path().join(function).join("point select/new");
            std::fs::create_dir_all(&place).unwrap();
            let estimates = format!(r#"{{"median": {{"point_estimate": {median}}}}}"#);
            std::fs::write(place.join("estimates.json"), estimates).unwrap();
        }
        let table = table(directory.path(), &["hit", PARSER]);
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| hit | 250 ns, 0.013x | not measured | not measured |",
                "| sqlparser alone | 20.0 us, 1.000x | not measured | not measured |",
            ]
        );
    }
}
