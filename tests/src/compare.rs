//! The same conversation with PostgreSQL and with proxies: what the one answers is what the others answer.

use std::time::Duration;

use tokio::time::timeout;

use crate::answer::{Answer, Fault};
use crate::setup::STRATEGIES;
use crate::{Stage, Wire, roles};

/// A conversation that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Past the proxy, with the path that the tenant has.
pub async fn direct(stage: &Stage) -> Wire {
    let options = roles::direct_options("acme_corp");
    let path = [("options", options.as_str())];
    Wire::login(stage.cluster.port(), "app", "app", &path).await.expect("PostgreSQL lets the role in")
}

/// What answers say, without what differs by nature: the numbers of objects, places in the server's code.
fn said(answers: &[Answer]) -> Vec<String> {
    let mut out = Vec::new();
    for message in answers.iter().flat_map(|answer| &answer.messages) {
        let tag = char::from(message.tag);
        match message.tag {
            b'S' => {}
            b'E' | b'N' => out.push(format!("{tag} {:?}", Fault::read(message))),
            // The number of columns.
            b'T' => out.push(format!("{tag} {:?}", &message.body[..2])),
            _ => out.push(format!("{tag} {:?}", message.body)),
        }
    }
    out
}

/// Holds the same conversation with PostgreSQL and with each proxy: one for each strategy.
pub async fn compare(stages: &[Stage], what: &str, talk: impl AsyncFn(&mut Wire) -> Vec<Answer>) {
    let in_time = async |wire: &mut Wire| timeout(PATIENCE, talk(wire)).await.map(|answers| said(&answers));
    let expected = in_time(&mut direct(&stages[0]).await).await.expect("PostgreSQL answers");
    for (stage, strategy) in stages.iter().zip(STRATEGIES) {
        let answered = in_time(&mut stage.wire("acme_corp").await).await;
        assert_eq!(answered.as_ref(), Ok(&expected), "{what}, strategy {strategy}");
    }
}

/// `Bind` of a statement without parameters to a portal.
pub fn bind_portal(wire: &mut Wire, portal: &str, statement: &str) {
    wire.message(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes());
}

/// `Execute` of a portal.
pub fn execute_portal(wire: &mut Wire, portal: &str, rows: i32) {
    let body = [portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat();
    wire.message(b'E', &body);
}

/// `Describe` or `Close` of a portal.
pub fn about_portal(wire: &mut Wire, tag: u8, portal: &str) {
    wire.message(tag, format!("P{portal}\0").as_bytes());
}

/// Parse, Bind and Execute, unnamed.
pub fn run<'a>(wire: &'a mut Wire, text: &str) -> &'a mut Wire {
    wire.parse("", text).bind("", &[]).execute()
}

/// `Flush`, and the answers up to a message of this type.
pub async fn flushed(wire: &mut Wire, last: u8) -> Answer {
    wire.message(b'H', b"").flush().await;
    wire.until(last).await
}

/// The answers up to so many `ReadyForQuery`.
pub async fn answers(wire: &mut Wire, count: usize) -> Vec<Answer> {
    wire.flush().await;
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(wire.until(b'Z').await);
    }
    out
}
