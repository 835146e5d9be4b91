//! What is written in `#[entity(..)]` and `#[column(..)]`.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitStr, Path, Token, Type, parenthesized, token};

use crate::problems::Problems;

/// `#[entity(..)]`.
#[derive(Default)]
pub struct EntityAttributes {
    pub table: Option<LitStr>,
    pub schema: Option<LitStr>,
    pub krate: Option<Path>,
    pub indexes: Vec<IndexAttribute>,
    pub relations: Vec<RelationAttribute>,
    pub hooks: Option<Path>,
}

/// `index(columns(a, b), unique, name = "..")`.
pub struct IndexAttribute {
    pub columns: Vec<Ident>,
    pub unique: bool,
    pub name: Option<LitStr>,
}

/// How many rows are on the other side, and where the key is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    BelongsTo,
    HasOne,
    HasMany,
    ManyToMany,
}

/// `belongs_to(author: User, column = author_id)`, or another kind.
pub struct RelationAttribute {
    pub kind: RelationKind,
    pub name: Ident,
    pub target: Type,
    /// The field that holds the key: this type's, the other's, or that of the type between them.
    pub column: Ident,
    pub through: Option<ThroughAttribute>,
}

/// `through = PostTag`, and `target = tag_id`: the field there that holds the other's key.
pub struct ThroughAttribute {
    pub ty: Type,
    pub target: Ident,
}

/// `#[column(..)]`.
#[derive(Default)]
pub struct ColumnAttributes {
    pub name: Option<LitStr>,
    pub sql_type: Option<LitStr>,
    pub primary_key: Option<Path>,
    pub generated: Option<GeneratedAttribute>,
    pub default: Option<LitStr>,
    pub unique: Option<Path>,
    pub index: Option<Path>,
    pub skip: Option<Path>,
    pub version: Option<Path>,
    pub deleted: Option<Path>,
    /// The moment at which the row was inserted.
    pub created: Option<Path>,
    /// The moment of its last change.
    pub updated: Option<Path>,
}

/// `generated`, or `generated = "uuid"`.
pub struct GeneratedAttribute {
    /// The word itself, to point at.
    pub path: Path,
    pub how: Option<LitStr>,
}

impl EntityAttributes {
    /// Reads all of a type's.
    pub fn read(attributes: &[Attribute], problems: &mut Problems) -> Self {
        let mut read = Self::default();
        each(attributes, "entity", problems, |meta, problems| {
            let path = &meta.path;
            match word(path).as_str() {
                "table" => once(&mut read.table, meta.value()?.parse()?, path, problems),
                "hooks" => once(&mut read.hooks, path.clone(), path, problems),
                "schema" => once(&mut read.schema, meta.value()?.parse()?, path, problems),
                "crate" => {
                    let text: LitStr = meta.value()?.parse()?;
                    once(&mut read.krate, text.parse_with(Path::parse_mod_style)?, path, problems);
                }
                "index" => read.indexes.push(IndexAttribute::read(meta, problems)?),
                "belongs_to" | "has_one" | "has_many" | "many_to_many" => {
                    read.relations.push(RelationAttribute::read(meta)?);
                }
                _ => {
                    let known = "`table`, `schema`, `index`, `belongs_to`, `has_one`, `has_many`, `many_to_many`, `hooks` or `crate`";
                    unknown(meta, known, problems)?;
                }
            }
            Ok(())
        });
        read
    }
}

impl IndexAttribute {
    fn read(meta: &ParseNestedMeta<'_>, problems: &mut Problems) -> syn::Result<Self> {
        let (mut columns, mut unique, mut name) = (None, None, None);
        meta.parse_nested_meta(|part| {
            let path = &part.path;
            match word(path).as_str() {
                "columns" => {
                    let list;
                    parenthesized!(list in part.input);
                    let fields = list.parse_terminated(Ident::parse_any, Token![,])?;
                    once(&mut columns, fields.into_iter().collect(), path, problems);
                }
                "unique" => once(&mut unique, path.clone(), path, problems),
                "name" => once(&mut name, part.value()?.parse()?, path, problems),
                _ => unknown(&part, "`columns`, `unique` or `name`", problems)?,
            }
            Ok(())
        })?;
        let columns: Vec<Ident> = columns.unwrap_or_default();
        if columns.is_empty() {
            problems.at(&meta.path, "an index needs columns: index(columns(author_id, title))");
        }
        Ok(Self { columns, unique: unique.is_some(), name })
    }
}

impl RelationAttribute {
    fn read(meta: &ParseNestedMeta<'_>) -> syn::Result<Self> {
        let word = word(&meta.path);
        let kind = match word.as_str() {
            "belongs_to" => RelationKind::BelongsTo,
            "has_one" => RelationKind::HasOne,
            "has_many" => RelationKind::HasMany,
            _ => RelationKind::ManyToMany,
        };
        let inside;
        parenthesized!(inside in meta.input);
        let inside: ParseStream<'_> = &inside;
        let name = inside.call(Ident::parse_any)?;
        inside.parse::<Token![:]>()?;
        let target = inside.parse()?;
        let through = match kind {
            RelationKind::ManyToMany => {
                named(inside, "through", "the type between the two: many_to_many(..: .., through = ..)")?;
                Some(inside.parse()?)
            }
            _ => None,
        };
        named(inside, "column", &format!("the field that holds the key: {word}({name}: .., column = ..)"))?;
        let column = inside.call(Ident::parse_any)?;
        let through = match through {
            Some(ty) => {
                named(
                    inside,
                    "target",
                    "the field that holds the other's key: many_to_many(.., target = ..)",
                )?;
                Some(ThroughAttribute { ty, target: inside.call(Ident::parse_any)? })
            }
            None => None,
        };
        inside.parse::<Option<Token![,]>>()?;
        if !inside.is_empty() {
            return Err(inside.error("expected nothing more"));
        }
        Ok(Self { kind, name, target, column, through })
    }
}

/// `, word =`
fn named(inside: ParseStream<'_>, word: &str, expected: &str) -> syn::Result<()> {
    inside.parse::<Token![,]>()?;
    let found = inside.call(Ident::parse_any)?;
    if found != word {
        return Err(syn::Error::new(found.span(), format!("expected {expected}")));
    }
    inside.parse::<Token![=]>()?;
    Ok(())
}

impl ColumnAttributes {
    /// Reads all of a field's.
    pub fn read(attributes: &[Attribute], problems: &mut Problems) -> Self {
        let mut read = Self::default();
        each(attributes, "column", problems, |meta, problems| {
            let path = &meta.path;
            match word(path).as_str() {
                "name" => once(&mut read.name, meta.value()?.parse()?, path, problems),
                "type" => once(&mut read.sql_type, meta.value()?.parse()?, path, problems),
                "default" => once(&mut read.default, meta.value()?.parse()?, path, problems),
                "primary_key" => once(&mut read.primary_key, path.clone(), path, problems),
                "unique" => once(&mut read.unique, path.clone(), path, problems),
                "index" => once(&mut read.index, path.clone(), path, problems),
                "skip" => once(&mut read.skip, path.clone(), path, problems),
                "version" => once(&mut read.version, path.clone(), path, problems),
                "deleted" => once(&mut read.deleted, path.clone(), path, problems),
                "created" => once(&mut read.created, path.clone(), path, problems),
                "updated" => once(&mut read.updated, path.clone(), path, problems),
                "generated" => {
                    let how = match meta.input.peek(Token![=]) {
                        true => Some(meta.value()?.parse()?),
                        false => None,
                    };
                    once(&mut read.generated, GeneratedAttribute { path: path.clone(), how }, path, problems);
                }
                _ => {
                    let known = "`name`, `type`, `primary_key`, `generated`, `default`, `unique`, `index`, `version`, `created`, `updated`, `deleted` or `skip`";
                    unknown(meta, known, problems)?;
                }
            }
            Ok(())
        });
        read
    }

    /// A word that says something of a column, if there is one.
    pub fn of_a_column(&self) -> Option<&Path> {
        let generated = self.generated.as_ref().map(|generated| &generated.path);
        [
            self.primary_key.as_ref(),
            generated,
            self.unique.as_ref(),
            self.index.as_ref(),
            self.version.as_ref(),
            self.deleted.as_ref(),
            self.created.as_ref(),
            self.updated.as_ref(),
        ]
        .into_iter()
        .flatten()
        .next()
    }
}

/// Goes through the attributes of one name. What can't be read of one does not keep the next from being read.
fn each(
    attributes: &[Attribute],
    name: &str,
    problems: &mut Problems,
    mut take: impl FnMut(&ParseNestedMeta<'_>, &mut Problems) -> syn::Result<()>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        if let Err(error) = attribute.parse_nested_meta(|meta| take(&meta, problems)) {
            problems.add(error);
        }
    }
}

fn word(path: &Path) -> String {
    path.get_ident().map(ToString::to_string).unwrap_or_default()
}

fn once<T>(slot: &mut Option<T>, value: T, path: &Path, problems: &mut Problems) {
    match slot {
        Some(_) => problems.at(path, format!("`{}` is given twice", word(path))),
        none => *none = Some(value),
    }
}

/// A word that means nothing: told, and what belongs to it passed over.
fn unknown(meta: &ParseNestedMeta<'_>, known: &str, problems: &mut Problems) -> syn::Result<()> {
    problems.at(&meta.path, format!("unknown attribute: expected {known}"));
    if meta.input.peek(token::Paren) {
        let inside;
        parenthesized!(inside in meta.input);
        inside.parse::<TokenStream>()?;
    } else if meta.input.peek(Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    }
    Ok(())
}
