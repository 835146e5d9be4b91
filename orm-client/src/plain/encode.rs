//! From PostgreSQL's binary form to a plain value, and back.

use std::net::IpAddr;

use bytes::BytesMut;
use serde_json::Value as Json;
use tokio_postgres::types::{FromSql, Kind, ToSql, Type};

use super::{Failure, Value, moments};

/// What PostgreSQL's binary form of a value of this type says.
pub(super) fn value(kind: &Type, raw: &[u8]) -> Result<Value, Failure> {
    if let Kind::Array(element) = kind.kind() {
        return Ok(Value::Text(Json::Array(elements(element, raw)?).to_string()));
    }
    Ok(match *kind {
        Type::BOOL => Value::Integer(i64::from(raw.first() == Some(&1))),
        Type::INT2 => Value::Integer(i16::from_be_bytes(raw.try_into()?).into()),
        Type::INT4 => Value::Integer(i32::from_be_bytes(raw.try_into()?).into()),
        Type::INT8 => Value::Integer(i64::from_be_bytes(raw.try_into()?)),
        Type::FLOAT4 => Value::Real(f32::from_be_bytes(raw.try_into()?).into()),
        Type::FLOAT8 => Value::Real(f64::from_be_bytes(raw.try_into()?)),
        Type::TEXT | Type::JSON => Value::Text(std::str::from_utf8(raw)?.to_owned()),
        // A version comes first.
        Type::JSONB => Value::Text(std::str::from_utf8(raw.get(1..).unwrap_or_default())?.to_owned()),
        Type::BYTEA => Value::Bytes(raw.to_vec()),
        Type::TIMESTAMPTZ | Type::TIMESTAMP => {
            Value::Text(moments::timestamp(i64::from_be_bytes(raw.try_into()?))?)
        }
        Type::DATE => Value::Text(moments::date(i32::from_be_bytes(raw.try_into()?))?),
        Type::TIME => Value::Text(moments::time(i64::from_be_bytes(raw.try_into()?))),
        Type::UUID => Value::Text(uuid(raw.try_into()?)),
        Type::INET => Value::Text(IpAddr::from_sql(kind, raw)?.to_string()),
        _ => return Err(format!("a value of type {kind} is none that the database keeps").into()),
    })
}

/// The binary form of this type that a plain value has.
pub(super) fn raw(kind: &Type, value: &Value) -> Result<Vec<u8>, Failure> {
    let wrong = || Failure::from(format!("{} is no {kind}", value.name()));
    Ok(match (value, kind) {
        (Value::Integer(number), &Type::BOOL) => vec![u8::from(*number != 0)],
        (Value::Integer(number), &Type::INT2) => i16::try_from(*number)?.to_be_bytes().into(),
        (Value::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_be_bytes().into(),
        (Value::Integer(number), &Type::INT8) => number.to_be_bytes().into(),
        (Value::Integer(number), &Type::FLOAT8) => (*number as f64).to_be_bytes().into(),
        (Value::Integer(number), &Type::FLOAT4) => (*number as f32).to_be_bytes().into(),
        (Value::Real(number), &Type::FLOAT8) => number.to_be_bytes().into(),
        (Value::Real(number), &Type::FLOAT4) => (*number as f32).to_be_bytes().into(),
        (Value::Bytes(bytes), &Type::BYTEA) => bytes.clone(),
        (Value::Text(text), kind) => of_text(kind, text)?,
        _ => return Err(wrong()),
    })
}

fn of_text(kind: &Type, text: &str) -> Result<Vec<u8>, Failure> {
    if let Kind::Array(element) = kind.kind() {
        return array(element, text);
    }
    Ok(match *kind {
        Type::TEXT | Type::JSON => text.as_bytes().to_vec(),
        Type::JSONB => [&[1], text.as_bytes()].concat(),
        Type::TIMESTAMPTZ | Type::TIMESTAMP => moments::read_timestamp(text)?.to_be_bytes().into(),
        Type::DATE => moments::read_date(text)?.to_be_bytes().into(),
        Type::TIME => moments::read_time(text)?.to_be_bytes().into(),
        Type::UUID => read_uuid(text)?.to_be_bytes().into(),
        Type::INET => {
            let mut raw = BytesMut::new();
            text.parse::<IpAddr>()?.to_sql(kind, &mut raw)?;
            raw.to_vec()
        }
        Type::FLOAT8 => text.parse::<f64>()?.to_be_bytes().into(),
        Type::FLOAT4 => text.parse::<f32>()?.to_be_bytes().into(),
        _ => return Err(format!("a text is no {kind}").into()),
    })
}

fn uuid(bytes: [u8; 16]) -> String {
    let mut text = format!("{:032x}", u128::from_be_bytes(bytes));
    for dash in [20, 16, 12, 8] {
        text.insert(dash, '-');
    }
    text
}

fn read_uuid(text: &str) -> Result<u128, Failure> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    match digits.len() {
        32 => Ok(u128::from_str_radix(&digits, 16)?),
        _ => Err(format!("{text:?} is no UUID").into()),
    }
}

/// Takes so many bytes off the front.
fn take<'r, const N: usize>(raw: &mut &'r [u8]) -> Result<[u8; N], Failure> {
    let (front, rest): (&'r [u8; N], _) = raw.split_first_chunk().ok_or("an array ends too early")?;
    *raw = rest;
    Ok(*front)
}

/// The elements of PostgreSQL's binary form of an array: dimensions, whether there are NULLs, the type; then each dimension's length and
/// first number; then the elements, each with its length in front.
fn elements(element: &Type, mut raw: &[u8]) -> Result<Vec<Json>, Failure> {
    let dimensions = i32::from_be_bytes(take(&mut raw)?);
    take::<8>(&mut raw)?;
    if dimensions > 1 {
        return Err("an array of arrays is none that the database keeps".into());
    }
    if dimensions == 1 {
        take::<8>(&mut raw)?;
    }
    let mut elements = Vec::new();
    while !raw.is_empty() {
        let length = i32::from_be_bytes(take(&mut raw)?);
        let Ok(length) = usize::try_from(length) else {
            elements.push(Json::Null);
            continue;
        };
        let (value_raw, rest) = raw.split_at_checked(length).ok_or("an array ends too early")?;
        raw = rest;
        elements.push(match value(element, value_raw)? {
            Value::Integer(number) if *element == Type::BOOL => Json::Bool(number != 0),
            Value::Integer(number) => number.into(),
            Value::Real(number) => number.into(),
            Value::Text(text) => text.into(),
            Value::Null => Json::Null,
            Value::Bytes(_) => return Err("an array of bytes is none that the database keeps".into()),
        });
    }
    Ok(elements)
}

fn array(element: &Type, text: &str) -> Result<Vec<u8>, Failure> {
    let elements: Vec<Json> = serde_json::from_str(text)?;
    let count = i32::try_from(elements.len())?;
    let mut raw = Vec::new();
    raw.extend(i32::from(count > 0).to_be_bytes());
    raw.extend(i32::from(elements.contains(&Json::Null)).to_be_bytes());
    raw.extend(element.oid().to_be_bytes());
    if count > 0 {
        raw.extend(count.to_be_bytes());
        raw.extend(1i32.to_be_bytes());
    }
    for value in elements {
        let value = match value {
            Json::Null => {
                raw.extend((-1i32).to_be_bytes());
                continue;
            }
            Json::Bool(truth) => Value::Integer(truth.into()),
            Json::String(text) => Value::Text(text),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Value::Integer(number),
                None => Value::Real(number.as_f64().ok_or("a number is too large")?),
            },
            Json::Array(_) | Json::Object(_) => return Err("an element of an array is none".into()),
        };
        let bytes = self::raw(element, &value)?;
        raw.extend(i32::try_from(bytes.len())?.to_be_bytes());
        raw.extend(bytes);
    }
    Ok(raw)
}
