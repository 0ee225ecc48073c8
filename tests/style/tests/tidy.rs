//! The house rules that a machine can hold: walls between modules, documents, and style.
//!
//! Code that does not keep a rule yet stands on that rule's list, as a file or as a room. A list only
//! gets shorter: an entry that keeps the rule fails the test until it is taken off.

use std::{
    fs,
    path::{Path, PathBuf},
};

use notty_style::{
    Workspace,
    exceptions::complaints,
    rules::{self, Breach},
    workspace::find,
};

/// Directories, and the words that must not appear in their code.
const WALLS: [(&str, &[&str]); 11] = [
    (
        "storage/src",
        &[
            "tokio",
            "openraft",
            "axum::",
            "hyper::",
            "reqwest::",
            "notty_raft",
        ],
    ),
    ("raft/src", &["axum::", "utoipa", "sled::", "crate::api"]),
    ("src", &["openraft::", "sled::", "turmoil::"]),
    (
        "simulation/model",
        &["notty_storage", "notty_raft", "notty::", "tokio"],
    ),
    (
        "src/api",
        &[
            "crate::post_office",
            "crate::postman",
            "crate::server",
            "crate::cli",
        ],
    ),
    (
        "src/post_office",
        &[
            "crate::api",
            "crate::postman",
            "crate::server",
            "crate::gateway",
        ],
    ),
    (
        "src/postman",
        &[
            "crate::api",
            "crate::post_office",
            "crate::server",
            "crate::desk",
        ],
    ),
    (
        "src/gateway",
        &[
            "crate::api",
            "crate::post_office",
            "crate::postman",
            "crate::server",
        ],
    ),
    (
        "src/moderation",
        &["notty_storage", "notty_raft", "crate::api", "tokio"],
    ),
    (
        "src/cli",
        &["crate::post_office", "crate::postman", "notty_raft"],
    ),
    (
        "tests",
        &["use notty", "notty::", "notty_storage::", "notty_raft::"],
    ),
];

/// Stands below `tests`, and is no test of the service: it may name itself.
const STYLE: &str = "tests/style";

/// Names that several types bear on purpose: each package has its `Error`.
const SHARED_NAMES: &[&str] = &["Error"];

/// Roots of the crates whose files may not form circles.
const ROOTS: &[&str] = &[
    "raft/src/lib.rs",
    "storage/src/lib.rs",
    "tests/style/src/lib.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two directories above")
}

/// Files with an ending below a directory of the workspace.
fn files(dir: &str, ending: &str) -> Vec<PathBuf> {
    find(&root().join(dir), ending).expect("a directory")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> Workspace {
    Workspace::read(root()).expect("the workspace")
}

/// Fails with every breach that a list does not hold, and every entry that it need not hold.
fn hold(breaches: &[Breach], list: &[&str]) {
    let complaints = complaints(breaches, list);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn nothing_names_what_lies_behind_a_wall() {
    for (dir, forbidden) in WALLS {
        let found = files(dir, ".rs");
        assert!(
            !found.is_empty(),
            "{dir} has no code: the list of walls is old"
        );

        for path in found
            .iter()
            .filter(|path| !path.starts_with(root().join(STYLE)))
        {
            for (n, line) in read(path).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in forbidden {
                    let place = format!("{}:{}", path.display(), n + 1);
                    assert!(
                        !code.contains(word),
                        "{place}: `{word}` lies behind a wall of {dir}"
                    );
                }
            }
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in files("", ".md") {
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
    for dir in ["src", "raft", "storage", "simulation", "tests"] {
        for path in files(dir, ".rs") {
            assert!(
                read(&path).starts_with("//! "),
                "{} opens otherwise",
                path.display()
            );
        }
    }
}

#[test]
fn a_long_function_has_paragraphs() {
    hold(
        &rules::functions_without_paragraphs(&workspace()),
        NO_PARAGRAPHS_YET,
    );
}

#[test]
fn a_doc_comment_has_four_words() {
    hold(&rules::short_docs(&workspace()), SHORT_DOCS_YET);
}

#[test]
fn a_doc_comment_does_not_begin_with_a_question_word() {
    hold(&rules::question_docs(&workspace()), QUESTIONS_YET);
}

#[test]
fn a_name_belongs_to_one_type() {
    let list = [SHARED_NAMES, SHARED_NAMES_YET].concat();
    hold(&rules::shared_names(&workspace()), &list);
}

#[test]
fn files_form_no_circle() {
    let workspace = workspace();
    let breaches: Vec<Breach> = ROOTS
        .iter()
        .flat_map(|root| rules::files_in_circles(&workspace, root))
        .collect();
    hold(&breaches, CIRCLES_YET);
}

// The lists of what does not keep a rule yet. They only get shorter: code that is new or rewritten
// keeps every rule.

/// Names that several types bear, until all but one are renamed.
const SHARED_NAMES_YET: &[&str] = &[
    "Answer",
    "Ask",
    "Bounds",
    "Change",
    "Changed",
    "Client",
    "Columns",
    "Command",
    "Cost",
    "Doubt",
    "Fault",
    "ImportArgs",
    "Message",
    "Node",
    "Nodes",
    "Outcome",
    "P",
    "Pairs",
    "Place",
    "Plan",
    "Postman",
    "Reader",
    "Report",
    "Rules",
    "SendResult",
    "Shared",
    "Stage",
    "State",
    "Status",
    "Target",
    "What",
    "Words",
    "World",
    "Writer",
];

/// Doc comments of fewer than four words.
const SHORT_DOCS_YET: &[&str] = &[
    "simulation/model/src",
    "simulation/src",
    "simulation/src/hosts",
    "simulation/src/invariants",
    "simulation/src/plan/mood.rs",
    "simulation/src/scenarios/mod.rs",
    "simulation/src/world/strike.rs",
    "src/moderation",
    "storage/src",
    "storage/src/apply/batches.rs",
    "storage/src/model",
    "storage/src/query",
    "storage/src/records",
];

/// Doc comments that begin with a question word.
const QUESTIONS_YET: &[&str] = &[
    "simulation/model/src",
    "simulation/src",
    "simulation/src/hosts",
    "simulation/src/invariants",
    "simulation/src/plan/draw.rs",
    "simulation/src/plan/mood.rs",
    "simulation/src/scenarios/mod.rs",
    "simulation/src/scenarios/rules.rs",
    "simulation/src/world/strike.rs",
    "src/moderation",
    "storage/src",
    "storage/src/apply",
    "storage/src/model",
    "storage/src/query",
    "storage/src/records",
];

/// Functions of more than 25 lines without a blank one.
const NO_PARAGRAPHS_YET: &[&str] = &[
    "simulation/model/src",
    "simulation/src",
    "simulation/src/hosts",
    "simulation/src/invariants",
    "simulation/src/plan/draw.rs",
    "simulation/src/scenarios/mod.rs",
    "simulation/src/scenarios/rules.rs",
    "simulation/src/world/strike.rs",
    "src/moderation/masks.rs",
    "src/moderation/readings.rs",
    "storage/src",
    "storage/src/apply",
    "storage/src/query",
];

/// Files in a circle.
const CIRCLES_YET: &[&str] = &[];
