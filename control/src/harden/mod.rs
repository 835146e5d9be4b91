//! Privileges that PostgreSQL itself can deny to the proxy's servers, and so to SQL that gets past the guard.
//!
//! One query, `items.sql`, finds the unneeded privileges, each with the SQL that revokes it and the SQL that grants
//! it again. `pgstrata sql harden` prints a block that runs all of it; the audit shows the items.

use std::collections::BTreeSet;

use serde::Serialize;
use tokio_postgres::Row;

use crate::Control;
use crate::error::Error;
use crate::registry::literal;
use crate::settings::Settings;

/// The tag of the printed blocks' dollar quotes.
const TAG: &str = "$pgstrata$";

/// The roles whose privileges are revoked, and the exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// The role that the proxy's servers log in as.
    pub servers: String,
    /// The schemas that all tenants have on their path.
    pub shared: Vec<String>,
    /// Whether tenants may write to them.
    pub shared_writes: bool,
    /// The schema that tenants are copies of.
    pub source: String,
    /// Whether the servers' role itself creates and changes schemas, without a control role.
    pub makes: bool,
    /// Whether temporary tables are revoked too.
    pub temporary: bool,
}

/// Unneeded privileges of one kind.
#[derive(Debug, Serialize)]
pub struct Weakness {
    /// The privilege of the role or of `PUBLIC`: it follows "the servers' role" in the message.
    pub what: String,
    /// The objects; empty if the message names them.
    pub objects: Vec<String>,
    /// The SQL that revokes it, for a superuser.
    pub sql: Vec<String>,
}

impl Hardening {
    /// For these settings; `None` if the servers' role is not known.
    pub fn of(settings: &Settings) -> Option<Self> {
        Some(Self {
            servers: settings.proxy_role.clone()?,
            shared: settings.shared.clone(),
            shared_writes: settings.shared_writes,
            source: settings.source.clone(),
            makes: settings.servers_make,
            temporary: false,
        })
    }

    /// SQL that revokes all of it in the current database, for a superuser.
    pub fn take(&self) -> String {
        let items = self.items();
        let filled = self.fill(include_str!("take.sql"));
        in_quotes_that_hold(&filled.replace("{items}", items.trim_end()))
    }

    /// SQL that grants everything again that [`Hardening::take`] has revoked.
    pub fn undo() -> &'static str {
        include_str!("undo.sql")
    }

    /// The query for the current findings.
    fn items(&self) -> String {
        self.fill(include_str!("items.sql"))
    }

    fn fill(&self, template: &str) -> String {
        let shared: Vec<String> = self.shared.iter().map(|schema| literal(schema)).collect();
        // In this order, so that no mark is looked for in a value.
        let marks = [
            ("{makes}", self.makes.to_string()),
            ("{shared_writes}", self.shared_writes.to_string()),
            ("{temporary}", self.temporary.to_string()),
            ("{source}", literal(&self.source)),
            ("{shared}", format!("ARRAY[{}]", shared.join(", "))),
            ("{servers}", literal(&self.servers)),
        ];
        fill(template, &marks)
    }
}

/// Replaces marks by values; a mark in a value is not replaced.
fn fill(template: &str, marks: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        out += before;
        match marks.iter().find_map(|(mark, value)| Some((behind.strip_prefix(mark)?, value))) {
            Some((next, value)) => {
                out += value;
                rest = next;
            }
            None => {
                out.push('{');
                rest = behind.get(1..).unwrap_or_default();
            }
        }
    }
    out + rest
}

/// In dollar quotes with a tag that does not occur in the text: a role may have any name.
fn in_quotes_that_hold(text: &str) -> String {
    if text.matches(TAG).count() == 2 {
        return text.to_owned();
    }
    let mut tag = TAG.to_owned();
    while text.contains(&tag) {
        tag.insert(1, 'p');
    }
    let (first, last) = (text.find(TAG), text.rfind(TAG));
    match first.zip(last) {
        Some((first, last)) => {
            let (head, tail) = text.split_at(last);
            let (head, body) = head.split_at(first);
            let cut = |part: &str| part.get(TAG.len()..).unwrap_or_default().to_owned();
            format!("{head}{tag}{}{tag}{}", cut(body), cut(tail))
        }
        None => text.to_owned(),
    }
}

impl Control {
    /// The privileges that [`Hardening::take`] would revoke now.
    pub async fn weaknesses(&self, hardening: &Hardening) -> Result<Vec<Weakness>, Error> {
        let client = self.client().await?;
        let rows = client.query(&hardening.items(), &[]).await;
        let rows = rows.map_err(Error::postgres("asking what the servers' role may do"))?;
        Ok(weaknesses(&rows))
    }
}

/// Rows of one topic are one weakness; objects of one statement are listed in it.
fn weaknesses(rows: &[Row]) -> Vec<Weakness> {
    let mut found: Vec<(String, Vec<Statement>)> = Vec::new();
    for row in rows {
        let (topic, object): (String, String) = (row.get(0), row.get(1));
        let mut next = Statement::of(row);
        match found.last_mut().filter(|(known, _)| *known == topic) {
            Some((_, statements)) => match statements.last_mut().filter(|last| last.goes_with(&next)) {
                Some(last) => last.objects.push(object),
                None => {
                    next.objects.push(object);
                    statements.push(next);
                }
            },
            None => {
                next.objects.push(object);
                found.push((topic, vec![next]));
            }
        }
    }
    found.into_iter().map(|(topic, statements)| weakness(topic, statements)).collect()
}

fn weakness(what: String, statements: Vec<Statement>) -> Weakness {
    let objects = statements.iter().flat_map(|statement| &statement.objects);
    let objects: BTreeSet<&String> = objects.filter(|object| !object.is_empty()).collect();
    let objects = objects.into_iter().cloned().collect();
    Weakness { what, objects, sql: statements.into_iter().flat_map(Statement::sql).collect() }
}

/// One `REVOKE` for several objects.
struct Statement {
    take: String,
    from: String,
    give: String,
    keeper: Option<String>,
    objects: Vec<String>,
}

impl Statement {
    fn of(row: &Row) -> Self {
        let objects = Vec::new();
        Self { take: row.get(2), from: row.get(3), give: row.get(4), keeper: row.get(6), objects }
    }

    fn goes_with(&self, next: &Self) -> bool {
        // `ALTER ROLE` takes a single role.
        (&self.take, &self.from, &self.keeper) == (&next.take, &next.from, &next.keeper)
            && self.take.starts_with("REVOKE")
    }

    fn sql(self) -> Vec<String> {
        let Self { take, from, give, keeper, objects } = self;
        let objects = objects.join(", ");
        let between = if objects.is_empty() { "" } else { " " };
        let kept = keeper.map(|keeper| format!("{give} {objects} TO {keeper};"));
        kept.into_iter().chain([format!("{take}{between}{objects} {from};")]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(servers: &str) -> Hardening {
        let (source, shared) = ("public".into(), vec!["public".into(), "o'x".into()]);
        Hardening {
            servers: servers.into(),
            shared,
            shared_writes: false,
            source,
            makes: true,
            temporary: false,
        }
    }

    #[test]
    fn names_end_no_quotes_and_hold_no_marks() {
        let sql = of("app").take();
        assert!(sql.contains("rolname = 'app'") && sql.contains("ARRAY['public', 'o''x']::text[]"), "{sql}");
        assert_eq!(sql.matches(TAG).count(), 2);
        assert!(!sql.contains("{items}") && !sql.contains("{servers}"), "{sql}");
        let marks = |line: &str| line.trim_start().starts_with("--") && line.contains('{');
        for sql in [include_str!("items.sql"), include_str!("take.sql")] {
            assert!(!sql.lines().any(marks), "a value of several lines would end the comment");
        }
        let odd = of("$pgstrata$; {items} {makes} \'").take();
        assert_eq!(odd.matches("$ppgstrata$").count(), 2);
        assert!(odd.contains("{makes} "), "{odd}");
    }
}
