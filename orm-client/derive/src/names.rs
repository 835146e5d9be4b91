//! Names as PostgreSQL takes them, and as Rust writes constants.

use syn::ext::IdentExt;
use syn::{Ident, LitStr};

use crate::problems::Problems;

/// PostgreSQL cuts longer names, and two could become one.
const MAX_BYTES: usize = 63;

/// A name as it was written, if PostgreSQL can hold it. `what` says whose it is.
pub fn checked(literal: &LitStr, what: &str, problems: &mut Problems) -> String {
    let name = literal.value();
    if let Some(wrong) = fault(&name) {
        problems.at(literal, format!("{what}'s name {wrong}"));
    }
    name
}

/// A name that comes from one of Rust's, if PostgreSQL can hold it.
pub fn derived(name: String, from: &Ident, what: &str, attribute: &str, problems: &mut Problems) -> String {
    if let Some(wrong) = fault(&name) {
        problems.at(from, format!("{what}'s name {wrong}: give it another by `{attribute} = \"..\"`"));
    }
    name
}

fn fault(name: &str) -> Option<String> {
    match name {
        "" => Some("is empty".to_owned()),
        _ if name.len() > MAX_BYTES => Some(format!("is longer than {MAX_BYTES} bytes")),
        _ if name.contains('\0') => Some("contains a NUL byte".to_owned()),
        _ => None,
    }
}

/// SQL as it was written, if it can be a part of a statement.
pub fn sql(literal: &LitStr, what: &str, problems: &mut Problems) -> String {
    let text = literal.value();
    if text.trim().is_empty() {
        problems.at(literal, format!("{what} is empty"));
    }
    if text.contains('\0') {
        problems.at(literal, format!("{what} contains a NUL byte"));
    }
    text
}

/// A unique index as a constant: as it is called, if that can be one, or as its columns are.
pub fn constant_of_index(name: Option<&str>, fields: &[Ident]) -> Option<Ident> {
    let place = fields.first()?.span();
    let named = name.and_then(|name| syn::parse_str::<Ident>(name).ok());
    let fields: Vec<String> = fields.iter().map(|field| field.unraw().to_string()).collect();
    let text = named.map_or_else(|| fields.join("_"), |name| name.unraw().to_string());
    Some(Ident::new(&text.to_uppercase(), place))
}

/// `author_id` and `r#type` as constants: `AUTHOR_ID`, `TYPE`.
pub fn constant(field: &Ident) -> Ident {
    Ident::new(&field.unraw().to_string().to_uppercase(), field.span())
}

/// The table of a type that names none: `BlogPost` is in `blog_posts`.
pub fn table_of(type_name: &Ident) -> String {
    snake_case(&type_name.unraw().to_string()) + "s"
}

/// A word begins at a capital that follows a small letter, or that a small letter follows: `HTTPServer2Log` has three.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut letters = name.chars().peekable();
    let mut last = None;
    while let Some(letter) = letters.next() {
        let after_small = last.is_some_and(|last: char| last.is_lowercase() || last.is_numeric());
        let before_small = letters.peek().is_some_and(|next| next.is_lowercase());
        let inside = last.is_some_and(|last| last != '_');
        if letter.is_uppercase() && inside && (after_small || before_small) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        last = Some(letter);
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_name_becomes_table_name() {
        let names = [
            ("User", "users"),
            ("BlogPost", "blog_posts"),
            ("HTTPServer2Log", "http_server2_logs"),
            ("A", "as"),
            ("Audit_Entry", "audit_entrys"),
            ("Überschrift", "überschrifts"),
        ];
        for (name, table) in names {
            assert_eq!(table_of(&Ident::new(name, proc_macro2::Span::call_site())), table);
        }
    }

    #[test]
    fn constant_of_a_raw_name_is_plain() {
        let field: Ident = syn::parse_str("r#type").unwrap();
        assert_eq!(constant(&field), "TYPE");
    }
}
