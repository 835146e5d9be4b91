//! `#[derive(Entity)]` of `pgstrata-orm`.
