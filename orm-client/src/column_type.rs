//! The types that a column can have.
//!
//! ```
//! use pgstrata_orm::ColumnType;
//!
//! assert_eq!(<Option<String> as ColumnType>::SQL, "text");
//! assert_eq!(<Vec<u8> as ColumnType>::SQL, "bytea");
//! ```

use tokio_postgres::types::{FromSql, ToSql};

/// A type that a column can have, and what PostgreSQL calls it.
///
/// `bool`, `i16`, `i32`, `i64`, `f32`, `f64`, `String`, `Vec<u8>` (bytea), `SystemTime` and `IpAddr` (inet) have it; `Option<T>` of them, which may be NULL;
/// `Vec<T>` of them, an array. With the features `uuid`, `chrono` and `json`: `Uuid`; `DateTime<Utc>`, `NaiveDateTime`, `NaiveDate` and
/// `NaiveTime`; `serde_json::Value` and `Json<T>` (jsonb).
///
/// A type of your own has it by [`#[derive(ColumnType)]`](derive@crate::ColumnType), or if it says how the driver reads and writes it:
///
/// ```
/// use pgstrata_orm::{ColumnType, Entity};
/// use pgstrata_orm::tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
///
/// type Failure = Box<dyn std::error::Error + Sync + Send>;
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Email(String);
///
/// impl<'a> FromSql<'a> for Email {
///     fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
///         String::from_sql(ty, raw).map(Self)
///     }
///     fn accepts(ty: &Type) -> bool {
///         <String as FromSql>::accepts(ty)
///     }
/// }
///
/// impl ToSql for Email {
///     fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
///         self.0.to_sql(ty, out)
///     }
///     fn accepts(ty: &Type) -> bool {
///         <String as ToSql>::accepts(ty)
///     }
///     to_sql_checked!();
/// }
///
/// impl ColumnType for Email {
///     const SQL: &'static str = "text";
/// }
///
/// #[derive(Entity)]
/// struct Contact {
///     #[column(primary_key)]
///     email: Email,
/// }
///
/// assert_eq!(Contact::DEFINITION.columns[0].sql_type, "text");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type that a column can have",
    label = "no column can have this type",
    note = "`Uuid`, dates and times, and JSON need the features `uuid`, `chrono` and `json` of pgstrata-orm",
    note = "a type of your own implements `pgstrata_orm::ColumnType`"
)]
pub trait ColumnType: ToSql + for<'a> FromSql<'a> + Sync {
    /// As PostgreSQL writes it.
    ///
    /// ```
    /// # use pgstrata_orm::ColumnType;
    /// assert_eq!(std::time::SystemTime::SQL, "timestamp with time zone");
    /// assert_eq!(<Option<f64> as ColumnType>::SQL, "double precision");
    /// ```
    const SQL: &'static str;
    /// `Option`.
    ///
    /// ```
    /// # use pgstrata_orm::ColumnType;
    /// assert!(<Option<i64> as ColumnType>::NULLABLE && !i64::NULLABLE);
    /// ```
    const NULLABLE: bool = false;
}

/// A type that an array can be of: `Vec<T>` is a column type then.
///
/// ```
/// use pgstrata_orm::ColumnType;
///
/// assert_eq!(<Vec<i64> as ColumnType>::SQL, "bigint[]");
/// assert_eq!(<Option<Vec<Option<String>>> as ColumnType>::SQL, "text[]");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type that an array in a column can be of",
    label = "no array in a column can be of this type"
)]
pub trait ArrayElement: ToSql + for<'a> FromSql<'a> + Sync {
    /// The array, as PostgreSQL writes it.
    ///
    /// ```
    /// # use pgstrata_orm::ArrayElement;
    /// assert_eq!(i32::ARRAY, "integer[]");
    /// ```
    const ARRAY: &'static str;
}

/// A type whose values PostgreSQL can count: `#[column(generated)]`.
///
/// ```compile_fail
/// #[derive(pgstrata_orm::Entity)]
/// struct User {
///     #[column(primary_key, generated)]
///     name: String,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the database can't generate a `{Self}` by counting",
    label = "generated keys are `i16`, `i32`, `i64` or `Uuid`"
)]
pub trait IdentityType: ColumnType {}

impl IdentityType for i16 {}
impl IdentityType for i32 {}
impl IdentityType for i64 {}

/// A UUID: `#[column(generated)]`.
///
/// ```
/// # #[cfg(feature = "uuid")] {
/// use pgstrata_orm::Entity;
///
/// #[derive(Entity)]
/// struct Order {
///     #[column(primary_key, generated)]
///     id: uuid::Uuid,
/// }
///
/// assert!(Order { id: uuid::Uuid::nil() }.is_new());
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no UUID that the database can generate",
    label = "this is `uuid::Uuid`, with the feature `uuid` of pgstrata-orm"
)]
pub trait UuidType: ColumnType {}

#[cfg(feature = "uuid")]
impl UuidType for uuid::Uuid {}

/// A moment, as a column has it that says since when a row is deleted: `#[column(deleted)]`.
///
/// ```compile_fail
/// #[derive(pgstrata_orm::Entity)]
/// struct User {
///     #[column(primary_key)]
///     id: i64,
///     #[column(deleted)]
///     gone: Option<bool>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no moment",
    label = "this is a `SystemTime`, or a `DateTime<Utc>` or `NaiveDateTime` of `chrono`"
)]
pub trait MomentType: ColumnType {}

impl MomentType for std::time::SystemTime {}
#[cfg(feature = "chrono")]
impl MomentType for chrono::DateTime<chrono::Utc> {}
#[cfg(feature = "chrono")]
impl MomentType for chrono::NaiveDateTime {}

macro_rules! column_types {
    ($($rust:ty => $sql:literal),* $(,)?) => {
        $(
            impl ColumnType for $rust {
                const SQL: &'static str = $sql;
            }

            impl ArrayElement for $rust {
                const ARRAY: &'static str = concat!($sql, "[]");
            }
        )*
    };
}

column_types! {
    bool => "boolean",
    i16 => "smallint",
    i32 => "integer",
    i64 => "bigint",
    f32 => "real",
    f64 => "double precision",
    String => "text",
    Vec<u8> => "bytea",
    std::time::SystemTime => "timestamp with time zone",
    std::net::IpAddr => "inet",
}

#[cfg(feature = "uuid")]
column_types! {
    uuid::Uuid => "uuid",
}

#[cfg(feature = "chrono")]
column_types! {
    chrono::DateTime<chrono::Utc> => "timestamp with time zone",
    chrono::NaiveDateTime => "timestamp without time zone",
    chrono::NaiveDate => "date",
    chrono::NaiveTime => "time without time zone",
}

#[cfg(feature = "json")]
column_types! {
    serde_json::Value => "jsonb",
}

/// A value of the application's own as JSON, by `serde`.
///
/// ```
/// use pgstrata_orm::column_type::Json;
/// use pgstrata_orm::{ColumnType, Entity};
///
/// #[derive(Debug, serde::Serialize, serde::Deserialize)]
/// struct Address {
///     street: String,
///     city: String,
/// }
///
/// #[derive(Entity)]
/// struct Customer {
///     #[column(primary_key, generated)]
///     id: i64,
///     address: Option<Json<Address>>,
/// }
///
/// assert_eq!(Customer::COLUMNS[1].sql_type, "jsonb");
/// ```
#[cfg(feature = "json")]
pub use tokio_postgres::types::Json;

#[cfg(feature = "json")]
impl<T> ColumnType for Json<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug + Sync,
{
    const SQL: &'static str = "jsonb";
}

#[cfg(feature = "json")]
impl<T> ArrayElement for Json<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug + Sync,
{
    const ARRAY: &'static str = "jsonb[]";
}

impl<T: ColumnType> ColumnType for Option<T> {
    const SQL: &'static str = T::SQL;
    const NULLABLE: bool = true;
}

/// An array's elements may be NULL.
impl<T: ArrayElement> ArrayElement for Option<T> {
    const ARRAY: &'static str = T::ARRAY;
}

impl<T: ArrayElement> ColumnType for Vec<T> {
    const SQL: &'static str = T::ARRAY;
}
