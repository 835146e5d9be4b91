//! PgBouncer's `userlist.txt`: users and their secrets, a line for each.
//!
//! `"name" "secret"`: a quote in either is doubled, what stands behind the second is passed over, and so are lines that
//! begin with `;`. See <https://www.pgbouncer.org/config.html#authentication-file-format>.

use std::collections::HashMap;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// The user.
    pub(super) name: String,
    /// A password, an MD5 hash or a SCRAM verifier.
    pub(super) secret: String,
}

/// What is wrong with a line, and its number. Holds no secret.
pub(super) type Broken = (usize, String);

/// All lines of `text`, in their order. The error: the first line that can't be read.
///
/// Unlike PgBouncer, which goes on with what it has read by then, and takes the last of two lines for one user.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, Broken> {
    let mut seen = HashMap::new();
    let mut lines = Vec::new();
    let mut rest = Rest { text, line: 1 };
    while rest.find_line() {
        let number = rest.line;
        let at = |what: &str| (number, what.to_owned());
        let name = rest.quoted().ok_or_else(|| at("it must begin with the user's name in double quotes"))?;
        rest.skip_blanks();
        let secret = rest.quoted();
        let secret = secret.ok_or_else(|| at("behind the name its password must stand, in double quotes"))?;
        rest.skip_line();
        if name.is_empty() {
            return Err(at("the user's name is empty"));
        }
        if name.contains('\0') || secret.contains('\0') {
            return Err(at("a name or a password can't hold a NUL byte"));
        }
        if let Some(first) = seen.insert(name.clone(), number) {
            return Err((number, format!("user \"{name}\" is on line {first} already")));
        }
        lines.push(Line { number, name, secret });
    }
    Ok(lines)
}

/// What has not been read yet.
struct Rest<'a> {
    text: &'a str,
    line: usize,
}

impl Rest<'_> {
    /// Goes to the next line with a user on it; false: there is none.
    fn find_line(&mut self) -> bool {
        loop {
            match self.text.chars().next() {
                None => return false,
                Some(';') => self.skip_line(),
                Some(c) if c.is_ascii_whitespace() => self.advance(c.len_utf8()),
                Some(_) => return true,
            }
        }
    }

    /// A text in quotes; `None` if there is no such text here.
    fn quoted(&mut self) -> Option<String> {
        let mut rest = self.text.strip_prefix('"')?;
        let mut out = String::new();
        loop {
            let (before, behind) = rest.split_once('"')?;
            out.push_str(before);
            match behind.strip_prefix('"') {
                Some(further) => {
                    out.push('"');
                    rest = further;
                }
                None => {
                    self.advance(self.text.len() - behind.len());
                    return Some(out);
                }
            }
        }
    }

    fn skip_blanks(&mut self) {
        let blanks = self.text.len() - self.text.trim_start_matches([' ', '\t']).len();
        self.advance(blanks);
    }

    fn skip_line(&mut self) {
        let end = self.text.find('\n').unwrap_or(self.text.len());
        self.advance(end);
    }

    fn advance(&mut self, bytes: usize) {
        let (read, rest) = self.text.split_at_checked(bytes).unwrap_or((self.text, ""));
        self.line += read.matches('\n').count();
        self.text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String, String)> {
        let lines = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        lines.into_iter().map(|Line { number, name, secret }| (number, name, secret)).collect()
    }

    fn line(number: usize, name: &str, secret: &str) -> (usize, String, String) {
        (number, name.to_owned(), secret.to_owned())
    }

    #[test]
    fn quotes_comments_and_the_rest_of_a_line() {
        let text = "; of the file\n\n\"app\" \"secret\"\r\n  \"a \"\"b\"\"\" \t \"c\"\"\" \"more\" ; and more\n\
                    ;\"gone\" \"x\"\n\"last\" \"\"";
        let expected = [line(3, "app", "secret"), line(4, "a \"b\"", "c\""), line(6, "last", "")];
        assert_eq!(read(text), expected);
        assert_eq!(read("\"app\"\"secret\" \"x\""), [line(1, "app\"secret", "x")]);
        assert_eq!(read(" \n;\n"), []);
    }

    #[test]
    fn broken_line_is_named_and_not_quoted() {
        for (text, number, says) in [
            ("\"a\" \"b\"\napp secret", 2, "must begin"),
            ("\"app\" secret", 1, "in double quotes"),
            ("\"app\"\n\"secret\"", 1, "behind the name"),
            ("\"app\" \"secret", 1, "behind the name"),
            ("\"app", 1, "must begin"),
            ("\"\" \"secret\"", 1, "is empty"),
            ("\"a\" \"1\"\n\"b\" \"2\"\n\"a\" \"secret\"", 3, "on line 1 already"),
            ("\"a\" \"sec\0ret\"", 1, "NUL"),
        ] {
            let (line, error) = parse(text).unwrap_err();
            assert!(line == number && error.contains(says), "{text}: {line} {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
