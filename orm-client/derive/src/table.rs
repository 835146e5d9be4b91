//! The table that attributes and fields make together, checked.

mod column;

use std::collections::HashMap;

use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, FieldsNamed, Ident, Path, Type, Visibility, parse_quote};

pub use self::column::{Column, Field, Stamp};
use crate::attributes::{EntityAttributes, IndexAttribute, RelationAttribute, RelationKind};
use crate::names;
use crate::problems::Problems;

/// As many parts as the tuples have that are keys.
const MAX_KEY_COLUMNS: usize = 4;

/// What the code is written from.
pub struct Table {
    pub ident: Ident,
    pub visibility: Visibility,
    /// The path of `pgstrata_orm`.
    pub krate: Path,
    pub name: String,
    pub schema: Option<String>,
    pub columns: Vec<Column>,
    /// The fields that are no columns.
    pub skipped: Vec<Ident>,
    pub indexes: Vec<Index>,
    pub relations: Vec<Relation>,
    /// It has hooks of its own.
    pub hooks: bool,
}

/// An index.
pub struct Index {
    pub name: Option<String>,
    pub columns: Vec<String>,
    pub unique: bool,
    /// Of several columns that are unique together: what they are called, and which they are.
    pub key: Option<(Ident, Vec<usize>)>,
}

/// A relation.
pub struct Relation {
    pub kind: RelationKind,
    pub name: Ident,
    pub constant: Ident,
    pub target: Type,
    /// `belongs_to`: the field of this type, as its place among the columns.
    pub own_column: usize,
    /// The field that holds the key, as a constant of the type that has it.
    pub column: Ident,
    /// The type between the two, and the field that holds the other's key, as its constant.
    pub through: Option<(Type, Ident)>,
}

impl Table {
    /// Reads a type.
    ///
    /// # Errors
    /// All that is wrong with it, each at its place.
    pub fn read(input: DeriveInput) -> syn::Result<Self> {
        let fields = named_fields(&input)?;
        let mut problems = Problems::default();
        if !input.generics.params.is_empty() {
            problems.at(&input.generics, "an entity can't be generic: it is one table");
        }
        let attributes = EntityAttributes::read(&input.attrs, &mut problems);
        let read = fields.named.iter().filter_map(|field| Field::read(field, &mut problems));
        let (mut columns, mut skipped) = (Vec::new(), Vec::new());
        for field in read.collect::<Vec<_>>() {
            match field {
                Field::Column(column) => columns.push(*column),
                Field::Skipped(field) => skipped.push(field),
            }
        }
        check_key(&input.ident, &columns, &mut problems);
        let mut indexes = own_indexes(&columns);
        indexes.extend(attributes.indexes.iter().map(|index| read_index(index, &columns, &mut problems)));
        let relations = attributes.relations.into_iter();
        let relations: Vec<_> =
            relations.map(|relation| read_relation(relation, &columns, &mut problems)).collect();
        mark_unique(&mut columns, &indexes);
        check_names(&columns, &relations, &indexes, &mut problems);
        check_index_names(&attributes.indexes, &mut problems);
        let schema = attributes.schema.map(|name| names::checked(&name, "the schema", &mut problems));
        let name = match attributes.table {
            Some(name) => names::checked(&name, "the table", &mut problems),
            None => {
                let name = names::table_of(&input.ident);
                names::derived(name, &input.ident, "the table", "table", &mut problems)
            }
        };
        let krate = attributes.krate.unwrap_or_else(|| parse_quote!(::pgstrata_orm));
        let (ident, visibility) = (input.ident, input.vis);
        let hooks = attributes.hooks.is_some();
        problems.or(Self {
            ident,
            visibility,
            krate,
            name,
            schema,
            columns,
            skipped,
            indexes,
            relations,
            hooks,
        })
    }
}

fn named_fields(input: &DeriveInput) -> syn::Result<&FieldsNamed> {
    let message = "an entity is a struct with named fields: each is a column";
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields),
            Fields::Unnamed(fields) => Err(syn::Error::new(fields.span(), message)),
            Fields::Unit => Err(syn::Error::new(input.ident.span(), message)),
        },
        Data::Enum(data) => Err(syn::Error::new(data.enum_token.span(), message)),
        Data::Union(data) => Err(syn::Error::new(data.union_token.span(), message)),
    }
}

fn check_key(ident: &Ident, columns: &[Column], problems: &mut Problems) {
    let mut key = columns.iter().filter(|column| column.primary_key);
    if key.clone().next().is_none() {
        problems.at(ident, "no field is the primary key: mark one with #[column(primary_key)], or several");
    }
    if let Some(column) = key.nth(MAX_KEY_COLUMNS) {
        problems.at(&column.field, format!("a primary key has at most {MAX_KEY_COLUMNS} columns"));
    }
    let mut generated = columns.iter().filter_map(|column| column.generated.as_ref()).skip(1);
    let mut deleted = columns.iter().filter_map(|column| column.deleted.as_ref()).skip(1);
    if let Some(second) = deleted.next() {
        problems.at(second, "a second column that says since when a row is deleted");
    }
    if let Some(second) = generated.next() {
        problems.at(&second.place, "a second generated column: the database gives one value of a new row");
    }
}

/// Those of `#[column(index)]`.
fn own_indexes(columns: &[Column]) -> Vec<Index> {
    let indexed = columns.iter().filter(|column| column.index);
    let one = |column: &Column| vec![column.name.clone()];
    indexed.map(|column| Index { name: None, columns: one(column), unique: false, key: None }).collect()
}

fn read_index(index: &IndexAttribute, columns: &[Column], problems: &mut Problems) -> Index {
    let (mut named, mut places) = (Vec::new(), Vec::new());
    for field in &index.columns {
        match columns
            .iter()
            .position(|column| column.field == *field)
            .and_then(|at| Some((at, columns.get(at)?)))
        {
            None => problems.at(field, format!("no column comes from a field `{field}`")),
            Some((_, column)) if named.contains(&column.name) => {
                problems.at(field, format!("`{field}` is in this index twice"));
            }
            Some((at, column)) => {
                named.push(column.name.clone());
                places.push(at);
            }
        }
    }
    let name = index.name.as_ref().map(|name| names::checked(name, "the index", problems));
    let several = index.unique && places.len() > 1;
    let key = several.then(|| (names::constant_of_index(name.as_deref(), &index.columns), places));
    Index {
        name,
        columns: named,
        unique: index.unique,
        key: key.and_then(|(name, places)| Some((name?, places))),
    }
}

/// A unique index of one column is one more way to say that the column is.
fn mark_unique(columns: &mut [Column], indexes: &[Index]) {
    let keys = columns.iter().filter(|column| column.primary_key).count();
    for column in columns {
        let indexed = indexes.iter().any(|index| index.unique && *index.columns == [column.name.clone()]);
        column.tells_rows = column.unique || indexed || (column.primary_key && keys == 1);
    }
}

fn read_relation(relation: RelationAttribute, columns: &[Column], problems: &mut Problems) -> Relation {
    let RelationAttribute { kind, name, target, column, through } = relation;
    let belongs_to = kind == RelationKind::BelongsTo;
    let own = match belongs_to {
        true => columns.iter().position(|known| known.field == column),
        false => columns.iter().position(|known| known.primary_key),
    };
    if belongs_to && own.is_none() {
        problems.at(&column, format!("no column comes from a field `{column}`"));
    }
    if !belongs_to && columns.iter().filter(|column| column.primary_key).count() > 1 {
        let word = match kind {
            RelationKind::HasOne => "has_one",
            RelationKind::ManyToMany => "many_to_many",
            RelationKind::BelongsTo | RelationKind::HasMany => "has_many",
        };
        problems
            .at(&name, format!("{word} needs a primary key of one column: another table's column holds it"));
    }
    let constant = names::constant(&name);
    let column = names::constant(&column);
    let through = through.map(|through| (through.ty, names::constant(&through.target)));
    Relation { kind, name, constant, target, own_column: own.unwrap_or_default(), column, through }
}

/// Columns are told apart by their names, constants of columns and relations by theirs.
fn check_names(columns: &[Column], relations: &[Relation], indexes: &[Index], problems: &mut Problems) {
    let mut seen = HashMap::new();
    for column in columns {
        if let Some(first) = seen.insert(column.name.as_str(), &column.field) {
            let message = format!("the column `{}` is the field `{first}`'s, too", column.name);
            match &column.name_place {
                Some(literal) => problems.at(literal, message),
                None => problems.at(&column.field, message),
            }
        }
    }
    let mut constants = HashMap::new();
    let of_columns = columns.iter().map(|column| (&column.constant, &column.field));
    let of_indexes = indexes.iter().filter_map(|index| index.key.as_ref()).map(|(name, _)| (name, name));
    let of_relations = relations.iter().map(|relation| (&relation.constant, &relation.name));
    for (constant, place) in of_columns.chain(of_relations).chain(of_indexes) {
        if let Some(first) = constants.insert(constant, place) {
            problems.at(place, format!("`{first}` becomes the constant `{constant}`, too"));
        }
    }
}

fn check_index_names(indexes: &[IndexAttribute], problems: &mut Problems) {
    let mut seen = Vec::new();
    for name in indexes.iter().filter_map(|index| index.name.as_ref()) {
        match seen.contains(&name.value()) {
            true => problems.at(name, "two indexes have this name"),
            false => seen.push(name.value()),
        }
    }
}
