//! Reads tables key by key, and reports every key that nobody asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::check::files;
use super::load::Place;
use super::problem::Problems;
use super::value::{Raw, Value, Wrong};

/// A table of the file while it is being read.
pub(super) struct Section<'a> {
    problems: &'a mut Problems,
    table: Option<&'a DeTable<'a>>,
    span: Range<usize>,
    /// `pool`, `tenants.acme`, `users[0]`; empty for the file itself.
    path: String,
    /// As it is written in the file: `[pool]`, `[[users]]`.
    label: String,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Reads the whole file with `read`.
    pub(super) fn whole<R>(
        problems: &'a mut Problems,
        table: &'a DeTable<'a>,
        read: impl FnOnce(&mut Section<'_>) -> R,
    ) -> R {
        let (path, label) = (String::new(), "the file".to_owned());
        let mut section =
            Section { problems, table: Some(table), span: 0..0, path, label, known: Vec::new() };
        let out = read(&mut section);
        section.report_unknown();
        out
    }

    /// The value of `key`, or `default` where the file has none.
    pub(super) fn or<T: Value>(&mut self, key: &'static str, default: T) -> T {
        let value = self.option(key).unwrap_or(default);
        self.note(key, &value);
        value
    }

    /// Remembers what `key` comes to.
    fn note<T: Value>(&mut self, key: &str, value: &T) {
        let path = self.join(key);
        self.problems.note(&path, format!("{value:?}").as_bytes());
    }

    /// The same for a key that names something: what that holds.
    pub(super) fn note_content(&mut self, key: &str, content: &str) {
        let path = self.join(key);
        self.problems.note(&path, content.as_bytes());
    }

    /// The value of `key`, if the file has one.
    pub(super) fn option<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let raw = self.find(key)?;
        match T::read(raw) {
            Ok(value) => {
                self.note(key, &value);
                Some(value)
            }
            Err(Wrong { span, want }) => {
                let path = self.join(key);
                let message = format!("\"{key}\" in {} must be {want}", self.label);
                self.problems.refuse(&path, &span, message);
                None
            }
        }
    }

    /// The value of `key`, which must be there: nothing is made up for it.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> String {
        if self.find(key).is_none() && self.table.is_some() {
            let message = format!("{} needs \"{key}\": add {key} = \"{example}\"", self.label);
            self.problems.refuse(&self.join(key), &self.span.clone(), message);
        }
        self.option(key).unwrap_or_default()
    }

    /// Reads the table `key`; an absent one reads as empty.
    pub(super) fn section<R>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> R) -> R {
        let raw = self.find(key);
        let path = self.join(key);
        let label = format!("[{path}]");
        self.child(raw, path, label, read)
    }

    /// Reads the tables `[key.NAME]`.
    pub(super) fn named<R>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Section<'_>) -> R,
    ) -> BTreeMap<String, R> {
        let Some(raw) = self.find(key) else {
            return BTreeMap::new();
        };
        let Some(table) = raw.get_ref().as_table() else {
            let message = format!("\"{key}\" must be written as tables: [{key}.NAME]");
            self.problems.refuse(key, &raw.span(), message);
            return BTreeMap::new();
        };
        let mut out = BTreeMap::new();
        for (name, raw) in table {
            let name = name.get_ref().to_string();
            let (path, label) = (format!("{key}.{name}"), format!("[{key}.{name}]"));
            out.insert(name, self.child(Some(raw), path, label, &read));
        }
        out
    }

    /// Reads a table whose keys are names: `[key]` with `NAME = value`.
    pub(super) fn entries<T: Value>(&mut self, key: &'static str) -> BTreeMap<String, T> {
        let Some(raw) = self.find(key) else {
            return BTreeMap::new();
        };
        let path = self.join(key);
        let Some(table) = raw.get_ref().as_table() else {
            let message = format!("\"{key}\" in {} must be a table: [{path}]", self.label);
            self.problems.refuse(&path, &raw.span(), message);
            return BTreeMap::new();
        };
        let mut out = BTreeMap::new();
        for (name, raw) in table {
            let path = format!("{path}.{}", name.get_ref());
            self.problems.locate(&path, &name.span());
            match T::read(raw) {
                Ok(value) => {
                    self.problems.note(&path, format!("{value:?}").as_bytes());
                    out.insert(name.get_ref().to_string(), value);
                }
                Err(Wrong { span, want }) => {
                    let message = format!("\"{}\" in [{}] must be {want}", name.get_ref(), self.join(key));
                    self.problems.refuse(&path, &span, message);
                }
            }
        }
        out
    }

    /// Reads the tables `[[key]]`.
    pub(super) fn list<R>(&mut self, key: &'static str, read: impl Fn(&mut Section<'_>) -> R) -> Vec<R> {
        let Some(raw) = self.find(key) else {
            return Vec::new();
        };
        let Some(items) = raw.get_ref().as_array() else {
            let message = format!("\"{key}\" must be written as a list of tables: [[{key}]]");
            self.problems.refuse(key, &raw.span(), message);
            return Vec::new();
        };
        let label = format!("[[{key}]]");
        let child = |(i, raw)| self.child(Some(raw), format!("{key}[{i}]"), label.clone(), &read);
        items.iter().enumerate().map(child).collect()
    }

    /// Reports that the value of `key` can't be used.
    pub(super) fn refuse(&mut self, key: &'static str, message: String) {
        let path = self.join(key);
        self.problems.at(&[&path], message);
        self.problems.distrust(path);
    }

    /// Reports something about what `key` names; there may be more of it.
    pub(super) fn complain(&mut self, key: &str, message: String) {
        self.problems.at(&[&self.join(key)], message);
    }

    /// Whether the file has the table.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Warns where others can read the file with a secret that `key` names.
    pub(super) fn keep_private(&mut self, key: &'static str, file: &Path, place: &Place<'_>) {
        files::private(&self.join(key), file, place, self.problems);
    }

    fn child<R>(
        &mut self,
        raw: Option<&Raw<'_>>,
        path: String,
        label: String,
        read: impl FnOnce(&mut Section<'_>) -> R,
    ) -> R {
        let table = raw.and_then(|raw| raw.get_ref().as_table());
        let span = raw.map_or(0..0, Raw::span);
        if let (Some(raw), None) = (raw, table) {
            let message = format!("{label} must be a table: write {label} on a line of its own");
            self.problems.refuse(&path, &raw.span(), message);
        }
        if raw.is_some() {
            self.problems.locate(&path, &span);
        }
        let problems = &mut *self.problems;
        let mut section = Section { problems, table, span, path, label, known: Vec::new() };
        let out = read(&mut section);
        section.report_unknown();
        out
    }

    /// Looks `key` up and remembers that it is a key, and where it stands.
    fn find(&mut self, key: &'static str) -> Option<&'a Raw<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let path = self.join(key);
        self.problems.ask(&path);
        let (name, raw) = self.table?.get_key_value(key)?;
        self.problems.locate(&path, &name.span());
        Some(raw)
    }

    /// The table's own name: of `[tenants.acme]`, `acme`.
    pub(super) fn name(&self) -> &str {
        self.path.split_once('.').map_or("", |(_, name)| name)
    }

    /// The path of `key` as people are told of it: a user's entry has no number.
    pub(super) fn limit_key(&self, key: &str) -> Arc<str> {
        match self.path.strip_prefix("users[").and_then(|path| path.split_once("].")) {
            Some((_, table)) => format!("users.{table}.{key}").into(),
            None => self.join(key).into(),
        }
    }

    fn join(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    fn report_unknown(self) {
        for name in self.table.into_iter().flat_map(DeTable::keys) {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) {
                continue;
            }
            let advice = match nearest(key, &self.known) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("it knows {}", self.known.join(", ")),
            };
            let message = format!("unknown key \"{key}\" in {}; {advice}", self.label);
            self.problems.at_span(&name.span(), message);
        }
    }
}

/// The known key that `key` is most likely a misspelling of.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |known: &str| strsim::damerau_levenshtein(key, known);
    let best = known.iter().copied().min_by_key(|known| distance(known))?;
    let close = distance(best) <= (best.len() / 3).max(1);
    (close || best.starts_with(key) || key.starts_with(best)).then_some(best)
}
