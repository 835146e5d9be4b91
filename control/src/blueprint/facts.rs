//! Properties of existing objects: comments, owners, privileges.

use std::collections::{HashMap, HashSet};

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::{Row, Transaction};

use super::item::{Item, Kind, ObjectId, SCHEMA};
use super::objects::signature;
use super::rare;
use super::read::{Facts, columns};
use super::relations::literal;
use crate::error::Error;

/// How commands name an object: `TABLE "t"`, `TRIGGER "x" ON "t"`.
pub(super) type Names = HashMap<ObjectId, String>;

/// The names of all objects that can have a comment.
pub(super) fn names(facts: &Facts) -> Names {
    let classes = facts.classes;
    let mut names = Names::new();
    let mut relations: HashMap<u32, String> = HashMap::new();
    for row in &facts.relations {
        let word = match row.get("kind") {
            "v" => "VIEW",
            "m" => "MATERIALIZED VIEW",
            "S" => "SEQUENCE",
            "f" => "FOREIGN TABLE",
            "c" => "TYPE",
            _ => "TABLE",
        };
        let name = quoted(row.get("name"));
        let oid = row.get("oid");
        names.insert(ObjectId { class: classes.pg_class, oid }, format!("{word} {name}"));
        if word == "TYPE" {
            // The comment belongs to the type, the columns to the relation.
            names.insert(
                ObjectId { class: classes.pg_type, oid: row.get("row_type") },
                format!("{word} {name}"),
            );
        }
        relations.insert(oid, name);
    }
    let mut on_relation = |rows: &[Row], class: u32, word: &str| {
        for row in rows {
            if let Some(table) = relations.get(&row.get("relation")) {
                let name = format!("{word} {} ON {table}", quoted(row.get("name")));
                names.insert(ObjectId { class, oid: row.get("oid") }, name);
            }
        }
    };
    on_relation(&facts.constraints, classes.pg_constraint, "CONSTRAINT");
    on_relation(&facts.triggers, classes.pg_trigger, "TRIGGER");
    on_relation(&facts.policies, classes.pg_policy, "POLICY");
    on_relation(&facts.rules, classes.pg_rewrite, "RULE");
    let types: HashMap<u32, String> =
        facts.types.iter().map(|row| (row.get("oid"), quoted(row.get("name")))).collect();
    for row in &facts.constraints {
        if let Some(domain) = types.get(&row.get("domain")) {
            let name = format!("CONSTRAINT {} ON DOMAIN {domain}", quoted(row.get("name")));
            names.insert(ObjectId { class: classes.pg_constraint, oid: row.get("oid") }, name);
        }
    }
    let mut plain = |rows: &[Row], class: u32, word: &dyn Fn(&Row) -> String| {
        for row in rows {
            names.insert(ObjectId { class, oid: row.get("oid") }, word(row));
        }
    };
    plain(&facts.indexes, classes.pg_class, &|row| format!("INDEX {}", quoted(row.get("name"))));
    plain(&facts.statistics, classes.pg_statistic_ext, &|row| {
        format!("STATISTICS {}", quoted(row.get("name")))
    });
    plain(&facts.types, classes.pg_type, &|row| {
        let word = if row.get::<_, &str>("kind") == "d" { "DOMAIN" } else { "TYPE" };
        format!("{word} {}", quoted(row.get("name")))
    });
    plain(&facts.functions, classes.pg_proc, &|row| {
        let word = match row.get("kind") {
            "p" => "PROCEDURE",
            "a" => "AGGREGATE",
            _ => "FUNCTION",
        };
        format!("{word} {}", signature(facts, row))
    });
    let rare =
        facts.rare.iter().filter_map(|row| Some((rare::id(row), rare::command(row, &facts.printed.names)?)));
    names.extend(rare);
    names
}

/// Comments on all objects with names, and on the schema.
pub(super) async fn comments(
    tx: &Transaction<'_>,
    facts: &Facts,
    names: &Names,
    items: &mut Vec<Item>,
) -> Result<(), Error> {
    let schema = ObjectId { class: facts.classes.pg_namespace, oid: facts.schema };
    let objects: Vec<ObjectId> = names.keys().copied().chain([schema]).collect();
    let (classes, ids) = columns(&objects);
    let rows = tx
        .query(include_str!("sql/comments.sql"), &[&classes, &ids])
        .await
        .map_err(Error::postgres("reading comments"))?;
    let columns: HashMap<(u32, i16), &str> =
        facts.columns.iter().map(|row| ((row.get("relation"), row.get("number")), row.get("name"))).collect();
    for row in rows {
        let id = ObjectId { class: row.get("class"), oid: row.get("oid") };
        let number: i32 = row.get("number");
        let name = if id == schema {
            // PostgreSQL's own comment on public does not apply to another schema.
            if row.get::<_, &str>("text") == "standard public schema" {
                continue;
            }
            format!("SCHEMA {SCHEMA}")
        } else if number == 0 {
            let Some(name) = names.get(&id) else { continue };
            name.clone()
        } else {
            let column = i16::try_from(number).ok().and_then(|number| columns.get(&(id.oid, number)));
            let (Some(column), Some(relation)) = (column, facts.printed.relations.get(&id.oid)) else {
                continue;
            };
            format!("COLUMN {relation}.{}", quoted(column))
        };
        let comment = format!("COMMENT ON {name} IS");
        let sql = format!("{comment} {}", literal(row.get("text")));
        items.push(Item::new(Kind::Comment, name, sql, format!("{comment} NULL")).after(id));
    }
    Ok(())
}

/// Owners that differ from `me`, the creator of all objects.
pub(super) async fn owners(
    tx: &Transaction<'_>,
    facts: &Facts,
    names: &Names,
    me: u32,
    items: &mut Vec<Item>,
) -> Result<(), Error> {
    let rows: Vec<(ObjectId, u32)> = [
        (&facts.relations, facts.classes.pg_class),
        (&facts.functions, facts.classes.pg_proc),
        (&facts.types, facts.classes.pg_type),
        (&facts.statistics, facts.classes.pg_statistic_ext),
    ]
    .into_iter()
    .flat_map(|(rows, class)| {
        rows.iter().map(move |row| (ObjectId { class, oid: row.get("oid") }, row.get("owner")))
    })
    .chain(facts.rare.iter().filter_map(|row| Some((rare::id(row), row.get::<_, Option<u32>>("owner")?))))
    .filter(|(_, owner)| *owner != me)
    .collect();
    let ids: Vec<u32> = rows.iter().map(|(_, owner)| *owner).collect::<HashSet<_>>().into_iter().collect();
    let roles = tx
        .query(include_str!("sql/owners.sql"), &[&ids, &facts.schema])
        .await
        .map_err(Error::postgres("reading owners"))?;
    let roles: HashMap<u32, (String, bool)> =
        roles.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    // A sequence has the owner of its column.
    let owned = facts.sequences.iter().filter(|row| row.get::<_, Option<u32>>("table_oid").is_some());
    let owned: HashSet<u32> = owned.map(|row| row.get("oid")).collect();
    for (id, owner) in rows {
        let (Some(name), Some((role, may_create))) = (names.get(&id), roles.get(&owner)) else { continue };
        if id.class == facts.classes.pg_class && owned.contains(&id.oid) {
            continue;
        }
        let mut sql = format!("ALTER {name} OWNER TO {role}");
        // The new owner of an object needs CREATE on its schema.
        if !may_create {
            let create = format!("CREATE ON SCHEMA {SCHEMA}");
            sql = format!("GRANT {create} TO {role}; {sql}; REVOKE {create} FROM {role}");
        }
        items.push(Item::new(Kind::Owner, name, sql, String::new()).after(id));
    }
    Ok(())
}

/// The class of privileges, which are not objects: not the oid of a catalog.
const PRIVILEGES: u32 = 1;

/// Privileges that differ from those of a new object.
pub(super) async fn privileges(
    tx: &Transaction<'_>,
    facts: &Facts,
    names: &Names,
    me: u32,
    items: &mut Vec<Item>,
) -> Result<(), Error> {
    let classes = [facts.classes.pg_class, facts.classes.pg_proc, facts.classes.pg_type];
    let objects: Vec<ObjectId> = names.keys().copied().filter(|id| classes.contains(&id.class)).collect();
    let (class_ids, ids) = columns(&objects);
    let rows = tx
        .query(include_str!("sql/privileges.sql"), &[&class_ids, &ids, &facts.schema, &me])
        .await
        .map_err(Error::postgres("reading privileges"))?;
    let columns: HashMap<(u32, i32), &str> = facts
        .columns
        .iter()
        .map(|row| ((row.get("relation"), i32::from(row.get::<_, i16>("number"))), row.get("name")))
        .collect();
    let mut before: Option<(ObjectId, ObjectId)> = None;
    for (at, row) in (0..).zip(&rows) {
        let id = ObjectId { class: row.get("class"), oid: row.get("oid") };
        let number: i32 = row.get("number");
        let name = match names.get(&id) {
            _ if id.class == facts.classes.pg_namespace => format!("SCHEMA {SCHEMA}"),
            Some(name) => on(facts, id, name),
            None => continue,
        };
        let mut privilege = row.get::<_, String>("privilege");
        if let Some(column) = columns.get(&(id.oid, number)) {
            privilege = format!("{privilege} ({})", quoted(column));
        }
        let grantee: &str = row.get("grantee");
        let option = if row.get("grantable") { " WITH GRANT OPTION" } else { "" };
        let grant = format!("GRANT {privilege} ON {name} TO {grantee}{option}");
        let revoke = format!("REVOKE {privilege} ON {name} FROM {grantee}");
        let (mut sql, undo) = if row.get("granted") { (grant, revoke) } else { (revoke, grant) };
        if let Some(grantor) = row.get::<_, Option<&str>>("grantor") {
            sql = format!("SET LOCAL ROLE {grantor}; {sql}; RESET ROLE");
            // The grantor once had USAGE on the schema.
            if !row.get::<_, bool>("may_enter") {
                let usage = format!("USAGE ON SCHEMA {SCHEMA}");
                sql = format!("GRANT {usage} TO {grantor}; {sql}; REVOKE {usage} FROM {grantor}");
            }
        }
        // In the order of the grants, because a grantor must have received the privilege first.
        let own = ObjectId { class: PRIVILEGES, oid: at };
        let mut item = Item::new(Kind::Privilege, sql.clone(), sql, undo).id(own).after(id);
        item.needs.extend(before.filter(|(object, _)| *object == id).map(|(_, privilege)| privilege));
        before = Some((id, own));
        items.push(item);
    }
    for row in &facts.default_privileges {
        let (role, grantee): (String, &str) = (quoted(row.get("role")), row.get("grantee"));
        let Some(kind) = row.get::<_, Option<&str>>("kind") else { continue };
        let privilege: &str = row.get("privilege");
        let option = if row.get("grantable") { " WITH GRANT OPTION" } else { "" };
        let head = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA {SCHEMA}");
        let sql = format!("{head} GRANT {privilege} ON {kind} TO {grantee}{option}");
        let undo = format!("{head} REVOKE {privilege} ON {kind} FROM {grantee}");
        items.push(Item::new(Kind::DefaultPrivilege, sql.clone(), sql, undo));
    }
    Ok(())
}

/// Objects that are dropped with an extension.
pub(super) async fn extensions(
    tx: &Transaction<'_>,
    names: &Names,
    items: &mut Vec<Item>,
) -> Result<(), Error> {
    let (classes, ids) = columns(&names.keys().copied().collect::<Vec<_>>());
    let rows = tx
        .query(include_str!("sql/extensions.sql"), &[&classes, &ids])
        .await
        .map_err(Error::postgres("reading what extensions take along"))?;
    for row in rows {
        let id = ObjectId { class: row.get("class"), oid: row.get("oid") };
        let Some(name) = names.get(&id) else { continue };
        let depends = format!("DEPENDS ON EXTENSION {}", row.get::<_, &str>("extension"));
        let (sql, undo) = (format!("ALTER {name} {depends}"), format!("ALTER {name} NO {depends}"));
        items.push(Item::new(Kind::Setting, format!("{depends} ON {name}"), sql, undo).after(id));
    }
    Ok(())
}

/// The name of an object in GRANT, which calls all relations except sequences tables, and aggregates functions.
fn on(facts: &Facts, id: ObjectId, name: &str) -> String {
    // GRANT does not accept the ORDER BY of an aggregate.
    if name.starts_with("AGGREGATE ")
        && let Some(signature) = facts.printed.names.get(&("signature".to_owned(), id.oid))
    {
        return format!("FUNCTION {signature}");
    }
    for (word, instead) in [
        ("VIEW ", "TABLE "),
        ("MATERIALIZED VIEW ", "TABLE "),
        ("FOREIGN TABLE ", "TABLE "),
        ("DOMAIN ", "TYPE "),
    ] {
        if let Some(rest) = name.strip_prefix(word) {
            return format!("{instead}{rest}");
        }
    }
    name.to_owned()
}
