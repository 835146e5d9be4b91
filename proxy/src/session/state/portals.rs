//! The open portals whose statements have an effect on the session, and the statement of the unnamed one.

use bytes::Bytes;

use crate::session::statements::ClientStatement;

/// The maximum number of open portals whose statements have an effect on the session.
const MAX_PORTALS: usize = 1000;

/// The open portals of a client.
#[derive(Default)]
pub(in crate::session) struct Portals {
    /// By name. Few, so they are searched.
    open: Vec<(Bytes, ClientStatement)>,
    /// The statement of the unnamed portal, by its name and its number. The memory of the name is reused.
    unnamed: (Vec<u8>, u64),
}

impl Portals {
    /// Whether no further portal may be opened.
    pub fn is_full(&self) -> bool {
        self.open.len() >= MAX_PORTALS
    }

    /// Opens a portal; another one of this name is closed.
    pub fn open(&mut self, portal: &[u8], statement: ClientStatement) {
        self.close(portal);
        self.open.push((Bytes::copy_from_slice(portal), statement));
    }

    /// The statement of a portal, if it has an effect on the session.
    pub fn get(&self, portal: &[u8]) -> Option<&ClientStatement> {
        self.open.iter().find(|(open, _)| &open[..] == portal).map(|(_, statement)| statement)
    }

    /// A portal is closed, or its statement has no effect any more.
    pub fn close(&mut self, portal: &[u8]) {
        self.open.retain(|(open, _)| &open[..] != portal);
    }

    /// The transaction is over, and with it all portals.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// The unnamed portal was bound to the statement with that name and number.
    pub fn bind_unnamed(&mut self, name: &[u8], id: u64) {
        self.unnamed.0.clear();
        self.unnamed.0.extend_from_slice(name);
        self.unnamed.1 = id;
    }

    /// The name and the number of the statement of the unnamed portal.
    pub fn unnamed(&self) -> (Bytes, u64) {
        (Bytes::copy_from_slice(&self.unnamed.0), self.unnamed.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &'static str) -> ClientStatement {
        ClientStatement::of_test(text)
    }

    fn text_of(portals: &Portals, portal: &[u8]) -> Option<Bytes> {
        portals.get(portal).map(|statement| statement.text.clone())
    }

    #[test]
    fn portal_is_replaced_under_its_name() {
        let mut portals = Portals::default();
        portals.open(b"a", statement("one"));
        portals.open(b"", statement("two"));
        portals.open(b"a", statement("three"));
        assert_eq!(text_of(&portals, b"a").as_deref(), Some(&b"three"[..]));
        assert_eq!(portals.open.len(), 2);
        portals.close(b"");
        assert!(portals.get(b"").is_none() && portals.get(b"a").is_some());
        portals.clear();
        assert!(portals.get(b"a").is_none());
    }

    #[test]
    fn number_of_portals_is_bounded() {
        let mut portals = Portals::default();
        for number in 0..MAX_PORTALS {
            assert!(!portals.is_full());
            portals.open(number.to_string().as_bytes(), statement("one"));
        }
        assert!(portals.is_full());
        portals.close(b"7");
        assert!(!portals.is_full());
    }

    #[test]
    fn unnamed_portal_has_the_statement_that_was_bound_last() {
        let mut portals = Portals::default();
        portals.bind_unnamed(b"long name", 1);
        portals.bind_unnamed(b"s", 2);
        assert_eq!(portals.unnamed(), (Bytes::from_static(b"s"), 2));
    }
}
