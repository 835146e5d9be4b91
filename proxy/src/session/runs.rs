//! What is counted by statement: a text is sent, or a portal run, and what comes of it.
//!
//! The time of a `Query` is that of its request. In a pipeline it is told apart by the answers: that of a portal is from
//! the answer before it, as it was read, or from the write behind that. PostgreSQL keeps answers back until there is more
//! of them, so that several come in one read: each of these has the same share.
//!
//! A portal whose rows are fetched a page at a time is one call, with the rows and the time of all pages. It is counted
//! when its last page comes, when the portal is forgotten, or when the session ends.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::Session;
use super::accounts::{Bound, Run, SuspendedCalls};
use super::expect::Expect;
use super::link::{Link, Request};
use crate::clients::Origin;
use crate::metrics::statements::refusals::Refused;
use crate::metrics::statements::{Call, Entry, Statements};
use crate::shared::tenancy::Tenancy;
use crate::sql::form::{self, FormId};
use crate::sql::plan::Refusal;

/// What has run of a request so far.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// Where the statements before ended, as they were read.
    mark: Mark,
    /// A write began behind an answer.
    written_at: Option<Instant>,
    /// Portals whose answers came in one read: nobody knows which of them took how long.
    together: SmallVec<[Portal; 1]>,
    /// Since when, and up to where.
    since: Option<Instant>,
    until: Mark,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    at: Option<Instant>,
    received: u64,
    written: u64,
}

/// A portal that has run.
#[derive(Debug)]
struct Portal {
    run: Option<Run>,
    rows: u64,
    how: Ended,
}

/// How a portal has ended, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It has given all its rows.
    Complete,
    /// With an error.
    Failed,
    /// `PortalSuspended`: it has given as many rows as were asked for.
    Not,
}

impl Ran {
    /// A write begins behind an answer.
    pub fn write(&mut self, now: Instant) {
        self.written_at = Some(now);
    }

    /// What came from `since` up to a mark.
    fn lap(&mut self, since: Option<Instant>, until: Mark) -> Call {
        let time = until.at.zip(since).map(|(until, since)| until.saturating_duration_since(since));
        let received = until.received.saturating_sub(self.mark.received);
        let sent = until.written.saturating_sub(self.mark.written);
        self.mark = until;
        Call { time: time.unwrap_or_default(), received, sent, ..Call::default() }
    }

    /// Counts the portals whose answers came in one read, each with the same share.
    fn settle(&mut self, origin: Origin, suspended: &mut SuspendedCalls) {
        if self.together.is_empty() {
            return;
        }
        let count = u32::try_from(self.together.len()).unwrap_or(u32::MAX);
        let all = self.lap(self.since, self.until);
        let at = self.until.at.map_or(0, |at| origin.micros(at));
        for Portal { run, rows, how } in self.together.drain(..) {
            let Some(run) = run else { continue };
            let (time, shares) = (all.time / count, u64::from(count));
            let (received, sent) = (all.received / shares, all.sent / shares);
            let (wait, failed) = (run.wait, how == Ended::Failed);
            let call = Call { time, wait, rows, received, sent, failed, at };
            suspended.add(run, call, how != Ended::Not);
        }
    }
}

impl Request {
    fn mark(&self) -> Mark {
        Mark { at: self.heard_at, received: self.received, written: self.written }
    }

    /// A portal has run; `run`: if that is counted.
    fn portal_ran(&mut self, portal: Portal, origin: Origin, suspended: &mut SuspendedCalls) {
        let now = self.mark();
        if self.ran_so_far.until.at != now.at {
            self.ran_so_far.settle(origin, suspended);
            let ran = &mut self.ran_so_far;
            ran.since = ran.written_at.max(ran.mark.at).or(self.begun);
        }
        self.ran_so_far.until = now;
        self.ran_so_far.together.push(portal);
    }
}

/// The number of rows in a `CommandComplete`'s tag.
pub(super) fn rows_of(tag: &[u8]) -> u64 {
    let number = tag.rsplit(|byte| *byte == b' ').next().filter(|number| number.len() < tag.len());
    number.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok()).unwrap_or_default()
}

/// What is counted of a form for a tenant; `None` where nothing is.
fn entry_of(statements: &Statements, tenancy: &Tenancy, form: FormId, text: &[u8]) -> Option<Arc<Entry>> {
    let book = tenancy.book.as_ref().filter(|_| statements.is_on() && form != FormId::NONE)?;
    statements.entry(book, form, || form::shown(text, form))
}

impl<C> Session<C> {
    /// A `Query` with this text is about to be sent.
    pub(super) fn run_text(&mut self, form: FormId, text: &[u8]) {
        let entry = entry_of(&self.shared.metrics.statements, self.tenants.now(), form, text);
        let wait = self.accounts.take_wait();
        self.entry.run(form);
        if let Some(link) = &mut self.link {
            link.request.run = entry.map(|entry| Run { entry, portal: 0, statement: 0, wait, limit: 0 });
        }
    }

    /// A statement of the client's is bound to a portal, which has this number.
    pub(super) fn bind_run(&mut self, portal: &[u8], name: &[u8], number: u64) {
        let (statements, tenancy) = (&self.shared.metrics.statements, self.tenants.now());
        if !statements.is_on() {
            return;
        }
        let bound = self.statements.get(name).and_then(|statement| {
            let entry = entry_of(statements, tenancy, statement.plan.form, &statement.text)?;
            Some(Bound { number, statement: statement.prepared.id, entry })
        });
        self.accounts.bind(portal, bound);
    }

    /// The guard refuses a text.
    pub(super) fn text_refused(&self, refusal: &Refusal, form: FormId, text: &[u8]) {
        let Some(tenant) = self.tenants.now().scope.tenant.as_deref() else { return };
        self.shared.metrics.statements.refused(&Refused {
            database: &self.identity.database.name,
            tenant,
            form,
            code: refusal.code,
            message: &refusal.message,
            text,
            at: self.shared.clients.origin().micros(self.clock.latest()),
        });
    }

    /// A portal is about to be run; `limit`: for so many rows, or 0 for all.
    pub(super) fn run_portal(&mut self, portal: &[u8], limit: u32) -> Option<Run> {
        let wait = self.accounts.take_wait();
        let bound = self.accounts.bound(portal).cloned();
        self.entry.run(bound.as_ref().map_or(FormId::NONE, |bound| bound.entry.form()));
        let Bound { number, statement, entry } = bound?;
        Some(Run { entry, portal: number, statement, wait, limit: limit.into() })
    }

    /// A portal has given as many rows as it was asked for.
    pub(super) fn portal_suspended(&mut self, run: Option<Run>) {
        let rows = run.as_ref().map_or(0, |run| run.limit);
        self.portal_answered(Portal { run, rows, how: Ended::Not });
    }

    /// A portal has run to its end.
    pub(super) fn portal_ran(&mut self, run: Option<Run>, rows: u64) {
        self.portal_answered(Portal { run, rows, how: Ended::Complete });
    }

    fn portal_answered(&mut self, portal: Portal) {
        let origin = self.shared.clients.origin();
        if let Some(link) = &mut self.link {
            link.request.portal_ran(portal, origin, &mut self.accounts.suspended);
        }
    }

    /// A request is over; `lost`: it has failed, and PostgreSQL did not say so.
    pub(super) fn request_ran(&mut self, lost: bool) {
        let origin = self.shared.clients.origin();
        let Some(link) = &mut self.link else { return };
        let request = &mut link.request;
        request.ran_so_far.settle(origin, &mut self.accounts.suspended);
        let Some(run) = request.run.take() else { return };
        let (failed, rows, now) = (lost || request.erred, request.rows, request.mark());
        let since = request.ran_so_far.mark.at.or(request.begun);
        let at = now.at.map_or(0, |at| origin.micros(at));
        let call = request.ran_so_far.lap(since, now);
        run.entry.record(&Call { wait: run.wait, rows, failed, at, ..call });
    }

    /// PostgreSQL's error is one to what stands in front of the queue, which is no `Query`: counts it for the statement
    /// of that message. What stands behind it, up to `Sync`, is not run.
    pub(super) fn message_failed(&mut self) {
        let Some(link) = self.link.as_mut() else { return };
        link.request.run = None;
        let (run, entry) = match link.expects.front_mut() {
            Some(Expect::Execute { run, .. }) => (run.take(), None),
            Some(&mut Expect::Bind { client: true, portal, .. }) => {
                let entry = self.accounts.by_number(portal).map(|bound| Arc::clone(&bound.entry));
                (link.take_run(|run| run.portal == portal), entry)
            }
            Some(&mut Expect::Parse { id, ref client, .. }) => {
                let name = client.clone();
                let entry = link.take_run(|run| run.statement == id).map(|run| run.entry);
                (None, entry.or_else(|| self.entry_of_parse(id, &name?)))
            }
            _ => return,
        };
        if run.is_some() {
            return self.portal_answered(Portal { run, rows: 0, how: Ended::Failed });
        }
        // It did not come to an Execute.
        let heard = self.link.as_ref().and_then(|link| link.request.heard_at);
        if let Some((entry, heard)) = entry.zip(heard) {
            entry.fail(self.shared.clients.origin().micros(heard));
        }
    }

    /// What is counted of the statement that the client has prepared under a name, if that has this number.
    fn entry_of_parse(&self, id: u64, name: &[u8]) -> Option<Arc<Entry>> {
        let statement = self.statements.get(name).filter(|statement| statement.prepared.id == id)?;
        let (statements, form) = (&self.shared.metrics.statements, statement.plan.form);
        entry_of(statements, self.tenants.now(), form, &statement.text)
    }

    /// The server is gone with what it ran, or the client is while it runs. It took until now.
    pub(super) fn runs_lost(&mut self) {
        let Some(link) = &mut self.link else { return };
        if link.request.sent {
            link.request.heard_at = Some(Instant::now());
        }
        // PostgreSQL may have kept the answers back to what stands in front of it.
        if let Some(run) = link.take_run(|_| true) {
            self.portal_answered(Portal { run: Some(run), rows: 0, how: Ended::Failed });
        }
        self.request_ran(true);
    }
}

impl Link {
    /// The next such run before the end of the request.
    fn take_run(&mut self, is_it: impl Fn(&Run) -> bool) -> Option<Run> {
        let until = |expect: &&mut Expect| !expect.ends_ready();
        self.expects.iter_mut().take_while(until).find_map(|expect| match expect {
            Expect::Execute { run, .. } => run.take_if(|run| is_it(run)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_the_end_of_a_tag() {
        for (tag, rows) in [
            ("SELECT 17", 17),
            ("INSERT 0 3", 3),
            ("COPY 5", 5),
            ("BEGIN", 0),
            ("CREATE TABLE", 0),
            ("", 0),
            ("7", 0),
        ] {
            assert_eq!(rows_of(tag.as_bytes()), rows, "{tag}");
        }
    }
}
