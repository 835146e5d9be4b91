//! Who may log in: each way to prove it, right and wrong, and where it leads.

mod certificates;
mod databases;
mod failures;
mod file;
mod ground;
mod hba;
mod proxied;
mod query;
mod unix_socket;
