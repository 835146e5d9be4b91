//! `lastval()` behind a transaction, where another server may run it than the one that drew.
//!
//! Where a tenant's clients ask for it, PostgreSQL is asked behind a write what was drawn, before the client hears of the
//! end of its request. In a later text that value stands in the place of `lastval()`. Nobody is tied to a server, and
//! who never asks pays nothing.

use std::mem;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::expect::Expect;
use super::role::InForce;
use super::{Session, Status};
use crate::shared::cluster::ClusterId;
use crate::sql::lexer::{Lexer, Token, TokenKind};
use crate::sql::plan::{PinReason, Plan, Refusal, Statement, StatementKind};
use crate::wire::frame::{self, Header};
use crate::wire::message;

/// A longer text is sent as it is.
const MAX_TEXT: usize = 16 << 10;
const LASTVAL: &[u8] = b"lastval";
/// What may stand in front of a bracket beside it: keywords, and functions that draw from no sequence.
const DRAW_NOTHING: &[&[u8]] = &[
    b"all", b"and", b"any", b"as", b"by", b"case", b"cast", b"coalesce", b"count", b"else", b"exists",
    b"from", b"greatest", b"in", b"join", b"lateral", b"least", b"max", b"min", b"not", b"nullif", b"on",
    b"or", b"select", b"some", b"sum", b"then", b"union", b"using", b"values", b"when", b"where",
];
/// What PostgreSQL is asked, whatever the path is.
const QUESTION: &str = "SELECT pg_catalog.lastval()";

/// What one client has drawn from sequences, where its tenant's clients ask for that.
#[derive(Debug, Default)]
pub(super) struct Draws {
    /// What its tenant is known to do: as of so many changes of its own tenant, and of the tenants that
    /// read what they have drawn.
    seen: (u64, u64),
    reads: bool,
    /// What was drawn last, as of this many changes of its tenant.
    value: Option<(u64, i64)>,
    /// The server that drew, by its cluster and PostgreSQL's number.
    server: Option<(ClusterId, i32)>,
    /// Something may have been drawn that PostgreSQL was not asked about yet.
    due: bool,
    /// The end of the request, which the client receives after the answer; and when PostgreSQL was asked.
    ready: Option<(Status, Instant)>,
    /// The value that stands in the unnamed statement.
    parsed: Option<i64>,
    /// A value was put into the message at hand.
    put: bool,
    /// How many times the client has discarded what it drew.
    discards: u64,
}

/// PostgreSQL's answer to the question what was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrawAnswer {
    /// There is none: an error, or the server is gone. Something may have been drawn.
    #[default]
    Unknown,
    /// Nothing was drawn on this server.
    Nothing,
    /// This.
    Value(i64),
}

/// A `DataRow` of one number in text form.
fn number(row: &[u8]) -> Option<i64> {
    let (columns, rest) = frame::u16(row)?;
    let (_, value) = frame::u32(rest)?;
    (columns == 1).then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

/// Whether the name of the function stands in the text, wherever that is.
fn may_ask(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'l', b'L', text)
        .filter_map(|at| text.get(at..at + LASTVAL.len()))
        .any(|word| word.eq_ignore_ascii_case(LASTVAL))
}

/// `text` with the value in the place of each `lastval()`, or `None` where there is none. What comes of it is read and
/// judged as a text of the client's.
fn with_value(text: &[u8], value: i64) -> Option<Vec<u8>> {
    let tokens: Vec<Token> = Lexer::new(text, true).collect();
    let is = |token: &Token, word: &[u8]| {
        token.kind == TokenKind::Word && token.of(text).eq_ignore_ascii_case(word)
    };
    // In a text that draws, the call has a value of its own: any function might.
    let calls = tokens.windows(2).any(|pair| {
        let [name, open] = pair else { return false };
        let named = name.kind.is_word() && open.kind == TokenKind::Open;
        named && !is(name, LASTVAL) && !DRAW_NOTHING.iter().any(|word| is(name, word))
    });
    if calls {
        return None;
    }
    let (mut out, mut copied) = (Vec::new(), 0);
    for (at, call) in tokens.windows(3).enumerate() {
        let [name, open, close] = call else { continue };
        if !is(name, LASTVAL) || open.kind != TokenKind::Open || close.kind != TokenKind::Close {
            continue;
        }
        let before = |count: usize| at.checked_sub(count).and_then(|at| tokens.get(at));
        let (start, left) = match (before(2), before(1)) {
            (Some(schema), Some(dot)) if dot.kind == TokenKind::Dot => {
                (is(schema, b"pg_catalog").then_some(schema.start)?, before(3))
            }
            (_, left) => (name.start, left),
        };
        // There it is a table.
        let in_list = left.is_some_and(|left| left.kind == TokenKind::Comma);
        let behind_from = in_list && tokens.iter().take(at).any(|token| is(token, b"from"));
        let words = [b"from" as &[u8], b"join", b"lateral"];
        if behind_from || left.is_some_and(|left| words.iter().any(|word| is(left, word))) {
            return None;
        }
        out.extend_from_slice(text.get(copied..start as usize)?);
        // A column is named as that of the call is.
        out.extend_from_slice(format!("(SELECT '{value}'::pg_catalog.int8 AS lastval)").as_bytes());
        copied = close.end as usize;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(text.get(copied..)?);
    Some(out)
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A plan is about to be sent that may draw. Whether what was drawn on this server before is to be forgotten, since
    /// the client has drawn on another one in between.
    pub(super) fn note_draw(&mut self, plan: &Plan) -> bool {
        let readers = &self.identity.database.draw_readers;
        let asks = plan.statements.iter().any(|statement| statement.pin == Some(PinReason::Sequence));
        if asks && self.status == Status::Idle && !self.pins.has(PinReason::SessionPooling) {
            readers.add(&self.tenancy().turn);
        }
        let seen = (self.tenants.changes(), readers.changes());
        if seen.1 == 0 {
            return false;
        }
        let reads = match &self.draws {
            Some(draws) if draws.seen == seen => draws.reads,
            _ => readers.has(&self.tenancy().turn),
        };
        let server = self.link.as_ref().map(|link| (link.cluster, link.lease.pid));
        let draws = self.draws.get_or_insert_default();
        (draws.seen, draws.reads) = (seen, reads);
        if !reads {
            return false;
        }
        // A client that is tied to its server asks that.
        let free = self.pins.is_empty();
        draws.due = free;
        match mem::replace(&mut draws.server, server) {
            // An answer of this server would be older than what was drawn elsewhere.
            Some(before) => Some(before) != server,
            None => free && !asks,
        }
    }

    /// A request is over. Asks what it drew, if that is of use: the client hears of its end behind the answer. Whether
    /// it does.
    pub(super) fn ask_for_draw(&mut self, status: Status) -> bool {
        if status != Status::Idle || !self.pins.is_empty() {
            return false;
        }
        let role = InForce::Servers.change(self.role().as_ref()).unwrap_or_default();
        let Some(draws) = self.draws.as_deref_mut().filter(|draws| draws.due) else { return false };
        let Some(link) = self.link.as_mut().filter(|link| !link.lease.in_doubt) else { return false };
        // What stands behind in the queue is of later requests, which may be in a block.
        if !link.expects.iter().all(Expect::is_own_query) || link.request.sent {
            return false;
        }
        draws.due = false;
        draws.ready = Some((status, self.clock.latest()));
        self.shared.metrics.overhead_round_trip();
        link.lease.query(&[role.as_bytes(), QUESTION.as_bytes()]);
        link.expects.push_back(Expect::Draw(DrawAnswer::Unknown));
        true
    }

    /// The row of the answer.
    pub(super) fn note_drawn(&mut self, row: &[u8]) {
        let front = self.link.as_mut().and_then(|link| link.expects.front_mut());
        if let Some(Expect::Draw(answer)) = front {
            *answer = number(row).map_or(DrawAnswer::Unknown, DrawAnswer::Value);
        }
    }

    /// PostgreSQL has answered, or never will. The client receives the end of its request now.
    pub(super) fn draw_answered(&mut self, answer: DrawAnswer) {
        let changes = self.tenants.changes();
        let Some(draws) = self.draws.as_deref_mut() else { return };
        match answer {
            DrawAnswer::Value(value) => draws.value = Some((changes, value)),
            // What was drawn on another server still holds.
            DrawAnswer::Nothing => {}
            // An old value would be wrong, and none is an error.
            DrawAnswer::Unknown => draws.value = None,
        }
        let Some((ready, _)) = draws.ready.take() else { return };
        match self.has_channels_to_settle() {
            true => self.transaction.hold_ready(ready),
            false => message::ready_for_query(&mut self.outbuf, ready.byte()),
        }
    }

    /// Whether PostgreSQL is to be asked what the request drew. Nothing is cleaned before.
    pub(super) fn is_draw_due(&self) -> bool {
        self.draws.as_deref().is_some_and(|draws| draws.due)
    }

    /// Since when the end of a request waits for the answer.
    pub(super) fn waits_for_draw(&self) -> Option<Instant> {
        self.draws.as_deref()?.ready.map(|(_, since)| since)
    }

    /// The client as one who draws: a new one behind each switch of its tenant and each `DISCARD SEQUENCES`, so that
    /// what the client drew before is forgotten on every server.
    pub(super) fn drawer(&self) -> (i32, u64) {
        let discards = self.draws.as_deref().map_or(0, |draws| draws.discards);
        (self.cancel.slot().pid, self.tenants.changes() + discards)
    }

    /// `DISCARD SEQUENCES`, or all of it: has run on the server at hand, if that was sent anything.
    pub(super) fn forget_draws(&mut self) {
        let before = self.drawer();
        let draws = self.draws.get_or_insert_default();
        (draws.value, draws.due) = (None, false);
        draws.discards += 1;
        let now = self.drawer();
        // What a pipeline draws behind it on this server stays.
        if let Some(link) = self.link.as_mut().filter(|link| link.request.sent)
            && link.lease.sequence_owner == Some(before)
        {
            link.lease.sequence_owner = Some(now);
        }
    }

    /// `DISCARD SEQUENCES` has run in a request: what stands behind it may draw, for a client that is not tied to its
    /// server any more.
    pub(super) fn expect_draws(&mut self) {
        if let Some(draws) = self.draws.as_deref_mut() {
            draws.due = draws.reads;
        }
    }

    /// What the client has drawn by another server than the one that it is about to have.
    fn drawn(&self) -> Option<i64> {
        let free = self.status == Status::Idle && self.pins.is_empty() && !self.has_sent();
        let draws = self.draws.as_deref().filter(|_| free)?;
        // What was drawn since is not known yet.
        let settled = !draws.due && draws.ready.is_none();
        draws
            .value
            .filter(|(changes, _)| settled && *changes == self.tenants.changes())
            .map(|(_, value)| value)
    }

    /// Puts what the client has drawn into the `Query` or `Parse` at the head of the buffer, if that asks for it.
    /// Returns the message's header as it is now.
    pub(super) fn put_drawn(&mut self, header: Header, buf: &mut BytesMut) -> Header {
        let body = buf.get(frame::HEADER..header.total).unwrap_or_default();
        let (name, rest) = match header.tag {
            b'P' => frame::cstr(body).unwrap_or_default(),
            _ => (&b""[..], body),
        };
        // A statement with a name may run later on, when the value is another.
        if !name.is_empty() || !matches!(header.tag, b'P' | b'Q') {
            return header;
        }
        if let Some(draws) = self.draws.as_deref_mut().filter(|draws| !draws.put) {
            draws.parsed = None;
        }
        let Some(value) = self.drawn() else { return header };
        let text = frame::cstr(rest).filter(|(text, _)| text.len() <= MAX_TEXT && may_ask(text));
        let Some((text, types)) = text else { return header };
        let text = with_value(text, value).filter(|text| self.only_reads(text));
        let Some(text) = text else { return header };
        let mut out = BytesMut::with_capacity(buf.len() + text.len());
        match header.tag {
            b'P' => message::parse(&mut out, name, &text, types),
            _ => message::query(&mut out, &[&text]),
        }
        if let Some(draws) = self.draws.as_deref_mut() {
            (draws.parsed, draws.put) = (Some(value).filter(|_| header.tag == b'P'), true);
        }
        let total = out.len();
        out.extend_from_slice(buf.get(header.total..).unwrap_or_default());
        *buf = out;
        Header { total, ..header }
    }

    /// Whether a text is one statement that changes nothing, and keeps nothing for later.
    fn only_reads(&mut self, text: &[u8]) -> bool {
        self.refresh_scope();
        let plan = self.shared.engine.plan(text, &self.scope, self.text_mode());
        let plain = |one: &Statement| one.kind == StatementKind::Plain && !one.writes && !one.ddl;
        matches!(&plan.statements[..], [only] if plain(only))
    }

    /// The message at hand is done with.
    pub(super) fn note_message(&mut self) {
        if let Some(draws) = self.draws.as_deref_mut() {
            draws.put = false;
        }
    }

    /// Why the unnamed statement can't be bound: the client has drawn since it was parsed.
    pub(super) fn refuses_old_draw(&self, name: &[u8]) -> Option<Refusal> {
        let draws = self.draws.as_deref().filter(|_| name.is_empty())?;
        let parsed = draws.parsed?;
        (draws.value != Some((self.tenants.changes(), parsed))).then(|| Refusal {
            code: "0A000",
            message: "lastval() has another value than when the statement was parsed".into(),
            hint: Some("Send its Parse again, or call lastval() in the transaction that draws.".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Option<String> {
        with_value(text.as_bytes(), 7).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn value_stands_in_the_place_of_the_call() {
        let value = "(SELECT '7'::pg_catalog.int8 AS lastval)";
        for (text, expected) in [
            ("SELECT LASTVAL()", format!("SELECT {value}")),
            ("select pg_catalog . lastval ( ) as id;", format!("select {value} as id;")),
            (
                "select a from t where id = lastval() and b <> lastval()",
                format!("select a from t where id = {value} and b <> {value}"),
            ),
            ("select lastval()::int", format!("select {value}::int")),
            (
                "select max(a) from t where (b) = lastval()",
                format!("select max(a) from t where (b) = {value}"),
            ),
        ] {
            assert_eq!(put(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_call_stays() {
        for text in [
            "select 1",
            "select 'lastval()'",
            "select lastval from t",
            "select \"lastval\"()",
            "select acme.lastval()",
            "select * from lastval()",
            "select * from a join pg_catalog.lastval() b on true",
            "select lastval(1)",
            "select /* lastval() */ 1",
            "select nextval('s'), lastval()",
            "select make_one(), lastval()",
            "select acme.\"make\"(), lastval()",
            "select * from a, lastval()",
        ] {
            assert_eq!(put(text), None, "{text}");
        }
    }

    #[test]
    fn row_of_one_number_is_read() {
        assert_eq!(number(b"\0\x01\0\0\0\x02-7"), Some(-7));
        for row in
            [&b""[..], b"\0\x01", b"\0\x01\0\0\0\x01x", b"\0\x02\0\0\0\x017", b"\0\x01\xff\xff\xff\xff"]
        {
            assert_eq!(number(row), None);
        }
    }
}
