//! `pgstrata-orm`, against a real PostgreSQL and through the proxy.

#[path = "../../../orm-client/tests/shared/articles.rs"]
mod articles;
mod attacks;
mod connections;
mod databases;
mod diff;
mod failures;
mod isolation;
#[path = "../../../orm-client/tests/shared/library.rs"]
mod library;
mod lifecycle;
mod metadata;
mod misuse;
mod names;
#[path = "../../../orm-client/tests/shared/notes.rs"]
mod notes;
mod parity;
mod proxy;
mod queries;
mod relations;
mod round_trips;
mod runner;
mod tenant_column;
mod timeouts;
mod tls;
mod transaction_modes;
mod transactions;
mod types;
mod verbs;
