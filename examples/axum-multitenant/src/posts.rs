//! Posts of the request's tenant.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pgstrata_orm::EntityManager;
use serde::{Deserialize, Serialize};

use crate::entities::Post;
use crate::failure::Failure;

/// A post to be.
#[derive(Deserialize)]
pub struct NewPost {
    user_id: i64,
    title: String,
}

/// A post, and who wrote it.
#[derive(Serialize)]
pub struct Line {
    title: String,
    author: String,
}

/// `GET /posts`: the newest first.
pub async fn list(State(em): State<EntityManager>) -> Result<Json<Vec<Line>>, Failure> {
    let posts = em.find::<Post>().join(Post::AUTHOR).order_by(Post::ID.desc()).limit(100).await?;
    Ok(Json(
        posts.into_iter().map(|(post, author)| Line { title: post.title, author: author.name }).collect(),
    ))
}

/// `POST /posts`
pub async fn create(
    State(em): State<EntityManager>,
    Json(new): Json<NewPost>,
) -> Result<(StatusCode, Json<Post>), Failure> {
    let post = em.save(&Post { id: 0, user_id: new.user_id, title: new.title }).await?;
    Ok((StatusCode::CREATED, Json(post)))
}
