//! `#[derive(Entity)]` of `pgstrata-orm`, which has its documentation and examples.
//!
//! # Layout
//! - `attributes`: what is written in `#[entity(..)]` and `#[column(..)]`.
//! - `table`: the table that they make together, checked.
//! - `names`: names as PostgreSQL takes them, and as Rust writes constants.
//! - `expand`: the table as Rust code.
//! - `problems`: all that is wrong with a type, told at once.

mod attributes;
mod expand;
mod names;
mod problems;
mod table;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct's values rows of a table.
///
/// # The table: `#[entity(..)]` on the struct
/// - `table = "users"`: its name. Left out, it is the type's in snake_case with an `s`: `BlogPost` is in `blog_posts`. No grammar
///   beyond that: what has another plural is named.
/// - `schema = "public"`: one table for all tenants, in this schema. Left out, each tenant has its own.
/// - `index(columns(author_id, title), unique, name = "posts_by_title")`: an index of these fields' columns; `unique` and `name` may
///   be left out.
/// - `belongs_to(author: User, column = author_id)`: the field `author_id` holds the key of a `User`. Makes the constant `AUTHOR`.
/// - `has_many(posts: Post, column = author_id)`: the field `author_id` of `Post` holds this type's key. Makes the constant `POSTS`.
/// - `crate = "my_crate::pgstrata_orm"`: where `pgstrata_orm` is, if under another name.
///
/// # Its columns: `#[column(..)]` on a field
/// - `name = "e_mail"`: the column's name, if not the field's.
/// - `type = "varchar(80)"`: as PostgreSQL writes its type, if not the one of the field's type.
/// - `primary_key`: the column is the key or, if several are, a part of it: the key is then a tuple in the order of the fields.
/// - `generated`: the database gives a new row's key: as identity, or a random UUID where the field's type is `Uuid`.
///   `generated = "identity"` and `generated = "uuid"` say which, where a type goes by another name.
/// - `default = "now()"`: the default, as SQL.
/// - `unique`: no two rows may have the same.
/// - `index`: an index of this column alone.
/// - `skip`: no column; it is `Default::default()` in what is read.
///
/// A column may be NULL if its field is an `Option`. Each becomes a constant, as `User::EMAIL`.
///
/// A type that can't be a table is refused, with each reason where it is in the code.
#[proc_macro_derive(Entity, attributes(entity, column))]
pub fn entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match table::Table::read(input) {
        Ok(table) => expand::expand(&table).into(),
        Err(problems) => problems.into_compile_error().into(),
    }
}
