//! The production code of all packages.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use syn::Item;

use crate::SourceFile;

/// Directories that hold no code of ours.
const FOREIGN: [&str; 2] = ["target", "data"];

/// All files of production code, by their paths.
pub struct Workspace {
    files: BTreeMap<String, SourceFile>,
}

impl Workspace {
    /// Reads the `src` directory of each package at or below a directory.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for manifest in find(root, "Cargo.toml")? {
            let source = manifest.with_file_name("src");
            if source.is_dir() {
                files.extend(sources(root, &source)?);
            }
        }
        anyhow::ensure!(!files.is_empty(), "{} holds no package", root.display());
        Ok(Self::of(files))
    }

    /// Keeps the production code among some files.
    pub fn of(files: Vec<SourceFile>) -> Self {
        let tests: Vec<String> = files.iter().flat_map(modules_of_tests).collect();
        let is_test = |path: &str| {
            path.ends_with("/tests.rs")
                || inside_package(path).contains("/tests/")
                || tests.iter().any(|module| belongs(path, module))
        };

        let production = files.into_iter().filter(|file| !is_test(&file.path));
        Self {
            files: production.map(|file| (file.path.clone(), file)).collect(),
        }
    }

    /// All files, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.values()
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.get(path)
    }

    /// Directories that hold files, in order.
    pub fn rooms(&self) -> Vec<&str> {
        let mut rooms: Vec<&str> = self.files().map(SourceFile::room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        rooms
    }
}

/// Files whose name has an ending, at or below a directory. Build output and hidden files are
/// left out.
pub fn find(dir: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') || FOREIGN.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(find(&path, ending)?);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Parses all Rust files at or below a directory. Their paths begin at the root.
pub fn sources(root: &Path, dir: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let parse = |path: PathBuf| {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        SourceFile::parse(&name, &text)
    };
    find(dir, ".rs")?.into_iter().map(parse).collect()
}

/// The path from its package's `src` on: the package itself may stand below `tests/`.
fn inside_package(path: &str) -> &str {
    path.find("src/").map_or(path, |at| &path[at..])
}

/// Directory of the modules that a file declares.
pub(crate) fn directory(path: &str) -> &str {
    let stem = path.trim_end_matches(".rs");
    let is_head = ["mod", "lib", "main"]
        .iter()
        .any(|name| stem.ends_with(&format!("/{name}")));
    if is_head {
        stem.rsplit_once('/').map_or("", |(directory, _)| directory)
    } else {
        stem
    }
}

/// Modules with files of their own that a file declares for tests only: their paths without an
/// ending.
fn modules_of_tests(file: &SourceFile) -> Vec<String> {
    let module = |item: &Item| match item {
        Item::Mod(module) if module.content.is_none() => {
            let is_test = file.is_test(module.mod_token.span.start().line);
            is_test.then(|| format!("{}/{}", directory(&file.path), module.ident))
        }
        _ => None,
    };
    file.syntax.items.iter().filter_map(module).collect()
}

/// True for the file of a module, and for those of the modules inside it.
fn belongs(path: &str, module: &str) -> bool {
    let rest = path.strip_prefix(module);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_tests_are_left_out() {
        let files = [
            ("a/src/lib.rs", "#[cfg(test)]\nmod memory;\nmod b;\n"),
            ("a/src/memory.rs", ""),
            ("a/src/memory/inner.rs", ""),
            (
                "a/src/b/mod.rs",
                "#[cfg(test)]\nmod c;\n#[cfg(test)]\nmod tests;\n",
            ),
            ("a/src/b/c.rs", ""),
            ("a/src/b/tests.rs", ""),
            ("a/src/b/d.rs", ""),
            ("a/src/tests/e.rs", ""),
        ];
        let parsed = files.map(|(path, text)| SourceFile::parse(path, text).expect("code"));
        let workspace = Workspace::of(parsed.into());
        let paths: Vec<&str> = workspace.files().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/src/b/d.rs", "a/src/b/mod.rs", "a/src/lib.rs"]);
        assert_eq!(workspace.rooms(), ["a/src", "a/src/b"]);
    }
}
