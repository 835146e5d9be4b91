//! What the console has answered, and what is new in it since the time before.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::source::{Answers, Row};
use crate::admin::console::show::MOST_STATEMENTS as MOST;

/// A tenant's name, or that of one of its statements.
type Key = Vec<String>;
/// Columns that only grow, by key.
#[derive(Debug)]
struct Sums {
    by_key: HashMap<Key, Vec<u64>>,
    /// Whether a row that is not among them did not exist.
    are_all: bool,
}

const TENANT: [&str; 2] = ["database", "tenant"];
const TENANT_SUMS: [&str; 5] = ["query_time", "requests", "wait_time", "errors", "refused"];
const STATEMENT: [&str; 3] = ["database", "tenant", "queryid"];
const STATEMENT_SUMS: [&str; 5] = ["query_time", "calls", "wait_time", "errors", "rows"];

/// One line of a table: its row, and how far that has grown.
#[derive(Debug)]
pub struct Line {
    /// The columns that only grow: by how much they have grown since the picture before.
    pub growth: Vec<u64>,
    /// All of it.
    pub row: Row,
}

/// The state of a proxy.
#[derive(Debug)]
pub struct Picture {
    /// What was answered, but for what has lines.
    pub answers: Answers,
    /// The tenants, those with most of PostgreSQL's time first.
    pub tenants: Vec<Line>,
    /// The statements, likewise.
    pub statements: Vec<Line>,
    /// The clients that have a server or wait for one, the longest first.
    pub running: Vec<Row>,
    /// All clients.
    pub clients: usize,
    /// The time in which the lines have grown; `None`: since the start of the proxy.
    pub over: Option<Duration>,
    at: Instant,
    tenant_sums: Sums,
    statement_sums: Sums,
}

impl Picture {
    /// Without one before.
    pub fn first(answers: Answers) -> Self {
        Self::of(answers, None)
    }

    /// With what is new since `before`.
    pub fn of(mut answers: Answers, before: Option<&Self>) -> Self {
        let at = Instant::now();
        let tenants = std::mem::take(&mut answers.tenants);
        let statements = std::mem::take(&mut answers.statements);
        let (tenants, tenant_sums) =
            lines(tenants, &TENANT, &TENANT_SUMS, usize::MAX, before.map(|before| &before.tenant_sums));
        let sums = before.map(|before| &before.statement_sums);
        let (statements, statement_sums) = lines(statements, &STATEMENT, &STATEMENT_SUMS, MOST, sums);
        let mut running = std::mem::take(&mut answers.clients);
        let clients = running.len();
        running.retain(|row| matches!(get(row, "state"), "active" | "waiting"));
        running.sort_by(|one, other| get(one, "request_time").cmp(get(other, "request_time")));
        let over = before.map(|before| at.duration_since(before.at));
        Self { answers, tenants, statements, running, clients, over, at, tenant_sums, statement_sums }
    }

    /// PostgreSQL's time for all tenants, as far as it is new, in microseconds.
    pub fn time(&self) -> u64 {
        self.tenants.iter().filter_map(|line| line.growth.first()).sum()
    }
}

/// A value; empty where there is none.
pub fn get<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).map_or("", String::as_str)
}

/// A value that is a number.
pub fn number(row: &Row, name: &str) -> u64 {
    get(row, name).parse().unwrap_or_default()
}

/// The lines of a table that has `most` rows at most, the one that has grown most first; and what they show next time.
fn lines(
    rows: Vec<Row>,
    key: &[&str],
    sums: &[&str],
    most: usize,
    before: Option<&Sums>,
) -> (Vec<Line>, Sums) {
    let mut all = Sums { by_key: HashMap::with_capacity(rows.len()), are_all: rows.len() < most };
    let mut lines: Vec<Line> = Vec::with_capacity(rows.len());
    for row in rows {
        let key: Key = key.iter().map(|name| get(&row, name).to_owned()).collect();
        let now: Vec<u64> = sums.iter().map(|name| number(&row, name)).collect();
        lines.push(Line { growth: growth(&key, &now, before), row });
        all.by_key.insert(key, now);
    }
    lines.sort_by(|one, other| other.growth.cmp(&one.growth));
    (lines, all)
}

/// How far the sums of a row have grown since `before`.
fn growth(key: &[String], now: &[u64], before: Option<&Sums>) -> Vec<u64> {
    let Some(before) = before else { return now.to_vec() };
    // The sums of statements that gave way grow by what those have counted all their lives.
    let is_of_many = key.len() == STATEMENT.len() && key.last().is_some_and(String::is_empty);
    match before.by_key.get(key) {
        _ if is_of_many => vec![0; now.len()],
        // The proxy was restarted, or the statistics were reset: all is new.
        Some(known) if known.iter().zip(now).any(|(before, now)| before > now) => now.to_vec(),
        Some(known) => now.iter().zip(known).map(|(now, before)| now - before).collect(),
        None if before.are_all => now.to_vec(),
        // It was there, but not among the heaviest.
        None => vec![0; now.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, &str)]) -> Row {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn tenants(times: &[(&str, &str)]) -> Answers {
        let tenant = |(tenant, time): &(&str, &str)| {
            row(&[("database", "app"), ("tenant", tenant), ("query_time", time)])
        };
        Answers { tenants: times.iter().map(tenant).collect(), ..Answers::default() }
    }

    fn told(picture: &Picture) -> Vec<(&str, u64)> {
        picture.tenants.iter().map(|line| (get(&line.row, "tenant"), line.growth[0])).collect()
    }

    #[test]
    fn what_is_new_comes_first() {
        let first = Picture::first(tenants(&[("a", "10"), ("b", "900"), ("c", "500")]));
        assert_eq!(told(&first), [("b", 900), ("c", 500), ("a", 10)]);
        assert_eq!((first.time(), first.over), (1410, None));
        let next = Picture::of(tenants(&[("a", "60"), ("b", "901"), ("c", "5"), ("d", "7")]), Some(&first));
        assert_eq!(told(&next), [("a", 50), ("d", 7), ("c", 5), ("b", 1)]);
        assert!(next.over.is_some());
    }

    #[test]
    fn row_that_was_not_shown_before_has_not_grown_by_all_that_it_has_counted() {
        let statement = |id: usize, time: &str| {
            let id = if id == 0 { String::new() } else { id.to_string() };
            row(&[("tenant", "a"), ("queryid", &id), ("query_time", time)])
        };
        let pictures = |rows: usize| {
            let statements = (1..=rows).map(|id| statement(id, "5")).chain([statement(0, "70")]).collect();
            let first = Picture::first(Answers { statements, ..Answers::default() });
            let statements = vec![statement(1, "6"), statement(9999, "800"), statement(0, "900")];
            let next = Picture::of(Answers { statements, ..Answers::default() }, Some(&first));
            let told = |id: &str| {
                let line = next.statements.iter().find(|line| get(&line.row, "queryid") == id);
                line.map(|line| line.growth[0]).unwrap()
            };
            [told("1"), told("9999"), told("")]
        };
        // All that there were are known: it is new.
        assert_eq!(pictures(10), [1, 800, 0]);
        assert_eq!(pictures(MOST), [1, 0, 0]);
    }

    #[test]
    fn clients_that_run_come_by_age() {
        let client = |state, since| row(&[("state", state), ("request_time", since)]);
        let clients = vec![client("idle", "1"), client("active", "3"), client("waiting", "2")];
        let picture = Picture::first(Answers { clients, ..Answers::default() });
        assert_eq!(picture.clients, 3);
        let told: Vec<_> = picture.running.iter().map(|row| get(row, "state")).collect();
        assert_eq!(told, ["waiting", "active"]);
    }
}
