//! The modules of one crate, and the file in which a path such as `crate::log::Entry` ends.
//!
//! A path may lead through names that a module imports or passes on (`pub use`), and is followed to
//! the module that defines the last name. Paths inside macros are not seen, because a macro may
//! read them as it likes.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use syn::{Item, UseTree};

use crate::{SourceFile, Workspace, workspace::directory};

/// Imports that one path may lead through: more would be a circle of imports.
const IMPORTS: usize = 16;

/// Number of a module in its [`Crate`].
pub(crate) type ModuleNumber = usize;

/// One module, and the meaning of its names.
pub(crate) struct Module<'a> {
    /// The file that it stands in; a module inside a file shares that file.
    pub(crate) file: &'a SourceFile,
    /// Items, without those for tests.
    pub(crate) items: Vec<&'a Item>,
    /// The module that declares it; none declares the root.
    pub(crate) parent: Option<ModuleNumber>,
    children: BTreeMap<String, ModuleNumber>,
    /// Items that are defined here, by name.
    defined: BTreeSet<String>,
    /// Name here, and the path that it stands for.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths whose public names are all names here.
    globs: Vec<Vec<String>>,
}

/// All modules of one crate. The root has the number 0.
pub(crate) struct Crate<'a> {
    pub(crate) modules: Vec<Module<'a>>,
}

/// End of a path.
#[derive(Clone, Copy)]
enum PathEnd {
    /// The path leads to a module.
    At(ModuleNumber),
    /// The path leads to an item that this module defines.
    In(ModuleNumber),
}

impl<'a> Crate<'a> {
    /// Finds the modules of the crate whose root is a file of the workspace.
    pub(crate) fn of(workspace: &'a Workspace, root: &'a SourceFile) -> Self {
        let mut of_crate = Self {
            modules: Vec::new(),
        };
        of_crate.add(
            workspace,
            (root, &root.syntax.items),
            None,
            directory(&root.path),
        );
        of_crate
    }

    /// Follows a path from a module to the file that defines its last name. `None` means that it
    /// leads to another crate.
    pub(crate) fn file(&self, from: ModuleNumber, path: &[String]) -> Option<&'a SourceFile> {
        let number = match self.follow(from, path, IMPORTS)? {
            PathEnd::At(number) | PathEnd::In(number) => number,
        };
        Some(self.modules[number].file)
    }

    /// True if the first file declares the module of the second one, itself or through others.
    pub(crate) fn is_parent(&self, parent: &SourceFile, child: &SourceFile) -> bool {
        if parent.path == child.path {
            return false;
        }
        let is_of =
            |number: ModuleNumber, file: &SourceFile| self.modules[number].file.path == file.path;
        (0..self.modules.len())
            .filter(|number| is_of(*number, child))
            .any(|number| self.parents(number).any(|above| is_of(above, parent)))
    }

    /// Parent of a module, its parent, and so on to the root.
    fn parents(&self, number: ModuleNumber) -> impl Iterator<Item = ModuleNumber> {
        iter::successors(self.modules[number].parent, |above| {
            self.modules[*above].parent
        })
    }

    /// Adds a module and all below it. `dir` is where the files of its children stand.
    fn add(
        &mut self,
        workspace: &'a Workspace,
        (file, items): (&'a SourceFile, &'a [Item]),
        parent: Option<ModuleNumber>,
        dir: &str,
    ) -> ModuleNumber {
        let number = self.modules.len();
        self.modules.push(Module::new(file, items, parent));

        for item in self.modules[number].items.clone() {
            let Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            let dir = format!("{dir}/{name}");

            // A file that an attribute names is shared with tests, and is not found.
            let child = match &module.content {
                Some((_, items)) => Some((file, items.as_slice())),
                None => file_of_module(workspace, &dir).map(|file| (file, &file.syntax.items[..])),
            };
            if let Some(child) = child {
                let added = self.add(workspace, child, Some(number), &dir);
                self.modules[number].children.insert(name, added);
            }
        }
        number
    }

    /// Follows a path from a module to its end.
    fn follow(&self, from: ModuleNumber, path: &[String], imports: usize) -> Option<PathEnd> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => PathEnd::At(0),
            "self" => PathEnd::At(from),
            "super" => PathEnd::At(self.modules[from].parent?),
            name => self.name(from, name, imports)?,
        };

        rest.iter()
            .try_fold(start, |end, name| match (end, name.as_str()) {
                (PathEnd::At(number), "self") => Some(PathEnd::At(number)),
                (PathEnd::At(number), "super") => self.modules[number].parent.map(PathEnd::At),
                (PathEnd::At(number), name) => self.name(number, name, imports),
                // Parts of an item: a variant, a method.
                (PathEnd::In(number), _) => Some(PathEnd::In(number)),
            })
    }

    /// The end of a single name in a module.
    fn name(&self, number: ModuleNumber, name: &str, imports: usize) -> Option<PathEnd> {
        let imports = imports.checked_sub(1)?;
        let module = &self.modules[number];
        if let Some(child) = module.children.get(name) {
            return Some(PathEnd::At(*child));
        }
        if module.defined.contains(name) {
            return Some(PathEnd::In(number));
        }
        if let Some(path) = module.imports.get(name) {
            return self.follow(number, path, imports);
        }

        // A name that came with many others: their module knows it.
        module
            .globs
            .iter()
            .find_map(|path| match self.follow(number, path, imports)? {
                PathEnd::At(target) if target != number => self.name(target, name, imports),
                _ => None,
            })
    }
}

impl<'a> Module<'a> {
    fn new(file: &'a SourceFile, items: &'a [Item], parent: Option<ModuleNumber>) -> Self {
        let mut module = Self {
            file,
            items: items
                .iter()
                .filter(|item| !is_for_tests(file, item))
                .collect(),
            parent,
            children: BTreeMap::new(),
            defined: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
        };

        for item in module.items.clone() {
            module.defined.extend(defined(item));
            if let Item::Use(import) = item {
                for (name, path) in leaves(&import.tree) {
                    match name {
                        Some(name) => drop(module.imports.insert(name, path)),
                        None => module.globs.push(path),
                    }
                }
            }
        }
        module
    }
}

fn is_for_tests(file: &SourceFile, item: &Item) -> bool {
    let span = match item {
        Item::Mod(item) => item.mod_token.span,
        Item::Use(item) => item.use_token.span,
        Item::Fn(item) => item.sig.fn_token.span,
        Item::Impl(item) => item.impl_token.span,
        _ => return false,
    };
    file.is_test(span.start().line)
}

/// The file of a module whose own modules stand in a directory.
fn file_of_module<'a>(workspace: &'a Workspace, dir: &str) -> Option<&'a SourceFile> {
    workspace
        .file(&format!("{dir}.rs"))
        .or_else(|| workspace.file(&format!("{dir}/mod.rs")))
}

/// The name that an item gives to its module.
fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Struct(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Const(item) => &item.ident,
        Item::Static(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Names that an import brings in, each with the path that it stands for. A glob has no name.
pub(crate) fn leaves(tree: &UseTree) -> Vec<(Option<String>, Vec<String>)> {
    match tree {
        UseTree::Path(part) => {
            let first = part.ident.to_string();
            leaves(&part.tree)
                .into_iter()
                .map(|leaf| prefixed(&first, leaf))
                .collect()
        }
        UseTree::Name(name) => vec![(Some(name.ident.to_string()), vec![name.ident.to_string()])],
        UseTree::Rename(name) => {
            vec![(Some(name.rename.to_string()), vec![name.ident.to_string()])]
        }
        UseTree::Glob(_) => vec![(None, Vec::new())],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// One more part at the head of a path; `a::{self}` is called `a`.
fn prefixed(
    first: &str,
    (name, mut path): (Option<String>, Vec<String>),
) -> (Option<String>, Vec<String>) {
    path.insert(0, first.to_owned());
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = name.map(|name| {
        if name == "self" {
            first.to_owned()
        } else {
            name
        }
    });
    (name, path)
}
