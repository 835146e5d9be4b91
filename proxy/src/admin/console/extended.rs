//! The console over the extended protocol: statements and portals.

use std::collections::HashMap;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use super::command::{self, Command};
use super::session::{Answer, Console, End, as_utf8, malformed};
use super::table::{Column, Row};
use super::write::{self, Format, Formats};
use crate::wire::frame;
use crate::wire::message;
use crate::wire::refusal::{Refusal, sqlstate};

/// The maximum number of statements, and of portals, of one client.
const MOST: usize = 1000;

/// A client's statements and portals, by name.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<Box<[u8]>, Statement>,
    portals: HashMap<Box<[u8]>, Portal>,
}

/// A text, and its only command; none if it is empty.
#[derive(Clone)]
struct Statement {
    text: Box<str>,
    command: Option<Command>,
}

/// A bound statement, which may have run in part.
struct Portal {
    statement: Statement,
    formats: Formats,
    /// The remaining rows, once it has run.
    left: Option<std::vec::IntoIter<Row>>,
}

impl Statement {
    /// The columns of its rows; `None`: it returns none.
    fn columns(&self) -> Option<&'static [Column]> {
        match &self.command {
            Some(Command::Show(shown, _)) => Some(shown.columns),
            Some(Command::Parameter(parameter)) => Some(&parameter.columns),
            _ => None,
        }
    }
}

impl Extended {
    /// Portals end with their transaction.
    pub(super) fn end_of_pipeline(&mut self, ends: bool) {
        if ends {
            self.portals.clear();
        }
    }

    /// Removes a statement, or all statements.
    pub(super) fn deallocate(&mut self, name: Option<&str>) -> Result<(), Refusal> {
        match name {
            None => self.statements.clear(),
            Some(name) if self.statements.remove(name.as_bytes()).is_none() => {
                return Err(no_statement(name.as_bytes()));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

impl<S> Console<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// `Parse`: name, text, parameter types.
    pub(super) fn parse(&mut self, body: &[u8]) -> Result<(), End> {
        let parts = frame::cstr(body).and_then(|(name, rest)| Some((name, frame::cstr(rest)?)));
        let Some((name, (text, _types))) = parts else { return Err(malformed()) };
        let text = as_utf8(text)?;
        let parsed = self.statement(name, text);
        self.answer(parsed, |console, statement| {
            console.extended.statements.insert(name.into(), statement);
            message::empty(&mut console.outbuf, b'1');
        });
        Ok(())
    }

    fn statement(&self, name: &[u8], text: &str) -> Result<Statement, Refusal> {
        let mut commands = command::parse(text)?;
        if commands.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Refusal::new(sqlstate::SYNTAX_ERROR, message));
        }
        let known = &self.extended.statements;
        if !name.is_empty() && known.contains_key(name) {
            let name = String::from_utf8_lossy(name);
            return Err(Refusal::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        if known.len() >= MOST {
            return Err(too_many("prepared statements"));
        }
        Ok(Statement { text: text.into(), command: commands.pop() })
    }

    /// `Bind`: portal, statement, formats of parameters, parameters, formats of columns.
    pub(super) fn bind(&mut self, body: &[u8]) -> Result<(), End> {
        let Some(bind) = Bind::read(body) else { return Err(malformed()) };
        let portal = self.portal(&bind);
        self.answer(portal, |console, portal| {
            console.extended.portals.insert(bind.portal.into(), portal);
            message::empty(&mut console.outbuf, b'2');
        });
        Ok(())
    }

    fn portal(&self, bind: &Bind<'_>) -> Result<Portal, Refusal> {
        let Extended { statements, portals } = &self.extended;
        let statement = statements.get(bind.statement).ok_or_else(|| no_statement(bind.statement))?;
        if bind.parameters > 0 {
            let message = format!("bind message supplies {} parameters, but 0 are required", bind.parameters);
            return Err(Refusal::new(sqlstate::PROTOCOL_VIOLATION, message));
        }
        let columns = statement.columns().map_or(0, <[Column]>::len);
        if !bind.formats.fit(columns) {
            let message = format!(
                "bind message has {} result formats but query has {columns} columns",
                bind.formats.count()
            );
            return Err(Refusal::new(sqlstate::PROTOCOL_VIOLATION, message));
        }
        if !bind.portal.is_empty() && portals.contains_key(bind.portal) {
            let name = String::from_utf8_lossy(bind.portal);
            return Err(Refusal::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        if portals.len() >= MOST {
            return Err(too_many("portals"));
        }
        Ok(Portal { statement: statement.clone(), formats: bind.formats.clone(), left: None })
    }

    /// `Describe` of a statement or a portal.
    pub(super) fn describe(&mut self, body: &[u8]) -> Result<(), End> {
        let (what, name) = named(body)?;
        let Extended { statements, portals } = &self.extended;
        let mut out = BytesMut::new();
        let described = match what {
            b'S' => statements.get(name).ok_or_else(|| no_statement(name)).map(|statement| {
                message::no_parameters(&mut out);
                put_columns(&mut out, statement.columns(), &Formats::default());
            }),
            _ => portals.get(name).ok_or_else(|| no_portal(name)).map(|portal| {
                put_columns(&mut out, portal.statement.columns(), &portal.formats);
            }),
        };
        self.answer(described, |console, ()| console.outbuf.extend_from_slice(&out));
        Ok(())
    }

    /// `Execute`: portal, and the maximum number of rows; 0: all.
    pub(super) async fn execute(&mut self, body: &[u8]) -> Result<(), End> {
        let parts = frame::cstr(body).and_then(|(name, rest)| Some((name, frame::u32(rest)?)));
        let Some((name, (most, []))) = parts else { return Err(malformed()) };
        let Some(mut portal) = self.extended.portals.remove(name) else {
            self.answer(Err::<(), _>(no_portal(name)), |_, ()| {});
            return Ok(());
        };
        let Some(command) = portal.statement.command.clone() else {
            message::empty(&mut self.outbuf, b'I');
            self.extended.portals.insert(name.into(), portal);
            return Ok(());
        };
        if portal.left.is_none() {
            match self.run_command(&command, &portal.statement.text).await? {
                Ok(Answer::Rows(table)) => portal.left = Some(table.rows.into_iter()),
                Ok(Answer::Done(tag, told)) => {
                    self.put_done(tag, told.as_deref());
                    return Ok(());
                }
                Err(refusal) => {
                    self.answer(Err::<(), _>(refusal), |_, ()| {});
                    return Ok(());
                }
            }
        }
        self.put_rows(&mut portal, most).await?;
        self.extended.portals.insert(name.into(), portal);
        Ok(())
    }

    /// Writes up to this number of the remaining rows; returns whether there are more.
    async fn put_rows(&mut self, portal: &mut Portal, most: u32) -> Result<(), End> {
        let columns = portal.statement.columns().unwrap_or_default();
        let most = if most == 0 { usize::MAX } else { most as usize };
        let mut sent = 0;
        while let Some(row) = portal.left.as_mut().filter(|_| sent < most).and_then(Iterator::next) {
            write::row(&mut self.outbuf, columns, &row, &portal.formats);
            self.leave_room().await?;
            sent += 1;
        }
        // PostgreSQL does not check for a further row either.
        match sent == most {
            true => message::empty(&mut self.outbuf, b's'),
            false => write::complete(&mut self.outbuf, "SHOW"),
        }
        Ok(())
    }

    /// `Close` of a statement or a portal, whether it exists or not.
    pub(super) fn close(&mut self, body: &[u8]) -> Result<(), End> {
        let (what, name) = named(body)?;
        match what {
            b'S' => drop(self.extended.statements.remove(name)),
            _ => drop(self.extended.portals.remove(name)),
        }
        message::empty(&mut self.outbuf, b'3');
        Ok(())
    }

    /// Continues with a result, or answers with an error: then all messages up to `Sync` are void.
    fn answer<T>(&mut self, result: Result<T, Refusal>, go_on: impl FnOnce(&mut Self, T)) {
        match result {
            Ok(value) => go_on(self, value),
            Err(refusal) => {
                self.fail(&refusal);
                self.skips = true;
            }
        }
    }
}

/// The contents of a `Bind` message.
struct Bind<'a> {
    portal: &'a [u8],
    statement: &'a [u8],
    parameters: u16,
    formats: Formats,
}

impl<'a> Bind<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let (portal, rest) = frame::cstr(body)?;
        let (statement, rest) = frame::cstr(rest)?;
        let (_, rest) = formats(rest)?;
        let (parameters, mut rest) = frame::u16(rest)?;
        for _ in 0..parameters {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            // A negative length means NULL, which has no bytes.
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            rest = behind.get(length..)?;
        }
        let (formats, rest) = formats(rest)?;
        rest.is_empty().then_some(Self { portal, statement, parameters, formats })
    }
}

/// A count and this number of formats, and the rest of the message.
fn formats(rest: &[u8]) -> Option<(Formats, &[u8])> {
    let (count, mut rest) = frame::u16(rest)?;
    let mut formats = Vec::with_capacity(usize::from(count).min(rest.len()));
    for _ in 0..count {
        let (format, behind) = frame::u16(rest)?;
        formats.push(match format {
            0 => Format::Text,
            1 => Format::Binary,
            _ => return None,
        });
        rest = behind;
    }
    Some((Formats::new(formats), rest))
}

/// `S` or `P`, and a name.
fn named(body: &[u8]) -> Result<(u8, &[u8]), End> {
    match body.split_first() {
        Some((what @ (b'S' | b'P'), rest)) => match frame::cstr(rest) {
            Some((name, [])) => Ok((*what, name)),
            _ => Err(malformed()),
        },
        _ => Err(malformed()),
    }
}

fn put_columns(out: &mut BytesMut, columns: Option<&[Column]>, formats: &Formats) {
    match columns {
        Some(columns) => write::description(out, columns, formats),
        None => message::empty(out, b'n'),
    }
}

fn no_statement(name: &[u8]) -> Refusal {
    let message = match name {
        [] => "unnamed prepared statement does not exist".into(),
        name => format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name)),
    };
    Refusal::new("26000", message)
}

fn no_portal(name: &[u8]) -> Refusal {
    Refusal::new("34000", format!("portal \"{}\" does not exist", String::from_utf8_lossy(name)))
}

fn too_many(what: &str) -> Refusal {
    Refusal::new("54000", format!("too many {what}: the console keeps {MOST} of one client"))
}
