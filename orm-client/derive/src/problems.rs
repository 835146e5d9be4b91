//! All that is wrong with a type, told at once.

use std::fmt::Display;

use quote::ToTokens;

/// What was found so far.
#[derive(Default)]
pub struct Problems(Option<syn::Error>);

impl Problems {
    /// One more, at these tokens.
    pub fn at(&mut self, place: impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(place, message));
    }

    /// One more, or several.
    pub fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// `value` if nothing is wrong.
    pub fn or<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}
