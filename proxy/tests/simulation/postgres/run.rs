//! What statements do, and what they are answered with.

use super::backend::Backend;
use super::session::{Failure, NO_ROLE, Portal, Prepared};
use super::sql::{Probe, Statement};
use crate::frames::{Frame, texts};

/// How many rows each relation has.
const ROWS: usize = 3;

/// The settings that each row shows.
pub const SHOWN: [&str; 4] = ["application_name", "app.mark", "work_mem", "lock_timeout"];

/// Whether a relation belongs to all tenants: they read it, and change nothing in it.
pub fn is_shared(served: &str) -> bool {
    served.starts_with("public.")
}

/// Set by code that is in no text: clients can't see it.
pub const MEDDLED: &str = "app.meddled";

impl Backend {
    /// A statement that reads or writes a relation, with what its names mean now.
    pub fn to_portal(
        &self,
        statement: &Statement,
        values: &[Option<String>],
    ) -> Result<Option<Portal>, Failure> {
        let (served, rows_left) = match statement {
            Statement::Select { from: Some(relation), .. } => (self.session.resolve(relation)?, ROWS),
            Statement::Select { from: None, .. } => ("-".to_owned(), 1),
            Statement::Write { to, .. } => (self.session.resolve(to)?, 0),
            _ => return Ok(None),
        };
        let (statement, values, served) = (statement.clone(), values.to_vec(), Some(served));
        Ok(Some(Portal { statement, values, served, hold: false, begun: false, rows_left }))
    }

    /// Runs such a statement for so many rows, 0 for all; `described`: with its columns in front.
    pub fn run_portal(
        &mut self,
        mut portal: Portal,
        rows: usize,
        described: bool,
    ) -> Result<Portal, Failure> {
        let served = portal.served.clone().unwrap_or_default();
        let tag = match &portal.statement {
            Statement::Select { tag, .. } | Statement::Write { tag, .. } => tag.with(&portal.values),
            _ => None,
        };
        let tag = tag.unwrap_or_default();
        if !portal.begun {
            self.note(tag.clone(), &served, matches!(portal.statement, Statement::Write { .. }));
        }
        portal.begun = true;
        if let Statement::Write { verb, .. } = &portal.statement {
            self.complete(&format!("{verb} 1"));
            return Ok(portal);
        }
        if described {
            let columns = self.columns(&portal.statement);
            self.put(columns);
        }
        let count = if rows == 0 { portal.rows_left } else { rows.min(portal.rows_left) };
        for _ in 0..count {
            let row = self.row(&tag, &served, portal.rows_left);
            self.put(row);
            portal.rows_left -= 1;
        }
        match rows > 0 && count == rows {
            true => self.put(Frame::new(b's', [])),
            false => self.complete(&format!("SELECT {count}")),
        }
        Ok(portal)
    }

    fn row(&self, tag: &str, served: &str, number: usize) -> Frame {
        let shown = SHOWN.map(|name| self.session.get(name)).join(",");
        let role = self.session.get("role");
        let values = [tag, served, role, &shown, &number.to_string()].map(str::to_owned);
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            body.extend(value.bytes());
        }
        Frame::new(b'D', body)
    }

    /// `RowDescription`, or `NoData`.
    pub fn columns(&self, statement: &Statement) -> Frame {
        let names: &[&str] = match statement {
            Statement::Select { .. } | Statement::Fetch(_) => &["tag", "served", "role", "set", "number"],
            Statement::SetConfig(_) | Statement::Meddle(_) => &["set_config"],
            Statement::Execute { name, .. } => {
                let run = self.session.prepared.get(name).map(|prepared| prepared.statement.clone());
                return run.map_or(Frame::new(b'n', []), |statement| self.columns(&statement));
            }
            _ => return Frame::new(b'n', []),
        };
        let mut body = u16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
        for name in names {
            body.extend(texts(&[name]));
            body.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        }
        Frame::new(b'T', body)
    }

    fn complete(&mut self, tag: &str) {
        self.put(Frame::new(b'C', texts(&[tag])));
    }

    /// Runs any other statement; `alone`: its transaction may be its own.
    pub fn run(
        &mut self,
        statement: &Statement,
        values: &[Option<String>],
        alone: bool,
    ) -> Result<(), Failure> {
        let session = &mut self.session;
        let tag = match statement {
            Statement::Empty => {
                self.put(Frame::new(b'I', []));
                return Ok(());
            }
            Statement::Begin => {
                session.begin();
                "BEGIN"
            }
            Statement::Commit if session.commit() => "COMMIT",
            Statement::Commit => "ROLLBACK",
            Statement::Rollback => {
                session.roll_back();
                "ROLLBACK"
            }
            Statement::Savepoint(name) => {
                session.savepoint(name)?;
                "SAVEPOINT"
            }
            Statement::RollbackTo(name) => {
                session.roll_back_to(name)?;
                "ROLLBACK"
            }
            Statement::Release(name) => {
                session.release(name)?;
                "RELEASE"
            }
            Statement::Fails => return Err(Failure("22012", "division by zero".to_owned())),
            Statement::Nothing(tag) => tag,
            Statement::Probe(probe) => return self.probe(*probe),
            Statement::Look(names) => {
                let found = names.iter().find(|name| session.resolve(name).is_ok_and(|it| is_shared(&it)));
                if let Some(found) = found {
                    let word = format!("string is not a valid identifier: \"pgstrata: {}\"", found.name);
                    return Err(Failure("22023", word));
                }
                "SELECT 0"
            }
            other => match self.set(other, values) {
                Some(tag) => tag,
                None => return self.run_object(other, values, alone),
            },
        };
        self.complete(tag);
        Ok(())
    }

    /// What sets something; its command tag.
    fn set(&mut self, statement: &Statement, values: &[Option<String>]) -> Option<&'static str> {
        let ideal = self.ideal;
        let session = &mut self.session;
        match statement {
            // The tenant is a setting of the proxy's, with its path and role: that is what a client should see.
            Statement::Set { name, value, local } if name == "tenant" => {
                let tenant = value.with(values).unwrap_or_default();
                session.set("search_path", format!("\"{tenant}\", \"public\""), *local);
                if session.get("role") != NO_ROLE {
                    session.set("role", format!("tenant_{tenant}"), *local);
                }
                Some("SET")
            }
            Statement::Set { name, value, local } => {
                session.set(name, value.with(values).unwrap_or_default(), *local);
                Some("SET")
            }
            Statement::Reset(name) => {
                session.reset(name);
                Some("RESET")
            }
            Statement::ResetAll => {
                session.reset_all();
                Some("RESET")
            }
            Statement::ResetAuthorization => {
                session.reset("role");
                Some("SET")
            }
            Statement::SetConfig(all) => {
                for (name, value, local) in all {
                    if let Some(value) = value.with(values) {
                        session.set(name, value, *local);
                    }
                }
                // The one row is as long as any.
                self.put(Frame::new(b'D', [0, 1, 0, 0, 0, 1, b'-']));
                Some("SELECT 1")
            }
            Statement::Meddle(tag) => {
                let tag = tag.with(values).unwrap_or_default();
                if !ideal {
                    session.set(MEDDLED, tag, false);
                    session.set("search_path", "\"public\"".to_owned(), false);
                }
                self.put(Frame::new(b'D', [0, 1, 0, 0, 0, 1, b'-']));
                Some("SELECT 1")
            }
            _ => None,
        }
    }

    fn run_object(
        &mut self,
        statement: &Statement,
        values: &[Option<String>],
        alone: bool,
    ) -> Result<(), Failure> {
        let session = &mut self.session;
        let tag = match statement {
            Statement::CopyIn(relation) => {
                let served = session.resolve(relation)?;
                self.begin_copy(served);
                return Ok(());
            }
            Statement::CopyOut(relation) => {
                let served = session.resolve(relation)?;
                self.copy_out(&served);
                return Ok(());
            }
            Statement::Vacuum(relation, tag) => {
                let in_block = session.is_explicit() || !alone;
                let served = session.resolve(relation)?;
                if in_block {
                    return Err(Failure("25001", "VACUUM cannot run inside a transaction block".to_owned()));
                }
                self.note(tag.with(values).unwrap_or_default(), &served, true);
                "VACUUM"
            }
            Statement::Truncate(relation, tag) => {
                let served = session.resolve(relation)?;
                if self.ideal && is_shared(&served) {
                    return Err(Failure("42501", format!("permission denied to change {served}")));
                }
                self.note(tag.with(values).unwrap_or_default(), &served, true);
                "TRUNCATE TABLE"
            }
            Statement::CreateTemp(name) => {
                if !session.state.temp.insert(name.clone()) {
                    return Err(Failure("42P07", format!("relation \"{name}\" already exists")));
                }
                "CREATE TABLE"
            }
            Statement::DropTemp(relation) => {
                let served = session.resolve(relation)?;
                if self.ideal && is_shared(&served) {
                    return Err(Failure("42501", format!("permission denied to drop {served}")));
                }
                session.state.temp.remove(&relation.name);
                "DROP TABLE"
            }
            Statement::Prepare { name, body } => {
                if session.prepared.contains_key(name) {
                    return Err(Failure("42P05", format!("prepared statement \"{name}\" already exists")));
                }
                let prepared = Prepared { statement: (**body).clone(), from_sql: true };
                session.prepared.insert(name.clone(), prepared);
                "PREPARE"
            }
            Statement::Execute { name, values: given } => {
                let unknown = || Failure("26000", format!("prepared statement \"{name}\" does not exist"));
                let run = session.prepared.get(name).cloned().ok_or_else(unknown)?.statement;
                let given: Vec<_> = given.iter().map(|value| value.with(values)).collect();
                return match self.to_portal(&run, &given)? {
                    Some(portal) => self.run_portal(portal, 0, true).map(drop),
                    None => self.run(&run, &given, alone),
                };
            }
            Statement::Deallocate(Some(name)) => {
                if session.prepared.remove(name).is_none() {
                    return Err(Failure("26000", format!("prepared statement \"{name}\" does not exist")));
                }
                "DEALLOCATE"
            }
            Statement::Deallocate(None) => {
                session.prepared.clear();
                "DEALLOCATE ALL"
            }
            Statement::DiscardTemp => {
                session.state.temp.clear();
                "DISCARD TEMP"
            }
            Statement::DiscardAll if session.is_explicit() || !alone => {
                return Err(Failure("25001", "DISCARD ALL cannot run inside a transaction block".to_owned()));
            }
            Statement::DiscardAll => {
                session.discard_all();
                "DISCARD ALL"
            }
            other => return self.run_cursor(other, values),
        };
        self.complete(tag);
        Ok(())
    }

    fn run_cursor(&mut self, statement: &Statement, values: &[Option<String>]) -> Result<(), Failure> {
        match statement {
            Statement::Declare { cursor, hold, body } => {
                if !self.session.is_explicit() && !hold {
                    return Err(Failure(
                        "25P01",
                        "DECLARE CURSOR can only be used in transaction blocks".to_owned(),
                    ));
                }
                if self.session.portals.contains_key(cursor) {
                    return Err(Failure("42P03", format!("cursor \"{cursor}\" already exists")));
                }
                if let Some(mut portal) = self.to_portal(body, values)? {
                    portal.hold = *hold;
                    self.session.portals.insert(cursor.clone(), portal);
                }
                self.complete("DECLARE CURSOR");
            }
            Statement::Fetch(cursor) => {
                let unknown = || Failure("34000", format!("cursor \"{cursor}\" does not exist"));
                let mut portal = self.session.portals.get(cursor).cloned().ok_or_else(unknown)?;
                let left = portal.rows_left;
                let count = left.min(1);
                portal.rows_left = count;
                let at = self.out.len();
                let mut portal = self.run_portal(portal, 0, true)?;
                // It is counted as a FETCH.
                self.out.truncate(at + 1 + count);
                portal.rows_left = left - count;
                self.session.portals.insert(cursor.clone(), portal);
                self.complete(&format!("FETCH {count}"));
            }
            Statement::CloseCursor(Some(cursor)) => {
                if self.session.portals.remove(cursor).is_none() {
                    return Err(Failure("34000", format!("cursor \"{cursor}\" does not exist")));
                }
                self.complete("CLOSE CURSOR");
            }
            Statement::CloseCursor(None) => {
                self.session.portals.clear();
                self.complete("CLOSE CURSOR ALL");
            }
            other => panic!("the model does not know how to run {other:?}"),
        }
        Ok(())
    }

    fn copy_out(&mut self, served: &str) {
        self.put(Frame::new(b'H', [0, 0, 0]));
        for row in 0..ROWS {
            self.put(Frame::new(b'd', format!("{served} {row}\n")));
        }
        self.put(Frame::new(b'c', []));
        self.complete(&format!("COPY {ROWS}"));
    }

    fn probe(&mut self, probe: Probe) -> Result<(), Failure> {
        let session = &self.session;
        let found = match probe {
            Probe::Temp => usize::from(!session.state.temp.is_empty()),
            Probe::TempSchema => 2 * usize::from(!session.state.temp.is_empty()),
            Probe::Prepared => usize::from(session.prepared.values().any(|prepared| prepared.from_sql)),
            Probe::Cursor => usize::from(session.portals.values().any(|portal| portal.hold)),
        };
        (0..found).for_each(|_| self.put(Frame::new(b'D', [0, 0])));
        self.complete(&format!("SELECT {found}"));
        Ok(())
    }
}
