//! What commands print: tables for people, JSON for programs, a bar while it takes long.

use std::io::{self, IsTerminal};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Failure;
use crate::terminal;

/// How a command answers.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// As JSON, with nothing else on standard output.
    pub json: bool,
}

impl Output {
    /// Prints `value` as JSON, or else what `human` makes of it.
    pub fn print<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let text = match self.json {
            true => {
                serde_json::to_string_pretty(value).map_err(|error| Failure::failed(error.to_string()))?
            }
            false => human(value),
        };
        if text.is_empty() {
            return Ok(());
        }
        terminal::out(format_args!("{}\n", text.trim_end()))
            .map_err(|error| Failure::failed(error.to_string()))
    }

    /// A bar for `count` steps (0: not known yet): on a terminal, and where nobody asked for JSON.
    pub fn progress(self, count: usize, what: &'static str) -> ProgressBar {
        // One step is over before anybody could look.
        if self.json || count == 1 || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(count as u64).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    }
}

/// A table with these heads, in the style of psql.
pub fn table<R>(heads: &[&str], rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    for row in rows {
        table.add_row(row.into_iter().map(|cell| printable(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A name may hold anything, and must not move the terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
