//! Checks of names that run in PostgreSQL, in the transaction of the statement that uses the names.
//!
//! A *look* runs in front of a write whose target the cached catalog does not know as a table of the tenant. It
//! resolves the name as the statement will, follows views, rules and partitions to all relations behind it, and fails
//! if one of them is not writable for the tenant.
//!
//! A *seal* runs behind a statement that creates, renames or grants a view. A view over relations that the tenant may
//! not write loses its write privileges. From then on PostgreSQL itself refuses such writes, even from another proxy
//! or from a statement that has waited for a lock.
//!
//! All SQL here is ASCII, and each name and operator is qualified, so that it means the same in every encoding and
//! under every path.

use std::collections::HashSet;
use std::fmt::Write;

use super::guard::aims::{Extent, Look};
use super::guard::check::{Grant, SHARED, Seal, denied, key_of_others};
use super::hidden;
use super::limits;
use super::plan::{Check, Refusal, StatementKind};
use super::scope::Scope;
use super::shape::{Object, Site, StatementShape, Way};

/// The mark in the message of a check's error. The client gets the refusal in its place.
pub(super) const MARK: &str = "pgstrata: ";

/// The maximum number of checks for one text.
const MOST: usize = 5000;

/// Whether an error is the result of a check, and not a failure to run it.
pub fn is_found(code: &[u8], message: &[u8]) -> bool {
    matches!(code, b"22023" | b"42501") && memchr::memmem::find(message, MARK.as_bytes()).is_some()
}

/// The checks of a grant, in the order in which they run.
pub fn checks(grant: &Grant, statements: &[StatementShape], scope: &Scope) -> Result<Vec<Check>, Refusal> {
    let looks = once_each(&grant.looks, statements);
    if looks.len() + grant.seals.len() + grant.limits.len() + grant.unlimited.len() > MOST {
        let hint = "Send it in parts, or write the schema in front of each table that is written.";
        let message = "too many statements of one text write tables that the proxy does not know";
        return Err(Refusal { code: "54000", message: message.into(), hint: Some(hint.into()) });
    }
    let (of_keys, of_names): (Vec<_>, Vec<_>) =
        looks.into_iter().partition(|(_, look)| look.extent.is_of_keys());
    let front = [of_names, of_keys]
        .map(|looks| looks.chunk_by(|a, b| a.0 == b.0).map(|looks| front(looks, scope)).collect::<Vec<_>>());
    let front = front.into_iter().flatten();
    let limits = grant.limits.iter().map(|(at, name)| limits::check(*at, name));
    let unlimited = grant.unlimited.iter().map(|(at, name)| limits::check_none(*at, name));
    let behind = grant.seals.chunk_by(|a, b| a.0 == b.0).map(|seals| behind(seals, scope));
    let mut checks: Vec<Check> = front.chain(unlimited).chain(behind).chain(limits).collect();
    checks.sort_by_key(|check| (check.statement, check.behind));
    Ok(checks)
}

/// The looks, without those whose result is known from an earlier look with nothing in between that could change it.
fn once_each<'a>(looks: &'a [(usize, Look)], statements: &[StatementShape]) -> Vec<(usize, &'a Look)> {
    // The statement only reads and writes rows, so no name changes its meaning.
    let keeps = |statement: &StatementShape| {
        matches!(statement.kind, StatementKind::Plain | StatementKind::CopyIn | StatementKind::BlockOnly)
            && !statement.ddl
            && statement.way < Way::Path
    };
    let (mut known, mut last, mut out) = (HashSet::new(), 0, Vec::new());
    for (at, look) in looks {
        if statements.get(last..*at).unwrap_or_default().iter().any(|statement| !keeps(statement)) {
            known.clear();
        }
        last = *at;
        if known.insert(look) {
            out.push((*at, look));
        }
    }
    out
}

/// The check in front of a statement. It returns no rows; a finding is an error, because it is not a valid
/// identifier.
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
    if !places.keyed.is_empty() {
        _ = write!(
            with,
            "\"{MARK}keyed\" (oid) AS (SELECT v.oid FROM pg_catalog.unnest(ARRAY[{}]) v (oid) \
             UNION SELECT i.inhrelid FROM \"{MARK}keyed\" p \
             JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) p.oid), ",
            places.keyed.join(", ")
        );
    }
    let found = places.queries(scope);
    let sql = format!(
        "WITH RECURSIVE {with}\"{MARK}found\" (name) AS ({}) \
         SELECT pg_catalog.parse_ident(pg_catalog.concat('{MARK}', f.name)) FROM \"{MARK}found\" f",
        found.join(" UNION ALL "),
    );
    let (statement, what) = looks.first().map_or((0, String::new()), |(at, look)| (*at, refused(look)));
    let refusal = denied(scope, &what, Some(SHARED));
    Check { statement, behind: false, of_names: true, sql: sql.into(), refusal }
}

/// The check that types, given by oid, are in a schema that the tenant may name.
pub fn types(numbers: &[u32], scope: &Scope) -> Check {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    let sql = format!(
        "SELECT pg_catalog.parse_ident(pg_catalog.concat('{MARK}', t.typname)) FROM pg_catalog.pg_type t \
         WHERE t.oid OPERATOR(pg_catalog.=) ANY (ARRAY[{}]::pg_catalog.oid[]) \
         AND (t.typnamespace OPERATOR(pg_catalog.=) {}) IS NOT TRUE",
        numbers.join(","),
        hidden::own_schemas(scope)
    );
    let refusal = denied(scope, "use a type of another schema by its number", None);
    Check { statement: 0, behind: false, of_names: false, sql: sql.into(), refusal }
}

/// The refusal for a finding.
fn refused(look: &Look) -> String {
    let name = &look.name;
    match look.extent {
        Extent::Rows => format!(
            "write to \"{name}\", which is outside of the tenant's schema, or reads objects outside of it"
        ),
        Extent::Itself if look.object == Object::Index => {
            format!("change index \"{name}\" without its schema: a shared schema has an index of this name")
        }
        Extent::Itself => format!("change \"{name}\", which is outside of the tenant's schema"),
        Extent::Keys => key_of_others(name),
        Extent::AllKeys => "drop a type that foreign keys to tables of other schemas may use".into(),
    }
}

/// SQL expressions for the objects to check: oids, but names of routines and indexes.
#[derive(Default)]
struct Places {
    followed: Vec<String>,
    /// Tables whose foreign keys are checked.
    keyed: Vec<String>,
    /// Schemas, all of whose foreign keys are checked.
    schemas: Vec<String>,
    relations: Vec<String>,
    types: Vec<String>,
    routines: Vec<String>,
    indexes: Vec<Box<str>>,
}

impl Places {
    fn add(&mut self, look: &Look) {
        let by =
            |function: &str| format!("pg_catalog.{function}({})::pg_catalog.oid", literal(&quoted(look)));
        match look.object {
            _ if look.extent == Extent::Keys => self.keyed.push(by("to_regclass")),
            _ if look.extent == Extent::AllKeys => {
                self.schemas.extend(look.schema.as_deref().map(namespace));
            }
            Object::Relation if look.hold => self.relation(look, held(&by("to_regclass"))),
            Object::Relation => self.relation(look, by("to_regclass")),
            Object::Type => self.types.push(by("to_regtype")),
            Object::Routine => self.routines.push(format!("{}::pg_catalog.name", literal(&look.name))),
            Object::Index => self.indexes.push(look.name.clone()),
            // Their names get the tenant's schema in front.
            Object::Other => {}
        }
    }

    fn relation(&mut self, look: &Look, place: String) {
        match look.extent {
            Extent::Rows => self.followed.push(place),
            _ => self.relations.push(place),
        }
    }

    /// The indexes of these names in the schemas of the path that the tenant may not write. Another session of the
    /// tenant could drop its own index between the check and the statement, so they count even where the path finds
    /// another one first.
    fn shared_indexes(&self, scope: &Scope) -> Vec<String> {
        let schemas = || scope.path().filter(|schema| !scope.may_write(schema));
        let in_schemas = |name: &str| {
            let each = schemas().map(|schema| literal(&format!("{}.{}", quote(schema), quote(name))));
            each.map(|index| format!("pg_catalog.to_regclass({index})::pg_catalog.oid")).collect::<Vec<_>>()
        };
        self.indexes.iter().flat_map(|name| in_schemas(name)).collect()
    }

    /// A query of each kind, for the names of objects outside of the tenant.
    ///
    /// Names are resolved as they are now. The rows of the catalog come from the transaction's snapshot, which may be an
    /// old one, so an object without a row counts as outside.
    fn queries(&self, scope: &Scope) -> Vec<String> {
        let mut queries = Vec::new();
        if !self.followed.is_empty() {
            queries.push(format!(
                "SELECT p.oid::pg_catalog.regclass::pg_catalog.text FROM \"{MARK}\" p \
                 WHERE p.oid IS NOT NULL AND {}",
                elsewhere(NAMESPACE, scope)
            ));
        }
        let keys = format!(
            "SELECT k.conname::pg_catalog.text FROM pg_catalog.pg_constraint k \
             CROSS JOIN LATERAL (SELECT k.confrelid) p (oid) \
             WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND {}",
            elsewhere(NAMESPACE, scope)
        );
        if !self.keyed.is_empty() {
            let among = format!("ARRAY(SELECT t.oid FROM \"{MARK}keyed\" t)");
            queries.push(format!("{keys} AND k.conrelid OPERATOR(pg_catalog.=) ANY ({among})"));
            queries.push(format!(
                "SELECT p.oid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_inherits i \
                 CROSS JOIN LATERAL (SELECT i.inhparent) p (oid) \
                 WHERE i.inhrelid OPERATOR(pg_catalog.=) ANY ({among}) AND {}",
                elsewhere(NAMESPACE, scope)
            ));
        }
        if !self.schemas.is_empty() {
            let among = self.schemas.join(", ");
            queries.push(format!("{keys} AND k.connamespace OPERATOR(pg_catalog.=) ANY (ARRAY[{among}])"));
        }
        // Only the owner can change a routine in pg_catalog, and a tenant's routine may have its name.
        let visible = "pg_catalog.pg_function_is_visible(o.oid) \
             AND o.pronamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace";
        for (places, kind, namespace) in
            [(&self.relations, "regclass", NAMESPACE), (&self.types, "regtype", TYPE_NAMESPACE)]
        {
            if !places.is_empty() {
                queries.push(format!(
                    "SELECT p.oid::pg_catalog.{kind}::pg_catalog.text FROM pg_catalog.unnest(ARRAY[{}]) p (oid) \
                     WHERE p.oid IS NOT NULL AND {}",
                    places.join(", "),
                    elsewhere(namespace, scope)
                ));
            }
        }
        let indexes = self.shared_indexes(scope);
        if !indexes.is_empty() {
            queries.push(format!(
                "SELECT p.oid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.unnest(ARRAY[{}]) p (oid) \
                 WHERE p.oid IS NOT NULL",
                indexes.join(", ")
            ));
        }
        if !self.routines.is_empty() {
            queries.push(format!(
                "SELECT o.proname::pg_catalog.text FROM pg_catalog.pg_proc o \
                 WHERE o.proname OPERATOR(pg_catalog.=) ANY (ARRAY[{}]) AND {visible} AND {}",
                self.routines.join(", "),
                elsewhere("o.pronamespace", scope)
            ));
        }
        queries
    }
}

/// The check behind a statement.
fn behind(seals: &[(usize, Seal)], scope: &Scope) -> Check {
    let own = format!("GRANT {READING} ON %s TO CURRENT_USER");
    let (all, open) = (open_views(seals, scope, OLD_SNAPSHOT), open_views(seals, scope, "false"));
    let unknown = unknown_views(seals, scope);
    let sql = format!(
        "DO $pgstrata$ DECLARE pgstrata pg_catalog.regclass; BEGIN \
         IF {OLD_SNAPSHOT} AND ({unknown}) THEN \
         RAISE SQLSTATE '42501' USING MESSAGE = '{MARK}'; END IF; \
         FOR pgstrata IN {all} LOOP \
         EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM CURRENT_USER', pgstrata); \
         EXECUTE pg_catalog.format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM PUBLIC', pgstrata); \
         EXECUTE pg_catalog.format('{own}', pgstrata); END LOOP; \
         FOR pgstrata IN {open} LOOP \
         RAISE SQLSTATE '42501' USING MESSAGE = pg_catalog.concat('{MARK}', pgstrata); \
         END LOOP; END $pgstrata$"
    );
    let statement = seals.first().map_or(0, |(at, _)| *at);
    let what = "have the right to write through a view over another schema";
    let refusal = denied(scope, what, Some(SHARED));
    Check { statement, behind: true, of_names: false, sql: sql.into(), refusal }
}

/// Whether the current user may write everything, whatever is revoked. Nothing can be revoked from a superuser.
const WRITES_ALL: &str = "EXISTS (SELECT FROM pg_catalog.pg_roles u \
WHERE u.rolname OPERATOR(pg_catalog.=) CURRENT_USER AND NOT u.rolsuper \
AND pg_catalog.pg_has_role('pg_write_all_data', 'USAGE'))";

/// The privileges that an owner keeps on a sealed view.
const READING: &str = "SELECT, REFERENCES, TRIGGER";

/// Whether the transaction sees an old snapshot of the catalog: a view and its privileges may have changed since.
const OLD_SNAPSHOT: &str = "pg_catalog.current_setting('transaction_isolation') \
OPERATOR(pg_catalog.=) ANY (ARRAY['repeatable read', 'serializable'])";

/// A condition: a privilege is granted on one of these relations, or one of these names is given, and the
/// transaction's snapshot does not show that the relation is not a view.
fn unknown_views(seals: &[(usize, Seal)], scope: &Scope) -> String {
    let old = seals.iter().filter(|(_, seal)| seal.is_old);
    let each = old.map(|(_, seal)| match &seal.name {
        Some(name) => {
            let places = places(seal, scope).map(|schema| {
                let view = literal(&format!("{}.{}", quote(schema), quote(name)));
                format!(
                    "pg_catalog.to_regclass({view}) IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c \
                     WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass({view})::pg_catalog.oid \
                     AND c.relkind OPERATOR(pg_catalog.<>) 'v')"
                )
            });
            places.collect::<Vec<_>>().join(" OR ")
        }
        None => "true".to_owned(),
    });
    let each: Vec<String> = each.filter(|condition| !condition.is_empty()).collect();
    if each.is_empty() { "false".to_owned() } else { each.join(" OR ") }
}

/// A query for the views among these that read relations outside of the tenant, and that the current user may write;
/// or all of them if the condition `all` is true.
fn open_views(seals: &[(usize, Seal)], scope: &Scope, all: &str) -> String {
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
         WHERE k.oid OPERATOR(pg_catalog.=) v.view OFFSET 0) c WHERE ({all} OR {} OR {WRITES_ALL} OR EXISTS (SELECT FROM pg_catalog.pg_attribute b \
         WHERE b.attrelid OPERATOR(pg_catalog.=) c.oid AND {}))",
        among.join(" OR "),
        elsewhere(NAMESPACE, scope),
        writes("COALESCE(c.relacl, pg_catalog.acldefault('r', c.relowner))"),
        writes("b.attacl"),
    )
}

/// The schemas in which a name may have been created.
fn places<'a>(seal: &'a Seal, scope: &'a Scope) -> impl Iterator<Item = &'a str> {
    let written = seal.schema.as_deref();
    let own = Some(&*scope.schema).filter(|own| scope.may_write(own) && seal.site != Site::Temporary);
    let is_shared = scope.shared_writes && seal.site == Site::Found;
    let shared = scope.shared.iter().map(|schema| &**schema).filter(move |_| is_shared);
    let found = std::iter::once("pg_temp").chain(own).chain(shared).filter(move |_| written.is_none());
    written.into_iter().chain(found)
}

/// The relations behind the relation `p.oid`: those that its rules name, a view's query included, and its partitions
/// and inheritance children.
const LEADS: &str = "\
SELECT d.refobjid FROM pg_catalog.pg_depend d \
WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
AND d.objid OPERATOR(pg_catalog.=) ANY (ARRAY(\
SELECT r.oid FROM pg_catalog.pg_rewrite r WHERE r.ev_class OPERATOR(pg_catalog.=) p.oid)) \
AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent OPERATOR(pg_catalog.=) p.oid";

/// The schema of the relation `p.oid`. As a separate subquery it uses the index, however many relations there are and
/// however few PostgreSQL expects.
const NAMESPACE: &str =
    "(SELECT n.relnamespace FROM pg_catalog.pg_class n WHERE n.oid OPERATOR(pg_catalog.=) p.oid)";

/// The same of the type `p.oid`.
const TYPE_NAMESPACE: &str =
    "(SELECT n.typnamespace FROM pg_catalog.pg_type n WHERE n.oid OPERATOR(pg_catalog.=) p.oid)";

/// The oid of a name that the check has locked. The lock is on what the name meant when the check was analysed, and
/// `resolved` is evaluated when the check runs: if the session has no lock on that, the result is no relation's oid.
fn held(resolved: &str) -> String {
    format!(
        "(SELECT CASE WHEN r.oid IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_locks l \
         WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.granted \
         AND l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.relation OPERATOR(pg_catalog.=) r.oid) \
         THEN r.oid ELSE 0::pg_catalog.oid END FROM (SELECT {resolved} OFFSET 0) r (oid))"
    )
}

/// Whether this schema's oid, an expression, is not the oid of a writable schema.
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

/// The name to check, as the argument of a function.
fn quoted(look: &Look) -> String {
    match &look.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(&look.name)),
        None => quote(&look.name),
    }
}

/// The same, as an SQL identifier.
fn identifier(look: &Look) -> String {
    let name = format!("U&\"{}\"", escaped(&look.name));
    match &look.schema {
        Some(schema) => format!("U&\"{}\".{name}", escaped(schema)),
        None => name,
    }
}

/// A string literal in ASCII.
pub(super) fn literal(text: &str) -> String {
    format!("U&'{}'", escaped(text))
}

/// The text between the quotes of `U&'..'` or `U&".."`.
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
        Look { schema: schema.map(Into::into), name: name.into(), object, extent: Extent::Rows, hold }
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
        let seal =
            Seal { schema: None, name: Some("$pgstrata$ é'".into()), site: Site::Made, is_old: false };
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
