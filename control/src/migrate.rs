//! Changes for the source and for every tenant.
