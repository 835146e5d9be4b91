//! PostgreSQL's messages as bytes, and what they mean. No I/O, no runtime.
//!
//! # Layout
//! - [`startup`], [`options`], [`encoding`], [`refusal`]: until a client is in.
//! - [`frame`]: message boundaries afterwards.
//! - [`message`]: the few messages that we build.

pub mod encoding;
pub mod frame;
pub mod message;
pub mod options;
pub mod refusal;
pub mod startup;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod options_tests;
#[cfg(test)]
mod startup_tests;
