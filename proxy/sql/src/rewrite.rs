//! Applies the splices of a plan and the settings of path and role to a text, and maps error positions back.

use std::sync::OnceLock;

use pgstrata_tenancy::ident;
use smallvec::SmallVec;

use super::hidden;
use super::keys;
use super::plan::{Insert as Piece, SchemaRef, Splice};
use super::scope::Scope;
use super::steps;

/// A text as it is sent, in pieces.
#[derive(Debug, Default)]
pub struct Rewritten<'a> {
    /// The pieces in order; joined, they are the text.
    pub pieces: SmallVec<[&'a [u8]; 8]>,
    /// Maps positions in the sent text to the client's text.
    pub map: PositionMap,
}

impl Rewritten<'_> {
    /// The text in one piece.
    pub fn into_text(self) -> (Vec<u8>, PositionMap) {
        (self.pieces.concat(), self.map)
    }
}

/// The prefixes of a scope, ready to be inserted.
#[derive(Clone, Debug)]
pub struct Prefixes {
    /// The tenant's schema and the shared ones: quoted, with the dot.
    schemas: Box<[Box<str>]>,
    /// For each remapped table: the table as [`Piece::Aliased`] and as [`Piece::Instead`].
    moved: Box<[(Box<str>, Box<str>)]>,
    /// The schemas that the catalog may show, and its filters as they are needed; none if it shows all.
    visible: Box<str>,
    filters: Box<[OnceLock<Box<str>>]>,
    /// The prefixes that make a channel, the key of an advisory lock and one of two keys private to the tenant.
    channel: Box<str>,
    lock_key: Box<str>,
    lock_pair: Box<str>,
}

impl Prefixes {
    /// The prefixes of `scope`.
    pub fn of(scope: &Scope) -> Self {
        let schemas = std::iter::once(&scope.schema).chain(scope.shared.iter());
        let mut prefixes = Self {
            schemas: schemas.map(|schema| format!("{}.", ident::ascii_quoted(schema)).into()).collect(),
            moved: Box::default(),
            visible: Box::default(),
            filters: Box::default(),
            channel: keys::channel(scope).into(),
            lock_key: keys::lock_key(scope).into(),
            lock_pair: keys::lock_pair(scope).into(),
        };
        if scope.hide_others {
            prefixes.visible = hidden::visible(scope).into();
            prefixes.filters = (0..hidden::count()).map(|_| OnceLock::new()).collect();
        }
        let moved = scope.moved.iter().map(|moved| {
            let table = format!("{}{}", prefixes.schema(moved.schema), ident::ascii_quoted(&moved.table));
            (format!("{table} AS ").into(), format!("{table} /*").into())
        });
        prefixes.moved = moved.collect();
        prefixes
    }

    fn schema(&self, schema: SchemaRef) -> &str {
        let prefix = match schema {
            SchemaRef::Tenant => self.schemas.first(),
            SchemaRef::Shared(index) => self.schemas.get(usize::from(index) + 1),
        };
        prefix.map_or("", |prefix| prefix)
    }

    fn filter(&self, index: usize) -> &str {
        let filter = self.filters.get(index);
        filter.map_or("", |filter| filter.get_or_init(|| hidden::subquery(index, &self.visible).into()))
    }

    /// The number of bytes that these splices add to a text.
    pub fn length(&self, splices: &[Splice]) -> usize {
        splices.iter().map(|splice| self.get(&splice.insert).len()).sum()
    }

    fn get<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        let moved = |index: u16| self.moved.get(usize::from(index));
        let text = match piece {
            Piece::Schema(schema) => self.schema(*schema),
            Piece::Aliased(index) => moved(*index).map_or("", |(aliased, _)| aliased),
            Piece::Instead(index) => moved(*index).map_or("", |(_, instead)| instead),
            Piece::Filtered(index) => self.filter(usize::from(*index)),
            Piece::As => "AS ",
            Piece::Open => "/*",
            Piece::Close => "*/",
            Piece::Channel => &self.channel,
            Piece::LockKey => &self.lock_key,
            Piece::LockPair => &self.lock_pair,
            Piece::LockComma => keys::LOCK_COMMA,
            Piece::LockEnd => keys::LOCK_END,
            Piece::End => ")",
            Piece::Unreadable => "\n\\",
            Piece::Text(text) => text,
        };
        text.as_bytes()
    }
}

/// The beginning of a statement that is added behind one of the text's.
pub const BEHIND: &str = "; ";

/// `text` with an insert at each splice, and with the statements of `places` at their byte offsets. Both are sorted,
/// as in a plan. An insert that begins with [`BEHIND`] comes behind a splice at the same place.
pub fn rewrite<'a>(
    text: &'a [u8],
    splices: &'a [Splice],
    prefixes: &'a Prefixes,
    places: &'a [(usize, String)],
) -> Rewritten<'a> {
    let mut out = Rewritten::default();
    let (mut places, mut splices) = (places.iter().peekable(), splices.iter().peekable());
    let (mut done, mut done_chars) = (0, 0);
    loop {
        let (place, behind) =
            places.peek().map_or((usize::MAX, false), |(at, sql)| (*at, sql.starts_with(BEHIND)));
        let splice = splices.peek().map_or(usize::MAX, |splice| splice.at);
        let at = place.min(splice);
        let until = at.min(text.len());
        let piece = text.get(done..until).unwrap_or_default();
        out.pieces.push(piece);
        if at == usize::MAX {
            return out;
        }
        done_chars += chars(piece);
        let (insert, cut) = if place < splice || place == splice && !behind {
            (places.next().map_or(&[][..], |(_, sql)| sql.as_bytes()), 0)
        } else {
            splices.next().map_or((&[][..], 0), |splice| {
                out.map.unreadable |= splice.insert == Piece::Unreadable;
                (prefixes.get(&splice.insert), splice.cut as usize)
            })
        };
        done = until.saturating_add(cut).min(text.len());
        let cut = chars(text.get(until..done).unwrap_or_default());
        out.map.add(done_chars, chars(insert), cut);
        done_chars += cut;
        out.pieces.push(insert);
    }
}

/// The changes of a text, in order. Positions are counted in characters, like the `P` field of PostgreSQL's errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionMap {
    inserts: SmallVec<[Insert; 2]>,
    /// The last change is [`Piece::Unreadable`].
    unreadable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Insert {
    /// The number of characters of the client's text in front of it.
    at: usize,
    /// The number of characters of the sent text in front of it.
    sent: usize,
    /// The number of inserted characters.
    length: usize,
    /// The number of replaced characters of the client's text.
    cut: usize,
}

impl PositionMap {
    /// Whether the client's text was sent unchanged.
    pub fn is_empty(&self) -> bool {
        self.inserts.is_empty()
    }

    /// Whether `position` (from 1) in the sent text is behind the client's text, which PostgreSQL cannot parse: such
    /// an error is about the text's end.
    pub fn is_end_of_input(&self, position: usize) -> bool {
        let last = self.inserts.last().filter(|_| self.unreadable);
        last.is_some_and(|last| position > last.at)
    }

    /// The position (from 1) in the client's text for one in the sent text. A position in an insert maps to the
    /// character behind the insert.
    pub fn to_client(&self, position: usize) -> usize {
        let sent = position.saturating_sub(1);
        let before = self.inserts.partition_point(|insert| {
            steps::count(1);
            insert.sent <= sent
        });
        let Some(insert) = before.checked_sub(1).and_then(|last| self.inserts.get(last)) else {
            return sent + 1;
        };
        match sent.checked_sub(insert.sent + insert.length) {
            Some(behind) => insert.at + insert.cut + behind + 1,
            None => insert.at + 1,
        }
    }

    /// Records an insert of `length` characters behind `at` characters of the client's text, in place of `cut`
    /// characters.
    fn add(&mut self, at: usize, length: usize, cut: usize) {
        let sent = match self.inserts.last() {
            Some(last) => last.sent + last.length + (at - last.at - last.cut),
            None => at,
        };
        self.inserts.push(Insert { at, sent, length, cut });
    }
}

/// The number of characters of UTF-8 text; for a single-byte encoding slightly too few.
fn chars(text: &[u8]) -> usize {
    text.iter().filter(|b| (**b & 0xC0) != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_from_a_text_with_all_kinds_of_inserts() {
        let text = "select é from users u, items i where x";
        let at = |needle: &str| text.find(needle).unwrap();
        let prefixes = Prefixes::of(&crate::tests::plans::scope());
        let splices = [at("users"), at("items")].map(|at| Splice::new(at, Piece::Schema(SchemaRef::Tenant)));
        let places = [(0, "SET path; ".to_owned())];
        let rewritten = rewrite(text.as_bytes(), &splices, &prefixes, &places);
        let sent = String::from_utf8(rewritten.pieces.concat()).unwrap();
        assert_eq!(sent, "SET path; select é from \"acme\".users u, \"acme\".items i where x");
        let position = |text: &str, needle: &str| text[..text.rfind(needle).unwrap()].chars().count() + 1;
        for (found, back) in
            [("é", "é"), ("users", "users"), ("\"acme\".users", "users"), ("items", "items"), ("x", "x")]
        {
            assert_eq!(rewritten.map.to_client(position(&sent, found)), position(text, back), "{found}");
        }
        assert_eq!(rewritten.map.to_client(3), 1);
    }

    #[test]
    fn statement_behind_another_comes_behind_what_is_spliced_there() {
        let prefixes = Prefixes::of(&crate::tests::plans::scope());
        let splices = [0, 4].map(|at| Splice::new(at, Piece::Text("|".into())));
        let places = [(0, "a; ".to_owned()), (4, "; b".to_owned())];
        let rewritten = rewrite(b"text -- c", &splices, &prefixes, &places);
        assert_eq!(rewritten.pieces.concat(), b"a; |text|; b -- c");
    }

    #[test]
    fn position_behind_a_prefix_moves_back() {
        let map = map(&[(0, 10, 0)]);
        assert_eq!(map.to_client(11), 1);
        assert_eq!(map.to_client(15), 5);
        assert_eq!(map.to_client(3), 1);
    }

    #[test]
    fn position_between_two_inserts_moves_by_the_first() {
        let map = map(&[(14, 7, 0), (30, 7, 0)]);
        assert_eq!(map.to_client(8), 8);
        assert_eq!(map.to_client(14 + 7 + 3), 17);
        assert_eq!(map.to_client(30 + 14 + 1), 31);
    }

    #[test]
    fn position_behind_what_was_cut_moves_on() {
        // `aaaa` was replaced by `bb`, and `cc` was removed.
        let map = map(&[(7, 2, 4), (20, 0, 2)]);
        assert_eq!(map.to_client(7), 7);
        assert_eq!(map.to_client(8), 8);
        assert_eq!(map.to_client(10), 12);
        assert_eq!(map.to_client(18), 20);
        assert_eq!(map.to_client(19), 23);
    }

    fn map(inserts: &[(usize, usize, usize)]) -> PositionMap {
        let mut map = PositionMap::default();
        inserts.iter().for_each(|&(at, length, cut)| map.add(at, length, cut));
        map
    }
}
