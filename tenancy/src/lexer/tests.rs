use super::*;
use TokenKind::*;

fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
    lexed(text, true)
}

fn lexed(text: &str, conforming: bool) -> Vec<(TokenKind, &str)> {
    Lexer::new(text.as_bytes(), conforming).map(|t| (t.kind, &text[t.span()])).collect()
}

#[test]
fn strings_of_all_kinds() {
    assert_eq!(kinds("'a''b'"), [(Str, "'a''b'")]);
    assert_eq!(kinds(r"E'a\'b' 'x\'"), [(EscapeStr, r"E'a\'b'"), (Str, r"'x\'")]);
    assert_eq!(lexed(r"'a\'b'", false), [(Str, r"'a\'b'")]);
    assert_eq!(kinds("B'01' x'1f' n'z'"), [(BitStr, "B'01'"), (HexStr, "x'1f'"), (NationalStr, "n'z'")]);
    assert_eq!(kinds("b'0''1'"), [(BitStr, "b'0'"), (Str, "'1'")]);
    assert_eq!(kinds("$$a$b$$ $x$ $$ $x$"), [(DollarStr, "$$a$b$$"), (DollarStr, "$x$ $$ $x$")]);
    assert_eq!(kinds("U&'d!0061' UESCAPE '!'"), [(UnicodeStr, "U&'d!0061' UESCAPE '!'")]);
}

#[test]
fn strings_continue_on_another_line() {
    assert_eq!(kinds("'a'\n  'b' 'c'"), [(Str, "'a'\n  'b'"), (Str, "'c'")]);
    assert_eq!(kinds("'a' -- no\n -- more\n'b'"), [(Str, "'a' -- no\n -- more\n'b'")]);
    assert_eq!(kinds("'a' /* x \n */ 'b'").len(), 2);
    assert_eq!(kinds("E'a'\n'\\''").len(), 1);
}

#[test]
fn identifiers_of_all_kinds() {
    assert_eq!(
        kinds("a$1 \"b\"\"c\" é_ U&\"d\""),
        [(Word, "a$1"), (Quoted, "\"b\"\"c\""), (Word, "é_"), (UnicodeQuoted, "U&\"d\""),]
    );
    assert_eq!(kinds("U&\"d!61\"/* */uescape '!'.x").len(), 3);
    let doubled = [(UnicodeStr, "U&'d'"), (Word, "uescape"), (Str, "'!''!'")];
    assert_eq!(kinds("U&'d'uescape'!''!'"), doubled);
}

#[test]
fn comments_nest_and_end() {
    assert_eq!(kinds("1 /* a /* b */ c */ + -- x\n2"), [(Number, "1"), (Op, "+"), (Number, "2")]);
    assert_eq!(kinds("a /* never"), [(Word, "a"), (Error, "/* never")]);
    assert_eq!(kinds("/**/a/***/b"), [(Word, "a"), (Word, "b")]);
}

#[test]
fn operators_by_the_rule() {
    assert_eq!(kinds("a=-1"), [(Word, "a"), (Op, "="), (Op, "-"), (Number, "1")]);
    assert_eq!(kinds("a@-1"), [(Word, "a"), (Op, "@-"), (Number, "1")]);
    assert_eq!(kinds("a*/*x*/b"), [(Word, "a"), (Op, "*"), (Word, "b")]);
    assert_eq!(kinds("a+--x"), [(Word, "a"), (Op, "+")]);
    assert_eq!(kinds("x::int:=y"), [(Word, "x"), (Cast, "::"), (Word, "int"), (Assign, ":="), (Word, "y")]);
}

#[test]
fn numbers_of_all_kinds() {
    for n in ["1", "1.5", "1.", ".5", "1e10", "1.5E-3", "1_000", "0x1F", "0b01", "0o17", "1_0.0_1"] {
        assert_eq!(kinds(n), [(Number, n)], "{n}");
    }
    assert_eq!(kinds("1..2"), [(Number, "1"), (DotDot, ".."), (Number, "2")]);
    assert_eq!(kinds("$12"), [(Param, "$12")]);
}

#[test]
fn what_has_no_end_is_one_error() {
    for text in ["'a", "\"a", "$$a", "E'a\\'", "U&\"x", "/*", "B'0"] {
        assert_eq!(kinds(text), [(Error, text)], "{text}");
    }
}
