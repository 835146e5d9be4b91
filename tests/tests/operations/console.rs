//! The console: what it shows, what it does, who may use it, and how drivers get on with it.

mod acts;
mod columns;
mod doors;
mod drivers;
mod reload;
mod shows;

use std::time::Duration;

use pgstrata_tests::answer::Fault;
use pgstrata_tests::wire::V3_0;
use pgstrata_tests::{Answer, Setup, Stage, Wire};

/// An administrator, and somebody who may only look.
const USERS: [&str; 2] = [
    "name = 'root'\npassword = 'root'\nadmin = true",
    "name = 'watcher'\npassword = 'watcher'\nstats = true",
];

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);

fn setup() -> Setup {
    USERS.into_iter().fold(Setup::new(), Setup::user)
}

async fn stage() -> Stage {
    Stage::new(setup()).await
}

/// A client of the console; the error: it is not let in.
async fn log_in(port: u16, user: &str, database: &str) -> Result<Wire, Fault> {
    let mut wire = Wire::connect(port).await;
    wire.startup(V3_0, &[("user", user), ("database", database)]).await;
    wire.authenticate(user).await.map(|()| wire)
}

/// The administrator's console.
async fn console(stage: &Stage) -> Wire {
    log_in(stage.port(), "root", "pgstrata").await.expect("the console lets root in")
}

/// Asks the console; it must go well.
async fn ask(console: &mut Wire, text: &str) -> Answer {
    let answer = console.simple(text).await;
    assert_eq!(answer.fault(), None, "{text}");
    answer
}

/// The value of a column in the row whose `key` column has that value.
async fn value(console: &mut Wire, table: &str, key: (&str, &str), column: &str) -> String {
    let answer = ask(console, &format!("SHOW {table}")).await;
    let names = answer.columns();
    let at = |name: &str| names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name}"));
    let rows = answer.rows();
    let row = rows.iter().find(|row| row[at(key.0)] == key.1);
    row.map_or_else(|| "no such row".to_owned(), |row| row[at(column)].clone())
}

/// The same as a number.
async fn number(console: &mut Wire, table: &str, key: (&str, &str), column: &str) -> u64 {
    let value = value(console, table, key, column).await;
    value.parse().unwrap_or_else(|_| panic!("{table}.{column} is {value}"))
}
