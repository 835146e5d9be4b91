//! Bars in groups, as an SVG that needs nothing but a browser.

use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
/// The highest bar's height.
const HEIGHT: f64 = 260.0;
const LEGEND_LINE: f64 = 18.0;
/// Of a group's width, what is left free beside its bars.
const GAP: f64 = 0.12;
/// Lines of the grid, about.
const LINES: f64 = 5.0;
/// Told apart by those who see few colours, too.
const COLOURS: [&str; 9] =
    ["#9e9e9e", "#c2b280", "#e69f00", "#d55e00", "#56b4e9", "#0072b2", "#004c6d", "#009e73", "#cc79a7"];

/// A picture with bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// The vertical axis: what, and in which unit.
    pub axis: String,
    /// Who is compared: a colour each.
    pub series: Vec<String>,
    /// A name, and a value for each of the series that has one.
    pub groups: Vec<(String, Vec<Option<f64>>)>,
}

impl Bars {
    /// Whether there is anything to show.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|(_, values)| values.iter().all(Option::is_none))
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let top = 44.0 + LEGEND_LINE * self.series.len().div_ceil(2) as f64;
        let bottom = top + HEIGHT;
        let step = self.step();
        let most = (self.most() / step).ceil() * step;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {:.0}\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            bottom + 40.0
        );
        text(&mut out, (LEFT, 22.0), "font-size=\"15\" font-weight=\"bold\"", &self.title);
        self.legend(&mut out);
        let mut value = 0.0;
        while value <= most {
            let y = bottom - value / most * HEIGHT;
            let _ = writeln!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>",
                WIDTH - RIGHT
            );
            text(&mut out, (LEFT - 6.0, y + 4.0), "text-anchor=\"end\"", &label(value));
            value += step;
        }
        let middle = f64::midpoint(top, bottom);
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 16 {middle:.1})\"");
        text(&mut out, (16.0, middle), &turned, &self.axis);
        self.bars(&mut out, bottom, most);
        out.push_str("</svg>\n");
        out
    }

    fn legend(&self, out: &mut String) {
        for (at, (name, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let (column, line) = (at % 2, at / 2);
            let x = LEFT + column as f64 * (WIDTH - LEFT - RIGHT) / 2.0;
            let y = 42.0 + LEGEND_LINE * line as f64;
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"11\" height=\"11\" fill=\"{colour}\"/>",
                y - 10.0
            );
            text(out, (x + 17.0, y), "", name);
        }
    }

    fn bars(&self, out: &mut String, bottom: f64, most: f64) {
        let group = (WIDTH - LEFT - RIGHT) / self.groups.len().max(1) as f64;
        let bar = group * (1.0 - GAP) / self.series.len().max(1) as f64;
        for (at, (name, values)) in self.groups.iter().enumerate() {
            let from = LEFT + group * at as f64;
            for ((at, value), colour) in values.iter().enumerate().zip(COLOURS.iter().cycle()) {
                let Some(value) = value else { continue };
                let x = from + group * GAP / 2.0 + bar * at as f64;
                let height = value / most * HEIGHT;
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>",
                    bottom - height,
                    bar * 0.92
                );
                let over = (x + bar * 0.46, bottom - height - 3.0);
                text(out, over, "font-size=\"9\" text-anchor=\"middle\"", &label(*value));
            }
            let below = (from + group / 2.0, bottom + 20.0);
            text(out, below, "text-anchor=\"middle\"", name);
        }
    }

    fn most(&self) -> f64 {
        let values = self.groups.iter().flat_map(|(_, values)| values.iter().flatten());
        // A picture of nothing has an axis, too.
        values.copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE)
    }

    /// From one line of the grid to the next: 1, 2 or 5 of some power of ten.
    fn step(&self) -> f64 {
        let rough = self.most() / LINES;
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough);
        factor.unwrap_or(10.0) * power
    }
}

fn text(out: &mut String, (x, y): (f64, f64), attributes: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{words}</text>");
}

/// `12.3k`, `103`, `19.3`, `0.43`
fn label(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        10_000.0.. => format!("{:.1}k", value / 1000.0),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(values: [f64; 2]) -> Bars {
        let values = values.into_iter().map(Some).collect();
        Bars {
            title: "a < b".into(),
            axis: "us".into(),
            series: vec!["one".into(), "two".into()],
            groups: vec![("simple".into(), values)],
        }
    }

    #[test]
    fn bars_are_in_proportion() {
        let svg = bars([50.0, 25.0]).svg();
        assert!(svg.contains("height=\"260.0\"") && svg.contains("height=\"130.0\""), "{svg}");
        assert!(svg.contains("a &lt; b"), "{svg}");
    }

    #[test]
    fn steps_are_round() {
        let steps = [50.0, 23_703.0, 0.9, 7.0].map(|most| bars([most, 0.0]).step());
        assert_eq!(steps, [10.0, 5000.0, 0.2, 2.0]);
    }
}
