//! The answer of libpg_query's scanner: a protobuf message with a list of tokens.

/// A token; comments are tokens too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Token {
    /// Its first byte.
    pub start: usize,
    /// The byte behind its last one.
    pub end: usize,
    /// What it is, by its number in libpg_query's `Token`.
    pub number: u64,
}

/// Of the message `ScanResult`, whose second field is a list of `ScanToken`. `None` for any other message.
pub(super) fn tokens(mut message: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    while !message.is_empty() {
        match field(&mut message)? {
            (2, Field::Message(inner)) => tokens.push(token(inner)?),
            (2, Field::Number(_)) => return None,
            _ => {}
        }
    }
    Some(tokens)
}

/// Of the message `ScanToken`. Zeros are left out of it.
fn token(mut message: &[u8]) -> Option<Token> {
    let mut token = Token::default();
    while !message.is_empty() {
        match field(&mut message)? {
            (1, Field::Number(number)) => token.start = usize::try_from(number).ok()?,
            (2, Field::Number(number)) => token.end = usize::try_from(number).ok()?,
            (4, Field::Number(number)) => token.number = number,
            (_, Field::Number(_)) => {}
            _ => return None,
        }
    }
    Some(token)
}

/// The value of a field, of the two forms that `ScanResult` has.
enum Field<'a> {
    Number(u64),
    Message(&'a [u8]),
}

/// Takes a field from the front of `message`: its number and value.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = varint(message)?;
    let value = match tag & 7 {
        0 => Field::Number(varint(message)?),
        2 => {
            let length = usize::try_from(varint(message)?).ok()?;
            let (inner, behind) = message.split_at_checked(length)?;
            *message = behind;
            Field::Message(inner)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

/// Takes a number from the front of `message`: seven bits in each byte, the lowest first.
fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = message.split_first()?;
        *message = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_several_bytes_are_read() {
        let token = Token { start: 300, end: 301, number: 0 };
        assert_eq!(tokens(&[8, 1, 18, 6, 8, 0xac, 2, 16, 0xad, 2]), Some(vec![token]));
    }

    #[test]
    fn messages_that_end_early_are_no_tokens() {
        // Version 1, then a token of one field.
        assert_eq!(tokens(&[8, 1, 18, 2, 8, 5]), Some(vec![Token { start: 5, ..Token::default() }]));
        for message in [&[8, 1, 18, 3, 8, 5][..], &[8, 0x80], &[18], &[16, 1], &[18, 2, 13, 1]] {
            assert_eq!(tokens(message), None, "{message:?}");
        }
    }
}
