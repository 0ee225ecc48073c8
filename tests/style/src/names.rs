//! Names of types, which are unique in the workspace, and how many public items are documented.

use std::collections::BTreeMap;

use proc_macro2::Ident;
use syn::{
    Attribute, Field, ImplItemFn, Item, Visibility,
    visit::{self, Visit},
};

use crate::{SourceFile, Workspace};

/// A type that the workspace defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// Name of a struct, enum, union, trait or alias.
    pub name: String,
    /// Path of the file that defines it.
    pub path: String,
    /// Line of the definition.
    pub line: usize,
}

/// Public items with a doc comment, and all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Documented {
    /// Items with a doc comment.
    pub documented: usize,
    /// All public items: types, functions, methods, constants and named fields.
    pub public: usize,
}

/// Types that the production code of a file defines.
pub fn types(file: &SourceFile) -> Vec<TypeName> {
    survey(file).types
}

/// Counts the public items of a file's production code.
pub fn documented(file: &SourceFile) -> Documented {
    survey(file).documented
}

/// Names that more than one type bears, each with all its types.
pub fn shared(workspace: &Workspace) -> BTreeMap<String, Vec<TypeName>> {
    let mut by_name: BTreeMap<String, Vec<TypeName>> = BTreeMap::new();
    for found in workspace.files().flat_map(types) {
        by_name.entry(found.name.clone()).or_default().push(found);
    }
    by_name.retain(|_, types| types.len() > 1);
    by_name
}

fn survey(file: &SourceFile) -> Survey<'_> {
    let mut survey = Survey {
        file,
        types: Vec::new(),
        documented: Documented::default(),
    };
    survey.visit_file(&file.syntax);
    survey
}

struct Survey<'a> {
    file: &'a SourceFile,
    types: Vec<TypeName>,
    documented: Documented,
}

impl Survey<'_> {
    fn is_test(&self, name: &Ident) -> bool {
        self.file.is_test(name.span().start().line)
    }

    fn define(&mut self, name: &Ident) {
        if self.is_test(name) {
            return;
        }
        let line = name.span().start().line;
        self.types.push(TypeName {
            name: name.to_string(),
            path: self.file.path.clone(),
            line,
        });
    }

    fn public(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &Ident) {
        if self.is_test(name) || !matches!(visibility, Visibility::Public(_)) {
            return;
        }
        self.documented.public += 1;
        if attributes
            .iter()
            .any(|attribute| attribute.path().is_ident("doc"))
        {
            self.documented.documented += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Survey<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if let Some((visibility, attributes, name)) = type_head(item) {
            self.define(name);
            self.public(visibility, attributes, name);
        }
        match item {
            Item::Fn(item) => self.public(&item.vis, &item.attrs, &item.sig.ident),
            Item::Const(item) => self.public(&item.vis, &item.attrs, &item.ident),
            Item::Static(item) => self.public(&item.vis, &item.attrs, &item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.public(&item.vis, &item.attrs, &item.sig.ident);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if let Some(name) = &field.ident {
            self.public(&field.vis, &field.attrs, name);
        }
        visit::visit_field(self, field);
    }
}

/// Visibility, attributes and name of an item that defines a type.
fn type_head(item: &Item) -> Option<(&Visibility, &[Attribute], &Ident)> {
    match item {
        Item::Struct(item) => Some((&item.vis, &item.attrs, &item.ident)),
        Item::Enum(item) => Some((&item.vis, &item.attrs, &item.ident)),
        Item::Union(item) => Some((&item.vis, &item.attrs, &item.ident)),
        Item::Trait(item) => Some((&item.vis, &item.attrs, &item.ident)),
        Item::Type(item) => Some((&item.vis, &item.attrs, &item.ident)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_public_items_are_found() {
        let text = concat!(
            "/// Doc.\npub struct A {\n    pub b: u8,\n    c: u8,\n}\nenum D {}\ntrait E {}\n",
            "impl A {\n    /// Doc.\n    pub fn f() {}\n    pub(crate) fn g() {}\n}\n",
            "fn h() {\n    struct I;\n}\n#[cfg(test)]\npub struct J;\n",
        );
        let file = SourceFile::parse("a.rs", text).expect("code");
        let names: Vec<String> = types(&file).into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["A", "D", "E", "I"]);
        assert_eq!(
            documented(&file),
            Documented {
                documented: 2,
                public: 3
            }
        );
    }
}
