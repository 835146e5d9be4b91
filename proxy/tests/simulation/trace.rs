//! What happened, for people.

use crate::frames::{Fields, Frame, field};

/// A message in a few words; `sent`: by a client, or by the proxy to its server.
pub fn show(frame: &Frame, sent: bool) -> String {
    let text = String::from_utf8_lossy(&frame.body).replace('\0', "|");
    let name = match (frame.tag, sent) {
        (b'Q', true) => "Query",
        (b'P', true) => "Parse",
        (b'B', true) => "Bind",
        (b'D', true) => "Describe",
        (b'E', true) => "Execute",
        (b'C', true) => "Close",
        (b'S', true) => "Sync",
        (b'H', true) => "Flush",
        (b'd', true) => "CopyData",
        (b'E', false) => return format!("Error {}: {}", field(&frame.body, b'C'), field(&frame.body, b'M')),
        (b'D', false) => return format!("Row {}", row(&frame.body)),
        (b'T', false) => return "Columns".to_owned(),
        (b'C', false) => return format!("Complete {text}"),
        (b'Z', false) => return format!("Ready {text}"),
        (b'S', false) => return format!("Parameter {text}"),
        (tag, _) => return format!("{} {text}", char::from(tag)),
    };
    format!("{name} {text}")
}

pub fn show_all(frames: &[Frame]) -> String {
    frames.iter().map(|frame| show(frame, false)).collect::<Vec<_>>().join("; ")
}

fn row(body: &[u8]) -> String {
    let mut fields = Fields(body);
    let values: Vec<_> = (0..fields.short()).map(|_| fields.value().unwrap_or_default()).collect();
    values.join(" / ")
}
