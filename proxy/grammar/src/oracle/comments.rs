//! Comments, which the scanner of this libpg_query makes tokens of.
//!
//! They are blanks to PostgreSQL. As tokens they come between two that PostgreSQL's parser looks at together
//! (`NOT /* */ IN`), or between the parts of one string (`'a' -- c`, and `'b'` on the next line), and a text that
//! PostgreSQL can read is refused.

use std::borrow::Cow;

use super::scanned;

/// `SQL_COMMENT` and `C_COMMENT` in libpg_query's `Token`.
const COMMENTS: [u64; 2] = [275, 276];

/// Whether a token is a comment, by its number.
pub(super) fn is_comment(number: u64) -> bool {
    COMMENTS.contains(&number)
}

/// `text` with blanks for the bytes of its comments: all else stands where it stood.
///
/// A comment of C's form between two strings is left: blanks there could make one string of them. The scanner says
/// what is a comment, once for each that there might be: this is for tests, not for texts of many.
pub fn without_comments(text: &str) -> Cow<'_, str> {
    if next(text.as_bytes(), 0).is_none() {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(start) = next(&bytes, at) {
        at = match end(&bytes, start) {
            Some(end) => {
                if !parts_strings(&bytes, start, end) {
                    bytes.get_mut(start..end).unwrap_or_default().fill(b' ');
                }
                end
            }
            None => start + 1,
        };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where the next comment might start.
fn next(bytes: &[u8], at: usize) -> Option<usize> {
    let pairs = bytes.get(at..)?.windows(2);
    pairs.enumerate().find(|(_, pair)| *pair == b"--" || *pair == b"/*").map(|(place, _)| at + place)
}

/// The end of the comment that starts at `start`, if one does.
///
/// Comments in front of it are blanks already, so that the scanner reads what is in front of it as PostgreSQL does.
fn end(bytes: &[u8], start: usize) -> Option<usize> {
    let behind = bytes.get(start..)?;
    let is_end = |end: &usize| {
        let front = bytes.get(..*end).and_then(|front| std::str::from_utf8(front).ok());
        let last = front.and_then(scanned).and_then(|tokens| tokens.last().copied());
        last.is_some_and(|last| (last.start, last.end) == (start, *end) && is_comment(last.number))
    };
    if behind.starts_with(b"--") {
        let line = behind.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(behind.len());
        return Some(start + line).filter(is_end);
    }
    let stops = behind.windows(2).enumerate().filter(|(_, pair)| *pair == b"*/");
    stops.map(|(place, _)| start + place + 2).find(is_end)
}

/// Whether strings may be kept apart by what stands here: a comment of C's form, which is no blank to strings.
fn parts_strings(bytes: &[u8], start: usize, end: usize) -> bool {
    let is_other = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c');
    let front = bytes.get(..start).unwrap_or_default().iter().rfind(is_other);
    let behind = bytes.get(end..).unwrap_or_default();
    let behind = behind.get(behind.iter().position(|byte| is_other(&byte)).unwrap_or(behind.len())..);
    // Behind another comment a string may follow.
    let may_be_string =
        ["'", "--", "/*"].iter().any(|start| behind.unwrap_or_default().starts_with(start.as_bytes()));
    bytes.get(start) == Some(&b'/') && front == Some(&b'\'') && may_be_string
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tree;

    #[test]
    fn comments_are_blanks_and_all_else_stands() {
        for (text, wanted) in [
            ("a -- b\nc --", "a     \nc   "),
            ("a/* -- b */c/**/", "a          c    "),
            ("/* é /* */ x*/ -- */", "                     "),
            ("'--' \"/*\" $$ -- $$ E'\\' -- ' --'", "'--' \"/*\" $$ -- $$ E'\\' -- '    "),
            ("a +--b\r\n- */**/ c", "a +   \r\n- *     c"),
            ("'a' -- b'\n'c -- d'", "'a'      \n'c -- d'"),
            ("E'a' -- b\n'\\' -- c' -- d", "E'a'     \n'\\' -- c'     "),
            ("'a' /* b */ \n 'c' /* */ d", "'a' /* b */ \n 'c'       d"),
            ("'a'/* b */--\n'c'", "'a'/* b */  \n'c'"),
            ("'a' /* b */ /* c */ 'd'", "'a' /* b */         'd'"),
            ("'a -- b", "'a -- b"),
            ("/* a /* b */", "/* a /* b */"),
        ] {
            assert_eq!(without_comments(text), wanted);
        }
    }

    #[test]
    fn texts_are_read_as_without_comments() {
        for text in [
            "select a not /* b */ in (1)",
            "select * from f() with -- b\n ordinality",
            "select U&'!0061' -- b\n uescape /* c */ '!'",
            "select 'a' -- b\n'c'",
            "select E'a' -- b\n'\\' c'",
        ] {
            let tree = Tree::parse(&without_comments(text));
            assert!(tree.is_ok(), "{text}: {tree:?}");
        }
        assert!(Tree::parse(&without_comments("select 'a' /* b */ \n 'c'")).is_err());
    }
}
