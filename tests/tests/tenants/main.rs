//! How tenants come, change and go, and how clients get to them.

mod auto_provision;
mod clusters;
mod clusters_apart;
mod clusters_attacks;
mod moves;
mod moves_interrupted;
mod moves_under_load;
mod path_switch;
mod provisioning;
mod provisioning_apps;
mod provisioning_limits;
mod provisioning_traps;
mod tenant_commands;
mod tenant_news;
mod tenant_roles;
mod tenant_states;
mod tenant_switch;
