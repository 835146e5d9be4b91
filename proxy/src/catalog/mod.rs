//! What the database holds: relations and functions of a schema.

/// Whether a schema is PostgreSQL's own: no tenant's, and not to be shared.
pub fn is_system_schema(name: &str) -> bool {
    name.starts_with("pg_") || name == "information_schema"
}
