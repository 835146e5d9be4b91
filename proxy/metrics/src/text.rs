//! Prometheus' text format, for what is not in a recorder.

use std::fmt::{Display, Write};

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bounds.
    Histogram,
}

/// A page of metrics. All samples of a family stand behind its head, without another's between them.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// The head of a family.
    pub(crate) fn family(&mut self, name: &str, kind: Type, help: &str) {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        // Writing to a string can't fail.
        let _ = write!(self.0, "\n# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            self.0.push(if number == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            for letter in text.chars() {
                match letter {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    letter => self.0.push(letter),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// The page.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_label_is_escaped() {
        let mut page = Page::default();
        page.family("a_total", Type::Counter, "As.");
        page.sample("a_total", &[("b", "c\"d\\e\nf"), ("g", "")], 1);
        let said = "\n# HELP a_total As.\n# TYPE a_total counter\na_total{b=\"c\\\"d\\\\e\\nf\",g=\"\"} 1\n";
        assert_eq!(page.into_text(), said);
    }
}
