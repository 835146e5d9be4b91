//! Schemas that cannot be tenants'.

/// The schema of the event triggers that announce DDL, which a superuser owns.
pub const EVENTS: &str = "pgstrata";

/// The schema of the registry of tenants.
pub const REGISTRY: &str = "pgstrata_control";

/// The beginning of the name of a schema that a tenant has left for another cluster: what is kept of it there is
/// nobody's.
pub const ASIDE: &str = "pgstrata_moved_";

/// Whether a schema is PostgreSQL's own, or pgstrata's: no tenant's, and not to be shared.
pub fn is_system_schema(name: &str) -> bool {
    name.starts_with("pg_")
        || name == "information_schema"
        // On a path it means the schema of whoever asks, quoted or not.
        || name == "$user"
        || matches!(name, EVENTS | REGISTRY)
        || name.starts_with(ASIDE)
}
