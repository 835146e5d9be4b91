//! The roles of the two tenants, in the tiers that need them: created like those of `pgstrata tenant create`.

use pgstrata_control::{Control, SchemaName};
use pgstrata_tenancy::ident::quoted;
use pgstrata_tenancy::{RoleName, Tier};
use tokio_postgres::Client;

use super::tenants::{literal, words};
use crate::config::{Config, Database};
use crate::tenant::connect::control;

/// The roles of the test.
pub struct Roles {
    /// The tested tier.
    pub tier: Tier,
    /// The names of the two roles, quoted, in the order of the schemas. In the tier `names`, the servers' role.
    pub names: [String; 2],
    /// Why the requested tier cannot be tested.
    pub lacking: Option<String>,
    /// The connection that creates and drops them, and their schemas.
    made: Option<(Control, [SchemaName; 2])>,
}

impl Roles {
    /// No roles: both tenants use the servers' role.
    pub fn none(database: &Database) -> Self {
        let names = [quoted(&database.user), quoted(&database.user)];
        Self { tier: Tier::Names, names, lacking: None, made: None }
    }

    /// Creates the roles of a tier, or none if that is not possible. `url` is another login than that of the file.
    pub async fn make(
        admin: &Client,
        (config, name, url): (&Config, &str, Option<&str>),
        database: &Database,
        schemas: [&str; 2],
        tier: Tier,
    ) -> Result<Self, String> {
        let none = Self::none(database);
        if tier == Tier::Names {
            return Ok(none);
        }
        let mut config = config.clone();
        (config.tenancy.tier, config.provision.workers) = (tier, 1);
        let control = control(&config, name, database, url).map_err(|error| error.to_string())?;
        let schemas = schemas.map(|schema| SchemaName::new(schema, control.settings()));
        let [Ok(own), Ok(other)] = schemas else {
            return Err("the names of the two temporary schemas are not valid for tenants".into());
        };
        let mut roles = Self { tier, made: Some((control.clone(), [own.clone(), other.clone()])), ..none };
        for (schema, name) in [own, other].iter().zip(&mut roles.names) {
            match grant(admin, &control, schema, tier).await {
                Ok(role) => *name = role.quoted(),
                Err(why) => roles.lacking = roles.lacking.or(Some(why)),
            }
        }
        match roles.lacking.take() {
            None => Ok(roles),
            Some(why) => {
                roles.remove(admin).await?;
                Ok(Self { lacking: Some(why), ..Self::none(database) })
            }
        }
    }

    /// Drops the roles when their schemas are dropped.
    pub async fn remove(&self, admin: &Client) -> Result<(), String> {
        let Some((control, schemas)) = &self.made else { return Ok(()) };
        for schema in schemas {
            let role = role_of(control, schema)?;
            // A privilege that could not be granted cannot be revoked.
            let revoke = format!(
                "BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), {}); \
                 EXCEPTION WHEN insufficient_privilege OR undefined_object THEN NULL; END",
                literal(role.as_str())
            );
            admin.batch_execute(&format!("DO {}", literal(&revoke))).await.map_err(|error| words(&error))?;
            control.drop_role(schema).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn role_of(control: &Control, schema: &SchemaName) -> Result<RoleName, String> {
    let role = control.settings().role(schema).map_err(|error| error.to_string())?;
    Ok(role.ok_or_else(|| "the tenant has no role in this tier".to_owned())?.name)
}

/// Creates the role of a tenant, with the privilege to connect. The error: why it could not be created.
async fn grant(
    admin: &Client,
    control: &Control,
    schema: &SchemaName,
    tier: Tier,
) -> Result<RoleName, String> {
    let role = role_of(control, schema)?;
    control.grant_role(schema).await.map_err(|error| error.to_string())?;
    let name = literal(role.as_str());
    let grant = format!(
        "BEGIN EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), {name}); \
         EXCEPTION WHEN insufficient_privilege THEN NULL; END"
    );
    admin.batch_execute(&format!("DO {}", literal(&grant))).await.map_err(|error| words(&error))?;
    let may = format!("SELECT has_database_privilege({name}::name, current_database(), 'CONNECT')");
    let row = admin.query_one(&may, &[]).await.map_err(|error| words(&error))?;
    match row.get::<_, bool>(0) || tier != Tier::Login {
        true => Ok(role),
        false => Err(format!("role {} may not CONNECT to the database", role.quoted())),
    }
}
