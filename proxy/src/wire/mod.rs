//! Bytes and what they mean: start-up packets, options, refusals, streams.

pub mod encoding;
pub mod options;
pub mod refusal;
pub mod startup;
pub mod stream;

#[cfg(test)]
mod options_tests;
#[cfg(test)]
mod startup_tests;
