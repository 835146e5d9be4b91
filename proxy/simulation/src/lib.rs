//! What `tests/simulation` puts in the place of the world: network, chance and catalogs; and its deliberate faults.
//!
//! In a program all of it compiles to nothing: the feature `simulation` is for that test alone, and without it
//! [`fault`] is `false` where it is compiled.
//!
//! # Layout
//! - `fault`: mistakes that a simulation must find.
//! - [`chance`]: where numbers come from that nobody can foresee.
//! - `world`: what a simulated thread has in the place of sockets, random numbers and catalogs.

#![warn(unreachable_pub)]

pub mod chance;
mod fault;
#[cfg(feature = "simulation")]
mod world;

pub use fault::{Fault, fault};
#[cfg(feature = "simulation")]
pub use world::{Stream, World, install, world};
