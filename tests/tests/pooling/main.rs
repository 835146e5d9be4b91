//! Servers that clients share.

mod crowd;
mod deadlines;
mod defaults;
mod fairness;
mod last_values;
mod leftovers;
mod limits;
mod outages;
mod pgbench;
mod pins;
mod server_faults;
mod settings_at_rest;
mod unfinished;
