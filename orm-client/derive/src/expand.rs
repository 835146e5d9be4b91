//! The table as Rust code.

mod relation;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::table::{Column, Index, Stamp, Table};

/// The trait's implementation, the constants, and checks that only the compiler can make.
pub fn expand(table: &Table) -> TokenStream {
    let implementation = implementation(table);
    let constants = constants(table);
    let checks = checks(table);
    quote! {
        #implementation
        #constants
        #checks
    }
}

fn implementation(table: &Table) -> TokenStream {
    let Table { ident, krate, .. } = table;
    let key: Vec<&Column> = table.columns.iter().filter(|column| column.primary_key).collect();
    let key_type = match key.as_slice() {
        [Column { ty, .. }] => quote!(#ty),
        several => {
            let types = several.iter().map(|column| &column.ty);
            quote!((#(#types),*))
        }
    };
    let key_fields = key.iter().map(|column| &column.field);
    let key_values = key_fields.map(|field| quote!(::core::clone::Clone::clone(&self.#field)));
    let key_value = match key.len() {
        1 => quote!(#(#key_values)*),
        _ => quote!((#(#key_values),*)),
    };
    let definition = definition(table);
    let column_definitions = table.columns.iter().map(|column| column_definition(column, table));
    let (read, values) = (read(table), values(table));
    let is_new = match key.iter().find(|column| column.generated.is_some()) {
        Some(Column { field, ty, .. }) => {
            quote_spanned!(ty.span()=> self.#field == <#ty as ::core::default::Default>::default())
        }
        None => quote!(false),
    };
    let (hooked, no_hooks) = hooks(table);
    quote! {
        #no_hooks
        #[automatically_derived]
        #[allow(unused_qualifications)]
        impl #krate::entity::Entity for #ident {
            type Key = #key_type;

            #hooked

            const COLUMNS: &'static [#krate::entity::ColumnDefinition] = &[#(#column_definitions),*];

            const DEFINITION: &'static #krate::entity::EntityDefinition = &#definition;

            fn from_row(
                row: &#krate::Row,
                first: usize,
            ) -> ::core::result::Result<Self, #krate::RowError> {
                #read
            }

            fn values(&self) -> ::std::vec::Vec<#krate::entity::Parameter<'_>> {
                #values
            }

            fn key(&self) -> Self::Key {
                #key_value
            }

            fn is_new(&self) -> bool {
                #is_new
            }
        }
    }
}

/// What says that there are hooks, and those that do nothing.
fn hooks(table: &Table) -> (TokenStream, TokenStream) {
    let Table { ident, krate, hooks, .. } = table;
    if !hooks {
        let none = quote! {
            #[automatically_derived]
            impl #krate::Hooks for #ident {}
        };
        return (TokenStream::new(), none);
    }
    let hooked = quote! {
        const HOOKED: bool = true;

        fn copied(&self) -> ::core::option::Option<Self> {
            ::core::option::Option::Some(::core::clone::Clone::clone(self))
        }
    };
    (hooked, TokenStream::new())
}

fn read(table: &Table) -> TokenStream {
    let krate = &table.krate;
    let columns = table.columns.iter().enumerate().map(|(index, Column { field, ty, .. })| {
        quote_spanned!(ty.span()=> #field: #krate::support::read::<#ty>(row, first + #index)?)
    });
    let skipped = table.skipped.iter().map(|field| quote!(#field: ::core::default::Default::default()));
    quote!(::core::result::Result::Ok(Self { #(#columns,)* #(#skipped,)* }))
}

fn values(table: &Table) -> TokenStream {
    let krate = &table.krate;
    let values = table.columns.iter().map(|Column { field, ty, .. }| {
        quote_spanned!(ty.span()=> #krate::support::parameter::<#ty>(&self.#field))
    });
    quote!(::std::vec![#(#values),*])
}

fn definition(table: &Table) -> TokenStream {
    let Table { ident, krate, name, .. } = table;
    let type_name = ident.unraw().to_string();
    let schema = option(table.schema.as_ref());
    let indexes = table.indexes.iter().map(|index| index_definition(index, table));
    let relations = table.relations.iter().map(|relation| relation::definition(relation, table));
    quote! {
        #krate::entity::EntityDefinition {
            name: #type_name,
            table: #name,
            schema: #schema,
            columns: <Self as #krate::entity::Entity>::COLUMNS,
            indexes: &[#(#indexes),*],
            relations: &[#(#relations),*],
        }
    }
}

fn column_definition(column: &Column, table: &Table) -> TokenStream {
    let krate = &table.krate;
    let Column { name, ty, primary_key, unique, .. } = column;
    let (version, deleted) = (column.version.is_some(), column.deleted.is_some());
    let (created, updated) = (column.stamp == Some(Stamp::Created), column.stamp == Some(Stamp::Updated));
    let field = column.field.unraw().to_string();
    let base = quote_spanned!(ty.span()=> #krate::support::column::<#ty>(#field, #name));
    let sql_type = column.sql_type.as_ref().map(|text| quote!(sql_type: #text,));
    let generated = column.generated.as_ref().map(|generated| match generated.uuid {
        true => quote!(#krate::entity::Generated::Uuid),
        false => quote!(#krate::entity::Generated::Identity),
    });
    let (generated, default) = (option(generated), option(column.default.as_ref()));
    quote! {
        #krate::entity::ColumnDefinition {
            #sql_type
            primary_key: #primary_key,
            generated: #generated,
            default: #default,
            unique: #unique,
            version: #version,
            deleted: #deleted,
            created: #created,
            updated: #updated,
            ..#base
        }
    }
}

fn index_definition(index: &Index, table: &Table) -> TokenStream {
    let krate = &table.krate;
    let Index { columns, unique, .. } = index;
    let name = option(index.name.as_ref());
    quote! {
        #krate::entity::IndexDefinition { name: #name, columns: &[#(#columns),*], unique: #unique }
    }
}

fn constants(table: &Table) -> TokenStream {
    let Table { ident, visibility, krate, .. } = table;
    let columns = table.columns.iter().enumerate().map(|(index, column)| {
        let Column { constant, plain, name, optional, tells_rows, .. } = column;
        let doc = format!("The column `{name}`.");
        let null = match optional {
            true => quote!(Optional),
            false => quote!(Required),
        };
        let unique = match tells_rows {
            true => quote!(Unique),
            false => quote!(NotUnique),
        };
        quote! {
            #[doc = #doc]
            #visibility const #constant:
                #krate::entity::Column<Self, #plain, #krate::entity::#null, #krate::entity::#unique> =
                #krate::entity::Column::new(#index);
        }
    });
    let indexes = table.indexes.iter().filter_map(|index| index.key.as_ref()).map(|(constant, columns)| {
        let doc = "These columns together are unique.";
        quote! {
            #[doc = #doc]
            #visibility const #constant: #krate::entity::UniqueIndex<Self> =
                #krate::entity::UniqueIndex::new(&[#(#columns),*]);
        }
    });
    let relations = table.relations.iter().enumerate();
    let relations = relations.map(|(index, each)| relation::constant(index, each, table));
    quote! {
        #[automatically_derived]
        #[allow(dead_code, private_interfaces, unused_qualifications)]
        impl #ident {
            #(#columns)*
            #(#indexes)*
            #(#relations)*
        }
    }
}

/// What the types of keys must be, which only the compiler knows.
fn checks(table: &Table) -> TokenStream {
    let Table { ident, krate, .. } = table;
    let generated = table.columns.iter().filter_map(|Column { ty, generated, .. }| {
        let kind = match generated.as_ref()?.uuid {
            true => quote!(uuid),
            false => quote!(identity),
        };
        Some(quote_spanned!(ty.span()=> #krate::support::#kind::<#ty>();))
    });
    let versions = table.columns.iter().filter(|column| column.version.is_some());
    let versions =
        versions.map(|Column { ty, .. }| quote_spanned!(ty.span()=> #krate::support::version::<#ty>();));
    let deleted = table.columns.iter().filter(|column| column.deleted.is_some());
    let deleted = deleted
        .map(|Column { ty, plain, .. }| quote_spanned!(ty.span()=> #krate::support::moment::<#plain>();));
    let stamps = table.columns.iter().filter(|column| column.stamp.is_some());
    let stamps = stamps
        .map(|Column { ty, plain, .. }| quote_spanned!(ty.span()=> #krate::support::moment::<#plain>();));
    let relations = table.relations.iter().map(|each| relation::check(each, table));
    quote! {
        #[allow(unused_qualifications)]
        const _: () = {
            #[allow(dead_code)]
            type __Own = #ident;
            #(#generated)*
            #(#versions)*
            #(#deleted)*
            #(#stamps)*
            #(#relations)*
        };
    }
}

fn option<T: quote::ToTokens>(value: Option<T>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
