//! A `Query` as PostgreSQL gets it: the client's text, with the path and the role in front of the statements that need
//! them.
//!
//! Both are added once, and again behind each statement that may change them: the end of a transaction, and a statement
//! that may run code outside of the text.

use std::sync::Arc;

use pgstrata_tenancy::RoleName;
use smallvec::SmallVec;

use super::Status;
use super::ahead::{self, Ahead, Confirmed};
use super::effect::effect_of;
use super::expect::{Effect, QueryReply};
use super::link::Link;
use super::listen::name_channel;
use super::names::Names;
use super::path::Effective;
use super::query::format_set_local;
use super::role::InForce;
use super::switch::touches;
use crate::needs::needs_path;
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::{Check, Plan, Statement, StatementKind};
use crate::sql::rewrite::BEHIND;

/// Added statements, with their byte offsets in the client's text.
pub(super) type Places = SmallVec<[(usize, String); 1]>;

/// The state of the session under which a text is composed.
pub(super) struct Under<'a> {
    /// The tenant of the text.
    pub tenancy: &'a Arc<Tenancy>,
    /// The tenant's role, in the tiers that have one.
    pub role: Option<&'a RoleName>,
    /// The path in front of the text.
    pub effective: &'a Effective,
    /// The path of a new server's session, if clients are restricted to it.
    pub baseline: Option<&'a Arc<str>>,
    /// What PostgreSQL has confirmed.
    pub now: Confirmed<'a>,
    /// What is predicted behind the messages in front of the text.
    pub ahead: &'a Ahead,
    /// The client that may draw from sequences on this server without a `DISCARD SEQUENCES` in front.
    pub drawer: (i32, u64),
    /// The text is in UTF-8.
    pub utf8: bool,
    /// The checks of the plan run in front of the text, or must not be added to it.
    pub asked: bool,
}

/// Builds the text that is sent.
pub(super) struct Composer<'a> {
    link: &'a mut Link,
    under: &'a Under<'a>,
    plan: &'a Plan,
    text: &'a [u8],
    /// What holds behind the statements so far.
    ahead: Ahead,
    /// The path behind them, if they have changed it.
    effective: Option<Effective>,
    /// Code may have changed the path where the server's baseline is right.
    doubts_baseline: bool,
    /// A transaction has ended in the text.
    ended: bool,
    /// `DISCARD SEQUENCES` must run behind the end of the failed transaction.
    forgets: bool,
    /// The checks that are not added yet.
    checks: &'a [Check],
    places: Places,
    reply: QueryReply,
}

impl<'a> Composer<'a> {
    /// For the text of `plan`, which is sent to the server of `link`.
    pub fn new(link: &'a mut Link, under: &'a Under<'a>, plan: &'a Plan, text: &'a [u8]) -> Self {
        let failed = under.now.status == Status::Failed;
        if failed {
            // Nothing can be set before the transaction has ended.
            link.setup.set_path();
        }
        Self {
            ahead: Ahead::behind(under.ahead),
            effective: None,
            doubts_baseline: link.has_run_code(),
            ended: false,
            forgets: failed && link.lease.sequence_owner != Some(under.drawer),
            checks: if under.asked { &[] } else { &plan.checks },
            places: Places::new(),
            reply: QueryReply::default(),
            link,
            under,
            plan,
            text,
        }
    }

    /// The added statements, and the expected reply.
    pub fn compose(mut self, names: &Names) -> (Places, QueryReply) {
        self.link.note_plan(self.plan);
        for (index, statement) in self.plan.statements.iter().enumerate() {
            self.forget_draws(index, statement);
            self.set_role(index, statement);
            self.set_path(index, statement);
            self.check(index, statement, false);
            for check in names.checks.iter().filter(|check| check.statement == index && !self.under.asked) {
                self.put_check(index, statement, check);
            }
            self.run(index, statement);
            if let Some((_, refusal)) = names.fails.as_ref().filter(|(fails, _)| *fails == index) {
                self.reply.fails = Some((self.number(index), Box::new(refusal.clone())));
            }
            self.check(index, statement, true);
        }
        (self.places, self.reply)
    }

    /// The number of a statement among all sent ones.
    fn number(&self, index: usize) -> u32 {
        (index + self.places.len()) as u32
    }

    /// Adds a statement of the proxy in front of one of the client's.
    fn put(&mut self, index: usize, statement: &Statement, sql: String) {
        self.reply.injected.push(self.number(index));
        self.places.push((statement.span.start, sql));
    }

    /// Adds the checks of one statement, in front of it or behind it.
    fn check(&mut self, index: usize, statement: &Statement, behind: bool) {
        while let Some((check, rest)) = self.checks.split_first()
            && (check.statement, check.behind) == (index, behind)
        {
            self.checks = rest;
            self.put_check(index, statement, check);
        }
    }

    fn put_check(&mut self, index: usize, statement: &Statement, check: &Check) {
        let number = self.number(index) + u32::from(check.behind);
        self.reply.injected.push(number);
        self.reply.checks.push((number, check.refusal.clone()));
        let (at, sql) = match check.behind {
            true => (statement.span.end, format!("{BEHIND}{}", check.sql)),
            false => (statement.span.start, format!("{}; ", check.sql)),
        };
        self.places.push((at, sql));
    }

    /// In a failed transaction, `DISCARD SEQUENCES` could not run in front of the text.
    fn forget_draws(&mut self, index: usize, statement: &Statement) {
        if self.forgets && self.ended && touches(statement) {
            self.link.lease.sequence_owner = Some(self.under.drawer);
            self.put(index, statement, "DISCARD SEQUENCES; ".to_owned());
            self.forgets = false;
        }
        self.ended |= matches!(statement.kind, StatementKind::Commit { .. } | StatementKind::Rollback { .. });
    }

    /// Whether the transaction has failed at this place of the text.
    fn has_failed(&self) -> bool {
        self.ahead.has_failed(&self.under.now)
    }

    fn set_role(&mut self, index: usize, statement: &Statement) {
        let role = self.under.role;
        if !self.has_failed()
            && self.link.setup.role().matters_to(statement)
            && let Some(sql) = self.link.setup.role().change(role)
        {
            self.put(index, statement, sql);
            self.link.setup.set_role(InForce::of(role));
        }
    }

    fn set_path(&mut self, index: usize, statement: &Statement) {
        let needs = needs_path(statement, &self.plan.route, self.link.opaque);
        if self.link.setup.has_path() || self.has_failed() || !needs {
            return;
        }
        let effective = self.effective.as_ref().unwrap_or(self.under.effective);
        let path = effective.due(self.under.baseline, self.doubts_baseline);
        if !path.is_empty() {
            let sql = format_set_local(path);
            self.put(index, statement, sql);
            self.link.setup.set_path();
        }
    }

    /// Applies the effects of the statement that matter to the statements behind it.
    fn run(&mut self, index: usize, statement: &Statement) {
        let number = self.number(index);
        let scope = &self.under.tenancy.scope;
        let effect =
            effect_of(statement, self.text, self.under.utf8).map(|effect| name_channel(effect, scope));
        let effect = effect.map(|effect| match effect {
            Effect::Prepared(name, _) => {
                let asked = self.plan.checks.iter().filter(|check| check.statement == index && !check.behind);
                Effect::Prepared(name, asked.cloned().collect())
            }
            effect => effect,
        });
        // The tenant stays the same: a text that would go on with another is refused.
        if index + 1 < self.plan.statements.len() {
            self.ahead.advance(statement, effect.as_ref(), &self.under.now);
            if effect.as_ref().is_some_and(ahead::matters) {
                self.effective = self.ahead.effective(self.under.tenancy);
            }
        }
        self.reply.effects.extend(effect.map(|effect| (number, effect)));
        let moves = self.link.advance(statement, self.text, &scope.schema, self.plan.opaque);
        self.doubts_baseline |= moves;
    }
}
