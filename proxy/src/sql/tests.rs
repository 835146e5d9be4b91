//! The engine as its callers see it.

mod bounds;
pub(crate) mod fixture;
mod fuzz;
mod hidden;
mod keys;
mod linear;
mod moved;
pub(crate) mod oracle;
mod pins;
mod robust;
mod routes;
