//! Who a client is, and which tenant it may work for.
//!
//! # Layout
//! - [`accept`]: from the first byte to a [`Login`](login::Login) that waits for its tenant.
//! - `door`: the steps of that, each with its answer; `refusals`: what the log says of those who don't get in.
//! - [`tenant`]: what a start-up packet says about user, database, tenant and settings; `near_miss`: names that were meant
//!   to be the tenant's.
//! - [`users`]: who may log in, with secrets that are ready to be checked against.
//! - [`credential`]: what a proof is checked against, by whatever method; [`verifier`]: PostgreSQL's SCRAM verifiers.
//! - [`lookup`]: users that are asked of PostgreSQL.
//! - [`exchange`]: the proof itself: SCRAM-SHA-256, MD5, a password over TLS.
//! - `certificate`: the names of a certificate, and whose they are.
//! - [`failures`]: who has failed lately, and waits for that.
//! - `hba`: whether a client may log in from where it is, and how it is to prove who it is.
//! - [`proxied`]: whom a load balancer says that a connection is for.
//! - [`login`]: the last step, in which the tenant is admitted or refused.
//! - [`unproven`]: those who are not that far yet, and how many of them there may be.
//! - [`tls`]: certificate and key from files.

#![warn(unreachable_pub)]

pub mod accept;
mod certificate;
mod credential;
pub mod error;
pub mod exchange;
pub mod failures;
mod handshake;
mod hba;
pub mod login;
mod lookup;
mod near_miss;
mod peer;
pub mod proxied;
pub mod refusals;
pub mod tenant;
pub mod tls;
pub mod unproven;
pub mod users;
mod verifier;

use pgstrata_catalog as catalog;
use pgstrata_config as config;
use pgstrata_net as net;
use pgstrata_net::stream;
#[cfg(test)]
use pgstrata_pool as pool;
use pgstrata_wire as wire;

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
