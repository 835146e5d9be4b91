//! Users of the request's tenant.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use pgstrata_orm::EntityManager;
use serde::{Deserialize, Serialize};

use crate::entities::{Post, User};
use crate::failure::Failure;

/// A user to be.
#[derive(Deserialize)]
pub struct NewUser {
    name: String,
    email: String,
}

/// A user, with all that they wrote.
#[derive(Serialize)]
pub struct Author {
    #[serde(flatten)]
    user: User,
    posts: Vec<Post>,
}

/// `GET /users`
pub async fn list(State(em): State<EntityManager>) -> Result<Json<Vec<User>>, Failure> {
    Ok(Json(em.find::<User>().order_by(User::ID.asc()).await?))
}

/// `POST /users`
pub async fn create(
    State(em): State<EntityManager>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<User>), Failure> {
    let user = em.save(&User { id: 0, name: new.name, email: new.email }).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// `GET /users/{id}`
pub async fn show(State(em): State<EntityManager>, Path(id): Path<i64>) -> Result<Json<Author>, Failure> {
    let found = em.find::<User>().where_(User::ID.eq(id)).load(User::POSTS).await?;
    let (user, posts) = found.into_iter().next().ok_or(Failure::NotFound("no such user"))?;
    Ok(Json(Author { user, posts }))
}
