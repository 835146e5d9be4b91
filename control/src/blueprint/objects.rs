//! Functions and types, from the catalog's data.

use pgstrata_tenancy::ident::{quoted, split_path};
use tokio_postgres::Row;

use super::attached::unqualified;
use super::item::{Create, Item, Kind, ObjectId, Part, SCHEMA, Whole};
use super::mentions;
use super::read::Facts;
use super::relations::literal;
use crate::error::Error;

/// The functions.
pub(super) fn functions(facts: &Facts) -> Result<Vec<Item>, Error> {
    let plain = facts.functions.iter().filter(|row| row.get::<_, &str>("kind") != "a");
    plain.map(|row| function(facts, row)).collect()
}

/// A function's name with the types of its arguments, as commands name it.
pub(super) fn signature(facts: &Facts, row: &Row) -> String {
    let arguments = match facts.printed.signatures.get(&row.get("oid")).map_or("", String::as_str) {
        "" if row.get::<_, &str>("kind") == "a" => "*",
        arguments => arguments,
    };
    format!("{}({arguments})", quoted(row.get("name")))
}

fn function(facts: &Facts, row: &Row) -> Result<Item, Error> {
    let oid: u32 = row.get("oid");
    let (qualified, name): (&str, String) = (row.get("qualified"), quoted(row.get("name")));
    let word = if row.get::<_, &str>("kind") == "p" { "PROCEDURE" } else { "FUNCTION" };
    let create = format!("CREATE OR REPLACE {word}");
    let begin = (format!("{create} {qualified}("), format!("{create} {name}("));
    let sql = unqualified(facts.printed.functions.get(&oid), &[begin])?;
    let mut sql = sql.trim_end().to_owned();
    let signature = signature(facts, row);
    if let Some(path) = row.get::<_, Option<&str>>("search_path") {
        sql = with_own_path(&sql, path, &facts.name);
    }
    let body: &str = row.get("body");
    if !row.get::<_, bool>("parsed_body")
        && matches!(row.get("language"), "sql" | "plpgsql")
        && let Some(own) = mentions::with_own_schema(body, &facts.name)
        && let Some(at) = sql.rfind(body)
    {
        // It is between dollar quotes, which follow AS at the end.
        let begin = sql.get(..at).and_then(|before| before.rfind("AS $")).unwrap_or(at);
        sql.replace_range(begin.., &format!("AS {}", mentions::quoted_body(&own)));
    }
    let id = ObjectId { class: facts.classes.pg_proc, oid };
    Ok(Item::new(Kind::Function, &signature, sql, format!("DROP {word} {signature}")).id(id))
}

/// The function with the tenant's schema in place of the source's on the `path` that it sets.
fn with_own_path(sql: &str, path: &str, source: &str) -> String {
    let Some(names) = split_path(path).filter(|names| names.iter().any(|name| name == source)) else {
        return sql.to_owned();
    };
    let line = |each: &dyn Fn(&String) -> String| {
        let names: Vec<String> = names.iter().map(each).collect();
        format!("\n SET search_path TO {}\n", names.join(", "))
    };
    // Never as E'..', whatever it contains.
    let printed = line(&|name| format!("'{}'", name.replace('\'', "''")));
    let own = line(&|name| if name == source { SCHEMA.to_owned() } else { quoted(name) });
    sql.replacen(&printed, &own, 1)
}

/// The types that belong to no relation. Base types, which need a superuser and a library, are not here.
pub(super) fn types(facts: &Facts) -> Vec<Item> {
    facts.types.iter().filter_map(|row| one_type(facts, row)).collect()
}

fn one_type(facts: &Facts, row: &Row) -> Option<Item> {
    let oid: u32 = row.get("oid");
    let name = quoted(row.get("name"));
    let create = match row.get("kind") {
        "e" => {
            let labels: Vec<String> = row.get::<_, Option<_>>("labels").unwrap_or_default();
            let labels: Vec<String> = labels.iter().map(|label| literal(label)).collect();
            Create::Sql(format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", ")))
        }
        "d" => Create::Whole(domain(facts, row, &name)?),
        "r" => Create::Sql(range(facts, row, &name)?),
        _ => return None,
    };
    let word = if row.get::<_, &str>("kind") == "d" { "DOMAIN" } else { "TYPE" };
    let mut item = Item::new(Kind::Type, &name, "", format!("DROP {word} {name}"));
    item.create = create;
    let others = ["array_type", "multirange", "multirange_array"].map(|key| row.get::<_, Option<u32>>(key));
    let all = std::iter::once(oid).chain(others.into_iter().flatten()).filter(|oid| *oid != 0);
    item.ids = all.map(|oid| ObjectId { class: facts.classes.pg_type, oid }).collect();
    Some(item)
}

fn domain(facts: &Facts, row: &Row, name: &str) -> Option<Whole> {
    let oid: u32 = row.get("oid");
    let (base, default, collation) = facts.printed.domains.get(&oid)?;
    let mut head = format!("CREATE DOMAIN {name} AS {base}");
    if let (Some(true), Some(collation)) = (row.get::<_, Option<bool>>("collated"), collation) {
        head = format!("{head} COLLATE {collation}");
    }
    if let Some(default) = default {
        head = format!("{head} DEFAULT {default}");
    }
    let mut parts = Vec::new();
    let constraints = facts.constraints.iter().filter(|constraint| constraint.get::<_, u32>("domain") == oid);
    let mut named_not_null = false;
    for constraint in constraints {
        let constraint_oid: u32 = constraint.get("oid");
        let definition = facts.printed.constraints.get(&constraint_oid)?;
        let constraint_name = quoted(constraint.get("name"));
        named_not_null |= constraint.get::<_, &str>("kind") == "n";
        let inline = format!("CONSTRAINT {constraint_name} {definition}");
        parts.push(Part {
            kind: Kind::DomainConstraint,
            name: format!("{constraint_name} ON {name}"),
            id: Some(ObjectId { class: facts.classes.pg_constraint, oid: constraint_oid }),
            needs: Vec::new(),
            separate: format!("ALTER DOMAIN {name} ADD {inline}"),
            inline: if constraint.get("validated") { inline } else { String::new() },
            continues: true,
            drop: format!("ALTER DOMAIN {name} DROP CONSTRAINT {constraint_name}"),
        });
    }
    if row.get("not_null") && !named_not_null {
        head = format!("{head} NOT NULL");
    }
    Some(Whole { head, brackets: false, parts, tail: String::new() })
}

fn range(facts: &Facts, row: &Row, name: &str) -> Option<String> {
    let [subtype, opclass, collation, canonical, difference] = facts.printed.ranges.get(&row.get("oid"))?;
    let is = |key: &str| row.get::<_, Option<bool>>(key) == Some(true);
    let wanted = [
        ("SUBTYPE", subtype, true),
        ("SUBTYPE_OPCLASS", opclass, is("range_opclass")),
        ("COLLATION", collation, is("range_collated")),
        ("CANONICAL", canonical, is("canonical")),
        ("SUBTYPE_DIFF", difference, is("subdiff")),
    ];
    let mut settings: Vec<String> = wanted
        .into_iter()
        .filter(|(.., wanted)| *wanted)
        .filter_map(|(key, value, _)| Some(format!("{key} = {}", value.as_ref()?)))
        .collect();
    if let Some(multirange) = row.get::<_, Option<&str>>("multirange_name") {
        settings.push(format!("MULTIRANGE_TYPE_NAME = {}", quoted(multirange)));
    }
    Some(format!("CREATE TYPE {name} AS RANGE ({})", settings.join(", ")))
}
