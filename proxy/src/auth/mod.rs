//! Who a client is, and which tenant it may work for.
//!
//! # Layout
//! - [`accept`]: from the first byte to a [`Login`](login::Login) that waits for its tenant.
//! - `door`: the steps of that, each with its answer; `refusals`: what the log says of those who don't get in.
//! - [`tenant`]: what a start-up packet says about user, database, tenant and settings; `near_miss`: names that were meant
//!   to be the tenant's.
//! - [`users`]: who may log in, with secrets that are ready to be checked against.
//! - [`exchange`]: the proof itself: SCRAM-SHA-256, MD5, a password over TLS.
//! - [`login`]: the last step, in which the tenant is admitted or refused.
//! - [`unproven`]: those who are not that far yet, and how many of them there may be.
//! - [`tls`]: certificate and key from files.

pub mod accept;
mod door;
pub mod error;
pub mod exchange;
pub mod login;
mod near_miss;
pub(crate) mod refusals;
pub mod tenant;
pub mod tls;
pub mod unproven;
pub mod users;
mod verifier;

#[cfg(test)]
mod accept_tests;
#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod tenant_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tls_tests;
