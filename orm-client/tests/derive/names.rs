//! Names that PostgreSQL can't hold, or that two have.

use pgstrata_orm::Entity;

#[derive(Entity)]
#[entity(table = "", schema = "a\0b", index(columns(id), name = "i"), index(columns(mail), name = "i"))]
struct User {
    #[column(primary_key)]
    id: i64,
    #[column(name = "this_name_is_longer_than_the_sixty_three_bytes_that_postgresql_keeps")]
    mail: String,
    #[column(name = "id")]
    other: i64,
    #[column(type = " ", default = "")]
    text: String,
    this_field_is_longer_than_the_sixty_three_bytes_that_postgresql_keeps: bool,
}

#[derive(Entity)]
struct ThisTypeIsLongerThanTheSixtyThreeBytesThatPostgresqlKeepsOfATable {
    #[column(primary_key)]
    id: i64,
}

#[derive(Entity)]
#[entity(belongs_to(other: Two, column = other))]
struct Two {
    #[column(primary_key)]
    other: i64,
}

fn main() {}
