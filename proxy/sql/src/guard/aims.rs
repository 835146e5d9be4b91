//! The possible meanings of a written name, and the measures that confine it.
//!
//! The cached catalog may be outdated. So a target that it knows gets the tenant's schema in front of its name:
//! PostgreSQL then finds that object or none, whatever has changed. For an unknown target, a check runs in PostgreSQL
//! in front of the statement ([`crate::fresh`]), or the statement is refused.

use super::check::{Checked, Gate};
use crate::plan::{Refusal, SchemaRef};
use crate::scope::{Moved, Names, SchemaNames};
use crate::shape::{Act, Object, Resolved, Write};

/// The known facts at the time of a statement.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Temporary tables may hide the tenant's: the session has some, or the text has created some.
    pub temporary: bool,
    /// Code outside of the text may have run in front of the statement, and created temporary objects.
    pub after_code: bool,
    /// The home path is in effect: its first schema is the tenant's.
    pub home: bool,
    /// Unqualified names resolve to the tenant's schema first.
    pub tenant_first: bool,
    /// The catalog has changed since it was loaded, in this transaction or by the tenant's DDL in another one, or is
    /// not loaded.
    pub stale: bool,
    /// The statement runs in its own transaction: no check can run in front of it.
    pub alone: bool,
}

impl Moment {
    /// Whether the name may be that of a temporary relation or of an index of one.
    fn may_be_temporary(&self, write: &Write) -> bool {
        // A name in stored code is not locked: it counts as the tenant's, unless temporary objects are known.
        let locked = write.resolved != Resolved::Later;
        let is_relation = matches!(write.object, Object::Relation | Object::Index);
        is_relation && (self.temporary || self.after_code && locked)
    }
}

/// The measures that confine a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aim {
    /// The prefix of its name.
    pub pin: Option<Pin>,
    /// The check in front of the statement.
    pub look: Option<Look>,
}

/// The prefix of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The tenant's schema.
    Own,
    /// `pg_temp`: it may be a temporary table, and nothing else.
    Temp,
}

/// A name to be checked in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// The schema; none: the schema in which the path finds the name.
    pub schema: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
    /// The kind of the object: a relation, a type or a routine.
    pub object: Object,
    /// The objects that must belong to the tenant.
    pub extent: Extent,
    /// The object is locked until the end of the transaction, so that the name keeps its meaning until the write.
    pub hold: bool,
}

/// The decision about a target needs the catalog of the schemas.
pub(super) struct NeedNames;

/// The extent of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// The object itself.
    Itself,
    /// Rows are written: also the relations behind a view, a rule or a partitioned table.
    Rows,
    /// The tables that the foreign keys of the table, of its partitions and inheritance children reference.
    Keys,
    /// The tables that the foreign keys of all tables in the schema reference. The name is empty.
    AllKeys,
}

impl Extent {
    /// Whether the look is about foreign keys.
    pub fn is_of_keys(self) -> bool {
        matches!(self, Self::Keys | Self::AllKeys)
    }
}

impl Look {
    /// A look at the target of `write`, in `schema` or in the schema where the path finds it.
    fn at(write: &Write, schema: Option<&str>) -> Self {
        let Write { name, object, act, .. } = write;
        let extent = if *act == Act::Rows { Extent::Rows } else { Extent::Itself };
        Self { schema: schema.map(Box::from), name: name.clone(), object: *object, extent, hold: false }
    }

    /// A look at the foreign keys of the table that `write` changes.
    pub(super) fn at_keys(write: &Write) -> Self {
        Self { extent: Extent::Keys, ..Self::at(write, write.schema.as_deref()) }
    }

    /// A look at the foreign keys of all tables in `schema`.
    pub(super) fn at_all_keys(schema: &str) -> Self {
        let (schema, object) = (Some(schema.into()), Object::Relation);
        Self { schema, name: "".into(), object, extent: Extent::AllKeys, hold: false }
    }
}

/// A decision, if the catalog is known.
pub(super) type Judged = Result<Checked<Aim>, NeedNames>;

impl Gate<'_> {
    /// Decides about one target.
    pub(super) fn aim(&self, write: &Write, now: Moment) -> Judged {
        let Write { schema, name, object, act, resolved, .. } = write;
        if let Some(schema) = schema.as_deref() {
            return Ok(self.qualified(schema, name, *act, *resolved));
        }
        if *act == Act::Create {
            return Ok(self.create(name, now.tenant_first).map(|()| Aim::default()));
        }
        if *object == Object::Relation && (self.is_builtin(name) || **name == *"pg_settings") {
            return Ok(self.write_schema("pg_catalog").map(|()| Aim::default()));
        }
        if self.scope.is_read_only() {
            // A name of the catalog is not that of a temporary table.
            let unknown = self.scope.names.is_none() && now.may_be_temporary(write);
            return if unknown { Err(NeedNames) } else { Ok(self.no_schema_of_its_own(write, now)) };
        }
        if let Some((_, moved)) = self.scope.moved(name).filter(|_| *object == Object::Relation) {
            return Ok(self.moved(moved, *act, *resolved));
        }
        match self.scope.names.as_deref() {
            None if self.scope.guards_shared() => Err(NeedNames),
            None => Ok(Ok(Aim { look: self.look(write, None), ..Aim::default() })),
            Some(names) if self.must_be_known(write, names, now) => Err(NeedNames),
            Some(names) => Ok(self.unqualified(write, names, now)),
        }
    }

    /// The target may be a temporary object or the tenant's, no check can run in front of the statement, and the
    /// catalog is not current enough to decide.
    fn must_be_known(&self, write: &Write, names: &Names, now: Moment) -> bool {
        let open = now.alone && now.may_be_temporary(write) && self.scope.guards_shared();
        open && !self.scope.is_current() && !holds(&names.tenant, write.object, &write.name)
    }

    /// Whether the text ignores missing objects.
    fn may_be_missing(&self) -> bool {
        *self.may_be_missing.get_or_init(|| (0..self.t.all.len()).any(|at| self.t.kws(at, &["if", "exists"])))
    }

    fn is_builtin(&self, name: &str) -> bool {
        self.scope.names.as_deref().is_some_and(|names| names.builtin.relations.contains(name))
    }

    fn moved(&self, moved: &Moved, act: Act, resolved: Resolved) -> Checked<Aim> {
        let schema = match moved.schema {
            SchemaRef::Tenant => Some(&self.scope.schema),
            SchemaRef::Shared(index) => self.scope.shared.get(usize::from(index)),
        };
        match schema {
            Some(schema) => self.qualified(schema, &moved.table, act, resolved),
            None => Err(self.refusal("write to a schema that is not known", None)),
        }
    }

    /// For a client whose schemas are all read-only: everything except its temporary tables.
    fn no_schema_of_its_own(&self, write: &Write, now: Moment) -> Checked<Aim> {
        match now.may_be_temporary(write) {
            true => Ok(Aim { pin: Some(Pin::Temp), look: None }),
            false => self.write_schema(&self.scope.schema).map(|()| Aim::default()),
        }
    }

    fn qualified(&self, schema: &str, name: &str, act: Act, resolved: Resolved) -> Checked<Aim> {
        self.write_schema(schema)?;
        if act != Act::Rows || schema == "pg_temp" {
            return Ok(Aim::default());
        }
        let known = self.scope.names.as_deref().and_then(|names| self.held(names, schema));
        let look = || {
            let object = Object::Relation;
            let extent = Extent::Rows;
            Some(Look { schema: Some(schema.into()), name: name.into(), object, extent, hold: false })
        };
        match known.map(|held| self.stands_for_itself(held, name)) {
            Some(itself) => {
                // At a later `EXECUTE` it may be another relation.
                let settled = itself? && resolved != Resolved::AtEachExecute;
                Ok(Aim { pin: None, look: if settled { None } else { look() } })
            }
            None => Ok(Aim { pin: None, look: look() }),
        }
    }

    fn held<'n>(&self, names: &'n Names, schema: &str) -> Option<&'n SchemaNames> {
        if *schema == *self.scope.schema {
            return Some(&names.tenant);
        }
        let index = self.scope.shared.iter().position(|shared| **shared == *schema)?;
        names.shared.get(index).map(|held| &**held)
    }

    /// Whether rows that are written to the relation stay in it; `false`: not known.
    fn stands_for_itself(&self, held: &SchemaNames, name: &str) -> Checked<bool> {
        let others = held.outward.get(name).map(Vec::as_slice).unwrap_or_default();
        if let Some(other) = others.iter().find(|schema| !self.scope.may_write(schema)) {
            // By later DDL of the tenant, it may be another relation.
            return if self.scope.is_current() { Err(self.leads_to(name, other)) } else { Ok(false) };
        }
        Ok(held.relations.get(name).is_some_and(|relation| relation.is_table()))
    }

    /// The refusal of a write to a view over another schema.
    fn leads_to(&self, name: &str, schema: &str) -> Refusal {
        self.refusal(&format!("write through \"{name}\" to schema \"{schema}\""), Some(super::check::SHARED))
    }

    fn look(&self, write: &Write, schema: Option<&str>) -> Option<Look> {
        (write.act == Act::Rows).then(|| Look::at(write, schema))
    }

    fn unqualified(&self, write: &Write, names: &Names, now: Moment) -> Checked<Aim> {
        let Write { name, object, .. } = write;
        let own = holds(&names.tenant, *object, name);
        let temporary = now.may_be_temporary(write);
        let guards = self.scope.guards_shared();
        // PostgreSQL resolves it again whenever objects have changed, so it may mean a temporary table by then.
        let again = write.object == Object::Relation && write.resolved == Resolved::AtEachExecute;
        let first = now.home && now.tenant_first && !temporary && !again;
        let checkable = now.home && now.tenant_first && !now.alone;
        // With the tenant's schema in front, the statement would ignore the missing object although a shared one is
        // meant.
        let passes_over = now.stale && self.may_be_missing();
        // Then it does not matter whether another schema has the name too.
        if own && guards && write.sure && first && !passes_over {
            return self.own(write, names, Some(Pin::Own));
        }
        let shared = names.shared.iter().position(|held| holds(held, *object, name));
        if !guards {
            return self.writable(write, names, own, shared, now);
        }
        match (own, shared) {
            (_, Some(index)) if !now.tenant_first => self.barred(index, temporary),
            // If the catalog is outdated, the name may be the tenant's by now.
            (false, Some(index)) if !now.stale || !write.sure || temporary && self.scope.is_current() => {
                self.barred(index, temporary)
            }
            _ if write.sure && again => self.held_in_place(write, names, temporary, now),
            (_, Some(_)) if write.sure && (temporary || !now.home) => {
                self.held_in_place(write, names, temporary, now)
            }
            (_, Some(_)) if write.sure && passes_over => self.found_by_path(write, names, now),
            (false, Some(_)) if write.sure && !self.scope.is_current() => Ok(self.own_or_refused(write, now)),
            (_, Some(_)) if write.sure => self.own(write, names, Some(Pin::Own)),
            // It may be the index of a temporary table, which comes first. Where no check can run in front, such an
            // index needs its schema in the text.
            (_, None) if *object == Object::Index && write.sure && temporary && checkable => {
                Ok(Aim { pin: None, look: Some(Look::at(write, None)) })
            }
            (_, None) if matches!(object, Object::Index | Object::Other) && write.sure => self.own_alone(now),
            _ => self.found_by_path(write, names, now),
        }
    }

    /// Only a shared schema has the name, or comes first: the target must be a temporary table.
    fn barred(&self, index: usize, temporary: bool) -> Checked<Aim> {
        if temporary {
            return Ok(Aim { pin: Some(Pin::Temp), look: None });
        }
        let schema = self.scope.shared.get(index).map_or("", |schema| schema);
        self.write_schema(schema).map(|()| Aim::default())
    }

    /// A shared schema has the name or may have it by the next `EXECUTE`, and the tenant's or a temporary object is
    /// meant: the resolved object is locked, and then checked.
    fn held_in_place(&self, write: &Write, names: &Names, temporary: bool, now: Moment) -> Checked<Aim> {
        let stored = write.resolved == Resolved::Later;
        let later = stored || now.alone;
        if write.object != Object::Relation || later && !(temporary && stored) {
            return self.own(write, names, Some(Pin::Own));
        }
        if later {
            let what = format!("leave open which \"{}\" is meant", write.name);
            return Err(self.refusal(&what, Some("Write the schema in front of the name.")));
        }
        self.own(write, names, None)?;
        Ok(Aim { pin: None, look: Some(Look { hold: true, ..Look::at(write, None) }) })
    }

    /// A shared schema has the name, and the tenant's may have it: only the tenant's is reached. The look only
    /// provides the right error, which is that of a current catalog if the path finds the shared object.
    fn own_or_refused(&self, write: &Write, now: Moment) -> Aim {
        let look = (!now.alone).then(|| Look::at(write, None));
        Aim { pin: Some(Pin::Own), look }
    }

    /// An object of a kind whose names are not in the catalog: it is the tenant's, or is not found.
    fn own_alone(&self, now: Moment) -> Checked<Aim> {
        match now.tenant_first {
            true => Ok(Aim { pin: Some(Pin::Own), look: None }),
            false => {
                let hint = "Write the tenant's schema in front of the name, or RESET search_path.";
                Err(self.refusal("change this under this search_path", Some(hint)))
            }
        }
    }

    /// The tenant's own object.
    fn own(&self, write: &Write, names: &Names, pin: Option<Pin>) -> Checked<Aim> {
        if write.act != Act::Rows {
            return Ok(Aim { pin, look: None });
        }
        let itself = self.stands_for_itself(&names.tenant, &write.name)?;
        let schema = pin.map(|_| &*self.scope.schema);
        Ok(Aim { pin, look: if itself { None } else { self.look(write, schema) } })
    }

    /// No shared schema had the name, so the path finds the tenant's object or a temporary one. A shared schema may
    /// have it by now, so a check runs in PostgreSQL.
    fn found_by_path(&self, write: &Write, names: &Names, now: Moment) -> Checked<Aim> {
        let own = holds(&names.tenant, write.object, &write.name);
        // The tenant's own object may have been dropped.
        let itself = match own && write.act == Act::Rows && !now.stale {
            true => self.stands_for_itself(&names.tenant, &write.name)?,
            false => false,
        };
        let changes = write.sure && write.act == Act::Change;
        if now.alone && !own && changes {
            return self.named_in_front(write, now);
        }
        // It cannot be temporary: it is the tenant's, or is not found. If it is dropped while the statement waits for
        // its lock, none is found. Rows of unknown objects are left to the check, so that PostgreSQL's error is that
        // of the unqualified name.
        let may_be_taken_away = changes || own;
        if write.sure && may_be_taken_away && now.home && now.tenant_first && !now.may_be_temporary(write) {
            let missing_is_an_error = write.object == Object::Relation && !self.may_be_missing();
            return Ok(match changes && now.stale && missing_is_an_error {
                true => Aim { pin: Some(Pin::Own), look: None },
                false => self.own_or_refused(write, now),
            });
        }
        let asks = write.sure && !itself && !now.alone;
        Ok(Aim { pin: None, look: asks.then(|| Look::at(write, None)) })
    }

    /// For a statement without a check in front: a temporary object or the tenant's own, or it is not found.
    fn named_in_front(&self, write: &Write, now: Moment) -> Checked<Aim> {
        match now.may_be_temporary(write) {
            true => Ok(Aim { pin: Some(Pin::Temp), look: None }),
            false => self.own_alone(now),
        }
    }

    /// Shared schemas may be written: only the relations behind a view matter.
    fn writable(
        &self,
        write: &Write,
        names: &Names,
        own: bool,
        shared: Option<usize>,
        now: Moment,
    ) -> Checked<Aim> {
        let found = match (own, shared) {
            (true, _) => Some((&*names.tenant, &*self.scope.schema)),
            // The tenant may have an object with that name by now.
            (false, Some(_)) if !self.scope.is_current() => None,
            (false, Some(index)) => {
                names.shared.get(index).map(|held| &**held).zip(self.scope.shared.get(index).map(|s| &**s))
            }
            (false, None) => None,
        };
        let found = found.filter(|_| write.act == Act::Rows);
        let itself = found.map_or(Ok(false), |(held, _)| self.stands_for_itself(held, &write.name))?;
        // A spliced name is checked with its schema, because no path is set.
        let again = write.resolved == Resolved::AtEachExecute;
        let settled = now.home && !now.stale && !now.may_be_temporary(write) && !again;
        let schema = found.filter(|_| settled).map(|(_, schema)| schema);
        let asks = write.sure && (again || !itself) && !now.alone;
        Ok(Aim { pin: None, look: if asks { self.look(write, schema) } else { None } })
    }
}

fn holds(held: &SchemaNames, object: Object, name: &str) -> bool {
    match object {
        Object::Relation | Object::Type => held.relations.contains_key(name) || held.types.contains(name),
        Object::Routine => held.functions.contains(name),
        Object::Index | Object::Other => false,
    }
}
