//! Relations as Rust code.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::option;
use crate::attributes::RelationKind;
use crate::table::{Relation, Table};

pub fn definition(relation: &Relation, table: &Table) -> TokenStream {
    let krate = &table.krate;
    let Relation { kind, target, own_column, column, through, .. } = relation;
    let name = relation.name.unraw().to_string();
    let own = table.columns.get(*own_column).map(|column| &column.name);
    let target_column = match kind {
        RelationKind::BelongsTo | RelationKind::ManyToMany => {
            quote!(#krate::support::key_column::<#target>())
        }
        RelationKind::HasOne | RelationKind::HasMany => {
            quote!(#krate::support::column_name(<#target>::#column))
        }
    };
    let through = option(through.as_ref().map(|(ty, target)| {
        quote! {
            #krate::entity::ThroughDefinition {
                entity: || <#ty as #krate::entity::Entity>::DEFINITION,
                column: #krate::support::column_name(<#ty>::#column),
                target_column: #krate::support::column_name(<#ty>::#target),
            }
        }
    }));
    let kind = match kind {
        RelationKind::BelongsTo => quote!(BelongsTo),
        RelationKind::HasOne => quote!(HasOne),
        RelationKind::HasMany => quote!(HasMany),
        RelationKind::ManyToMany => quote!(ManyToMany),
    };
    quote! {
        #krate::entity::RelationDefinition {
            name: #name,
            kind: #krate::entity::RelationKind::#kind,
            target: || <#target as #krate::entity::Entity>::DEFINITION,
            column: #own,
            target_column: #target_column,
            through: #through,
        }
    }
}

pub fn constant(index: usize, relation: &Relation, table: &Table) -> TokenStream {
    let Table { visibility, krate, .. } = table;
    let Relation { kind, constant, target, name, .. } = relation;
    let doc = format!("The relation `{}`.", name.unraw());
    let many = match kind {
        RelationKind::BelongsTo | RelationKind::HasOne => quote!(ToOne),
        RelationKind::HasMany | RelationKind::ManyToMany => quote!(ToMany),
    };
    quote! {
        #[doc = #doc]
        #visibility const #constant: #krate::entity::Relation<Self, #target, #krate::entity::#many> =
            #krate::entity::Relation::new(#index);
    }
}

/// Where the key is, a column must fit: which only the compiler knows.
pub fn check(relation: &Relation, table: &Table) -> TokenStream {
    let Table { ident, krate, .. } = table;
    let Relation { kind, target, column, through, .. } = relation;
    match (kind, through) {
        (RelationKind::BelongsTo, _) => {
            // All of the argument is where the field is named: that is what does not fit.
            let argument = quote_spanned!(column.span()=> __Own::#column);
            quote_spanned!(target.span()=> #krate::support::belongs_to::<#ident, #target, _, _, _>(#argument);)
        }
        (_, Some((ty, other))) => quote_spanned! {ty.span()=>
            #krate::support::has_many::<#ident, #ty, _, _, _>(<#ty>::#column);
            #krate::support::has_many::<#target, #ty, _, _, _>(<#ty>::#other);
        },
        (RelationKind::HasOne, None) => quote_spanned! {target.span()=>
            #krate::support::has_one::<#ident, #target, _, _>(<#target>::#column);
        },
        (_, None) => quote_spanned! {target.span()=>
            #krate::support::has_many::<#ident, #target, _, _, _>(<#target>::#column);
        },
    }
}
