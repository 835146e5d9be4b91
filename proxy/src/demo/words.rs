//! What the demonstration writes for people: its configuration, and what to try.

use std::path::Path;

use super::postgres::Cluster;
use super::{Args, seed};

/// The configuration file.
pub(super) fn configuration(args: &Args, cluster: &Cluster) -> String {
    format!(
        "# The configuration of `pgstrata demo`, written at its start.

[listen]
address = \"127.0.0.1:{port}\"
shutdown_timeout = \"2s\"

[http]
address = \"127.0.0.1:{http_port}\"

[log]
level = \"warn\"

[tenancy]
strategy = \"{strategy}\"
missing_tenant = \"public\"

# The schema that new tenants are copies of.
[provision]
source = \"{template}\"

[databases.{database}]
host = \"127.0.0.1\"
port = {server_port}
user = \"{role}\"
password = \"{password}\"
tls = \"disable\"

# The role that creates tenants.
[databases.{database}.control]
user = \"{owner}\"
password = \"{owner}\"

# For applications: no statement, injected or not, defines objects or reaches another tenant.
[[users]]
name = \"{role}\"
password = \"{password}\"
tenants = [\"*\"]
statements = \"write\"
# May run EXPLAIN ROUTE, and all commands of the console.
admin = true

# For migrations.
[[users]]
name = \"migrations\"
password = \"migrations\"
tenants = [\"*\"]
statements = \"ddl\"

# For an application with one pool for all tenants.
[[users]]
name = \"pool\"
password = \"pool\"
tenants = [\"*\"]
statements = \"write\"
tenant_switch = true
",
        port = args.port,
        http_port = args.http_port,
        strategy = args.strategy,
        template = seed::TEMPLATE,
        database = seed::DATABASE,
        server_port = cluster.port(),
        role = seed::ROLE,
        password = seed::PASSWORD,
        owner = seed::OWNER,
    )
}

/// What is printed at last, for a reader with another terminal.
pub(super) fn welcome(args: &Args, cluster: &Cluster, file: &Path) -> String {
    let as_user = |user: &str| format!("postgresql://{user}:{user}@127.0.0.1:{}/app", args.port);
    let (url, pool) = (as_user("app"), as_user("pool"));
    let migrations = format!("{}?options=-ctenant%3Dacme_corp", as_user("migrations"));
    let program = std::env::current_exe().ok();
    let program = program.as_deref().unwrap_or(Path::new("pgstrata")).display();
    format!(
        "pgstrata is running in front of PostgreSQL {version}. Try, in another terminal:

  psql \"{url}?options=-ctenant%3Dacme_corp\" -c 'select * from users'
  psql \"{url}?options=-ctenant%3Dglobex\" -c 'select * from users'
  psql \"{url}\" -c 'select * from users'          # no tenant: public
  psql \"{url}?options=-ctenant%3Dacme_corp\" -c 'explain route select * from users'
  psql \"{migrations}\" -c 'create table notes (id int)'
  psql \"{pool}\" -c \"set tenant = 'globex'\" -c 'select * from users'   # one connection, many tenants
  curl http://127.0.0.1:{http_port}/metrics

Its configuration is {file}, for the command line:

  {program} check --config {file}
  {program} explain --config {file} --tenant acme_corp 'select * from users'
  {program} tenant --config {file} list
  {program} tenant --config {file} create initech

Ctrl-C stops all of it.
READY
",
        version = cluster.install().major,
        http_port = args.http_port,
        file = file.display(),
    )
}
