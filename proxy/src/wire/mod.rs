//! Bytes and what they mean. No I/O but the stream types.
//!
//! # Layout
//! - [`startup`], [`options`], [`encoding`], [`refusal`]: until a client is in.
//! - [`frame`]: message boundaries afterwards.
//! - [`message`]: the few messages that we build.
//! - [`stream`]: the sockets at both ends.

pub mod encoding;
pub mod frame;
pub mod message;
pub mod options;
pub mod refusal;
pub mod startup;
pub mod stream;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod options_tests;
#[cfg(test)]
mod startup_tests;
