//! The request of an unnamed statement that is kept on its server: the proxy answers the `Parse`, and the `Bind` names
//! the kept statement.
//!
//! - The request has one statement, and has arrived completely: `Parse`, `Bind`, perhaps `Describe`, `Execute`, `Sync`.
//!   No transaction is open, and the client is not pinned. So nothing has run when the `Bind` is answered. If
//!   PostgreSQL refuses the `Bind`, or the watch ([`crate::shared::repeated`]) in front of it, the request runs
//!   again with a newly prepared statement, and the client gets the result of that.
//! - `ParseComplete` is sent to the client with `BindComplete`, or in front of an error that PostgreSQL raises behind a
//!   `Parse`.
//! - With `unnamed_statements = "parse"`, PostgreSQL plans each `Bind` for its values, as for unnamed statements: it
//!   considers a generic plan only from the sixth use of a statement on (`choose_custom_plan` in plancache.c), so the
//!   statement is prepared again at the sixth use.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Expect;
use super::extended::{MAX_REPLAY, PARSE_COMPLETE};
use super::link::Link;
use super::prepared::SHARED_TEXT;
use super::statements::{ClientStatement, Identity, Prepared};
use super::{Session, Status, spare};
use crate::config::UnnamedStatements;
use crate::shared::repeated::has_no_string;
use crate::sql::plan::{Plan, Route, Statement, StatementKind};
use crate::sql::rewrite::PositionMap;
use crate::wire::frame;
use crate::wire::message;

/// The number of uses of a prepared statement for which PostgreSQL makes custom plans.
const CUSTOM_PLANS: u32 = 5;

/// `ParseComplete` and `BindComplete`.
pub(super) const PARSE_AND_BIND_COMPLETE: Bytes = Bytes::from_static(b"1\0\0\0\x042\0\0\0\x04");

/// The unnamed statement of a request, which has a name on the server.
pub(super) struct Kept {
    statement: Arc<Prepared>,
    /// Its `Parse` was not sent, and no message in progress stands for it.
    due: bool,
}

/// How an error is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeptError {
    /// It does not concern a kept statement.
    Other,
    /// PostgreSQL raises it behind the `Parse`.
    BehindParse,
    /// The request runs again, with a newly prepared statement.
    Again {
        /// The watch could not be prepared, so the statement is not kept for a while.
        refused: bool,
    },
}

impl Link {
    /// Whether the server has everything for the use of a kept statement.
    fn keeps(&mut self, prepared: &Prepared) -> bool {
        let names = &mut self.lease.prepared;
        names.touch(prepared.id) && prepared.watch.as_ref().is_none_or(|watch| names.touch(watch.id))
    }

    /// Whether PostgreSQL may use a generic plan at the next use.
    fn is_worn(&self, prepared: &Prepared, mode: UnnamedStatements) -> bool {
        mode == UnnamedStatements::Parse && self.lease.prepared.uses(prepared.id) >= CUSTOM_PLANS
    }

    /// Whether code outside of the text may have run in the server's session.
    fn is_unsure(&self) -> bool {
        self.lease.unsure || self.has_run_code()
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether an unnamed statement may be kept on its server; `behind` is the data that has arrived behind its
    /// `Parse`.
    pub(super) fn may_repeat(&self, plan: &Plan, text: &[u8], behind: &[u8]) -> bool {
        let is_plain = |one: &Statement| one.kind == StatementKind::Plain && one.pin.is_none() && !one.ddl;
        let sent_as_one = match plan.route {
            Route::Pass | Route::Splice => true,
            Route::SearchPath => !self.effective.path.is_empty(),
            Route::OwnTransaction | Route::Refuse(_) | Route::NeedNames => false,
        };
        self.config.pool.unnamed_statements != UnnamedStatements::Off
            && plan.lasting
            && sent_as_one
            && !plan.opaque
            && !plan.runs_alone
            && plan.checks.is_empty()
            && matches!(&plan.statements[..], [only] if is_plain(only))
            && self.status == Status::Idle
            && !self.has_sent()
            && self.pins.is_empty()
            && !self.link.as_deref().is_some_and(Link::is_unsure)
            && text.len() <= SHARED_TEXT
            && is_rest_of_request(behind)
            && has_no_string(text)
    }

    /// The prepared statement, existing or new, for a statement that may be kept on the server at hand.
    pub(super) fn repeated(&mut self, identity: Identity, text: &[u8]) -> Arc<Prepared> {
        let store = &self.shared.store;
        let columns = || self.shared.engine.columns_of(text, &self.scope, self.text_mode());
        let prepared = store.repeated(identity, columns);
        if prepared.name.is_empty() {
            return prepared;
        }
        let names = self.link.as_mut().map(|link| &mut link.lease.prepared);
        let stays = names.is_some_and(|names| {
            names.touch(prepared.id) || names.has_room_for(prepared.id, prepared.identity.text.len())
        });
        match stays {
            true => prepared,
            false => store.unshared(prepared.identity.clone(), false),
        }
    }

    /// The mode of keeping for this client. A generic plan may have been made under the settings of another client.
    fn spares(&self) -> UnnamedStatements {
        match self.config.pool.unnamed_statements {
            UnnamedStatements::Plan if self.settings.current().steer_plans() => UnnamedStatements::Parse,
            other => other,
        }
    }

    /// `Parse` of a kept unnamed statement: prepares it on the server at hand if it is missing there.
    pub(super) fn keep_statement(&mut self, statement: &ClientStatement) {
        let prepared = &statement.prepared;
        let mode = self.spares();
        let Some(link) = &mut self.link else { return };
        let has_it = link.lease.prepared.touch(prepared.id);
        let spared = link.keeps(prepared) && !link.is_worn(prepared, mode);
        let mut replay = spare::buffer();
        message::parse(&mut replay, b"", &statement.text, &statement.types);
        link.request.replay = Some(replay);
        link.request.kept = Some(Kept { statement: Arc::clone(prepared), due: spared });
        // In front of the statement, so that the relations are locked from here on.
        if let Some(watch) = &prepared.watch {
            self.look_at(watch);
        }
        let Some(link) = &mut self.link else { return };
        if spared {
            // The request has begun, although nothing may have been sent yet.
            link.request.sent = true;
            return self.shared.metrics.parse_spared();
        }
        if has_it {
            link.close_own(prepared.name.as_bytes());
            link.lease.prepared.remove(prepared.id);
        }
        self.prepare(prepared, Some(Bytes::new()), statement.map.clone());
    }

    /// Makes PostgreSQL describe a watch, for the comparison with its earlier columns.
    fn look_at(&mut self, watch: &Prepared) {
        let Some(link) = &mut self.link else { return };
        if !link.lease.prepared.contains(watch.id) {
            return self.prepare(watch, None, PositionMap::default());
        }
        message::describe_statement(&mut link.lease.outbuf, watch.name.as_bytes());
        link.expect_reply(Expect::Describe { statement: None, client: false, parameters: 0 });
    }

    /// Whether the client waits for the `ParseComplete` of a kept statement. The next message stands for it.
    pub(super) fn take_due_parse(&mut self) -> bool {
        let kept = self.link.as_mut().and_then(|link| link.request.kept.as_mut());
        kept.is_some_and(|kept| std::mem::take(&mut kept.due))
    }

    /// The proxy refuses the `Bind` of a kept statement: its `Parse` is answered separately.
    pub(super) fn settle_due_parse(&mut self) {
        if !self.take_due_parse() {
            return;
        }
        if let Some(link) = &mut self.link {
            link.expect_reply(Expect::Local {
                message: PARSE_COMPLETE,
                opened: Some(Bytes::new()),
                closed: None,
            });
        }
        self.emit_locals();
    }

    /// Counts a use of the unnamed statement that has a name on servers. Removes the name if the `Bind` is not in the
    /// request of its `Parse`, or if the server has closed the statement.
    pub(super) fn use_kept(&mut self, prepared: Arc<Prepared>) -> Arc<Prepared> {
        let is_it = |link: &&mut Box<Link>| {
            let kept = link.request.kept.as_ref().is_some_and(|kept| kept.statement.id == prepared.id);
            kept && link.lease.prepared.contains(prepared.id)
        };
        if let Some(link) = self.link.as_mut().filter(is_it) {
            link.lease.prepared.count_use(prepared.id);
            return prepared;
        }
        let unnamed = self.shared.store.unshared(prepared.identity.clone(), false);
        if let Some(statement) = self.statements.get_mut(b"") {
            statement.prepared = Arc::clone(&unnamed);
        }
        unnamed
    }

    /// How an error with this SQLSTATE is handled, if it answers a kept statement or its watch.
    pub(super) fn error_of_kept(&self, code: &[u8]) -> KeptError {
        let Some(link) = &self.link else { return KeptError::Other };
        let Some(kept) = &link.request.kept else { return KeptError::Other };
        let watch = kept.statement.watch.as_ref().map(|watch| watch.id);
        let (is_bind, refused) = match link.expects.front() {
            Some(Expect::Parse { id, client: None, .. }) if watch == Some(*id) => (false, true),
            Some(Expect::Describe { client: false, .. }) => (false, false),
            Some(Expect::Bind { spared: true, .. }) => (true, false),
            _ => return KeptError::Other,
        };
        if is_bind && is_of_values(code) {
            return KeptError::BehindParse;
        }
        let can_run_again = link.request.replay.is_some() && !link.request.delivered;
        match can_run_again && self.status == Status::Idle && !comes_from_outside(code) {
            true => KeptError::Again { refused },
            // PostgreSQL would have raised it at the `Parse`.
            false => KeptError::Other,
        }
    }

    /// Sends the client the `ParseComplete` that belongs to the answer of the `Bind` at hand.
    pub(super) fn tell_due_parse(&mut self) {
        let front = self.link.as_mut().and_then(|link| link.expects.front_mut());
        if let Some(Expect::Bind { spared, .. }) = front {
            *spared = false;
            self.outbuf.extend_from_slice(&PARSE_COMPLETE);
        }
    }

    /// The kept statement is prepared again when the request runs again.
    pub(super) fn drop_kept(&mut self, refused: bool) {
        let kept = self.link.as_mut().and_then(|link| link.request.kept.take());
        if let Some(kept) = kept {
            // Servers close it when they need its place: a number is never used again.
            self.shared.store.forget_repeated(&kept.statement, refused);
        }
        self.statements.remove(b"");
    }
}

/// Whether these messages complete the request of an unnamed statement that runs once, up to the `Sync`.
fn is_rest_of_request(buf: &[u8]) -> bool {
    let mut messages = Messages { buf, length: 0 };
    let mut next = || messages.next();
    if !next().is_some_and(|(tag, body)| tag == b'B' && body.starts_with(b"\0\0")) {
        return false;
    }
    let described = next();
    let run = match described {
        Some((b'D', b"P\0")) => next(),
        other => other,
    };
    run.is_some_and(|(tag, body)| tag == b'E' && body.first() == Some(&0) && body.len() == 5)
        && next().is_some_and(|(tag, body)| tag == b'S' && body.is_empty())
}

/// Arrived messages, up to the maximum length of a request that can run again.
struct Messages<'a> {
    buf: &'a [u8],
    length: usize,
}

impl<'a> Messages<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let header = frame::header(self.buf).ok()??;
        let body = self.buf.get(frame::HEADER..header.total)?;
        self.length += header.total;
        self.buf = self.buf.get(header.total..)?;
        (self.length <= MAX_REPLAY).then_some((header.tag, body))
    }
}

/// Whether PostgreSQL refuses the bound values, and not the statement.
fn is_of_values(code: &[u8]) -> bool {
    matches!(code.get(..2), Some(b"22" | b"08"))
}

/// Whether the error has another cause than the statement: a cancel request, a time-out, a deadlock, no memory.
fn comes_from_outside(code: &[u8]) -> bool {
    matches!(code.get(..2), Some(b"40" | b"53" | b"55" | b"57" | b"58" | b"XX"))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn messages(list: &[(u8, &[u8])]) -> BytesMut {
        let mut out = BytesMut::new();
        list.iter().for_each(|(tag, body)| message::raw(&mut out, *tag, body));
        out
    }

    const BIND: (u8, &[u8]) = (b'B', b"\0\0\0\0\0\0\0\0");
    const RUN: (u8, &[u8]) = (b'E', b"\0\0\0\0\0");
    const DESCRIBE: (u8, &[u8]) = (b'D', b"P\0");
    const SYNC: (u8, &[u8]) = (b'S', b"");

    #[test]
    fn request_of_one_statement_is_known() {
        for list in [&[BIND, RUN, SYNC][..], &[BIND, DESCRIBE, RUN, SYNC], &[BIND, RUN, SYNC, (b'X', b"")]] {
            assert!(is_rest_of_request(&messages(list)), "{list:?}");
        }
        for list in [
            &[][..],
            &[BIND, RUN],
            &[BIND, SYNC],
            &[RUN, SYNC],
            &[BIND, RUN, RUN, SYNC],
            &[BIND, BIND, RUN, SYNC],
            &[BIND, RUN, (b'H', b""), SYNC],
            &[BIND, (b'D', b"S\0"), RUN, SYNC],
            &[(b'B', b"p\0\0\0\0\0\0\0\0"), RUN, SYNC],
            &[(b'B', b"\0s\0\0\0\0\0\0\0"), RUN, SYNC],
            &[BIND, (b'E', b"p\0\0\0\0\0"), SYNC],
            &[(b'B', &[0; MAX_REPLAY]), RUN, SYNC],
        ] {
            assert!(!is_rest_of_request(&messages(list)), "{list:?}");
        }
        let all = messages(&[BIND, DESCRIBE, RUN, SYNC]);
        assert!((0..all.len()).all(|end| !is_rest_of_request(&all[..end])), "not all has come");
    }
}
