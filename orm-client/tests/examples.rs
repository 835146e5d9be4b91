//! Whoever looks something up finds it used: each public item has an example in its documentation.

// A test fails loudly, and so do its helpers.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Ident, ImplItem, Item, Lit, TraitItem, Type, Visibility};

/// This crate, and what it gives on of the tenants'.
const ROOTS: [&str; 6] = [
    "src/lib.rs", "../tenancy/src/layers.rs", "../tenancy/src/pattern.rs", "../tenancy/src/role.rs",
    "../tenancy/src/strategy.rs", "../tenancy/src/tenant.rs",
];

#[test]
fn each_public_item_has_an_example() {
    let mut items = Items::default();
    for root in ROOTS {
        items.file(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root));
    }
    assert!(items.0.len() > 200, "{} can't be all there are", items.0.len());
    let bare: Vec<_> = items.0.iter().filter(|(_, shown)| !shown).map(|(path, _)| path).collect();
    assert!(bare.is_empty(), "no example: {bare:#?}");
}

/// Where each is, and whether it is shown in use.
#[derive(Default)]
struct Items(Vec<(PathBuf, bool)>);

impl Items {
    /// Gives the attributes of the file itself.
    fn file(&mut self, path: &Path) -> Vec<Attribute> {
        let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
        // The modules of `src/lib.rs` are beside it, those of `src/web.rs` in `src/web`.
        let modules = path.to_str().unwrap().trim_end_matches("lib.rs").trim_end_matches(".rs");
        file.items.iter().for_each(|item| self.item(Path::new(modules), item));
        file.attrs
    }

    fn item(&mut self, at: &Path, item: &Item) {
        match item {
            Item::Const(item) => self.check(at, &item.vis, &item.attrs, &item.ident),
            Item::Enum(item) => self.check(at, &item.vis, &item.attrs, &item.ident),
            Item::Fn(item) => self.check(at, &item.vis, &item.attrs, &item.sig.ident),
            Item::Struct(item) => self.check(at, &item.vis, &item.attrs, &item.ident),
            Item::Type(item) => self.check(at, &item.vis, &item.attrs, &item.ident),
            // What is hidden has nothing in it that is not.
            Item::Trait(item) if !item.attrs.iter().any(is_hidden) => {
                self.check(at, &item.vis, &item.attrs, &item.ident);
                let at = &at.join(item.ident.to_string());
                item.items.iter().for_each(|part| match part {
                    TraitItem::Const(part) => self.check(at, &item.vis, &part.attrs, &part.ident),
                    TraitItem::Fn(part) => self.check(at, &item.vis, &part.attrs, &part.sig.ident),
                    TraitItem::Type(part) => self.check(at, &item.vis, &part.attrs, &part.ident),
                    _ => {}
                });
            }
            Item::Impl(item) if item.trait_.is_none() => {
                let Type::Path(of) = &*item.self_ty else { return };
                let at = &at.join(of.path.segments.last().unwrap().ident.to_string());
                item.items.iter().for_each(|part| match part {
                    ImplItem::Const(part) => self.check(at, &part.vis, &part.attrs, &part.ident),
                    ImplItem::Fn(part) => self.check(at, &part.vis, &part.attrs, &part.sig.ident),
                    _ => {}
                });
            }
            Item::Mod(item) if item.content.is_none() && !item.attrs.iter().any(is_hidden) => {
                let attributes = self.file(&at.join(format!("{}.rs", item.ident)));
                self.check(at, &item.vis, &attributes, &item.ident);
            }
            // What a macro is given may be items: `pin_project!`'s are.
            Item::Macro(item) => {
                let inside = item.mac.parse_body::<syn::File>().map_or(Vec::new(), |file| file.items);
                inside.iter().for_each(|item| self.item(at, item));
            }
            _ => {}
        }
    }

    fn check(&mut self, at: &Path, visibility: &Visibility, attributes: &[Attribute], name: &Ident) {
        if matches!(visibility, Visibility::Public(_)) && !attributes.iter().any(is_hidden) {
            // Every other fence opens one, of code that is compiled.
            let fences = attributes.iter().filter_map(text).filter(|line| line.trim().starts_with("```"));
            let shown =
                fences.step_by(2).any(|line| ["```", "```no_run", "```compile_fail"].contains(&line.trim()));
            self.0.push((at.join(name.to_string()), shown));
        }
    }
}

/// A line of documentation.
fn text(attribute: &Attribute) -> Option<String> {
    let doc = attribute.meta.require_name_value().ok().filter(|doc| doc.path.is_ident("doc"))?;
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &doc.value else { return None };
    Some(text.value())
}

fn is_hidden(attribute: &Attribute) -> bool {
    let list = attribute.meta.require_list().ok().filter(|list| list.path.is_ident("doc"));
    list.is_some_and(|list| list.tokens.to_string() == "hidden")
}
