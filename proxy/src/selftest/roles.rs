//! The roles of the two tenants, in the tiers that take some: made as `pgstrata tenant create` makes them.

use pgstrata_control::{Control, SchemaName};
use pgstrata_tenancy::ident::quoted;
use pgstrata_tenancy::{RoleName, Tier};
use tokio_postgres::Client;

use super::tenants::{literal, words};
use crate::config::{Config, Database};
use crate::tenant::connect::control;

/// Which roles are made for the test.
pub struct Roles {
    /// The tier that is tested.
    pub tier: Tier,
    /// The names of the two, quoted, in the order of the schemas. The servers' own in the tier `names`.
    pub names: [String; 2],
    /// What keeps the tier that was asked for from being tested.
    pub lacking: Option<String>,
    /// Who makes and drops them, and whose they are.
    made: Option<(Control, [SchemaName; 2])>,
}

impl Roles {
    /// None: both are the role that servers log in as.
    pub fn none(database: &Database) -> Self {
        let names = [quoted(&database.user), quoted(&database.user)];
        Self { tier: Tier::Names, names, lacking: None, made: None }
    }

    /// Makes those of a tier, or none where that can't be done. `url` is another login than that of the file.
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
        let [Ok(own), Ok(other)] = schemas else { return Err("no tenant can have such a schema".into()) };
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

    /// Drops them, once nothing is left of their schemas but what they may do there.
    pub async fn remove(&self, admin: &Client) -> Result<(), String> {
        let Some((control, schemas)) = &self.made else { return Ok(()) };
        for schema in schemas {
            let role = role_of(control, schema)?;
            // Where it could not be given, it can't be taken.
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

/// The role of one of the tenants, made, and let in where it logs in. The error: what is in the way of that.
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
