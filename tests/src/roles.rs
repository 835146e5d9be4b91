//! The tenants' roles, for the tiers that take them.

use pgstrata_control::role_password;
use pgstrata_tenancy::Tier;
use tokio_postgres::Client;

use crate::setup::wished_tier;

/// What the roles' passwords are derived from.
pub const KEY: &str = "a key for tests, of 32 bytes or more";

/// A role for each of the two tenants, which owns what its schema holds. The servers' own role may
/// then take theirs, and touch nothing by itself.
pub async fn make(server: &Client) {
    for schema in ["acme_corp", "globex"] {
        server.batch_execute(&sql(schema)).await.unwrap();
    }
}

/// The role that makes and owns what a tenant has, in the tier that the tests are to run in.
pub fn owner(schema: &str) -> String {
    match wished_tier() {
        Tier::Names => "app".to_owned(),
        Tier::Role | Tier::Login => format!("tenant_{schema}"),
    }
}

/// The options of a session past the proxy that is what one through it would be.
pub fn direct_options(schema: &str) -> String {
    format!("-csearch_path={schema},\\ public -crole={}", owner(schema))
}

/// What makes the role of one schema, which is in the database already.
pub fn sql(schema: &str) -> String {
    let role = format!("tenant_{schema}");
    let password = role_password(KEY.as_bytes(), &role);
    format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{password}';
         ALTER ROLE app NOINHERIT;
         GRANT CONNECT, TEMPORARY ON DATABASE app TO {role};
         GRANT USAGE ON SCHEMA public TO {role};
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
         ALTER SCHEMA {schema} OWNER TO {role};
         REVOKE ALL ON SCHEMA {schema} FROM app;
         GRANT ALL ON SCHEMA {schema} TO {role};
         DO $$
         DECLARE relation record;
         BEGIN
             EXECUTE 'GRANT {role} TO app' || CASE WHEN current_setting('server_version_num')::integer >= 160000
                 THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
             FOR relation IN SELECT oid::regclass AS name FROM pg_class
                 WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'p', 'v')
             LOOP
                 EXECUTE format('ALTER TABLE %s OWNER TO {role}', relation.name);
             END LOOP;
         END $$;"
    )
}
