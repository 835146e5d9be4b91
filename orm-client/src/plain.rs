//! Values of databases that do not have PostgreSQL's types.
//!
//! A type says how PostgreSQL's driver reads and writes it, by `FromSql` and `ToSql`; its binary form is what goes between a type and a
//! database that knows numbers, texts and bytes alone. So a type of the application's own works on all of them, and says nothing more.
//!
//! # Layout
//! - [`Value`]: what such a database keeps.
//! - [`PlainRow`]: a row of them, read as any type.
//! - `encode`: from PostgreSQL's binary form and back.
//! - `moments`: dates and times as text.

mod encode;
mod moments;

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

/// What goes wrong with one value.
type Failure = Box<dyn StdError + Send + Sync>;

/// What a database keeps that has no more types.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The types that a parameter is tried as: the first that it takes is its own.
const TYPES: [Type; 29] = [
    Type::INT8,
    Type::TEXT,
    Type::INT4,
    Type::BOOL,
    Type::INT2,
    Type::FLOAT8,
    Type::FLOAT4,
    Type::BYTEA,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMP,
    Type::DATE,
    Type::TIME,
    Type::UUID,
    Type::JSONB,
    Type::JSON,
    Type::INET,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT4_ARRAY,
    Type::BOOL_ARRAY,
    Type::INT2_ARRAY,
    Type::FLOAT8_ARRAY,
    Type::FLOAT4_ARRAY,
    Type::UUID_ARRAY,
    Type::INET_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::TIMESTAMP_ARRAY,
    Type::DATE_ARRAY,
    Type::TIME_ARRAY,
];

impl Value {
    /// A parameter as such a database takes it.
    pub(crate) fn of(parameter: &(dyn ToSql + Sync)) -> Result<Self, Failure> {
        let mut refused = None;
        for kind in &TYPES {
            let mut raw = BytesMut::new();
            match parameter.to_sql_checked(kind, &mut raw) {
                Ok(IsNull::Yes) => return Ok(Self::Null),
                Ok(IsNull::No) => return encode::value(kind, &raw),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| "it has no type".into()))
    }

    /// The type that it is read as, of those that `accepts` takes.
    fn kind(&self, accepts: impl Fn(&Type) -> bool) -> Option<Type> {
        let fits = |kind: &&Type| match self {
            Self::Null => true,
            Self::Integer(_) => {
                let numbers = [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::FLOAT8, Type::FLOAT4];
                numbers.contains(kind)
            }
            Self::Real(_) => [Type::FLOAT8, Type::FLOAT4].contains(kind),
            Self::Bytes(_) => **kind == Type::BYTEA,
            Self::Text(_) => ![Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::BYTEA].contains(kind),
        };
        TYPES.iter().filter(fits).find(|kind| accepts(kind)).cloned()
    }
}

/// A row of such values.
#[derive(Clone, Debug)]
pub(crate) struct PlainRow {
    names: Arc<[String]>,
    cells: Vec<Cell>,
}

/// A value, and the form in which it was read first: a value that is borrowed is borrowed from there.
#[derive(Clone, Debug)]
struct Cell {
    value: Value,
    read: OnceLock<(Type, Vec<u8>)>,
}

impl PlainRow {
    pub(crate) fn new(names: Arc<[String]>, values: impl IntoIterator<Item = Value>) -> Self {
        let cells = values.into_iter().map(|value| Cell { value, read: OnceLock::new() }).collect();
        Self { names, cells }
    }

    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// A value as any type that it can be.
    pub(crate) fn get<'r, T: FromSql<'r>>(&'r self, index: usize) -> Result<T, Failure> {
        let cell = self.cells.get(index).ok_or("there is no such column")?;
        let kind = cell.value.kind(T::accepts).ok_or_else(|| format!("it is {}", cell.value.name()))?;
        if cell.value == Value::Null {
            return T::from_sql_null(&kind);
        }
        if cell.read.get().is_none() {
            let raw = encode::raw(&kind, &cell.value)?;
            // Another thread may have been faster, with the same.
            let _ = cell.read.set((kind.clone(), raw));
        }
        match cell.read.get() {
            Some((read, raw)) if *read == kind => T::from_sql(&kind, raw),
            _ => Err("it was read as another type before".into()),
        }
    }
}

impl Value {
    fn name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a floating-point number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Value) -> PlainRow {
        PlainRow::new(Arc::new(["c".to_owned()]), [value])
    }

    fn there_and_back<T>(value: T, kept: Value)
    where
        T: ToSql + for<'r> FromSql<'r> + Sync + PartialEq + std::fmt::Debug,
    {
        assert_eq!(Value::of(&value).unwrap(), kept);
        assert_eq!(row(kept).get::<T>(0).unwrap(), value);
    }

    #[test]
    fn values_go_there_and_back() {
        there_and_back(7i64, Value::Integer(7));
        there_and_back(-7i32, Value::Integer(-7));
        there_and_back(i16::MIN, Value::Integer(-32_768));
        there_and_back(true, Value::Integer(1));
        there_and_back(1.5f64, Value::Real(1.5));
        there_and_back(0.25f32, Value::Real(0.25));
        there_and_back("größe".to_owned(), Value::Text("größe".into()));
        there_and_back(vec![0u8, 255], Value::Bytes(vec![0, 255]));
        there_and_back("::1".parse::<std::net::IpAddr>().unwrap(), Value::Text("::1".into()));
        there_and_back(
            vec!["10.0.0.1".parse::<std::net::IpAddr>().unwrap()],
            Value::Text(r#"["10.0.0.1"]"#.into()),
        );
        there_and_back(None::<String>, Value::Null);
        there_and_back(Some(3i64), Value::Integer(3));
        there_and_back(vec![1i64, -2], Value::Text("[1,-2]".into()));
        there_and_back(vec![Some("a\"b".to_owned()), None], Value::Text(r#"["a\"b",null]"#.into()));
        there_and_back(
            std::time::UNIX_EPOCH + std::time::Duration::from_micros(1),
            Value::Text("1970-01-01 00:00:00.000001".into()),
        );
    }

    #[test]
    fn value_that_does_not_fit_is_an_error() {
        assert!(row(Value::Integer(1 << 40)).get::<i32>(0).is_err());
        assert!(row(Value::Text("x".into())).get::<i64>(0).is_err());
        assert!(row(Value::Null).get::<i64>(0).is_err());
        assert!(row(Value::Text("x".into())).get::<std::time::SystemTime>(0).is_err());
        assert_eq!(row(Value::Integer(3)).get::<f64>(0).unwrap(), 3.0);
        assert_eq!(row(Value::Text("lent".into())).get::<&str>(0).unwrap(), "lent");
    }
}
