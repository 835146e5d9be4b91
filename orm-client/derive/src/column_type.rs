//! `#[derive(ColumnType)]`: a type of the application's own as a column.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Fields, Ident, LitStr, Path, Type, Variant, parse_quote};

use crate::names;
use crate::problems::Problems;

/// `#[column_type(..)]`.
#[derive(Default)]
struct Attributes {
    krate: Option<Path>,
    sql_type: Option<LitStr>,
    name: Option<LitStr>,
}

/// The type as Rust code.
///
/// # Errors
/// It is neither a struct around one value nor an enum of names.
pub fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut problems = Problems::default();
    if !input.generics.params.is_empty() {
        problems.at(&input.generics, "a column's type can't be generic");
    }
    let attributes = Attributes::read(&input.attrs, &mut problems);
    let code = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let inner: Vec<&Type> = fields.unnamed.iter().map(|field| &field.ty).collect();
                quote!(#(#inner)*)
            }
            _ => return Err(wrong(&input.ident)),
        },
        Data::Enum(data) if data.variants.iter().all(|variant| variant.fields.is_empty()) => {
            let names = data.variants.iter().map(|variant| (&variant.ident, value(variant, &mut problems)));
            let names: Vec<_> = names.collect();
            return problems.or(of_names(&input.ident, &attributes, &names));
        }
        _ => return Err(wrong(&input.ident)),
    };
    problems.or(around(&input.ident, &attributes, &code))
}

fn wrong(ident: &Ident) -> syn::Error {
    syn::Error::new(
        ident.span(),
        "a column's type is a struct around one value, as Email(String), or an enum of names",
    )
}

impl Attributes {
    fn read(attributes: &[syn::Attribute], problems: &mut Problems) -> Self {
        let mut read = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("column_type")) {
            let outcome = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("type") {
                    read.sql_type = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("name") {
                    read.name = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("crate") {
                    let text: LitStr = meta.value()?.parse()?;
                    read.krate = Some(text.parse_with(Path::parse_mod_style)?);
                } else {
                    return Err(meta.error("unknown attribute: expected `type`, `name` or `crate`"));
                }
                Ok(())
            });
            if let Err(error) = outcome {
                problems.add(error);
            }
        }
        read
    }

    fn krate(&self) -> Path {
        self.krate.clone().unwrap_or_else(|| parse_quote!(::pgstrata_orm))
    }
}

/// What the database has for a variant.
fn value(variant: &Variant, problems: &mut Problems) -> String {
    match Attributes::read(&variant.attrs, problems).name {
        Some(name) => name.value(),
        None => names::snake_case(&variant.ident.unraw().to_string()),
    }
}

/// A struct around a value: the value, as its type is read and written.
fn around(ident: &Ident, attributes: &Attributes, inner: &TokenStream) -> TokenStream {
    let krate = attributes.krate();
    let types = quote!(#krate::tokio_postgres::types);
    let sql = match &attributes.sql_type {
        Some(text) => quote!(#text),
        None => quote!(<#inner as #krate::ColumnType>::SQL),
    };
    let array = match &attributes.sql_type {
        Some(text) => LitStr::new(&format!("{}[]", text.value()), text.span()).to_token_stream(),
        None => quote!(<#inner as #krate::ArrayElement>::ARRAY),
    };
    let in_sql = in_sql(&krate, ident, &sql, &array);
    quote! {
        #[automatically_derived]
        impl<'a> #types::FromSql<'a> for #ident {
            fn from_sql(ty: &#types::Type, raw: &'a [u8]) -> ::core::result::Result<Self, #krate::support::Failure> {
                <#inner as #types::FromSql<'a>>::from_sql(ty, raw).map(Self)
            }

            fn accepts(ty: &#types::Type) -> bool {
                <#inner as #types::FromSql<'a>>::accepts(ty)
            }
        }

        #[automatically_derived]
        impl #types::ToSql for #ident {
            fn to_sql(
                &self,
                ty: &#types::Type,
                out: &mut #types::private::BytesMut,
            ) -> ::core::result::Result<#types::IsNull, #krate::support::Failure> {
                <#inner as #types::ToSql>::to_sql(&self.0, ty, out)
            }

            fn accepts(ty: &#types::Type) -> bool {
                <#inner as #types::ToSql>::accepts(ty)
            }

            #types::to_sql_checked!();
        }

        #in_sql
    }
}

/// An enum: the names of its variants, as text or as a type of the database's own.
fn of_names(ident: &Ident, attributes: &Attributes, variants: &[(&Ident, String)]) -> TokenStream {
    let krate = attributes.krate();
    let types = quote!(#krate::tokio_postgres::types);
    let sql = attributes.sql_type.as_ref().map_or_else(|| "text".to_owned(), LitStr::value);
    let (array, name) = (format!("{sql}[]"), ident.unraw().to_string());
    let read =
        variants.iter().map(|(variant, value)| quote!(#value => ::core::result::Result::Ok(Self::#variant)));
    let write = variants.iter().map(|(variant, value)| quote!(Self::#variant => #value));
    let in_sql = in_sql(&krate, ident, &quote!(#sql), &quote!(#array));
    quote! {
        #[automatically_derived]
        impl<'a> #types::FromSql<'a> for #ident {
            fn from_sql(ty: &#types::Type, raw: &'a [u8]) -> ::core::result::Result<Self, #krate::support::Failure> {
                match #krate::support::name_of(ty, raw)? {
                    #(#read,)*
                    other => ::core::result::Result::Err(#krate::support::no_such(#name, other)),
                }
            }

            fn accepts(ty: &#types::Type) -> bool {
                #krate::support::holds_names(ty)
            }
        }

        #[automatically_derived]
        impl #types::ToSql for #ident {
            fn to_sql(
                &self,
                _: &#types::Type,
                out: &mut #types::private::BytesMut,
            ) -> ::core::result::Result<#types::IsNull, #krate::support::Failure> {
                let name: &str = match *self {
                    #(#write,)*
                };
                out.extend_from_slice(name.as_bytes());
                ::core::result::Result::Ok(#types::IsNull::No)
            }

            fn accepts(ty: &#types::Type) -> bool {
                #krate::support::holds_names(ty)
            }

            #types::to_sql_checked!();
        }

        #in_sql
    }
}

/// What a column of the type, and an array of it, are called in SQL.
fn in_sql(krate: &Path, ident: &Ident, sql: &TokenStream, array: &TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl #krate::ColumnType for #ident {
            const SQL: &'static str = #sql;
        }

        #[automatically_derived]
        impl #krate::ArrayElement for #ident {
            const ARRAY: &'static str = #array;
        }
    }
}
