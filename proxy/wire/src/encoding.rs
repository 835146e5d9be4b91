//! Client encodings in which an ASCII byte is always that ASCII character.

use super::refusal::{Refusal, sqlstate};

/// Whether SQL in this client encoding can be scanned for ASCII bytes.
///
/// In SJIS, BIG5, GBK, UHC, GB18030, JOHAB and SHIFT_JIS_2004 the second byte
/// of a character may be a backslash or a quote's neighbour. A name that
/// PostgreSQL does not know is not safe either.
/// See <https://www.postgresql.org/docs/current/multibyte.html>.
pub fn is_ascii_safe(name: &str) -> bool {
    let name = folded(name);
    match name.as_str() {
        "abc" | "alt" | "euccn" | "eucjis2004" | "eucjp" | "euckr" | "euctw" | "koi8" | "koi8r" | "koi8u"
        | "muleinternal" | "sqlascii" | "tcvn" | "tcvn5712" | "unicode" | "utf8" | "vscii" | "win" => true,
        _ => is_single_byte(&name),
    }
}

/// Refuses a `client_encoding` that the proxy cannot scan, and an unknown one in PostgreSQL's words: an encoding that
/// a newer PostgreSQL adds is not assumed to be safe.
pub fn check_client_encoding(value: &str) -> Result<(), Refusal> {
    if is_ascii_safe(value) {
        return Ok(());
    }
    let refusal = |message: String| Refusal::new(sqlstate::INVALID_PARAMETER_VALUE, message);
    Err(match is_unsafe(value) {
        true => refusal(format!("client encoding \"{value}\" is not supported"))
            .hint("Use UTF8, or another encoding whose characters hold no ASCII bytes."),
        false => refusal(format!("invalid value for parameter \"client_encoding\": \"{value}\"")),
    })
}

/// Whether it is a PostgreSQL encoding in which the second byte of a character may be an ASCII byte.
fn is_unsafe(name: &str) -> bool {
    matches!(
        folded(name).as_str(),
        "big5"
            | "gb18030"
            | "gbk"
            | "johab"
            | "mskanji"
            | "shiftjis"
            | "shiftjis2004"
            | "sjis"
            | "uhc"
            | "win932"
            | "win936"
            | "win949"
            | "win950"
            | "windows932"
            | "windows936"
            | "windows949"
            | "windows950"
    )
}

/// The families of single-byte encodings, by number.
fn is_single_byte(name: &str) -> bool {
    let number = |prefix: &str| name.strip_prefix(prefix).and_then(|n| n.parse::<u16>().ok());
    let windows = |n| matches!(n, 866 | 874 | 1250..=1258);
    number("windows").is_some_and(windows)
        || number("win").is_some_and(windows)
        || number("latin").is_some_and(|n| (1..=10).contains(&n))
        || number("iso8859").is_some_and(|n| matches!(n, 1..=10 | 13..=16))
}

/// As PostgreSQL's `clean_encoding_name`: letters and digits only, in lower case.
fn folded(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_with_ascii_trail_bytes_are_refused_under_every_name() {
        for name in [
            "SJIS", "mskanji", "Shift_JIS", "WIN932", "windows-932", "BIG5", "WIN950", "GBK", "WIN936",
            "UHC", "WIN949", "windows949", "GB18030", "JOHAB", "SHIFT_JIS_2004", "'sjis'", "", "nonsense",
        ] {
            assert!(!is_ascii_safe(name), "{name}");
        }
    }

    #[test]
    fn other_encodings_are_let_through() {
        for name in [
            "UTF8", "utf-8", "UNICODE", "SQL_ASCII", "LATIN1", "latin-10", "ISO_8859_15", "WIN1252",
            "windows1251", "EUC_JP", "EUC_JIS_2004", "KOI8R", "win",
        ] {
            assert!(is_ascii_safe(name), "{name}");
        }
        let refusal = check_client_encoding("SJIS").unwrap_err();
        assert_eq!((refusal.code, refusal.message.contains("not supported")), ("22023", true));
        for name in ["", "nonsense", "SJIS2", "\u{fc}"] {
            let refusal = check_client_encoding(name).unwrap_err();
            assert_eq!(
                refusal.message,
                format!("invalid value for parameter \"client_encoding\": \"{name}\"")
            );
        }
    }
}
