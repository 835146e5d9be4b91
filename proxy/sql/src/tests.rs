//! The engine as its callers see it.

mod bounds;
mod currency;
mod fuzz;
mod hidden;
mod keys;
mod lasting;
mod linear;
mod moved;
pub(crate) mod oracle;
mod pins;
pub(crate) mod plans;
mod robust;
mod routes;
