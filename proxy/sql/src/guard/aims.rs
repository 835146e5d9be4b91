//! What a write may mean, and what is done so that it can't mean anything else.
//!
//! The picture of the catalog may be old. So a target that it knows gets the tenant's schema in front of its name:
//! then PostgreSQL itself finds that object or none, whatever has become of it. Of what it does not
//! know, PostgreSQL is asked in front of the statement ([`crate::fresh`]), or the answer is no.

use super::check::{Checked, Gate};
use crate::plan::{Refusal, SchemaRef};
use crate::scope::{Moved, Names, SchemaNames};
use crate::shape::{Act, Object, Write};

/// What is known when a statement is judged.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Temporary tables may stand in front of the tenant's: the session has some, or the text has made some.
    pub temporary: bool,
    /// Code that is in no text may have run in front of the statement in its text, and made some.
    pub after_code: bool,
    /// The path of home is in force: what comes first on it is the tenant's schema.
    pub home: bool,
    /// Unqualified names mean the tenant's first.
    pub tenant_first: bool,
    /// What the schemas hold has changed since they were looked at, in this transaction or by the tenant's DDL in
    /// another, or was not looked at.
    pub stale: bool,
    /// The statement runs in a transaction of its own: nothing can be asked in front of it.
    pub alone: bool,
}

impl Moment {
    /// Whether a temporary relation may be meant.
    fn may_be_temporary(&self, write: &Write) -> bool {
        // What is run later is not held in place: it is taken for the tenant's, unless temporary ones are known of.
        write.object == Object::Relation && (self.temporary || self.after_code && !write.kept)
    }
}

/// How a target is held to what it may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aim {
    /// What goes in front of its name.
    pub pin: Option<Pin>,
    /// What PostgreSQL is asked in front of the statement.
    pub look: Option<Look>,
}

/// What goes in front of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The tenant's schema.
    Own,
    /// `pg_temp`: it may be a temporary table, and must be nothing else.
    Temp,
}

/// A name of which PostgreSQL is asked what it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// The schema; none: whichever the path finds it in.
    pub schema: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
    /// What it is a name of: a relation, a type or a routine.
    pub object: Object,
    /// Rows are written: what a view, a rule or a partition leads to is looked at, too.
    pub follow: bool,
    /// It is held in place until the end of the transaction, so that it still means that when it is written.
    pub hold: bool,
}

/// Of a target that may be judged only when it is known what the schemas hold.
pub(super) struct NeedNames;

impl Look {
    /// A look at the target of `write`, in `schema` or wherever the path finds it.
    fn at(write: &Write, schema: Option<&str>) -> Self {
        let Write { name, object, act, .. } = write;
        let follow = *act == Act::Rows;
        Self { schema: schema.map(Box::from), name: name.clone(), object: *object, follow, hold: false }
    }
}

/// A judgement, once the names are known.
pub(super) type Judged = Result<Checked<Aim>, NeedNames>;

impl Gate<'_> {
    /// Judges one target.
    pub(super) fn aim(&self, write: &Write, now: Moment) -> Judged {
        let Write { schema, name, object, act, .. } = write;
        if let Some(schema) = schema.as_deref() {
            return Ok(self.qualified(schema, name, *act));
        }
        if *act == Act::Create {
            return Ok(self.create(name, now.tenant_first).map(|()| Aim::default()));
        }
        if *object == Object::Relation && (self.is_builtin(name) || **name == *"pg_settings") {
            return Ok(self.write_schema("pg_catalog").map(|()| Aim::default()));
        }
        if self.scope.is_read_only() {
            // A name of the catalog's is no temporary table's.
            let unknown = self.scope.names.is_none() && now.may_be_temporary(write);
            return if unknown { Err(NeedNames) } else { Ok(self.no_schema_of_its_own(write, now)) };
        }
        if let Some((_, moved)) = self.scope.moved(name).filter(|_| *object == Object::Relation) {
            return Ok(self.moved(moved, *act));
        }
        match self.scope.names.as_deref() {
            None if self.scope.guards_shared() => Err(NeedNames),
            None => Ok(Ok(Aim { look: self.look(write, None), ..Aim::default() })),
            Some(names) if self.must_be_known(write, names, now) => Err(NeedNames),
            Some(names) => Ok(self.unqualified(write, names, now)),
        }
    }

    /// Whether the target is a temporary object or the tenant's, nothing can be asked in front of the statement, and
    /// names that are not current do not tell which.
    fn must_be_known(&self, write: &Write, names: &Names, now: Moment) -> bool {
        let open = now.alone && now.may_be_temporary(write) && self.scope.guards_shared();
        open && !self.scope.is_current() && !holds(&names.tenant, write.object, &write.name)
    }

    /// Whether the text passes over what is not there.
    fn may_be_missing(&self) -> bool {
        *self.may_be_missing.get_or_init(|| (0..self.t.all.len()).any(|at| self.t.kws(at, &["if", "exists"])))
    }

    fn is_builtin(&self, name: &str) -> bool {
        self.scope.names.as_deref().is_some_and(|names| names.builtin.relations.contains(name))
    }

    fn moved(&self, moved: &Moved, act: Act) -> Checked<Aim> {
        let schema = match moved.schema {
            SchemaRef::Tenant => Some(&self.scope.schema),
            SchemaRef::Shared(index) => self.scope.shared.get(usize::from(index)),
        };
        match schema {
            Some(schema) => self.qualified(schema, &moved.table, act),
            None => Err(self.refusal("write to a schema that is not known", None)),
        }
    }

    /// Of a client whose only schemas are to be read, everything but its temporary tables.
    fn no_schema_of_its_own(&self, write: &Write, now: Moment) -> Checked<Aim> {
        match now.may_be_temporary(write) {
            true => Ok(Aim { pin: Some(Pin::Temp), look: None }),
            false => self.write_schema(&self.scope.schema).map(|()| Aim::default()),
        }
    }

    fn qualified(&self, schema: &str, name: &str, act: Act) -> Checked<Aim> {
        self.write_schema(schema)?;
        if act != Act::Rows || schema == "pg_temp" {
            return Ok(Aim::default());
        }
        let known = self.scope.names.as_deref().and_then(|names| self.held(names, schema));
        let look = || {
            let object = Object::Relation;
            Some(Look { schema: Some(schema.into()), name: name.into(), object, follow: true, hold: false })
        };
        match known.map(|held| self.stands_for_itself(held, name)) {
            Some(itself) => itself.map(|itself| Aim { pin: None, look: if itself { None } else { look() } }),
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

    /// Whether what is written to the relation stays in it; `false`: that is not known.
    fn stands_for_itself(&self, held: &SchemaNames, name: &str) -> Checked<bool> {
        let others = held.outward.get(name).map(Vec::as_slice).unwrap_or_default();
        if let Some(other) = others.iter().find(|schema| !self.scope.may_write(schema)) {
            // By DDL of the tenant's since, it may be another relation.
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
        let first = now.home && now.tenant_first && !temporary;
        // Under the tenant's schema it would be passed over where a shared one is meant.
        let passes_over = now.stale && self.may_be_missing();
        // Whether another has it, too, need not be known then.
        if own && guards && write.sure && first && !passes_over {
            return self.own(write, names, Some(Pin::Own));
        }
        let shared = names.shared.iter().position(|held| holds(held, *object, name));
        if !guards {
            return self.writable(write, names, own, shared, now);
        }
        match (own, shared) {
            (_, Some(index)) if !now.tenant_first => self.barred(index, temporary),
            // Where the picture is old, it may be the tenant's by now.
            (false, Some(index)) if !now.stale || !write.sure || temporary && self.scope.is_current() => {
                self.barred(index, temporary)
            }
            (_, Some(_)) if write.sure && (temporary || !now.home) => {
                self.held_in_place(write, names, temporary, now)
            }
            (_, Some(_)) if write.sure && passes_over => self.found_by_path(write, names, now),
            (false, Some(_)) if write.sure && !self.scope.is_current() => Ok(self.own_or_refused(write, now)),
            (_, Some(_)) if write.sure => self.own(write, names, Some(Pin::Own)),
            (_, None) if *object == Object::Other && write.sure => self.own_alone(now),
            _ => self.found_by_path(write, names, now),
        }
    }

    /// Only a shared schema has it, or comes first: what is written is a temporary table, or nothing.
    fn barred(&self, index: usize, temporary: bool) -> Checked<Aim> {
        if temporary {
            return Ok(Aim { pin: Some(Pin::Temp), look: None });
        }
        let schema = self.scope.shared.get(index).map_or("", |schema| schema);
        self.write_schema(schema).map(|()| Aim::default())
    }

    /// A shared schema has it, and the tenant's or a temporary one is meant: what is found is held in place, and
    /// then looked at.
    fn held_in_place(&self, write: &Write, names: &Names, temporary: bool, now: Moment) -> Checked<Aim> {
        let later = write.kept || now.alone;
        if write.object != Object::Relation || later && !(temporary && write.kept) {
            return self.own(write, names, Some(Pin::Own));
        }
        if later {
            let what = format!("leave open which \"{}\" is meant", write.name);
            return Err(self.refusal(&what, Some("Write the schema in front of the name.")));
        }
        self.own(write, names, None)?;
        Ok(Aim { pin: None, look: Some(Look { hold: true, ..Look::at(write, None) }) })
    }

    /// A shared schema has it, and the tenant's may: only that one is reached. The question is for the answer alone,
    /// which is that of names that are current where the path finds the shared one.
    fn own_or_refused(&self, write: &Write, now: Moment) -> Aim {
        let look = (!now.alone).then(|| Look::at(write, None));
        Aim { pin: Some(Pin::Own), look }
    }

    /// An object of a kind whose names are not known here: it is the tenant's, or is not found.
    fn own_alone(&self, now: Moment) -> Checked<Aim> {
        match now.tenant_first {
            true => Ok(Aim { pin: Some(Pin::Own), look: None }),
            false => {
                let hint = "Write the tenant's schema in front of the name, or RESET search_path.";
                Err(self.refusal("change this under this search_path", Some(hint)))
            }
        }
    }

    /// The tenant's own.
    fn own(&self, write: &Write, names: &Names, pin: Option<Pin>) -> Checked<Aim> {
        if write.act != Act::Rows {
            return Ok(Aim { pin, look: None });
        }
        let itself = self.stands_for_itself(&names.tenant, &write.name)?;
        let schema = pin.map(|_| &*self.scope.schema);
        Ok(Aim { pin, look: if itself { None } else { self.look(write, schema) } })
    }

    /// No shared schema had it, so the path finds the tenant's, or a temporary one. A shared schema may have it by now:
    /// PostgreSQL is asked.
    fn found_by_path(&self, write: &Write, names: &Names, now: Moment) -> Checked<Aim> {
        let own = holds(&names.tenant, write.object, &write.name);
        let itself = match own && write.act == Act::Rows {
            true => self.stands_for_itself(&names.tenant, &write.name)?,
            false => false,
        };
        let changes = write.sure && write.act == Act::Change;
        if now.alone && !own && changes {
            return self.named_in_front(write, now);
        }
        // A shared one is not to be changed, and no temporary one may be meant: it is the tenant's, or is not found.
        let first = now.home && now.tenant_first && !now.may_be_temporary(write);
        if changes && now.stale && first && write.object == Object::Relation && !self.may_be_missing() {
            return Ok(Aim { pin: Some(Pin::Own), look: None });
        }
        let asks = write.sure && !itself && !now.alone;
        Ok(Aim { pin: None, look: asks.then(|| Look::at(write, None)) })
    }

    /// Of a statement that nothing can be asked in front of: a temporary object or the tenant's own, or it is not found.
    fn named_in_front(&self, write: &Write, now: Moment) -> Checked<Aim> {
        match now.may_be_temporary(write) {
            true => Ok(Aim { pin: Some(Pin::Temp), look: None }),
            false => self.own_alone(now),
        }
    }

    /// Shared schemas may be written: what matters is what stands behind a view.
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
            // The tenant may have one of that name by now.
            (false, Some(_)) if !self.scope.is_current() => None,
            (false, Some(index)) => {
                names.shared.get(index).map(|held| &**held).zip(self.scope.shared.get(index).map(|s| &**s))
            }
            (false, None) => None,
        };
        let found = found.filter(|_| write.act == Act::Rows);
        let itself = found.map_or(Ok(false), |(held, _)| self.stands_for_itself(held, &write.name))?;
        // What is spliced is asked for by its schema, for then no path is set.
        let settled = now.home && !now.stale && !now.may_be_temporary(write);
        let schema = found.filter(|_| settled).map(|(_, schema)| schema);
        let asks = write.sure && !itself && !now.alone;
        Ok(Aim { pin: None, look: if asks { self.look(write, schema) } else { None } })
    }
}

fn holds(held: &SchemaNames, object: Object, name: &str) -> bool {
    match object {
        Object::Relation | Object::Type => held.relations.contains_key(name) || held.types.contains(name),
        Object::Routine => held.functions.contains(name),
        Object::Other => false,
    }
}
