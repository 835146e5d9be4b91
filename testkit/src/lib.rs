//! What tests and benchmarks of several crates need, and no program.
//!
//! # Layout
//! - [`family`]: texts that are made to cost a reader as much as they can, of any length.
//! - [`families`]: the list of them. Whoever finds a costly text adds its kind there.
//! - [`mixture`]: such texts by the thousand, with the families mixed, from one seed.
//! - [`random`]: numbers that are the same in each run.

pub mod families;
pub mod family;
pub mod mixture;
pub mod random;

pub use families::FAMILIES;
pub use family::Family;
pub use mixture::Mixtures;
pub use random::Random;
