//! A picture in so many columns and lines. Whatever is too much is cut off: the most important stands first.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line as Text;
use ratatui::widgets::{Paragraph, Row as Shown, Table, Widget};

use super::picture::{Line, Picture, get, number};
use super::source::Row;

/// The lines of a part's title and head.
const HEAD: u16 = 2;

/// Which parts are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All that there is room for.
    #[default]
    All,
    /// The tenants alone.
    Tenants,
    /// The statements alone.
    Statements,
    /// The clients that run or wait alone.
    Clients,
}

/// What is on the screen.
#[derive(Default)]
pub struct Screen<'a> {
    /// The last that was answered.
    pub picture: Option<&'a Picture>,
    /// Host and port of the console.
    pub place: &'a str,
    /// What is wrong with the connection.
    pub trouble: Option<&'a str>,
    /// Nothing new is asked for.
    pub paused: bool,
    /// Colours may be used.
    pub colours: bool,
    /// What is shown.
    pub part: Part,
}

impl Screen<'_> {
    /// Draws all of it.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let pools =
            self.picture.map_or(0, |picture| u16::try_from(picture.answers.pools.len()).unwrap_or(3).min(3));
        let heights = [1, u16::from(self.trouble.is_some()), pools].map(Constraint::Length);
        let [head, trouble, pools, rest] =
            Layout::vertical(heights.into_iter().chain([Constraint::Min(0)])).areas(area);
        Paragraph::new(self.head()).style(self.style(None, Modifier::BOLD)).render(head, buffer);
        if let Some(text) = self.trouble {
            Paragraph::new(text)
                .style(self.style(Some(Color::Red), Modifier::REVERSED))
                .render(trouble, buffer);
        }
        let Some(picture) = self.picture else { return };
        let lines: Vec<Text<'_>> =
            picture.answers.pools.iter().map(|pool| Text::raw(pool_line(picture, pool))).collect();
        Paragraph::new(lines).render(pools, buffer);
        for (part, area) in self.parts(rest) {
            match part {
                Part::Tenants => self.tenants(picture, area, buffer),
                Part::Statements => self.statements(picture, area, buffer),
                Part::Clients | Part::All => self.clients(picture, area, buffer),
            }
        }
    }

    /// The parts and their places: of all, as many as have room for a line each.
    fn parts(&self, area: Rect) -> Vec<(Part, Rect)> {
        if self.part != Part::All {
            return vec![(self.part, area)];
        }
        let parts = [Part::Tenants, Part::Statements, Part::Clients];
        let count = usize::from(area.height / (HEAD + 2)).clamp(1, parts.len());
        let shares = vec![Constraint::Fill(1); count];
        parts.into_iter().zip(Layout::vertical(shares).split(area).iter().copied()).collect()
    }

    fn head(&self) -> String {
        let Some(picture) = self.picture else { return format!("pgstrata top, {}: connecting", self.place) };
        let version = picture.answers.version.first().map_or("pgstrata", |row| get(row, "version"));
        let waiting = picture.running.iter().filter(|row| get(row, "state") == "waiting").count();
        let (clients, running) = (picture.clients, picture.running.len() - waiting);
        let over = match picture.over {
            Some(over) => format!("in {}", time(over)),
            None => "since the start".to_owned(),
        };
        let paused = if self.paused { ", paused" } else { "" };
        format!(
            "{version}, {}: {clients} clients, {running} running, {waiting} waiting; PostgreSQL {} {over}{paused}",
            self.place,
            micros(picture.time())
        )
    }

    fn tenants(&self, picture: &Picture, area: Rect, buffer: &mut Buffer) {
        let widths = [24, 12, 10, 6, 10, 10, 8, 8, 9].map(Constraint::Length);
        let head = ["tenant", "database", "time", "share", "requests", "wait", "errors", "refused", "state"];
        let all = picture.time();
        let row = |line: &Line| {
            let growth = |at: usize| line.growth.get(at).copied().unwrap_or_default();
            vec![
                get(&line.row, "tenant").to_owned(),
                get(&line.row, "database").to_owned(),
                micros(growth(0)),
                share(growth(0), all),
                growth(1).to_string(),
                micros(growth(2)),
                growth(3).to_string(),
                growth(4).to_string(),
                get(&line.row, "state").to_owned(),
            ]
        };
        self.table(
            "Tenants by PostgreSQL's time",
            &head,
            &widths,
            picture.tenants.iter().map(row),
            area,
            buffer,
        );
    }

    fn statements(&self, picture: &Picture, area: Rect, buffer: &mut Buffer) {
        let widths = [20, 10, 8, 9, 9, 7, 8].map(Constraint::Length);
        let widths: Vec<_> = widths.into_iter().chain([Constraint::Fill(1)]).collect();
        let head = ["tenant", "time", "calls", "average", "p99", "errors", "rows", "statement"];
        let row = |line: &Line| {
            let growth = |at: usize| line.growth.get(at).copied().unwrap_or_default();
            vec![
                get(&line.row, "tenant").to_owned(),
                micros(growth(0)),
                growth(1).to_string(),
                micros(growth(0) / growth(1).max(1)),
                micros(number(&line.row, "p99_time")),
                growth(3).to_string(),
                growth(4).to_string(),
                get(&line.row, "query").split_whitespace().collect::<Vec<_>>().join(" "),
            ]
        };
        let rows = picture.statements.iter().map(row);
        self.table("Statements by PostgreSQL's time", &head, &widths, rows, area, buffer);
    }

    fn clients(&self, picture: &Picture, area: Rect, buffer: &mut Buffer) {
        let widths = [20, 12, 8, 20, 7, 12].map(Constraint::Length);
        let widths: Vec<_> = widths.into_iter().chain([Constraint::Fill(1)]).collect();
        let head = ["tenant", "user", "state", "server since", "id", "transaction", "statement"];
        let row = |row: &Row| {
            vec![
                get(row, "tenant").to_owned(),
                get(row, "user").to_owned(),
                get(row, "state").to_owned(),
                get(row, "request_time").trim_end_matches(" UTC").to_owned(),
                get(row, "id").to_owned(),
                get(row, "transaction").to_owned(),
                get(row, "query").split_whitespace().collect::<Vec<_>>().join(" "),
            ]
        };
        let rows = picture.running.iter().map(row);
        self.table("Clients that run or wait, the longest first", &head, &widths, rows, area, buffer);
    }

    fn table(
        &self,
        title: &str,
        head: &[&'static str],
        widths: &[Constraint],
        rows: impl Iterator<Item = Vec<String>>,
        area: Rect,
        buffer: &mut Buffer,
    ) {
        let [title_at, table_at] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        Paragraph::new(title).style(self.style(Some(Color::Cyan), Modifier::BOLD)).render(title_at, buffer);
        let rows = rows.take(usize::from(table_at.height)).map(Shown::new);
        let head = Shown::new(head.iter().copied()).style(self.style(None, Modifier::UNDERLINED));
        Widget::render(Table::new(rows, widths.iter().copied()).header(head), table_at, buffer);
    }

    fn style(&self, colour: Option<Color>, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        match colour.filter(|_| self.colours) {
            Some(colour) => style.fg(colour),
            None => style,
        }
    }
}

fn pool_line(picture: &Picture, pool: &Row) -> String {
    let name = get(pool, "database");
    let entry = picture.answers.databases.iter().find(|row| get(row, "name") == name);
    let limit = entry.map_or(0, |row| number(row, "pool_size"));
    let [active, idle, login, waiting] =
        ["sv_active", "sv_idle", "sv_login", "cl_waiting"].map(|column| number(pool, column));
    let longest = number(pool, "maxwait") * 1_000_000 + number(pool, "maxwait_us");
    format!(
        "pool {name} as {}: {active} active, {idle} idle, {login} connecting of {limit}; {waiting} clients wait, the longest {}",
        get(pool, "user"),
        micros(longest)
    )
}

fn share(part: u64, all: u64) -> String {
    format!("{}%", (u128::from(part) * 100).checked_div(all.into()).unwrap_or_default())
}

fn time(of: Duration) -> String {
    micros(u64::try_from(of.as_micros()).unwrap_or(u64::MAX))
}

/// A time in microseconds.
fn micros(time: u64) -> String {
    match time {
        0..1000 => format!("{time} us"),
        1000..1_000_000 => format!("{}.{} ms", time / 1000, time % 1000 / 100),
        1_000_000..600_000_000 => format!("{}.{} s", time / 1_000_000, time % 1_000_000 / 100_000),
        _ => format!("{} min", time / 60_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::source::Answers;

    fn row(pairs: &[(&str, &str)]) -> Row {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn picture() -> Picture {
        let tenants = (0..100).map(|i| {
            row(&[("database", "app"), ("tenant", &format!("t{i}")), ("query_time", &(i * 1000).to_string())])
        });
        let statement = row(&[
            ("tenant", "t99"),
            ("queryid", "1"),
            ("query_time", "99"),
            ("query", "SELECT\n\u{1b}[31m?"),
        ]);
        let client = row(&[("tenant", "t1"), ("state", "active"), ("query", "SELECT pg_sleep(?)")]);
        Picture::first(Answers {
            version: vec![row(&[("version", "pgstrata 1.2.3")])],
            pools: vec![row(&[("database", "app"), ("user", "role"), ("sv_active", "3")])],
            databases: vec![row(&[("name", "app"), ("pool_size", "20")])],
            tenants: tenants.collect(),
            statements: vec![statement],
            clients: vec![client],
        })
    }

    fn drawn(screen: &Screen<'_>, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        screen.draw(area, &mut buffer);
        let line = |y| {
            (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>().trim_end().to_owned()
        };
        (0..height).map(line).collect()
    }

    #[test]
    fn heaviest_tenant_stands_first_and_all_parts_are_there() {
        let picture = picture();
        let screen = Screen { picture: Some(&picture), place: "db:6432", ..Screen::default() };
        let lines = drawn(&screen, 120, 30);
        assert_eq!(
            lines[0],
            "pgstrata 1.2.3, db:6432: 1 clients, 1 running, 0 waiting; PostgreSQL 4.9 s since the start"
        );
        assert!(
            lines[1].starts_with("pool app as role: 3 active, 0 idle, 0 connecting of 20;"),
            "{}",
            lines[1]
        );
        assert_eq!(lines[2], "Tenants by PostgreSQL's time");
        assert!(
            lines[4].starts_with("t99") && lines[4].contains("99.0 ms") && lines[4].contains(" 2% "),
            "{}",
            lines[4]
        );
        let all = lines.join("\n");
        assert!(all.contains("SELECT pg_sleep(?)"), "{all}");
        assert!(!all.contains('\u{1b}') && all.contains("SELECT"), "{all}");
    }

    #[test]
    fn no_size_is_too_small() {
        let picture = picture();
        for part in [Part::All, Part::Tenants, Part::Statements, Part::Clients] {
            let screen = Screen { picture: Some(&picture), trouble: Some("lost"), part, ..Screen::default() };
            for (width, height) in [(0, 0), (1, 1), (20, 3), (5, 40), (300, 2), (80, 10)] {
                drawn(&screen, width, height);
            }
        }
        let screen = Screen { picture: Some(&picture), ..Screen::default() };
        let small = drawn(&screen, 40, 8);
        assert!(small[4].starts_with("t99"), "{small:?}");
    }

    #[test]
    fn trouble_is_told_and_the_last_picture_stays() {
        let picture = picture();
        let screen =
            Screen { picture: Some(&picture), trouble: Some("connection lost"), ..Screen::default() };
        let lines = drawn(&screen, 100, 20);
        assert_eq!(lines[1], "connection lost");
        assert!(lines.join("\n").contains("t99"));
        let first = Screen { place: "db:1", trouble: Some("no answer"), ..Screen::default() };
        assert_eq!(drawn(&first, 60, 3), ["pgstrata top, db:1: connecting", "no answer", ""]);
    }

    #[test]
    fn colours_are_used_where_they_may_be() {
        let picture = picture();
        let coloured = |colours| {
            let screen = Screen { picture: Some(&picture), trouble: Some("x"), colours, ..Screen::default() };
            let area = Rect::new(0, 0, 80, 20);
            let mut buffer = Buffer::empty(area);
            screen.draw(area, &mut buffer);
            buffer.content().iter().any(|cell| cell.fg != Color::Reset)
        };
        assert!(coloured(true) && !coloured(false));
    }

    #[test]
    fn times_are_short() {
        let told: Vec<_> = [0, 999, 1500, 2_540_000, 3_600_000_000].into_iter().map(micros).collect();
        assert_eq!(told, ["0 us", "999 us", "1.5 ms", "2.5 s", "60 min"]);
    }
}
