//! What PostgreSQL itself is asked about names, in the transaction of the statement that they stand in.
//!
//! A *look* runs in front of a statement that writes what the catalog's picture does not know as a table of
//! the tenant's. It finds the name as the statement will, follows views, rules and partitions to all that they
//! lead to, and fails where that is not the tenant's to write.
//!
//! A *seal* runs behind a statement that makes, renames or grants a view. A view over what the tenant may not
//! write loses the privileges that it would be written with. From then on PostgreSQL refuses that itself, whoever
//! believes what of the view's name: another proxy, a statement that has waited for a lock.
//!
//! All of it is ASCII, and each name and operator is qualified: it means the same in every encoding and under
//! every path.

use std::collections::HashSet;
use std::fmt::Write;

use super::guard::aims::Look;
use super::guard::check::{Grant, SHARED, Seal, denied};
use super::limits;
use super::plan::{Check, Refusal, StatementKind};
use super::scope::Scope;
use super::shape::{Object, Site, StatementShape};

/// What the message of a check's error has in it. The client gets the refusal in its place.
pub(super) const MARK: &str = "pgstrata: ";

/// So many questions are asked for one text at most.
const MOST: usize = 5000;

/// Whether an error is that of a check that has found something, and none that it has run into.
pub fn is_found(code: &[u8], message: &[u8]) -> bool {
    matches!(code, b"22023" | b"42501") && memchr::memmem::find(message, MARK.as_bytes()).is_some()
}

/// The checks that a grant asks for, in the order in which they are to run.
pub fn checks(grant: &Grant, statements: &[StatementShape], scope: &Scope) -> Result<Vec<Check>, Refusal> {
    let looks = once_each(&grant.looks, statements);
    if looks.len() + grant.seals.len() + grant.limits.len() + grant.unlimited.len() > MOST {
        let hint = "Send it in parts, or write the schema in front of each table that is written.";
        let message = "too many statements of one text write what is not known";
        return Err(Refusal { code: "54000", message: message.into(), hint: Some(hint.into()) });
    }
    let front = looks.chunk_by(|a, b| a.0 == b.0).map(|looks| front(looks, scope));
    let limits = grant.limits.iter().map(|(at, name)| limits::check(*at, name));
    let unlimited = grant.unlimited.iter().map(|(at, name)| limits::check_none(*at, name));
    let behind = grant.seals.chunk_by(|a, b| a.0 == b.0).map(|seals| behind(seals, scope));
    let mut checks: Vec<Check> = front.chain(unlimited).chain(behind).chain(limits).collect();
    checks.sort_by_key(|check| (check.statement, check.behind));
    Ok(checks)
}

/// The looks without those whose answer is known from one before, in the same transaction and with no DDL since.
fn once_each<'a>(looks: &'a [(usize, Look)], statements: &[StatementShape]) -> Vec<(usize, &'a Look)> {
    let ends = |statement: &StatementShape| {
        statement.ddl
            || matches!(statement.kind, StatementKind::Commit { .. } | StatementKind::Rollback { .. })
    };
    let (mut known, mut last, mut out) = (HashSet::new(), 0, Vec::new());
    for (at, look) in looks {
        if statements.get(last..*at).unwrap_or_default().iter().any(ends) {
            known.clear();
        }
        last = *at;
        if known.insert(look) {
            out.push((*at, look));
        }
    }
    out
}

/// The question that is asked in front of a statement. It has no answer: what is found is no identifier, and an error.
fn front(looks: &[(usize, &Look)], scope: &Scope) -> Check {
    let mut with = String::new();
    let mut places = Places::default();
    for (number, (_, look)) in looks.iter().enumerate() {
        if look.hold {
            _ = write!(with, "\"{MARK}{number}\" AS (SELECT 1 FROM {}), ", identifier(look));
        }
        places.add(look);
    }
    if !places.followed.is_empty() {
        _ = write!(
            with,
            "\"{MARK}\" (oid) AS (SELECT v.oid FROM pg_catalog.unnest(ARRAY[{}]) v (oid) \
             UNION SELECT e.oid FROM \"{MARK}\" p CROSS JOIN LATERAL ({LEADS}) e (oid)), ",
            places.followed.join(", ")
        );
    }
    let found = places.queries(scope);
    let sql = format!(
        "WITH RECURSIVE {with}\"{MARK}found\" (name) AS ({}) \
         SELECT pg_catalog.parse_ident(pg_catalog.concat('{MARK}', f.name)) FROM \"{MARK}found\" f",
        found.join(" UNION ALL "),
    );
    let (statement, what) = looks.first().map_or((0, String::new()), |(at, look)| (*at, refused(look)));
    Check { statement, behind: false, sql: sql.into(), refusal: denied(scope, &what, Some(SHARED)) }
}

/// What is refused where something is found.
fn refused(look: &Look) -> String {
    match look.follow {
        true => format!("write to \"{}\", which is not the tenant's own, or shows what is not", look.name),
        false => format!("change \"{}\", which is not the tenant's own", look.name),
    }
}

/// Expressions for what is looked at: oids, but of routines their names.
#[derive(Default)]
struct Places {
    followed: Vec<String>,
    relations: Vec<String>,
    types: Vec<String>,
    routines: Vec<String>,
}

impl Places {
    fn add(&mut self, look: &Look) {
        let by =
            |function: &str| format!("pg_catalog.{function}({})::pg_catalog.oid", literal(&quoted(look)));
        match look.object {
            Object::Relation if look.follow => self.followed.push(by("to_regclass")),
            Object::Relation => self.relations.push(by("to_regclass")),
            Object::Type => self.types.push(by("to_regtype")),
            Object::Routine => self.routines.push(format!("{}::pg_catalog.name", literal(&look.name))),
            // Their names are put behind the tenant's schema.
            Object::Other => {}
        }
    }

    /// A query of each kind, for the names of what stands elsewhere.
    fn queries(&self, scope: &Scope) -> Vec<String> {
        let mut queries = Vec::new();
        if !self.followed.is_empty() {
            queries.push(format!(
                "SELECT p.oid::pg_catalog.regclass::pg_catalog.text FROM \"{MARK}\" p \
                 WHERE p.oid IS NOT NULL AND {}",
                elsewhere(NAMESPACE, scope)
            ));
        }
        // A routine in pg_catalog is its owner's alone, and a tenant's may have its name.
        let visible = "pg_catalog.pg_function_is_visible(o.oid) \
             AND o.pronamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace";
        for (places, table, name, key, schema, more) in [
            (&self.relations, "pg_class", "relname", "oid", "o.relnamespace", "true"),
            (&self.types, "pg_type", "typname", "oid", "o.typnamespace", "true"),
            (&self.routines, "pg_proc", "proname", "proname", "o.pronamespace", visible),
        ] {
            if !places.is_empty() {
                queries.push(format!(
                    "SELECT o.{name}::pg_catalog.text FROM pg_catalog.{table} o \
                     WHERE o.{key} OPERATOR(pg_catalog.=) ANY (ARRAY[{}]) AND {more} AND {}",
                    places.join(", "),
                    elsewhere(schema, scope)
                ));
            }
        }
        queries
    }
}

/// What is done behind a statement.
fn behind(seals: &[(usize, Seal)], scope: &Scope) -> Check {
    let own = format!("GRANT {READING} ON %s TO CURRENT_USER");
    let views = open_views(seals, scope);
    let sql = format!(
        "DO $pgstrata$ DECLARE pgstrata pg_catalog.regclass; BEGIN \
         FOR pgstrata IN {views} LOOP \
         EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM CURRENT_USER', pgstrata); \
         EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM PUBLIC', pgstrata); \
         EXECUTE pg_catalog.format('{own}', pgstrata); END LOOP; \
         FOR pgstrata IN {views} LOOP \
         RAISE SQLSTATE '42501' USING MESSAGE = pg_catalog.concat('{MARK}', pgstrata); \
         END LOOP; END $pgstrata$"
    );
    let statement = seals.first().map_or(0, |(at, _)| *at);
    let what = "have the right to write through a view over another schema";
    Check { statement, behind: true, sql: sql.into(), refusal: denied(scope, what, Some(SHARED)) }
}

/// Whether the current user may write everything, whatever is revoked. A superuser is kept from nothing.
const WRITES_ALL: &str = "EXISTS (SELECT FROM pg_catalog.pg_roles u \
WHERE u.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND NOT u.rolsuper \
AND pg_catalog.pg_has_role('pg_write_all_data', 'USAGE'))";

/// What an owner keeps of a view that is sealed.
const READING: &str = "SELECT, REFERENCES, TRIGGER";

/// A query for the views among these that lead elsewhere, and that the current user has the right to write.
fn open_views(seals: &[(usize, Seal)], scope: &Scope) -> String {
    let mut among = Vec::new();
    for (_, seal) in seals {
        match &seal.name {
            Some(name) => among.extend(places(seal, scope).map(|schema| {
                let view = literal(&format!("{}.{}", quote(schema), quote(name)));
                format!("c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass({view})::pg_catalog.oid")
            })),
            None => among.extend(
                seal.schema
                    .as_deref()
                    .map(|schema| format!("c.relnamespace OPERATOR(pg_catalog.=) {}", namespace(schema))),
            ),
        }
    }
    let writes = |acl: &str| {
        format!(
            "EXISTS (SELECT FROM pg_catalog.aclexplode({acl}) a \
             WHERE a.privilege_type OPERATOR(pg_catalog.<>) ALL (pg_catalog.string_to_array('{READING}', ', ')) \
             AND (a.grantee OPERATOR(pg_catalog.=) 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))"
        )
    };
    format!(
        "WITH RECURSIVE \"{MARK}\" (view, oid) AS (\
         SELECT c.oid, c.oid FROM pg_catalog.pg_class c WHERE c.relkind OPERATOR(pg_catalog.=) 'v' AND ({}) \
         UNION SELECT p.view, e.oid FROM \"{MARK}\" p CROSS JOIN LATERAL ({LEADS}) e (oid)) \
         SELECT c.oid FROM (SELECT DISTINCT p.view FROM \"{MARK}\" p WHERE {}) v CROSS JOIN LATERAL (\
         SELECT k.oid, k.relacl, k.relowner FROM pg_catalog.pg_class k \
         WHERE k.oid OPERATOR(pg_catalog.=) v.view OFFSET 0) c WHERE ({} OR {WRITES_ALL} OR EXISTS (SELECT FROM pg_catalog.pg_attribute b \
         WHERE b.attrelid OPERATOR(pg_catalog.=) c.oid AND {}))",
        among.join(" OR "),
        elsewhere(NAMESPACE, scope),
        writes("COALESCE(c.relacl, pg_catalog.acldefault('r', c.relowner))"),
        writes("b.attacl"),
    )
}

/// The schemas that a name may have come to stand in.
fn places<'a>(seal: &'a Seal, scope: &'a Scope) -> impl Iterator<Item = &'a str> {
    let written = seal.schema.as_deref();
    let own = Some(&*scope.schema).filter(|own| scope.may_write(own) && seal.site != Site::Temporary);
    let is_shared = scope.shared_writes && seal.site == Site::Found;
    let shared = scope.shared.iter().map(|schema| &**schema).filter(move |_| is_shared);
    let found = std::iter::once("pg_temp").chain(own).chain(shared).filter(move |_| written.is_none());
    written.into_iter().chain(found)
}

/// What the relation `p.oid` leads to: what its rules name, a view's query among them, and its partitions and heirs.
const LEADS: &str = "\
SELECT d.refobjid FROM pg_catalog.pg_depend d \
WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
AND d.objid OPERATOR(pg_catalog.=) ANY (ARRAY(\
SELECT r.oid FROM pg_catalog.pg_rewrite r WHERE r.ev_class OPERATOR(pg_catalog.=) p.oid)) \
AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent OPERATOR(pg_catalog.=) p.oid";

/// The schema of the relation `p.oid`. As a subquery of its own it is found by the index, however many relations
/// there are and however few PostgreSQL expects.
const NAMESPACE: &str =
    "(SELECT n.relnamespace FROM pg_catalog.pg_class n WHERE n.oid OPERATOR(pg_catalog.=) p.oid)";

/// Whether this schema's oid, an expression, is of none that may be written.
fn elsewhere(namespace_of: &str, scope: &Scope) -> String {
    let schemas = std::iter::once(&scope.schema).chain(scope.shared.iter());
    let mut writable: Vec<String> =
        schemas.filter(|schema| scope.may_write(schema)).map(|schema| namespace(schema)).collect();
    writable.push("pg_catalog.pg_my_temp_schema()".to_owned());
    let writable = writable.join(", ");
    format!("({namespace_of} OPERATOR(pg_catalog.=) ANY (ARRAY[{writable}])) IS NOT TRUE")
}

fn namespace(schema: &str) -> String {
    format!("pg_catalog.to_regnamespace({})::pg_catalog.oid", literal(&quote(schema)))
}

fn quote(name: &str) -> String {
    pgstrata_tenancy::ident::quoted(name)
}

/// The name that is looked at, as a function takes it.
fn quoted(look: &Look) -> String {
    match &look.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(&look.name)),
        None => quote(&look.name),
    }
}

/// The same, as it stands in SQL.
fn identifier(look: &Look) -> String {
    let name = format!("U&\"{}\"", escaped(&look.name));
    match &look.schema {
        Some(schema) => format!("U&\"{}\".{name}", escaped(schema)),
        None => name,
    }
}

/// A string literal of ASCII alone.
pub(super) fn literal(text: &str) -> String {
    format!("U&'{}'", escaped(text))
}

/// What stands between the quotes of `U&'..'` or `U&".."`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | ' ' => out.push(c),
            _ => _ = write!(out, "\\+{:06X}", u32::from(c)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::plans::scope;

    fn look(schema: Option<&str>, name: &str, hold: bool) -> Look {
        let object = Object::Relation;
        Look { schema: schema.map(Into::into), name: name.into(), object, follow: true, hold }
    }

    #[test]
    fn names_are_ascii_and_end_no_literal() {
        assert_eq!(
            literal("\"a\"\"b\".\"ü'\\\""),
            "U&'\\+000022a\\+000022\\+000022b\\+000022.\\+000022\\+0000FC\\+000027\\+00005C\\+000022'"
        );
        assert_eq!(identifier(&look(Some("é"), "t\"$", true)), "U&\"\\+0000E9\".U&\"t\\+000022\\+000024\"");
    }

    #[test]
    fn questions_are_plain_and_hold_what_is_to_be_held() {
        let odd = look(None, "$pgstrata$; é", true);
        let sql = front(&[(0, &odd), (0, &look(Some("acme"), "v", false))], &scope()).sql;
        assert!(sql.is_ascii() && !sql.contains(';'), "{sql}");
        assert_eq!(sql.matches(" AS (SELECT 1 FROM ").count(), 1, "{sql}");
        let seal = Seal { schema: None, name: Some("$pgstrata$ é'".into()), site: Site::Made };
        let sql = behind(&[(0, seal)], &scope()).sql;
        assert!(sql.is_ascii() && sql.matches("$pgstrata$").count() == 2, "{sql}");
    }

    #[test]
    fn error_of_a_check_is_told_from_one_that_it_ran_into() {
        assert!(is_found(b"22023", b"string is not a valid identifier: \"pgstrata: plans\""));
        assert!(!is_found(b"57014", b"canceling statement due to user request"));
        assert!(!is_found(b"22023", b"string is not a valid identifier: \"x\""));
    }
}
