//! The scanner takes steps in proportion to its text, whatever that is.

use pgstrata_testkit::{FAMILIES, Mixtures};

use super::{Lexer, TokenKind, steps};

fn steps(text: &str) -> u64 {
    steps::of(|| Lexer::new(text.as_bytes(), true).count())
}

/// So often each byte may be looked at. Most are once or twice; more where a token's end is known by what stands
/// behind it, as with strings that may go on in the next line.
const LOOKS: u64 = 8;

#[test]
fn steps_grow_as_the_text_does() {
    for family in FAMILIES {
        for count in [family.count_for(4 << 10), family.count_for(16 << 10)] {
            let (few, many) = (steps(&family.text(count)), steps(&family.text(4 * count)));
            assert!(
                many <= 5 * few,
                "{}: {few} steps, and {many} for a text of four times the length",
                family.name
            );
        }
    }
}

#[test]
fn no_byte_is_looked_at_more_than_a_few_times() {
    let texts = FAMILIES.iter().map(|family| (family.name.to_owned(), family.of_size(64 << 10)));
    let mixtures =
        Mixtures::new(1, 16 << 10).take(400).map(|mixture| (mixture.families.join(", "), mixture.text));
    for (name, text) in texts.chain(mixtures) {
        let taken = steps(&text);
        assert!(taken <= LOOKS * (text.len() as u64 + 64), "{name}: {taken} steps for {} bytes", text.len());
    }
}

/// The rule of `scan.l`, step by step.
fn operator_by_the_book(text: &[u8]) -> usize {
    let is_sign = |c: &u8| b"~!@#^&|`?+-*/%<>=".contains(c);
    let mut signs = text.iter().take_while(|c| is_sign(c)).count();
    let comment = text[..signs].windows(2).position(|pair| pair == b"/*" || pair == b"--");
    signs = comment.unwrap_or(signs);
    if signs > 1
        && b"+-".contains(&text[signs - 1])
        && !text[..signs - 1].iter().any(|c| b"~!@#^&|`?%".contains(c))
    {
        while signs > 1 && b"+-".contains(&text[signs - 1]) {
            signs -= 1;
        }
    }
    signs
}

#[test]
fn operators_are_read_as_by_the_book() {
    const SIGNS: &[u8] = b"+-*/@=a ";
    for number in 0..SIGNS.len().pow(6) {
        let text: Vec<u8> =
            (0..6).map(|digit| SIGNS[number / SIGNS.len().pow(digit) % SIGNS.len()]).collect();
        for token in Lexer::new(&text, true).filter(|token| token.kind == TokenKind::Op) {
            let (start, end) = (token.start as usize, token.end as usize);
            assert_eq!(
                end - start,
                operator_by_the_book(&text[start..]),
                "{}",
                String::from_utf8_lossy(&text)
            );
        }
    }
}
