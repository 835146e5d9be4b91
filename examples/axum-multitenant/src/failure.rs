//! What went wrong, as an answer.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pgstrata_orm::{Error, control};
use serde_json::json;

/// Why a request has no better answer.
#[derive(Debug)]
pub enum Failure {
    /// Nothing is there.
    NotFound(&'static str),
    /// The database, or what stands before it.
    Orm(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Orm(error)
    }
}

impl Failure {
    fn status_and_words(&self) -> (StatusCode, String) {
        let error = match self {
            Self::NotFound(words) => return (StatusCode::NOT_FOUND, (*words).to_owned()),
            Self::Orm(error) => error,
        };
        match error {
            // Names come from the request: what is wrong with one is for its sender.
            Error::Tenant { .. } | Error::Reserved(_) | Error::Control(control::Error::Name { .. }) => {
                return (StatusCode::BAD_REQUEST, error.to_string());
            }
            _ => {}
        }
        let words = |status, words: &str| (status, words.to_owned());
        match error.sqlstate().map(|state| state.code()) {
            Some("23505") => words(StatusCode::CONFLICT, "there is one already"),
            Some("23503") => words(StatusCode::UNPROCESSABLE_ENTITY, "what it refers to is not there"),
            // PostgreSQL misses its tables; pgstrata says no more than that this user may not go there.
            Some("42P01" | "3F000" | "42501") => words(StatusCode::NOT_FOUND, "no such tenant"),
            _ => {
                eprintln!("axum-multitenant: {error}");
                words(StatusCode::INTERNAL_SERVER_ERROR, "something is wrong here")
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, words) = self.status_and_words();
        (status, Json(json!({ "error": words }))).into_response()
    }
}
