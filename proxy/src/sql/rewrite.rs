//! Prefixes put into a text, and error positions brought back out of it.

use pgstrata_tenancy::ident::push_quoted;

use super::plan::{SchemaRef, Splice};
use super::scope::Scope;

/// `"schema".`, as it goes in front of a name.
fn prefix(schema: SchemaRef, scope: &Scope) -> String {
    let mut out = String::new();
    let name = match schema {
        SchemaRef::Tenant => Some(&scope.schema),
        SchemaRef::Shared(i) => scope.shared.get(i as usize),
    };
    if let Some(name) = name {
        push_quoted(&mut out, name);
        out.push('.');
    }
    out
}

/// `text` with the prefixes in it. `splices` are sorted, as a plan has them.
pub fn splice(text: &[u8], splices: &[Splice], scope: &Scope) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + splices.len() * (scope.schema.len() + 3));
    let mut done = 0;
    for splice in splices {
        out.extend_from_slice(text.get(done..splice.at).unwrap_or_default());
        out.extend_from_slice(prefix(splice.schema, scope).as_bytes());
        done = splice.at.max(done);
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    out
}

/// Brings an error's position in the sent text back to the client's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionMap {
    /// Where in the client's text (in bytes) how many characters were put in; sorted.
    insertions: Vec<(usize, usize)>,
}

impl PositionMap {
    /// A map for any insertions: byte offset in the client's text, characters put in.
    pub fn new(mut insertions: Vec<(usize, usize)>) -> Self {
        insertions.sort_by_key(|(at, _)| *at);
        Self { insertions }
    }

    /// A map for a plan's splices.
    pub fn of_splices(splices: &[Splice], scope: &Scope) -> Self {
        Self::new(splices.iter().map(|s| (s.at, prefix(s.schema, scope).chars().count())).collect())
    }

    /// Whether nothing was put in.
    pub fn is_identity(&self) -> bool {
        self.insertions.is_empty()
    }

    /// The position in the client's `text` of `position` in what was sent. Both count
    /// characters from 1, as PostgreSQL does. What points into an insertion comes to
    /// stand behind it: at the name that it belongs to.
    pub fn to_client(&self, text: &[u8], position: usize) -> usize {
        let (mut sent, mut client, mut byte) = (1, 1, 0);
        for &(at, inserted) in &self.insertions {
            let between = characters(text.get(byte..at).unwrap_or_default());
            if position < sent + between {
                break;
            }
            (sent, client, byte) = (sent + between, client + between, at.max(byte));
            if position < sent + inserted {
                return client;
            }
            sent += inserted;
        }
        client + position.saturating_sub(sent)
    }
}

/// Characters of UTF-8: all bytes but those that continue one.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back() {
        let text = "select é from users u, items i where x".as_bytes();
        let users = text.windows(5).position(|w| w == b"users").unwrap();
        let items = text.windows(5).position(|w| w == b"items").unwrap();
        let map = PositionMap::new(vec![(items, 7), (users, 7), (0, 10)]);
        let sent = "SET path; select é from \"acme\".users u, \"acme\".items i where x";
        for (needle, back) in
            [("é", "é"), ("users", "users"), ("\"acme\".users", "users"), ("items", "items"), ("x", "x")]
        {
            let at = |text: &str| text[..text.rfind(back).unwrap()].chars().count() + 1;
            let from = sent[..sent.rfind(needle).unwrap()].chars().count() + 1;
            assert_eq!(map.to_client(text, from), at(std::str::from_utf8(text).unwrap()), "{needle}");
        }
        assert_eq!(map.to_client(text, 3), 1);
        assert_eq!(PositionMap::default().to_client(text, 9), 9);
    }
}
