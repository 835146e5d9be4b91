//! The engine as its callers see it.

pub(crate) mod fixture;
mod oracle;
mod robust;
mod routes;
