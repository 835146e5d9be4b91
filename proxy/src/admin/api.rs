//! The console's tables over HTTP, as JSON: whole at `/api/v1/show/pools`, in pages at `/api/v1/tenants`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Context;
use super::console::show::{self, Of, Shown};
use super::console::table::{Cell, Column, Table, moment};
use super::list::Ask;
use crate::config::User;

/// The name of the object, for a table about one object: `/api/v1/show/tenant?name=acme_corp`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    name: String,
}

/// The answer to a refused request, with the reason.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub error: Cow<'static, str>,
}

impl Refusal {
    pub fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error: error.into() }
    }

    fn bad(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = as_json(self.status, &json!({ "error": self.error }));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"pgstrata\", charset=\"UTF-8\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// A table of the console, for users that may see it there.
pub(super) async fn table(
    State(context): State<Context>,
    Extension(user): Extension<Arc<User>>,
    Path(table): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    let shown = find(&table, &user)?;
    let fits = match shown.of {
        Of::All => wanted.name.is_empty(),
        Of::One => !wanted.name.is_empty(),
        Of::OneOrAll => true,
    };
    if !fits {
        return Err(Refusal::bad("a table that is of one thing needs ?name=, others have none"));
    }
    Ok(as_json(StatusCode::OK, &rows(&shown.table(&context.shared, &wanted.name))))
}

/// Some rows of a table, sorted: `/api/v1/tenants?search=acme&sort=requests&order=desc&page=2`.
pub(super) async fn list(
    State(context): State<Context>,
    Extension(user): Extension<Arc<User>>,
    Path(table): Path<String>,
    ask: Result<Query<Ask>, QueryRejection>,
) -> Result<Response, Refusal> {
    let shown = find(&table, &user)?;
    if shown.of == Of::One {
        return Err(Refusal::bad("a table that is of one thing is no list: see /api/v1/show"));
    }
    let Query(ask) = ask.map_err(|error| Refusal::bad(error.body_text()))?;
    ask.check(shown.columns).map_err(Refusal::bad)?;
    // For all tenants together, the table has only the rows with the most time.
    let one = ask.tenant.as_deref().filter(|_| shown.of == Of::OneOrAll).unwrap_or_default();
    let listed = ask.of(shown.table(&context.shared, one));
    let answer = json!({
        "rows": rows(&listed.table),
        "total": listed.total,
        "matched": listed.matched,
        "page": ask.page,
        "size": ask.size,
        "now": value(&moment(SystemTime::now())),
    });
    Ok(as_json(StatusCode::OK, &answer))
}

/// The table of that name, if it exists and the user may see it.
fn find(table: &str, user: &User) -> Result<&'static Shown, Refusal> {
    let shown = show::find(table).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "there is no such table: see /api/v1/show/help")
    })?;
    match may_see(user, shown) {
        true => Ok(shown),
        false => Err(Refusal::new(StatusCode::FORBIDDEN, "permission denied")),
    }
}

fn may_see(user: &User, shown: &Shown) -> bool {
    user.admin || user.stats && !shown.for_admins
}

pub(super) fn as_json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// One object for each row: names of columns, and their values.
fn rows(table: &Table) -> Value {
    let row = |row: &Vec<Cell>| {
        let named =
            table.columns.iter().zip(row).map(|(Column(name, _), cell)| ((*name).to_owned(), value(cell)));
        Value::Object(named.collect::<Map<_, _>>())
    };
    table.rows.iter().map(row).collect()
}

pub(super) fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) => Value::from(&**text),
        Cell::Number(number) => Value::from(*number),
    }
}
