//! The console: a virtual database of the proxy, with commands in place of SQL.
//!
//! A text becomes commands, a command becomes an answer, an answer becomes messages. A client of the console delays no
//! other client, whatever it does.
//!
//! # Layout
//! - [`command`]: from a text to commands. [`table`]: rows. [`write`]: from answers to messages.
//! - [`show`]: tables. [`act`]: commands that change something.
//! - [`session`]: one client of the console. [`extended`]: its statements and portals. [`login`]: the end of its login.

pub mod act;
pub mod command;
mod extended;
mod login;
mod session;
pub mod show;
pub mod table;
mod write;

pub use session::Console;
