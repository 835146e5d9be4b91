//! A session of the tenant whose texts are tried: what it sends, and what comes back.

use std::time::Duration;

use tokio::time::timeout;

use super::compose::{Form, Text};
use super::detect;
use super::world::World;
use crate::Wire;
use crate::answer::Message;

/// An answer that takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The tenant was sent something of another's.
    Leak(String),
    /// Something of another's was changed.
    Changed(String),
    /// Another tenant is not served.
    Neighbour(String),
    /// Our reading of a text and PostgreSQL's own differ.
    Split(String),
}

impl Wrong {
    /// The kind, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Leak(_) => "leak",
            Self::Changed(_) => "changed",
            Self::Neighbour(_) => "neighbour",
            Self::Split(_) => "split",
        }
    }
}

/// How texts fared, for the summary.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Texts by the SQLSTATE of their first error; `00000` for none.
    pub codes: std::collections::BTreeMap<String, u64>,
    /// Texts with no answer in time.
    pub hung: u64,
    /// Connections that were closed.
    pub closed: u64,
}

/// Sends the texts of one session, and looks at what came of them.
pub async fn session(world: &World, texts: &[Text], tally: &mut Tally) -> Result<(), Wrong> {
    world.neighbour_works().await.map_err(Wrong::Neighbour)?;
    let mut wire = world.attacker().await;
    for text in texts {
        if wire.is_none() {
            wire = world.attacker().await;
        }
        let Some(open) = &mut wire else { return Err(Wrong::Neighbour("acme_corp can't log in".into())) };
        let (messages, alive) = exchange(open, text).await;
        count(tally, &messages, alive);
        if let Some(shown) = detect::leak(&messages, world.conditions.hide) {
            return Err(Wrong::Leak(shown));
        }
        let status = messages.iter().rev().find(|message| message.tag == b'Z').map(|message| message.body[0]);
        let copying = messages.iter().any(|message| message.tag == b'G');
        if !alive || copying || status.is_none() {
            wire = None;
        } else if status == Some(b'E') {
            open.simple("ROLLBACK").await;
        }
    }
    drop(wire);
    if let Some(what) = world.changed().await {
        return Err(Wrong::Changed(what));
    }
    Ok(())
}

fn count(tally: &mut Tally, messages: &[Message], alive: bool) {
    let code = messages
        .iter()
        .find(|message| message.tag == b'E')
        .map(|message| crate::answer::Fault::read(message).code);
    *tally.codes.entry(code.unwrap_or_else(|| "00000".into())).or_default() += 1;
    tally.hung += u64::from(!alive);
}

/// Sends one text; all messages up to `ReadyForQuery`, and whether it came.
async fn exchange(wire: &mut Wire, text: &Text) -> (Vec<Message>, bool) {
    match text.form {
        Form::Simple => _ = wire.query(&text.whole()),
        Form::Extended => _ = wire.parse("", &text.whole()).bind("", &[]).execute().sync(),
        Form::Pipeline => {
            for part in &text.parts {
                wire.parse("", part).bind("", &[]).execute();
            }
            wire.sync();
        }
    }
    wire.flush().await;
    let mut messages = Vec::new();
    loop {
        let Ok(received) = timeout(PATIENCE, wire.receive()).await else { return (messages, false) };
        let Some(message) = received else { return (messages, true) };
        let tag = message.tag;
        messages.push(message);
        match tag {
            b'Z' => return (messages, true),
            b'G' => wire.copy_fail("no").sync().flush().await,
            _ => {}
        }
    }
}
