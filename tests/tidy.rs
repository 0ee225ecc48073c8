//! The walls between modules, and other house rules that a machine can hold.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories, and the words that must not appear in their code.
const WALLS: [(&str, &[&str]); 11] = [
    ("storage/src", &["tokio", "openraft", "axum::", "hyper::", "reqwest::", "notty_raft"]),
    ("raft/src", &["axum::", "utoipa", "sled::", "crate::api"]),
    ("src", &["openraft::", "sled::", "turmoil::"]),
    ("simulation/model", &["notty_storage", "notty_raft", "notty::", "tokio"]),
    ("src/api", &["crate::post_office", "crate::postman", "crate::server", "crate::cli"]),
    ("src/post_office", &["crate::api", "crate::postman", "crate::server", "crate::gateway"]),
    ("src/postman", &["crate::api", "crate::post_office", "crate::server", "crate::desk"]),
    ("src/gateway", &["crate::api", "crate::post_office", "crate::postman", "crate::server"]),
    ("src/moderation", &["notty_storage", "notty_raft", "crate::api", "tokio"]),
    ("src/cli", &["crate::post_office", "crate::postman", "notty_raft"]),
    ("tests", &["use notty", "notty::", "notty_storage::", "notty_raft::"]),
];

/// Lines of one function, at most.
const FUNCTION_LINES: usize = 70;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files with an ending below a directory, without what is built.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || ["target", "data"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn nothing_names_what_lies_behind_a_wall() {
    for (dir, forbidden) in WALLS {
        let found = files(&root().join(dir), ".rs");
        assert!(!found.is_empty(), "{dir} has no code: the list of walls is old");
        // What stands below `tests` and is no test of the service may name itself.
        let named = [root().join("tests/tidy.rs"), root().join("tests/style")];
        for path in found.iter().filter(|path| !named.iter().any(|own| path.starts_with(own))) {
            for (n, line) in read(path).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in forbidden {
                    let place = format!("{}:{}", path.display(), n + 1);
                    assert!(!code.contains(word), "{place}: `{word}` lies behind a wall of {dir}");
                }
            }
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in files(root(), ".md") {
        for target in read(&path).split("](").skip(1) {
            let target = target.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let wanted = path.parent().unwrap_or(root()).join(target);
            assert!(wanted.exists(), "{}: {target} is not there", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in ["src", "raft", "storage", "simulation", "tests"].map(|dir| root().join(dir)) {
        for path in files(&path, ".rs") {
            assert!(read(&path).starts_with("//! "), "{} opens otherwise", path.display());
        }
    }
}

#[test]
fn no_function_passes_seventy_lines() {
    for path in files(root(), ".rs") {
        let text = read(&path);
        let mut open: Option<(usize, String)> = None;
        for (n, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            let indent = &line[..line.len() - trimmed.len()];
            let words = trimmed.split("fn ").next().unwrap_or_default();
            let begins = trimmed.contains("fn ")
                && words.split_whitespace().all(|word| {
                    word.starts_with("pub") || ["async", "const", "unsafe", "in"].contains(&word)
                });
            if begins && open.is_none() && !trimmed.ends_with(';') {
                open = Some((n, format!("{indent}}}")));
            }
            if let Some((from, end)) = &open
                && (line == end || (n == *from && trimmed.ends_with('}')))
            {
                let lines = n - from + 1;
                let place = format!("{}:{}", path.display(), from + 1);
                assert!(lines <= FUNCTION_LINES, "{place}: a function of {lines} lines");
                open = None;
            }
        }
    }
}
