//! SQL of the application's own.

use pgstrata_tenancy::lexer::{Lexer, TokenKind};

use super::session::{Call, Session};
use crate::Error;
use crate::connection::Answer;
use crate::entity::Parameter;
use crate::row::{FromRow, Row};
use crate::sql::Sql;

/// What begins or ends transactions.
const CONTROL: [&str; 9] =
    ["ABORT", "BEGIN", "COMMIT", "END", "PREPARE", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"];
/// What takes prepared statements away, the driver's among them.
const UNPREPARES: [&str; 2] = ["DEALLOCATE", "DISCARD"];

impl Session {
    /// Runs one statement of SQL, in which `$1`, `$2` ... stand for values, and gives its rows.
    ///
    /// Unqualified names mean the tables of the context's tenant, whatever the strategy. What the statement sets in the session is gone
    /// when it is through.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// for row in em.query("SELECT name FROM users WHERE email LIKE $1", &[&"%@example.com"]).await? {
    ///     let name: String = row.get(0);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says, and [`Error::TransactionControl`].
    pub fn query(
        &self,
        sql: &str,
        values: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send {
        let call = self.call();
        async move { Ok(raw(&call, sql, values).await?.rows) }
    }

    /// As [`Session::query`], with each row read as an entity, from its first column on, or as a tuple of values.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users = em.query_as::<User>("SELECT id, name, email FROM users ORDER BY lower(name)", &[]).await?;
    /// let counts: Vec<(String, i64)> =
    ///     em.query_as("SELECT name, count(*) FROM users JOIN posts ON author_id = users.id GROUP BY name", &[]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Session::query`], and [`Error::Row`] where a column is of another type.
    pub fn query_as<T: FromRow>(
        &self,
        sql: &str,
        values: &[Parameter<'_>],
    ) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        let call = self.call();
        async move {
            let rows = raw(&call, sql, values).await?.rows;
            rows.iter().map(|row| T::from_columns(row, 0).map_err(Error::row("reading a row"))).collect()
        }
    }

    /// As [`Session::query`], of a statement that gives no rows: how many it has changed.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let sql = "UPDATE posts SET likes = likes + 1 WHERE author_id = $1";
    /// let posts: u64 = em.execute(sql, &[&7i64]).await?;
    /// // A transaction is begun by what keeps it the tenant's.
    /// assert!(matches!(em.execute("COMMIT", &[]).await, Err(Error::TransactionControl(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Session::query`].
    pub fn execute(
        &self,
        sql: &str,
        values: &[Parameter<'_>],
    ) -> impl Future<Output = Result<u64, Error>> + Send {
        let call = self.call();
        async move { Ok(raw(&call, sql, values).await?.affected) }
    }
}

async fn raw(call: &Call<'_>, text: &str, values: &[Parameter<'_>]) -> Result<Answer, Error> {
    let place = call.place()?;
    call.require_tenant(&place, || "SQL of its own".to_owned())?;
    if call.strategy().tenant_column().is_some() && !place.is_unscoped() {
        return Err(Error::Unscoped("SQL of the application's own".into()));
    }
    let word = first_word(text);
    if let Some(word) = word.as_ref().filter(|word| CONTROL.contains(&word.as_str())) {
        return Err(Error::TransactionControl(word.clone()));
    }
    let spoils = word.is_some_and(|word| UNPREPARES.contains(&word.as_str()));
    let mut sql = Sql::raw(text, values);
    sql.text.insert_str(0, &call.sql(&place).text);
    call.anything(&place, &sql, spoils).await
}

/// The word that a statement begins with: the protocol takes one statement at a time.
fn first_word(text: &str) -> Option<String> {
    let first = Lexer::new(text.as_bytes(), true).find(|token| token.kind != TokenKind::Semicolon)?;
    Some(text.get(first.span())?.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(text: &str) -> Option<String> {
        first_word(text).filter(|word| CONTROL.contains(&word.as_str()))
    }

    #[test]
    fn statements_that_leave_a_transaction_are_known_by_their_first_word() {
        for text in
            ["commit", " /* a */ ROLLBACK", "-- a\n;; end", "start transaction", "prepare transaction 'x'"]
        {
            assert!(control(text).is_some(), "{text}");
        }
        for text in [
            "",
            ";",
            "select 1",
            "\"commit\"",
            "with commit as (select 1) select 1",
            "comment on table a is ''",
        ] {
            assert_eq!(control(text), None, "{text}");
        }
    }
}
