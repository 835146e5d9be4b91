//! Deliberate faults, each at the place where it could be made by mistake. A simulation that does not find one is blind
//! to its kind.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A mistake that a simulation must find.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name),+ }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name),+];
        }
    };
}

faults! {
    /// The path counts as set behind the end of a transaction.
    PathKeptBehindEnd,
    /// The role counts as in force behind the end of a transaction.
    RoleKeptBehindEnd,
    /// The answer to a message of the proxy's goes to the client.
    OwnAnswerToClient,
    /// What the proxy answers by itself comes before the answers in front of it.
    LocalAnswerTooEarly,
    /// An answer that the client waits for is taken out.
    AnswerDropped,
    /// `ReadyForQuery` of a request of the proxy's ends the client's.
    ReadyMiscounted,
    /// A server whose state is in doubt is lent again.
    LentInDoubt,
    /// What a client has left on a server is not taken off.
    LeftDirty,
    /// Where what takes off a client's settings fails, the rest of its answers goes to the client.
    ResetHalfRead,
    /// A server with an open transaction is lent again.
    LentInTransaction,
    /// One of the client's settings is not set on its next server.
    SettingNotReplayed,
    /// A setting counts although its transaction was rolled back.
    SettingOutlivesRollback,
    /// Nothing ties a client to a server that holds state of its own.
    PinForgotten,
    /// A server goes back while a cancel request for it is on its way.
    CancelNotAwaited,
    /// A cancel request goes to the server that its client had before.
    CancelAfterDetach,
    /// A cancel request reaches a statement of the proxy's own.
    CancelOfOwnStatement,
    /// A statement of the proxy's own is sent while a cancel request for its server is on its way.
    CancelOvertaken,
    /// A cancel request that was held back is never heard of again.
    CancelHeldForever,
    /// A statement counts as prepared on a server that holds another.
    StatementOfAnother,
    /// The server's unnamed statement counts as what it was before a `Query`.
    UnnamedStatementStale,
    /// A statement that was not prepared, as the pipeline failed before, counts as prepared.
    PreparedDespiteError,
    /// A request that was on its way to a server that died is sent again.
    SentAgain,
    /// A client leaves in the middle of a COPY, and nobody ends that.
    CopyLeftOpen,
    /// `SET tenant` does not reach the search path.
    TenantWithoutPath,
    /// What a portal's names mean is asked when it is bound, and not again when it runs.
    PortalNotAskedAgain,
    /// A session goes on by a newer configuration in which its tenant means something else.
    ReloadUnheeded,
    /// A session that a newer configuration ends does not finish its transaction.
    ReloadInTransaction,
}

#[cfg(feature = "simulation")]
thread_local! {
    static SWITCH: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

#[cfg(feature = "simulation")]
pub(super) fn switch(fault: Option<Fault>) {
    SWITCH.set(fault);
}

/// Whether this mistake is to be made here.
#[cfg(feature = "simulation")]
pub fn fault(fault: Fault) -> bool {
    SWITCH.get() == Some(fault)
}

/// Never, but in a simulation.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
pub const fn fault(_: Fault) -> bool {
    false
}
