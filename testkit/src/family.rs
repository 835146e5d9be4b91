//! A kind of text that grows.

/// Texts of one kind: `head`, `unit` some times, `middle`, `close` as often, `tail`.
///
/// Each `#` of the unit is the number of the repetition, so that names can differ.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// What it is called in failures and tables.
    pub name: &'static str,
    /// In front of all.
    pub head: &'static str,
    /// What is repeated.
    pub unit: &'static str,
    /// Between the units and what closes them.
    pub middle: &'static str,
    /// What closes a unit; most need nothing.
    pub close: &'static str,
    /// Behind all.
    pub tail: &'static str,
}

impl Family {
    /// A family of units alone, between a head and a tail.
    pub const fn of(name: &'static str, head: &'static str, unit: &'static str, tail: &'static str) -> Self {
        Self { name, head, unit, middle: "", close: "", tail }
    }

    /// The same with units that are closed, around `middle`.
    pub const fn nested(
        name: &'static str,
        head: &'static str,
        (unit, close): (&'static str, &'static str),
        middle: &'static str,
        tail: &'static str,
    ) -> Self {
        Self { name, head, unit, middle, close, tail }
    }

    /// The text with `count` units.
    pub fn text(&self, count: usize) -> String {
        let mut out = String::from(self.head);
        self.units(count, &mut out);
        out.push_str(self.tail);
        out
    }

    /// The units with what closes them, and nothing around.
    pub fn units(&self, count: usize, out: &mut String) {
        for number in 0..count {
            match self.unit.contains('#') {
                true => out.push_str(&self.unit.replace('#', &number.to_string())),
                false => out.push_str(self.unit),
            }
        }
        out.push_str(self.middle);
        out.push_str(&self.close.repeat(count));
    }

    /// How many units make a text of at most `bytes`.
    pub fn count_for(&self, bytes: usize) -> usize {
        let around = self.head.len() + self.middle.len() + self.tail.len();
        let room = bytes.saturating_sub(around);
        let numbers = self.unit.matches('#').count();
        let unit = (self.unit.len() + self.close.len()).max(1);
        // A number is as long as the last one at most.
        let digits = (room / unit).max(1).ilog10() as usize;
        room / (unit + numbers * digits)
    }

    /// A text of at most `bytes`, or of no unit.
    pub fn of_size(&self, bytes: usize) -> String {
        self.text(self.count_for(bytes))
    }
}
