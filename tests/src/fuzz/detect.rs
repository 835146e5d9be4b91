//! What must not be in anything that a tenant is sent.

use crate::answer::Message;

/// In each value of the other tenant's, as text and in the hexadecimal form of `bytea`; and in the names of the
/// proxy's own statements.
const VALUES: &[&[u8]] = &[b"mark_globex", b"4d41524b5f676c6f626578", b"7701770", b"pgstrata_"];
/// In what the catalog shows of the other tenant's definitions, and in names that no text has.
const DEFINITIONS: &[&[u8]] = &[b"markd_globex", b"4d41524b445f676c6f626578", b"zq_hidden"];

/// The first message that says something of the other tenant's, as far as it can be read. With
/// `definitions`, its definitions and names count, too.
pub fn leak(messages: &[Message], definitions: bool) -> Option<String> {
    let shows = |message: &&Message| {
        let lower = message.body.to_ascii_lowercase();
        let has = |marks: &[&[u8]]| marks.iter().any(|mark| memory_has(&lower, mark));
        has(VALUES) || definitions && has(DEFINITIONS)
    };
    messages.iter().find(shows).map(|message| {
        let shown = String::from_utf8_lossy(&message.body).replace('\0', "|");
        format!("{} {:.300}", char::from(message.tag), shown)
    })
}

fn memory_has(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|window| window == mark)
}
