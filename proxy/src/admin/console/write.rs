//! Answers of the console as messages; the only place that writes rows.

use bytes::{BufMut, BytesMut};

use super::table::{Cell, Column, Row, Type};
use crate::wire::message::{self, Severity};
use crate::wire::refusal::Refusal;

/// The format in which a client wants a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As text.
    #[default]
    Text,
    /// PostgreSQL's binary format.
    Binary,
}

/// The formats of a portal's columns, from its `Bind`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(Vec<Format>);

/// The base of a group of digits of a binary `numeric`: 10^4.
const NUMERIC_BASE: u64 = 10_000;

impl Formats {
    /// None: all as text. One: the same for all. Otherwise one for each column.
    pub fn new(formats: Vec<Format>) -> Self {
        Self(formats)
    }

    /// Whether they are valid for this number of columns.
    pub fn fit(&self, columns: usize) -> bool {
        matches!(self.0.len(), 0 | 1) || self.0.len() == columns
    }

    /// The number of formats.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn of(&self, column: usize) -> Format {
        match &self.0[..] {
            [] => Format::Text,
            [all] => *all,
            each => each.get(column).copied().unwrap_or_default(),
        }
    }
}

/// `RowDescription`.
pub fn description(out: &mut BytesMut, columns: &[Column], formats: &Formats) {
    let mut body = BytesMut::with_capacity(32 * columns.len());
    body.put_u16(columns.len() as u16);
    for (at, Column(name, kind)) in columns.iter().enumerate() {
        body.put_slice(name.as_bytes());
        body.put_u8(0);
        // Of no table, and without a type modifier.
        body.put_u32(0);
        body.put_u16(0);
        body.put_u32(kind.oid());
        body.put_i16(kind.length());
        body.put_i32(-1);
        body.put_u16(u16::from(formats.of(at) == Format::Binary));
    }
    message::raw(out, b'T', &body);
}

/// `DataRow`.
pub fn row(out: &mut BytesMut, columns: &[Column], row: &Row, formats: &Formats) {
    let mut body = BytesMut::with_capacity(16 * columns.len());
    body.put_u16(columns.len() as u16);
    for (at, Column(_, kind)) in columns.iter().enumerate() {
        put_cell(&mut body, row.get(at).unwrap_or(&Cell::Null), *kind, formats.of(at));
    }
    message::raw(out, b'D', &body);
}

fn put_cell(out: &mut BytesMut, cell: &Cell, kind: Type, format: Format) {
    match (cell, kind, format) {
        (Cell::Null, ..) => out.put_i32(-1),
        (Cell::Text(text), ..) => put_value(out, text.as_bytes()),
        (Cell::Number(number), Type::Int4, Format::Binary) => put_value(out, &int4(*number).to_be_bytes()),
        (Cell::Number(number), Type::Int8, Format::Binary) => put_value(out, &int8(*number).to_be_bytes()),
        (Cell::Number(number), Type::Numeric, Format::Binary) => put_value(out, &numeric(*number)),
        (Cell::Number(number), Type::Int4, _) => put_value(out, int4(*number).to_string().as_bytes()),
        (Cell::Number(number), Type::Int8, _) => put_value(out, int8(*number).to_string().as_bytes()),
        (Cell::Number(number), ..) => put_value(out, number.to_string().as_bytes()),
    }
}

fn put_value(out: &mut BytesMut, value: &[u8]) {
    out.put_u32(value.len() as u32);
    out.put_slice(value);
}

fn int4(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn int8(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// In the format of `numeric_send`: groups of four digits, the weight of the first, no sign, no fraction.
fn numeric(number: u64) -> Vec<u8> {
    let mut groups = Vec::new();
    let mut left = number;
    while left > 0 {
        groups.push((left % NUMERIC_BASE) as u16);
        left /= NUMERIC_BASE;
    }
    let weight = (groups.len() as i16 - 1).max(0);
    // Groups of zeros at the end are not sent.
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    let mut value = Vec::with_capacity(8 + 2 * groups.len());
    value.put_u16(groups.len() as u16);
    value.put_i16(weight);
    value.put_u16(0);
    value.put_u16(0);
    for group in groups.iter().rev() {
        value.put_u16(*group);
    }
    value
}

/// `CommandComplete`.
pub fn complete(out: &mut BytesMut, tag: &str) {
    let mut body = BytesMut::with_capacity(tag.len() + 1);
    body.put_slice(tag.as_bytes());
    body.put_u8(0);
    message::raw(out, b'C', &body);
}

/// `ErrorResponse`, after which the session continues.
pub fn error(out: &mut BytesMut, refusal: &Refusal) {
    message::error(out, Severity::Error, refusal.code, &refusal.message, refusal.hint.as_deref());
}

/// `NoticeResponse`.
pub fn notice(out: &mut BytesMut, text: &str) {
    let fields = [(b'S', "NOTICE"), (b'V', "NOTICE"), (b'C', "00000"), (b'M', text)];
    message::fields(out, b'N', fields.map(|(code, value)| (code, value.as_bytes())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_in_binary_is_as_postgresql_sends_it() {
        // SELECT numeric_send(n)
        for (number, sent) in [
            (0, "0000000000000000"),
            (7, "00010000000000000007"),
            (10_000, "00010001000000000001"),
            (123_456_789, "00030002000000000001" /* 1 */),
        ] {
            let hex: String = numeric(number).iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(hex.starts_with(sent), "{number}: {hex}");
        }
        assert_eq!(numeric(123_456_789), [0, 3, 0, 2, 0, 0, 0, 0, 0, 1, 0x09, 0x29, 0x1a, 0x85]);
    }

    #[test]
    fn number_that_is_too_large_is_the_largest_of_its_type() {
        let mut out = BytesMut::new();
        row(&mut out, &[Column("n", Type::Int4)], &vec![u64::MAX.into()], &Formats::default());
        assert!(out.ends_with(b"2147483647"));
    }
}
