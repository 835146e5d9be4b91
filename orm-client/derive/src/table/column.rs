//! A field as a column.

use syn::ext::IdentExt;
use syn::{GenericArgument, Ident, LitStr, Path, PathArguments, Type};

use crate::attributes::{ColumnAttributes, GeneratedAttribute};
use crate::names;
use crate::problems::Problems;

/// What a field is.
pub enum Field {
    /// A column.
    Column(Box<Column>),
    /// `#[column(skip)]`.
    Skipped(Ident),
}

/// A column.
pub struct Column {
    pub field: Ident,
    pub constant: Ident,
    pub name: String,
    /// Where the name is written, if not as the field's.
    pub name_place: Option<LitStr>,
    /// The field's type.
    pub ty: Type,
    /// The same without its `Option`.
    pub plain: Type,
    /// Whether there is an `Option`.
    pub optional: bool,
    pub sql_type: Option<String>,
    pub primary_key: bool,
    pub generated: Option<Generated>,
    pub default: Option<String>,
    pub unique: bool,
    /// No two rows have the same, by whatever says so.
    pub tells_rows: bool,
    pub index: bool,
    /// The word that says so.
    pub version: Option<Path>,
    /// The word that says so.
    pub deleted: Option<Path>,
    /// `created` or `updated`.
    pub stamp: Option<Stamp>,
}

/// A value that the database gives.
pub struct Generated {
    pub uuid: bool,
    /// The word that says so.
    pub place: Path,
}

/// A moment that the database says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// That of the row's insertion.
    Created,
    /// That of its last change.
    Updated,
}

impl Field {
    /// Reads a field; none if it has no name.
    pub fn read(field: &syn::Field, problems: &mut Problems) -> Option<Self> {
        let ident = field.ident.clone()?;
        let attributes = ColumnAttributes::read(&field.attrs, problems);
        if attributes.skip.is_none() {
            return Some(Self::Column(Box::new(column(ident, &field.ty, attributes, problems))));
        }
        if let Some(word) = attributes.of_a_column() {
            problems.at(word, "the field is skipped, so it is no column");
        }
        Some(Self::Skipped(ident))
    }
}

fn column(field: Ident, ty: &Type, attributes: ColumnAttributes, problems: &mut Problems) -> Column {
    let optional = inside_option(ty);
    if let Some(word) = attributes.primary_key.as_ref().filter(|_| optional.is_some()) {
        problems.at(word, "a primary key can't be NULL: its field is no `Option`");
    }
    if optional.and_then(inside_option).is_some() {
        problems.at(ty, "a column is NULL or it is not: one `Option`");
    }
    let name = match &attributes.name {
        Some(name) => names::checked(name, "the column", problems),
        None => names::derived(field.unraw().to_string(), &field, "the column", "name", problems),
    };
    let stamp = stamp(&attributes, problems);
    let plain = optional.unwrap_or(ty);
    let (primary_key, has_default) = (attributes.primary_key.is_some(), attributes.default.is_some());
    let generated = attributes.generated.map(|given| generated(given, plain, problems));
    if let Some(Generated { place, .. }) = &generated {
        if !primary_key {
            problems.at(place, "only (a part of) a primary key is generated: others have a `default`");
        }
        if has_default {
            problems.at(place, "a column has a `default` or is `generated`, not both");
        }
    }
    if let Some(word) = attributes.version.as_ref().filter(|_| primary_key || optional.is_some()) {
        problems.at(word, "a version is a number of its own: no part of the key, and no `Option`");
    }
    if let Some(word) = attributes.deleted.as_ref().filter(|_| optional.is_none()) {
        problems.at(word, "a row that is not deleted has no moment of that: its field is an `Option`");
    }
    Column {
        constant: names::constant(&field),
        name,
        name_place: attributes.name,
        ty: ty.clone(),
        plain: plain.clone(),
        optional: optional.is_some(),
        sql_type: attributes.sql_type.map(|text| names::sql(&text, "the type", problems)),
        primary_key,
        generated,
        default: attributes.default.map(|text| names::sql(&text, "the default", problems)),
        unique: attributes.unique.is_some(),
        tells_rows: false,
        index: attributes.index.is_some(),
        version: attributes.version,
        deleted: attributes.deleted,
        stamp,
        field,
    }
}

/// `created` or `updated`: a column of which the database says all.
fn stamp(attributes: &ColumnAttributes, problems: &mut Problems) -> Option<Stamp> {
    let stamp = match (&attributes.created, &attributes.updated) {
        (None, None) => return None,
        (Some(_), None) => Stamp::Created,
        (created, Some(updated)) => {
            if created.is_some() {
                problems
                    .at(updated, "a moment is that of the row's insertion, or of its last change: not both");
            }
            Stamp::Updated
        }
    };
    let others = [&attributes.primary_key, &attributes.unique, &attributes.version, &attributes.deleted]
        .into_iter()
        .flatten();
    let generated = attributes.generated.as_ref().map(|generated| &generated.path);
    for other in others.chain(generated) {
        problems
            .at(other, "the database says when the row was inserted or changed, and no more in this column");
    }
    if let Some(default) = &attributes.default {
        problems.at(default, "a moment of insertion or change has the database's time, and no default");
    }
    Some(stamp)
}

fn generated(given: GeneratedAttribute, plain: &Type, problems: &mut Problems) -> Generated {
    let GeneratedAttribute { path: place, how } = given;
    let uuid = match how.as_ref().map(LitStr::value).as_deref() {
        None => last_name(plain).is_some_and(|name| name == "Uuid"),
        Some("uuid") => true,
        Some("identity") => false,
        Some(_) => {
            problems.at(how, "expected \"identity\" or \"uuid\"");
            false
        }
    };
    Generated { uuid, place }
}

fn last_name(ty: &Type) -> Option<&Ident> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// A type that comes out of a macro is in a group that nobody sees.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// The `T` of an `Option<T>`, as far as a type's text says so.
fn inside_option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = bare(ty) else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inside) => Some(inside),
        _ => None,
    }
}
