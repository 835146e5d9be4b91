//! The document that the figures go to: what stands between its two marks, and the pictures beside it.

use std::path::Path;

use pgstrata_benches::plot::Bars;

use crate::Outcome;

const BEGIN: &str = "<!-- bench:begin, written by make bench-docs -->";
const END: &str = "<!-- bench:end -->";

/// Puts the report into docs/benchmarks.md, and each picture into docs/plots.
pub fn write(report: &str, plots: &[(&str, Bars)]) -> Outcome<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let file = docs.join("benchmarks.md");
    std::fs::create_dir_all(docs.join("plots"))?;
    let mut pictures = String::new();
    for (name, bars) in plots {
        std::fs::write(docs.join("plots").join(format!("{name}.svg")), bars.svg())?;
        pictures.push_str(&format!("![{}: {}](plots/{name}.svg)\n\n", bars.title, bars.axis));
    }
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, between(&text, &format!("{pictures}{report}"))?)?;
    Ok(())
}

fn between(text: &str, new: &str) -> Outcome<String> {
    let marks = || format!("docs/benchmarks.md has lost its marks `{BEGIN}` and `{END}`");
    let (before, rest) = text.split_once(BEGIN).ok_or_else(marks)?;
    let (_, after) = rest.split_once(END).ok_or_else(marks)?;
    Ok(format!("{before}{BEGIN}\n\n{new}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_the_marks_stays() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let new = between(&text, "new\n").unwrap();
        assert_eq!(new, format!("above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"));
        assert!(between("above\nbelow\n", "new").is_err());
    }
}
