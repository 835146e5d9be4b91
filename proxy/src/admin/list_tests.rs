use super::*;
use crate::admin::console::table::Type;

const COLUMNS: &[Column] = &[
    Column("database", Type::Text),
    Column("tenant", Type::Text),
    Column("state", Type::Text),
    Column("requests", Type::Numeric),
];

fn row(tenant: &str, state: Option<&str>, requests: u64) -> Row {
    vec!["app".into(), tenant.into(), state.map_or(Cell::Null, Cell::from), requests.into()]
}

fn few() -> Table {
    let rows = vec![
        row("globex", Some("active"), 9),
        row("Acme", None, 10),
        row("a,b", Some("suspended"), 9),
        row("initech", Some("migrating"), 100),
    ];
    Table { columns: COLUMNS, rows }
}

fn tenants(listed: &Listed) -> Vec<&str> {
    listed.table.rows.iter().filter_map(|row| text(&row[1])).collect()
}

#[test]
fn rows_come_in_the_tables_order_without_another() {
    let listed = Ask::default().of(few());
    assert_eq!(tenants(&listed), ["globex", "Acme", "a,b", "initech"]);
    assert_eq!((listed.total, listed.matched), (4, 4));
}

#[test]
fn numbers_are_sorted_as_numbers_and_equals_stay_in_order() {
    let by = |order| Ask { sort: Some("requests".into()), order, ..Ask::default() };
    assert_eq!(tenants(&by(Order::Asc).of(few())), ["globex", "a,b", "Acme", "initech"]);
    assert_eq!(tenants(&by(Order::Desc).of(few())), ["initech", "Acme", "globex", "a,b"]);
}

#[test]
fn null_is_last_in_both_orders() {
    for order in [Order::Asc, Order::Desc] {
        let ask = Ask { sort: Some("state".into()), order, ..Ask::default() };
        assert_eq!(tenants(&ask.of(few())).last(), Some(&"Acme"));
    }
}

#[test]
fn search_is_in_texts_and_in_any_case() {
    for (search, found) in [
        ("ACME", vec!["Acme"]),
        ("susp", vec!["a,b"]),
        ("E", vec!["globex", "Acme", "a,b", "initech"]),
        ("100", vec![]),
    ] {
        let listed = Ask { search: search.into(), ..Ask::default() }.of(few());
        assert_eq!(tenants(&listed), found, "{search}");
        assert_eq!((listed.total, listed.matched), (4, found.len()));
    }
}

#[test]
fn values_are_whole_and_states_several() {
    let ask = Ask { tenant: Some("a,b".into()), ..Ask::default() };
    assert_eq!(tenants(&ask.of(few())), ["a,b"]);
    let ask = Ask { tenant: Some("a".into()), ..Ask::default() };
    assert!(tenants(&ask.of(few())).is_empty());
    let ask = Ask { state: Some("active,migrating".into()), ..Ask::default() };
    assert_eq!(tenants(&ask.of(few())), ["globex", "initech"]);
}

#[test]
fn wrong_questions_are_told_what_is_wrong() {
    for (ask, error) in [
        (Ask { size: 0, ..Ask::default() }, "\"size\" is 0: it must be from 1 to 200"),
        (Ask { size: 201, ..Ask::default() }, "\"size\" is 201: it must be from 1 to 200"),
        (Ask { page: 0, ..Ask::default() }, "\"page\" is 0: the first page is 1"),
        (Ask { search: "x".repeat(257), ..Ask::default() }, "\"search\" is longer than 256 bytes"),
        (
            Ask { sort: Some("size".into()), ..Ask::default() },
            "there is no column \"size\": the columns are database, tenant, state, requests",
        ),
    ] {
        assert_eq!(ask.check(COLUMNS), Err(error.into()));
    }
    let ask = Ask { tenant: Some("acme".into()), ..Ask::default() };
    assert!(ask.check(&COLUMNS[..1]).is_err());
    assert_eq!(ask.check(COLUMNS), Ok(()));
}

/// 50,000 tenants with all values different, in no order.
fn crowd() -> Table {
    let row = |i: u64| row(&format!("tenant_{i:05}"), Some("active"), i.wrapping_mul(7919) % 50_000);
    Table { columns: COLUMNS, rows: (0..50_000).map(row).collect() }
}

#[test]
fn pages_of_a_crowd_are_those_of_the_sorted_whole() {
    let mut sorted = crowd().rows;
    sorted.sort_by(|one, other| match (&one[3], &other[3]) {
        (Cell::Number(one), Cell::Number(other)) => other.cmp(one),
        other => panic!("{other:?}"),
    });
    for page in [1, 2, 137, 250, 251, usize::MAX] {
        let ask =
            Ask { sort: Some("requests".into()), order: Order::Desc, page, size: 200, ..Ask::default() };
        let listed = ask.of(crowd());
        let first = (page - 1).saturating_mul(200).min(50_000);
        assert_eq!(listed.table.rows, sorted[first..(first + 200).min(50_000)], "page {page}");
        assert_eq!((listed.total, listed.matched), (50_000, 50_000));
    }
}
