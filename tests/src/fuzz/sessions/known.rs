//! Sessions that went wrong once, as their messages.

use super::message::Send;
use super::play::Step;

/// Clients, by their places in [`super::actor::ACTORS`].
const ACME: usize = 0;
const GLOBEX: usize = 1;
const TOOL: usize = 2;
const NOBODY: usize = 3;

/// What is tried before anything new.
pub fn sessions() -> Vec<Vec<Step>> {
    let set_and_prepare = |set: &str| [run(set), run("prepare transaction 'x'"), vec![Send::Sync]].concat();
    vec![
        // A setting that acts on an idle server.
        idle(step(ACME, vec![query("set idle_session_timeout = '1ms'")])),
        idle(step(NOBODY, vec![query("set idle_session_timeout = 1")])),
        // The tag says ROLLBACK, the setting holds.
        vec![step(ACME, set_and_prepare("set default_transaction_read_only = on"))],
        vec![step(ACME, set_and_prepare("set app.user_id = 'MINE'"))],
        // A failed query ends what stood open.
        vec![step(
            ACME,
            [run("set statement_timeout = 1"), vec![query("lock table users in share mode")]].concat(),
        )],
        vec![step(
            ACME,
            [run("insert into notes values ('x')"), vec![query("lock table users in share mode")]].concat(),
        )],
        // A server that hangs when it is cleaned.
        vec![step(
            ACME,
            vec![query(
                "set default_transaction_isolation = serializable; set default_transaction_read_only = on; \
                 set default_transaction_deferrable = on",
            )],
        )],
        vec![step(ACME, vec![query("set statement_timeout = 1")])],
        // A statement that is not run to its end.
        vec![step(
            ACME,
            [some("select set_config('statement_timeout', '7', false)"), vec![Send::Sync]].concat(),
        )],
        vec![step(
            TOOL,
            [some("select set_config('app.user_id', 'MINE', false)"), vec![Send::Sync]].concat(),
        )],
        // RESET that is taken back.
        vec![
            step(ACME, vec![query("set max_parallel_workers = 72")]),
            step(TOOL, vec![query("select 1")]),
            leaving(step(
                ACME,
                [run("reset all"), vec![Send::Bind("p".into(), "nope".into(), Vec::new())]].concat(),
            )),
        ],
        // What a server has drawn from sequences.
        vec![
            step(ACME, vec![query("create view lv as select lastval()")]),
            leaving(step(GLOBEX, vec![query("select nextval('tickets')")])),
            step(ACME, vec![query("select * from lv")]),
        ],
        // Data that nobody will send.
        vec![step(
            ACME,
            vec![
                query("copy notes (note) from stdin"),
                Send::CopyData("a line\n".to_owned()),
                Send::Terminate,
            ],
        )],
        // The proxy's own statements.
        vec![
            step(ACME, vec![query("set client_min_messages = debug2")]),
            step(ACME, [run("select 1"), vec![Send::Sync]].concat()),
        ],
    ]
}

/// The same, and time that passes.
fn idle(first: Step) -> Vec<Step> {
    let others = (0..8).map(|_| step(TOOL, vec![query("select 1")]));
    std::iter::once(first).chain(others).collect()
}

fn step(actor: usize, sends: Vec<Send>) -> Step {
    Step { actor, options: Vec::new(), sends, leaves: false }
}

fn leaving(step: Step) -> Step {
    Step { leaves: true, ..step }
}

fn query(text: &str) -> Send {
    Send::Query(text.to_owned())
}

fn run(text: &str) -> Vec<Send> {
    portion(text, 0)
}

fn some(text: &str) -> Vec<Send> {
    portion(text, 1)
}

fn portion(text: &str, rows: i32) -> Vec<Send> {
    vec![
        Send::Parse(String::new(), text.to_owned()),
        Send::Bind(String::new(), String::new(), Vec::new()),
        Send::Execute(String::new(), rows),
    ]
}
