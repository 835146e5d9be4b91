//! The message at the head of the read buffer, while it waits for something: what is known of it so far.
//!
//! A message that waits is processed again from its beginning. What was found meanwhile is kept here, and forgotten with
//! the message.

use std::cell::Cell;
use std::sync::Arc;

use pgstrata_tenancy::TenantId;

use crate::session::judge::Judged;
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::{Plan, Refusal};

/// A tenant, or why it may not be used.
type Answer = Result<Arc<Tenancy>, Refusal>;

/// What is known of the message at the head of the buffer.
#[derive(Default)]
pub(in crate::session) struct Head {
    /// Its plan, while it waits for a server.
    plan: Option<Box<Plan>>,
    /// The plan of its long text, from another thread.
    judged: Option<Box<Judged>>,
    /// A part of it has been answered, so it cannot be processed again.
    begun: bool,
    /// It continues for this tenant, which was just looked up, whatever changes meanwhile. Otherwise it would never be
    /// processed under continuous changes.
    cleared: Option<Arc<Tenancy>>,
    /// The tenant that it names, and the result of the lookup.
    asked: Option<Box<(TenantId, Answer)>>,
    /// The tenant for which it needs a server; `None`: the current one.
    wanted: Option<Arc<Tenancy>>,
    /// It has waited for the catalog, which could not be loaded.
    names_late: bool,
    /// The request that it belongs to has passed the rate limit.
    has_turn: Cell<bool>,
}

impl Head {
    /// Keeps the plan until the message is processed again.
    pub fn keep_plan(&mut self, plan: Plan) {
        self.plan = Some(Box::new(plan));
    }

    /// The kept plan.
    pub fn take_plan(&mut self) -> Option<Plan> {
        self.plan.take().map(|plan| *plan)
    }

    /// Keeps the plan of a long text.
    pub fn keep_judged(&mut self, judged: Judged) {
        self.judged = Some(Box::new(judged));
    }

    /// The plan of a long text, if it is valid.
    pub fn take_judged(&mut self, is_valid: impl FnOnce(&Judged) -> bool) -> Option<Judged> {
        self.judged.take_if(|judged| is_valid(judged)).map(|judged| *judged)
    }

    /// A part of the message has been answered.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// Whether a part of it has been answered.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The tenant was looked up, and is served.
    pub fn clear(&mut self, tenancy: &Arc<Tenancy>) {
        self.cleared = Some(Arc::clone(tenancy));
    }

    /// Whether the message continues for this tenant.
    pub fn is_cleared_for(&self, tenancy: &Tenancy) -> bool {
        self.cleared.as_deref().is_some_and(|cleared| std::ptr::eq(cleared, tenancy))
    }

    /// Keeps the result of the lookup of a tenant.
    pub fn note_tenant(&mut self, tenant: TenantId, answer: Answer) {
        self.asked = Some(Box::new((tenant, answer)));
    }

    /// The result of the lookup of this tenant. Any result is forgotten: it is as old as the message.
    pub fn take_tenant(&mut self, tenant: &TenantId) -> Option<Answer> {
        let (asked, answer) = *self.asked.take()?;
        (asked == *tenant).then_some(answer)
    }

    /// The results of lookups do not hold any more.
    pub fn forget_tenant(&mut self) {
        self.asked = None;
    }

    /// The message needs a server for this tenant.
    pub fn want_server_for(&mut self, tenancy: &Arc<Tenancy>) {
        self.wanted = Some(Arc::clone(tenancy));
    }

    /// The tenant for which it needs a server, if not the current one.
    pub fn take_wanted(&mut self) -> Option<Arc<Tenancy>> {
        self.wanted.take()
    }

    /// The message has waited for the catalog; `late`: in vain.
    pub fn note_names(&mut self, late: bool) {
        self.names_late = late;
    }

    /// Whether it has waited in vain; said once.
    pub fn take_names_late(&mut self) -> bool {
        std::mem::take(&mut self.names_late)
    }

    /// Whether the request at hand has passed the rate limit.
    #[inline]
    pub fn has_turn(&self) -> bool {
        self.has_turn.get()
    }

    /// The request at hand has its turn, if `taken`.
    pub fn note_turn(&self, taken: bool) {
        self.has_turn.set(taken);
    }

    /// The request is over, or will not be sent: the next one needs a separate turn.
    #[inline]
    pub fn end_turn(&self) {
        self.has_turn.set(false);
    }

    /// The step with this message is over: the next one looks its tenant up again.
    pub fn end_step(&mut self) {
        self.cleared = None;
    }

    /// The message is processed.
    pub fn done(&mut self) {
        self.plan = None;
        self.judged = None;
        self.begun = false;
    }

    /// The message is answered with an error, and its request will not be sent.
    pub fn give_up(&mut self) {
        self.end_turn();
        self.done();
    }

    /// The message is void, or will be processed under other conditions.
    pub fn forget_judged(&mut self) {
        self.judged = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture::scope;

    fn tenancy() -> Arc<Tenancy> {
        Arc::new(Tenancy::of(scope(), "", true))
    }

    #[test]
    fn plan_is_of_one_message() {
        let mut head = Head::default();
        head.keep_plan(Plan { opaque: true, ..Plan::default() });
        head.begin();
        assert!(head.take_plan().is_some_and(|plan| plan.opaque) && head.take_plan().is_none());
        head.keep_plan(Plan::default());
        head.done();
        assert!(head.take_plan().is_none() && !head.has_begun());
    }

    #[test]
    fn turn_is_of_one_request() {
        let mut head = Head::default();
        head.note_turn(true);
        head.done();
        assert!(head.has_turn(), "the messages of a pipeline have one turn");
        head.give_up();
        assert!(!head.has_turn());
        head.note_turn(false);
        assert!(!head.has_turn());
    }

    #[test]
    fn lookup_holds_for_the_tenant_that_was_looked_up() {
        let [acme, globex] = ["acme", "globex"].map(|name| TenantId::new(name).unwrap());
        let mut head = Head::default();
        head.note_tenant(acme.clone(), Ok(tenancy()));
        assert!(head.take_tenant(&globex).is_none());
        assert!(head.take_tenant(&acme).is_none(), "it is as old as the message that it was for");
        head.note_tenant(acme.clone(), Ok(tenancy()));
        assert!(head.take_tenant(&acme).is_some_and(|answer| answer.is_ok()));
        head.note_tenant(acme.clone(), Ok(tenancy()));
        head.forget_tenant();
        assert!(head.take_tenant(&acme).is_none());
    }

    #[test]
    fn tenant_is_cleared_for_one_step() {
        let (one, same_names) = (tenancy(), tenancy());
        let mut head = Head::default();
        head.clear(&one);
        assert!(head.is_cleared_for(&one) && !head.is_cleared_for(&same_names));
        head.end_step();
        assert!(!head.is_cleared_for(&one));
    }

    #[test]
    fn wishes_are_granted_once() {
        let mut head = Head::default();
        head.want_server_for(&tenancy());
        assert!(head.take_wanted().is_some() && head.take_wanted().is_none());
        head.note_names(true);
        assert!(head.take_names_late() && !head.take_names_late());
        head.note_names(true);
        head.note_names(false);
        assert!(!head.take_names_late());
    }
}
