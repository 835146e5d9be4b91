//! Objects that belong to relations: constraints, indexes, triggers, rules, policies, statistics.

use std::collections::HashMap;

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::Row;

use super::item::{Item, Kind, ObjectId};
use super::read::Facts;
use super::relations::options;
use crate::error::Error;

/// All of them.
pub(super) fn items(facts: &Facts) -> Result<Vec<Item>, Error> {
    let relations = facts.relations.iter().map(|row| (row.get("oid"), row)).collect();
    let attached = Attached { facts, relations };
    let mut items = Vec::new();
    attached.constraints(&mut items);
    attached.indexes(&mut items)?;
    attached.triggers(&mut items);
    attached.rules(&mut items);
    attached.policies(&mut items);
    attached.statistics(&mut items)?;
    Ok(items)
}

struct Attached<'a> {
    facts: &'a Facts,
    relations: HashMap<u32, &'a Row>,
}

/// The printed definition without the qualified name that PostgreSQL always prints: `CREATE INDEX i ON s.t ..`.
///
/// Fails if it has an unknown form, so that nothing is silently omitted.
pub(super) fn unqualified(printed: Option<&String>, begins: &[(String, String)]) -> Result<String, Error> {
    let printed = printed.map_or("", String::as_str);
    let strip =
        |(with, without): &(String, String)| Some(format!("{without}{}", printed.strip_prefix(with)?));
    begins.iter().find_map(strip).ok_or_else(|| {
        let begin = printed.chars().take(80).collect::<String>();
        Error::Refused(format!("PostgreSQL printed a definition in an unknown form: \"{begin}..\""))
    })
}

impl Attached<'_> {
    fn relation(&self, row: &Row) -> Option<(ObjectId, String, &Row)> {
        let oid: u32 = row.get("relation");
        let relation = self.relations.get(&oid)?;
        let id = ObjectId { class: self.facts.classes.pg_class, oid };
        Some((id, quoted(relation.get("name")), relation))
    }

    /// Keys of partitioned tables and of partitions, and all foreign keys.
    fn constraints(&self, items: &mut Vec<Item>) {
        for row in &self.facts.constraints {
            let Some((relation, table, relation_row)) = self.relation(row) else { continue };
            let oid: u32 = row.get("oid");
            let Some(definition) = self.facts.printed.constraints.get(&oid) else { continue };
            let kind = match row.get("kind") {
                "f" if self.is_own_key(row) => Kind::ForeignKey,
                "p" | "u" | "x" => Kind::Key,
                _ => continue,
            };
            let partitioned = relation_row.get::<_, &str>("kind") == "p";
            if kind == Kind::Key && !partitioned && !relation_row.get::<_, bool>("is_partition") {
                continue;
            }
            let name = quoted(row.get("name"));
            // A foreign key of a partitioned table is created on its partitions automatically; a key finds those that
            // exist.
            let only = if kind == Kind::ForeignKey && partitioned { "" } else { "ONLY " };
            let item = Item::new(
                kind,
                format!("{name} ON {table}"),
                format!("ALTER TABLE {only}{table} ADD CONSTRAINT {name} {definition}"),
                format!("ALTER TABLE {table} DROP CONSTRAINT {name}"),
            );
            let id = ObjectId { class: self.facts.classes.pg_constraint, oid };
            let mut item = item.id(id).after(relation);
            // The partitioned table's constraint adopts it, if it exists.
            let own = self.facts.constraints.iter().filter(|own| own.get::<_, u32>("parent") == oid);
            let own = own.filter(|own| kind == Kind::ForeignKey && self.is_own_key(own));
            let class = self.facts.classes.pg_constraint;
            item.needs.extend(own.map(|own| ObjectId { class, oid: own.get("oid") }));
            items.push(item);
        }
    }

    /// Whether a foreign key belongs to its table, or at least its name: an inherited one has the name of the
    /// parent's.
    fn is_own_key(&self, row: &Row) -> bool {
        let parent: u32 = row.get("parent");
        let parent = self.facts.constraints.iter().find(|other| other.get::<_, u32>("oid") == parent);
        parent.is_none_or(|parent| {
            // One of these for each referenced partition is the key itself.
            parent.get::<_, u32>("relation") != row.get::<_, u32>("relation")
                && parent.get::<_, &str>("name") != row.get::<_, &str>("name")
        })
    }

    fn indexes(&self, items: &mut Vec<Item>) -> Result<(), Error> {
        for row in &self.facts.indexes {
            let Some((relation, table, _)) = self.relation(row) else { continue };
            // An invalid index, which CREATE INDEX CONCURRENTLY has left behind, is useless.
            if !row.get::<_, bool>("valid") {
                continue;
            }
            let oid: u32 = row.get("oid");
            let name = quoted(row.get("name"));
            let id = ObjectId { class: self.facts.classes.pg_class, oid };
            let constraint: Option<u32> = row.get("constraint");
            let constraint = constraint.map(|oid| ObjectId { class: self.facts.classes.pg_constraint, oid });
            if constraint.is_none() {
                let sql = self.create_index(row, &table)?;
                let item = Item::new(Kind::Index, &name, sql, format!("DROP INDEX {name}"));
                items.push(item.id(id).after(relation));
            }
            let after = constraint.unwrap_or(id);
            let mut set = |what: &str, sql: String, undo: String| {
                let item = Item::new(Kind::Setting, format!("{what} ON {name}"), sql, undo);
                items.push(item.after(after).after(relation));
            };
            if let (Some(_), Some(with)) = (constraint, row.get::<_, Option<Vec<String>>>("options")) {
                let names: Vec<&str> = with.iter().filter_map(|option| option.split('=').next()).collect();
                set(
                    "OPTIONS",
                    format!("ALTER INDEX {name} SET ({})", options(&with, "").join(", ")),
                    format!("ALTER INDEX {name} RESET ({})", names.join(", ")),
                );
            }
            if let Some(tablespace) = row.get::<_, Option<&str>>("tablespace") {
                let set_to =
                    |tablespace: &str| format!("ALTER INDEX {name} SET TABLESPACE {}", quoted(tablespace));
                set("TABLESPACE", set_to(tablespace), set_to("pg_default"));
            }
            if row.get("clustered") {
                let undo = format!("ALTER TABLE {table} SET WITHOUT CLUSTER");
                set("CLUSTER", format!("ALTER TABLE {table} CLUSTER ON {name}"), undo);
            }
            if row.get("replica_identity") {
                let undo = format!("ALTER TABLE ONLY {table} REPLICA IDENTITY DEFAULT");
                let sql = format!("ALTER TABLE ONLY {table} REPLICA IDENTITY USING INDEX {name}");
                set("REPLICA IDENTITY", sql, undo);
            }
            let columns: Vec<i32> = row.get::<_, Option<_>>("statistics_columns").unwrap_or_default();
            let targets: Vec<i32> = row.get::<_, Option<_>>("statistics").unwrap_or_default();
            for (column, target) in columns.iter().zip(&targets) {
                let alter = format!("ALTER INDEX {name} ALTER COLUMN {column} SET STATISTICS");
                set(&format!("STATISTICS OF {column}"), format!("{alter} {target}"), format!("{alter} -1"));
            }
            self.attach_index(row, after, &name, items);
        }
        Ok(())
    }

    fn create_index(&self, row: &Row, table: &str) -> Result<String, Error> {
        let printed = self.facts.printed.indexes.get(&row.get("oid"));
        let (name, qualified): (&str, &str) = (row.get("quoted"), row.get("on_relation"));
        let begin = |unique: &str, only: &str| {
            let head = format!("CREATE {unique}INDEX {name} ON {only}");
            (format!("{head}{qualified} "), format!("{head}{table} "))
        };
        let begins = [begin("", ""), begin("UNIQUE ", ""), begin("", "ONLY "), begin("UNIQUE ", "ONLY ")];
        unqualified(printed, &begins)
    }

    /// Attaches the index of a partition to that of its table.
    fn attach_index(&self, row: &Row, index: ObjectId, name: &str, items: &mut Vec<Item>) {
        let Some(parent) = row.get::<_, Option<u32>>("parent") else { return };
        let Some(parent_row) = self.facts.indexes.iter().find(|row| row.get::<_, u32>("oid") == parent)
        else {
            return;
        };
        let parent_name = quoted(parent_row.get("name"));
        let parent_id = match parent_row.get::<_, Option<u32>>("constraint") {
            Some(oid) => ObjectId { class: self.facts.classes.pg_constraint, oid },
            None => ObjectId { class: self.facts.classes.pg_class, oid: parent },
        };
        let sql = format!("ALTER INDEX {parent_name} ATTACH PARTITION {name}");
        // It can only be dropped, not detached.
        let item = Item::new(Kind::AttachIndex, name, sql, String::new());
        items.push(item.after(index).after(parent_id));
    }

    fn triggers(&self, items: &mut Vec<Item>) {
        for row in &self.facts.triggers {
            let Some((relation, table, _)) = self.relation(row) else { continue };
            let oid: u32 = row.get("oid");
            let Some(sql) = self.facts.printed.triggers.get(&oid) else { continue };
            let name = quoted(row.get("name"));
            let (key, inherited) = (format!("{name} ON {table}"), row.get::<_, bool>("inherited"));
            if !inherited {
                let item = Item::new(Kind::Trigger, &key, sql, format!("DROP TRIGGER {name} ON {table}"));
                let id = ObjectId { class: self.facts.classes.pg_trigger, oid };
                items.push(item.id(id).after(relation));
            }
            let how = enabled(row.get("enabled"));
            if inherited || how != "ENABLE" {
                let alter = format!("ALTER TABLE {table}");
                let mut item = Item::new(
                    Kind::Setting,
                    format!("TRIGGER {key}"),
                    format!("{alter} {how} TRIGGER {name}"),
                    format!("{alter} ENABLE TRIGGER {name}"),
                );
                item = item.after(relation);
                if !inherited {
                    item = item.after(ObjectId { class: self.facts.classes.pg_trigger, oid });
                }
                items.push(item);
            }
        }
    }

    fn rules(&self, items: &mut Vec<Item>) {
        for row in self.facts.rules.iter().filter(|row| row.get::<_, &str>("name") != "_RETURN") {
            let Some((relation, table, _)) = self.relation(row) else { continue };
            let oid: u32 = row.get("oid");
            let Some(sql) = self.facts.printed.rules.get(&oid) else { continue };
            let name = quoted(row.get("name"));
            let sql = sql.trim_end().trim_end_matches(';');
            let id = ObjectId { class: self.facts.classes.pg_rewrite, oid };
            let key = format!("{name} ON {table}");
            let drop = format!("DROP RULE {name} ON {table}");
            items.push(Item::new(Kind::Rule, &key, sql, drop).id(id).after(relation));
            let how = enabled(row.get("enabled"));
            if how != "ENABLE" {
                let sql = format!("ALTER TABLE {table} {how} RULE {name}");
                let undo = format!("ALTER TABLE {table} ENABLE RULE {name}");
                items.push(Item::new(Kind::Setting, format!("RULE {key}"), sql, undo).after(id));
            }
        }
    }

    fn policies(&self, items: &mut Vec<Item>) {
        for row in &self.facts.policies {
            let Some((relation, table, _)) = self.relation(row) else { continue };
            let oid: u32 = row.get("oid");
            let name = quoted(row.get("name"));
            let kind = if row.get("permissive") { "PERMISSIVE" } else { "RESTRICTIVE" };
            let command = match row.get("command") {
                "r" => "SELECT",
                "a" => "INSERT",
                "w" => "UPDATE",
                "d" => "DELETE",
                _ => "ALL",
            };
            let roles: Vec<String> = row.get("roles");
            let mut sql =
                format!("CREATE POLICY {name} ON {table} AS {kind} FOR {command} TO {}", roles.join(", "));
            if let Some((using, check)) = self.facts.printed.policies.get(&oid) {
                sql += &using.as_ref().map(|using| format!(" USING ({using})")).unwrap_or_default();
                sql += &check.as_ref().map(|check| format!(" WITH CHECK ({check})")).unwrap_or_default();
            }
            let id = ObjectId { class: self.facts.classes.pg_policy, oid };
            let drop = format!("DROP POLICY {name} ON {table}");
            items.push(
                Item::new(Kind::Policy, format!("{name} ON {table}"), sql, drop).id(id).after(relation),
            );
        }
    }

    fn statistics(&self, items: &mut Vec<Item>) -> Result<(), Error> {
        for row in &self.facts.statistics {
            let Some((relation, ..)) = self.relation(row) else { continue };
            let oid: u32 = row.get("oid");
            let (name, qualified): (String, &str) = (quoted(row.get("name")), row.get("qualified"));
            let begin = (format!("CREATE STATISTICS {qualified} "), format!("CREATE STATISTICS {name} "));
            let sql = unqualified(self.facts.printed.statistics.get(&oid), &[begin])?;
            let id = ObjectId { class: self.facts.classes.pg_statistic_ext, oid };
            let drop = format!("DROP STATISTICS {name}");
            items.push(Item::new(Kind::Statistics, &name, sql, drop).id(id).after(relation));
            if let Some(target) = row.get::<_, Option<i32>>("target") {
                let alter = format!("ALTER STATISTICS {name} SET STATISTICS");
                let (sql, undo) = (format!("{alter} {target}"), format!("{alter} -1"));
                items.push(Item::new(Kind::Setting, format!("STATISTICS {name}"), sql, undo).after(id));
            }
        }
        Ok(())
    }
}

/// Whether and when a trigger or rule is enabled, in the syntax of `ALTER TABLE`.
fn enabled(how: &str) -> &'static str {
    match how {
        "D" => "DISABLE",
        "A" => "ENABLE ALWAYS",
        "R" => "ENABLE REPLICA",
        _ => "ENABLE",
    }
}
