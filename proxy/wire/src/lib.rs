//! PostgreSQL's messages as bytes, and their decoding. No I/O, no runtime.
//!
//! # Layout
//! - [`startup`], [`options`], [`encoding`], [`refusal`]: until the client is logged in.
//! - [`frame`]: message boundaries after that.
//! - [`message`]: the few messages that the proxy builds.

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
