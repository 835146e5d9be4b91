//! Servers: connections to PostgreSQL.
//!
//! # Layout
//! - [`target`]: where to, and the socket.
//! - [`connect`]: a socket becomes a server that is ready for queries.
//! - [`login`]: the proof of who we are.
//! - [`server`]: such a connection, and what is known of its session.
//! - [`servers`]: the pool of them; [`fair`]: how it lends, [`turns`]: in which order; [`share`]: how many to one tenant.
//! - [`claim`]: for whom they are asked for; [`lanes`]: users that have a limit.
//! - [`roster`]: who is there, and who is to be replaced; [`origin`]: the moment that its times count from.
//! - [`tenants`]: pools of tenants that log in by themselves.
//! - [`settings`]: session settings, tracked and replayed; [`parameters`]: what is known of them.
//! - [`restore`]: a server becomes clean before it is idle.
//! - [`cancel`]: the query of a server is cancelled.

#![warn(unreachable_pub)]

pub mod birth;
pub mod cancel;
pub mod claim;
pub mod connect;
pub mod fair;
pub mod lanes;
pub mod login;
pub mod origin;
pub mod parameters;
pub mod restore;
pub mod roster;
pub mod server;
pub mod servers;
pub mod settings;
pub mod share;
pub mod target;
pub mod tenants;
pub mod turns;

use pgstrata_config as config;
use pgstrata_limits as limits;
use pgstrata_metrics as metrics;
use pgstrata_net as net;
use pgstrata_net::stream;
use pgstrata_simulation::{self as simulation, chance};
use pgstrata_wire as wire;
