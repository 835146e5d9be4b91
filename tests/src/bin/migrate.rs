//! Migrates in a process of its own, which a test can kill: `migrate CONNECTION FOLDER WORKERS`.

use std::path::Path;

use pgstrata_control::migrate::{Migrations, Options};
use pgstrata_tests::schemas::{control, settings};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, connection, folder, workers] = &arguments[..] else {
        panic!("migrate CONNECTION FOLDER WORKERS");
    };
    let control = control(connection.parse().unwrap(), settings(), workers.parse().unwrap());
    let migrations = Migrations::read(Path::new(folder)).unwrap();
    let report = control.migrate(&migrations, &Options::default()).await.unwrap();
    println!("{}", serde_json::to_string(&report).unwrap());
    assert!(report.is_ok());
}
