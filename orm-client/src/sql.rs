//! SQL with its values beside it.

use pgstrata_tenancy::ident;
use tokio_postgres::types::Type;

use crate::DatabaseKind;
use crate::entity::Parameter;

/// The moment in SQLite, as text that sorts with those that are written by types.
pub(crate) const NOW: &str = "strftime('%Y-%m-%d %H:%M:%f000', 'now')";

/// What a parameter stands for.
#[derive(Debug)]
pub(crate) enum Bound<'v> {
    /// A value of the caller's.
    Given(Parameter<'v>),
    /// The name of the tenant whose rows are meant.
    Tenant(String),
}

impl Bound<'_> {
    fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Given(value) => *value,
            Self::Tenant(name) => name,
        }
    }
}

/// A statement: text with `$1`, `$2` ... in it, and what they stand for. No value is ever in the text.
#[doc(hidden)]
#[derive(Default)]
pub struct Sql<'v> {
    pub(crate) text: String,
    /// Whose SQL it is.
    pub(crate) dialect: DatabaseKind,
    pub(crate) values: Vec<Bound<'v>>,
    /// Which of them is the tenant's name: all conditions have the same.
    pub(crate) tenant: Option<usize>,
    /// The values' types; `None` where only PostgreSQL knows them, and is asked when the statement is prepared.
    pub(crate) types: Option<Vec<Type>>,
    /// Types of columns that it compares, and that are not PostgreSQL's own, as their definitions write them.
    pub(crate) compared: Vec<&'static str>,
    /// A text that may well not come again is not prepared.
    pub(crate) once: bool,
}

impl<'v> Sql<'v> {
    /// An empty one, whose types are known as long as those of all values are.
    pub(crate) fn new(text: impl Into<String>, dialect: DatabaseKind) -> Self {
        Self { text: text.into(), dialect, types: Some(Vec::new()), ..Self::default() }
    }

    /// SQL of somebody's own.
    pub(crate) fn raw(text: &str, values: &[Parameter<'v>]) -> Self {
        Self {
            text: text.into(),
            values: values.iter().copied().map(Bound::Given).collect(),
            ..Self::default()
        }
    }

    /// `SELECT`, of which no column is looked at.
    pub(crate) fn select_nothing(&mut self) -> &mut Self {
        // An empty list is PostgreSQL's alone.
        self.push(if self.dialect == DatabaseKind::Postgres { "SELECT" } else { "SELECT 1" })
    }

    /// The moment of the transaction, as columns have moments.
    pub(crate) fn now(&mut self) -> &mut Self {
        self.push(match self.dialect {
            DatabaseKind::Postgres => "CURRENT_TIMESTAMP",
            _ => NOW,
        })
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text += text;
        self
    }

    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        ident::push_quoted(&mut self.text, name);
        self
    }

    /// A value, as a parameter.
    pub(crate) fn bind(&mut self, value: Parameter<'v>, kind: Option<Type>) -> &mut Self {
        self.bound(Bound::Given(value), kind)
    }

    /// The name of the tenant whose rows are meant, as a parameter: the same one, however often it is written.
    pub(crate) fn bind_tenant(&mut self, name: &str) -> &mut Self {
        match self.tenant {
            Some(number) => self.text += &format!("${number}"),
            None => {
                self.bound(Bound::Tenant(name.into()), Some(Type::TEXT));
                self.tenant = Some(self.values.len());
            }
        }
        self
    }

    /// What the parameters stand for, in their order.
    pub(crate) fn parameters(&self) -> impl ExactSizeIterator<Item = Parameter<'_>> {
        self.values.iter().map(Bound::parameter)
    }

    fn bound(&mut self, value: Bound<'v>, kind: Option<Type>) -> &mut Self {
        self.values.push(value);
        self.types = self.types.take().zip(kind).map(|(mut types, kind)| {
            types.push(kind);
            types
        });
        self.text += &format!("${}", self.values.len());
        self
    }

    /// A value that is held against a column of this type; with `many`, a list of them.
    pub(crate) fn bind_compared(
        &mut self,
        value: Parameter<'v>,
        sql_type: &'static str,
        many: bool,
    ) -> &mut Self {
        let kind = self.compares(sql_type);
        self.bind(value, if many { kind.as_ref().and_then(array_of) } else { kind })
    }

    /// Takes down that a column of this type is compared, and gives the type if it is one of PostgreSQL's own.
    pub(crate) fn compares(&mut self, sql_type: &'static str) -> Option<Type> {
        let kind = type_of(sql_type);
        if kind.is_none() && !self.compared.contains(&sql_type) {
            self.compared.push(sql_type);
        }
        kind
    }

    /// What `write` writes for each of `items`, with `separator` in between.
    pub(crate) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &str,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (n, item) in items.into_iter().enumerate() {
            if n > 0 {
                self.text += separator;
            }
            write(self, item);
        }
        self
    }
}

/// The type that a column's definition names, if it is one of PostgreSQL's own that a parameter can be said to be.
pub(crate) fn type_of(sql: &str) -> Option<Type> {
    let lower = sql.trim().to_ascii_lowercase();
    if let Some(element) = lower.strip_suffix("[]") {
        return array_of(&type_of(element)?);
    }
    // What is in parentheses is the column's, not the parameter's.
    let name = lower.split('(').next().unwrap_or_default().trim();
    Some(match name {
        "boolean" | "bool" => Type::BOOL,
        "smallint" | "int2" => Type::INT2,
        "integer" | "int" | "int4" => Type::INT4,
        "bigint" | "int8" => Type::INT8,
        "real" | "float4" => Type::FLOAT4,
        "double precision" | "float8" => Type::FLOAT8,
        "text" => Type::TEXT,
        "varchar" | "character varying" => Type::VARCHAR,
        "bytea" => Type::BYTEA,
        "uuid" => Type::UUID,
        "json" => Type::JSON,
        "jsonb" => Type::JSONB,
        "date" => Type::DATE,
        "numeric" | "decimal" => Type::NUMERIC,
        "inet" => Type::INET,
        "timestamp with time zone" | "timestamptz" => Type::TIMESTAMPTZ,
        "timestamp" | "timestamp without time zone" => Type::TIMESTAMP,
        "time" | "time without time zone" => Type::TIME,
        "interval" => Type::INTERVAL,
        _ => return None,
    })
}

/// The type of a list of such values.
pub(crate) fn array_of(element: &Type) -> Option<Type> {
    let types = [
        (Type::BOOL, Type::BOOL_ARRAY),
        (Type::INT2, Type::INT2_ARRAY),
        (Type::INT4, Type::INT4_ARRAY),
        (Type::INT8, Type::INT8_ARRAY),
        (Type::FLOAT4, Type::FLOAT4_ARRAY),
        (Type::FLOAT8, Type::FLOAT8_ARRAY),
        (Type::TEXT, Type::TEXT_ARRAY),
        (Type::VARCHAR, Type::VARCHAR_ARRAY),
        (Type::BYTEA, Type::BYTEA_ARRAY),
        (Type::UUID, Type::UUID_ARRAY),
        (Type::JSON, Type::JSON_ARRAY),
        (Type::JSONB, Type::JSONB_ARRAY),
        (Type::DATE, Type::DATE_ARRAY),
        (Type::NUMERIC, Type::NUMERIC_ARRAY),
        (Type::INET, Type::INET_ARRAY),
        (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
        (Type::TIMESTAMP, Type::TIMESTAMP_ARRAY),
        (Type::TIME, Type::TIME_ARRAY),
        (Type::INTERVAL, Type::INTERVAL_ARRAY),
    ];
    types.into_iter().find(|(known, _)| known == element).map(|(_, array)| array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_the_columns() {
        assert_eq!(type_of("VARCHAR(20)"), Some(Type::VARCHAR));
        assert_eq!(type_of("numeric (12, 2)"), Some(Type::NUMERIC));
        assert_eq!(type_of("text[]"), Some(Type::TEXT_ARRAY));
        for unknown in ["citext", "my_enum", "vector(3)", "timestamp(3) with time zone"] {
            assert_ne!(type_of(unknown), Some(Type::TIMESTAMPTZ), "{unknown}");
        }
        assert_eq!(type_of("citext"), None);
    }

    #[test]
    fn values_stand_beside_the_text() {
        let mut sql = Sql::new("SELECT ", DatabaseKind::Postgres);
        sql.name("a\"b").push(" = ").bind(&"x'; DROP", Some(Type::TEXT)).push(" OR ").bind(&1i32, None);
        assert_eq!(sql.text, r#"SELECT "a""b" = $1 OR $2"#);
        assert!(sql.types.is_none() && sql.values.len() == 2);
    }
}
