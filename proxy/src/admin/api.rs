//! The console's tables over HTTP, as JSON: `/api/v1/show/pools`.
//!
//! There is no TLS here, and a password crosses the wire: so it is there only where the port is this machine's alone.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Context;
use super::console::show::{self, Shown};
use super::console::table::{Cell, Column, Table};
use crate::config::User;

/// Which one, of a table that is of one thing: `/api/v1/show/tenant?name=acme_corp`.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    name: String,
}

/// A table of the console, for those who may see it there.
pub(super) async fn table(
    State(context): State<Context>,
    Path(table): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Some(user) = user(&context, &headers) else {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"pgstrata\", charset=\"UTF-8\"")];
        return (challenge, refusal(StatusCode::UNAUTHORIZED, "a user and its password are needed"))
            .into_response();
    };
    let Some(shown) = show::find(&table) else {
        return refusal(StatusCode::NOT_FOUND, "there is no such table: see /api/v1/show/help");
    };
    if !may_see(&user, shown) {
        return refusal(StatusCode::FORBIDDEN, "permission denied");
    }
    if shown.of_one == wanted.name.is_empty() {
        return refusal(
            StatusCode::BAD_REQUEST,
            "a table that is of one thing needs ?name=, others have none",
        );
    }
    as_json(StatusCode::OK, &rows(&shown.table(&context.shared, &wanted.name)))
}

/// Who asks, if the password is right.
fn user(context: &Context, headers: &HeaderMap) -> Option<std::sync::Arc<User>> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = given.split_once(' ')?;
    let credentials =
        STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let credentials = String::from_utf8(credentials).ok()?;
    let (name, password) = credentials.split_once(':')?;
    context.shared.current().accept.users.with_password(name, password)
}

fn may_see(user: &User, shown: &Shown) -> bool {
    user.admin || user.stats && !shown.for_admins
}

fn refusal(status: StatusCode, error: &str) -> Response {
    as_json(status, &json!({ "error": error }))
}

fn as_json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// One object for each row: a column's name, and its value.
fn rows(table: &Table) -> Value {
    let value = |cell: &Cell| match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) => Value::from(&**text),
        Cell::Number(number) => Value::from(*number),
    };
    let row = |row: &Vec<Cell>| {
        let named =
            table.columns.iter().zip(row).map(|(Column(name, _), cell)| ((*name).to_owned(), value(cell)));
        Value::Object(named.collect::<Map<_, _>>())
    };
    table.rows.iter().map(row).collect()
}
