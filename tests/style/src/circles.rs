//! Circles of files: each needs the next one, so none can be read or changed alone.
//!
//! A file needs another when one of its imports or paths ends there. A parent composes the modules
//! that it declares, and they use its names: that alone is no circle. So a circle is counted
//! when it can be closed without a step down to a child, or without a step up to a parent.

use std::collections::{BTreeMap, BTreeSet};

use syn::{
    ItemMod, ItemUse, Path, Visibility,
    visit::{self, Visit},
};

use crate::{
    SourceFile, Workspace,
    modules::{Crate, ModuleNumber, leaves},
};

/// The way from a file to one that it needs, in the tree of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To a parent, or to a parent's parent.
    Up,
    /// To a child, or to a child's child.
    Down,
    /// To any other file.
    Across,
}

/// One file needs another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Path of the file that needs the other.
    pub from: String,
    /// Path of the file that is needed.
    pub to: String,
    /// Position of the other, seen from the first.
    pub direction: Direction,
    /// Line of the first place.
    pub line: usize,
    /// The name at that place, for example `crate::log::Entry`.
    pub name: String,
}

/// Files that need each other, and the names through which they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// Paths of the files, in order.
    pub files: Vec<String>,
    /// The edges between them.
    pub edges: Vec<Edge>,
}

/// Edges between the files of one crate, the first of each pair.
pub fn edges(workspace: &Workspace, root: &SourceFile) -> Vec<Edge> {
    let of_crate = Crate::of(workspace, root);
    let mut found: BTreeMap<(String, String), Edge> = BTreeMap::new();

    for (number, module) in of_crate.modules.iter().enumerate() {
        let mut names = Names {
            file: module.file,
            found: Vec::new(),
        };
        module.items.iter().for_each(|item| names.visit_item(item));
        for (line, path) in names.found {
            if let Some(edge) = edge(&of_crate, number, line, &path) {
                found
                    .entry((edge.from.clone(), edge.to.clone()))
                    .or_insert(edge);
            }
        }
    }
    found.into_values().collect()
}

/// Circles among the files that some edges join. A file may stand in two of them.
pub fn circles(edges: &[Edge]) -> Vec<Circle> {
    let without = |direction: Direction| {
        let kept = edges.iter().filter(|edge| edge.direction != direction);
        components(&kept.collect::<Vec<_>>())
    };
    let mut circles = without(Direction::Up);

    let others = without(Direction::Down);
    let is_new = |circle: &Circle| {
        let holds = |known: &Circle| circle.files.iter().all(|file| known.files.contains(file));
        !circles.iter().any(holds)
    };
    let new: Vec<Circle> = others.into_iter().filter(is_new).collect();
    circles.extend(new);
    circles
}

/// Largest sets of files in which each reaches every other.
fn components(edges: &[&Edge]) -> Vec<Circle> {
    let files: BTreeSet<&str> = edges.iter().map(|edge| edge.from.as_str()).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .map(|file| (*file, reached(edges, file)))
        .collect();

    let mut circles = Vec::new();
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    for file in &files {
        if placed.contains(file) || !reached[file].contains(file) {
            continue;
        }

        // All that it reaches and that reach it; it is one of them.
        let returns =
            |other: &&&str| reached[file].contains(*other) && reached[*other].contains(file);
        let members: BTreeSet<&str> = files.iter().filter(returns).copied().collect();
        circles.push(circle(edges, &members));
        placed.extend(members);
    }
    circles
}

fn circle(edges: &[&Edge], members: &BTreeSet<&str>) -> Circle {
    let is_inside =
        |edge: &&&Edge| members.contains(edge.from.as_str()) && members.contains(edge.to.as_str());
    Circle {
        files: members.iter().map(|file| (*file).to_owned()).collect(),
        edges: edges
            .iter()
            .filter(is_inside)
            .map(|edge| (*edge).clone())
            .collect(),
    }
}

/// Files that can be reached from a file in one step or more.
fn reached<'a>(edges: &[&'a Edge], from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for edge in edges.iter().filter(|edge| edge.from == file) {
            if reached.insert(edge.to.as_str()) {
                open.push(&edge.to);
            }
        }
    }
    reached
}

/// The edge that a path in a module stands for, if it leads to another file.
fn edge(of_crate: &Crate<'_>, number: ModuleNumber, line: usize, path: &[String]) -> Option<Edge> {
    let from = of_crate.modules[number].file;
    let to = of_crate.file(number, path)?;
    if to.path == from.path {
        return None;
    }

    let direction = if of_crate.is_parent(to, from) {
        Direction::Up
    } else if of_crate.is_parent(from, to) {
        Direction::Down
    } else {
        Direction::Across
    };
    Some(Edge {
        from: from.path.clone(),
        to: to.path.clone(),
        direction,
        line,
        name: path.join("::"),
    })
}

/// Paths that a module names, without those of the modules inside it.
struct Names<'a> {
    file: &'a SourceFile,
    found: Vec<(usize, Vec<String>)>,
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let line = item.use_token.span.start().line;
        if !self.file.is_test(line) {
            self.found
                .extend(leaves(&item.tree).into_iter().map(|(_, path)| (line, path)));
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        let line = path
            .segments
            .first()
            .map_or(0, |part| part.ident.span().start().line);
        // A single name was imported, or is at home here.
        if names.len() > 1 && !self.file.is_test(line) {
            self.found.push((line, names));
        }
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Circles of a crate with these files, as the names of their files.
    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let parse = |(path, text): &(&str, &str)| SourceFile::parse(path, text).expect("code");
        let workspace = Workspace::of(files.iter().map(parse).collect());
        let root = workspace.file("src/lib.rs").expect("a root");
        let circles = circles(&edges(&workspace, root));
        circles.into_iter().map(|circle| circle.files).collect()
    }

    #[test]
    fn siblings_that_name_each_other_are_a_circle() {
        let circles = found(&[
            ("src/lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("src/a.rs", "use crate::b::B;\npub struct A;\n"),
            ("src/b.rs", "pub struct B;\nfn f() { super::c::g() }\n"),
            (
                "src/c.rs",
                "use crate::{a::{self}};\npub fn g() { a::A; }\n",
            ),
        ]);
        assert_eq!(circles, [["src/a.rs", "src/b.rs", "src/c.rs"]]);
    }

    #[test]
    fn a_parent_may_compose_children_that_use_it() {
        let circles = found(&[
            ("src/lib.rs", "mod a;\npub use a::A;\npub struct L;\n"),
            (
                "src/a/mod.rs",
                "mod b;\nuse crate::L;\nuse b::B;\npub struct A(B, L);\n",
            ),
            (
                "src/a/b.rs",
                "use super::A;\nuse crate::L;\npub struct B;\n",
            ),
        ]);
        assert!(circles.is_empty(), "{circles:?}");
    }

    #[test]
    fn a_circle_may_run_through_a_parent() {
        let down = found(&[
            ("src/lib.rs", "mod a;\nmod c;\n"),
            ("src/a/mod.rs", "mod b;\npub fn f() { b::g() }\n"),
            ("src/a/b.rs", "use crate::c::C;\npub fn g() {}\n"),
            ("src/c.rs", "pub struct C;\nfn h() { crate::a::f() }\n"),
        ]);
        assert_eq!(down, [["src/a/b.rs", "src/a/mod.rs", "src/c.rs"]]);

        let up = found(&[
            ("src/lib.rs", "mod a;\nmod c;\n"),
            (
                "src/a/mod.rs",
                "pub mod b;\nuse crate::c::C;\npub struct A;\n",
            ),
            ("src/a/b.rs", "use super::A;\npub fn g() {}\n"),
            ("src/c.rs", "pub struct C;\nfn h() { crate::a::b::g() }\n"),
        ]);
        assert_eq!(up, down);
    }

    #[test]
    fn a_name_is_followed_to_the_file_that_defines_it() {
        let circles = found(&[
            (
                "src/lib.rs",
                "mod a;\nmod b;\npub use a::*;\npub use b::B as Renamed;\n",
            ),
            ("src/a.rs", "use crate::Renamed;\npub struct A;\n"),
            ("src/b.rs", "use crate::A;\npub struct B;\n"),
        ]);
        assert_eq!(circles, [["src/a.rs", "src/b.rs"]]);
    }

    #[test]
    fn what_tests_name_makes_no_circle() {
        let circles = found(&[
            ("src/lib.rs", "mod a;\nmod b;\n"),
            ("src/a.rs", "use crate::b::B;\npub struct A;\n"),
            (
                "src/b.rs",
                "pub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
            ),
        ]);
        assert!(circles.is_empty(), "{circles:?}");
    }
}
