//! The report of attacks.

use std::fmt::{self, Display, Formatter};

/// All classes in the order of their first attempts.
#[derive(Default)]
pub struct Report {
    classes: Vec<Outcome>,
    warnings: Vec<String>,
}

struct Outcome {
    name: &'static str,
    attempts: usize,
    broken_by: Vec<String>,
}

impl Report {
    /// Records one attempt; `what` is called only if the attack succeeded.
    pub fn attempt(&mut self, class: &'static str, held: bool, what: impl FnOnce() -> String) {
        let at = self.classes.iter().position(|outcome| outcome.name == class).unwrap_or_else(|| {
            self.classes.push(Outcome { name: class, attempts: 0, broken_by: Vec::new() });
            self.classes.len() - 1
        });
        if let Some(outcome) = self.classes.get_mut(at) {
            outcome.attempts += 1;
            outcome.broken_by.extend((!held).then(what));
        }
    }

    /// Records a weakness of the deployment itself.
    pub fn warn(&mut self, what: impl Into<String>) {
        self.warnings.push(what.into());
    }

    /// The number of classes with successful attacks.
    pub fn broken(&self) -> usize {
        self.classes.iter().filter(|outcome| !outcome.broken_by.is_empty()).count()
    }

    /// The report as a JSON object.
    pub fn json(&self) -> String {
        let class = |outcome: &Outcome| {
            serde_json::json!({
                "class": outcome.name, "attempts": outcome.attempts, "broken_by": outcome.broken_by,
            })
        };
        let classes: Vec<_> = self.classes.iter().map(class).collect();
        serde_json::json!({ "classes": classes, "broken": self.broken(), "warnings": self.warnings })
            .to_string()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for outcome in &self.classes {
            let word = if outcome.broken_by.is_empty() { "held  " } else { "BROKEN" };
            writeln!(f, "{word}  {} ({} attempts)", outcome.name, outcome.attempts)?;
            for text in &outcome.broken_by {
                writeln!(f, "        by {text}")?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warn    {warning}")?;
        }
        let (broken, warnings) = (self.broken(), self.warnings.len());
        writeln!(f, "{} classes held, {broken} broken, {warnings} warnings", self.classes.len() - broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_attempt_breaks_its_class() {
        let mut report = Report::default();
        report.attempt("a", true, || unreachable!());
        report.attempt("b", true, || unreachable!());
        report.attempt("a", false, || "select".into());
        report.warn("w");
        assert_eq!(report.broken(), 1);
        assert_eq!(
            report.to_string(),
            "BROKEN  a (2 attempts)\n        by select\nheld    b (1 attempts)\nwarn    w\n1 classes held, 1 broken, 1 warnings\n"
        );
        assert!(report.json().contains(r#""broken_by":["select"]"#));
    }
}
