//! Rare kinds of objects: operators, their classes and families, casts, aggregates, base types, collations,
//! conversions, text search.
//!
//! Queries in SQL (`sql/rare.sql`) turn the catalog's rows into statements, in which marks with oids stand for names.
//! The names by which PostgreSQL finds the objects under the schema's path replace these marks.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::item::{Item, Kind, ObjectId, SCHEMA};
use super::read::Facts;
use crate::error::Error;

/// The beginning and the end of a mark: `«type 25»` in the files, where it must be readable.
const MARKS: [char; 2] = ['\u{1}', '\u{2}'];

/// Names by kind (`type`, `function` ..) and oid.
pub(super) type Names = HashMap<(String, u32), String>;

/// The query for all of it.
pub(super) fn query() -> String {
    let [begin, end] = MARKS;
    include_str!("sql/rare.sql").replace('«', &begin.to_string()).replace('»', &end.to_string())
}

/// The oids of all named objects in `rows`.
pub(super) fn named(rows: &[Row]) -> Vec<u32> {
    let texts = rows.iter().flat_map(|row| [row.get::<_, &str>("name"), row.get("sql")]);
    let marks = texts.flat_map(|text| text.split(MARKS[0]).skip(1));
    let mut ids: Vec<u32> = marks.filter_map(|mark| Some(split(mark)?.1)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// `type 25» and so on`: the kind, the oid, and the text behind it.
fn split(mark: &str) -> Option<(&str, u32, &str)> {
    let (mark, rest) = mark.split_once(MARKS[1])?;
    let (what, id) = mark.split_once(' ')?;
    Some((what, id.parse().ok()?, rest))
}

/// The text with names in place of the marks.
fn with_names(text: &str, names: &Names) -> Result<String, Error> {
    let mut parts = text.split(MARKS[0]);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for mark in parts {
        let name = |what: &str, id| match what {
            "schema" => Some(SCHEMA),
            _ => names.get(&(what.to_owned(), id)).map(String::as_str),
        };
        let named =
            split(mark).and_then(|(what, id, rest)| Some((name(what, id)?, rest))).ok_or_else(|| {
                Error::Refused(format!(
                    "the object \"{mark}\" was dropped while its definition was read: try again"
                ))
            })?;
        out.push_str(named.0);
        out.push_str(named.1);
    }
    Ok(out)
}

/// How commands name it, `OPERATOR = (a, b)`; `None` for a part of another object.
pub(super) fn command(row: &Row, names: &Names) -> Option<String> {
    let (word, name): (&str, &str) = (row.get("word"), row.get("name"));
    (!word.is_empty()).then(|| Some(format!("{word} {}", with_names(name, names).ok()?)))?
}

/// The object.
pub(super) fn id(row: &Row) -> ObjectId {
    ObjectId { class: row.get("class"), oid: row.get("oid") }
}

/// All of them.
pub(super) fn items(facts: &Facts) -> Result<Vec<Item>, Error> {
    facts.rare.iter().map(|row| item(facts, row)).collect()
}

fn item(facts: &Facts, row: &Row) -> Result<Item, Error> {
    let names = &facts.printed.names;
    let kind = match row.get("kind") {
        "shell" => Kind::Shell,
        "base" => Kind::Type,
        "cast" => Kind::Cast,
        "collation" => Kind::Collation,
        "operator" => Kind::Operator,
        "family" => Kind::OperatorFamily,
        "class" | "member" => Kind::OperatorClass,
        "aggregate" => Kind::Aggregate,
        "conversion" => Kind::Conversion,
        _ => Kind::TextSearch,
    };
    let name = with_names(row.get("name"), names)?;
    let sql = with_names(row.get("sql"), names)?;
    // A part is dropped with its object.
    let drop = command(row, names).map(|command| format!("DROP {command}")).unwrap_or_default();
    let mut item = Item::new(kind, name, sql, drop).id(id(row));
    let parts = parts(row);
    match row.get("kind") {
        "base" => {
            let shell = shell(id(row));
            let array =
                facts.types.iter().find(|t| t.get::<_, u32>("oid") == shell.oid).map(|t| t.get("array_type"));
            item.ids.extend(array.map(|oid| ObjectId { class: facts.classes.pg_type, oid }));
            item = item.after(shell);
        }
        "member" => {
            let family = ObjectId { class: facts.classes.pg_opfamily, oid: row.get("oid") };
            item.ids = parts;
            item = item.after(family);
        }
        _ => item.ids.extend(parts),
    }
    Ok(item)
}

fn parts(row: &Row) -> Vec<ObjectId> {
    let (classes, ids): (Vec<u32>, Vec<u32>) = (row.get("part_classes"), row.get("parts"));
    classes.into_iter().zip(ids).map(|(class, oid)| ObjectId { class, oid }).collect()
}

/// The placeholder of a base type. It has no row in a catalog, so no catalog's oid is its class.
fn shell(base: ObjectId) -> ObjectId {
    ObjectId { class: 0, ..base }
}

/// The functions of a base type depend on its placeholder, all others on the type.
pub(super) fn shells_first(facts: &Facts, depends: &mut [(ObjectId, ObjectId)]) {
    let bases = facts.rare.iter().filter(|row| row.get::<_, &str>("kind") == "base");
    let functions: HashMap<ObjectId, ObjectId> =
        bases.flat_map(|row| parts(row).into_iter().map(|function| (function, id(row)))).collect();
    for (object, need) in depends {
        if functions.get(object) == Some(need) {
            *need = shell(*need);
        }
    }
}
