//! What the database holds: relations and functions of a schema.
