//! What is wrong with a configuration file, and on which line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Written;

/// One thing that is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line of the file, from 1; `None` where it is the file as a whole.
    pub line: Option<usize>,
    /// What was wrong, and what to write instead. Holds no secret.
    pub message: String,
}

/// A configuration that can't be used. Displays as one line for each problem.
#[derive(Debug, Clone)]
pub struct ConfigError {
    origin: PathBuf,
    problems: Vec<Problem>,
}

impl ConfigError {
    /// An error of the file as a whole.
    pub(super) fn whole(origin: &Path, message: String) -> Self {
        let problem = Problem { line: None, message };
        Self { origin: origin.to_owned(), problems: vec![problem] }
    }

    /// All that is wrong, by line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.origin.display())?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": {}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Collects problems while a file is read and checked, and knows where its keys stand.
pub(super) struct Problems {
    line_starts: Vec<usize>,
    /// Where each key stands, by its path: `pool.mode`, `users[0].name`.
    lines: BTreeMap<String, usize>,
    /// Keys whose value was refused: contradictions with them would be noise.
    broken: BTreeSet<String>,
    list: Vec<Problem>,
    warnings: Vec<Problem>,
    written: Written,
    expired: Vec<Problem>,
    certificates: BTreeMap<String, i64>,
    #[cfg(test)]
    asked: BTreeSet<String>,
}

impl Problems {
    pub(super) fn new(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(i, _)| i + 1);
        Self {
            line_starts: std::iter::once(0).chain(starts).collect(),
            lines: BTreeMap::new(),
            broken: BTreeSet::new(),
            list: Vec::new(),
            warnings: Vec::new(),
            written: Written::default(),
            expired: Vec::new(),
            certificates: BTreeMap::new(),
            #[cfg(test)]
            asked: BTreeSet::new(),
        }
    }

    /// Remembers where `path` stands.
    pub(super) fn locate(&mut self, path: &str, span: &Range<usize>) {
        let line = self.line_of(span.start);
        self.lines.insert(path.to_owned(), line);
    }

    /// Reports something at a place in the text.
    pub(super) fn at_span(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let line = Some(self.line_of(span.start));
        self.list.push(Problem { line, message: message.into() });
    }

    /// Reports that the value of `path` can't be used.
    pub(super) fn refuse(&mut self, path: &str, span: &Range<usize>, message: impl Into<String>) {
        self.broken.insert(path.to_owned());
        self.at_span(span, message);
    }

    /// Reports a contradiction, on the line of the first of `paths`, unless
    /// one of them was refused already. A path that isn't in the file stands
    /// where its table does.
    pub(super) fn at(&mut self, paths: &[&str], message: impl Into<String>) {
        let problem = self.problem(paths, message.into());
        self.list.extend(problem);
    }

    /// Warns of something that works, and is hardly meant; placed as in [`Problems::at`].
    pub(super) fn warn(&mut self, paths: &[&str], message: impl Into<String>) {
        let problem = self.problem(paths, message.into());
        self.warnings.extend(problem);
    }

    fn problem(&self, paths: &[&str], message: String) -> Option<Problem> {
        if paths.iter().any(|path| self.broken.contains(*path)) {
            return None;
        }
        let line = paths.iter().find_map(|path| self.lines.get(*path));
        let line = line.or_else(|| paths.iter().find_map(|path| self.table_line(path)));
        Some(Problem { line: line.copied(), message })
    }

    /// Whether the file has the key at `path`.
    pub(super) fn is_written(&self, path: &str) -> bool {
        self.lines.contains_key(path)
    }

    /// The first secret that stands in the file itself.
    pub(super) fn secret_in_plain(&self) -> Option<String> {
        let plain =
            |path: &String| [".password", ".login_key", ".salt_key"].iter().any(|key| path.ends_with(key));
        let secrets = self.lines.iter().filter(|(path, _)| plain(path));
        secrets.min_by_key(|(_, line)| **line).map(|(path, _)| path.clone())
    }

    /// Marks the value of `path` as refused: see [`Problems::at`].
    pub(super) fn distrust(&mut self, path: String) {
        self.broken.insert(path);
    }

    /// The warnings, each with its place; or the error, if there is anything to report.
    pub(super) fn finish(self, origin: &Path) -> Result<Vec<String>, ConfigError> {
        if !self.list.is_empty() {
            return Err(ConfigError { origin: origin.to_owned(), problems: sorted(self.list) });
        }
        Ok(in_lines(self.warnings, origin, "warning: "))
    }

    /// Remembers what the key at `path` comes to.
    pub(super) fn note(&mut self, path: &str, value: &[u8]) {
        self.written.note(path, value);
    }

    /// What all keys come to.
    pub(super) fn take_written(&mut self) -> Written {
        std::mem::take(&mut self.written)
    }

    /// Remembers when the certificate that `path` names expires.
    pub(super) fn expires(&mut self, path: &str, time: i64) {
        self.certificates.insert(path.to_owned(), time);
    }

    /// When all certificates expire.
    pub(super) fn take_certificates(&mut self) -> BTreeMap<String, i64> {
        std::mem::take(&mut self.certificates)
    }

    /// Reports that the certificate that `path` names has expired.
    pub(super) fn expired(&mut self, path: &str, message: String) {
        let problem = self.problem(&[path], message);
        self.expired.extend(problem);
    }

    /// A line for each of these.
    pub(super) fn take_expired(&mut self, origin: &Path) -> Vec<String> {
        in_lines(std::mem::take(&mut self.expired), origin, "")
    }

    /// Remembers that `path` can stand in a file.
    pub(super) fn ask(&mut self, path: &str) {
        #[cfg(test)]
        self.asked.insert(path.to_owned());
        let _ = path;
    }

    /// The paths that can stand in a file.
    #[cfg(test)]
    pub(super) fn asked(&self) -> impl Iterator<Item = &str> {
        self.asked.iter().map(String::as_str)
    }

    /// The paths that stand in the file.
    #[cfg(test)]
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    fn table_line(&self, path: &str) -> Option<&usize> {
        let (table, _) = path.rsplit_once('.')?;
        self.lines.get(table)
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }
}

/// By line, each once.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems
}

/// A text of one line for each, with its place in the file.
fn in_lines(problems: Vec<Problem>, origin: &Path, kind: &str) -> Vec<String> {
    let place = |line: Option<usize>| line.map_or_else(String::new, |line| format!(":{line}"));
    let text = |Problem { line, message }| format!("{}{}: {kind}{message}", origin.display(), place(line));
    sorted(problems).into_iter().map(text).collect()
}
