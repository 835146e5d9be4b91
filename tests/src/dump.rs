//! Whether a copy of a schema is like it, and how it differs.
//!
//! Both are described under one name: for as long as the copy is described it is renamed to the source's name, and the
//! source away. So whatever of the copy means the source shows its other name.
//! Each description is what `pg_dump --schema-only` writes, which sorts by kind and name, and what it leaves out
//! (`facts.sql`): the order of columns, inherited or not, dependencies, validity, comments on what it does not know of ...
//!
//! Not compared: pg_dump's `\restrict` lines, which are random; what it says of `public` alone, as no database is without
//! it; the order in which privileges were granted; the schema's name in a function's `SET search_path` and in its body,
//! texts that renaming does not change: the copy must have its own there.

use pgstrata::demo::postgres::Cluster;
use pgstrata_tenancy::ident::{push_literal, quoted};
use similar::TextDiff;
use tokio_postgres::Client;

use crate::program::{client_program, run};
use crate::stage::{connect, names};

/// What the source is called while its copy has its name.
const AWAY: &str = "pgstrata_test_away";

/// Lines of a difference that are shown.
const SHOWN: usize = 200;

/// What a schema is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// As `pg_dump` has it.
    dump: String,
    /// What the catalog has beside that, a fact a line.
    facts: String,
}

impl Description {
    /// Describes a schema as it is.
    pub async fn of(cluster: &Cluster, database: &str, schema: &str) -> Self {
        let admin = connect(&cluster.superuser(database)).await.unwrap();
        let dump = dump(cluster, database, schema, "--schema-only").await;
        Self {
            dump: with_one_name(&admin, &dump, &[schema], schema).await,
            facts: facts(&admin, schema).await,
        }
    }

    /// Describes `copy` as if it were called `source`.
    async fn in_place_of(cluster: &Cluster, database: &str, source: &str, copy: &str) -> Self {
        let admin = connect(&cluster.superuser(database)).await.unwrap();
        swap(&admin, source, copy).await;
        let dump = dump(cluster, database, source, "--schema-only").await;
        let facts = facts(&admin, source).await;
        swap_back(&admin, source, copy).await;
        Self { dump: with_one_name(&admin, &dump, &[copy, source], source).await, facts }
    }
}

/// Fails if `copy` is not like `source`, or depends on anything of another schema but the `shared` ones. Wherever the
/// source's sequences are, those of the copy have not begun.
pub async fn assert_alike(cluster: &Cluster, database: &str, source: &str, copy: &str, shared: &[&str]) {
    let differences = differences(cluster, database, source, copy).await;
    assert!(differences.is_empty(), "\"{copy}\" is not like \"{source}\":\n{differences}");
    let leaks = leaks(cluster, database, copy, shared).await;
    assert!(leaks.is_empty(), "\"{copy}\" depends on others: {leaks:#?}");
    let admin = connect(&cluster.superuser(database)).await.unwrap();
    assert_eq!(counted(&admin, copy).await, [""; 0], "sequences of \"{copy}\" that have begun");
}

/// Fails if `copy` is not like `source`, or has other rows, or its sequences are elsewhere.
pub async fn assert_same_rows(cluster: &Cluster, database: &str, source: &str, copy: &str) {
    let admin = connect(&cluster.superuser(database)).await.unwrap();
    let first = dump(cluster, database, source, "--data-only").await;
    swap(&admin, source, copy).await;
    let second = dump(cluster, database, source, "--data-only").await;
    swap_back(&admin, source, copy).await;
    let differences = differences(cluster, database, source, copy).await + &difference(&first, &second);
    assert!(differences.is_empty(), "\"{copy}\" is not like \"{source}\":\n{differences}");
}

/// How `copy` is not like `source`; empty if it is.
pub async fn differences(cluster: &Cluster, database: &str, source: &str, copy: &str) -> String {
    let first = Description::of(cluster, database, source).await;
    let second = Description::in_place_of(cluster, database, source, copy).await;
    difference(&first.dump, &second.dump) + &difference(&first.facts, &second.facts)
}

/// A unified difference, the first lines of it.
fn difference(first: &str, second: &str) -> String {
    let diff = TextDiff::from_lines(first, second).unified_diff().context_radius(3).to_string();
    diff.lines().take(SHOWN).map(|line| format!("{line}\n")).collect()
}

/// What in a schema depends on another schema, beside the `shared` ones.
pub async fn leaks(cluster: &Cluster, database: &str, schema: &str, shared: &[&str]) -> Vec<String> {
    let admin = connect(&cluster.superuser(database)).await.unwrap();
    let mut allowed = shared.to_vec();
    allowed.extend(["pg_catalog", "information_schema"]);
    let rows = admin.query(include_str!("leaks.sql"), &[&schema, &allowed]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The rows of a schema and the values of its sequences, as `pg_dump` has them, in the order of their names: `pg_dump`
/// itself sorts tables whose foreign keys are circular by their numbers.
pub async fn rows(cluster: &Cluster, database: &str, schema: &str) -> String {
    let text = dumped(cluster, database, schema, "--data-only").await;
    let mut sections: Vec<String> = text.split("\n--\n-- ").map(lines).collect();
    sections.sort_unstable();
    sections.concat()
}

async fn dump(cluster: &Cluster, database: &str, schema: &str, what: &str) -> String {
    let text = dumped(cluster, database, schema, what).await;
    text.split("\n--\n-- Name: ").filter(|section| !is_of_public(section)).map(lines).collect()
}

async fn dumped(cluster: &Cluster, database: &str, schema: &str, what: &str) -> String {
    let mut program = client_program("pg_dump");
    program.arg(what).arg("--schema").arg(quoted(schema)).arg("--dbname").arg(database);
    program.arg("--host").arg(cluster.socket_dir()).arg("--port").arg(cluster.port().to_string());
    program.args(["--username", "postgres"]);
    run(program).await
}

/// What is said of `public` itself.
fn is_of_public(section: &str) -> bool {
    section.starts_with("public; Type: SCHEMA;") || section.starts_with("SCHEMA public; Type:")
}

/// A section's lines. In which order privileges were granted is no matter.
fn lines(section: &str) -> String {
    let mut lines: Vec<&str> = section.lines().filter(|line| !line.contains("restrict ")).collect();
    if section.lines().next().is_some_and(|head| head.contains("; Type: ACL; ")) {
        lines.sort_unstable();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

async fn facts(admin: &Client, schema: &str) -> String {
    admin.batch_execute("SET search_path = ''").await.unwrap();
    let rows = admin.query(include_str!("facts.sql"), &[&schema]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0).replace('\n', "\\n") + "\n").collect()
}

/// The sequences of a schema that are not where they start.
async fn counted(admin: &Client, schema: &str) -> Vec<String> {
    let name = literal(schema);
    let sequences = format!(
        "SELECT format('%s WHERE is_called OR last_value <> %s', s.seqrelid::regclass, s.seqstart) FROM pg_sequence s \
         JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {name}"
    );
    let mut counted = Vec::new();
    for sequence in names(admin, &sequences).await {
        counted.extend(names(admin, &format!("SELECT tableoid::regclass::text FROM {sequence}")).await);
    }
    counted
}

/// Gives `copy` the name of `source`.
async fn swap(admin: &Client, source: &str, copy: &str) {
    rename(admin, &[(source, AWAY), (copy, source)]).await;
}

async fn swap_back(admin: &Client, source: &str, copy: &str) {
    rename(admin, &[(source, copy), (AWAY, source)]).await;
}

/// Renames schemas, all in one transaction.
async fn rename(admin: &Client, renames: &[(&str, &str)]) {
    let one = |(from, to): &(&str, &str)| format!("ALTER SCHEMA {} RENAME TO {};", quoted(from), quoted(to));
    admin.batch_execute(&renames.iter().map(one).collect::<String>()).await.unwrap();
}

/// The text with `name`, as PostgreSQL quotes it, for each of `others` in functions: in their paths, and in their
/// bodies, where a copy has its own name in quotes.
async fn with_one_name(admin: &Client, dump: &str, others: &[&str], name: &str) -> String {
    let spelt: String = admin.query_one("SELECT quote_ident($1)", &[&name]).await.unwrap().get(0);
    let in_string = |name: &str| name.replace('\'', "''");
    others.iter().fold(dump.to_owned(), |text, other| {
        let pairs = [(quoted(other), spelt.clone()), (in_string(&quoted(other)), in_string(&spelt))];
        let text = pairs.iter().fold(text, |text, (from, to)| {
            text.replace(&format!("{from}."), &format!("{to}."))
                .replace(&format!("{from} ."), &format!("{to} ."))
        });
        let path = |line: &str| match line.contains("SET search_path TO ") {
            true => format!("{}\n", line.replace(&literal(other), &literal(name))),
            false => format!("{line}\n"),
        };
        text.lines().map(path).collect()
    })
}

fn literal(text: &str) -> String {
    let mut literal = String::new();
    push_literal(&mut literal, text);
    literal.trim_start().to_owned()
}
