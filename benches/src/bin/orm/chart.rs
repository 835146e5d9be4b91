//! Bars, as SVG that stands in a document.

use std::fmt::Write;

const COLOURS: [&str; 3] = ["#b0413e", "#2a7f62", "#3d5a80"];
const WIDTH: f64 = 760.0;
const LEFT: f64 = 90.0;
const BAR: f64 = 22.0;
const GAP: f64 = 18.0;
const TOP: f64 = 80.0;

/// A group of bars for each of `groups`, a bar in it for each of `series`; their length is the logarithm of the value.
pub fn bars(title: &str, series: &[&str], groups: &[(String, Vec<f64>)]) -> String {
    let values = || groups.iter().flat_map(|(_, values)| values.iter().copied());
    let least = values().fold(f64::INFINITY, f64::min) / 1.5;
    let most = values().fold(0.0, f64::max);
    let length = |value: f64| (value / least).ln() / (most / least).ln() * (WIDTH - LEFT - 90.0);
    let group = series.len() as f64 * BAR + GAP;
    let height = TOP + group * groups.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    for (n, (name, colour)) in series.iter().zip(COLOURS).enumerate() {
        let x = 10.0 + n as f64 * 230.0;
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"40\" width=\"14\" height=\"14\" fill=\"{colour}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"52\">{name}</text>", x + 20.0);
    }
    for (n, (name, values)) in groups.iter().enumerate() {
        let top = TOP + group * n as f64;
        let middle = top + (group - GAP) / 2.0 + 5.0;
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>", LEFT - 12.0);
        for (m, (value, colour)) in values.iter().zip(COLOURS).enumerate() {
            let (y, width) = (top + m as f64 * BAR, length(*value));
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>",
                BAR - 3.0
            );
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\">{value:.2} ms</text>",
                LEFT + width + 6.0,
                y + 14.0
            );
        }
    }
    svg + "</svg>\n"
}
