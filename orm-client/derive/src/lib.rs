//! `#[derive(Entity)]` and `#[derive(ColumnType)]` of `pgstrata-orm`, which has their documentation and examples.
//!
//! # Layout
//! - `attributes`: what is written in `#[entity(..)]` and `#[column(..)]`.
//! - `table`: the table that they make together, checked.
//! - `column_type`: `#[derive(ColumnType)]`.
//! - `names`: names as PostgreSQL takes them, and as Rust writes constants.
//! - `expand`: the table as Rust code.
//! - `problems`: all that is wrong with a type, told at once.

mod attributes;
mod column_type;
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
/// - `has_one(profile: Profile, column = user_id)`: the same, where that field is unique: one row at most. Makes the constant `PROFILE`.
/// - `many_to_many(tags: Tag, through = PostTag, column = post_id, target = tag_id)`: the field `post_id` of `PostTag` holds this type's
///   key, and its field `tag_id` that of a `Tag`. Makes the constant `TAGS`.
/// - `hooks`: the type implements `Hooks` itself, and is `Clone`.
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
/// - `version`: counts the changes of the row that `save_changes` makes, and refuses one of a row that is not as it was read.
/// - `deleted`: an `Option` of a moment: since when the row is deleted. Such rows stay, and are found by `with_deleted` alone.
/// - `skip`: no column; it is `Default::default()` in what is read.
///
/// A column may be NULL if its field is an `Option`. Each becomes a constant, as `User::EMAIL`; a unique index of several columns as well,
/// as `Post::AUTHOR_ID_TITLE`.
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

/// Makes a type of the application's own one that a column can have.
///
/// - A struct around one value, as `struct Email(String)`, is in the database what the value is. `#[column_type(type = "citext")]` gives its
///   column another type that the value can be read from.
/// - An enum of names, as `enum Role { Admin, TeamLead }`, is text: the variants' names in snake_case, `admin` and `team_lead`, or what
///   `#[column_type(name = "lead")]` on a variant says. `#[column_type(type = "role")]` on the enum: it is a type of PostgreSQL's own of that
///   name. What the database has and the enum has not is an error when it is read.
/// - `#[column_type(crate = "my_crate::pgstrata_orm")]`: where `pgstrata_orm` is, if under another name.
#[proc_macro_derive(ColumnType, attributes(column_type))]
pub fn column_type(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match column_type::expand(&input) {
        Ok(code) => code.into(),
        Err(problems) => problems.into_compile_error().into(),
    }
}
