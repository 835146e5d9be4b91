//! A backend: messages go in, messages come out, and in between one statement runs after the other. It knows neither
//! time nor connections: who drives it says when the next statement runs, and whether that is cancelled.

use std::collections::VecDeque;

use super::session::{Failure, Portal, Prepared, Session};
use super::sql::{self, Statement};
use crate::frames::{Fields, Frame, error, texts};

/// What a statement was run for: the tag in its text, the relation, the role; and whether it changes the relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub tag: String,
    pub served: String,
    pub role: String,
    pub writes: bool,
}

/// What is to be done next.
#[derive(Clone, Debug)]
enum Job {
    Run(Statement, bool),
    Refuse(Failure),
    EndOfQuery,
    Parse(String, String),
    Bind { portal: String, statement: String, values: Vec<Option<String>> },
    Describe(u8, String),
    Execute(String, i32),
    Close(u8, String),
    Sync,
}

#[derive(Clone, Debug)]
struct Copy {
    relation: String,
    rows: Vec<String>,
}

/// A backend with its session.
#[derive(Clone, Debug)]
pub struct Backend {
    pub session: Session,
    /// It is what a client should see, and not what the proxy works with.
    pub ideal: bool,
    jobs: VecDeque<Job>,
    /// After an error: all is dropped up to `Sync`.
    skips: bool,
    copy: Option<Copy>,
    /// Messages that have not been taken.
    pub out: Vec<Frame>,
    /// So many of those must be sent now.
    pub due: usize,
    /// What ran since it was last asked.
    pub ran: Vec<Ran>,
    /// It can't go on.
    pub broken: bool,
    told_name: String,
}

impl Backend {
    pub fn new(session: Session, ideal: bool) -> Self {
        let told_name = session.get("application_name").to_owned();
        let (jobs, copy, skips) = (VecDeque::new(), None, false);
        let (out, ran) = Default::default();
        Self { session, ideal, jobs, skips, copy, out, due: 0, ran, broken: false, told_name }
    }

    /// Whether there is nothing to do before the next message.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty() || self.copy.is_some()
    }

    pub fn is_copying(&self) -> bool {
        self.copy.is_some()
    }

    /// Whether what comes next is a statement; and whether that sleeps.
    pub fn runs_next(&self) -> Option<bool> {
        if self.copy.is_some() {
            return None;
        }
        let sleeps = |statement: &Statement| matches!(statement, Statement::Select { sleeps: true, .. });
        match self.jobs.front()? {
            Job::Run(statement, _) => Some(sleeps(statement)),
            Job::Execute(portal, _) => {
                let portal = self.session.portals.get(portal);
                Some(portal.is_some_and(|portal| !portal.begun && sleeps(&portal.statement)))
            }
            _ => None,
        }
    }

    pub fn put(&mut self, frame: Frame) {
        self.out.push(frame);
    }

    fn put_due(&mut self, frame: Frame) {
        self.put(frame);
        self.due = self.out.len();
    }

    /// A message of the client's.
    pub fn message(&mut self, frame: Frame) {
        if self.copy.is_some() {
            return self.copy_message(&frame);
        }
        let mut fields = Fields(&frame.body);
        let job = match frame.tag {
            b'Q' => return self.query(fields.text()),
            b'S' => Job::Sync,
            b'H' => {
                self.due = self.out.len();
                return;
            }
            // What is left of a COPY that failed.
            b'd' | b'c' | b'f' => return,
            _ if self.skips => return,
            b'P' => Job::Parse(fields.text().to_owned(), fields.text().to_owned()),
            b'B' => {
                let (portal, statement) = (fields.text().to_owned(), fields.text().to_owned());
                (0..fields.short()).for_each(|_| _ = fields.short());
                let values = (0..fields.short()).map(|_| fields.value()).collect();
                Job::Bind { portal, statement, values }
            }
            b'D' => Job::Describe(fields.byte(), fields.text().to_owned()),
            b'E' => Job::Execute(fields.text().to_owned(), fields.long()),
            b'C' => Job::Close(fields.byte(), fields.text().to_owned()),
            tag => panic!("the model was sent a message of type {}", char::from(tag)),
        };
        self.jobs.push_back(job);
    }

    fn query(&mut self, text: &str) {
        self.session.prepared.remove("");
        self.session.portals.remove("");
        let statements = sql::split(text);
        let parsed: Option<Vec<_>> = statements.iter().map(|tokens| sql::parse(tokens)).collect();
        match parsed {
            Some(parsed) => {
                let alone = parsed.len() == 1;
                self.jobs.extend(parsed.into_iter().map(|statement| Job::Run(statement, alone)));
            }
            None => self.jobs.push_back(Job::Refuse(syntax(text))),
        }
        self.jobs.push_back(Job::EndOfQuery);
    }

    /// Does what comes next; a statement may be `cancelled`.
    pub fn advance(&mut self, cancelled: bool) {
        let Some(job) = self.jobs.pop_front() else { return };
        let extended = !matches!(job, Job::Run(..) | Job::Refuse(_) | Job::EndOfQuery | Job::Sync);
        if extended && self.skips {
            return;
        }
        let interrupt = || Failure("57014", "canceling statement due to user request".to_owned());
        let done = match job {
            Job::Run(..) | Job::Execute(..) if cancelled => Err(interrupt()),
            Job::Run(statement, alone) => self.run_simple(&statement, alone),
            Job::Refuse(failure) => Err(failure),
            Job::EndOfQuery => {
                self.session.end_implicit();
                self.ready();
                Ok(())
            }
            Job::Sync => {
                self.skips = false;
                self.session.end_implicit();
                self.ready();
                Ok(())
            }
            Job::Parse(name, text) => self.parse(name, &text),
            Job::Bind { portal, statement, values } => self.bind(portal, &statement, values),
            Job::Describe(what, name) => self.describe(what, &name),
            Job::Execute(portal, rows) => self.execute(&portal, rows),
            Job::Close(what, name) => {
                _ = match what {
                    b'S' => self.session.prepared.remove(&name).is_some(),
                    _ => self.session.portals.remove(&name).is_some(),
                };
                self.put(Frame::new(b'3', []));
                Ok(())
            }
        };
        if let Err(failure) = done {
            self.fail(failure, extended);
        }
    }

    fn fail(&mut self, Failure(code, message): Failure, extended: bool) {
        self.put_due(error("ERROR", code, &message));
        self.session.fail();
        match extended {
            true => self.skips = true,
            false => {
                while self.jobs.front().is_some_and(|job| matches!(job, Job::Run(..))) {
                    self.jobs.pop_front();
                }
            }
        }
    }

    /// A cancellation in front of the message that comes next, by a statement that the client knows nothing of.
    pub fn interrupt(&mut self) {
        self.fail(Failure("57014", "canceling statement due to user request".to_owned()), true);
    }

    /// An error from outside of a statement, such as the loss of a connection, in the place of what comes next.
    pub fn lose(&mut self) {
        self.session.roll_back();
        self.session.portals.clear();
        // Nobody can tell whether a message that takes its place has come.
        self.session.prepared.remove("");
        self.jobs.clear();
        (self.skips, self.copy) = (false, None);
    }

    fn ready(&mut self) {
        let name = self.session.get("application_name").to_owned();
        if name != self.told_name {
            self.put(Frame::new(b'S', texts(&["application_name", &name])));
            self.told_name = name;
        }
        let status = self.session.status();
        self.put_due(Frame::new(b'Z', [status]));
    }

    fn run_simple(&mut self, statement: &Statement, alone: bool) -> Result<(), Failure> {
        self.may_run(statement)?;
        self.session.start();
        if let Some(portal) = self.to_portal(statement, &[])? {
            return self.run_portal(portal, 0, true).map(drop);
        }
        if matches!(statement, Statement::SetConfig(_) | Statement::Meddle(_)) {
            let columns = self.columns(statement);
            self.put(columns);
        }
        self.run(statement, &[], alone)
    }

    /// In a transaction that has failed, only its end may run.
    fn may_run(&self, statement: &Statement) -> Result<(), Failure> {
        let ends = matches!(statement, Statement::Commit | Statement::Rollback | Statement::RollbackTo(_));
        match self.session.has_failed() && !ends {
            true => Err(Failure("25P02", "current transaction is aborted".to_owned())),
            false => Ok(()),
        }
    }

    fn parse(&mut self, name: String, text: &str) -> Result<(), Failure> {
        // The unnamed one gives way to the next even where that fails.
        if name.is_empty() {
            self.session.prepared.remove("");
        }
        let statements = sql::split(text);
        let parsed = (statements.len() == 1).then(|| sql::parse(&statements[0])).flatten();
        let statement = parsed.ok_or_else(|| syntax(text))?;
        self.may_run(&statement)?;
        self.session.start();
        if !name.is_empty() && self.session.prepared.contains_key(&name) {
            return Err(Failure("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        self.session.prepared.insert(name, Prepared { statement, from_sql: false });
        self.put(Frame::new(b'1', []));
        Ok(())
    }

    fn bind(&mut self, portal: String, statement: &str, values: Vec<Option<String>>) -> Result<(), Failure> {
        let unknown = || Failure("26000", format!("prepared statement \"{statement}\" does not exist"));
        let prepared = self.session.prepared.get(statement).cloned().ok_or_else(unknown)?.statement;
        self.may_run(&prepared)?;
        self.session.start();
        if !portal.is_empty() && self.session.portals.contains_key(&portal) {
            return Err(Failure("42P03", format!("cursor \"{portal}\" already exists")));
        }
        let bound = self.to_portal(&prepared, &values)?.unwrap_or(Portal {
            statement: prepared,
            values,
            served: None,
            hold: false,
            begun: false,
            rows_left: 0,
        });
        self.session.portals.insert(portal, bound);
        self.put(Frame::new(b'2', []));
        Ok(())
    }

    fn describe(&mut self, what: u8, name: &str) -> Result<(), Failure> {
        let statement = match what {
            b'S' => {
                let unknown = || Failure("26000", format!("prepared statement \"{name}\" does not exist"));
                let prepared = self.session.prepared.get(name).cloned().ok_or_else(unknown)?.statement;
                self.may_run(&prepared)?;
                self.put(Frame::new(b't', [0, 0]));
                prepared
            }
            _ => {
                let unknown = || Failure("34000", format!("portal \"{name}\" does not exist"));
                let portal = self.session.portals.get(name).cloned().ok_or_else(unknown)?.statement;
                self.may_run(&portal)?;
                portal
            }
        };
        let columns = self.columns(&statement);
        self.put(columns);
        Ok(())
    }

    fn execute(&mut self, name: &str, rows: i32) -> Result<(), Failure> {
        let unknown = || Failure("34000", format!("portal \"{name}\" does not exist"));
        let portal = self.session.portals.get(name).cloned().ok_or_else(unknown)?;
        self.may_run(&portal.statement)?;
        self.session.start();
        let rows = usize::try_from(rows).unwrap_or(0);
        let gives_rows = matches!(portal.statement, Statement::Select { .. });
        let (statement, values) = (portal.statement.clone(), portal.values.clone());
        if gives_rows {
            let portal = self.run_portal(portal, rows, false)?;
            self.session.portals.insert(name.to_owned(), portal);
            return Ok(());
        }
        if portal.begun {
            return Err(Failure("55000", format!("portal \"{name}\" cannot be run")));
        }
        if let Some(portal) = self.session.portals.get_mut(name) {
            portal.begun = true;
        }
        match portal.served {
            Some(_) => self.run_portal(portal, 0, false).map(drop),
            None => self.run(&statement, &values, true),
        }
    }

    /// Waits for the data of a COPY.
    pub fn begin_copy(&mut self, relation: String) {
        self.copy = Some(Copy { relation, rows: Vec::new() });
        self.put_due(Frame::new(b'G', [0, 0, 0]));
    }

    fn copy_message(&mut self, frame: &Frame) {
        let Some(copy) = &mut self.copy else { return };
        match frame.tag {
            b'd' => copy.rows.push(String::from_utf8(frame.body.clone()).unwrap()),
            b'c' => {
                let Copy { relation, rows } = self.copy.take().unwrap();
                let count = rows.len();
                for tag in rows {
                    self.note(tag, &relation, true);
                }
                self.put(Frame::new(b'C', texts(&[&format!("COPY {count}")])));
            }
            b'f' => {
                self.copy = None;
                let extended = !matches!(self.jobs.front(), Some(Job::EndOfQuery | Job::Run(..)));
                self.fail(Failure("57014", "COPY from stdin failed".to_owned()), extended);
            }
            // PostgreSQL ignores them in a COPY.
            b'S' | b'H' => {}
            _ => {
                self.put_due(error(
                    "FATAL",
                    "08P01",
                    "terminating connection because protocol synchronization was lost",
                ));
                self.broken = true;
            }
        }
    }

    /// Something ran for the tag.
    pub fn note(&mut self, tag: String, served: &str, writes: bool) {
        if tag.starts_with('#') {
            let role = self.session.get("role").to_owned();
            self.ran.push(Ran { tag, served: served.to_owned(), role, writes });
        }
    }
}

fn syntax(text: &str) -> Failure {
    Failure("42601", format!("syntax error in {text}"))
}
