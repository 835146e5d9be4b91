//! A PostgreSQL of the client's own: what each request would be answered with, and what would run.

use crate::frames::{Frame, field};
use crate::postgres::backend::{Backend, Ran};
use crate::postgres::postmaster::defaults;
use crate::postgres::session::Session;
use crate::trace;
use crate::universe::relations;

/// What the proxy says where a request is lost: with its server, or as there is none.
const LOST: [&str; 4] = ["08006", "57P01", "53300", "57P03"];
const CANCELLED: &str = "57014";

pub struct Ideal(Backend);

/// What a request comes to.
struct Outcome {
    backend: Backend,
    answer: Vec<Frame>,
    ran: Vec<Ran>,
}

impl Ideal {
    /// Of a client of that tenant; `name`: the application's.
    pub fn new(tenant: &str, has_roles: bool, name: &str) -> Self {
        let mut all = defaults();
        all.insert("search_path".to_owned(), format!("\"{tenant}\", \"public\""));
        all.insert("application_name".to_owned(), name.to_owned());
        if has_roles {
            all.insert("role".to_owned(), format!("tenant_{tenant}"));
        }
        let mut session = Session::new(all, relations());
        session.is_clients = true;
        Self(Backend::new(session, true))
    }

    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// Holds an answer, and what ran, against what they should be. `excusable`: servers may die, and requests may be
    /// cancelled. `true`: the server was lost on the way.
    pub fn judge(
        &mut self,
        sent: &[Frame],
        answer: &[Frame],
        ran: &[Ran],
        excusable: bool,
    ) -> Result<bool, String> {
        let should = self.run(sent, None);
        if is_same(&should.answer, answer) && should.ran == ran {
            self.0 = should.backend;
            self.forget_replaced(sent, answer);
            return Ok(false);
        }
        if is_early_switch(sent, answer) && ran.is_empty() {
            return Ok(false);
        }
        if excusable && let Some((state, is_lost)) = self.excused(sent, answer, ran, &should) {
            self.0 = state;
            self.forget_replaced(sent, answer);
            return Ok(is_lost);
        }
        let lines = [
            format!(
                "sent   {}",
                sent.iter().map(|frame| trace::show(frame, true)).collect::<Vec<_>>().join("; ")
            ),
            format!("should {} {:?}", trace::show_all(&should.answer), should.ran),
            format!("got    {} {ran:?}", trace::show_all(answer)),
        ];
        Err(format!("the answer is not PostgreSQL's\n{}", lines.join("\n")))
    }

    /// Where a pipeline fails in front of a `Parse` with no name, PostgreSQL keeps the unnamed statement of before, and the
    /// proxy has none: scripts do without.
    fn forget_replaced(&mut self, sent: &[Frame], answer: &[Frame]) {
        let unnamed = |frame: &Frame| frame.tag == b'P' && frame.body.starts_with(&[0]);
        if answer.iter().any(|frame| frame.tag == b'E') && sent.iter().any(unnamed) {
            self.0.session.prepared.remove("");
        }
    }

    /// What PostgreSQL makes of the messages; the statement of that number is cancelled.
    fn run(&self, sent: &[Frame], cancelled: Option<usize>) -> Outcome {
        let (mut backend, mut number) = (self.0.clone(), 0);
        for frame in sent {
            backend.message(frame.clone());
            while !backend.is_idle() {
                let runs = backend.runs_next().is_some();
                backend.advance(runs && cancelled == Some(number));
                number += usize::from(runs);
            }
        }
        backend.due = 0;
        let (answer, ran) = (std::mem::take(&mut backend.out), std::mem::take(&mut backend.ran));
        Outcome { backend, answer, ran }
    }

    /// What PostgreSQL makes of the messages of a pipeline that fails where so many messages were answered.
    fn interrupted(&self, sent: &[Frame], at: usize) -> Outcome {
        let (mut backend, mut failed) = (self.0.clone(), false);
        for frame in sent {
            let before = backend.clone();
            run_one(&mut backend, frame);
            if !failed && shown(&backend.out).len() > at {
                (backend, failed) = (before, true);
                backend.interrupt();
                run_one(&mut backend, frame);
            }
        }
        backend.due = 0;
        let (answer, ran) = (std::mem::take(&mut backend.out), std::mem::take(&mut backend.ran));
        Outcome { backend, answer, ran }
    }

    /// The state behind a request that was cancelled or lost, if that explains the answer; and whether it was lost.
    fn excused(
        &self,
        sent: &[Frame],
        answer: &[Frame],
        ran: &[Ran],
        should: &Outcome,
    ) -> Option<(Backend, bool)> {
        let (got, full) = (shown(answer), shown(&should.answer));
        let at = got.iter().position(|frame| frame.tag == b'E')?;
        let code = field(&got[at].body, b'C').to_owned();
        let is_front = at <= full.len() && is_same(&got[..at], &full[..at]) && got.len() == at + 2;
        if code == CANCELLED {
            let found = self.cancelled(sent, answer, ran).or_else(|| self.cut_off(sent, answer, at));
            let found = found.or_else(|| {
                let last = at + 1 == full.len() && is_front;
                failed_behind(&should.backend, &got[at + 1].body).filter(|_| last)
            });
            if let Some(backend) = found.filter(|_| is_part(ran, &should.ran)) {
                return Some((backend, false));
            }
        }
        // Its own error came, and then the end of its server and of its block.
        let ends = got.len() == full.len() && is_same(&got[..got.len() - 1], &full[..full.len() - 1]);
        let is_lost = LOST.contains(&&*code) || code == CANCELLED || ends;
        let is_over = got.last().is_some_and(|frame| frame.body == b"I");
        if !is_lost || !is_front || !is_over || self.0.session.status() != b'I' || !is_part(ran, &should.ran)
        {
            return None;
        }
        // These are complete before the request is.
        let discards = |frame: &Frame| frame.body.starts_with(b"d") && frame.tag == b'Q';
        let is_complete = at + 1 == full.len() && sent.iter().all(discards);
        let mut backend = if is_complete { should.backend.clone() } else { self.confirmed(sent, at) };
        backend.lose();
        Some((backend, true))
    }

    /// The state behind a request one of whose statements was cancelled, if that explains the answer.
    fn cancelled(&self, sent: &[Frame], answer: &[Frame], ran: &[Ran]) -> Option<Backend> {
        let all = (0..sent.len() + 8).map(|number| self.run(sent, Some(number)));
        let fits = |outcome: &Outcome| is_same(&outcome.answer, answer) && is_part(ran, &outcome.ran);
        all.into_iter().find(fits).map(|outcome| outcome.backend)
    }

    /// The same of a pipeline that something was cancelled in that the client knows nothing of.
    fn cut_off(&self, sent: &[Frame], answer: &[Frame], at: usize) -> Option<Backend> {
        let outcome = self.interrupted(sent, at);
        is_same(&outcome.answer, answer).then_some(outcome.backend)
    }

    /// What was confirmed by so many messages holds as far as no rollback takes it back.
    fn confirmed(&self, sent: &[Frame], at: usize) -> Backend {
        let mut backend = self.0.clone();
        for frame in sent {
            let before = backend.clone();
            run_one(&mut backend, frame);
            if shown(&backend.out).len() > at {
                backend = before;
                break;
            }
        }
        (backend.due, backend.out, backend.ran) = (0, Vec::new(), Vec::new());
        backend
    }
}

/// What the proxy looks at behind a statement was cancelled, in a block, which fails then.
fn failed_behind(should: &Backend, status: &[u8]) -> Option<Backend> {
    let mut backend = should.clone();
    let was_open = backend.session.status() == b'T';
    backend.session.fail();
    (was_open && status == b"E").then_some(backend)
}

/// One message, with nothing that gets in its way.
fn run_one(backend: &mut Backend, frame: &Frame) {
    backend.message(frame.clone());
    while !backend.is_idle() {
        backend.advance(false);
    }
}

/// What a client waits for.
fn shown(frames: &[Frame]) -> Vec<Frame> {
    frames.iter().filter(|frame| counts(frame)).cloned().collect()
}

/// Whether a change of the tenant was refused for objects that are gone: the proxy may not have heard of that yet.
fn is_early_switch(sent: &[Frame], answer: &[Frame]) -> bool {
    let asks = |frame: &Frame| frame.tag == b'Q' && frame.body.starts_with(b"set tenant");
    let refused = |frame: &Frame| frame.tag == b'E' && field(&frame.body, b'C') == "55000";
    matches!((sent, answer), ([sent], [error, ready]) if asks(sent) && refused(error) && ready.body == b"I")
}

/// Whether all that ran should have, in that order.
fn is_part(ran: &[Ran], should: &[Ran]) -> bool {
    let mut left = should.iter();
    ran.iter().all(|one| left.any(|other| other == one))
}

/// Whether a message is a part of the answer; parameters and notices may come at any time.
fn counts(frame: &Frame) -> bool {
    !matches!(frame.tag, b'S' | b'N')
}

/// Whether two answers are the same; of errors, the SQLSTATEs.
fn is_same(should: &[Frame], is: &[Frame]) -> bool {
    let same = |(a, b): (&Frame, &Frame)| match (a.tag, b.tag) {
        (b'E', b'E') => field(&a.body, b'C') == field(&b.body, b'C'),
        _ => a == b,
    };
    let (should, is) = (should.iter().filter(|frame| counts(frame)), is.iter().filter(|frame| counts(frame)));
    should.clone().count() == is.clone().count() && should.zip(is).all(same)
}
