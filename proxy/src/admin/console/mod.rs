//! The console: a database of the proxy's own, with commands in the place of SQL.
//!
//! A text becomes commands, a command becomes an answer, an answer becomes messages. Whatever a console's client does or
//! fails to do, it holds up nobody but itself.
//!
//! # Layout
//! - [`command`]: a text to commands. [`table`]: rows. [`write`]: answers to messages.
//! - [`show`]: what can be looked at. [`act`]: what can be done.
//! - [`session`]: one client of the console. [`extended`]: its statements and portals. [`login`]: the way in.

pub mod act;
pub mod command;
mod extended;
mod login;
mod session;
pub mod show;
pub mod table;
mod write;

pub use session::Console;
