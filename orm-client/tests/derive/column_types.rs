//! A type that no column can have.

use pgstrata_orm::Entity;

#[derive(Entity)]
struct User {
    #[column(primary_key)]
    id: i64,
    picture: std::net::TcpStream,
}

fn main() {}
