//! Tenants' schemas: made from what public has.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pgstrata_orm::{Ensured, EntityManager, Error, PostgresTenantMigrationRunner, TenantMigrationRunner};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Makes tenants, and knows which there are.
#[derive(Clone)]
pub struct Tenants(Arc<dyn TenantMigrationRunner>);

/// A tenant to be, or one that is there.
#[derive(Deserialize, Serialize)]
pub struct Tenant {
    name: String,
}

impl Tenants {
    /// In this manager's database.
    pub fn new(em: &EntityManager) -> Result<Self, Error> {
        Ok(Self(Arc::new(PostgresTenantMigrationRunner::new(em.driver())?)))
    }

    /// Makes those of these tenants that are not there.
    pub async fn provision(&self, names: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
        let synced = self.0.sync_tenant_schemas(names).await?;
        println!("created {:?}, skipped {:?}", synced.created, synced.skipped);
        match synced.failed.first() {
            None => Ok(()),
            Some(failed) => Err(format!("tenant {}: {}", failed.schema, failed.reason).into()),
        }
    }
}

/// `GET /tenants`
pub async fn list(State(tenants): State<Tenants>) -> Result<Json<Vec<String>>, Failure> {
    Ok(Json(tenants.0.get_provisioned_schemas().await?))
}

/// `POST /tenants`: 201, or 200 if it is there already.
pub async fn create(
    State(tenants): State<Tenants>,
    Json(tenant): Json<Tenant>,
) -> Result<(StatusCode, Json<Tenant>), Failure> {
    let status = match tenants.0.ensure_schema(&tenant.name).await? {
        Ensured::Created => StatusCode::CREATED,
        Ensured::Existed => StatusCode::OK,
    };
    Ok((status, Json(tenant)))
}
